// Package push is the client's story: read what the repository says, connect, build,
// ship what the host lacks, ask for the release, and hand on what happens as events.
// It prints nothing and parses no flags.
package push

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/build"
	"github.com/dokku-push/dokku-push/build/dockerfile"
	"github.com/dokku-push/dokku-push/build/hooks"
	"github.com/dokku-push/dokku-push/build/image"
	"github.com/dokku-push/dokku-push/build/pack"
	"github.com/dokku-push/dokku-push/build/static"
	"github.com/dokku-push/dokku-push/manifest"
	"github.com/dokku-push/dokku-push/remote"
)

// Options is everything a push is told. The zero value pushes the current folder as
// its dokku.hcl says.
type Options struct {
	Dir      string // the project's folder; empty: the current one
	Manifest string // dokku.hcl by another name
	App      string // over dokku.hcl's app; of several app blocks: the one that is meant
	Host     string // [user@]host[:port] or the name of a host block
	Registry string // over image { registry }
	Image    string // an image that exists, instead of a build
	LockWait time.Duration
	// NewestWins stops an older deploy of the app by the same key.
	NewestWins bool
	Plan       string // file of the plan that alone is to be carried out
	// Own are files that dokku-push itself writes: in the project's folder, no build sees
	// them, nor Plan.
	Own     []string
	Signing Signing
	Remote  remote.Options // how to connect; Target is filled in here
	// PluginPaths are folders of plugins whose triggers run around the build, beside the
	// project's own, which NoProjectPlugins leaves alone.
	PluginPaths      []string
	NoProjectPlugins bool
	// Untrusted says that the tree is of somebody who may not deploy, as a fork's is: it is
	// planned and never deployed, says neither host nor app, brings no plugin, no cache and no
	// ssh mount, runs nothing outside of a container, and meets no secret.
	Untrusted bool
	// OnHost is set where a host's own agent has an app built.
	OnHost  *api.HostBuild
	Version string // the program's
	// Environment is the environment block of dokku.hcl that counts; empty: none.
	Environment string
	// Review is the name of the review app that is pushed instead of App; empty: none.
	Review string
	// Flags and Variables are what was said on the command line and by variables, by
	// dokku.hcl's dotted keys: manifest.Options has them too.
	Flags, Variables map[string]manifest.Given
	Getenv           func(string) (string, bool)
	Report           func(api.Event) // never nil
}

// Project is what was found in the folder.
type Project struct {
	Dir    string
	App    *manifest.App
	Name   string // of the app
	Source api.Source
	// decided says which builder was chosen and which file chose it.
	decided []string
	// built is the name of its image here, and of what is cached of its builds: a review
	// app has those of the app that it is of.
	built string
	room  *hooks.Room // that it was built in; nil: it was not built
	// withheld are the config keys that an untrusted tree does not get.
	withheld []string
}

// Load reads the project. Advice goes to the report; mistakes are the error, all of
// them at once.
func Load(o Options) (*Project, error) {
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return nil, fmt.Errorf("find the project: %w", err)
	}
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return nil, api.Errorf(api.Usage, "find the project", "%s is no folder", dir)
	}
	if err := oneApp(o, dir); err != nil {
		return nil, err
	}
	app, found := manifest.Load(os.DirFS(dir), o.ManifestOptions())
	for _, d := range found {
		if d.Severity == manifest.Advice {
			o.Report(api.Event{Type: api.EventWarning, Time: time.Now(), Warning: d.String()})
		}
	}
	if found.Failed() {
		return nil, api.Errorf(api.InvalidManifest, "", "%w", found)
	}
	if len(app.Withheld) > 0 {
		o.Report(api.Event{Type: api.EventWarning, Time: time.Now(), Warning: "the review app is not given " + strings.Join(app.Withheld, ", ")})
	}
	project := &Project{Dir: dir, App: app, Name: firstOf(o.App, app.Name, filepath.Base(dir))}
	if app.Block != "" {
		project.Name = app.Name
	}
	project.built = project.Name
	project.Name = firstOf(o.Review, project.Name)
	if err := manifest.ExistingAppName(project.Name); err != nil { // the host refuses what it would have to create
		return nil, api.Errorf(api.Usage, "name the app", "%w", err).WithHint("name it with --app, DOKKU_APP or app in dokku.hcl")
	}
	o.override(app)
	if o.Untrusted {
		project.distrust(o)
	}
	project.Source = SourceOf(dir, o.Getenv)
	return project, nil
}

