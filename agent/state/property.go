package state

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/dokku-push/dokku-push/internal/atomicfile"
)

// This file is Dokku's property store (PLUGIN-CONTRACT 5.3): a file for each property
// of a plugin, for an app or "--global"; a list is a file with one value a line.

// checkProperty refuses names that would leave their folder.
func checkProperty(names ...string) error {
	for _, name := range names {
		if name == "" || strings.HasPrefix(name, ".") || strings.ContainsAny(name, "/\x00\n") || len(name) > 200 {
			return fmt.Errorf("%q cannot be the name of a property, plugin or app", name)
		}
	}
	return nil
}

// locked runs f under the lock of an app's settings. What a plugin keeps for an app
// that does not exist needs none, and leaves no lock file behind.
func (s *Store) locked(app string, f func() error) error {
	if !s.exists(app) {
		return f()
	}
	lock, err := waitLock(s.settingsLock(app))
	if err != nil {
		return err
	}
	return errors.Join(f(), lock.Close())
}

func (s *Store) settingsLock(app string) string {
	return filepath.Join(s.Places.AppData(app), "settings.lock")
}

// Property returns a property's value and whether it is set. One that cannot be read
// is not set.
func (s *Store) Property(plugin, app, key string) (string, bool) {
	value, ok, err := s.readProperty(plugin, app, key)
	return value, ok && err == nil
}

func (s *Store) readProperty(plugin, app, key string) (value string, ok bool, err error) {
	if err := checkProperty(plugin, app, key); err != nil {
		return "", false, err
	}
	text, err := os.ReadFile(s.Places.Property(plugin, app, key))
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, errIsDir) {
		return "", false, nil
	}
	if err != nil {
		return "", false, fmt.Errorf("read a property: %w", err)
	}
	return propertyValue(text), true, nil
}

// propertyValue and propertyText are each other's inverse: one newline at the end of
// the file is not part of the value.
func propertyValue(text []byte) string { return strings.TrimSuffix(string(text), "\n") }

func propertyText(value string) []byte {
	if strings.HasSuffix(value, "\n") {
		value += "\n"
	}
	return []byte(value)
}

// Properties returns all properties of a plugin for an app; lists have a newline
// between their values.
func (s *Store) Properties(plugin, app string) (map[string]string, error) {
	if err := checkProperty(plugin, app); err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(filepath.Dir(s.Places.Property(plugin, app, "any")))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("list the properties: %w", err)
	}
	all := map[string]string{}
	for _, entry := range entries {
		if !entry.Type().IsRegular() || strings.HasPrefix(entry.Name(), ".") {
			continue
		}
		value, ok, err := s.readProperty(plugin, app, entry.Name())
		if err != nil {
			return nil, err
		}
		if ok {
			all[entry.Name()] = value
		}
	}
	return all, nil
}

// SetProperty sets a property. An empty value is a value.
func (s *Store) SetProperty(plugin, app, key, value string) error {
	if err := checkProperty(plugin, app, key); err != nil {
		return err
	}
	return s.locked(app, func() error { return writeFile(s.Places.Property(plugin, app, key), propertyText(value), 0o600) })
}

// DeleteProperty removes a property; one that is not set is no error.
func (s *Store) DeleteProperty(plugin, app, key string) error {
	if err := checkProperty(plugin, app, key); err != nil {
		return err
	}
	return s.locked(app, func() error { return removeFile(s.Places.Property(plugin, app, key)) })
}

// DestroyProperties removes all properties of a plugin for an app, or for all when
// app is "_all_".
func (s *Store) DestroyProperties(plugin, app string) error {
	if err := checkProperty(plugin, app); err != nil {
		return err
	}
	folder := filepath.Dir(s.Places.Property(plugin, app, "any"))
	if app == "_all_" {
		folder = filepath.Dir(folder)
		if s.exists(plugin) {
			return fmt.Errorf("remove the properties of %s: an app of that name keeps its env in %s", plugin, folder)
		}
	}
	if err := os.RemoveAll(folder); err != nil {
		return fmt.Errorf("remove the properties of %s: %w", plugin, err)
	}
	return nil
}

