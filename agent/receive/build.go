package receive

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/api"
)

// The words of deploy-source-set for what came by git.
const (
	sourcePush = "git-push"
	sourceSync = "git-sync"
)

// archived tells whether an app's source came as an archive: its kind is the source's word.
func archived(source string) bool { return slices.Contains([]string{"tar", "tar.gz", "zip"}, source) }

// Builds tells whether ps:rebuild of an app builds again: it runs nothing yet; or what it
// runs is what a branch of its repository has, the deploy branch or one that was it; or the
// repository was synchronized since. An app that was deployed in another way meanwhile, or
// rolled back, is left with the image that it has.
func Builds(ctx context.Context, host *agent.Host, app string) (bool, error) {
	settings, err := host.Settings.Read(app)
	if err != nil {
		return false, fmt.Errorf("read the settings of %s: %w", app, err)
	}
	head, _, err := Head(ctx, host, app)
	if err != nil || head == "" {
		return false, err
	}
	source, deployed, err := running(host, app)
	if err != nil || !deployed {
		return err == nil, err
	}
	from := settings.Properties["apps/deploy-source"]
	if from != sourcePush && !archived(from) {
		return from == sourceSync, nil
	}
	if source.Revision == head {
		return true, nil
	}
	return Branch.MatchString(source.Branch) && source.Revision != "" && resolve(ctx, host.Places.App(app), "refs/heads/"+source.Branch) == source.Revision, nil
}

// running is where what an app runs came from.
func running(host *agent.Host, app string) (source api.Source, deployed bool, err error) {
	version, err := host.Ledger.Current(app)
	if err != nil || version == 0 {
		return source, false, err
	}
	current, err := host.Ledger.Release(app, version)
	return current.Document.Source, err == nil, err
}

// App is the core's part in receive-app: it builds a commit of the app's repository and
// deploys the image. Without a commit it is the deploy branch's, unless the app runs what
// came in another way; one that is not in the repository is for another plugin to build.
func (r *Receiver) App(ctx context.Context, app, commit string) error {
	repository := r.Host.Places.App(app)
	if r.Host.Exists(app) != nil || !isRepository(repository) {
		return nil
	}
	deployed, _, err := DeployBranch(r.Host, app)
	if err != nil {
		return err
	}
	if commit == "" {
		if builds, err := Builds(ctx, r.Host, app); err != nil || !builds {
			return err
		}
		commit = "refs/heads/" + deployed
	} else if !commitForm.MatchString(commit) {
		return nil
	}
	if commit = resolve(ctx, repository, commit); commit == "" {
		return nil
	}
	if err := r.ready(app); err != nil {
		return err
	}
	release, err := r.claim(ctx, app)
	if err != nil {
		return err
	}
	defer release()
	if pushes(app, deployed) {
		if err := unmoved(ctx, repository, deployed); err != nil {
			return err
		}
	}
	return r.build(ctx, app, commit, deployed)
}

// ready refuses what would be refused after the build.
func (r *Receiver) ready(app string) error {
	if err := r.unlocked(app); err != nil {
		return err
	}
	policy, err := r.Host.PolicyFor(app)
	if err != nil {
		return err
	}
	if policy.Required {
		return api.Errorf(api.Refused, "", "%s takes only releases that are signed, and git signs none", app).
			WithHint("deploy it with dokku-push --sign from where the key is")
	}
	if r.Builder == nil {
		return api.Errorf(api.Precondition, "", "this host cannot build").WithHint("deploy with dokku-push, which builds where it runs")
	}
	return nil
}

// unlocked refuses an app that somebody has locked.
func (r *Receiver) unlocked(app string) error {
	settings, err := r.Host.Settings.Read(app)
	if err != nil {
		return fmt.Errorf("read the settings of %s: %w", app, err)
	}
	if settings.Properties["apps/locked"] != "" {
		return api.Errorf(api.Locked, "", "%s is locked", app).WithHint("whoever locked it knows why; apps:unlock %s", app)
	}
	return nil
}

