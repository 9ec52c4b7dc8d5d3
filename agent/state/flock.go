package state

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/internal/atomicfile"
)

// patience is how long to wait for a lock that is only ever held for a moment.
const patience = 30 * time.Second

var errBusy = errors.New("locked by another")

// tryLock takes the lock of a file, which is made when it is not there, or returns
// errBusy. The lock ends when the file is closed, or with the process. A file that was
// removed or replaced while it was being locked is not the lock any more: it is
// taken anew.
func tryLock(path string, how int) (*os.File, error) {
	for {
		file, err := openLock(path)
		if err != nil {
			return nil, fmt.Errorf("open the lock: %w", err)
		}
		err = unix.Flock(int(file.Fd()), how|unix.LOCK_NB)
		if err == nil && stillThere(file, path) {
			return file, nil
		}
		_ = file.Close() // nothing was written
		switch {
		case errors.Is(err, unix.EWOULDBLOCK):
			return nil, errBusy
		case err != nil && !errors.Is(err, unix.EINTR):
			return nil, fmt.Errorf("lock %s: %w", path, err)
		}
	}
}

func openLock(path string) (*os.File, error) {
	for again := 100; ; again-- {
		file, err := os.OpenFile(path, os.O_RDWR, 0)
		if !errors.Is(err, fs.ErrNotExist) {
			return file, err
		}
		err = atomicfile.MkdirAll(filepath.Dir(path), dirMode)
		if err == nil {
			err = atomicfile.CreateFile(path, nil, 0o600)
		}
		if gone := errors.Is(err, fs.ErrNotExist) && again > 0; err != nil && !gone && !errors.Is(err, fs.ErrExist) {
			return nil, err // else another has made it, or its folder went with an app
		}
	}
}

func stillThere(file *os.File, path string) bool {
	open, err := file.Stat()
	if err != nil {
		return false
	}
	named, err := os.Stat(path)
	return err == nil && os.SameFile(open, named)
}

// waitLock takes a lock that others hold for moments only.
func waitLock(path string) (*os.File, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for {
		file, err := tryLock(path, unix.LOCK_EX)
		if !errors.Is(err, errBusy) {
			return file, err
		}
		select {
		case <-ctx.Done():
			return nil, api.Errorf(api.Locked, "lock the settings", "%s has been locked by another process for %s", path, patience).
				WithHint("which process holds it: fuser -v %s", path)
		case <-time.After(2 * time.Millisecond):
		}
	}
}
