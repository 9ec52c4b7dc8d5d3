package dockerfile

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/daemon"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/moby/moby/client"

	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/build"
	"github.com/dokku-push/dokku-push/manifest"
)

// base is the name of the base image: each process has its own, and takes it away at its end.
var base = fmt.Sprintf("dkp-build-base-%d:latest", os.Getpid())

// bench is one project, one cache and the real engine.
type bench struct {
	t       *testing.T
	dir     string
	cache   string
	app     string
	docker  *client.Client
	request build.Request
	getenv  func(string) (string, bool)
	host    string // address of the engine; empty: from the environment
	daemon  string // address of a BuildKit daemon; empty: the engine's own
	lines   []string
	ids     []string
}

func newBench(t *testing.T, files map[string]string) *bench {
	t.Helper()
	docker, err := client.New(client.FromEnv)
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{t: t, dir: t.TempDir(), cache: t.TempDir(), docker: docker}
	b.app = "dkp-build-" + strings.ToLower(strings.NewReplacer("/", "-", "_", "-").Replace(t.Name()))
	b.request = build.Request{
		Dir: b.dir, App: &manifest.App{}, Name: b.app, OS: "linux", Arch: "amd64",
		Output: func(line string) { b.lines = append(b.lines, line) },
	}
	b.loadBase()
	for file, text := range files {
		b.write(file, text)
	}
	t.Cleanup(func() {
		for _, tag := range append(b.ids, ImageName(b.app), base) {
			_, _ = docker.ImageRemove(context.Background(), tag, client.ImageRemoveOptions{Force: true, PruneChildren: true})
		}
		_ = docker.Close()
	})
	return b
}

// loadBase makes a base image of the static busybox that Debian ships.
func (b *bench) loadBase() {
	b.t.Helper()
	program, err := os.ReadFile("/bin/busybox")
	if err != nil {
		b.t.Fatalf("busybox-static is needed: %v", err)
	}
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	add := func(h tar.Header, content []byte) {
		if err := w.WriteHeader(&h); err != nil {
			b.t.Fatal(err)
		}
		if _, err := w.Write(content); err != nil {
			b.t.Fatal(err)
		}
	}
	add(tar.Header{Name: "bin/", Typeflag: tar.TypeDir, Mode: 0o755}, nil)
	add(tar.Header{Name: "bin/busybox", Typeflag: tar.TypeReg, Mode: 0o755, Size: int64(len(program))}, program)
	for _, applet := range []string{"sh", "cat", "echo", "ls", "sleep", "env", "head", "test"} {
		add(tar.Header{Name: "bin/" + applet, Typeflag: tar.TypeSymlink, Linkname: "busybox"}, nil)
	}
	if err := w.Close(); err != nil {
		b.t.Fatal(err)
	}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(archive.Bytes())), nil
	})
	if err != nil {
		b.t.Fatal(err)
	}
	image, err := mutate.ConfigFile(empty.Image, &v1.ConfigFile{
		OS: "linux", Architecture: "amd64", Config: v1.Config{Env: []string{"PATH=/bin"}, Cmd: []string{"sh"}},
	})
	if err == nil {
		image, err = mutate.AppendLayers(image, layer)
	}
	if err != nil {
		b.t.Fatal(err)
	}
	tag, err := name.NewTag(base)
	if err != nil {
		b.t.Fatal(err)
	}
	if out, err := daemon.Write(tag, image, daemon.WithClient(b.docker)); err != nil {
		b.t.Fatalf("load the base image: %v %s", err, out)
	}
}

func (b *bench) write(file, text string) {
	b.t.Helper()
	path := filepath.Join(b.dir, file)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) try() (*build.Image, error) {
	b.lines = nil
	return Builder{DockerHost: b.host, CacheDir: b.cache, Getenv: b.getenv, BuildKit: b.daemon}.Build(context.Background(), b.request)
}

func (b *bench) build() *build.Image {
	b.t.Helper()
	image, err := b.try()
	if err != nil {
		b.t.Fatalf("%v\n%s", err, strings.Join(b.lines, "\n"))
	}
	b.ids = append(b.ids, image.ID)
	return image
}

func (b *bench) fails(want ...string) *api.Error {
	b.t.Helper()
	_, err := b.try()
	e := api.AsError(err)
	if e == nil || e.Code != api.BuildFailed || e.Hint == "" {
		b.t.Fatalf("want build_failed with a hint, got %#v", err)
	}
	for _, w := range want {
		if !strings.Contains(e.Message, w) {
			b.t.Errorf("message %q lacks %q", e.Message, w)
		}
	}
	return e
}

func (b *bench) printed(want string) bool {
	return strings.Contains(strings.Join(b.lines, "\n"), want)
}

// cached tells that a step was not run again.
func (b *bench) cached(step string) bool {
	number := ""
	for _, line := range b.lines {
		name, rest, _ := strings.Cut(line, " ")
		if strings.Contains(rest, step) {
			number = name
		}
		if name == number && strings.HasPrefix(rest, "CACHED") {
			return true
		}
	}
	return false
}

// file reads a file out of an image.
func file(t *testing.T, image v1.Image, path string) (string, bool) {
	t.Helper()
	content := mutate.Extract(image)
	defer func() { _ = content.Close() }()
	r := tar.NewReader(content)
	for {
		h, err := r.Next()
		if err == io.EOF {
			return "", false
		}
		if err != nil {
			t.Fatal(err)
		}
		if strings.Trim(h.Name, "/") == path {
			text, err := io.ReadAll(r)
			if err != nil {
				t.Fatal(err)
			}
			return string(text), true
		}
	}
}

func digests(t *testing.T, image v1.Image) []string {
	t.Helper()
	m, err := image.Manifest()
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, layer := range m.Layers {
		all = append(all, layer.Digest.String())
	}
	return all
}
