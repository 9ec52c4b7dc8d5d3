package plugin

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/dokku-push/dokku-push/api"
)

const opInstall = "install the plugin"

// Wanted is a plugin to install.
type Wanted struct {
	URL        string
	Committish string // a branch, a tag or a commit; empty: the repository's own choice
	Name       string // empty: what the URL says
	// SkipTrigger leaves the install triggers out.
	SkipTrigger bool
}

// Install fetches a plugin, runs its install trigger, enables it, and runs the install
// triggers of the others as Dokku does. If it cannot be fetched, is no plugin or fails in
// its own trigger, nothing of it is left. When another's trigger fails it stays, and the
// failure is returned.
func (m *Manager) Install(ctx context.Context, wanted Wanted) error {
	from, name, err := m.check(wanted)
	if err != nil {
		return err
	}
	return m.change(ctx, opInstall, func() error {
		if m.isInstalled(name) {
			if err := m.again(ctx, from, name, wanted); err != nil {
				return err
			}
		} else if err := m.fresh(ctx, from, name, wanted); err != nil {
			return err
		}
		if wanted.SkipTrigger {
			return m.enable(name)
		}
		// The new plugin's own trigger was run already, so that it can be enabled after it.
		others := m.fire(ctx, "install")
		if err := errors.Join(others, m.enable(name)); err != nil {
			return fmt.Errorf("the plugin %s is installed; %w", name, err)
		}
		return nil
	})
}

// check reads what is wanted.
func (m *Manager) check(wanted Wanted) (source, string, error) {
	from, err := parseSource(opInstall, wanted.URL)
	if err != nil {
		return from, "", err
	}
	name := wanted.Name
	if name == "" {
		name = nameOf(wanted.URL)
	}
	if err := checkName(opInstall, name); err != nil {
		return from, "", err
	}
	if m.isCore(name) || slices.Contains(CoreNames(), name) {
		return from, "", api.Errorf(api.Refused, opInstall, "%s is the name of a plugin of the core", name).WithHint("--name NAME gives it another")
	}
	return from, name, checkCommittish(opInstall, wanted.Committish)
}

// fresh puts a plugin that is not there in its place, ready and not enabled.
func (m *Manager) fresh(ctx context.Context, from source, name string, wanted Wanted) (err error) {
	work, err := m.workFolder()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(work)) }()
	m.say("Fetching plugin %s", name)
	dir := filepath.Join(work, name)
	if err := m.fetch(ctx, opInstall, from, wanted.Committish, name, dir); err != nil {
		return err
	}
	if err := move(work, "install", name, dir, m.available(name)); err != nil {
		return fmt.Errorf("%s: %w", opInstall, err)
	}
	if wanted.SkipTrigger {
		return nil
	}
	if err := m.candidate(ctx, name, "install"); err != nil {
		return errors.Join(err, os.Rename(m.available(name), dir)) // the folder goes with the work
	}
	return nil
}

// again is the installation of a plugin that is there: it may have been cut off.
func (m *Manager) again(ctx context.Context, from source, name string, wanted Wanted) error {
	if from.kind != repository || origin(ctx, m.available(name)) != from.from {
		return api.Errorf(api.Precondition, opInstall, "a plugin %s is installed already, from elsewhere", name).
			WithHint("plugin:uninstall %s first, or --name NAME gives the new one another name", name)
	}
	m.say("Plugin %s already installed", name)
	renewed := &renewal{}
	if wanted.Committish != "" {
		var err error
		if renewed, err = m.renew(ctx, name, wanted.Committish); err != nil {
			return err
		}
	}
	if wanted.SkipTrigger || wanted.Committish == "" && m.isEnabled(name) {
		return renewed.end()
	}
	err := m.candidate(ctx, name, "install")
	if err != nil {
		err = errors.Join(err, renewed.takeBack())
	}
	return errors.Join(err, renewed.end())
}

// InstallAll runs the install trigger of every plugin.
func (m *Manager) InstallAll(ctx context.Context) error {
	return m.change(ctx, "install the plugins", func() error { return m.fire(ctx, "install") })
}

// Dependencies runs the dependencies trigger of every plugin.
func (m *Manager) Dependencies(ctx context.Context) error {
	return m.change(ctx, "install the plugins' dependencies", func() error { return m.fire(ctx, "dependencies") })
}

// Fetch installs a plugin and neither enables it nor runs a trigger: `plugn install`.
func (m *Manager) Fetch(ctx context.Context, wanted Wanted) error {
	wanted.SkipTrigger = true
	from, name, err := m.check(wanted)
	if err != nil {
		return err
	}
	return m.change(ctx, opInstall, func() error {
		if m.isInstalled(name) {
			return m.again(ctx, from, name, wanted)
		}
		return m.fresh(ctx, from, name, wanted)
	})
}
