// Package dockerfile builds a Dockerfile with the BuildKit inside the local
// Docker engine and gives back the image as that engine stores it, down to the
// bytes of its config. Where a BuildKit daemon is named, that builds instead, and no
// engine is needed. It does not push anything to a host, and it never uses
// the engine's legacy builder.
//
// A built image is tagged dokku-push/APP:latest, because an engine's clean-up
// drops an image without a name, and with it the layers that make the next
// build fast. The tag moves with every build.
//
// What the engine would have to export is kept in CacheDir: the config and the
// manifest of each image, and compressed layers up to a limit. A build that
// changes nothing exports nothing; a build that changes one layer exports that
// layer.
package dockerfile

import (
	"context"
	"errors"
	"os"
	"path/filepath"

	"github.com/containerd/errdefs"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/build"
)

// Name is the builder's name in dokku.hcl and in the builder label.
const Name = "dockerfile"

// Builder builds with a Docker engine, or with a BuildKit daemon.
type Builder struct {
	DockerHost string // "unix:///var/run/docker.sock"; empty: from the environment, as docker does
	CacheDir   string // exported layers, made when missing; nothing in it is precious
	// BuildKit is the address of a BuildKit daemon, as BUILDKIT_HOST has it:
	// "unix:///run/buildkit/buildkitd.sock", "docker-container://buildkitd". Empty: the
	// engine's own BuildKit.
	BuildKit string
	// EngineToo has the engine's own BuildKit build what the daemon cannot, for it lacks a
	// base image that only the engine has.
	EngineToo bool
	// Getenv is where the build's secrets, the ssh-agent and GitHub's cache are found; nil:
	// in this process's environment.
	Getenv func(string) (string, bool)
}

var _ build.Builder = Builder{}

// Build builds the Dockerfile of request.App. Its path is relative to the build
// context; where none is named, it is the one of the app's own folder. A daemon that cannot
// be reached, a missing Dockerfile and a failing step are api.BuildFailed; a secret without
// a value and a cache that this engine cannot write are api.Configuration; a build cut off
// by ctx is api.Cancelled.
func (b Builder) Build(ctx context.Context, request build.Request) (*build.Image, error) {
	j, err := b.prepare(request)
	if err != nil {
		return nil, err
	}
	if b.BuildKit != "" {
		image, err := b.buildByDaemon(ctx, j)
		if base := b.onlyEngineHas(ctx, err); base != "" {
			request.Output("the base image " + base + " is only in the Docker engine, whose own BuildKit builds now: its steps have no limits")
			b.BuildKit = ""
			return b.Build(ctx, request)
		}
		return image, err
	}
	store, engine, err := b.open(ctx)
	if err != nil {
		return nil, err
	}
	defer engine.close()
	if err := j.checkPlatform(ctx, engine.buildkit); err != nil {
		return nil, err
	}
	if err := engine.checkExport(ctx, j); err != nil {
		return nil, err
	}
	return engine.build(ctx, store, j)
}

// build builds and takes the image. One that the engine has lost in between is built
// again, from the cache: whoever removes the last name of an image just then, such as
// another build with the same result, takes it away under this one.
func (e *engine) build(ctx context.Context, store *store, j *job) (image *build.Image, err error) {
	for range 3 {
		var id string
		if id, err = e.solve(ctx, j); err != nil {
			return nil, err
		}
		if image, err = e.take(ctx, store, id, ImageName(j.request.Name), j.request); !errdefs.IsNotFound(err) {
			return image, err
		}
	}
	return nil, err
}

// Export takes an image out of the engine that another builder has left there under the
// tag of ImageName. id is its config digest; who does not know it gives none, and the
// engine sends what this machine lacks of it each time. Errors are as Build's.
func (b Builder) Export(ctx context.Context, id string, request build.Request) (*build.Image, error) {
	return b.export(ctx, id, ImageName(request.Name), request)
}

// ErrNoImage is what ExportNamed returns, wrapped, for a name that the engine does not know.
var ErrNoImage = errors.New("the engine has no image of that name")

