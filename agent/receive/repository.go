package receive

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/internal/atomicfile"
)

// hookText is the pre-receive hook of every app's repository, in Dokku's words: the agent
// decides there whether the push counts.
const hookText = `#!/bin/sh
# Written by dokku-agent: a push is built and deployed here, before its branch moves.
exec "${DOKKU_SHIM_BIN:-dokku-agent}" dokku git-hook "$DOKKU_PUSH_RECEIVES"
`

// receives names the app whose repository a push is coming into, to its hook.
const receives = "DOKKU_PUSH_RECEIVES"

// Branch is what is a branch's name here: it is handed to plugins, which are shell
// scripts more often than not (ALSO-REFUSE 11).
var Branch = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.+@=#/-]{0,199}$`)

var commitForm = regexp.MustCompile(`^[0-9a-f]{40}([0-9a-f]{24})?$`)

// isRepository tells whether an app has one.
func isRepository(dir string) bool {
	for _, part := range []string{"HEAD", "objects", "refs"} {
		if _, err := os.Stat(filepath.Join(dir, part)); err != nil {
			return false
		}
	}
	return true
}

// Initialize gives an app its bare repository with its hook. One that is there keeps what
// is in it.
func Initialize(ctx context.Context, places agent.Places, app string) error {
	dir := places.App(app)
	if !isRepository(dir) {
		if _, err := git(ctx, "init", "--quiet", "--bare", "--template=", dir); err != nil {
			return err
		}
	}
	hook := filepath.Join(dir, "hooks", "pre-receive")
	if text, err := os.ReadFile(hook); err == nil && string(text) == hookText {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(hook), 0o755); err != nil {
		return fmt.Errorf("make the hook of %s: %w", app, err)
	}
	if err := atomicfile.WriteFile(hook, []byte(hookText), 0o755); err != nil {
		return fmt.Errorf("make the hook of %s: %w", app, err)
	}
	return nil
}

// DeployBranch is the branch of an app that is deployed, and whether anybody has said so.
func DeployBranch(host *agent.Host, app string) (branch string, said bool, err error) {
	for _, name := range []string{app, "--global"} {
		settings, err := host.Settings.Read(name)
		if err != nil {
			return "", false, fmt.Errorf("read the settings of %s: %w", name, err)
		}
		if branch := settings.Properties["git/deploy-branch"]; branch != "" {
			return branch, true, nil
		}
	}
	return "master", false, nil
}

// Head is the commit of an app's deploy branch; empty where there is none.
func Head(ctx context.Context, host *agent.Host, app string) (commit, branch string, err error) {
	branch, _, err = DeployBranch(host, app)
	if err != nil || !isRepository(host.Places.App(app)) {
		return "", branch, err
	}
	return resolve(ctx, host.Places.App(app), "refs/heads/"+branch), branch, nil
}

// follow has the repository's HEAD name the deploy branch: that is what git clone checks out,
// and what a plugin takes for the app's commit.
func follow(ctx context.Context, host *agent.Host, app string) error {
	branch, _, err := DeployBranch(host, app)
	if err != nil {
		return err
	}
	dir, want := host.Places.App(app), "refs/heads/"+branch
	if text, err := os.ReadFile(filepath.Join(dir, "HEAD")); err == nil && strings.TrimSpace(string(text)) == "ref: "+want {
		return nil
	}
	_, err = git(ctx, "--git-dir="+dir, "symbolic-ref", "HEAD", want)
	return err
}

// resolve is the commit that a name stands for in a repository; empty for none.
func resolve(ctx context.Context, dir, name string) string {
	commit, err := git(ctx, "--git-dir="+dir, "rev-parse", "--verify", "--quiet", "--end-of-options", name+"^{commit}")
	if err != nil || !commitForm.MatchString(commit) {
		return ""
	}
	return commit
}

// adopt makes what a push has brought part of the repository for good, for plugins: git keeps
// it apart until the hook has agreed, where a plugin's git would not find it. What comes of a
// push that is refused after that is nobody's, and git's own clean-up removes it.
func adopt(dir, quarantine string) error {
	err := filepath.WalkDir(quarantine, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(quarantine, path)
		if err != nil {
			return err
		}
		to := filepath.Join(dir, "objects", name)
		switch {
		case entry.IsDir():
			return os.MkdirAll(to, 0o755)
		case !entry.Type().IsRegular() || strings.HasSuffix(name, ".keep") || strings.HasSuffix(name, ".idx") || strings.Contains(name, "tmp_"):
			return nil // an index comes after its pack
		}
		return link(path, to)
	})
	if err != nil {
		return fmt.Errorf("take in what was pushed: %w", err)
	}
	indexes, err := filepath.Glob(filepath.Join(quarantine, "pack", "*.idx"))
	if err != nil {
		return err
	}
	for _, index := range indexes {
		if err := link(index, filepath.Join(dir, "objects", "pack", filepath.Base(index))); err != nil {
			return fmt.Errorf("take in what was pushed: %w", err)
		}
	}
	return nil
}

