package receive

import (
	"bytes"
	"context"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/internal/run"
)

const (
	mostGit     = 30 * time.Minute // one call of git
	mostGitText = 4 << 20          // what is kept of what it says, in bytes
)

// settings stand in front of every git command: nothing that a repository's own
// configuration names is run, no helper program for an address, and no clean-up goes on
// behind a push that is over.
func settings() []string {
	return []string{"-c", "protocol.ext.allow=never", "-c", "core.fsmonitor=false", "-c", "safe.directory=*", "-c", "advice.detachedHead=false",
		"-c", "gc.autoDetach=false", "-c", "init.defaultBranch=master"}
}

// cleaned is the caller's environment without what would point git at another repository,
// at its quarantine or at other settings.
func cleaned() []string {
	return slices.DeleteFunc(os.Environ(), func(pair string) bool {
		name, _, _ := strings.Cut(pair, "=")
		return ofRepository(name)
	})
}

// environment is for a git that the host runs for itself: it asks nobody for a password, and
// fetches from nowhere but other machines.
func environment(more ...string) []string {
	kept := append(cleaned(), "GIT_TERMINAL_PROMPT=0", "GIT_ASKPASS=true", "SSH_ASKPASS_REQUIRE=never", "GIT_ALLOW_PROTOCOL=git:http:https:ssh", "LC_ALL=C")
	if quarantine := os.Getenv(quarantineVariable); quarantine != "" {
		kept = append(kept, "GIT_ALTERNATE_OBJECT_DIRECTORIES="+quarantine)
	}
	return append(kept, more...)
}

// quarantineVariable names where git keeps what a push has brought until its hook agrees, to
// the host's own git. What is refused is gone with it.
const quarantineVariable = "DOKKU_PUSH_QUARANTINE"

// shallowVariable names the file in which git keeps, until its hook agrees, which commits of
// the repository have no parents here.
const shallowVariable = "DOKKU_PUSH_SHALLOW"

// ofRepository tells the variables by which git says to its children which repository they
// are in. A plugin that a hook starts is to find the repositories that it names itself.
func ofRepository(name string) bool {
	return slices.Contains([]string{"GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_ALTERNATE_OBJECT_DIRECTORIES",
		"GIT_QUARANTINE_PATH", "GIT_SHALLOW_FILE", "GIT_PREFIX", "GIT_COMMON_DIR", "GIT_NAMESPACE", "GIT_CONFIG", "GIT_CONFIG_PARAMETERS", "GIT_CONFIG_COUNT",
		"GIT_EXTERNAL_DIFF", "GIT_PROTOCOL_FROM_USER"}, name)
}

// git runs git and returns what it printed.
func git(ctx context.Context, args ...string) (string, error) {
	return gitWith(ctx, nil, args...)
}

// gitWith is git with further variables.
func gitWith(ctx context.Context, more []string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, mostGit)
	defer cancel()
	var out, problems bytes.Buffer
	argv := slices.Concat([]string{"git"}, settings(), []string{"-c", "core.hooksPath=/dev/null"}, args)
	command := run.Cmd{Argv: argv, Env: environment(more...), Stdout: &out, Stderr: &problems, Limit: mostGitText}
	if err := command.Run(ctx); err != nil {
		return "", api.Errorf(api.Precondition, "git "+word(args), "%w: %s", err, strings.Join(strings.Fields(problems.String()), " "))
	}
	return strings.TrimSuffix(out.String(), "\n"), nil
}

// word is what git was asked to do, behind -C DIR and --git-dir=DIR.
func word(args []string) string {
	for n := 0; n < len(args); n++ {
		switch {
		case args[n] == "-C" || args[n] == "-c":
			n++
		case !strings.HasPrefix(args[n], "-"):
			return args[n]
		}
	}
	return ""
}

// serve runs the part of git that speaks to a client's git. Of the settings some are for
// the repository that receives; its hooks are its own, and what they start has the
// caller's environment.
func serve(ctx context.Context, in io.Reader, out, problems io.Writer, more []string, args ...string) error {
	argv := slices.Concat([]string{"git"}, settings(), []string{"-c", "receive.shallowUpdate=true", "-c", "receive.denyDeleteCurrent=ignore", "-c", "receive.denyCurrentBranch=ignore",
		"-c", "receive.autogc=true"}, args)
	command := run.Cmd{Argv: argv, Env: append(cleaned(), more...), Stdin: in, Stdout: out, Stderr: problems}
	return command.Run(ctx)
}