// ExportNamed takes an image out of the engine by any name that it has there. Errors are
// as Build's.
func (b Builder) ExportNamed(ctx context.Context, name string, request build.Request) (*build.Image, error) {
	docker, err := Docker(ctx, b.DockerHost)
	if err != nil {
		return nil, err
	}
	_, err = docker.ImageInspect(ctx, name)
	_ = docker.Close() // nothing was written that could be lost
	if errdefs.IsNotFound(err) {
		return nil, api.Errorf(api.BuildFailed, "take the image "+name+" from the engine", "%w", ErrNoImage).
			WithHint("docker images lists what it has")
	}
	return b.export(ctx, "", name, request) // what else is wrong with the engine it says better
}

func (b Builder) export(ctx context.Context, id, tag string, request build.Request) (*build.Image, error) {
	store, engine, err := b.open(ctx)
	if err != nil {
		return nil, err
	}
	defer engine.close()
	return engine.take(ctx, store, id, tag, request)
}

// open opens the layer cache and reaches the engine.
func (b Builder) open(ctx context.Context) (*store, *engine, error) {
	store, err := openStore(b.CacheDir)
	if err != nil {
		return nil, nil, api.Errorf(api.BuildFailed, "build", "open the layer cache: %w", err).
			WithHint("the cache folder is %s; it may be deleted at any time", b.CacheDir)
	}
	engine, err := connect(ctx, b.DockerHost)
	return store, engine, err
}

// take gives an image of the engine in the form that is sent.
func (e *engine) take(ctx context.Context, s *store, id, tag string, request build.Request) (*build.Image, error) {
	image, err := e.image(ctx, s, id, tag)
	if err != nil {
		return nil, e.explain(ctx, "take the image from the engine", err)
	}
	config, err := image.parsedConfig()
	if err != nil {
		return nil, api.Errorf(api.BuildFailed, "build", "read the image's config: %w", err)
	}
	if err := fits(config, request); err != nil {
		return nil, err
	}
	s.trim(image)
	return &build.Image{Image: image, ID: image.id}, nil
}

// ImageName is the tag that keeps an app's image in the engine.
func ImageName(app string) string { return api.BuiltImage(app) }

// source is where a build finds its files, all absolute.
type source struct {
	context string // the build context
	folder  string // the folder of the Dockerfile
	file    string // the Dockerfile's name in it
}

// locate finds context and Dockerfile, both inside the project.
func locate(request build.Request) (source, error) {
	contextPath := orDefault(request.App.Build.Context, ".")
	path := build.Dockerfile(request.App)
	for _, p := range []string{contextPath, path} {
		if !filepath.IsLocal(p) {
			return source{}, api.Errorf(api.BuildFailed, "build", "%s is outside of the project", p).
				WithHint("build context and Dockerfile are paths inside the project")
		}
	}
	full := filepath.Join(request.Dir, path)
	info, err := os.Stat(full)
	if err != nil || !info.Mode().IsRegular() {
		return source{}, api.Errorf(api.BuildFailed, "build", "there is no Dockerfile at %s", path).
			WithHint("write one, or name it in dokku.hcl: build { dockerfile { path = \"...\" } }")
	}
	return source{
		context: filepath.Join(request.Dir, contextPath),
		folder:  filepath.Dir(full),
		file:    filepath.Base(full),
	}, nil
}

func orDefault(value, other string) string {
	if value == "" {
		return other
	}
	return value
}

// fits refuses an image that the host cannot run: an engine may answer
// a FROM with a local image of another platform.
func fits(config *v1.ConfigFile, request build.Request) error {
	if config.OS != request.OS || config.Architecture != request.Arch {
		return api.Errorf(api.BuildFailed, "build", "the image is for %s/%s, the host runs %s/%s",
			config.OS, config.Architecture, request.OS, request.Arch).
			WithHint("use a base image that exists for %s/%s", request.OS, request.Arch)
	}
	return nil
}
