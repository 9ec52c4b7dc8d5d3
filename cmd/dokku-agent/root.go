package main

import (
	"os"
	"os/exec"
	"os/user"
	"slices"
	"strings"

	"github.com/dokku-push/dokku-push/agent/install"
	"github.com/dokku-push/dokku-push/agent/nft"
	"github.com/dokku-push/dokku-push/agent/nginx"
	"github.com/dokku-push/dokku-push/api"
)

// root is the root helper: the few verbs that sudoers lets the dokku user have. It
// believes the configuration that only root can write, and nothing of its caller's
// environment.
func (p *program) root(args []string) int {
	os.Clearenv()
	_ = os.Setenv("PATH", "/usr/sbin:/usr/bin:/sbin:/bin") // fails never for a valid name
	if len(args) == 0 || os.Geteuid() != 0 {
		return p.usage()
	}
	config, err := install.ReadConfig()
	if err != nil {
		return p.fail(err)
	}
	if args[0] == "map" && len(args) == 1 {
		if err := nft.Serve(p.ctx, p.in, p.out, config.Map); err != nil {
			return p.fail(err)
		}
		return 0
	}
	said, err := (&nginx.Nginx{Places: install.Places(), Config: config.Nginx}).Perform(p.ctx, args[0], args[1:]...)
	if err != nil {
		return p.fail(err)
	}
	if _, err := p.out.Write(said); err != nil {
		return p.fail(err)
	}
	return 0
}

// asDokku runs the call again as the dokku user when somebody else makes it on a real
// host (PLUGIN-CONTRACT 2.4). done says that it did, with the exit code.
func (p *program) asDokku(args []string, original string) (code int, done bool) {
	if original != "" {
		return 0, false // the forced command is the dokku user's already
	}
	places := placesFromEnvironment()
	if _, err := os.Stat(places.HostConfig()); err == nil {
		return 0, false // an embedded host is its owner's
	}
	account, err := user.Current()
	if err != nil || account.Username == install.User {
		return 0, false
	}
	if _, err := user.Lookup(install.User); err != nil {
		return 0, false
	}
	cmd := exec.CommandContext(p.ctx, "sudo", append([]string{"-u", install.User, "-E", "-H", install.Link}, args...)...)
	cmd.Env = append(slices.DeleteFunc(os.Environ(), func(pair string) bool {
		name, _, _ := strings.Cut(pair, "=")
		return slices.Contains([]string{"DOKKU_PID", "TMP", "TMPDIR", "TEMP", "TEMPDIR", "SSH_USER"}, name)
	}), "SSH_USER="+account.Username)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = p.in, p.out, p.err
	err = cmd.Run()
	if cmd.ProcessState == nil {
		return p.fail(api.Errorf(api.Configuration, "become the dokku user", "%w", err).WithHint("is sudo installed?")), true
	}
	return cmd.ProcessState.ExitCode(), true
}
