package static

import (
	"archive/tar"
	"io"
	"io/fs"
	"log"
	"net"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/google/go-containerregistry/pkg/v1/validate"

	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/build"
	"github.com/dokku-push/dokku-push/manifest"
)

// request is a build of a fresh folder that no Docker could help with.
func request(t *testing.T) build.Request {
	t.Helper()
	t.Setenv("DOCKER_HOST", "tcp://127.0.0.1:1")
	r := build.Request{
		Dir: t.TempDir(), App: &manifest.App{}, Name: "app", OS: "linux", Arch: "amd64",
		Output: func(string) {},
	}
	r.App.Build.Static.Base = Scratch
	return r
}

func write(t *testing.T, dir, file, text string, mode fs.FileMode) {
	t.Helper()
	path := filepath.Join(dir, file)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}

func mustBuild(t *testing.T, r build.Request) *build.Image {
	t.Helper()
	image, err := Builder{CacheDir: t.TempDir()}.Build(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Image(image); err != nil {
		t.Errorf("the image is not valid: %v", err)
	}
	return image
}

func mustFail(t *testing.T, r build.Request, want string) {
	t.Helper()
	_, err := Builder{CacheDir: t.TempDir()}.Build(t.Context(), r)
	e := api.AsError(err)
	if e == nil || e.Code != api.BuildFailed || !strings.Contains(e.Error(), want) {
		t.Errorf("want build_failed with %q, got %v", want, err)
	}
}

func digest(t *testing.T, image v1.Image) string {
	t.Helper()
	d, err := image.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return d.String()
}

// entries lists the top layer: name, mode, owner and link of each entry.
func entries(t *testing.T, image v1.Image) map[string]string {
	t.Helper()
	layers, err := image.Layers()
	if err != nil {
		t.Fatal(err)
	}
	content, err := layers[len(layers)-1].Uncompressed()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = content.Close() }()
	got := map[string]string{}
	for r := tar.NewReader(content); ; {
		h, err := r.Next()
		if err == io.EOF {
			return got
		}
		if err != nil {
			t.Fatal(err)
		}
		if _, twice := got[h.Name]; twice {
			t.Errorf("%s is there twice", h.Name)
		}
		if h.Uid != 0 || h.Gid != 0 || h.Uname != "" || !h.ModTime.Equal(epoch) {
			t.Errorf("%s carries %d:%d %q %s", h.Name, h.Uid, h.Gid, h.Uname, h.ModTime)
		}
		got[h.Name] = strings.TrimSpace(fs.FileMode(h.Mode).String() + " " + h.Linkname)
	}
}

func TestLayerAndConfig(t *testing.T) {
	r := request(t)
	write(t, r.Dir, "public/index.html", "hello", 0o600)
	write(t, r.Dir, "public/bin/server", "#!/bin/sh\n", 0o711)
	write(t, r.Dir, "public/.git/config", "private", 0o644)
	write(t, r.Dir, "public/sub/.git", "gitdir: x", 0o644)
	write(t, r.Dir, "outside.txt", "no", 0o644)
	if err := os.Symlink("../index.html", filepath.Join(r.Dir, "public/bin/page")); err != nil {
		t.Fatal(err)
	}
	r.Revision = "abc"
	r.App.ProcfileText = "web: server\n"
	r.App.Build.Static = manifest.StaticBuild{Base: Scratch, Dir: "public", Dest: "/srv/www", Command: "server --port $PORT"}
	image := mustBuild(t, r)
	want := map[string]string{
		"srv/": "-rwxr-xr-x", "srv/www/": "-rwxr-xr-x", "srv/www/bin/": "-rwxr-xr-x", "srv/www/sub/": "-rwxr-xr-x",
		"srv/www/bin/page": "-rwxrwxrwx ../index.html", "srv/www/bin/server": "-rwxr-xr-x", "srv/www/index.html": "-rw-r--r--",
	}
	if diff := cmp.Diff(want, entries(t, image)); diff != "" {
		t.Errorf("layer (-want +got):\n%s", diff)
	}
	config, err := image.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	wantConfig := v1.Config{
		Cmd: []string{"/bin/sh", "-c", "server --port $PORT"}, WorkingDir: "/srv/www",
		Labels: map[string]string{api.LabelBuilder: "static", api.LabelProcfile: "web: server\n", api.LabelRevision: "abc"},
	}
	if diff := cmp.Diff(wantConfig, config.Config); diff != "" {
		t.Errorf("config (-want +got):\n%s", diff)
	}
	if config.OS != "linux" || config.Architecture != "amd64" || !config.Created.Time.Equal(epoch) {
		t.Errorf("%s/%s created %s", config.OS, config.Architecture, config.Created)
	}
	if id, err := image.ConfigName(); err != nil || id.String() != image.ID {
		t.Errorf("id %s, config digest %s, %v", image.ID, id, err)
	}
}