func link(from, to string) error {
	if err := os.Link(from, to); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

// checkOut makes dir the tree of a commit, with its submodules. keep leaves the folder .git
// there, with all that the commit consists of, for builds that look into it.
func checkOut(ctx context.Context, repository, dir, commit string, keep bool) error {
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	if _, err := git(ctx, "init", "--quiet", "--template=", dir); err != nil {
		return err
	}
	alternates := filepath.Join(dir, ".git", "objects", "info", "alternates")
	err := os.MkdirAll(filepath.Dir(alternates), 0o755)
	if err == nil {
		from := filepath.Join(repository, "objects") + "\n"
		if quarantine := os.Getenv(quarantineVariable); quarantine != "" {
			from += quarantine + "\n"
		}
		err = os.WriteFile(alternates, []byte(from), 0o644)
	}
	for _, name := range []string{filepath.Base(os.Getenv(shallowVariable)), "shallow"} { // a push's, which may be of another app
		if text, readErr := os.ReadFile(filepath.Join(repository, name)); err == nil && readErr == nil {
			err = os.WriteFile(filepath.Join(dir, ".git", "shallow"), text, 0o644)
			break
		}
	}
	if err != nil {
		return fmt.Errorf("take the tree out of the repository: %w", err)
	}
	if _, err := git(ctx, "-C", dir, "checkout", "--quiet", "--force", "--detach", commit); err != nil {
		return err
	}
	if _, err := os.Lstat(filepath.Join(dir, ".gitmodules")); err == nil {
		if _, err := gitWith(ctx, fetching(agent.Places{Root: filepath.Dir(repository)}), "-C", dir, "submodule", "--quiet", "update", "--init", "--recursive"); err != nil {
			return api.Errorf(api.BuildFailed, "fetch the submodules", "%w", err).
				WithHint("the host fetches them itself, as the user that it runs as: does .gitmodules name addresses that it may read over https, ssh or git?")
		}
	}
	if keep {
		return standAlone(ctx, dir, alternates)
	}
	return forgetGit(dir)
}

// standAlone copies what a tree's commit consists of into its own folder .git: a build sees
// neither the app's repository nor the quarantine of a push.
func standAlone(ctx context.Context, dir, alternates string) error {
	if _, err := git(ctx, "-C", dir, "repack", "-a", "-d", "--quiet"); err != nil {
		return err
	}
	if err := os.Remove(alternates); err != nil {
		return fmt.Errorf("take the tree out of the repository: %w", err)
	}
	return nil
}

// forgetGit removes what makes a tree a repository, submodules' files that point to theirs too.
func forgetGit(dir string) error {
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.Name() != ".git" {
			return err
		}
		if err := os.RemoveAll(path); err != nil {
			return err
		}
		if entry.IsDir() {
			return fs.SkipDir
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("take the tree out of the repository: %w", err)
	}
	return nil
}

// author is who wrote a commit: "Name <address>".
func author(ctx context.Context, repository, commit string) string {
	text, err := git(ctx, "--git-dir="+repository, "show", "--no-patch", "--format=%an <%ae>", "--end-of-options", commit)
	if err != nil || len(text) > 1<<10 || strings.ContainsFunc(text, func(c rune) bool { return c < ' ' || c == 0x7f }) {
		return ""
	}
	return text
}

// Copy gives an app what branches and tags of another's repository have, and no more than
// that. One without a repository has nothing to give.
func Copy(ctx context.Context, places agent.Places, from, to string) error {
	if !isRepository(places.App(from)) {
		return nil
	}
	if err := Initialize(ctx, places, to); err != nil {
		return err
	}
	_, err := gitWith(ctx, []string{"GIT_ALLOW_PROTOCOL=file"}, "--git-dir="+places.App(to), "fetch", "--quiet", "--update-shallow", "--end-of-options", places.App(from), "+refs/*:refs/*")
	return err
}
