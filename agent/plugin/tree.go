package plugin

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	archives "github.com/dokku-push/dokku-push/agent/archive"
	"github.com/dokku-push/dokku-push/api"
)

// What a plugin may be made of at most.
const (
	mostBytes = 512 << 20
	mostFiles = 20000
)

// inspect refuses a folder that is no plugin's: something other than files, folders and
// links that stay inside, or too much of them. What git keeps for itself it made itself.
func inspect(op, dir, shown string) error {
	var bytes int64
	files := 0
	return filepath.WalkDir(dir, func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return fmt.Errorf("%s: %w", op, err)
		}
		inside, err := filepath.Rel(dir, name)
		if err != nil {
			return fmt.Errorf("%s: %w", op, err)
		}
		refuse := func(what string) error {
			return api.Errorf(api.Refused, op, "%s: %s", filepath.Join(shown, inside), what)
		}
		if inside == ".git" {
			if !entry.IsDir() {
				return refuse("is no repository of its own")
			}
			return fs.SkipDir
		}
		info, err := entry.Info()
		if err != nil {
			return fmt.Errorf("%s: %w", op, err)
		}
		files++
		bytes += info.Size()
		switch {
		case files > mostFiles:
			return refuse(fmt.Sprintf("there are more than %d files", mostFiles))
		case bytes > mostBytes:
			return refuse(fmt.Sprintf("there are more than %d MiB", mostBytes>>20))
		case entry.Type()&fs.ModeSymlink != 0:
			target, err := os.Readlink(name)
			if err != nil {
				return fmt.Errorf("%s: %w", op, err)
			}
			if !archives.StaysInside(inside, target) {
				return refuse("a link that leads out of the plugin")
			}
		case !entry.IsDir() && !entry.Type().IsRegular():
			return refuse("is no file")
		}
		return nil
	})
}

// copyTree copies the files, folders and links of a folder into one that is not there.
// Nobody but their owner may write the copies.
func copyTree(op, from, to string) error {
	var bytes int64
	files := 0
	return filepath.WalkDir(from, func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return fmt.Errorf("%s: %w", op, err)
		}
		inside, err := filepath.Rel(from, name)
		if err != nil {
			return fmt.Errorf("%s: %w", op, err)
		}
		info, err := entry.Info()
		if err != nil {
			return fmt.Errorf("%s: %w", op, err)
		}
		files, bytes = files+1, bytes+info.Size()
		if files > 10*mostFiles || bytes > 2*mostBytes { // with a repository's objects
			return api.Errorf(api.Refused, op, "%s is too much for a plugin", from)
		}
		if err := copyOne(name, filepath.Join(to, inside), info); err != nil {
			return fmt.Errorf("%s: %w", op, err)
		}
		return nil
	})
}

func copyOne(from, to string, info fs.FileInfo) error {
	mode := info.Mode().Perm() &^ 0o022
	switch {
	case info.IsDir():
		return errors.Join(os.Mkdir(to, 0o755), os.Chmod(to, mode|0o700))
	case info.Mode()&fs.ModeSymlink != 0:
		target, err := os.Readlink(from)
		if err != nil {
			return err
		}
		return os.Symlink(target, to)
	case !info.Mode().IsRegular():
		return fmt.Errorf("%s is no file", from)
	}
	source, err := os.Open(from)
	if err != nil {
		return err
	}
	defer source.Close()
	target, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode|0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(target, source)
	return errors.Join(err, target.Chmod(mode|0o600), target.Close())
}
