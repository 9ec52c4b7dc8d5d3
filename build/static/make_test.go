package static

import (
	"context"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/validate"

	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/build"
	"github.com/dokku-push/dokku-push/build/image"
)

func layersOf(t *testing.T, image v1.Image) int {
	t.Helper()
	layers, err := image.Layers()
	if err != nil {
		t.Fatal(err)
	}
	return len(layers)
}

// TestMake: what a command leaves is the image, twice the same; the tree is as it was.
func TestMake(t *testing.T) {
	r := request(t)
	write(t, r.Dir, "main.txt", "source", 0o644)
	write(t, r.Dir, "public/index.html", "hello", 0o644)
	r.App.Build.Args = map[string]string{"VERSION": "1.2"}
	r.App.Build.Static.Make = `echo making; printf '%s %s %s %s' "$GOOS/$GOARCH" "$TARGETARCH" "$VERSION" "$(cat main.txt)" >"$OUT/server" && chmod 700 "$OUT/server"`
	var said []string
	r.Output = func(line string) { said = append(said, line) }
	made := mustBuild(t, r)
	if diff := cmp.Diff(map[string]string{"app/": "-rwxr-xr-x", "app/server": "-rwxr-xr-x"}, entries(t, made)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if !slices.Contains(said, "making") || layersOf(t, made) != 1 {
		t.Errorf("%d layers, said %q", layersOf(t, made), said)
	}
	if again := mustBuild(t, r); again.ID != made.ID || digest(t, again) != digest(t, made) {
		t.Errorf("%s and %s", made.ID, again.ID)
	}
	r.App.Build.Args["VERSION"] = "1.3"
	if other := mustBuild(t, r); other.ID == made.ID {
		t.Error("another version is the same image")
	}
	r.App.Build.Static.Dir = "public"
	both := mustBuild(t, r)
	if diff := cmp.Diff(map[string]string{"app/": "-rwxr-xr-x", "app/server": "-rwxr-xr-x"}, entries(t, both)); diff != "" || layersOf(t, both) != 2 {
		t.Errorf("%d layers, -want +got:\n%s", layersOf(t, both), diff)
	}
	left, err := os.ReadDir(r.Dir)
	if err != nil || len(left) != 2 {
		t.Errorf("the tree has %v, %v", left, err)
	}
}

func TestMakeFails(t *testing.T) {
	r := request(t)
	t.Setenv("NPM_TOKEN", "hunter2secret")
	r.App.Build.Secrets = []string{"NPM_TOKEN"}
	fails := func(command, want string) string {
		t.Helper()
		r.App.Build.Static.Make = command
		_, err := Builder{CacheDir: t.TempDir(), Getenv: os.LookupEnv}.Build(t.Context(), r)
		e := api.AsError(err)
		if e == nil || e.Code != api.BuildFailed || !strings.Contains(e.Error(), want) {
			t.Errorf("%s: %v", command, err)
		}
		return err.Error()
	}
	fails("true", "left nothing in $OUT")
	fails("echo first; echo last >&2; exit 3", "exited with code 3\nfirst\nlast")
	var said []string
	r.Output = func(line string) { said = append(said, line) }
	if text := fails(`echo "$NPM_TOKEN"; exit 1`, "code 1"); strings.Contains(text+strings.Join(said, "\n"), "hunter2") {
		t.Errorf("a secret is told: %s %q", text, said)
	}
	if text := fails(`i=0; while [ $i -lt 20000 ]; do echo "line $i"; i=$((i+1)); done; exit 1`, "line 19999"); len(text) > maxFailure+1000 {
		t.Errorf("the error has %d bytes", len(text))
	}
	ctx, cancel := context.WithCancel(t.Context())
	r.App.Build.Static.Make = "echo begun; sleep 600"
	r.Output = func(line string) {
		if line == "begun" {
			cancel()
		}
	}
	if _, err := (Builder{CacheDir: t.TempDir()}).Build(ctx, r); api.AsError(err).Code != api.Cancelled {
		t.Errorf("cancelled: %v", err)
	}
}

// TestDirOfApp: an app of several is its own folder, whatever else the context holds.
func TestDirOfApp(t *testing.T) {
	r := request(t)
	write(t, r.Dir, "apps/web/index.html", "web", 0o644)
	write(t, r.Dir, "apps/api/index.html", "api", 0o644)
	r.App.Build.Dir = "apps/web"
	if diff := cmp.Diff([]string{"app/", "app/index.html"}, slices.Sorted(maps.Keys(entries(t, mustBuild(t, r))))); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	r.App.Build.Context = "apps/api"
	mustFail(t, r, "outside of the project")
}

// TestIndex: one layout for two platforms, from which each host takes its own, twice the
// same to the byte.
func TestIndex(t *testing.T) {
	r := request(t)
	r.App.Build.Static.Make = `echo "$GOARCH" >"$OUT/server"`
	var digests []string
	for range 2 {
		var images []*build.Image
		for _, arch := range []string{"amd64", "arm64"} {
			r.Arch = arch
			images = append(images, mustBuild(t, r))
		}
		folder := t.TempDir()
		digest, err := build.WriteLayout(folder, images)
		if err != nil {
			t.Fatal(err)
		}
		digests = append(digests, digest)
		for i, arch := range []string{"amd64", "arm64"} {
			found, err := image.Open(t.Context(), folder, ".", v1.Platform{OS: "linux", Architecture: arch})
			if err != nil {
				t.Fatal(err)
			}
			if id, err := found.ConfigName(); err != nil || id.String() != images[i].ID {
				t.Errorf("%s: %v, %v, want %s", arch, id, err, images[i].ID)
			}
		}
		if _, err := image.Open(t.Context(), folder, ".", v1.Platform{OS: "linux", Architecture: "s390x"}); err == nil || !strings.Contains(err.Error(), "linux/arm64") {
			t.Errorf("a third platform: %v", err)
		}
		index, err := layout.ImageIndexFromPath(folder)
		if err != nil {
			t.Fatal(err)
		}
		if err := validate.Index(index); err != nil {
			t.Error(err)
		}
	}
	if digests[0] != digests[1] {
		t.Errorf("%q", digests)
	}
	full := t.TempDir()
	write(t, full, "precious", "x", 0o644)
	if _, err := build.WriteLayout(full, nil); api.AsError(err).Code != api.Usage {
		t.Errorf("a folder that is in use: %v", err)
	}
}
