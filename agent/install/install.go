// Package install makes a machine a host: the dokku user, its folders, the nginx include,
// the root helper's sudoers file and the watch service. It changes nothing twice and
// replaces no file that it did not write.
package install

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/internal/run"
)

// The places of a real host. They are Dokku's, and our own three.
const (
	Program    = "/usr/local/bin/dokku-agent"
	Link       = "/usr/local/bin/dokku"
	ConfigFile = "/etc/dokku-push/host.json" // only root writes it: the root helper believes it
	Sudoers    = "/etc/sudoers.d/dokku-push"
	Unit       = "/etc/systemd/system/dokku-agent.service"
	User       = "dokku"
)

const opInstall = "install"

// Options says what a host is to be like.
type Options struct {
	Traffic string // auto, map or reload
	Domain  string // global domain; empty: none is set
	Self    string // the program that is being run
	Say     func(format string, args ...any)
}

// Places are where a real host keeps things.
func Places() agent.Places {
	return agent.Places{Root: "/home/dokku", Lib: "/var/lib/dokku", Logs: "/var/log/dokku"}
}

// installer is one installation.
type installer struct {
	Options
	ctx      context.Context
	places   agent.Places
	uid, gid int
	changed  int
	restart  bool // the watch service runs what is no longer installed
	reload   bool // nginx has not read its new include
}

// Run installs. It needs root; each change is told in one line, and a second run
// changes nothing.
func Run(ctx context.Context, o Options) error {
	if os.Geteuid() != 0 {
		return api.Errorf(api.Refused, opInstall, "only root can install").WithHint("sudo dokku-agent install")
	}
	i := &installer{Options: o, ctx: ctx, places: Places()}
	for _, part := range []func() error{i.programs, i.free, i.account, i.program, i.folders, i.files, i.config, i.sudoers, i.nginx, i.domain, i.unit, i.services} {
		if err := part(); err != nil {
			return err
		}
	}
	if i.changed == 0 {
		i.Say("everything is installed already: nothing changed")
	}
	return nil
}

func (i *installer) did(format string, args ...any) {
	i.changed++
	i.Say(format, args...)
}

// programs refuses to begin without what a host is made of.
func (i *installer) programs() error {
	var missing, packages []string
	for _, need := range [][2]string{{"docker", "docker.io"}, {"nginx", "nginx-light"}, {"sudo", "sudo"}, {"visudo", "sudo"}, {"sshd", "openssh-server"},
		{"groupadd", "passwd"}, {"useradd", "passwd"}, {"usermod", "passwd"}} {
		if _, err := find(need[0]); err != nil {
			missing, packages = append(missing, need[0]), append(packages, need[1])
		}
	}
	if len(missing) > 0 {
		return api.Errorf(api.Precondition, opInstall, "programs are missing: %s", strings.Join(missing, ", ")).
			WithHint("apt-get install %s", strings.Join(slices.Compact(packages), " "))
	}
	return nil
}

// free refuses a machine that is Dokku's own, before anything is changed.
func (i *installer) free() error {
	for _, path := range []string{Link, "/usr/bin/dokku"} {
		if target, err := os.Readlink(path); exists(path) && (err != nil || target != Program) {
			return api.Errorf(api.Configuration, opInstall, "%s is another program's: Dokku itself?", path).
				WithHint("a machine is a Dokku host or one of ours, not both; remove Dokku first")
		}
	}
	command := filepath.Join(i.places.Root, ".sshcommand")
	if text, err := os.ReadFile(command); err == nil && strings.TrimSpace(string(text)) != Link {
		return api.Errorf(api.Configuration, opInstall, "the keys of %s call %s", i.places.Root, strings.TrimSpace(string(text))).
			WithHint("to let them call the agent, remove %s and install again", command)
	}
	return nil
}

// find looks where root's programs are, whatever the PATH is.
func find(program string) (string, error) {
	for _, dir := range []string{"/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"} {
		path := filepath.Join(dir, program)
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
			return path, nil
		}
	}
	return "", fmt.Errorf("there is no program %s", program)
}

// command runs a program to its end; what it says is in the error.
func (i *installer) command(argv ...string) error {
	path, err := find(argv[0])
	if err != nil {
		return err
	}
	var said bytes.Buffer
	cmd := run.Cmd{Argv: append([]string{path}, argv[1:]...), Env: []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C"},
		Stdout: &said, Stderr: &said, Grace: 10 * time.Second}
	if err := cmd.Run(i.ctx); err != nil {
		return fmt.Errorf("%s: %w: %s", strings.Join(argv, " "), err, strings.TrimSpace(said.String()))
	}
	return nil
}
