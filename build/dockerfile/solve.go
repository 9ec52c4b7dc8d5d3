package dockerfile

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/docker/cli/cli/config"
	buildkit "github.com/moby/buildkit/client"
	"github.com/moby/buildkit/session"
	"github.com/moby/buildkit/session/auth/authprovider"
	"github.com/tonistiigi/fsutil"
	"github.com/tonistiigi/fsutil/types"

	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/build"
)

// solve runs the build in the engine and returns the image's id.
func (e *engine) solve(ctx context.Context, j *job) (string, error) {
	options, err := solveOptions(j)
	if err != nil {
		return "", api.Errorf(api.BuildFailed, "build", "read the build context: %w", err)
	}
	options.Exports = []buildkit.ExportEntry{{Type: "moby", Attrs: map[string]string{"name": ImageName(j.request.Name)}}}
	built, err := j.solve(ctx, e.buildkit, options)
	if err != nil {
		return "", err
	}
	id := built.config
	if id == "" { // engines without the containerd store name only this one, and it is the id
		id = built.manifest
	}
	if !strings.HasPrefix(id, "sha256:") {
		return "", api.Errorf(api.BuildFailed, "build", "the engine did not say which image it built")
	}
	return id, nil
}

// solveOptions says what docker build would, but for where the image goes. .dockerignore and
// Dockerfile.dockerignore are read by the frontend inside BuildKit, which then
// asks for nothing that they leave out.
func solveOptions(j *job) (buildkit.SolveOpt, error) {
	request, from := j.request, j.from
	contextFS, err := fsutil.NewFS(from.context)
	if err != nil {
		return buildkit.SolveOpt{}, err
	}
	unseen := request.UnseenIn(from.context)
	contextFS, err = fsutil.NewFilterFS(contextFS, &fsutil.FilterOpt{Map: func(name string, _ *types.Stat) fsutil.MapResult {
		if slices.Contains(unseen, filepath.ToSlash(name)) {
			return fsutil.MapResultExclude
		}
		return fsutil.MapResultKeep
	}})
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
	maps.Copy(attributes, request.Frontend)
	// The key lets BuildKit ask only for files that changed since the last
	// build of this folder.
	key := sha256.Sum256(fmt.Appendf(nil, "dokku-push %s %s", request.Name, from.context))
	return buildkit.SolveOpt{
		Frontend:      "dockerfile.v0",
		FrontendAttrs: attributes,
		LocalMounts:   map[string]fsutil.FS{"context": contextFS, "dockerfile": folderFS},
		SharedKey:     hex.EncodeToString(key[:]),
		Session:       j.session,
		CacheImports:  j.imports,
		CacheExports:  j.exports,
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
