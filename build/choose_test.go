package build

import (
	"strings"
	"testing"
	"testing/fstest"

	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/manifest"
)

func TestChoose(t *testing.T) {
	file := &fstest.MapFile{Data: []byte("FROM scratch\n")}
	for _, test := range []struct {
		name  string
		build manifest.Build
		tree  fstest.MapFS
		want  string
		why   string
		fails string
	}{
		{"a Dockerfile", manifest.Build{}, fstest.MapFS{"Dockerfile": file}, "dockerfile", "there is a Dockerfile", ""},
		{"an image", manifest.Build{Builder: "image", Image: "nginx"}, fstest.MapFS{"Dockerfile": file}, "image", "an image is named", ""},
		{"dokku.hcl wins", manifest.Build{Builder: "static"}, fstest.MapFS{"Dockerfile": file}, "static", "named in dokku.hcl", ""},
		{"path in a context", manifest.Build{Context: "web", Dockerfile: manifest.DockerfileBuild{Path: "App"}},
			fstest.MapFS{"web/App": file}, "dockerfile", "there is a web/App", ""},
		{"named without a file", manifest.Build{Builder: "dockerfile"}, nil, "dockerfile", "named in dokku.hcl", ""},
		{"nothing", manifest.Build{}, fstest.MapFS{"index.html": file}, "", "", "no Dockerfile"},
		{"a folder", manifest.Build{}, fstest.MapFS{"Dockerfile/x": file}, "", "", "no Dockerfile"},
		{"a language", manifest.Build{}, fstest.MapFS{"package.json": file}, "pack", "there is a package.json", ""},
		{"a pattern", manifest.Build{Context: "src"}, fstest.MapFS{"src/Shop.csproj": file}, "pack", "there is a src/Shop.csproj", ""},
		{"elsewhere", manifest.Build{}, fstest.MapFS{"client/package.json": file}, "", "", "no Dockerfile"},
		{"its folder", manifest.Build{Dir: "client"}, fstest.MapFS{"client/package.json": file}, "pack", "there is a client/package.json", ""},
		{"a list", manifest.Build{}, fstest.MapFS{".buildpacks": file}, "pack", "there is a .buildpacks", ""},
		{"a block", manifest.Build{Pack: manifest.PackBuild{Builder: "x/y"}}, nil, "pack", "dokku.hcl has build { pack }", ""},
		{"a Dockerfile before a language", manifest.Build{}, fstest.MapFS{"Dockerfile": file, "go.mod": file}, "dockerfile", "there is a Dockerfile", ""},
		{"unknown", manifest.Build{Builder: "herokuish"}, nil, "", "", "herokuish"},
	} {
		t.Run(test.name, func(t *testing.T) {
			name, why, err := Choose(&manifest.App{Build: test.build}, test.tree)
			if name != test.want || why != test.why || (err != nil) != (test.fails != "") {
				t.Fatalf("got %q, %q, %v", name, why, err)
			}
			if e := api.AsError(err); e != nil &&
				(e.Code != api.InvalidManifest || !strings.Contains(e.Message, test.fails) || !strings.Contains(e.Hint, "static")) {
				t.Errorf("got %#v", e)
			}
		})
	}
}
