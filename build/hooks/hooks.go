// Package hooks fires the triggers of Dokku's plugins that run where an image is built,
// around whichever builder builds it: from post-extract to post-build. Plugins get what
// they get on a host of Dokku's: a tree that is theirs to change, which is a copy of the
// project's, the environment of PLUGIN-CONTRACT 2.2, and the core's shell files, whose
// questions this package answers from the manifest. It builds nothing itself and never
// changes the project's folder.
//
// Without a plugin that ships such a trigger nothing is copied: the Room is then the
// project's folder itself.
package hooks

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/manifest"
)

// Folder is where a project has plugins of its own, relative to it.
const Folder = ".dokku/plugins"

// Options say whose image is built, and which plugins have a part in it.
type Options struct {
	Dir      string // the project's folder, absolute
	App      *manifest.App
	Name     string // of the app
	Revision string // commit id, empty when there is none
	// Paths are further folders of plugins: one that has plugins in it, one that is a
	// plugin, or a plugn tree with its enabled/.
	Paths []string
	// Distrust leaves the plugins of the project's own Folder alone.
	Distrust bool
	// CacheDir is where the copy is made. Each app of each folder has one place below it,
	// so that builders which know a tree by its path find their caches again.
	CacheDir string
	// Host is set where the build is on a host: plugins then are the host's own, with its
	// environment and all that they can ask there, and the tree is theirs as it is.
	Host *Host
	// Read reads the project's manifest; it is asked again once post-extract was fired.
	Read func(fs.FS) (*manifest.App, error)
	// Version is the program's, for plugins that ask.
	Version string
	// Program answers the shell files; empty: this one.
	Program string
	// Getenv is where the values of secrets come from, which never show.
	Getenv func(string) (string, bool)
	// Output receives what plugins print, a line at a time. Never nil.
	Output func(line string)
}

// Host is what a host says to a build.
type Host struct {
	// Options are docker's for the build that the app has there, a line each.
	Options []string
}

// fired are the triggers of the build side, in the order in which they are fired.
var fired = [...]string{"post-extract", "builder-detect", "pre-receive-app", "pre-build-buildpack", "pre-build-dockerfile", "pre-build",
	"builder-create-dokku-image", "builder-dokku-image", "docker-args-build", "docker-args-process-build", "post-build-buildpack", "post-build-dockerfile", "post-build"}

// Plugin is a plugin that was found.
type Plugin struct {
	Name     string
	Dir      string   // absolute
	Triggers []string // of the build side, that it ships
	Idle     []string // those whose file is not executable
}

// String names the plugin and what it does here.
func (p Plugin) String() string {
	return p.Name + " (" + strings.Join(p.Triggers, ", ") + ")"
}

// Find lists the plugins in the order of their names. A folder that is not there and
// two plugins of one name are api.Configuration.
func Find(o Options) ([]Plugin, error) {
	var all []Plugin
	add := func(dirs []string) error {
		for _, dir := range dirs {
			one := look(dir)
			if n := slices.IndexFunc(all, func(other Plugin) bool { return other.Name == one.Name }); n >= 0 {
				return api.Errorf(api.Configuration, "find the plugins", "two are named %s: %s and %s", one.Name, all[n].Dir, dir).
					WithHint("the folder's name is the plugin's: rename one, or leave it out")
			}
			all = append(all, one)
		}
		return nil
	}
	if own := filepath.Join(o.Dir, filepath.FromSlash(Folder)); !o.Distrust && isFolder(own) {
		dirs, err := pluginsIn(own)
		if err != nil {
			return nil, err
		}
		if err := add(dirs); err != nil {
			return nil, err
		}
	}
	for _, said := range o.Paths {
		dirs, err := pluginsAt(said)
		if err != nil {
			return nil, err
		}
		if err := add(dirs); err != nil {
			return nil, err
		}
	}
	slices.SortFunc(all, func(a, b Plugin) int { return strings.Compare(a.Name, b.Name) })
	return all, nil
}

// Acting are those of the plugins that ship a trigger of the build side.
func Acting(all []Plugin) []Plugin {
	return slices.DeleteFunc(slices.Clone(all), func(one Plugin) bool { return len(one.Triggers) == 0 })
}

// pluginsAt lists the plugins of a folder that --plugin-path names.
func pluginsAt(said string) ([]string, error) {
	path, err := filepath.Abs(said)
	if err != nil || !isFolder(path) {
		return nil, api.Errorf(api.Configuration, "find the plugins", "there is no folder %s", said).
			WithHint("--plugin-path names a folder with plugins in it, or a plugin")
	}
	if isFolder(filepath.Join(path, "enabled")) {
		dirs, err := pluginsIn(filepath.Join(path, "enabled"))
		return slices.DeleteFunc(dirs, isCore), err
	}
	if isPlugin(path) {
		return []string{path}, nil
	}
	return pluginsIn(path)
}

// pluginsIn lists the folders of a folder, links to folders among them.
func pluginsIn(folder string) ([]string, error) {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return nil, api.Errorf(api.Configuration, "find the plugins", "%w", err)
	}
	var dirs []string
	for _, entry := range entries {
		if dir := filepath.Join(folder, entry.Name()); !strings.HasPrefix(entry.Name(), ".") && isFolder(dir) {
			dirs = append(dirs, dir)
		}
	}
	return dirs, nil
}

// isPlugin tells a plugin's own folder from one that holds plugins.
func isPlugin(dir string) bool {
	if _, err := os.Stat(filepath.Join(dir, "plugin.toml")); err == nil {
		return true
	}
	one := look(dir)
	return len(one.Triggers)+len(one.Idle) > 0
}

// isCore is Dokku's own test (PLUGIN-CONTRACT 1.1).
func isCore(dir string) bool {
	real, err := filepath.EvalSymlinks(dir)
	return err == nil && strings.Contains(real, "core-plugins")
}

// look reads what a plugin ships.
func look(dir string) Plugin {
	one := Plugin{Name: filepath.Base(dir), Dir: dir}
	for _, trigger := range fired {
		info, err := os.Stat(filepath.Join(dir, trigger))
		switch {
		case err != nil || !info.Mode().IsRegular():
		case info.Mode().Perm()&0o111 == 0:
			one.Idle = append(one.Idle, trigger)
		default:
			one.Triggers = append(one.Triggers, trigger)
		}
	}
	return one
}

func isFolder(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}
