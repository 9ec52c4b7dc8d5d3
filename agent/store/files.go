package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/dokku-push/dokku-push/internal/atomicfile"
)

// lock takes the store's lock: shared by those who add, alone for those who
// remove, so that nothing is removed between being found and being used.
func (s *Store) lock(alone bool) (unlock func(), err error) {
	if err := os.MkdirAll(s.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the layer store: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(s.Dir, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the layer store's lock: %w", err)
	}
	how := unix.LOCK_SH
	if alone {
		how = unix.LOCK_EX
	}
	if err := flock(f, how); err != nil {
		f.Close()
		return nil, fmt.Errorf("lock the layer store: %w", err)
	}
	return func() { f.Close() }, nil
}

// flock repeats the call when a signal interrupts it.
func flock(f *os.File, how int) error {
	for {
		err := unix.Flock(int(f.Fd()), how)
		if !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// writeFile puts data at path, whole or not at all.
func writeFile(path string, data []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("make a folder of the layer store: %w", err)
	}
	return wrap("write to the layer store", atomicfile.WriteFile(path, data, 0o600))
}

// rename moves a synced file to its place and syncs the folder.
func rename(from, to string) error {
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return fmt.Errorf("make a folder of the layer store: %w", err)
	}
	if err := os.Rename(from, to); err != nil {
		return fmt.Errorf("rename in the layer store: %w", err)
	}
	dir, err := os.Open(filepath.Dir(to))
	if err != nil {
		return fmt.Errorf("sync a folder of the layer store: %w", err)
	}
	defer dir.Close()
	return wrap("sync a folder of the layer store", dir.Sync())
}

// names lists a folder's entries without temporary files; a folder that is not
// there has none.
func names(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("list the layer store: %w", err)
	}
	var list []string
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), ".") {
			list = append(list, e.Name())
		}
	}
	return list, nil
}

// remove removes a file; one that is not there is no error.
func remove(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove from the layer store: %w", err)
	}
	return nil
}

// olderThan says whether a file was last written before a moment; one that is
// not there is not.
func olderThan(path string, moment time.Time) bool {
	info, err := os.Stat(path)
	return err == nil && info.ModTime().Before(moment)
}

func wrap(doing string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", doing, err)
}
