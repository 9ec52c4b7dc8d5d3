package plugin

import (
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/dokku-push/dokku-push/api"
)

// CoreNames are Dokku's own plugins. No other can be installed under such a name.
func CoreNames() []string {
	return []string{"00_dokku-standard", "20_events", "app-json", "apps", "builder", "builder-dockerfile", "builder-herokuish", "builder-lambda",
		"builder-nixpacks", "builder-null", "builder-pack", "builder-railpack", "buildpacks", "builds", "caddy-vhosts", "certs", "checks", "common", "config",
		"cron", "docker-options", "domains", "enter", "git", "haproxy-vhosts", "logs", "network", "nginx-vhosts", "openresty-vhosts", "plugin",
		"ports", "proxy", "ps", "registry", "repo", "resource", "run", "scheduler", "scheduler-docker-local", "scheduler-k3s", "scheduler-null",
		"shell", "ssh-keys", "storage", "tags", "tar", "trace", "traefik-vhosts"}
}

// plainName is Dokku's rule, less a leading dash, which programs would read as a flag.
var plainName = regexp.MustCompile(`^[0-9A-Za-z_][0-9A-Za-z_-]{0,63}$`)

// checkName refuses what is no plugin's name: it becomes a folder, a word of commands and
// an argument of programs.
func checkName(op, name string) error {
	if !plainName.MatchString(name) {
		return api.Errorf(api.Usage, op, "%q is no plugin name", name).WithHint("1 to 64 of letters, digits, _ and -, and no - in front; --name NAME names a plugin")
	}
	return nil
}

// checkOwn refuses the core's plugins, which nobody may change. One that somebody has
// put under a core plugin's name is not the core's.
func (m *Manager) checkOwn(op, name string) error {
	if err := checkName(op, name); err != nil {
		return err
	}
	if m.isCore(name) {
		return api.Errorf(api.Refused, op, "%s is a plugin of the core", name).WithHint("only other plugins can be changed")
	}
	return nil
}

// isCore is Dokku's own test (PLUGIN-CONTRACT 1.1); where a core plugin has no folder its
// name tells.
func (m *Manager) isCore(name string) bool {
	for _, place := range []string{m.enabled(name), m.available(name)} {
		if real, err := filepath.EvalSymlinks(place); err == nil {
			return slices.Contains(strings.Split(real, string(filepath.Separator)), "core-plugins")
		}
	}
	return slices.Contains(CoreNames(), name)
}

// nameOf is the name that a source gives its plugin: its last part without what says that
// it is a repository, an archive or for Dokku.
func nameOf(source string) string {
	source = strings.TrimRight(source, "/")
	if at := strings.LastIndexByte(source, ':'); at >= 0 && !strings.Contains(source[at:], "/") {
		source = source[at+1:] // host:repository
	}
	name := path.Base(source)
	for _, end := range []string{".git", ".tar.gz", ".tgz"} {
		name = strings.TrimSuffix(name, end)
	}
	return strings.TrimPrefix(name, "dokku-")
}

func (m *Manager) available(name string) string { return filepath.Join(m.Path, "available", name) }
func (m *Manager) enabled(name string) string   { return filepath.Join(m.Path, "enabled", name) }

// isInstalled tells whether something has the name, even a link that leads nowhere.
func (m *Manager) isInstalled(name string) bool {
	_, err := os.Lstat(m.available(name))
	return err == nil
}

func (m *Manager) isEnabled(name string) bool {
	_, err := os.Stat(m.enabled(name))
	return err == nil
}

// checkInstalled refuses the name of a plugin that is not there.
func (m *Manager) checkInstalled(op, name string) error {
	if !m.isInstalled(name) {
		return api.Errorf(api.Precondition, op, "the plugin %s is not installed", name).WithHint("plugin:list shows those that are")
	}
	return nil
}
