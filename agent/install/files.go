package install

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/internal/atomicfile"
)

// marker stands in every file that is ours to replace.
const marker = "Written by dokku-agent install"

// mostKept is how much of a file that is there is looked at, in bytes.
const mostKept = 1 << 20

// program copies the running program to its place and gives it its second name.
func (i *installer) program() error {
	self, err := os.ReadFile(i.Self)
	if err != nil {
		return fmt.Errorf("read the agent's program: %w", err)
	}
	wrote, err := i.rooted(Program, self, 0o755)
	if err != nil {
		return err
	}
	i.restart = i.restart || wrote
	if !exists(Link) {
		if err := os.Symlink(Program, Link); err != nil {
			return fmt.Errorf("link %s: %w", Link, err)
		}
		i.did("linked %s", Link)
	}
	return i.names()
}

// Names are the further names of the program, which plugins call (PLUGIN-CONTRACT 5.9).
func Names() []string { return []string{"plugn", "pluginhook", "sshcommand", "sigil"} }

// names links them beside the program. Another's program of such a name stays.
func (i *installer) names() error {
	for _, name := range Names() {
		place := filepath.Join(filepath.Dir(Link), name)
		if to, err := os.Readlink(place); err == nil && to == Program {
			continue
		}
		if exists(place) {
			i.Say("%s is another program's and stays; plugins that call %s get that one", place, name)
			continue
		}
		if err := os.Symlink(Program, place); err != nil {
			return fmt.Errorf("link %s: %w", place, err)
		}
		i.did("linked %s", place)
	}
	return nil
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return !errors.Is(err, fs.ErrNotExist)
}

// rooted makes path a file of root's with this content and mode: sudo and systemd run
// or believe it, so nobody else may own it, whoever put it there before.
func (i *installer) rooted(path string, content []byte, mode fs.FileMode) (wrote bool, err error) {
	info, err := os.Lstat(path)
	if err == nil && info.Mode() == mode && owner(info) == 0 {
		if there, err := os.ReadFile(path); err == nil && bytes.Equal(there, content) {
			return false, nil
		}
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return false, fmt.Errorf("make a folder: %w", err)
	}
	if err := os.Lchown(path, 0, 0); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, fmt.Errorf("write %s: %w", path, err) // what replaces a file gets its owner
	}
	if err := atomicfile.WriteFile(path, content, mode); err != nil {
		return false, fmt.Errorf("write %s: %w", path, err)
	}
	if err := os.Lchown(path, 0, 0); err != nil {
		return false, fmt.Errorf("write %s: %w", path, err)
	}
	i.did("wrote %s", path)
	return true, nil
}

func owner(info fs.FileInfo) int {
	return int(info.Sys().(*syscall.Stat_t).Uid)
}

// ours writes a file that is ours to write, and refuses one that is not.
func (i *installer) ours(path, text string, mode fs.FileMode) (wrote bool, err error) {
	if there, err := os.ReadFile(path); err == nil && !bytes.Contains(there[:min(len(there), mostKept)], []byte(marker)) {
		return false, api.Errorf(api.Configuration, opInstall, "%s is there and was not written by dokku-agent", path).WithHint("move it away and install again")
	}
	return i.rooted(path, []byte(text), mode)
}

// folders makes the trees of PLUGIN-CONTRACT 1.1 and 5.8.
func (i *installer) folders() error {
	p := i.places
	for _, one := range []struct {
		path string
		mode fs.FileMode
	}{
		{p.Root, 0o755}, {filepath.Join(p.Root, ".ssh"), 0o700}, {p.Lib, 0o755}, {filepath.Join(p.Lib, "data"), 0o755}, {p.Data(), 0o755},
		{filepath.Join(p.Lib, "config"), 0o755}, {p.Plugins(), 0o755}, {filepath.Join(p.Plugins(), "available"), 0o755},
		{filepath.Join(p.Plugins(), "enabled"), 0o755}, {p.CorePlugins(), 0o755}, {filepath.Join(p.CorePlugins(), "available"), 0o755},
		{filepath.Join(p.CorePlugins(), "enabled"), 0o755}, {p.Logs, 0o755}, {filepath.Join(p.Data(), "nginx.d"), 0o755},
	} {
		if err := i.folder(one.path, one.mode); err != nil {
			return err
		}
	}
	return nil
}

// folder makes one folder the dokku user's. One that an interrupted installation left
// to root is finished. Only root's links are followed: another's could lead to anybody's.
func (i *installer) folder(path string, mode fs.FileMode) error {
	info, err := os.Lstat(path)
	if err == nil && info.Mode()&fs.ModeSymlink != 0 && owner(info) == 0 {
		info, err = os.Stat(path)
	}
	if err == nil && !info.IsDir() {
		return api.Errorf(api.Configuration, opInstall, "%s is there and is no folder", path).WithHint("move it away and install again")
	}
	if err == nil && owner(info) == i.uid {
		return nil
	}
	if err == nil && owner(info) != 0 {
		return api.Errorf(api.Configuration, opInstall, "%s belongs to another user than %s", path, User).WithHint("move it away and install again")
	}
	if err := os.Mkdir(path, mode); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("make a folder: %w", err)
	}
	if err := errors.Join(os.Chmod(path, mode), os.Chown(path, i.uid, i.gid)); err != nil {
		return fmt.Errorf("make a folder: %w", err)
	}
	i.did("made %s", path)
	return nil
}

// files are sshcommand's two (PLUGIN-CONTRACT 3.1), and the name that Dokku's plugins
// read. What is there stays. They get the owner of the folder they are in.
func (i *installer) files() error {
	name, err := os.Hostname()
	if err != nil {
		return fmt.Errorf("find the host's name: %w", err)
	}
	for _, one := range []struct {
		path, text string
		mode       fs.FileMode
	}{
		{filepath.Join(i.places.Root, ".sshcommand"), Link + "\n", 0o644},
		{filepath.Join(i.places.Root, ".ssh", "authorized_keys"), "", 0o600},
		{filepath.Join(i.places.Root, "HOSTNAME"), name + "\n", 0o644},
	} {
		if exists(one.path) {
			continue
		}
		if err := atomicfile.WriteFile(one.path, []byte(one.text), one.mode); err != nil {
			return fmt.Errorf("write a file: %w", err)
		}
		i.did("wrote %s", one.path)
	}
	return nil
}
