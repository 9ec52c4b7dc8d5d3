package plugin

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/internal/atomicfile"
	"github.com/dokku-push/dokku-push/triggers"
)

const (
	opUninstall = "uninstall the plugin"
	opEnable    = "enable the plugin"
	opDisable   = "disable the plugin"
)

// Uninstall asks every plugin by its uninstall trigger, and removes the plugin when none
// refuses.
func (m *Manager) Uninstall(ctx context.Context, name string) error {
	if err := m.checkOwn(opUninstall, name); err != nil {
		return err
	}
	return m.change(ctx, opUninstall, func() error {
		if err := m.checkInstalled(opUninstall, name); err != nil {
			return err
		}
		if err := m.fire(ctx, "uninstall", name); err != nil {
			if failed, ok := errors.AsType[*triggers.Failure](err); ok && failed.Plugin != name {
				m.warn("Every plugin is asked; %s fails for the name of another. Its file uninstall should end with exit code 0 then", failed.Plugin)
			}
			return err
		}
		return m.remove(name)
	})
}

// Remove removes a plugin without a trigger: `plugn uninstall`.
func (m *Manager) Remove(ctx context.Context, name string) error {
	if err := m.checkOwn(opUninstall, name); err != nil {
		return err
	}
	return m.change(ctx, opUninstall, func() error {
		if err := m.checkInstalled(opUninstall, name); err != nil {
			return err
		}
		return m.remove(name)
	})
}

// remove takes a plugin out of the walk, then out of the list, then off the disk.
func (m *Manager) remove(name string) (err error) {
	if err := atomicfile.Remove(m.enabled(name)); err != nil {
		return fmt.Errorf("%s: %w", opUninstall, err)
	}
	work, err := m.workFolder()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(work)) }()
	if err := os.Rename(m.available(name), filepath.Join(work, name)); err != nil {
		return fmt.Errorf("%s: %w", opUninstall, err)
	}
	m.say("Plugin %s uninstalled", name)
	return nil
}

// Enable takes a plugin into the walk.
func (m *Manager) Enable(ctx context.Context, name string) error {
	if err := m.checkOwn(opEnable, name); err != nil {
		return err
	}
	return m.change(ctx, opEnable, func() error {
		if err := m.checkInstalled(opEnable, name); err != nil {
			return err
		}
		return m.enable(name)
	})
}

// enable makes the link, through a name that no walk reads.
func (m *Manager) enable(name string) error {
	target, place := m.available(name), m.enabled(name)
	if to, err := os.Readlink(place); err == nil && to == target {
		return nil
	}
	if info, err := os.Lstat(place); err == nil && info.Mode()&fs.ModeSymlink == 0 {
		return api.Errorf(api.Precondition, opEnable, "%s is there and is no link", place).WithHint("move it away")
	}
	next := filepath.Join(m.Path, "enabled", "."+name+".new")
	if err := atomicfile.Remove(next); err != nil {
		return fmt.Errorf("%s: %w", opEnable, err)
	}
	if err := errors.Join(os.Symlink(target, next), os.Rename(next, place)); err != nil {
		return fmt.Errorf("%s: %w", opEnable, err)
	}
	m.say("Plugin %s enabled", name)
	return nil
}

// Disable takes a plugin out of the walk; it stays installed.
func (m *Manager) Disable(ctx context.Context, name string) error {
	if err := m.checkOwn(opDisable, name); err != nil {
		return err
	}
	return m.change(ctx, opDisable, func() error {
		if _, err := os.Lstat(m.enabled(name)); errors.Is(err, fs.ErrNotExist) {
			return m.checkInstalled(opDisable, name) // it is disabled
		}
		if err := atomicfile.Remove(m.enabled(name)); err != nil {
			return fmt.Errorf("%s: %w", opDisable, err)
		}
		m.say("Plugin %s disabled", name)
		return nil
	})
}
