package hooks

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"

	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/build"
	"github.com/dokku-push/dokku-push/manifest"
	"github.com/dokku-push/dokku-push/triggers"
)

// Extract fires post-extract and reads the manifest that plugins have left. Without them
// it is the one that was read before.
func (r *Room) Extract(ctx context.Context) (*manifest.App, error) {
	if r.walk == nil {
		return r.app, nil
	}
	if err := r.fire(ctx, "post-extract", r.o.Name, r.tree(), r.o.Revision); err != nil {
		return nil, err
	}
	app, err := r.o.Read(os.DirFS(r.tree()))
	if err != nil {
		return nil, err
	}
	r.app = app
	if err := r.tell(); err != nil {
		return nil, api.Errorf(api.BuildFailed, "run the plugins", "%w", err)
	}
	return app, nil
}

// Choose says which builder builds the tree, and why: what builder-detect answers, else
// what the tree says. dokku.hcl speaks in builder-detect at the place of the core's
// plugin builder, as Dokku's builder:set does.
func (r *Room) Choose(ctx context.Context) (name, why string, err error) {
	if r.walk == nil || r.app.Build.Builder == "image" || r.app.Build.Image != "" {
		return build.Choose(r.app, os.DirFS(r.Dir()))
	}
	answer, err := r.ask(ctx, "builder-detect", r.o.Name, r.tree())
	if err != nil {
		return "", "", err
	}
	first, _, _ := strings.Cut(strings.TrimLeft(answer, "\n"), "\n")
	said := strings.TrimSpace(first)
	if said == "" || said == r.app.Build.Builder {
		name, why, err = build.Choose(r.app, os.DirFS(r.tree()))
	} else {
		name, why, err = detected(said)
	}
	if err == nil && r.left && name != r.forecast {
		err = api.Errorf(api.BuildFailed, "choose the builder", "the plugins made it %s, and the copy that they got lacks what the ignore file of %s leaves out", name, r.forecast).
			WithHint("name it: build { builder = %q } in dokku.hcl", name)
	}
	return name, why, err
}

// detected is the builder that a plugin named.
func detected(said string) (name, why string, err error) {
	why = "builder-detect of a plugin says " + said
	switch said {
	case "dockerfile", "pack", "static":
		return said, why, nil
	case "herokuish":
		return "pack", why, nil
	}
	return "", "", api.Errorf(api.BuildFailed, "choose the builder", "the trigger builder-detect of a plugin says %q, and there is no such builder here", said).
		WithHint("the builders are dockerfile, pack, static and herokuish, which is pack here")
}

// sourceType is a builder under the name that plugins know it by. What is no buildpack's
// counts as a Dockerfile's, as in a release.
func sourceType(builder string) string {
	if builder == "pack" {
		return builder
	}
	return "dockerfile"
}

// Before fires what comes before the build, and puts what docker-args-build asks for
// into the request. For an image that exists already only pre-receive-app counts:
// nothing is built.
func (r *Room) Before(ctx context.Context, builder string, request *build.Request) error {
	kind := sourceType(builder)
	if err := r.fire(ctx, "pre-receive-app", r.o.Name, kind, r.tree(), r.o.Revision); err != nil || builder == "image" {
		return err
	}
	var err error
	if builder == "pack" {
		err = r.fire(ctx, "pre-build-buildpack", r.o.Name, r.tree())
	} else {
		err = r.fire(ctx, "pre-build-dockerfile", r.o.Name)
	}
	if err == nil {
		err = r.fire(ctx, "pre-build", kind, r.o.Name, r.tree())
	}
	if err != nil {
		return err
	}
	if builder == "pack" {
		if err := r.builderImage(ctx, request); err != nil {
			return err
		}
	}
	args, err := r.arguments(ctx, kind)
	if err != nil {
		return err
	}
	return apply(args, builder, request, r.o.Output)
}

// builderImage asks the plugins for the image in which buildpacks build: one makes it from
// the image so far, the other names it (PLUGIN-CONTRACT 4.4).
func (r *Room) builderImage(ctx context.Context, request *build.Request) error {
	if r.walk == nil {
		return nil
	}
	image := build.PackBuilder(request.App)
	former := image
	for _, trigger := range [...]string{"builder-create-dokku-image", "builder-dokku-image"} {
		answer, err := r.ask(ctx, trigger, sourceType("pack"), r.o.Name, r.tree(), image)
		if err != nil {
			return err
		}
		image = cmp.Or(strings.TrimSpace(answer), image)
	}
	if image == former {
		return nil
	}
	if strings.ContainsAny(image, " \t\n") {
		return api.Errorf(api.BuildFailed, "choose the builder image", "the trigger builder-dokku-image of a plugin says %q, which is no image", image).
			WithHint("it prints the name of one image, and everything else on stderr")
	}
	app := *request.App
	app.Build.Pack.Builder = image
	request.App = &app
	r.o.Output("a plugin has buildpacks build in " + image)
	return nil
}

