package docker

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"io"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"github.com/dokku-push/dokku-push/agent"
)

// world is the machine's engine, with one image of busybox in it.
type world struct {
	*Engine
	repository string // dkp-docker-…, this test's own
	image      string // its id
	built      v1.Image
}

func newWorld(t *testing.T) *world {
	t.Helper()
	engine, err := New(os.Getenv("DOCKER_HOST"))
	must(t, err)
	t.Cleanup(func() { must(t, engine.Close()) })
	suffix := make([]byte, 4)
	_, err = rand.Read(suffix)
	must(t, err)
	w := &world{Engine: engine, repository: "dkp-docker-" + hex.EncodeToString(suffix), built: busybox(t)}
	tag, err := name.NewTag(w.repository + ":v1")
	must(t, err)
	file := t.TempDir() + "/image.tar"
	must(t, tarball.WriteToFile(file, tag, w.built))
	if out, err := exec.Command("docker", "load", "-q", "-i", file).CombinedOutput(); err != nil {
		t.Fatalf("load the image: %v: %s", err, out)
	}
	id, err := w.built.ConfigName()
	must(t, err)
	w.image = id.String()
	t.Cleanup(func() { w.clean(t) })
	return w
}

// clean removes what the test has left: its containers, then its images.
func (w *world) clean(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	left, err := w.List(ctx, map[string]string{"dkp-docker": w.repository})
	must(t, err)
	for _, c := range left {
		must(t, w.Remove(ctx, c.ID))
	}
	names, err := w.Names(ctx, w.repository)
	must(t, err)
	for _, name := range names {
		must(t, w.Untag(ctx, name))
	}
}

// busybox is an image of the machine's static busybox, other on every run.
func busybox(t *testing.T) v1.Image {
	t.Helper()
	program, err := os.ReadFile("/bin/busybox")
	must(t, err)
	var files bytes.Buffer
	out := tar.NewWriter(&files)
	must(t, out.WriteHeader(&tar.Header{Name: "bin/busybox", Mode: 0o755, Size: int64(len(program)), Typeflag: tar.TypeReg}))
	_, err = out.Write(program)
	must(t, err)
	for _, applet := range []string{"sh", "sleep", "cat", "echo", "env", "dd", "tail"} {
		must(t, out.WriteHeader(&tar.Header{Name: "bin/" + applet, Linkname: "busybox", Mode: 0o777, Typeflag: tar.TypeSymlink}))
	}
	must(t, out.WriteHeader(&tar.Header{Name: "tmp/", Mode: 0o1777, Typeflag: tar.TypeDir}))
	must(t, out.Close())
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(files.Bytes())), nil })
	must(t, err)
	image, err := mutate.AppendLayers(empty.Image, layer)
	must(t, err)
	config, err := image.ConfigFile()
	must(t, err)
	config.OS, config.Architecture, config.Created = "linux", "amd64", v1.Time{Time: time.Now()}
	config.Config = v1.Config{Entrypoint: []string{"/bin/sh", "-c"}, Cmd: []string{"echo base"}, Env: []string{"PATH=/bin", "BASE=1"},
		WorkingDir: "/tmp", User: "0", ExposedPorts: map[string]struct{}{"5000/tcp": {}}, Labels: map[string]string{"of": "base"}}
	image, err = mutate.ConfigFile(image, config)
	must(t, err)
	return image
}

// create creates a container that the test cleans up.
func (w *world) create(t *testing.T, spec agent.ContainerSpec) string {
	t.Helper()
	id, err := w.Create(t.Context(), w.spec(spec))
	must(t, err)
	return id
}

// spec fills in what all containers of the test have.
func (w *world) spec(spec agent.ContainerSpec) agent.ContainerSpec {
	labels := map[string]string{"dkp-docker": w.repository}
	for key, value := range spec.Labels {
		labels[key] = value
	}
	spec.Labels = labels
	if spec.Image == "" {
		spec.Image = w.image
	}
	if spec.Name == "" {
		suffix := make([]byte, 4)
		_, _ = rand.Read(suffix) // never fails
		spec.Name = w.repository + "-" + hex.EncodeToString(suffix)
	}
	return spec
}

// script is a container that runs a script of busybox's shell.
func script(text string) agent.ContainerSpec { return agent.ContainerSpec{Cmd: []string{text}} }

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wait(t *testing.T, exit <-chan agent.Exit) agent.Exit {
	t.Helper()
	select {
	case end := <-exit:
		return end
	case <-time.After(3 * time.Minute):
		t.Fatal("the container does not exit")
		return agent.Exit{}
	}
}
