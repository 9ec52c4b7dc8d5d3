package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/term"

	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/build"
	"github.com/dokku-push/dokku-push/build/hooks"
	"github.com/dokku-push/dokku-push/manifest"
	"github.com/dokku-push/dokku-push/push"
	"github.com/dokku-push/dokku-push/push/report"
	"github.com/dokku-push/dokku-push/push/scaffold"
)

// check says what is wrong with Procfile, app.json and dokku.hcl, or what they mean. It
// speaks to no host. What it says is its answer, so it goes to stdout.
func (c *client) check() error {
	_, err := c.checked()
	return err
}

// checked is check, and returns what it has said of mistakes.
func (c *client) checked() (found manifest.Diagnostics, err error) {
	format, err := c.checkFormat()
	if err != nil {
		return nil, err
	}
	dir, err := c.tree()
	if err != nil {
		return nil, err
	}
	understood, found, err := c.look(dir)
	if err != nil {
		return nil, err
	}
	if err := c.diagnostics(format, dir, found); err != nil {
		return nil, err
	}
	if found.Failed() {
		return found, &exitError{code: api.Exit(&api.Error{Code: api.InvalidManifest})}
	}
	for _, paragraph := range understood {
		if format != "json" {
			fmt.Fprintln(c.answer(), report.Legible(paragraph))
		}
	}
	return found, nil
}

// look reads the project, each of its apps. It returns a paragraph an app, and every
// mistake once: what is wrong with the file itself is wrong for all of them.
func (c *client) look(dir string) (understood []string, found manifest.Diagnostics, err error) {
	c.options.Dir = dir
	apps, err := c.apps()
	if err != nil {
		return nil, nil, err
	}
	for _, name := range apps {
		options := c.options
		options.App = name
		app, more := manifest.Load(os.DirFS(dir), options.ManifestOptions())
		if !more.Failed() {
			paragraph, problems := c.understand(dir, app)
			understood, more = append(understood, paragraph), append(more, problems...)
		}
		for _, d := range more {
			if !slices.Contains(found, d) {
				found = append(found, d)
			}
		}
	}
	return understood, found, nil
}

// checkFormat is the format that was asked for: by --format, by the format of everything
// else, or by being in GitHub's CI.
func (c *client) checkFormat() (string, error) {
	if said := c.format; said != "" {
		if !slices.Contains([]string{"text", "json", "github"}, said) {
			return "", api.Errorf(api.Usage, "", "--format is text, json or github, not %q", said)
		}
		return said, nil
	}
	switch {
	case c.logFormat == "json":
		return "json", nil
	case c.logFormat == "auto" && c.runsOnGitHub():
		return "github", nil
	}
	return "text", nil
}

// tree is the folder that the command is about, absolute.
func (c *client) tree() (string, error) {
	if len(c.args) > 1 {
		return "", api.Errorf(api.Usage, "", "one folder at a time, not %q", c.args).WithHint("dokku-push help")
	}
	dir, err := filepath.Abs(c.folder())
	if err != nil {
		return "", fmt.Errorf("find the project: %w", err)
	}
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return "", api.Errorf(api.Usage, "find the project", "%s is no folder", dir)
	}
	return dir, nil
}

// diagnostics shows what was found in the format that was asked for.
func (c *client) diagnostics(format, dir string, found manifest.Diagnostics) error {
	switch format {
	case "json":
		return report.DiagnosticsJSON(c.out, found)
	case "github":
		workspace, _ := c.options.Getenv("GITHUB_WORKSPACE")
		return report.DiagnosticsGitHub(c.out, found, resolved(dir), resolved(workspace))
	}
	return report.DiagnosticsText(c.out, found, c.style(c.out))
}