func TestReproducible(t *testing.T) {
	var got []string
	for i, mask := range []int{0o022, 0o077} {
		old := syscall.Umask(mask)
		t.Cleanup(func() { syscall.Umask(old) })
		r := request(t)
		names := []string{"b/z", "a", "b/y", "b.txt", "c/d/e"}
		if i == 1 { // another order of creation
			names = []string{"c/d/e", "b.txt", "b/y", "a", "b/z"}
		}
		for _, name := range names {
			path := filepath.Join(r.Dir, name)
			if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte("text of "+name), 0o666); err != nil {
				t.Fatal(err)
			}
			when := time.Now().Add(-time.Duration(i) * time.Hour)
			if err := os.Chtimes(path, when, when); err != nil {
				t.Fatal(err)
			}
		}
		image := mustBuild(t, r)
		got = append(got, image.ID+" "+digest(t, image))
		syscall.Umask(old)
	}
	if got[0] != got[1] {
		t.Errorf("two builds of the same files:\n%s\n%s", got[0], got[1])
	}
}

func TestIgnore(t *testing.T) {
	for _, test := range []struct {
		name  string
		files map[string]string
		want  []string
	}{
		{"dockerignore", map[string]string{".dockerignore": "*.log\ndata\n"}, []string{"app/keep.txt"}},
		{"dokkuignore wins", map[string]string{".dockerignore": "*", ".dokkuignore": "data\n*.txt\n"}, []string{"app/a.log"}},
		{"exception in an ignored folder", map[string]string{".dokkuignore": "*\n!data/deep/one\n"},
			[]string{"app/data/", "app/data/deep/", "app/data/deep/one"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := request(t)
			for _, name := range []string{"a.log", "keep.txt", "data/two", "data/deep/one"} {
				write(t, r.Dir, name, "x", 0o644)
			}
			for name, text := range test.files {
				write(t, r.Dir, name, text, 0o644)
			}
			want := map[string]bool{"app/": true}
			for _, name := range test.want {
				want[name] = true
			}
			got := map[string]bool{}
			for name := range entries(t, mustBuild(t, r)) {
				got[name] = true
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestUnseen: a plan that is kept in the tree is no part of what is built of it.
func TestUnseen(t *testing.T) {
	r := request(t)
	write(t, r.Dir, "keep.txt", "x", 0o644)
	r.Unseen = []string{"plan.json", "data/result.json"}
	before := mustBuild(t, r).ID
	write(t, r.Dir, "plan.json", "x", 0o644)
	if after := mustBuild(t, r).ID; after != before {
		t.Errorf("%s with a plan, %s without", after, before)
	}
	write(t, r.Dir, "data/plan.json", "x", 0o644)
	write(t, r.Dir, "data/result.json", "x", 0o644)
	got := entries(t, mustBuild(t, r))
	if _, there := got["app/data/plan.json"]; !there || len(got) != 4 {
		t.Errorf("the image has %v", got)
	}
}

func TestRefusedFiles(t *testing.T) {
	link := func(target, name string) func(string) error {
		return func(dir string) error { return os.Symlink(target, filepath.Join(dir, name)) }
	}
	for name, test := range map[string]struct {
		make func(dir string) error
		want string
	}{
		"absolute symlink": {link("/etc/passwd", "bad"), `"bad" is a symlink to the absolute path`},
		"escaping symlink": {link("../x", "bad"), `"bad" is a symlink to "../x", outside`},
		"circle":           {link("bad", "bad"), `"bad" is a symlink`},
		"escape in two hops": {func(dir string) error {
			if err := os.MkdirAll(filepath.Join(dir, "deep/er"), 0o755); err != nil {
				return err
			}
			if err := os.Symlink("../..", filepath.Join(dir, "deep/er/up")); err != nil {
				return err
			}
			return os.Symlink("deep/er/up/../x", filepath.Join(dir, "bad"))
		}, `"bad" is a symlink`},
		"fifo":   {func(dir string) error { return syscall.Mkfifo(filepath.Join(dir, "bad"), 0o644) }, `"bad" is a named pipe`},
		"device": {func(dir string) error { return syscall.Mknod(filepath.Join(dir, "bad"), syscall.S_IFCHR|0o644, 1<<8|3) }, `"bad" is a device`},
		"socket": {func(dir string) error {
			l, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(dir, "bad")})
			if err != nil {
				return err
			}
			l.SetUnlinkOnClose(false)
			return l.Close()
		}, `"bad" is a socket`},
		"setuid": {func(dir string) error {
			if err := os.WriteFile(filepath.Join(dir, "bad"), nil, 0o755); err != nil {
				return err
			}
			return os.Chmod(filepath.Join(dir, "bad"), 0o755|fs.ModeSetuid)
		}, `"bad" has the setuid`},
		"whiteout":    {func(dir string) error { return os.WriteFile(filepath.Join(dir, ".wh.etc"), nil, 0o644) }, "deletes a file of the base"},
		"newline":     {func(dir string) error { return os.WriteFile(filepath.Join(dir, "a\nb"), nil, 0o644) }, "control characters"},
		"broken utf8": {func(dir string) error { return os.WriteFile(filepath.Join(dir, "a\xff"), nil, 0o644) }, "invalid UTF-8"},
	} {
		t.Run(name, func(t *testing.T) {
			r := request(t)
			if err := test.make(r.Dir); err != nil {
				t.Fatal(err)
			}
			mustFail(t, r, test.want)
			write(t, r.Dir, ".dokkuignore", "*\n", 0o644) // what is left out may be anything
			mustBuild(t, r)
		})
	}
	t.Run("a link to nothing, inside, stays", func(t *testing.T) {
		r := request(t)
		if err := link("not-there-yet", "ok")(r.Dir); err != nil {
			t.Fatal(err)
		}
		if got := entries(t, mustBuild(t, r))["app/ok"]; got != "-rwxrwxrwx not-there-yet" {
			t.Errorf("got %q", got)
		}
	})
}

// baseImage is a base for a platform, Docker's or OCI's.
func baseImage(t *testing.T, arch string, oci bool) v1.Image {
	t.Helper()
	layer := types.DockerLayer
	if oci {
		layer = types.OCILayer
	}
	top, err := random.Layer(64, layer)
	if err != nil {
		t.Fatal(err)
	}
	image := v1.Image(empty.Image)
	if oci {
		image = mutate.ConfigMediaType(mutate.MediaType(image, types.OCIManifestSchema1), types.OCIConfigJSON)
	}
	image, err = mutate.ConfigFile(image, &v1.ConfigFile{
		OS: "linux", Architecture: arch, RootFS: v1.RootFS{Type: "layers"}, Config: v1.Config{Env: []string{"A=b"}, Labels: map[string]string{"base": arch}},
	})
	if err == nil {
		image, err = mutate.Append(image, mutate.Addendum{Layer: top, MediaType: layer})
	}
	if err != nil {
		t.Fatal(err)
	}
	return image
}

func checkOnBase(t *testing.T, r build.Request, base v1.Image) {
	t.Helper()
	image := mustBuild(t, r)
	below, err := base.Manifest()
	if err != nil {
		t.Fatal(err)
	}
	built, err := image.Manifest()
	if err != nil {
		t.Fatal(err)
	}
	if len(built.Layers) != len(below.Layers)+1 || built.Layers[0].Digest != below.Layers[0].Digest {
		t.Errorf("layers %v on base %v", built.Layers, below.Layers)
	}
	if built.MediaType != below.MediaType || built.Config.MediaType != below.Config.MediaType || built.Layers[1].MediaType != below.Layers[0].MediaType {
		t.Errorf("media types %s %s %s on base %s", built.MediaType, built.Config.MediaType, built.Layers[1].MediaType, below.MediaType)
	}
	config, err := image.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	if config.Config.Labels["base"] != "amd64" || len(config.Config.Env) != 1 {
		t.Errorf("the base's config is lost: %+v", config.Config)
	}
}

func TestBases(t *testing.T) {
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	defer server.Close()
	host := strings.TrimPrefix(server.URL, "http://")
	for _, oci := range []bool{false, true} {
		ours, other := baseImage(t, "amd64", oci), baseImage(t, "arm64", oci)
		index := mutate.AppendManifests(empty.Index,
			mutate.IndexAddendum{Add: other, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: "arm64"}}},
			mutate.IndexAddendum{Add: ours, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: "amd64"}}})
		r := request(t)
		write(t, r.Dir, "public/index.html", "hello", 0o644)
		r.App.Build.Static.Dir = "public"

		for name, push := range map[string]func(name.Reference) error{
			"image": func(ref name.Reference) error { return remote.Write(ref, ours) },
			"index": func(ref name.Reference) error { return remote.WriteIndex(ref, index) },
		} {
			r.App.Build.Static.Base = host + "/base/" + name + ":v1"
			ref, err := parse(r.App.Build.Static.Base)
			if err == nil {
				err = push(ref)
			}
			if err != nil {
				t.Fatal(err)
			}
			checkOnBase(t, r, ours)
		}
		if _, err := layout.Write(filepath.Join(r.Dir, "base-layout"), index); err != nil {
			t.Fatal(err)
		}
		r.App.Build.Static.Base = "base-layout"
		checkOnBase(t, r, ours)

		r.Arch = "s390x"
		mustFail(t, r, "open the image base-layout: it is for linux/arm64, linux/amd64")
	}
}

