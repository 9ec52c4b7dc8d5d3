// Package image opens images that exist already: in a registry, in an OCI layout folder,
// in a docker-save archive or in the local engine. Its builder deploys one as it is;
// build/static lays files on one.
package image

import (
	"context"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/build"
)

// DaemonPrefix stands before the name of an image of the local engine.
const DaemonPrefix = "docker-daemon:"

// Builder builds nothing: it finds the image that the project names.
type Builder struct {
	// Engine takes an image out of the local engine by its name there. Nil: there is
	// no engine to ask.
	Engine func(ctx context.Context, name string, request build.Request) (*build.Image, error)
}

var _ build.Builder = Builder{}

// Build finds request.App.Build.Image, which is resolved to a digest: what a tag names
// now is what is deployed. Its labels tell what runs where the project has no Procfile
// of its own. Layers of a registry's image are read when they are sent, and only as
// long as ctx lasts. Errors are api.BuildFailed.
func (b Builder) Build(ctx context.Context, request build.Request) (*build.Image, error) {
	reference := request.App.Build.Image
	if reference == "" {
		return nil, api.Errorf(api.InvalidManifest, "build", "no image is named").WithHint("use --image REF, or build { image = \"…\" } in dokku.hcl")
	}
	found, err := b.find(ctx, reference, request)
	if err != nil {
		return nil, err
	}
	config, err := found.ConfigFile()
	if err != nil {
		return nil, api.Errorf(api.BuildFailed, "read the image "+reference, "%w", err)
	}
	takeLabels(request, config.Config.Labels)
	if digest, err := found.Digest(); err == nil {
		request.Output(reference + " is " + digest.String())
	}
	return found, nil
}

// takeLabels takes what the project does not have itself from an image of ours.
func takeLabels(request build.Request, labels map[string]string) {
	app := request.App
	if app.Procfile == nil && app.ProcfileText == "" {
		app.ProcfileText = labels[api.LabelProcfile]
	}
	if app.AppJSON == nil && app.AppJSONText == "" {
		app.AppJSONText = labels[api.LabelAppJSON]
	}
	if app.ChecksText == "" {
		app.ChecksText = labels[api.LabelChecks]
	}
	if app.NginxTemplate == "" {
		app.NginxTemplate = labels[api.LabelNginx]
	}
}

// find opens the image where it is: in the local engine by its prefix, else as Open does,
// else, when the registry has no such image, in the local engine after all.
func (b Builder) find(ctx context.Context, reference string, request build.Request) (*build.Image, error) {
	if name, ok := strings.CutPrefix(reference, DaemonPrefix); ok {
		if b.Engine == nil {
			return nil, api.Errorf(api.BuildFailed, "open the image "+reference, "there is no local engine")
		}
		return b.Engine(ctx, name, request)
	}
	found, err := Open(ctx, request.Dir, reference, v1.Platform{OS: request.OS, Architecture: request.Arch})
	if err != nil {
		if b.Engine == nil || !absent(err) {
			return nil, err
		}
		local, engineErr := b.Engine(ctx, reference, request)
		if engineErr != nil {
			return nil, err // what the registry said: the engine was a second guess
		}
		request.Output("the registry has no " + reference + "; the local engine has")
		return local, nil
	}
	id, err := found.ConfigName()
	if err != nil {
		return nil, api.Errorf(api.BuildFailed, "read the image "+reference, "%w", err)
	}
	return &build.Image{Image: found, ID: id.String()}, nil
}