// CloneProperties copies all properties of a plugin from one app to another.
func (s *Store) CloneProperties(plugin, from, to string) error {
	all, err := s.Properties(plugin, from)
	if err != nil {
		return err
	}
	if err := checkProperty(to); err != nil {
		return err
	}
	return s.locked(to, func() error {
		for key := range all {
			text, err := os.ReadFile(s.Places.Property(plugin, from, key))
			if err == nil {
				err = writeFile(s.Places.Property(plugin, to, key), text, 0o600)
			}
			if err != nil {
				return fmt.Errorf("copy a property: %w", err)
			}
		}
		return nil
	})
}

// SetupProperties makes the folder of a plugin's properties.
func (s *Store) SetupProperties(plugin string) error {
	if err := checkProperty(plugin); err != nil {
		return err
	}
	return atomicfile.MkdirAll(filepath.Join(s.Places.Lib, "config", plugin), dirMode)
}

// ListProperty returns the values of a list; one that is not set is empty.
func (s *Store) ListProperty(plugin, app, key string) ([]string, error) {
	if err := checkProperty(plugin, app, key); err != nil {
		return nil, err
	}
	return readList(s.Places.Property(plugin, app, key))
}

// SetListProperty replaces a list. An empty one is removed.
func (s *Store) SetListProperty(plugin, app, key string, values []string) error {
	return s.editList(plugin, app, key, func([]string) []string { return values })
}

// AddListProperty puts a value into a list before the index counted from 0, or at its
// end when the list is not that long or the index is negative.
func (s *Store) AddListProperty(plugin, app, key, value string, index int) error {
	return s.editList(plugin, app, key, func(values []string) []string {
		if index < 0 || index > len(values) {
			index = len(values)
		}
		return slices.Insert(values, index, value)
	})
}

// RemoveListProperty removes a value from a list, wherever it stands.
func (s *Store) RemoveListProperty(plugin, app, key, value string) error {
	return s.editList(plugin, app, key, func(values []string) []string {
		return slices.DeleteFunc(values, func(one string) bool { return one == value })
	})
}

func (s *Store) editList(plugin, app, key string, edit func([]string) []string) error {
	if err := checkProperty(plugin, app, key); err != nil {
		return err
	}
	return s.locked(app, func() error {
		path := s.Places.Property(plugin, app, key)
		values, err := readList(path)
		if err != nil {
			return err
		}
		text, err := listText(edit(values))
		if err != nil {
			return fmt.Errorf("change the property %s of %s: %w", key, plugin, err)
		}
		if text == nil {
			return removeFile(path)
		}
		return writeFile(path, text, 0o600)
	})
}

// readList reads a file with one value a line; a missing one is empty.
func readList(path string) ([]string, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, errIsDir) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read a list: %w", err)
	}
	var values []string
	for line := range strings.Lines(string(text)) {
		if value := strings.TrimRight(line, "\r\n"); value != "" {
			values = append(values, value)
		}
	}
	return values, nil
}

// listText is the file of a list: nil for an empty one.
func listText(values []string) ([]byte, error) {
	var text bytes.Buffer
	for _, value := range values {
		if value == "" || strings.ContainsAny(value, "\r\n\x00") {
			return nil, fmt.Errorf("%q cannot be a line of a list", value)
		}
		text.WriteString(value + "\n")
	}
	return text.Bytes(), nil
}

// writeFile writes a file and makes the folders that it needs.
func writeFile(path string, text []byte, perm fs.FileMode) error {
	if err := atomicfile.MkdirAll(filepath.Dir(path), dirMode); err != nil {
		return err
	}
	return atomicfile.WriteFile(path, text, perm)
}

// removeFile removes a file; that it or its folder is missing is no error.
func removeFile(path string) error {
	if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return atomicfile.Remove(path)
}

// splitProperty splits "plugin/key" of agent.KnownProperty.
func splitProperty(name string) (plugin, key string) {
	plugin, key, _ = strings.Cut(name, "/")
	return plugin, key
}
