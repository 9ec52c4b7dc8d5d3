// Package pack builds an app with Cloud Native Buildpacks, by pack as a library: a
// builder image's buildpacks look at the source tree, and its lifecycle makes the image.
//
// Without a registry the lifecycle leaves the image in the local Docker engine, from which
// build/dockerfile exports it layer by layer, as it does its own; what the buildpacks
// keep between builds lies in a volume of the engine. With a registry the lifecycle
// publishes there, and no engine holds a copy; in CI the registry keeps the cache as well.
//
// The builder image is trusted as a Dockerfile's base image is: without a registry the
// lifecycle is given the engine's socket, with one its credentials. It keeps both from
// the buildpacks.
package pack

import (
	"context"
	"os"
	"path/filepath"
	"strings"

	"github.com/BurntSushi/toml"
	cnb "github.com/buildpacks/pack/pkg/client"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/moby/moby/client"

	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/build"
	"github.com/dokku-push/dokku-push/build/dockerfile"
)

// Name is the builder's name in dokku.hcl and in the builder label.
const Name = "pack"

// Builder builds with a Docker engine and a builder image.
type Builder struct {
	DockerHost string // as in dockerfile.Builder
	CacheDir   string // exported layers and fetched buildpacks, made when missing; nothing in it is precious
	Registry   string // the repository to publish to; empty: into the engine
	CI         bool   // nothing of this machine outlives the job: the cache goes to the registry
	// Memory is how many bytes each container of the build may use, Shares how much of a busy
	// processor, beside 1024 for any other container, and CPUs how many billionths of a
	// processor at most; 0: no limit.
	Memory, Shares, CPUs int64
	// Getenv is where the values of the build's secrets come from. Nil: no secret has one.
	Getenv func(string) (string, bool)
}

var _ build.Builder = Builder{}

// Build builds request.App. A list of buildpacks that cannot be understood is
// api.InvalidManifest; what fails is api.BuildFailed, with what buildpacks printed in
// request.Output before; a build cut off by ctx is api.Cancelled and leaves no container.
// Where the project has no Procfile, the app's is what the image says that it can run.
func (b Builder) Build(ctx context.Context, request build.Request) (*build.Image, error) {
	said := &story{output: request.Output}
	settings, err := b.settle(request, said)
	if err != nil {
		return nil, err
	}
	docker, err := dockerfile.Docker(ctx, b.DockerHost)
	if err != nil {
		return nil, err
	}
	defer func() { _ = docker.Close() }()
	report, err := os.MkdirTemp("", "dokku-push-pack-")
	if err != nil {
		return nil, api.Errorf(api.BuildFailed, "build", "make a folder for the report: %w", err)
	}
	defer func() { _ = os.RemoveAll(report) }()
	settings.ReportDestinationDir = report
	settings.DockerHost = socketOf(docker)
	settings.Platform = platform(ctx, docker, request, said)

	err = b.run(ctx, docker, said, settings)
	said.end()
	if err != nil {
		return nil, failure(ctx, err, settings)
	}
	image, err := b.take(ctx, docker, request, filepath.Join(report, "report.toml"))
	if err != nil {
		return nil, err
	}
	return finish(request, image)
}

// run has pack build.
func (b Builder) run(ctx context.Context, docker *client.Client, said *story, settings cnb.BuildOptions) error {
	builder, err := cnb.NewClient(
		cnb.WithLogger(said),
		cnb.WithDockerClient(&engine{Client: docker, memory: b.Memory, shares: b.Shares, cpus: b.CPUs}),
		cnb.WithDownloader(b.downloader(said)),
	)
	if err != nil {
		return err
	}
	return builder.Build(ctx, settings)
}

// take finds the image that the lifecycle's report names.
func (b Builder) take(ctx context.Context, docker *client.Client, request build.Request, file string) (*build.Image, error) {
	var report struct {
		Image struct {
			ID     string `toml:"image-id"`
			Digest string `toml:"digest"`
		} `toml:"image"`
	}
	if _, err := toml.DecodeFile(file, &report); err != nil {
		return nil, api.Errorf(api.BuildFailed, "build", "read the lifecycle's report: %w", err)
	}
	if b.Registry == "" {
		id := "sha256:" + strings.TrimPrefix(report.Image.ID, "sha256:")
		if containerd(ctx, docker) {
			id = "" // what the engine calls the id there is the manifest's digest
		}
		return dockerfile.Builder{DockerHost: b.DockerHost, CacheDir: b.CacheDir}.Export(ctx, id, request)
	}
	reference, err := name.NewDigest(b.Registry + "@" + report.Image.Digest)
	if err != nil {
		return nil, api.Errorf(api.BuildFailed, "build", "read the lifecycle's report: %w", err)
	}
	published, err := remote.Image(reference, remote.WithContext(ctx), remote.WithAuthFromKeychain(authn.DefaultKeychain))
	if err != nil {
		return nil, api.Errorf(api.BuildFailed, "read the published image "+reference.String(), "%w", err)
	}
	return &build.Image{Image: published}, nil
}