func parse(reference string) (name.Reference, error) { return name.ParseReference(reference) }

func TestTarBaseAndMismatch(t *testing.T) {
	r := request(t)
	write(t, r.Dir, "public/index.html", "hello", 0o644)
	base := baseImage(t, "amd64", false)
	tag, err := name.NewTag("base:v1")
	if err == nil {
		err = tarball.WriteToFile(filepath.Join(r.Dir, "base.tar"), tag, base)
	}
	if err != nil {
		t.Fatal(err)
	}
	r.App.Build.Static = manifest.StaticBuild{Base: "./base.tar", Dir: "public"}
	checkOnBase(t, r, base)

	r.Arch = "arm64"
	mustFail(t, r, "open the image ./base.tar: it is for linux/amd64, the host runs linux/arm64")
	r.Arch = "amd64"
	r.App.Build.Static.Base = ""
	mustFail(t, r, "no base image")
	r.App.Build.Static.Base = "./none.tar"
	mustFail(t, r, "none.tar")
	r.App.Build.Static.Base = "../base.tar"
	mustFail(t, r, "outside of the project")
	r.App.Build.Static.Base = "Not A Reference"
	mustFail(t, r, "neither a path")
	r.App.Build.Static = manifest.StaticBuild{Base: "./base.tar", Dir: "none"}
	mustFail(t, r, "open the folder of files")
	r.App.Build.Static = manifest.StaticBuild{Base: "./base.tar", Dest: "app"}
	mustFail(t, r, "not absolute")
}

func TestUnreachableRegistry(t *testing.T) {
	r := request(t)
	r.App.Build.Static.Base = "127.0.0.1:1/base:v1"
	mustFail(t, r, "get the image 127.0.0.1:1/base:v1")
}
