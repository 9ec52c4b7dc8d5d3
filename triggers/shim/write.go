package shim

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"

	"github.com/dokku-push/dokku-push/internal/atomicfile"
)

// plainPath is what may stand between the quotes of a shell file as it is.
var plainPath = regexp.MustCompile(`^/[A-Za-z0-9/._@:+,-]*$`)

// Write lays the core out below dir ($DOKKU_LIB_ROOT): its folders under core-plugins/available,
// links to them under core-plugins/enabled, plugins/available and plugins/enabled.
// program is asked when DOKKU_SHIM_BIN is not set. Both are absolute and hold no
// character that a shell would read. A file or link that is as it should be is not
// touched; what an earlier version left in a core folder goes. A plugin that is
// installed under a core plugin's name stays, in its place.
func Write(dir, program string) error {
	if err := checkPaths(dir, program); err != nil {
		return err
	}
	core := filepath.Join(dir, "core-plugins", "available")
	all, err := tree(program, core)
	if err != nil {
		return err
	}
	wanted := map[string]bool{}
	for _, one := range all {
		target := filepath.Join(core, filepath.FromSlash(one.path))
		wanted[target] = true
		if err := atomicfile.MkdirAll(filepath.Dir(target), folderMode); err != nil {
			return fmt.Errorf("lay out the core plugins: %w", err)
		}
		if err := writeFile(target, one.text, one.mode); err != nil {
			return fmt.Errorf("lay out the core plugins: %w", err)
		}
	}
	for _, one := range plugins() {
		if err := prune(filepath.Join(core, one.name), wanted); err != nil {
			return fmt.Errorf("clear a core plugin's folder: %w", err)
		}
		if err := links(dir, one.name); err != nil {
			return fmt.Errorf("link the core plugin %s: %w", one.name, err)
		}
	}
	return nil
}

// checkPaths refuses paths that the shell files could not hold.
func checkPaths(paths ...string) error {
	for _, one := range paths {
		if !plainPath.MatchString(one) {
			return fmt.Errorf("lay out the core plugins: %q is not an absolute path of letters, digits and /._@:+,-", one)
		}
	}
	return nil
}

// writeFile writes a file unless it is there with this text and mode.
func writeFile(target string, text []byte, mode fs.FileMode) error {
	info, err := os.Lstat(target)
	if err == nil && info.Mode() == mode { // a regular file with exactly that mode
		if former, err := os.ReadFile(target); err == nil && bytes.Equal(former, text) {
			return nil
		}
	}
	return atomicfile.WriteFile(target, text, mode)
}

// prune removes files that the core no longer has: the walk would run them.
func prune(folder string, wanted map[string]bool) error {
	return filepath.WalkDir(folder, func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || wanted[name] {
			return err
		}
		return atomicfile.Remove(name)
	})
}

// links makes a core plugin's three links, each to the one before.
func links(dir, name string) error {
	at := filepath.Join(dir, "core-plugins", "available", name)
	if err := link(at, filepath.Join(dir, "core-plugins", "enabled", name)); err != nil {
		return err
	}
	taken, err := isForeign(filepath.Join(dir, "plugins", "available", name))
	if err != nil || taken {
		return err
	}
	available := filepath.Join(dir, "plugins", "available", name)
	if err := link(at, available); err != nil {
		return err
	}
	enabled := filepath.Join(dir, "plugins", "enabled", name)
	if taken, err = isForeign(enabled); err != nil || taken {
		return err
	}
	return link(available, enabled)
}

// isForeign tells whether something that is not the core's has a name in plugins/: a
// folder, or a link that leads elsewhere.
func isForeign(place string) (bool, error) {
	info, err := os.Lstat(place)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if info.Mode()&fs.ModeSymlink == 0 {
		return true, nil
	}
	real, err := filepath.EvalSymlinks(place)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil // it leads nowhere: whoever made it is gone
	}
	if err != nil {
		return false, err
	}
	return !slices.Contains(strings.Split(real, string(filepath.Separator)), "core-plugins"), nil
}

// link makes a symlink unless it is there and leads where it should. A former one is
// replaced in one step, through a name that no walk reads.
func link(target, place string) error {
	if to, err := os.Readlink(place); err == nil && to == target {
		return nil
	}
	folder := filepath.Dir(place)
	if err := atomicfile.MkdirAll(folder, folderMode); err != nil {
		return err
	}
	temp := filepath.Join(folder, "."+filepath.Base(place)+".new")
	if err := atomicfile.Remove(temp); err != nil {
		return err
	}
	if err := os.Symlink(target, temp); err != nil {
		return err
	}
	if err := adoptLink(folder, temp); err != nil {
		return err
	}
	return os.Rename(temp, place)
}

// adoptLink gives a link that root makes to the owner of its folder, as atomicfile does
// with files: the whole tree belongs to one user.
func adoptLink(folder, link string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	info, err := os.Stat(folder)
	if err != nil {
		return err
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return nil
	}
	return os.Lchown(link, int(owner.Uid), int(owner.Gid))
}
