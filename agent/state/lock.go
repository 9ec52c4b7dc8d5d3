package state

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/internal/atomicfile"
)

// probing is how long a lock that nobody admits to holding is tried again: somebody
// asks who holds it, or has just taken it and not yet written down who they are.
const probing = time.Second

func (s *Store) holderFile(app string) string { return s.Places.DeployLock(app) + ".holder" }

// Lock takes the app's deploy lock, for which the app need not exist. When another
// holds it, it returns who, or no holder at all when that one does not say.
func (s *Store) Lock(app string, holder api.Lock) (agent.Unlocker, *api.Lock, error) {
	if !isApp(app) {
		return nil, nil, noSuchApp(app)
	}
	for deadline := time.Now().Add(probing); ; time.Sleep(2 * time.Millisecond) {
		file, err := tryLock(s.Places.DeployLock(app), unix.LOCK_EX)
		if err == nil {
			lock := &deployLock{file: file, holderFile: s.holderFile(app), gone: func() error { return s.dropGone(app) }}
			if err := lock.sign(holder); err != nil {
				return nil, nil, errors.Join(err, lock.Unlock())
			}
			return lock, nil, nil
		}
		if !errors.Is(err, errBusy) {
			return nil, nil, err
		}
		if other := s.signed(app); other != nil || time.Now().After(deadline) {
			return nil, other, nil
		}
	}
}

// Holder tells who holds the lock now; nil when it is free. One who does not say is
// an empty api.Lock.
func (s *Store) Holder(app string) (*api.Lock, error) {
	if !isApp(app) {
		return nil, noSuchApp(app)
	}
	if _, err := os.Stat(s.Places.DeployLock(app)); errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	for deadline := time.Now().Add(probing); ; time.Sleep(2 * time.Millisecond) {
		// A shared lock, so that those who ask do not disturb each other.
		file, err := tryLock(s.Places.DeployLock(app), unix.LOCK_SH)
		if err == nil {
			return nil, file.Close()
		}
		if !errors.Is(err, errBusy) {
			return nil, err
		}
		if holder := s.signed(app); holder != nil {
			return holder, nil
		}
		if time.Now().After(deadline) {
			return &api.Lock{}, nil
		}
	}
}

// signed is who has written that they hold the lock, if they live.
func (s *Store) signed(app string) *api.Lock {
	text, err := os.ReadFile(s.holderFile(app))
	if err != nil {
		return nil
	}
	var holder api.Lock
	if json.Unmarshal(text, &holder) != nil || holder.PID <= 0 || syscall.Kill(holder.PID, 0) == syscall.ESRCH {
		return nil
	}
	return &holder
}

// deployLock is a lock that is held: by the open file, so that the kernel frees it
// together with the process.
type deployLock struct {
	mu         sync.Mutex
	file       *os.File // nil: unlocked
	holderFile string
	gone       func() error // removes what the lock itself has made of an app that is no more
}

// sign writes who holds the lock beside it.
func (l *deployLock) sign(holder api.Lock) error {
	text, err := json.Marshal(holder)
	if err == nil {
		text = append(text, '\n')
		err = atomicfile.WriteFile(l.holderFile, text, 0o644)
	}
	if errors.Is(err, unix.ENOSPC) { // into the room of who was killed: a full disk keeps nobody from recovering
		err = os.WriteFile(l.holderFile, text, 0o644)
	}
	if err != nil {
		return fmt.Errorf("write who holds the lock: %w", err)
	}
	return nil
}

// Unlock frees the lock. It may be called again, to no effect; that the app was
// destroyed under the lock is no error.
func (l *deployLock) Unlock() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file == nil {
		return nil
	}
	var err error
	if stillThere(l.file, l.file.Name()) { // else the name beside it is another's
		err = errors.Join(removeFile(l.holderFile), l.gone())
	}
	err = errors.Join(err, l.file.Close())
	l.file = nil
	return err
}

// dropGone removes the deploy lock of an app of which nothing else is left. The caller
// holds it.
func (s *Store) dropGone(app string) error {
	for _, path := range []string{s.Places.App(app), s.Places.AppData(app)} {
		if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
			return nil
		}
	}
	return s.dropLock(app)
}

// dropLock removes the deploy lock, and its folder unless somebody has locked anew.
func (s *Store) dropLock(app string) error {
	err := errors.Join(removeFile(s.holderFile(app)), removeFile(s.Places.DeployLock(app)))
	if err != nil {
		return fmt.Errorf("remove the lock of %s: %w", app, err)
	}
	_ = os.Remove(filepath.Dir(s.Places.DeployLock(app))) // it has the new lock of whoever came in between
	return nil
}

// SweepGone removes the locks of apps that are no more: a Destroy that is killed once the
// app's folder is gone leaves them, and nothing else.
func (s *Store) SweepGone() error {
	var left []string
	for _, pattern := range []string{s.settingsLock("*"), s.Places.DeployLock("*"), s.holderFile("*")} {
		paths, err := filepath.Glob(pattern)
		if err != nil {
			return fmt.Errorf("look for locks of removed apps: %w", err)
		}
		left = append(left, paths...)
	}
	for _, path := range left {
		app := filepath.Base(filepath.Dir(path))
		if !isApp(app) || s.exists(app) {
			continue
		}
		if err := s.sweepGone(app); err != nil {
			return fmt.Errorf("remove the locks of %s, which is no app any more: %w", app, err)
		}
	}
	return nil
}

func (s *Store) sweepGone(app string) error {
	data := s.Places.AppData(app)
	if more, err := besides(data, s.settingsLock(app)); err != nil || len(more) > 0 {
		return err // no Destroy leaves that: drift and doctor tell it
	}
	lock, _, err := s.Lock(app, api.Lock{Key: "watch", PID: os.Getpid(), Since: time.Now()})
	if err != nil || lock == nil {
		return err // somebody is about to make the app anew
	}
	settings, err := tryLock(s.settingsLock(app), unix.LOCK_EX)
	if err == nil && !s.exists(app) {
		err = os.RemoveAll(data)
	}
	if settings != nil {
		err = errors.Join(err, settings.Close())
	}
	if errors.Is(err, errBusy) {
		err = nil
	}
	return errors.Join(err, lock.Unlock()) // which takes the deploy lock's own files along
}
