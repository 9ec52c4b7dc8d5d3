package push

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/build"
	"github.com/dokku-push/dokku-push/build/hooks"
	"github.com/dokku-push/dokku-push/build/pack"
	"github.com/dokku-push/dokku-push/manifest"
	"github.com/dokku-push/dokku-push/remote"
)

// BuildOnHost builds a tree for the agent of the host that it is on, hands it what the
// host lacks of the image, and returns the release document. The tree was pushed there:
// it may be anybody's, and plugins of its own are not run.
func BuildOnHost(ctx context.Context, o Options, asked api.HostBuild) (document api.ReleaseDocument, err error) {
	o.OnHost, o.NoProjectPlugins = &asked, true
	if asked.Plugins != "" {
		o.PluginPaths = []string{asked.Plugins}
	}
	o.Getenv = withConfig(o.Getenv, asked.Config)
	project, err := Load(o)
	if err != nil {
		return document, err
	}
	defer func() {
		if closeErr := project.Close(); err == nil {
			err = closeErr
		}
	}()
	if err := ownFiles(project.App); err != nil {
		return document, err
	}
	project.Source = asked.Source
	image, err := Build(ctx, o, project, "linux", runtime.GOARCH)
	if err != nil {
		return document, err
	}
	if document, err = documentOf(o, project, image); err != nil {
		return document, err
	}
	trips := agentTransport(asked)
	defer trips.CloseIdleConnections()
	transfer := &remote.Transfer{HTTP: &http.Client{Transport: trips}, Base: remote.AgentURL, Host: asked.Agent}
	err = o.step("ship", "Hand the image to the agent", func() (string, error) {
		if len(asked.Missing) > 0 {
			if _, err := transfer.SendBlobs(ctx, project.Name, image, asked.Missing); err != nil {
				return "", err
			}
		}
		sent, err := transfer.Send(ctx, project.Name, image)
		document.Image.Manifest = sent.Manifest
		return fmt.Sprintf("%d layers, %d already there, %s", sent.Layers, sent.Skipped, Bytes(sent.Bytes)), err
	})
	return document, err
}

// ownFiles refuses what a tree says of files that are not its own: on a laptop they are the
// same person's, on a host another app's or the host's.
func ownFiles(app *manifest.App) error {
	if image := app.Build.Image; image != "" && !filepath.IsLocal(image) {
		return api.Errorf(api.Refused, "read what to build", "build { image = %q } is outside of what was pushed", image).
			WithHint("write a path within the repository, or a registry's image")
	}
	said := slices.Concat(app.Build.Cache.From, []string{app.Build.Cache.To}, app.DockerOptions.Build)
	for _, text := range said {
		plain := strings.ToLower(strings.NewReplacer(" ", "", "\t", "", `"`, "", "'", "", `\`, "").Replace(text))
		if strings.Contains(plain, "type=local") {
			return api.Errorf(api.Refused, "read what to build", "%q keeps a build cache in a folder of this host", text).
				WithHint("write an image, or type=registry,ref=IMAGE; the builder here keeps a cache of its own")
		}
	}
	return nil
}

// ownVariables are not an app's to set: they say whom the build speaks to.
var ownVariables = []string{"BUILDKIT_HOST", "DOCKER_HOST", "HOME", "PATH", "XDG_CACHE_HOME", "XDG_STATE_HOME"}

// withConfig looks a name up in the app's config. What else is in the environment is the
// host's, and no tree that is pushed to it reads that.
func withConfig(getenv func(string) (string, bool), config map[string]string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		switch {
		case slices.Contains(ownVariables, name):
			return getenv(name)
		case name == "SSH_AUTH_SOCK": // RUN --mount=type=ssh would speak to whatever of the host listens there
			return "", false
		}
		value, ok := config[name]
		if !ok && name == builderVariable {
			return getenv(name)
		}
		return value, ok
	}
}

// builderVariable names, in an app's config or the host's, the image that builds with buildpacks.
const builderVariable = "DOKKU_CNB_BUILDER"

// onHost puts what the host knows into the manifest: buildpacks see the app's config, as
// they do on a host of Dokku's, and DOKKU_CNB_BUILDER names the image that builds.
func (o Options) onHost(app *manifest.App) {
	if o.OnHost == nil {
		return
	}
	env := maps.Clone(o.OnHost.Config)
	if env == nil {
		env = map[string]string{}
	}
	maps.DeleteFunc(env, func(name, _ string) bool { return slices.Contains(ownVariables, name) })
	maps.Copy(env, app.Build.Pack.Env)
	app.Build.Pack.Env = env
	if builder, ok := o.Getenv(builderVariable); ok && app.Build.Pack.Builder == "" && (app.Project == nil || app.Project.Builder == "") {
		app.Build.Pack.Builder = builder
	}
	app.Image.Registry = "" // the image stays here
	if app.Build.Builder == "" {
		app.Build.Builder = o.OnHost.Builder
	}
}

// whyOnHost is why a builder builds, where it is the app's config that names its image.
func (o Options) whyOnHost(app *manifest.App, why string) string {
	builder, _ := o.Getenv(builderVariable)
	if o.OnHost == nil || why != build.SaidPack || builder == "" || app.Build.Pack.Builder != builder || len(app.Build.Pack.Buildpacks) > 0 {
		return why
	}
	return builderVariable + " names its builder image"
}

// host says to the plugins of the build that they are on a host.
func (o Options) host() *hooks.Host {
	if o.OnHost == nil {
		return nil
	}
	return &hooks.Host{Options: o.OnHost.Options}
}

// limitPack gives the containers of buildpacks what they may use beside apps that run.
func (o Options) limitPack(builder pack.Builder) pack.Builder {
	if o.OnHost != nil {
		builder.Memory, builder.Shares, builder.CPUs = o.OnHost.Memory, o.OnHost.Shares, o.OnHost.CPUs
	}
	return builder
}

// buildkit is the address of the BuildKit daemon that builds. On a host the agent runs one
// with limits where it can; empty: the engine's own.
func (o Options) buildkit(ctx context.Context) (string, error) {
	daemon, _ := o.Getenv("BUILDKIT_HOST")
	if daemon != "" || o.OnHost == nil {
		return daemon, nil
	}
	trips := agentTransport(*o.OnHost)
	defer trips.CloseIdleConnections()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, remote.AgentURL+api.BuildKitPath, nil)
	if err != nil {
		return "", fmt.Errorf("ask the agent for BuildKit: %w", err)
	}
	response, err := (&http.Client{Transport: trips}).Do(request)
	if err != nil {
		return "", fmt.Errorf("ask the agent for BuildKit: %w", err)
	}
	defer func() { _ = response.Body.Close() }() // it is read to its end
	var answer api.HostBuildKit
	if err := json.NewDecoder(io.LimitReader(response.Body, api.MaxDocument)).Decode(&answer); err != nil || response.StatusCode != http.StatusOK {
		return "", api.Errorf(api.WrongProtocol, "ask the agent for BuildKit", "%s: %w", response.Status, err).WithHint("dokku-push and dokku-agent may be of different versions")
	}
	if answer.Note != "" {
		o.Report(output("build", answer.Note))
	}
	return answer.Address, nil
}

// agentTransport speaks to the socket of the agent that asks for a build.
func agentTransport(asked api.HostBuild) *http.Transport {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", asked.Agent)
	}
	return &http.Transport{DialContext: dial, MaxConnsPerHost: api.MaxChannels, MaxIdleConnsPerHost: api.MaxChannels, DisableCompression: true}
}
