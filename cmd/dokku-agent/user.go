package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"slices"
	"strings"
	"syscall"

	"github.com/dokku-push/dokku-push/agent/entry"
	"github.com/dokku-push/dokku-push/agent/install"
	"github.com/dokku-push/dokku-push/api"
)

// asDokku runs the call again as the dokku user when somebody else makes it on a real
// host (PLUGIN-CONTRACT 2.4). done says that nothing is left to do, with the exit code:
// it ran, or it is only for root and the caller is not.
func (p *program) asDokku(args []string, original string) (code int, done bool) {
	if !isReal(placesFromEnvironment()) {
		return 0, false // an embedded host is its owner's
	}
	if _, err := user.Lookup(install.User); err != nil {
		return 0, false // no host at all: the call itself will say so
	}
	if rootsOwn(entry.Asked(args, original)) {
		if os.Geteuid() == 0 {
			return 0, false
		}
		fmt.Fprintln(p.err, " !     This command must be run as root")
		return 1, true
	}
	caller, err := user.Current()
	if err == nil && (caller.Username == install.User || original != "") {
		return 0, false // the forced command is the dokku user's already
	}
	if err != nil {
		return p.fail(fmt.Errorf("find out who calls: %w", err)), true
	}
	return p.switchUser(caller.Username, args), true
}

// rootsOwn are the commands that stay root's: what they change, root believes or runs.
func rootsOwn(command string) bool {
	switch command {
	case "plugin:help", "plugin:list":
		return false
	case "ssh-keys:add", "ssh-keys:remove", "plugins-install":
		return true
	}
	return strings.HasPrefix(command, "plugin:")
}

// switchUser is the call by sudo. It shares the caller's process group: a person at a
// terminal may type into it, and ^C reaches it.
func (p *program) switchUser(caller string, args []string) int {
	cmd := exec.CommandContext(p.ctx, "sudo", append([]string{"-u", install.User, "-E", "-H", install.Link}, args...)...)
	cmd.Env = dokkuEnvironment(os.Environ(), caller)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = p.in, p.out, p.err
	// sudo hands the signal on; SIGKILL would end sudo alone.
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	err := cmd.Run()
	if cmd.ProcessState == nil {
		return p.fail(api.Errorf(api.Configuration, "become the dokku user", "%w", err).WithHint("is sudo installed?"))
	}
	if ended, ok := errors.AsType[*exec.ExitError](err); ok {
		if status, ok := ended.Sys().(syscall.WaitStatus); ok && status.Signaled() {
			return 128 + int(status.Signal())
		}
	}
	return cmd.ProcessState.ExitCode()
}

// dokkuEnvironment is what the dokku user gets of the caller's environment: all but the
// variables that hold another user's folders or an outer call's identity.
func dokkuEnvironment(environment []string, caller string) []string {
	kept := slices.DeleteFunc(slices.Clone(environment), func(pair string) bool {
		name, _, _ := strings.Cut(pair, "=")
		return slices.Contains([]string{"DOKKU_PID", "TMP", "TMPDIR", "TEMP", "TEMPDIR", "SSH_USER"}, name)
	})
	return append(kept, "SSH_USER="+caller)
}
