package dockerfile

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/containerd/log"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	buildkit "github.com/moby/buildkit/client"
	_ "github.com/moby/buildkit/client/connhelper/dockercontainer" // docker-container://NAME
	_ "github.com/moby/buildkit/client/connhelper/kubepod"         // kube-pod://NAME
	_ "github.com/moby/buildkit/client/connhelper/podmancontainer" // podman-container://NAME

	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/build"
)

const (
	// daemonAnswers is how long a BuildKit daemon has to answer at all.
	daemonAnswers = 15 * time.Second
	// oldBlob is the age from which on a blob that the last image lacks is removed;
	// a younger one may be of a build that runs beside this one.
	oldBlob = 24 * time.Hour
	// sourceDate is the attribute with the time that BuildKit gives what it makes.
	sourceDate = "build-arg:SOURCE_DATE_EPOCH"
)

// buildByDaemon builds with a BuildKit daemon that is no part of an engine. What it has
// built comes as an OCI layout that stays for the next build: of a layer that is in it,
// nothing is sent again.
func (b Builder) buildByDaemon(ctx context.Context, j *job) (*build.Image, error) {
	daemon, err := buildkit.New(ctx, b.BuildKit)
	if err != nil {
		return nil, unreachable(ctx, b.BuildKit, err)
	}
	defer func() { _ = daemon.Close() }() // nothing was written that could be lost
	asking, stop := context.WithTimeout(ctx, daemonAnswers)
	_, err = daemon.ListWorkers(asking)
	stop()
	if err != nil {
		return nil, unreachable(ctx, b.BuildKit, err)
	}
	if err := j.checkPlatform(ctx, daemon); err != nil {
		return nil, err
	}
	dir, err := b.layoutDir(j.request.Name)
	if err != nil {
		return nil, err
	}
	options, err := solveOptions(j)
	if err != nil {
		return nil, api.Errorf(api.BuildFailed, "build", "read the build context: %w", err)
	}
	_ = log.SetLevel("error") // the writer of the layout warns on stderr of what a file system cannot do
	form := map[string]string{"tar": "false"}
	if options.FrontendAttrs[sourceDate] != "" { // the times of the files, too
		form["rewrite-timestamp"] = "true"
	}
	options.Exports = []buildkit.ExportEntry{{Type: buildkit.ExporterOCI, Attrs: form, OutputDir: dir}}
	built, err := j.solve(ctx, daemon, options)
	if err != nil {
		return nil, err
	}
	image, err := openLayout(dir, built.manifest)
	if err != nil {
		return nil, api.Errorf(api.BuildFailed, "build", "read the image that BuildKit sent: %w", err)
	}
	config, err := image.ConfigFile()
	if err != nil {
		return nil, api.Errorf(api.BuildFailed, "build", "read the image's config: %w", err)
	}
	if err := fits(config, j.request); err != nil {
		return nil, err
	}
	id, err := image.ConfigName()
	if err != nil {
		return nil, api.Errorf(api.BuildFailed, "build", "read the image's config: %w", err)
	}
	trimLayout(dir, image)
	return &build.Image{Image: image, ID: id.String()}, nil
}

// onlyEngineHas is the base image that a build by the daemon has failed for and that the
// engine has; empty: there is none, or the engine is not to be asked.
func (b Builder) onlyEngineHas(ctx context.Context, err error) string {
	problem := api.AsError(err)
	if !b.EngineToo || problem == nil || problem.Code != api.BuildFailed {
		return ""
	}
	_, base, found := strings.Cut(problem.Message, "load metadata for ")
	base, _, _ = strings.Cut(base, "\"")
	if !found || base == "" {
		return ""
	}
	docker, err := Docker(ctx, b.DockerHost)
	if err != nil {
		return ""
	}
	defer func() { _ = docker.Close() }() // nothing was written that could be lost
	if _, err := docker.ImageInspect(ctx, base); err != nil {
		return ""
	}
	return base
}

func unreachable(ctx context.Context, address string, err error) error {
	if ctx.Err() != nil {
		return api.Errorf(api.Cancelled, "build", "%w", ctx.Err())
	}
	return api.Errorf(api.BuildFailed, "build", "the BuildKit daemon at %s does not answer: %w", address, err).
		WithHint("BUILDKIT_HOST names it; without that variable the Docker engine's own BuildKit is used")
}

// layoutDir is the folder of one app's images.
func (b Builder) layoutDir(app string) (string, error) {
	dir := filepath.Join(b.CacheDir, "buildkit", app)
	err := os.MkdirAll(dir, 0o700)
	if b.CacheDir == "" {
		err = fmt.Errorf("no cache folder was named")
	}
	if err != nil {
		return "", api.Errorf(api.BuildFailed, "build", "open the layer cache: %w", err).
			WithHint("the cache folder is %s; it may be deleted at any time", b.CacheDir)
	}
	return dir, nil
}

func openLayout(dir, manifest string) (v1.Image, error) {
	digest, err := v1.NewHash(manifest)
	if err != nil {
		return nil, fmt.Errorf("the daemon did not say which image it built: %w", err)
	}
	path, err := layout.FromPath(dir)
	if err != nil {
		return nil, err
	}
	return path.Image(digest)
}

// trimLayout removes what only older images had. Failing to is no failure of the build.
func trimLayout(dir string, image v1.Image) {
	manifest, err := image.Manifest()
	if err != nil {
		return
	}
	keep := map[string]bool{manifest.Config.Digest.Hex: true}
	if digest, err := image.Digest(); err == nil {
		keep[digest.Hex] = true
	}
	now := time.Now()
	for _, layer := range manifest.Layers {
		keep[layer.Digest.Hex] = true
	}
	blobs := filepath.Join(dir, "blobs", "sha256")
	entries, _ := os.ReadDir(blobs)
	for _, entry := range entries {
		path := filepath.Join(blobs, entry.Name())
		if keep[entry.Name()] {
			_ = os.Chtimes(path, now, now)
		} else if info, err := entry.Info(); err == nil && now.Sub(info.ModTime()) > oldBlob {
			_ = os.Remove(path)
		}
	}
}
