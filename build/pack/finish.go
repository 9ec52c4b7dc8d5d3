package pack

import (
	"maps"
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"

	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/build"
)

// finish compares the image with the Procfile and puts our labels on it: the lifecycle
// takes none. Its layers stay as they are.
func finish(request build.Request, built *build.Image) (*build.Image, error) {
	config, err := built.ConfigFile()
	if err != nil {
		return nil, api.Errorf(api.BuildFailed, "read the image's config", "%w", err)
	}
	if config.OS != request.OS || config.Architecture != request.Arch {
		return nil, api.Errorf(api.BuildFailed, "build", "the image is for %s/%s, the host runs %s/%s",
			config.OS, config.Architecture, request.OS, request.Arch).
			WithHint("use a builder image that exists for %s/%s", request.OS, request.Arch)
	}
	processes, err := processesOf(config)
	if err != nil {
		return nil, api.Errorf(api.BuildFailed, "read the image's processes", "%w", err)
	}
	app := request.App
	notes := compare(app.Procfile, processes)
	if app.Procfile == nil {
		app.ProcfileText, notes = procfileOf(processes)
	}
	for _, note := range notes {
		request.Output("warning: " + note)
	}
	config = config.DeepCopy()
	if config.Config.Labels == nil {
		config.Config.Labels = map[string]string{}
	}
	maps.Copy(config.Config.Labels, build.Labels(request, Name))
	// A plain `docker run` starts web, whether or not a buildpack called it the default.
	if slices.Equal(config.Config.Entrypoint, []string{launcher}) && slices.ContainsFunc(processes, isWeb) {
		config.Config.Entrypoint = []string{processPath + "web"}
	}
	return relabelled(built, config)
}

func isWeb(p process) bool { return p.Type == "web" }

func relabelled(built *build.Image, config *v1.ConfigFile) (*build.Image, error) {
	image, err := mutate.ConfigFile(built.Image, config)
	if err != nil {
		return nil, api.Errorf(api.BuildFailed, "label the image", "%w", err)
	}
	id, err := image.ConfigName()
	if err != nil {
		return nil, api.Errorf(api.BuildFailed, "label the image", "%w", err)
	}
	return &build.Image{Image: image, ID: id.String()}, nil
}