// override puts what the command line says over the manifest.
func (o Options) override(app *manifest.App) {
	if o.Image != "" { // whatever dokku.hcl would have had built
		app.Build.Builder, app.Build.Image = "image", o.Image
	}
	o.onHost(app)
}

// ManifestOptions say how the project is to be read.
func (o Options) ManifestOptions() manifest.Options {
	return manifest.Options{File: o.Manifest, App: o.App, Environment: o.Environment, Review: o.Review != "", Flags: o.Flags, Variables: o.Variables, Getenv: o.Getenv}
}

// Explain says who decides a setting of the project, and who else spoke of it. key is
// dotted, as dokku.hcl nests it.
func Explain(o Options, key string) (manifest.Explanation, error) {
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return manifest.Explanation{}, fmt.Errorf("find the project: %w", err)
	}
	if err := oneApp(o, dir); err != nil {
		return manifest.Explanation{}, err
	}
	app, found := manifest.Load(os.DirFS(dir), o.ManifestOptions())
	if found.Failed() {
		return manifest.Explanation{}, api.Errorf(api.InvalidManifest, "", "%w", found)
	}
	explained, err := app.Explain(key)
	if err != nil {
		return explained, api.Errorf(api.Usage, "", "%w", err)
	}
	return explained, nil
}

func firstOf(values ...string) string {
	for _, value := range values {
		if value != "" {
			return value
		}
	}
	return ""
}

// Target is the host to speak to: what was asked for, or the manifest's only host.
func Target(o Options, app *manifest.App) (remote.Options, error) {
	options := o.Remote
	options.Target = o.Host
	if app != nil && !o.Untrusted && app.Host.Address != "" && (o.Host == "" || o.Host == app.Host.Name) {
		options.Target = app.Host.Address
		options.HostKey = firstOf(options.HostKey, app.Host.HostKey)
	}
	if options.Target == "" {
		return options, api.Errorf(api.Usage, "find the host", "no host was named").
			WithHint("use --host user@host, DOKKU_HOST, or host \"production\" { address = \"dokku@host\" } in dokku.hcl")
	}
	return options, nil
}

// Connection is a host that answered.
type Connection struct {
	*remote.Client
	Conn  *remote.Conn
	Hello api.Hello
}

// Connect dials the host and learns what it is.
func Connect(ctx context.Context, options remote.Options) (*Connection, error) {
	conn, err := remote.Dial(ctx, options)
	if err != nil {
		return nil, err
	}
	client := &remote.Client{HTTP: conn.HTTPClient(), Base: remote.AgentURL}
	hello, err := client.Hello(ctx)
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return &Connection{Client: client, Conn: conn, Hello: hello}, nil
}

// Push builds, plans, ships and deploys. The error is nil or says why there is no
// verdict; a verdict carries its own.
func Push(ctx context.Context, o Options) (verdict api.Verdict, err error) {
	prepared, err := Prepare(ctx, o)
	if err != nil {
		return verdict, err
	}
	defer prepared.Close()
	return prepared.Apply(ctx)
}

// Build makes the project's image for a platform.
func Build(ctx context.Context, o Options, project *Project, system, arch string) (*build.Image, error) {
	if err := o.enter(ctx, project); err != nil {
		return nil, err
	}
	name, why, err := project.room.Choose(ctx)
	if err != nil {
		return nil, err
	}
	why = o.whyOnHost(project.App, why)
	if err := onePlatform(o, project.App.Image.Platforms, name, system, arch); err != nil {
		return nil, err
	}
	if o.Untrusted && name == "static" && project.App.Build.Static.Make != "" {
		return nil, api.Errorf(api.Refused, "build", "build.static.make runs a command on this machine, and the tree is of somebody who may not").
			WithHint("look at its files alone: dokku-push check, or the input command: check")
	}
	builder, err := builderFor(ctx, o, project.App, name)
	if err != nil {
		return nil, err
	}
	project.App.Build.Builder = name
	project.decided = []string{name + ": " + why}
	if plugins := project.room.Plugins(); plugins != "" {
		project.decided = append(project.decided, "plugins: "+plugins)
	}
	if toml := project.App.Project; toml != nil && name == "pack" && len(toml.Decides) > 0 {
		project.decided = append(project.decided, "project.toml: "+strings.Join(toml.Decides, ", "))
	}
	var image *build.Image
	err = o.step("build", "Build "+project.Name+" with "+name+" ("+why+")", func() (string, error) {
		request := build.Request{Dir: project.room.Dir(), App: project.App, Name: project.built,
			Revision: project.Source.Revision, Labels: labelsOf(project.Source), OS: system, Arch: arch, Unseen: o.unseen(project.Dir),
			Output: func(line string) { o.Report(output("build", line)) }}
		if date := sourceDate(project.Dir, project.Source, o.Getenv); date != "" && name == "dockerfile" {
			request.Frontend = map[string]string{"build-arg:SOURCE_DATE_EPOCH": date}
		}
		if err := project.room.Before(ctx, name, &request); err != nil {
			return "", err
		}
		image, err = builder.Build(ctx, request)
		if err != nil {
			return "", err
		}
		project.App.ProcfileText = request.App.ProcfileText // the room's copy: without a Procfile it is what the image says
		return image.ID, project.room.After(ctx, name)
	})
	return image, err
}

