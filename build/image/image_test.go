package image

import (
	"context"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/build"
	"github.com/dokku-push/dokku-push/manifest"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// newImage is an image for a platform, with these labels.
func newImage(t *testing.T, arch string, labels map[string]string) v1.Image {
	t.Helper()
	image, err := random.Image(200, 2)
	must(t, err)
	image, err = mutate.ConfigFile(image, configFor(t, image, arch, labels))
	must(t, err)
	return image
}

func configFor(t *testing.T, image v1.Image, arch string, labels map[string]string) *v1.ConfigFile {
	t.Helper()
	config, err := image.ConfigFile()
	must(t, err)
	config = config.DeepCopy()
	config.OS, config.Architecture, config.Config.Labels = "linux", arch, labels
	return config
}

func id(t *testing.T, image v1.Image) string {
	t.Helper()
	id, err := image.ConfigName()
	must(t, err)
	return id.String()
}

// newRegistry is a registry; one of a private repository asks for a password.
func newRegistry(t *testing.T) (host string) {
	t.Helper()
	inner := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.URL.Path, "/private/") {
			w.Header().Set("WWW-Authenticate", `Basic realm="x"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		inner.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://")
}

// TestBuild: an image is found wherever it may be, for the host's platform among several, and
// a tag becomes a digest.
func TestBuild(t *testing.T) {
	dir, host := t.TempDir(), newRegistry(t)
	mine, other, local := newImage(t, "amd64", nil), newImage(t, "arm64", nil), newImage(t, "amd64", nil)
	var index v1.ImageIndex = empty.Index
	for arch, image := range map[string]v1.Image{"amd64": mine, "arm64": other} {
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: image, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: arch}}})
	}
	tag, err := name.NewTag(host + "/team/app:stable")
	must(t, err)
	must(t, remote.WriteIndex(tag, index))
	_, err = layout.Write(filepath.Join(dir, "layout"), index)
	must(t, err)
	must(t, tarball.WriteToFile(filepath.Join(dir, "image.tar"), tag, mine))
	must(t, tarball.WriteToFile(filepath.Join(dir, "arm.tar"), tag, other))
	must(t, os.Mkdir(filepath.Join(dir, "folder"), 0o755))
	whole, err := index.Digest()
	must(t, err)
	var asked []string
	engine := func(_ context.Context, name string, _ build.Request) (*build.Image, error) {
		asked = append(asked, name)
		if !strings.HasSuffix(name, "local:1") {
			return nil, errors.New("the engine has none")
		}
		return &build.Image{Image: local, ID: id(t, local)}, nil
	}
	for _, tt := range []struct {
		reference string
		want      v1.Image
		engine    string // the name that the engine is asked for
		message   string
	}{
		{reference: host + "/team/app:stable", want: mine},
		{reference: host + "/team/app@" + whole.String(), want: mine},
		{reference: "layout", want: mine},
		{reference: "./layout", want: mine},
		{reference: filepath.Join(dir, "image.tar"), want: mine},
		{reference: "image.tar", want: mine},
		{reference: "docker-daemon:local:1", want: local, engine: "local:1"},
		{reference: host + "/team/local:1", want: local, engine: host + "/team/local:1"},
		{reference: host + "/private/local:1", want: local, engine: host + "/private/local:1"},
		{reference: host + "/team/nothing:1", engine: host + "/team/nothing:1", message: "get the image"},
		{reference: "docker-daemon:nothing", engine: "nothing", message: "the engine has none"},
		{reference: "127.0.0.1:1/team/local:1", message: "refused"}, // a registry that is away may have another one
		{reference: "arm.tar", message: "it is for linux/arm64, the host runs linux/amd64"},
		{reference: "folder", message: "no OCI layout"},
		{reference: "./nothing", message: "no such file"},
		{reference: "", message: "no image is named"},
	} {
		asked = nil
		var said []string
		request := build.Request{Dir: dir, App: &manifest.App{Build: manifest.Build{Image: tt.reference}}, OS: "linux", Arch: "amd64",
			Output: func(line string) { said = append(said, line) }}
		found, err := Builder{Engine: engine}.Build(t.Context(), request)
		if strings.Join(asked, " ") != tt.engine {
			t.Errorf("%s: the engine was asked for %q", tt.reference, asked)
		}
		if tt.message != "" {
			if err == nil || !strings.Contains(err.Error(), tt.message) {
				t.Errorf("%s: %v, want %q", tt.reference, err, tt.message)
			}
			continue
		}
		if err != nil || found.ID != id(t, tt.want) {
			t.Errorf("%s: %+v, %v", tt.reference, found, err)
			continue
		}
		digest, err := tt.want.Digest()
		must(t, err)
		if all := strings.Join(said, "\n"); !strings.Contains(all, " is sha256:") || tt.reference[0] == 'l' && !strings.Contains(all, digest.String()) {
			t.Errorf("%s: it says %q", tt.reference, all)
		}
	}
	_, err = Open(t.Context(), dir, "docker-daemon:local:1", v1.Platform{OS: "linux", Architecture: "amd64"})
	if e := api.AsError(err); e == nil || !strings.Contains(e.Hint, "docker save") {
		t.Errorf("an image of the engine as a base: %v", err)
	}
	for start, hint := range map[string]string{"\x1f\x8b\x08\x00": "gunzip", "BZh9": "plain tar", "\x28\xb5\x2f\xfd": "plain tar", "\xfd7zXZ": "plain tar", "what": "", "": ""} {
		must(t, os.WriteFile(filepath.Join(dir, "packed"), []byte(start), 0o644))
		_, err := Open(t.Context(), dir, "packed", v1.Platform{OS: "linux", Architecture: "amd64"})
		if e := api.AsError(err); e == nil || !strings.Contains(e.Hint, hint) || (hint == "") != (e.Hint == "") {
			t.Errorf("an archive that begins with %q: %+v", start, e)
		}
	}
}

// TestLabels: an image that was built here brings its files as labels; the project's own win.
func TestLabels(t *testing.T) {
	dir := t.TempDir()
	labels := map[string]string{api.LabelProcfile: "web: a\n", api.LabelAppJSON: "{}", api.LabelChecks: "/ ok\n", api.LabelNginx: "# theirs\n"}
	tag, err := name.NewTag("x:1")
	must(t, err)
	must(t, tarball.WriteToFile(filepath.Join(dir, "image.tar"), tag, newImage(t, "amd64", labels)))
	app := &manifest.App{ProcfileText: "web: mine\n", Build: manifest.Build{Image: "image.tar"}}
	_, err = Builder{}.Build(t.Context(), build.Request{Dir: dir, App: app, OS: "linux", Arch: "amd64", Output: func(string) {}})
	must(t, err)
	if app.ProcfileText != "web: mine\n" || app.AppJSONText != "{}" || app.ChecksText != "/ ok\n" || app.NginxTemplate != "# theirs\n" {
		t.Errorf("%+v", app)
	}
}
