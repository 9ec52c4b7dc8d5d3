package hooks

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// choice says what becomes of an entry of the tree.
type choice struct {
	leave   bool // it is left out
	descend bool // a folder that is left out may hold something that is not
}

// copyTree copies a folder's files, folders and links, with their modes and times, to a
// folder that is there. No file of the copy is a hard link: what changes it changes
// nothing else. choose, which may be nil, is asked for every entry, by its path relative
// to the folder, with slashes.
func copyTree(ctx context.Context, from, to string, choose func(name string, entry fs.DirEntry) (choice, error)) error {
	c := &copier{from: from, to: to, choose: choose}
	return c.folder(ctx, ".")
}

type copier struct {
	from, to string
	choose   func(name string, entry fs.DirEntry) (choice, error)
}

func (c *copier) folder(ctx context.Context, folder string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	entries, err := os.ReadDir(filepath.Join(c.from, folder))
	if err != nil {
		return err
	}
	for _, entry := range entries {
		name := path.Join(folder, entry.Name())
		if c.choose != nil {
			chosen, err := c.choose(name, entry)
			if err != nil {
				return err
			}
			if chosen.leave {
				if !chosen.descend || !entry.IsDir() {
					continue
				}
				if err := c.folder(ctx, name); err != nil {
					return err
				}
				continue
			}
		}
		if err := c.entry(ctx, name, entry); err != nil {
			return err
		}
	}
	return nil
}

// entry copies one entry. What is no file, folder or link cannot be in an image, and is
// passed over.
func (c *copier) entry(ctx context.Context, name string, entry fs.DirEntry) error {
	source, target := filepath.Join(c.from, name), filepath.Join(c.to, name)
	info, err := entry.Info()
	if err != nil {
		return err
	}
	if err := c.parents(path.Dir(name)); err != nil {
		return err
	}
	switch info.Mode().Type() {
	case fs.ModeDir:
		if err := os.Mkdir(target, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
		if err := c.folder(ctx, name); err != nil {
			return err
		}
		if err := os.Chmod(target, info.Mode()); err != nil {
			return err
		}
	case fs.ModeSymlink:
		to, err := os.Readlink(source)
		if err != nil {
			return err
		}
		if err := os.Symlink(to, target); err != nil {
			return err
		}
	case 0:
		if err := copyFile(source, target, info.Mode()); err != nil {
			return err
		}
	default:
		return nil
	}
	return setTime(target, info)
}

// parents makes the folders above an entry that were left out themselves.
func (c *copier) parents(folder string) error {
	target := filepath.Join(c.to, folder)
	if folder == "." || isFolder(target) {
		return nil
	}
	if err := c.parents(path.Dir(folder)); err != nil {
		return err
	}
	info, err := os.Stat(filepath.Join(c.from, folder))
	if err != nil {
		return err
	}
	return os.Mkdir(target, info.Mode().Perm()|0o700)
}

func copyFile(source, target string, mode fs.FileMode) (err error) {
	in, err := os.Open(source)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }() // it was only read
	out, err := os.OpenFile(target, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	if err == nil {
		err = out.Chmod(mode)
	}
	return errors.Join(err, out.Close())
}

// setTime gives an entry another's time, a link its own: it ends up in a layer.
func setTime(target string, info fs.FileInfo) error {
	at := unix.NsecToTimespec(info.ModTime().UnixNano())
	if err := unix.UtimesNanoAt(unix.AT_FDCWD, target, []unix.Timespec{at, at}, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return fmt.Errorf("set the time of %s: %w", target, err)
	}
	return nil
}

// clearFolder empties a folder, folders that may not be written to among it.
func clearFolder(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	var problems []error
	for _, entry := range entries {
		place := filepath.Join(dir, entry.Name())
		if os.RemoveAll(place) == nil {
			continue
		}
		_ = filepath.WalkDir(place, func(name string, entry fs.DirEntry, err error) error {
			if entry != nil && entry.IsDir() {
				_ = os.Chmod(name, 0o700) // what it was for, removing says
			}
			return nil
		})
		problems = append(problems, os.RemoveAll(place))
	}
	return errors.Join(problems...)
}