// arguments are docker's for the build: dokku.hcl's and the plugins'.
func (r *Room) arguments(ctx context.Context, kind string) ([]string, error) {
	if r.walk == nil {
		return words(r.optionText())
	}
	var all []string
	for _, trigger := range [...]string{"docker-args-build", "docker-args-process-build"} {
		text, err := r.ask(ctx, trigger, r.o.Name, kind)
		if err != nil {
			return nil, err
		}
		more, err := words(text)
		if err != nil {
			return nil, api.Errorf(api.BuildFailed, "read what "+trigger+" printed", "%w", err)
		}
		all = append(all, more...)
	}
	return all, nil
}

// After fires what comes after a build.
func (r *Room) After(ctx context.Context, builder string) error {
	if builder == "image" {
		return nil
	}
	var err error
	if builder == "pack" {
		err = r.fire(ctx, "post-build-buildpack", r.o.Name, r.tree())
	} else {
		err = r.fire(ctx, "post-build-dockerfile", r.o.Name)
	}
	if err == nil {
		err = r.fire(ctx, "post-build", sourceType(builder), r.o.Name, r.tree())
	}
	return err
}

// core is the core's part on the build side: what dokku.hcl says.
func (r *Room) core() map[string]map[string]triggers.Handler {
	return map[string]map[string]triggers.Handler{
		"builder": {"builder-detect": func(_ context.Context, call triggers.Call) error {
			if r.app.Build.Builder == "" {
				return nil
			}
			_, err := fmt.Fprintln(call.Out, r.app.Build.Builder)
			return err
		}},
		"docker-options": {"docker-args-build": func(_ context.Context, call triggers.Call) error {
			_, err := io.WriteString(call.Out, r.optionText())
			return err
		}},
	}
}

// optionText is dokku.hcl's options, and the host's that it does not say too, as
// docker-args-build prints them: each with a blank before it and no newline. A host sets
// the limits itself.
func (r *Room) optionText() string {
	options := slices.Clone(r.app.DockerOptions.Build)
	if r.o.Host != nil {
		options = slices.DeleteFunc(options, func(option string) bool {
			name, _, _ := strings.Cut(strings.ReplaceAll(option, "=", " "), " ")
			return isOneOf(limitArguments, name)
		})
		for _, one := range r.o.Host.Options {
			if !slices.Contains(options, one) {
				options = append(options, one)
			}
		}
	}
	var text strings.Builder
	for _, option := range options {
		text.WriteString(" " + option)
	}
	return text.String()
}

// fire walks the plugins; what they print is shown.
func (r *Room) fire(ctx context.Context, trigger string, args ...string) error {
	if r.walk == nil {
		return nil
	}
	shown := &lines{output: r.show}
	err := r.walk.Trigger(ctx, trigger, args, triggers.Streams{Out: shown, Err: shown})
	shown.end()
	return r.failure(ctx, err, shown.any)
}

// ask walks the plugins; what they print on stdout is the answer. Stdin is an empty pipe,
// for those that copy it.
func (r *Room) ask(ctx context.Context, trigger string, args ...string) (string, error) {
	var answer strings.Builder
	shown := &lines{output: r.show}
	err := r.walk.Trigger(ctx, trigger, args, triggers.Streams{In: strings.NewReader(""), Out: &answer, Err: shown})
	shown.end()
	return answer.String(), r.failure(ctx, err, shown.any)
}

func (r *Room) show(line string) { r.o.Output(r.hide.Text(line)) }

// failure is a walk that failed, in the client's words: plugin, trigger and exit code. said
// is whether anything was printed.
func (r *Room) failure(ctx context.Context, err error, said bool) error {
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return api.Errorf(api.Cancelled, "run the plugins", "%w", context.Cause(ctx))
	}
	problem := api.Errorf(api.BuildFailed, "run the plugins", "%w", err)
	failed, ok := errors.AsType[*triggers.Failure](err)
	if !ok {
		return problem
	}
	n := slices.IndexFunc(r.plugins, func(one Plugin) bool { return one.Name == failed.Plugin })
	switch {
	case n < 0:
		return problem
	case !said && failed.Code == 1: // the plainest mistake there is: PLUGIN-CONTRACT 4.7 has it twice
		return problem.WithHint("it printed nothing; a script that ends with `[[ ... ]] && ...` exits with 1 when the test is false; it is in %s", r.plugins[n].Dir)
	}
	return problem.WithHint("what it printed stands above; the plugin is in %s", r.plugins[n].Dir)
}

// lines hands on what is written, a line at a time.
type lines struct {
	mu      sync.Mutex
	output  func(string)
	partial string
	any     bool // something was written
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.any = true
	parts := strings.Split(l.partial+string(p), "\n")
	l.partial = parts[len(parts)-1]
	for _, line := range parts[:len(parts)-1] {
		l.output(strings.TrimSuffix(line, "\r"))
	}
	return len(p), nil
}

// end shows a last line without a newline.
func (l *lines) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.partial != "" {
		l.output(l.partial)
		l.partial = ""
	}
}
