package install

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/agent/state"
	"github.com/dokku-push/dokku-push/internal/atomicfile"
)

// sudoersText names the root helper's verbs and nothing else. The helper checks its
// arguments itself and believes only ConfigFile.
const sudoersText = `# ` + marker + `: the verbs of the root helper, and nothing else.
%dokku ALL=(root) NOPASSWD: ` + Program + ` root map, ` + Program + ` root nginx-test, ` + Program + ` root nginx-test *, ` + Program + ` root nginx-reload *
Defaults!` + Program + ` !requiretty
`

// unitText is the watch service. It needs sudo for the root helper, so privileges may
// be gained; everything else is closed.
const unitText = `# ` + marker + `.
[Unit]
Description=dokku-agent: keeps traffic and containers together
Documentation=https://github.com/dokku-push/dokku-push
After=network.target docker.service nginx.service
Wants=docker.service

[Service]
User=` + User + `
Environment=DOKKU_ROOT=/home/dokku DOKKU_LIB_ROOT=/var/lib/dokku
ExecStart=` + Program + ` watch
Restart=always
RestartSec=2
PrivateTmp=yes
ProtectKernelModules=yes
RestrictRealtime=yes

[Install]
WantedBy=multi-user.target
`

// sudoers is checked by visudo before it is live: a broken file there locks everybody out.
func (i *installer) sudoers() error {
	if there, err := os.ReadFile(Sudoers); err == nil && string(there) == sudoersText {
		return nil
	}
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

// unit writes the watch service and starts it where systemd runs the machine.
func (i *installer) unit() error {
	changed, err := i.ours(Unit, unitText, 0o644)
	if err != nil || !changed {
		return err
	}
	if _, err := os.Stat("/run/systemd/system"); errors.Is(err, fs.ErrNotExist) {
		i.Say("systemd does not run this machine: start `%s watch` as %s at boot", Program, User)
		return nil
	}
	for _, argv := range [][]string{{"systemctl", "daemon-reload"}, {"systemctl", "enable", "--now", filepath.Base(Unit)}, {"systemctl", "reload", "nginx"}} {
		if err := i.command(argv...); err != nil {
			return err
		}
	}
	i.did("started %s", filepath.Base(Unit))
	return nil
}

// domain sets the global domain that apps get theirs under.
func (i *installer) domain() error {
	if i.Domain == "" {
		return nil
	}
	return SetDomains(i.places, []string{i.Domain}, func() { i.did("apps answer at APP.%s", i.Domain) })
}

// SetDomains writes the global domains; changed is called when they were others.
func SetDomains(places agent.Places, domains []string, changed func()) error {
	before, _, err := (&state.Store{Places: places}).Change("--global", func(now *agent.Settings) error {
		now.Domains = domains
		return nil
	})
	if err != nil {
		return fmt.Errorf("write the global domains: %w", err)
	}
	if !slices.Equal(before.Domains, domains) {
		changed()
	}
	return nil
}
