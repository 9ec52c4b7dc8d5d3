package doctor

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/dokku-push/dokku-push/agent/plugin"
	"github.com/dokku-push/dokku-push/api"
)

// plugins looks at the enabled ones: what is broken is passed over without a word when
// triggers fire, a refusing user-auth plugin included.
func (d *Doctor) plugins(context.Context) []api.HealthFinding {
	dir := filepath.Join(d.Places.Plugins(), "enabled")
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return []api.HealthFinding{fine(api.HealthPlugins, "none is enabled")}
	} else if err != nil {
		return unknown(api.HealthPlugins, err)
	}
	tree, err := os.Stat(d.Places.Plugins())
	if err != nil {
		return unknown(api.HealthPlugins, err)
	}
	var findings []api.HealthFinding
	count := 0
	for _, entry := range entries {
		path := filepath.Join(dir, entry.Name())
		real, err := filepath.EvalSymlinks(path)
		info, statErr := os.Stat(path)
		if err = errors.Join(err, statErr); err != nil || !info.IsDir() {
			findings = append(findings, fail(api.HealthPlugins, "install it again (plugin:install), or plugin:disable "+entry.Name(),
				"%s is enabled and is not there: its triggers are passed over", entry.Name()))
			continue
		}
		count++
		if !inside(d.Places.CorePlugins(), real) {
			findings = append(findings, d.plugin(entry.Name(), real, info, owner(tree))...)
		}
	}
	return orFine(findings, api.HealthPlugins, "%s enabled", plural(count, "plugin", "plugins"))
}

// plugin judges one that is not of the core.
func (d *Doctor) plugin(name, real string, info fs.FileInfo, user uint32) []api.HealthFinding {
	var findings []api.HealthFinding
	add := func(finding api.HealthFinding) { findings = append(findings, finding) }
	if slices.Contains(plugin.CoreNames(), name) {
		add(warn(api.HealthPlugins, "plugin:disable "+name, "%s bears the name of one of Dokku's own plugins and is another", name))
	}
	if !inside(d.Places.Plugins(), real) {
		add(warn(api.HealthPlugins, "plugin:install puts a plugin where it belongs", "%s lies outside of the plugin tree: %s", name, real))
	}
	if _, err := os.Stat(filepath.Join(real, "plugin.toml")); err != nil {
		add(warn(api.HealthPlugins, "is it a plugin? plugin:install refuses one without", "%s has no plugin.toml", name))
	}
	if owner(info) != user {
		add(warn(api.HealthPlugins, "chown it to the user that the plugin tree belongs to", "%s is another user's (%s)", name, describe(info)))
	}
	if path := writable(real); path != "" {
		add(fail(api.HealthPlugins, "chmod o-w "+path, "everybody on the host can write %s, and the agent runs it", path))
	}
	return findings
}

// writable finds a file of a plugin, or its folder, that everybody can write.
func writable(dir string) string {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return ""
	}
	paths := []string{dir}
	for _, entry := range entries {
		paths = append(paths, filepath.Join(dir, entry.Name()))
	}
	for _, path := range paths {
		if info, err := os.Stat(path); err == nil && info.Mode().Perm()&0o002 != 0 {
			return path
		}
	}
	return ""
}

func owner(info fs.FileInfo) uint32 { return info.Sys().(*syscall.Stat_t).Uid }

// inside tells whether a path is below a folder, however that is linked.
func inside(dir, path string) bool {
	if real, err := filepath.EvalSymlinks(dir); err == nil {
		dir = real
	}
	return strings.HasPrefix(path, filepath.Clean(dir)+"/")
}
