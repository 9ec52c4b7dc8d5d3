package receive

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/dokku-push/dokku-push/agent"
)

// Author is who brings a source tree that no git knows of; empty fields are Dokku's.
type Author struct{ Name, Address string }

// Tree makes a folder the next commit of an app's repository, as if it had been pushed, and
// has it built and deployed: the branch moves when that went well. A folder that is what
// the branch has already, and the app runs, changes nothing. What a .gitignore in it names counts, too: whoever
// packed it, packed it for the build.
func (r *Receiver) Tree(ctx context.Context, app, dir, message string, by Author) (changed bool, err error) {
	if err := r.ready(app); err != nil {
		return false, err
	}
	if err := inside(dir); err != nil {
		return false, err
	}
	if err := Initialize(ctx, r.Host.Places, app); err != nil {
		return false, err
	}
	commit, fresh, err := commitTree(ctx, r.Host, app, dir, message, by)
	if err != nil {
		return false, err
	}
	if !fresh {
		if source, deployed, err := running(r.Host, app); err != nil || deployed && source.Revision == commit {
			return false, err
		}
	}
	return true, r.Receive(agent.WithStreams(ctx, agent.Streams{Out: r.Out, Err: r.Err}), app, commit)
}

// commitTree writes a folder into the repository, as a commit on top of the deploy branch
// that no branch has yet: a fresh one, or the deploy branch's own when that is the same.
func commitTree(ctx context.Context, host *agent.Host, app, dir, message string, by Author) (commit string, fresh bool, err error) {
	repository := host.Places.App(app)
	head, _, err := Head(ctx, host, app)
	if err != nil {
		return "", false, err
	}
	index, err := os.MkdirTemp("", "dokku-push-index-")
	if err != nil {
		return "", false, fmt.Errorf("commit the source of %s: %w", app, err)
	}
	defer os.RemoveAll(index)
	if by.Name == "" {
		by.Name = "Dokku"
	}
	if by.Address == "" {
		by.Address = "automated@dokku.sh"
	}
	env := []string{"GIT_DIR=" + repository, "GIT_WORK_TREE=" + dir, "GIT_INDEX_FILE=" + filepath.Join(index, "index"),
		"GIT_AUTHOR_NAME=" + by.Name, "GIT_AUTHOR_EMAIL=" + by.Address, "GIT_COMMITTER_NAME=" + by.Name, "GIT_COMMITTER_EMAIL=" + by.Address}
	// Line ends change only where the tree's own .gitattributes say so, as in a push.
	if _, err := gitWith(ctx, env, "-c", "core.autocrlf=false", "-c", "core.safecrlf=false", "-C", dir, "add", "--all", "--force", "--", "."); err != nil {
		return "", false, err
	}
	tree, err := gitWith(ctx, env, "write-tree")
	if err != nil {
		return "", false, err
	}
	args := []string{"commit-tree", "-m", message}
	if head != "" {
		if former, err := gitWith(ctx, env, "rev-parse", head+"^{tree}"); err != nil || former == tree {
			return head, false, err
		}
		args = append(args, "-p", head)
	}
	commit, err = gitWith(ctx, env, append(args, tree)...)
	return commit, err == nil, err
}
