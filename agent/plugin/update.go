package plugin

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/dokku-push/dokku-push/api"
)

const opUpdate = "update the plugin"

// Update brings one plugin, or all that are not the core's when name is empty, to what
// their repositories say now, and then runs every plugin's update trigger. A version that
// is no plugin, or whose own trigger fails, is taken back.
func (m *Manager) Update(ctx context.Context, name, committish string) error {
	names, err := m.toUpdate(name, committish)
	if err != nil {
		return err
	}
	return m.change(ctx, opUpdate, func() error {
		for _, one := range names {
			if err := m.replace(ctx, one, committish, "update"); err != nil {
				return err
			}
		}
		return m.fire(ctx, "update")
	})
}

// Pull is Update of one plugin without a trigger: `plugn update`.
func (m *Manager) Pull(ctx context.Context, name, committish string) error {
	if _, err := m.toUpdate(name, committish); err != nil || name == "" {
		return errors.Join(err, checkName(opUpdate, name))
	}
	return m.change(ctx, opUpdate, func() error { return m.replace(ctx, name, committish, "") })
}

func (m *Manager) toUpdate(name, committish string) ([]string, error) {
	if name == "" {
		all, err := m.List(context.Background())
		if err != nil {
			return nil, err
		}
		var names []string
		for _, one := range all {
			if !one.Core {
				names = append(names, one.Name)
			}
		}
		return names, nil
	}
	return []string{name}, errors.Join(m.checkOwn(opUpdate, name), m.checkInstalled(opUpdate, name), checkCommittish(opUpdate, committish))
}

// replace makes the new version beside the one that is there and puts it in its place. If
// the plugin's own trigger then fails, the former one comes back.
func (m *Manager) replace(ctx context.Context, name, committish, trigger string) (err error) {
	if !isRepository(m.available(name)) {
		m.say("Plugin %s is no git repository: it is not updated", name)
		return nil
	}
	work, err := m.workFolder()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(work)) }()
	fresh, former := filepath.Join(work, "new"), filepath.Join(work, "former")
	if err := copyTree(opUpdate, m.available(name), fresh); err != nil {
		return err
	}
	if committish == "" {
		if text, err := os.ReadFile(filepath.Join(fresh, pinFile)); err == nil {
			committish = strings.TrimSpace(string(text))
		}
		if err := checkCommittish(opUpdate, committish); err != nil {
			return err
		}
	}
	pinned, err := pull(ctx, fresh, committish)
	if err != nil {
		return err
	}
	if pinned {
		m.say("Plugin %s is pinned to a commit: name a committish to update it", name)
		return nil
	}
	if err := inspect(opUpdate, fresh, name); err != nil {
		return err
	}
	if _, err := describe(opUpdate, fresh, name); err != nil {
		return err
	}
	m.say("Plugin %s updated", name)
	return m.swap(ctx, name, fresh, former, trigger)
}

// swap puts a new version in a plugin's place and keeps the former one until its trigger
// went well.
func (m *Manager) swap(ctx context.Context, name, fresh, former, trigger string) error {
	place := m.available(name)
	if err := os.Rename(place, former); err != nil {
		return fmt.Errorf("%s: %w", opUpdate, err)
	}
	if err := os.Rename(fresh, place); err != nil {
		return errors.Join(fmt.Errorf("%s: %w", opUpdate, err), os.Rename(former, place))
	}
	if trigger != "install" || m.isEnabled(name) {
		return nil
	}
	if err := m.candidate(ctx, name, trigger); err != nil {
		return errors.Join(api.Errorf(api.HookFailed, opUpdate, "%w", err), os.Rename(place, fresh), os.Rename(former, place))
	}
	return nil
}
