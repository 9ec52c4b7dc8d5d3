package plugin

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
)

// Plugin is one installed plugin, in the words of `plugin:list --format json`.
type Plugin struct {
	Name        string `json:"name"`
	Version     string `json:"version"`
	Enabled     bool   `json:"enabled"`
	Core        bool   `json:"core"`
	Description string `json:"description"`
	SourceURL   string `json:"source_url"`
	Committish  string `json:"committish"` // the commit that is there
	Branch      string `json:"branch"`     // empty: it is pinned, or no repository
}

// Line is the plugin as `plugn list` prints it.
func (p Plugin) Line() string {
	status := "disabled"
	if p.Enabled {
		status = "enabled"
	}
	return strings.TrimRight(fmt.Sprintf("  %-20s %-5s %-10s %s", p.Name, p.Version, status, p.Description), " ")
}

// List returns the installed plugins by name, without where they come from.
func (m *Manager) List(context.Context) ([]Plugin, error) {
	entries, err := os.ReadDir(filepath.Join(m.Path, "available"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("list the plugins: %w", err)
	}
	list := []Plugin{}
	for _, entry := range entries {
		name := entry.Name()
		if info, err := os.Stat(m.available(name)); err != nil || !info.IsDir() || strings.HasPrefix(name, ".") {
			continue // nothing that a walk would read
		}
		one := Plugin{Name: name, Enabled: m.isEnabled(name), Core: m.isCore(name)}
		if said, err := describe("list the plugins", m.available(name), name); err == nil {
			one.Version, one.Description = oneLine(said.version), oneLine(said.text)
		}
		list = append(list, one)
	}
	return list, nil
}

// ShellFiles are the files of enabled plugins that others source: NAME/NAME.sh, by name.
func (m *Manager) ShellFiles(ctx context.Context) ([]string, error) {
	list, err := m.List(ctx)
	var files []string
	for _, one := range list {
		file := filepath.Join(m.enabled(one.Name), one.Name+".sh")
		if info, err := os.Stat(file); one.Enabled && err == nil && info.Mode().IsRegular() {
			files = append(files, file)
		}
	}
	return files, err
}

// Sources fills in where the plugins of a list come from, as git says.
func (m *Manager) Sources(ctx context.Context, list []Plugin) {
	for n := range list {
		one, dir := &list[n], m.available(list[n].Name)
		if one.Core || !isRepository(dir) {
			continue
		}
		one.SourceURL = shown(origin(ctx, dir))
		one.Committish, _ = git(ctx, "-C", dir, "rev-parse", "--verify", "--quiet", "HEAD") // none: nothing to show
		one.Branch, _ = git(ctx, "-C", dir, "symbolic-ref", "--quiet", "--short", "HEAD")   // none: it is pinned
	}
}

// shown is an address without a password, which an older installation may have left in it.
func shown(address string) string {
	if parsed, err := url.Parse(address); err == nil && parsed.User != nil {
		return parsed.Redacted()
	}
	return address
}

// Installed tells whether there is a plugin of that name.
func (m *Manager) Installed(name string) bool {
	return plainName.MatchString(name) && m.isInstalled(name)
}

// Pinned is the branch, tag or commit that a plugin was asked to stand at; empty: none was.
func (m *Manager) Pinned(name string) string {
	text, err := os.ReadFile(filepath.Join(m.available(name), pinFile))
	if err != nil || !plainName.MatchString(name) {
		return ""
	}
	return strings.TrimSpace(string(text))
}
