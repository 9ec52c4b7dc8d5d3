// Package dockerfile builds a Dockerfile with the BuildKit inside the local
// Docker engine and gives back the image as that engine stores it, down to the
// bytes of its config. It does not push anything to a host, and it never uses
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
	"os"
	"path/filepath"

	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/build"
)

// Name is the builder's name in dokku.hcl and in the builder label.
const Name = "dockerfile"

// Builder builds with a Docker engine.
type Builder struct {
	DockerHost string // "unix:///var/run/docker.sock"; empty: from the environment, as docker does
	CacheDir   string // exported layers, made when missing; nothing in it is precious
}

var _ build.Builder = Builder{}

// Build builds the Dockerfile of request.App. Its path is relative to the build
// context. An engine that cannot be reached, a missing Dockerfile and a failing
// step are api.BuildFailed; a build cut off by ctx is api.Cancelled.
func (b Builder) Build(ctx context.Context, request build.Request) (*build.Image, error) {
	source, err := locate(request)
	if err != nil {
		return nil, err
	}
	store, err := openStore(b.CacheDir)
	if err != nil {
		return nil, api.Errorf(api.BuildFailed, "build", "open the layer cache: %w", err).
			WithHint("the cache folder is %s; it may be deleted at any time", b.CacheDir)
	}
	engine, err := connect(ctx, b.DockerHost)
	if err != nil {
		return nil, err
	}
	defer engine.close()

	id, err := engine.solve(ctx, request, source)
	if err != nil {
		return nil, err
	}
	return engine.take(ctx, store, id, request)
}

// Export takes an image out of the engine that another builder has left there under the
// tag of ImageName. id is its config digest; who does not know it gives none, and the
// engine sends what this machine lacks of it each time. Errors are as Build's.
func (b Builder) Export(ctx context.Context, id string, request build.Request) (*build.Image, error) {
	store, err := openStore(b.CacheDir)
	if err != nil {
		return nil, api.Errorf(api.BuildFailed, "build", "open the layer cache: %w", err).
			WithHint("the cache folder is %s; it may be deleted at any time", b.CacheDir)
	}
	engine, err := connect(ctx, b.DockerHost)
	if err != nil {
		return nil, err
	}
	defer engine.close()
	return engine.take(ctx, store, id, request)
}

// take gives a built image in the form that is sent.
func (e *engine) take(ctx context.Context, s *store, id string, request build.Request) (*build.Image, error) {
	image, err := e.image(ctx, s, id, ImageName(request.Name))
	if err != nil {
		return nil, e.explain(ctx, "take the image from the engine", err)
	}
	if err := checkPlatform(image, request); err != nil {
		return nil, err
	}
	s.trim(image)
	return &build.Image{Image: image, ID: image.id}, nil
}

// ImageName is the tag that keeps an app's image in the engine.
func ImageName(app string) string { return "dokku-push/" + app + ":latest" }

// source is where a build finds its files, all absolute.
type source struct {
	context string // the build context
	folder  string // the folder of the Dockerfile
	file    string // the Dockerfile's name in it
}

// locate finds context and Dockerfile, both inside the project.
func locate(request build.Request) (source, error) {
	said := request.App.Build
	contextPath := orDefault(said.Context, ".")
	path := filepath.Join(contextPath, orDefault(said.Dockerfile.Path, "Dockerfile"))
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

// checkPlatform refuses an image that the host cannot run: an engine may answer
// a FROM with a local image of another platform.
func checkPlatform(image *engineImage, request build.Request) error {
	config, err := image.parsedConfig()
	if err != nil {
		return api.Errorf(api.BuildFailed, "build", "read the image's config: %w", err)
	}
	if config.OS != request.OS || config.Architecture != request.Arch {
		return api.Errorf(api.BuildFailed, "build", "the image is for %s/%s, the host runs %s/%s",
			config.OS, config.Architecture, request.OS, request.Arch).
			WithHint("use a base image that exists for %s/%s", request.OS, request.Arch)
	}
	return nil
}