// mistakes shows what keeps a push from beginning, each with its line, or as annotations
// in GitHub's CI. Advice was told before.
func (c *client) mistakes(found manifest.Diagnostics) error {
	found = slices.DeleteFunc(slices.Clone(found), func(d manifest.Diagnostic) bool { return d.Severity != manifest.Mistake })
	if c.logFormat == "auto" && c.runsOnGitHub() {
		dir, err := filepath.Abs(c.options.Dir)
		if err != nil {
			return err
		}
		workspace, _ := c.options.Getenv("GITHUB_WORKSPACE")
		return report.DiagnosticsGitHub(c.err, found, resolved(dir), resolved(workspace))
	}
	return report.DiagnosticsText(c.err, found, c.style(c.err))
}

// resolved is a path without links, so that one can be found inside another.
func resolved(path string) string {
	if target, err := filepath.EvalSymlinks(path); err == nil && path != "" {
		return target
	}
	return path
}

// style is how diagnostics are drawn on a stream.
func (c *client) style(out io.Writer) report.DiagnosticStyle {
	width := 0
	terminal := false
	if file, ok := out.(*os.File); ok {
		if columns, _, err := term.GetSize(int(file.Fd())); err == nil {
			width, terminal = columns, true
		}
	}
	return report.DiagnosticStyle{Color: report.Color(terminal, c.options.Getenv), Width: width}
}

// understand says what a push of a valid project would do, in one paragraph, and what
// would keep it from being built or named at all.
func (c *client) understand(dir string, app *manifest.App) (paragraph string, found manifest.Diagnostics) {
	file := c.options.Manifest
	if file == "" {
		file = scaffold.ManifestName
		if _, err := os.Stat(filepath.Join(dir, scaffold.TwinName)); err == nil {
			file = scaffold.TwinName
		}
	}
	mistake := func(problem, hint string) {
		found = append(found, manifest.Diagnostic{File: file, Message: problem, Hint: hint})
	}
	name, from := c.options.App, "--app or DOKKU_APP"
	if name == "" || app.Block != "" {
		name, from = app.Name, file
	}
	if name == "" {
		name, from = filepath.Base(dir), "the folder's name"
	}
	if err := manifest.ExistingAppName(name); err != nil {
		problem, hint, _ := strings.Cut(err.Error(), "; ")
		mistake(from+": "+problem, strings.TrimSpace(hint+" as app in dokku.hcl, or use --app"))
	}
	builder, why, err := build.Choose(app, os.DirFS(dir))
	plugins, broken := hooks.Find(hooks.Options{Dir: dir})
	plugins = hooks.Acting(plugins)
	if err != nil && len(plugins) > 0 {
		builder, why, err = "what its plugins make of it", "nothing else says how", nil
	}
	for _, err := range []error{err, broken} {
		if err != nil {
			problem := api.AsError(err)
			mistake(problem.Message, problem.Hint)
		}
	}
	host := "no host yet (--host, DOKKU_HOST or dokku.hcl name one)"
	if target, err := push.Target(c.options, app); err == nil {
		host = target.Target
	}
	if c.options.Environment != "" {
		host += ", environment " + c.options.Environment
	}
	paragraph = fmt.Sprintf("%s (%s) goes to %s. It is built with %s: %s. %s", name, from, host, builder, why, processes(app))
	if len(plugins) > 0 {
		paragraph += " Plugins of " + hooks.Folder + " have a part in the build, and are not run here: " + hooks.Names(plugins) + "."
	}
	return paragraph, found
}

// processes says in a sentence or two what will run.
func processes(app *manifest.App) string {
	folder := ""
	if app.Folder != "" {
		folder = " in " + app.Folder
	}
	if app.Procfile == nil {
		if app.Build.Static.Command != "" {
			return "It runs web, by build.static.command."
		}
		return "It runs web, the image's own command: there is no Procfile" + folder + "."
	}
	types := app.Procfile.Scaled()
	text := "It runs nothing all the time."
	if len(types) > 0 {
		text = "It runs " + strings.Join(types, ", ") + "."
	}
	if _, release := app.Procfile.Command(manifest.Release); release {
		text += " The release task runs once in each release."
	}
	return text
}
