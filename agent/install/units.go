package install

import (
	_ "embed" // the unit
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/dokku-push/dokku-push/internal/atomicfile"
)

// sudoersText names the root helper's verbs and nothing else: no pattern, no argument.
// What a verb needs it reads from its standard input and checks; it believes only
// ConfigFile.
const sudoersText = `# ` + marker + `: the verbs of the root helper, and nothing else.
%` + User + ` ALL=(root) NOPASSWD: ` + Program + ` root map, ` + Program + ` root nginx-test, ` + Program + ` root nginx-reload, ` + Program + ` root buildkit
Defaults!` + Program + ` !requiretty
`

// unitText is the watch service. It calls the root helper by sudo, so it must be able to
// gain privileges: all of systemd's settings that imply NoNewPrivileges for a service
// with a user (ProtectKernelModules, RestrictRealtime, SystemCallFilter and their like)
// would cut it off from the address map, and nginx's test writes beside nginx's main
// file, so /etc stays writable to root. The package dokku-agent brings the same file.
//
//go:embed dokku-agent.service
var unitText string

// sudoers is checked by visudo before it is live: a broken file there locks everybody out.
func (i *installer) sudoers() error {
	draft := filepath.Join(filepath.Dir(ConfigFile), "sudoers.draft")
	if err := atomicfile.WriteFile(draft, []byte(sudoersText), 0o440); err != nil {
		return fmt.Errorf("write %s: %w", draft, err)
	}
	defer os.Remove(draft)
	if err := i.command("visudo", "--check", "--quiet", "--file", draft); err != nil {
		return fmt.Errorf("check the sudoers file: %w", err)
	}
	_, err := i.ours(Sudoers, sudoersText, 0o440)
	return err
}

// unit writes the watch service.
func (i *installer) unit() error {
	wrote, err := i.ours(Unit, unitText, 0o644)
	if err != nil || !wrote {
		return err
	}
	i.restart = true
	if systemd() {
		return i.command("systemctl", "daemon-reload")
	}
	return nil
}

// systemd tells whether it runs this machine, as sd_booted does.
func systemd() bool {
	_, err := os.Stat("/run/systemd/system")
	return !errors.Is(err, fs.ErrNotExist)
}

// services makes nginx and the watch service run what is installed now. It asks systemd
// how they are: an installation that was interrupted here is finished by the next.
func (i *installer) services() error {
	if !systemd() {
		if i.reload {
			i.Say("systemd does not run this machine: start nginx, or let it read its new include by `nginx -s reload`")
		}
		if i.restart {
			i.Say("systemd does not run this machine: start `%s watch` as %s, now and at boot", Program, User)
		}
		return nil
	}
	watch := filepath.Base(Unit)
	is := func(question, service string) bool {
		return i.command("systemctl", question, "--quiet", service) == nil
	}
	if i.reload || !is("is-active", "nginx.service") {
		if err := i.command("systemctl", "reload-or-restart", "nginx.service"); err != nil {
			return err
		}
		i.did("nginx reads the apps' sites")
	}
	if !is("is-enabled", watch) {
		if err := i.command("systemctl", "enable", watch); err != nil {
			return err
		}
		i.did("enabled %s", watch)
	}
	if i.restart || !is("is-active", watch) {
		if err := i.command("systemctl", "restart", watch); err != nil {
			return err
		}
		i.did("started %s", watch)
	}
	return nil
}
