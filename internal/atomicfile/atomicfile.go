// Package atomicfile replaces files so that a reader, and the next boot, sees
// either the former content or the new one. It is not for files that are appended to.
//
// Files and folders that root makes belong to whom the replaced file belonged,
// else to the owner of the folder they are in: plugins that run as dokku can read and
// change what a command of root has written.
package atomicfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// WriteFile makes path hold data with exactly the mode perm. It returns when both
// are on disk. After an error path is as it was, unless it was only the folder that
// could not be synced.
func WriteFile(path string, data []byte, perm fs.FileMode) error {
	temp, err := write(path, data, perm)
	if err == nil {
		err = named("replace", path, os.Rename(temp, path))
	}
	return finish(path, temp, err)
}

// CreateFile is WriteFile for a path that must not be there: the error is
// fs.ErrExist if it is. Of several that create it at once one succeeds.
func CreateFile(path string, data []byte, perm fs.FileMode) error {
	temp, err := write(path, data, perm)
	if err == nil {
		err = named("create", path, os.Link(temp, path))
	}
	if err != nil {
		return finish(path, temp, err)
	}
	if err := os.Remove(temp); err != nil {
		return fmt.Errorf("remove a temporary file: %w", err)
	}
	return syncDir(filepath.Dir(path))
}

// Remove removes a file or an empty folder, and returns when that is on disk. One
// that is not there is no error.
func Remove(path string) error {
	err := os.Remove(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("remove a file: %w", err)
	}
	return syncDir(filepath.Dir(path))
}

// MkdirAll makes a folder and those above it that are missing, with exactly the
// mode perm, and returns when they are on disk.
func MkdirAll(path string, perm fs.FileMode) error {
	info, err := os.Stat(path)
	if err == nil && info.IsDir() {
		return nil
	}
	if err == nil {
		return fmt.Errorf("make a folder: %w", &fs.PathError{Op: "mkdir", Path: path, Err: syscall.ENOTDIR})
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("make a folder: %w", err)
	}
	if err := MkdirAll(filepath.Dir(path), perm); err != nil {
		return err
	}
	return Mkdir(path, perm)
}

// Mkdir makes one folder with exactly the mode perm; one that another makes at the
// same time is as good.
func Mkdir(path string, perm fs.FileMode) error {
	err := os.Mkdir(path, 0o755)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("make a folder: %w", err)
	}
	return Adopt(path, perm)
}

// write puts data into a temporary file beside path. Its name is returned as soon
// as there is one, with an error too.
func write(path string, data []byte, perm fs.FileMode) (temp string, err error) {
	file, err := os.CreateTemp(filepath.Dir(path), fmt.Sprintf(".%s.new-%d-", filepath.Base(path), os.Getpid()))
	if err != nil {
		return "", fmt.Errorf("write beside %s: %w", path, err)
	}
	_, err = file.Write(data)
	if err == nil {
		err = adopt(file.Chown, path, filepath.Dir(path))
	}
	if err == nil {
		err = file.Chmod(perm)
	}
	if err == nil {
		err = file.Sync()
	}
	if err := errors.Join(err, file.Close()); err != nil {
		return file.Name(), fmt.Errorf("write beside %s: %w", path, err)
	}
	return file.Name(), nil
}

// finish syncs the folder of a path that was replaced, or removes what was to
// replace it.
func finish(path, temp string, err error) error {
	if err == nil {
		return syncDir(filepath.Dir(path))
	}
	if temp != "" {
		if left := os.Remove(temp); left != nil && !errors.Is(left, fs.ErrNotExist) {
			return errors.Join(err, fmt.Errorf("remove a temporary file: %w", left))
		}
	}
	return err
}

// adopt gives what is new the owner of the first of others that is there, when
// this process may do so.
func adopt(chown func(uid, gid int) error, others ...string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	for _, other := range others {
		info, err := os.Lstat(other)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		owner := info.Sys().(*syscall.Stat_t)
		return chown(int(owner.Uid), int(owner.Gid))
	}
	return nil
}

func syncDir(path string) error {
	dir, err := os.Open(path)
	if err == nil {
		err = errors.Join(dir.Sync(), dir.Close())
	}
	return named("sync the folder", path, err)
}

func named(verb, path string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s %s: %w", verb, path, err)
}

// Adopt gives a folder that the caller has just made its owner and mode, as Mkdir does,
// and syncs the folder it is in.
func Adopt(path string, perm fs.FileMode) error {
	err := adopt(func(uid, gid int) error { return os.Lchown(path, uid, gid) }, filepath.Dir(path))
	if err == nil {
		err = os.Chmod(path, perm)
	}
	if err != nil {
		return fmt.Errorf("make a folder: %w", err)
	}
	return syncDir(filepath.Dir(path))
}
