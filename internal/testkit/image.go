package testkit

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/moby/moby/client"
)

// repository is where base images stand in the engine.
const repository = "dokku-push-test/"

// recipeLabel tells by which recipe an image was made, so that an old one is made anew.
const recipeLabel = "com.dokku-push-test.recipe"

// base is a base image: its short name, what identifies its content, and how its
// own layer is written as a tar.
type base struct {
	name   string
	recipe string
	on     *base // whose layers lie under this one's; nil: none
	env    []string
	config func(*v1.Config) // what else the image says of itself; nil: nothing
	write  func(t testing.TB, tar io.Writer) error
}

// load makes sure that the engine has the image and returns its name.
func (b base) load(t testing.TB) string {
	t.Helper()
	engine := Engine(t)
	ref := repository + b.name + ":latest"
	if b.loaded(engine, ref) {
		return ref
	}
	defer lock(t, b.name)()
	if b.loaded(engine, ref) {
		return ref
	}
	former, formerErr := engine.ImageInspect(context.Background(), ref)
	tag, err := name.NewTag(ref)
	must(t, "name the base image", err)
	image := b.image(t)
	read, write := io.Pipe()
	go func() { write.CloseWithError(tarball.Write(tag, image, write)) }()
	result, err := engine.ImageLoad(context.Background(), read)
	must(t, "load "+ref, err)
	defer result.Close()
	must(t, "load "+ref, loadError(result))
	if !b.loaded(engine, ref) {
		t.Fatalf("load %s: the engine does not show it afterwards", ref)
	}
	if formerErr == nil { // an older recipe's image has lost its name; one that is still in use stays
		_, _ = engine.ImageRemove(context.Background(), former.ID, client.ImageRemoveOptions{PruneChildren: true})
	}
	return ref
}

// loadError reads what the engine says of a load; a failure is a line among the others.
func loadError(answer io.Reader) error {
	for lines := json.NewDecoder(answer); ; {
		var line struct {
			Error string `json:"error"`
		}
		switch err := lines.Decode(&line); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		case line.Error != "":
			return errors.New(line.Error)
		}
	}
}

func (b base) loaded(engine *client.Client, ref string) bool {
	found, err := engine.ImageInspect(context.Background(), ref)
	return err == nil && found.Config != nil && found.Config.Labels[recipeLabel] == b.recipe
}

// image makes the image out of the cached tar. Equal recipes give equal digests
// as long as the tar is kept.
func (b base) image(t testing.TB) v1.Image {
	t.Helper()
	image := mutate.MediaType(empty.Image, types.DockerManifestSchema2)
	image = mutate.ConfigMediaType(image, types.DockerConfigJSON)
	config := &v1.ConfigFile{
		OS:           "linux",
		Architecture: runtime.GOARCH,
		RootFS:       v1.RootFS{Type: "layers"},
		Config: v1.Config{
			Env:    append([]string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}, b.env...),
			Cmd:    []string{"/bin/sh"},
			Labels: map[string]string{recipeLabel: b.recipe},
		},
	}
	if b.config != nil {
		b.config(&config.Config)
	}
	image, err := mutate.ConfigFile(image, config)
	must(t, "configure the base image", err)
	image, err = mutate.Append(image, b.layers(t)...)
	must(t, "assemble the base image", err)
	return image
}

// layers are the image's, the lowest first. The caller holds b's lock.
func (b base) layers(t testing.TB) (all []mutate.Addendum) {
	t.Helper()
	if b.on != nil {
		unlock := lock(t, b.on.name)
		all = b.on.layers(t)
		unlock()
	}
	layer, err := tarball.LayerFromFile(b.tar(t))
	must(t, "read the base layer", err)
	return append(all, mutate.Addendum{
		Layer:     layer,
		History:   v1.History{CreatedBy: "testkit " + b.name},
		MediaType: types.DockerLayer,
	})
}

// tar is the file of the image's layer, written once per recipe; those of former
// recipes are removed.
func (b base) tar(t testing.TB) string {
	t.Helper()
	dir := cacheDir(t)
	file := filepath.Join(dir, b.name+"-"+b.recipe+".tar")
	if _, err := os.Stat(file); err == nil {
		return file
	}
	part, err := os.CreateTemp(dir, b.name+".part-")
	must(t, "cache the base layer", err)
	defer os.Remove(part.Name()) // finds nothing after the rename
	defer part.Close()
	must(t, "write the layer of "+b.name, b.write(t, part))
	must(t, "write the layer of "+b.name, part.Close())
	former, err := filepath.Glob(filepath.Join(dir, b.name+"-*.tar"))
	must(t, "find former layers", err)
	for _, old := range former {
		must(t, "remove a former layer", os.Remove(old))
	}
	must(t, "cache the base layer", os.Rename(part.Name(), file))
	return file
}

// BaseLayout writes the busybox image as an OCI layout folder, which
// build/static takes as a base without any engine or registry.
func BaseLayout(t testing.TB) string {
	t.Helper()
	unlock := lock(t, "busybox")
	image := busybox(t).image(t)
	unlock()
	dir := t.TempDir()
	path, err := layout.Write(dir, empty.Index)
	must(t, "write the layout", err)
	must(t, "write the layout", path.AppendImage(image))
	return dir
}
