package shim

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Scratch lays the core out as Write does, in a folder without one that is thrown away soon:
// nothing is synced to the disk, which is most of the time that Write takes. A plugin
// under a core plugin's name stays, in its place.
func Scratch(dir, program string) error {
	if err := checkPaths(dir, program); err != nil {
		return err
	}
	core := filepath.Join(dir, "core-plugins", "available")
	all, err := tree(program, core)
	if err != nil {
		return err
	}
	for _, one := range all {
		target := filepath.Join(core, filepath.FromSlash(one.path))
		err := os.MkdirAll(filepath.Dir(target), folderMode)
		if err == nil {
			err = os.WriteFile(target, one.text, one.mode)
		}
		if err == nil {
			err = os.Chmod(target, one.mode) // whatever the umask
		}
		if err != nil {
			return fmt.Errorf("lay out the core plugins: %w", err)
		}
	}
	for _, folder := range []string{"core-plugins/enabled", "plugins/available", "plugins/enabled"} {
		if err := os.MkdirAll(filepath.Join(dir, folder), folderMode); err != nil {
			return fmt.Errorf("lay out the core plugins: %w", err)
		}
	}
	for _, one := range plugins() {
		if err := scratchLinks(dir, one.name); err != nil {
			return fmt.Errorf("link the core plugin %s: %w", one.name, err)
		}
	}
	return nil
}

// scratchLinks makes a core plugin's three links, each to the one before, up to one that
// somebody else has.
func scratchLinks(dir, name string) error {
	at, available := filepath.Join(dir, "core-plugins", "available", name), filepath.Join(dir, "plugins", "available", name)
	for _, link := range [][2]string{{at, filepath.Join(dir, "core-plugins", "enabled", name)}, {at, available}, {available, filepath.Join(dir, "plugins", "enabled", name)}} {
		if err := os.Symlink(link[0], link[1]); errors.Is(err, fs.ErrExist) {
			return nil
		} else if err != nil {
			return err
		}
	}
	return nil
}