// build takes the tree out of the repository, has it built in its turn, and deploys it.
func (r *Receiver) build(ctx context.Context, app, commit, deployed string) error {
	repository := r.Host.Places.App(app)
	ref := os.Getenv(refVariable)
	branch, _ := strings.CutPrefix(ref, "refs/heads/")
	if branch == "" {
		branch = deployed
	}
	settings, err := r.Host.Settings.Read(app)
	if err != nil {
		return fmt.Errorf("read the settings of %s: %w", app, err)
	}
	global, err := r.Host.Settings.Read("--global")
	if err != nil {
		return fmt.Errorf("read the global settings: %w", err)
	}
	config := maps.Clone(global.Env)
	if config == nil {
		config = map[string]string{}
	}
	maps.Copy(config, settings.Env)
	dir := filepath.Join(r.Host.Places.AppData(app), "source", "tree")
	if err := os.MkdirAll(filepath.Dir(dir), 0o700); err != nil {
		return fmt.Errorf("make the place for the tree: %w", err)
	}
	defer func() { _ = os.RemoveAll(filepath.Dir(dir)) }() // the next build clears what stays
	keep := cmp.Or(settings.Properties["git/keep-git-dir"], global.Properties["git/keep-git-dir"])
	if err := checkOut(ctx, repository, dir, commit, keep == "true"); err != nil {
		return err
	}
	if err := inside(dir); err != nil {
		return err
	}
	source := Source{App: app, Dir: dir, Config: config, By: r.By, Options: lines(settings.Properties["docker-options/_default_.build"]),
		From: api.Source{Revision: commit, Branch: branch, Author: author(ctx, repository, commit)}}
	r.say("Building %s from %.10s...", app, commit)
	if err := r.release(ctx, source); err != nil {
		return err
	}
	if !pushes(app, deployed) {
		if _, err := git(ctx, "--git-dir="+repository, "update-ref", "--end-of-options", "refs/heads/"+deployed, commit); err != nil {
			return err
		}
		if err := follow(ctx, r.Host, app); err != nil {
			return err
		}
	}
	if os.Getenv(receives) != app && archived(settings.Properties["apps/deploy-source"]) {
		return nil // it is built again, or whoever brings the archive says so
	}
	return r.Host.Fire(ctx, "deploy-source-set", app, sourcePush, commit)
}

// again is how often a build is asked once more for layers that the engine turned out to
// lack.
const again = 2

// release builds and deploys. The deploy is the same transaction as a client's.
func (r *Receiver) release(ctx context.Context, source Source) error {
	for attempt := 0; ; attempt++ {
		document, err := r.built(ctx, source)
		if err != nil {
			return err
		}
		if err := r.Host.Exists(source.App); err != nil {
			return err // it was destroyed meanwhile
		}
		if pushes(source.App, source.From.Branch) {
			if err := unmoved(ctx, r.Host.Places.App(source.App), source.From.Branch); err != nil {
				return err
			}
		}
		err = r.Deploy(ctx, agent.Change{App: source.App, Kind: agent.Deploy, Document: document, LockWait: 10 * time.Second})
		problem, ok := errors.AsType[*api.Error](err)
		if !ok || problem.Code != api.BlobsMissing || attempt == again {
			return err
		}
		source.Missing = problem.Missing
	}
}

// built is the build alone: one at a time on a host.
func (r *Receiver) built(ctx context.Context, source Source) (api.ReleaseDocument, error) {
	done, err := r.queue(ctx, source.App)
	if err != nil {
		return api.ReleaseDocument{}, err
	}
	defer done()
	document, err := r.Builder.Build(ctx, source, r.Out)
	document.Source = source.From
	return document, err
}

// inside refuses a tree with a link that leads to something of the host's: whoever follows
// it while the image is made would put that into the image.
func inside(dir string) error {
	root, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return err
	}
	return filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.Type() != fs.ModeSymlink {
			return err
		}
		to, err := filepath.EvalSymlinks(path)
		if err != nil || to == os.DevNull {
			return nil // it leads nowhere, here
		}
		if relative, err := filepath.Rel(root, to); err == nil && (relative == "." || filepath.IsLocal(relative)) {
			return nil
		}
		name, _ := filepath.Rel(dir, path)
		return api.Errorf(api.Refused, "look at what was pushed", "%s is a link out of the repository", name).
			WithHint("write the file itself, or a link within the repository")
	})
}

func lines(text string) []string {
	var all []string
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" {
			all = append(all, line)
		}
	}
	return all
}
