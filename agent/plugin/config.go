package plugin

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"

	"github.com/BurntSushi/toml"

	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/internal/atomicfile"
	"github.com/dokku-push/dokku-push/triggers"
)

var configKey = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_-]{0,127}$`)

const opConfig = "configure the plugin"

func (m *Manager) configFile() string { return filepath.Join(m.Path, "config.toml") }

// values reads config.toml: what was set, by plugin and key.
func (m *Manager) values() (map[string]map[string]any, error) {
	values := map[string]map[string]any{}
	_, err := toml.DecodeFile(m.configFile(), &values)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		if broken, ok := errors.AsType[toml.ParseError](err); ok {
			return nil, api.Errorf(api.Configuration, opConfig, "%s:%d: %s", m.configFile(), broken.Position.Line, broken.Message)
		}
		return nil, fmt.Errorf("%s: %w", opConfig, err)
	}
	return values, nil
}

// Config is a key of a plugin as its hooks find it; false: nobody has set it and
// plugin.toml has no default.
func (m *Manager) Config(name, key string) (string, bool, error) {
	if err := checkName(opConfig, name); err != nil {
		return "", false, err
	}
	values, err := m.values()
	if err != nil {
		return "", false, err
	}
	if value, ok := values[name][key]; ok {
		return fmt.Sprint(value), true, nil
	}
	var file struct {
		Plugin struct {
			Config map[string]any `toml:"config"`
		} `toml:"plugin"`
	}
	if _, err := toml.DecodeFile(filepath.Join(m.available(name), "plugin.toml"), &file); err != nil {
		return "", false, nil // its hooks run without, too
	}
	value, ok := file.Plugin.Config[key]
	if !ok {
		return "", false, nil
	}
	return fmt.Sprint(value), true, nil
}

// SetConfig writes a key of a plugin into config.toml.
func (m *Manager) SetConfig(ctx context.Context, name, key, value string) error {
	if err := checkName(opConfig, name); err != nil {
		return err
	}
	if !configKey.MatchString(key) {
		return api.Errorf(api.Usage, opConfig, "%q is no key", key)
	}
	return m.change(ctx, opConfig, func() error {
		values, err := m.values()
		if err != nil {
			return err
		}
		if values[name] == nil {
			values[name] = map[string]any{}
		}
		values[name][key] = value
		var text bytes.Buffer
		if err := toml.NewEncoder(&text).Encode(values); err != nil {
			return fmt.Errorf("%s: %w", opConfig, err)
		}
		if err := atomicfile.WriteFile(m.configFile(), text.Bytes(), 0o644); err != nil {
			return fmt.Errorf("%s: %w", opConfig, err)
		}
		return nil
	})
}

// Exports are the CONFIG_ variables that a plugin's hooks get, KEY=VALUE each.
func (m *Manager) Exports(name string) ([]string, error) {
	if err := checkName(opConfig, name); err != nil {
		return nil, err
	}
	walk := triggers.Walk{Path: m.Path, Env: triggers.Environment()}
	return walk.Config(name), nil
}

// Init makes the tree's folders and config.toml.
func (m *Manager) Init(ctx context.Context) error {
	return m.change(ctx, "make the plugin tree", func() error {
		if _, err := os.Lstat(m.configFile()); err == nil {
			return nil
		}
		return atomicfile.WriteFile(m.configFile(), nil, 0o644)
	})
}