// unseen are the files of a project's folder that are dokku-push's own. With them in an
// image, a plan that is kept beside the Dockerfile would never be that of the tree it is in.
func (o Options) unseen(dir string) (names []string) {
	if real, err := filepath.EvalSymlinks(dir); err == nil {
		dir = real
	}
	for _, file := range append([]string{o.Plan}, o.Own...) {
		path, err := filepath.Abs(file)
		if file == "" || err != nil {
			continue
		}
		if folder, err := filepath.EvalSymlinks(filepath.Dir(path)); err == nil {
			path = filepath.Join(folder, filepath.Base(path))
		}
		if name, err := filepath.Rel(dir, path); err == nil && name != "." && filepath.IsLocal(name) {
			names = append(names, filepath.ToSlash(name))
		}
	}
	return names
}

// onePlatform refuses a host that image { platforms } does not name. Of several platforms
// the host's is built: nobody would run the others.
func onePlatform(o Options, platforms []string, builder, system, arch string) error {
	if len(platforms) == 0 {
		return nil
	}
	host := system + "/" + arch
	if !slices.ContainsFunc(platforms, func(said string) bool { return said == host || strings.HasPrefix(said, host+"/") }) {
		return api.Errorf(api.Configuration, "choose the platform", "image { platforms } names %s, and %s is what is needed here", strings.Join(platforms, ", "), host).
			WithHint("write platforms = [%q], or leave it out: the host's own is built", host)
	}
	if len(platforms) > 1 && builder != "image" {
		o.Report(output("build", "of "+strings.Join(platforms, ", ")+" only "+host+" is built, which is what runs it"))
	}
	return nil
}

// builderFor is the list of builders.
func builderFor(ctx context.Context, o Options, app *manifest.App, name string) (build.Builder, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return nil, api.Errorf(api.Configuration, "find the cache folder", "%w", err).WithHint("set HOME or XDG_CACHE_HOME")
	}
	cache = filepath.Join(cache, "dokku-push")
	switch name {
	case "image":
		engine := dockerfile.Builder{CacheDir: filepath.Join(cache, "dockerfile")}
		return image.Builder{Engine: engine.ExportNamed}, nil
	case "pack":
		ci, _ := o.Getenv("CI")
		return o.limitPack(pack.Builder{CacheDir: filepath.Join(cache, name), Registry: firstOf(o.Registry, app.Image.Registry), CI: ci != "" && ci != "false", Getenv: o.Getenv}), nil
	case "static":
		return &static.Builder{CacheDir: filepath.Join(cache, name), Getenv: o.Getenv}, nil
	default:
		daemon, err := o.buildkit(ctx)
		return &dockerfile.Builder{CacheDir: filepath.Join(cache, name), BuildKit: daemon, EngineToo: o.OnHost != nil, Getenv: o.Getenv}, err
	}
}

func output(source, line string) api.Event {
	return api.Event{Type: api.EventOutput, Time: time.Now(), Output: &api.Output{Source: source, Text: line}}
}

// step reports a part of the client's own work. It returns what work returned.
func (o Options) step(name, title string, work func() (detail string, err error)) error {
	start := time.Now()
	tell := func(status api.StepStatus, detail string) {
		o.Report(api.Event{Type: api.EventStep, Time: time.Now(), Step: &api.Step{Name: name, Title: title, Status: status,
			DurationMS: time.Since(start).Milliseconds(), Detail: detail}})
	}
	tell(api.StepStarted, "")
	detail, err := work()
	if err != nil {
		tell(api.StepFailed, "")
		return err
	}
	tell(api.StepDone, detail)
	return nil
}
