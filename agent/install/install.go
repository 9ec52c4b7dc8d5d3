// Package install makes a machine a host: the dokku user, its folders, the nginx include,
// the root helper's sudoers line and the watch service. It changes nothing twice and
// replaces no file that it did not write.
package install

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/agent/nft"
	"github.com/dokku-push/dokku-push/agent/nginx"
	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/internal/atomicfile"
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

// marker stands in every file that is ours to replace.
const marker = "Written by dokku-agent install"

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
}

// Run installs. It needs root; each change is told in one line, and a second run
// changes nothing.
func Run(ctx context.Context, o Options) error {
	if os.Geteuid() != 0 {
		return api.Errorf(api.Refused, "install", "only root can install").WithHint("sudo dokku-agent install")
	}
	i := &installer{Options: o, ctx: ctx, places: Places()}
	for _, part := range []func() error{i.programs, i.account, i.program, i.folders, i.files, i.config, i.sudoers, i.nginx, i.unit, i.domain} {
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
	var missing []string
	for _, need := range [][2]string{{"docker", "docker.io"}, {"nginx", "nginx-light"}, {"sudo", "sudo"}, {"sshd", "openssh-server"}, {"useradd", "passwd"}, {"visudo", "sudo"}} {
		if _, err := find(need[0]); err != nil {
			missing = append(missing, need[1])
		}
	}
	if len(missing) > 0 {
		return api.Errorf(api.Precondition, "install", "programs are missing").WithHint("apt-get install %s", strings.Join(missing, " "))
	}
	return nil
}

// find looks where root's programs are, whatever the PATH is.
func find(program string) (string, error) {
	for _, dir := range []string{"/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"} {
		path := filepath.Join(dir, program)
		if info, err := os.Stat(path); err == nil && info.Mode()&0o111 != 0 {
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

// account makes the dokku user, a member of the engine's group as Dokku's is.
func (i *installer) account() error {
	if _, err := user.LookupGroup(User); err != nil {
		if err := i.command("groupadd", "--system", User); err != nil {
			return err
		}
	}
	if _, err := user.Lookup(User); err != nil {
		if err := i.command("useradd", "--system", "--gid", User, "--home-dir", i.places.Root, "--shell", "/bin/bash", "--no-create-home", "--password", "*", User); err != nil {
			return err
		}
		i.did("made the user %s", User)
	}
	account, err := user.Lookup(User)
	if err != nil {
		return fmt.Errorf("look up the user %s: %w", User, err)
	}
	if account.HomeDir != i.places.Root {
		return api.Errorf(api.Configuration, "install", "the user %s has the home %s", User, account.HomeDir).WithHint("a host needs %s", i.places.Root)
	}
	if i.uid, err = strconv.Atoi(account.Uid); err != nil {
		return err
	}
	if i.gid, err = strconv.Atoi(account.Gid); err != nil {
		return err
	}
	return i.joinDocker(account)
}

func (i *installer) joinDocker(account *user.User) error {
	docker, err := user.LookupGroup("docker")
	if err != nil {
		return api.Errorf(api.Precondition, "install", "there is no group docker").WithHint("apt-get install docker.io")
	}
	groups, err := account.GroupIds()
	if err != nil {
		return fmt.Errorf("list the groups of %s: %w", User, err)
	}
	for _, group := range groups {
		if group == docker.Gid {
			return nil
		}
	}
	if err := i.command("usermod", "--append", "--groups", "docker", User); err != nil {
		return err
	}
	i.did("%s may use the engine", User)
	return nil
}

// program copies the running program to its place and gives it its second name.
func (i *installer) program() error {
	for _, path := range []string{Link, "/usr/bin/dokku"} {
		if target, err := os.Readlink(path); exists(path) && (err != nil || target != Program) {
			return api.Errorf(api.Configuration, "install", "%s is another program's: Dokku itself?", path).
				WithHint("a machine is a Dokku host or one of ours, not both; remove Dokku first")
		}
	}
	self, err := os.ReadFile(i.Self)
	if err != nil {
		return fmt.Errorf("read the agent's program: %w", err)
	}
	if there, err := os.ReadFile(Program); err != nil || !bytes.Equal(there, self) {
		if err := atomicfile.WriteFile(Program, self, 0o755); err != nil {
			return fmt.Errorf("install the program: %w", err)
		}
		i.did("wrote %s", Program)
	}
	if !exists(Link) {
		if err := os.Symlink(Program, Link); err != nil {
			return fmt.Errorf("link %s: %w", Link, err)
		}
		i.did("linked %s", Link)
	}
	return nil
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return !errors.Is(err, fs.ErrNotExist)
}

// folders makes the trees of PLUGIN-CONTRACT 1.1 and 5.8.
func (i *installer) folders() error {
	p := i.places
	for _, one := range []struct {
		path string
		mode fs.FileMode
	}{
		{p.Root, 0o755}, {filepath.Join(p.Root, ".ssh"), 0o700}, {p.Lib, 0o755}, {filepath.Join(p.Lib, "data"), 0o755}, {p.Data(), 0o755},
		{filepath.Join(p.Lib, "config"), 0o755}, {p.Plugins(), 0o755}, {filepath.Join(p.Plugins(), "available"), 0o755},
		{filepath.Join(p.Plugins(), "enabled"), 0o755}, {p.CorePlugins(), 0o755}, {filepath.Join(p.CorePlugins(), "available"), 0o755},
		{filepath.Join(p.CorePlugins(), "enabled"), 0o755}, {p.Logs, 0o755}, {filepath.Join(p.Data(), "nginx.d"), 0o755},
	} {
		if info, err := os.Stat(one.path); err == nil && info.IsDir() {
			continue
		}
		if err := os.MkdirAll(one.path, one.mode); err != nil {
			return fmt.Errorf("make a folder: %w", err)
		}
		if err := errors.Join(os.Chmod(one.path, one.mode), os.Chown(one.path, i.uid, i.gid)); err != nil {
			return fmt.Errorf("make a folder: %w", err)
		}
		i.did("made %s", one.path)
	}
	return nil
}

// files are sshcommand's two (PLUGIN-CONTRACT 3.1).
func (i *installer) files() error {
	for path, text := range map[string]string{
		filepath.Join(i.places.Root, ".sshcommand"):             Link + "\n",
		filepath.Join(i.places.Root, ".ssh", "authorized_keys"): "",
	} {
		if exists(path) {
			continue
		}
		if err := atomicfile.WriteFile(path, []byte(text), 0o600); err != nil {
			return fmt.Errorf("write a file: %w", err)
		}
		if err := os.Chown(path, i.uid, i.gid); err != nil {
			return fmt.Errorf("write a file: %w", err)
		}
		i.did("wrote %s", path)
	}
	return nil
}

// config decides how traffic is switched, once, and writes what the helper believes.
func (i *installer) config() error {
	if exists(ConfigFile) && i.Traffic == "auto" {
		return nil
	}
	config := agent.HostConfig{ID: i.places.Lib, Traffic: "reload",
		Nginx:  agent.NginxConfig{Program: "/usr/sbin/nginx", Conf: "/etc/nginx/nginx.conf", Pid: "/run/nginx.pid", Port: 80, TLSPort: 443, LogDir: "/var/log/nginx"},
		Helper: []string{"sudo", "-n", Program, "root"}}
	if i.Traffic != "reload" {
		chosen, err := nft.Choose(i.places.Lib)
		if err == nil {
			err = (&nft.Map{Places: i.places, Config: chosen}).Available(i.ctx)
		}
		if err != nil && i.Traffic == "map" {
			return err
		}
		if err != nil {
			i.Say("traffic will be switched by reloading nginx, which cuts idle keep-alive connections: %v", err)
		} else {
			config.Traffic, config.Map = "map", chosen
		}
	}
	text, err := json.MarshalIndent(config, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(ConfigFile), 0o755); err != nil {
		return fmt.Errorf("make a folder: %w", err)
	}
	if there, err := os.ReadFile(ConfigFile); err == nil && bytes.Equal(there, append(text, '\n')) {
		return nil
	}
	if err := atomicfile.WriteFile(ConfigFile, append(text, '\n'), 0o644); err != nil {
		return fmt.Errorf("write the host's configuration: %w", err)
	}
	i.did("wrote %s: traffic is switched by %s", ConfigFile, config.Traffic)
	return nil
}

// ours writes a file that is ours to write, and refuses one that is not.
func (i *installer) ours(path, text string, mode fs.FileMode) (changed bool, err error) {
	there, err := os.ReadFile(path)
	if err == nil && string(there) == text {
		return false, nil
	}
	if err == nil && !bytes.Contains(there, []byte("dokku-agent install")) {
		return false, api.Errorf(api.Configuration, "install", "%s is there and was not written by dokku-agent", path).WithHint("move it away and install again")
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return false, fmt.Errorf("make a folder: %w", err)
	}
	if err := atomicfile.WriteFile(path, []byte(text), mode); err != nil {
		return false, fmt.Errorf("write %s: %w", path, err)
	}
	i.did("wrote %s", path)
	return true, nil
}

// nginx makes the system's nginx include the apps' sites.
func (i *installer) nginx() error {
	config, err := ReadConfig()
	if err != nil {
		return err
	}
	path, text := (&nginx.Nginx{Places: i.places, Config: config.Nginx}).InstallInclude()
	_, err = i.ours(path, text, 0o644)
	return err
}

// ReadConfig reads the host's configuration where only root can write it.
func ReadConfig() (agent.HostConfig, error) {
	var config agent.HostConfig
	text, err := os.ReadFile(ConfigFile)
	if err != nil {
		return config, api.Errorf(api.Configuration, "read the host's configuration", "%w", err).WithHint("run `dokku-agent install` as root once")
	}
	if err := json.Unmarshal(text, &config); err != nil {
		return config, api.Errorf(api.Configuration, "read the host's configuration", "%s: %w", ConfigFile, err)
	}
	return config, nil
}
