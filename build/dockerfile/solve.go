package dockerfile

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"strings"

	"github.com/docker/cli/cli/config"
	buildkit "github.com/moby/buildkit/client"
	"github.com/moby/buildkit/session"
	"github.com/moby/buildkit/session/auth/authprovider"
	"github.com/tonistiigi/fsutil"

	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/build"
)

// solve runs the build and returns the image's id.
func (e *engine) solve(ctx context.Context, request build.Request, from source) (string, error) {
	options, err := solveOptions(request, from)
	if err != nil {
		return "", api.Errorf(api.BuildFailed, "build", "read the build context: %w", err)
	}
	statuses := make(chan *buildkit.SolveStatus)
	story := newProgress(request.Output)
	printed := make(chan struct{})
	go func() {
		defer close(printed)
		for status := range statuses {
			story.show(status)
		}
		story.end()
	}()
	response, err := e.buildkit.Solve(ctx, nil, options, statuses) // closes statuses
	<-printed
	if err != nil {
		return "", failure(ctx, err, story, request, from)
	}
	id := response.ExporterResponse["containerimage.config.digest"]
	if id == "" { // engines without the containerd store name only this one, and it is the id
		id = response.ExporterResponse["containerimage.digest"]
	}
	if !strings.HasPrefix(id, "sha256:") {
		return "", api.Errorf(api.BuildFailed, "build", "the engine did not say which image it built")
	}
	return id, nil
}

// solveOptions says what docker build would. .dockerignore and
// Dockerfile.dockerignore are read by the frontend inside BuildKit, which then
// asks for nothing that they leave out.
func solveOptions(request build.Request, from source) (buildkit.SolveOpt, error) {
	contextFS, err := fsutil.NewFS(from.context)
	if err != nil {
		return buildkit.SolveOpt{}, err
	}
	folderFS, err := fsutil.NewFS(from.folder)
	if err != nil {
		return buildkit.SolveOpt{}, err
	}
	attributes := map[string]string{
		"filename": from.file,
		"platform": request.OS + "/" + request.Arch,
	}
	if target := request.App.Build.Dockerfile.Target; target != "" {
		attributes["target"] = target
	}
	for name, value := range request.App.Build.Args {
		attributes["build-arg:"+name] = value
	}
	for name, value := range build.Labels(request, Name) {
		attributes["label:"+name] = value
	}
	// The key lets BuildKit ask only for files that changed since the last
	// build of this folder.
	key := sha256.Sum256(fmt.Appendf(nil, "dokku-push %s %s", request.Name, from.context))
	return buildkit.SolveOpt{
		Frontend:      "dockerfile.v0",
		FrontendAttrs: attributes,
		LocalMounts:   map[string]fsutil.FS{"context": contextFS, "dockerfile": folderFS},
		SharedKey:     hex.EncodeToString(key[:]),
		Session:       []session.Attachable{registryLogins()},
		Exports: []buildkit.ExportEntry{{
			Type:  "moby",
			Attrs: map[string]string{"name": ImageName(request.Name)},
		}},
	}, nil
}

// registryLogins answers for base images in private registries with what
// docker login stored. A complaint about the file is dropped: a public base
// image needs none of it, and a private one fails with a message of its own.
func registryLogins() session.Attachable {
	logins := config.LoadDefaultConfigFile(io.Discard)
	return authprovider.NewDockerAuthProvider(authprovider.DockerAuthProviderConfig{
		AuthConfigProvider: authprovider.LoadAuthConfig(logins),
	})
}
