// Package static lays the files of a folder, or a compiled program, on a base
// image. It needs no Docker and runs nothing of what it packs; a command of the
// user's own may make the files first. The same files
// on the same base give the same image to the byte, wherever and whenever they
// are packed.
package static

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path"
	"path/filepath"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/build"
)

// Name is the builder's name in dokku.hcl and in the builder label.
const Name = "static"

// epoch is the time of every file and of the image. It is a moment after the
// start of 1980, as buildpacks have it: zip archives, and so jars and wheels,
// cannot hold an earlier one, and tools that make them from an app's files fail
// at the Unix epoch. A server that tells files apart by time and size alone
// cannot see a change that keeps the size.
var epoch = time.Date(1980, time.January, 1, 0, 0, 1, 0, time.UTC)

// Builder builds without Docker.
type Builder struct {
	CacheDir string // packed layers, made when missing; nothing in it is precious
	// Getenv is where the values of the build's secrets come from, which make's output does
	// not show. Nil: there are none.
	Getenv func(string) (string, bool)
}

var _ build.Builder = Builder{}

// Build lays request.App.Build.Static on its base. A base that cannot be had or
// is for another platform, and a file that may not go into an image, are
// api.BuildFailed naming it. Layers of a registry's base are read when the image
// is sent, and only as long as ctx lasts.
func (b Builder) Build(ctx context.Context, request build.Request) (*build.Image, error) {
	image, err := b.build(ctx, request)
	if err != nil {
		return nil, explain(ctx, err)
	}
	id, err := image.ConfigName()
	if err != nil {
		return nil, explain(ctx, fmt.Errorf("compute the image id: %w", err))
	}
	request.Output("built " + id.String())
	return &build.Image{Image: image, ID: id.String()}, nil
}

func (b Builder) build(ctx context.Context, request build.Request) (v1.Image, error) {
	sources, cleanUp, err := b.sources(ctx, request)
	defer cleanUp()
	if err != nil {
		return nil, err
	}
	base, err := openBase(ctx, request)
	if err != nil {
		return nil, err
	}
	mediaType, err := layerType(base)
	if err != nil {
		return nil, fmt.Errorf("read the base image: %w", err)
	}
	image := base
	for _, from := range sources {
		layer, err := b.lay(ctx, request, from, mediaType)
		if err != nil {
			return nil, err
		}
		image, err = mutate.Append(image, mutate.Addendum{
			Layer:     layer,
			MediaType: mediaType,
			History:   v1.History{Created: v1.Time{Time: epoch}, CreatedBy: "dokku-push static " + from.dest},
		})
		if err != nil {
			return nil, fmt.Errorf("lay the files on the base: %w", err)
		}
	}
	return configure(image, request, sources[0].dest)
}

// lay makes a layer of the files of one place.
func (b Builder) lay(ctx context.Context, request build.Request, from source, mediaType types.MediaType) (*layer, error) {
	files, err := collect(ctx, from)
	if err != nil {
		return nil, err
	}
	layer, err := pack(ctx, b.CacheDir, from, files, mediaType, newStory(request.Output, files))
	if err != nil {
		return nil, err
	}
	request.Output(fmt.Sprintf("%d files and folders, %d bytes compressed, at %s", len(files), layer.size, from.dest))
	return layer, nil
}

// configure writes what the app's image says beyond its base.
func configure(image v1.Image, request build.Request, dest string) (v1.Image, error) {
	config, err := image.ConfigFile()
	if err != nil {
		return nil, fmt.Errorf("read the image's config: %w", err)
	}
	config = config.DeepCopy()
	config.Created = v1.Time{Time: epoch}
	config.Config.WorkingDir = dest
	if config.Config.Labels == nil {
		config.Config.Labels = map[string]string{}
	}
	maps.Copy(config.Config.Labels, build.Labels(request, Name))
	if command := request.App.Build.Static.Command; command != "" {
		config.Config.Cmd = []string{"/bin/sh", "-c", command}
		config.Config.ArgsEscaped = false
	}
	return mutate.ConfigFile(image, config)
}

// layerType is the media type of a layer beside those of base: an image is
// Docker's or OCI's, never half of each.
func layerType(base v1.Image) (types.MediaType, error) {
	mediaType, err := base.MediaType()
	if mediaType == types.OCIManifestSchema1 {
		return types.OCILayer, err
	}
	return types.DockerLayer, err
}

// source is where the files come from and where they go.
type source struct {
	context string   // absolute; the ignore file lies here
	dir     string   // of the files, relative to context, with slashes
	dest    string   // in the image, absolute and clean
	unseen  []string // of context, with slashes: no part of the app
}

func locate(request build.Request) (source, error) {
	said := request.App.Build.Static
	context, err := inside(request.Dir, orDefault(request.App.Build.Context, "."))
	if err != nil {
		return source{}, err
	}
	dir := orDefault(said.Dir, ".")
	if said.Dir == "" && request.App.Build.Dir != "" { // the app's own folder, not all that is beside it
		own, err := inside(request.Dir, request.App.Build.Dir)
		if err != nil {
			return source{}, err
		}
		if dir, err = filepath.Rel(context, own); err != nil {
			return source{}, err
		}
		dir = filepath.ToSlash(dir)
	}
	if _, err := inside(context, dir); err != nil {
		return source{}, err
	}
	dest := path.Clean(orDefault(said.Dest, "/app"))
	if !path.IsAbs(dest) {
		return source{}, api.Errorf(api.BuildFailed, "build", "dest %q is not absolute", said.Dest).
			WithHint("write dest = \"/%s\"", dest)
	}
	return source{context: context, dir: path.Clean(dir), dest: dest, unseen: request.UnseenIn(context)}, nil
}

func orDefault(value, other string) string {
	if value == "" {
		return other
	}
	return value
}

// explain gives an error that has no code yet the builder's.
func explain(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return api.Errorf(api.Cancelled, "build", "%w", ctx.Err())
	}
	if e, ok := errors.AsType[*api.Error](err); ok {
		return e
	}
	return api.Errorf(api.BuildFailed, "build", "%w", err)
}
