package push

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/build"
	"github.com/dokku-push/dokku-push/build/hooks"
	"github.com/dokku-push/dokku-push/manifest"
)

// history answers what has changed in a project since a commit.
type history struct {
	dir    string // the project's folder
	commit string // empty: there was nothing before
	files  []string
}

// historySince finds the commit that a ref names.
func historySince(ctx context.Context, o Options, ref string) (*history, error) {
	const op = "look for changes"
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return nil, err
	}
	h := &history{dir: dir, files: []string{firstOf(o.Manifest, "dokku.hcl"), "dokku.hcl.json", hooks.Folder}}
	if _, err := h.git(ctx, "rev-parse", "--show-toplevel"); err != nil {
		return nil, api.Errorf(api.Usage, op, "%s is in no git repository, or there is no git", dir).WithHint("without --changed-since every app counts: --all")
	}
	if len(ref) >= 40 && strings.Trim(ref, "0") == "" { // what GitHub calls the commit before a branch's first
		return h, nil
	}
	if !strings.HasPrefix(ref, "-") {
		h.commit, err = h.git(ctx, "rev-parse", "--verify", "--quiet", ref+"^{commit}")
	}
	if err == nil && h.commit != "" {
		return h, nil
	}
	problem := api.Errorf(api.Usage, op, "there is no commit %q in this repository", ref)
	if shallow, _ := h.git(ctx, "rev-parse", "--is-shallow-repository"); shallow == "true" {
		return nil, problem.WithHint("this clone is shallow: git fetch --unshallow (GitHub's actions/checkout: fetch-depth: 0, GitLab: GIT_DEPTH: 0)")
	}
	return nil, problem.WithHint("name a branch, a tag or a commit that is here; git fetch gets what is not")
}

// changed lists the files of an app that are not as they were: committed, not committed
// yet, or never added.
func (h *history) changed(ctx context.Context, project *Project) ([]string, error) {
	specs := h.watched(project)
	if h.commit == "" {
		return []string{"everything"}, nil
	}
	since, err := h.git(ctx, append([]string{"diff", "--name-only", "--no-renames", "-z", h.commit, "--"}, specs...)...)
	if err != nil {
		return nil, err
	}
	added, err := h.git(ctx, append([]string{"ls-files", "--others", "--exclude-standard", "-z", "--"}, specs...)...)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(strings.Split(since+"\x00"+added, "\x00"), func(name string) bool { return name == "" }), nil
}

// watched are git's pathspecs of what an app is made of. A context that is larger than the
// app's own folder counts as a whole, for the build sees it, unless build { watch } says
// what of it matters.
func (h *history) watched(project *Project) []string {
	app := project.App
	said := app.Build
	paths := slices.Clone(h.files)
	folder := firstOf(said.Dir, app.Folder)
	for _, name := range []string{"Procfile", "app.json", "CHECKS", "project.toml", "nginx.conf.sigil", ".buildpacks"} {
		paths = append(paths, path.Join(folder, name))
	}
	paths = append(paths, build.Dockerfile(app))
	if template := app.Nginx["nginx-conf-sigil-path"]; template != "" {
		paths = append(paths, template, path.Join(folder, template))
	}
	if folder != "" {
		paths = append(paths, folder)
	}
	if len(said.Watch) == 0 {
		paths = append(paths, buildsFrom(app, h.dir))
	}
	specs := make([]string, 0, len(paths)+len(said.Watch))
	for _, name := range paths {
		specs = append(specs, ":(literal)"+path.Clean(name))
	}
	for _, pattern := range said.Watch {
		specs = append(specs, ":(glob)"+path.Clean(pattern))
	}
	slices.Sort(specs)
	return slices.Compact(specs)
}

// buildsFrom is the folder that the app's builder sees.
func buildsFrom(app *manifest.App, dir string) string {
	context := firstOf(app.Build.Context, ".")
	builder, _, err := build.Choose(app, os.DirFS(dir))
	switch {
	case err == nil && builder == "image":
		return firstOf(app.Folder, "dokku.hcl")
	case err == nil && builder == "pack":
		return firstOf(app.Build.Dir, context)
	}
	return context
}

// git asks git about the project's folder.
func (h *history) git(ctx context.Context, args ...string) (string, error) {
	out, err := exec.CommandContext(ctx, "git", append([]string{"-C", h.dir}, args...)...).Output()
	if failed, ok := errors.AsType[*exec.ExitError](err); ok {
		return "", api.Errorf(api.Unclassified, "ask git "+args[0], "%w: %s", err, strings.TrimSpace(string(failed.Stderr)))
	}
	return strings.TrimSpace(string(out)), err
}
