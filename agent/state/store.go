// Package state keeps what a host knows of its apps in files, in the places where
// Dokku keeps them (PLUGIN-CONTRACT 5.3 and 5.8), so that plugins find and change
// them: env, domains, properties; and the agent's own releases, journals and locks.
// It decides nothing about them.
package state

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/internal/atomicfile"
)

// global is the name under which a host's own settings are kept.
const global = "--global"

// dirMode is of all folders; what is secret in them is 0600.
const dirMode = 0o755

// Store is a host's files. It implements agent.SettingsStore and agent.Ledger and
// may be used by any number of goroutines and processes at once.
type Store struct{ Places agent.Places }

var (
	_ agent.SettingsStore = (*Store)(nil)
	_ agent.Ledger        = (*Store)(nil)
)

// reserved are folders in the root that are no apps.
var reserved = []string{"tls"}

// isApp tells whether a name can be an app's. More is asked of new ones elsewhere;
// here it is what keeps a path inside its folder.
func isApp(name string) bool {
	if name == "" || len(name) > 200 || slices.Contains(reserved, name) || strings.ContainsAny(name, "/\x00\n") {
		return false
	}
	first := name[0]
	return first >= 'a' && first <= 'z' || first >= '0' && first <= '9'
}

// Apps lists all apps, sorted: the folders of the root whose name can be an app's.
func (s *Store) Apps() ([]string, error) {
	entries, err := os.ReadDir(s.Places.Root)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list the apps: %w", err)
	}
	var apps []string
	for _, entry := range entries {
		if isApp(entry.Name()) && s.exists(entry.Name()) {
			apps = append(apps, entry.Name())
		}
	}
	slices.Sort(apps)
	return apps, nil
}

// Has tells whether there is an app of that name.
func (s *Store) Has(app string) bool { return app != global && s.exists(app) }

// exists tells whether there is such an app. "--global" always is there.
func (s *Store) exists(app string) bool {
	if app == global {
		return true
	}
	info, err := os.Stat(s.Places.App(app))
	return isApp(app) && err == nil && info.IsDir()
}

func noSuchApp(app string) error { return fmt.Errorf("app %s: %w", app, agent.ErrNotFound) }

// Create makes the app's folder, which is what makes it an app; all else is made
// when something is written. An app that exists is fs.ErrExist.
func (s *Store) Create(app string) error {
	if !isApp(app) {
		return api.Errorf(api.Precondition, "create the app", "%q cannot be the name of an app", app)
	}
	if err := atomicfile.MkdirAll(s.Places.Root, dirMode); err != nil {
		return err
	}
	err := os.Mkdir(s.Places.App(app), dirMode) // one of several that try at once succeeds
	if err != nil {
		return fmt.Errorf("create the app %s: %w", app, err)
	}
	return atomicfile.Adopt(s.Places.App(app), dirMode)
}

// corePlugins keep folders of an app under data/PLUGIN/APP. Not among them is
// storage: what an app has stored outlives it, as in Dokku.
var corePlugins = []string{"app-json", "apps", "builder", "builder-dockerfile", "builder-pack", "certs", "checks", "common", "config",
	"cron", "docker-options", "domains", "git", "logs", "network", "nginx-vhosts", "ports", "proxy", "ps", "registry", "resource",
	"scheduler", "scheduler-docker-local", "tags"}

// Destroy removes every file of the app: settings and properties, releases and
// journals. The app's own folder goes last, so that one that was cut short can be
// called again; after it only the locks, for until then nobody else may have them. An
// app that does not exist is agent.ErrNotFound.
func (s *Store) Destroy(app string) error {
	if app == global || !s.exists(app) {
		return noSuchApp(app)
	}
	lock, err := waitLock(s.settingsLock(app))
	if err != nil {
		return fmt.Errorf("destroy %s: %w", app, err)
	}
	defer lock.Close()
	folders, err := s.propertyFolders(app)
	if err != nil {
		return fmt.Errorf("destroy %s: %w", app, err)
	}
	locks := filepath.Dir(s.Places.DeployLock(app))
	for _, plugin := range corePlugins {
		if folder := filepath.Join(s.Places.Lib, "data", plugin, app); folder != locks {
			folders = append(folders, folder)
		}
	}
	beside, err := besides(locks, s.Places.DeployLock(app), s.holderFile(app))
	if err != nil {
		return fmt.Errorf("destroy %s: %w", app, err)
	}
	own, err := besides(s.Places.AppData(app), s.settingsLock(app))
	if err != nil {
		return fmt.Errorf("destroy %s: %w", app, err)
	}
	folders = slices.Concat(folders, beside, own)
	if err := s.destroyEnv(app); err != nil {
		return fmt.Errorf("destroy %s: %w", app, err)
	}
	// The folder with the lock goes when there is no app any more: who waits for it would
	// else make another, and change what is being removed.
	for _, folder := range append(folders, s.Places.App(app), s.Places.AppData(app)) {
		err := os.RemoveAll(folder)
		for again := 100; errors.Is(err, syscall.ENOTEMPTY) && again > 0; again-- { // a lock that somebody has just made, and finds no app for
			err = os.RemoveAll(folder)
		}
		if err != nil {
			return fmt.Errorf("destroy %s: %w", app, err)
		}
	}
	return s.dropLock(app)
}

// besides lists what is in a folder, but for some paths. A folder that is not there is empty.
func besides(dir string, kept ...string) (paths []string, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for _, entry := range entries {
		if path := filepath.Join(dir, entry.Name()); !slices.Contains(kept, path) {
			paths = append(paths, path)
		}
	}
	return paths, nil
}

// Sweep removes the temporary files that killed processes have left among the app's.
func (s *Store) Sweep(app string) error {
	if !isApp(app) {
		return noSuchApp(app)
	}
	folders, err := s.propertyFolders(app)
	if err != nil {
		return fmt.Errorf("look for temporary files of %s: %w", app, err)
	}
	folders = append(folders, s.Places.App(app), filepath.Dir(s.Places.Env(app)), s.Places.AppData(app),
		filepath.Dir(s.Places.DeployLock(app)), filepath.Dir(s.Places.NginxLoaded(app)))
	for _, folder := range folders {
		if err := atomicfile.Sweep(folder); err != nil {
			return err
		}
	}
	return nil
}

// propertyFolders are the folders config/PLUGIN/APP of all plugins.
func (s *Store) propertyFolders(app string) ([]string, error) {
	plugins, err := os.ReadDir(filepath.Join(s.Places.Lib, "config"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var folders []string
	for _, plugin := range plugins {
		folder := filepath.Dir(s.Places.Property(plugin.Name(), app, "any"))
		if info, err := os.Lstat(folder); err == nil && info.IsDir() {
			folders = append(folders, folder)
		}
	}
	return folders, err
}

// destroyEnv removes config/APP. An app may have the name of a plugin, whose
// properties are then in the same folder: those of other apps stay.
func (s *Store) destroyEnv(app string) error {
	if err := atomicfile.Remove(s.Places.Env(app)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	folder := filepath.Dir(s.Places.Env(app))
	entries, err := os.ReadDir(folder)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if slices.ContainsFunc(entries, func(e fs.DirEntry) bool { return e.IsDir() && e.Name() != app }) {
		return nil
	}
	return os.RemoveAll(folder)
}
