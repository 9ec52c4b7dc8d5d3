package push

import (
	"context"
	"fmt"
	"maps"
	"net"
	"net/http"
	"runtime"
	"slices"

	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/build/hooks"
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
	project.Source = asked.Source
	image, err := Build(ctx, o, project, "linux", runtime.GOARCH)
	if err != nil {
		return document, err
	}
	if document, err = documentOf(o, project, image); err != nil {
		return document, err
	}
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", asked.Agent)
	}
	trips := &http.Transport{DialContext: dial, MaxConnsPerHost: api.MaxChannels, MaxIdleConnsPerHost: api.MaxChannels, DisableCompression: true}
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

// ownVariables are not an app's to set: they say whom the build speaks to.
var ownVariables = []string{"BUILDKIT_HOST", "DOCKER_HOST", "HOME", "PATH", "XDG_CACHE_HOME"}

// withConfig looks a name up in the app's config before the environment.
func withConfig(getenv func(string) (string, bool), config map[string]string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		if value, ok := config[name]; ok && !slices.Contains(ownVariables, name) {
			return value, true
		}
		return getenv(name)
	}
}

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
	if builder, ok := o.Getenv("DOKKU_CNB_BUILDER"); ok && app.Build.Pack.Builder == "" && (app.Project == nil || app.Project.Builder == "") {
		app.Build.Pack.Builder = builder
	}
	app.Image.Registry = "" // the image stays here
	if app.Build.Builder == "" {
		app.Build.Builder = o.OnHost.Builder
	}
}

// host says to the plugins of the build that they are on a host.
func (o Options) host() *hooks.Host {
	if o.OnHost == nil {
		return nil
	}
	return &hooks.Host{Options: o.OnHost.Options}
}

// buildMemory and buildShares are what the containers of a build may use beside apps that run.
func (o Options) buildMemory() int64 {
	if o.OnHost == nil {
		return 0
	}
	return o.OnHost.Memory
}

func (o Options) buildShares() int64 {
	if o.OnHost == nil {
		return 0
	}
	return 256
}
