package plugin

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/internal/atomicfile"
	"github.com/dokku-push/dokku-push/internal/run"
)

const (
	mostGit     = 10 * time.Minute // one call of git
	mostGitText = 1 << 20          // what is kept of what it says, in bytes
)

// pinFile holds the committish that somebody asked for, as plugn keeps it.
const pinFile = ".plugin_committish"

// git runs git and returns what it printed. Nobody is asked for a password, no helper
// program is run for an address, and nothing that a repository's own configuration names:
// the caller may be root, and the repository is the dokku user's.
func git(ctx context.Context, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, mostGit)
	defer cancel()
	argv := append([]string{"git", "-c", "protocol.ext.allow=never", "-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false",
		"-c", "safe.directory=*", "-c", "advice.detachedHead=false", "-c", "gc.auto=0"}, args...)
	var out, problems bytes.Buffer
	command := run.Cmd{Argv: argv, Env: gitEnvironment(), Stdout: &out, Stderr: &problems, Limit: mostGitText}
	if err := command.Run(ctx); err != nil {
		word := args[0]
		if word == "-C" {
			word = args[2]
		}
		return "", api.Errorf(api.Precondition, "git "+word, "%w: %s", err, oneLine(problems.String()))
	}
	return strings.TrimSuffix(out.String(), "\n"), nil
}

// gitEnvironment is the caller's without what would point git at another repository.
func gitEnvironment() []string {
	kept := slices.DeleteFunc(os.Environ(), func(pair string) bool {
		name, _, _ := strings.Cut(pair, "=")
		return slices.Contains([]string{"GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_CONFIG_PARAMETERS", "GIT_EXTERNAL_DIFF"}, name)
	})
	kept = append(kept, "GIT_TERMINAL_PROMPT=0", "GIT_ASKPASS=true", "SSH_ASKPASS_REQUIRE=never", "GIT_ALLOW_PROTOCOL=file:git:https:ssh", "LC_ALL=C")
	if os.Getenv("GIT_SSH_COMMAND") == "" && os.Getenv("GIT_SSH") == "" {
		kept = append(kept, "GIT_SSH_COMMAND=ssh -o BatchMode=yes")
	}
	return kept
}

func isRepository(dir string) bool {
	_, err := os.Lstat(filepath.Join(dir, ".git"))
	return err == nil
}

// origin is the address that a plugin's folder was cloned from; empty when it was not.
func origin(ctx context.Context, dir string) string {
	if !isRepository(dir) {
		return ""
	}
	address, err := git(ctx, "-C", dir, "config", "--get", "remote.origin.url")
	if err != nil {
		return ""
	}
	return address
}

// checkout makes a cloned folder's files those of a branch, a tag or a commit; what is
// tracked and was changed here is as there again, what is not tracked stays.
func checkout(ctx context.Context, dir, committish string) error {
	if branch, err := git(ctx, "-C", dir, "rev-parse", "--verify", "--quiet", "refs/remotes/origin/"+committish); err == nil {
		if _, err := git(ctx, "-C", dir, "checkout", "--quiet", "--force", "-B", committish, branch); err != nil {
			return err
		}
		_, err := git(ctx, "-C", dir, "branch", "--quiet", "--set-upstream-to", "origin/"+committish)
		return err
	}
	commit, err := git(ctx, "-C", dir, "rev-parse", "--verify", "--quiet", committish+"^{commit}")
	if err != nil {
		return api.Errorf(api.Usage, "check out", "there is no branch, tag or commit %s", committish)
	}
	_, err = git(ctx, "-C", dir, "checkout", "--quiet", "--force", "--detach", commit)
	return err
}

// pull brings a cloned folder to what its branch, or the committish that it is pinned
// to, is now. pinned is true where neither tells what that would be.
func pull(ctx context.Context, dir, committish string) (pinned bool, err error) {
	branch, _ := git(ctx, "-C", dir, "symbolic-ref", "--quiet", "--short", "HEAD") // none: detached
	if committish == "" && branch == "" {
		return true, nil
	}
	if _, err := git(ctx, "-C", dir, "fetch", "--quiet", "--tags", "--force", "--prune", "origin"); err != nil {
		return false, err
	}
	if committish == "" {
		return false, checkout(ctx, dir, branch)
	}
	return false, pin(ctx, dir, committish)
}

// pin checks a committish out and writes down that it was asked for.
func pin(ctx context.Context, dir, committish string) error {
	if err := checkout(ctx, dir, committish); err != nil {
		return err
	}
	return atomicfile.WriteFile(filepath.Join(dir, pinFile), []byte(committish+"\n"), 0o644)
}

// pinOf is the committish that somebody has asked for; empty: nobody has.
func pinOf(dir string) string {
	text, err := os.ReadFile(filepath.Join(dir, pinFile))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(text))
}
