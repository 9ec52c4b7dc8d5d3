package store

import (
	"context"
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

// Sweep removes what nothing came for in that time: unfinished uploads, layers
// that were sent and never pulled, blobs that no app holds, and the records of
// pulled images that the engine no longer has. A layer removed too early is
// asked for again, so this is never a dead end. It returns how many files were
// removed, also beside an error.
func (s *Store) Sweep(age time.Duration) (removed int, err error) {
	if _, err := os.Stat(s.Dir); errors.Is(err, fs.ErrNotExist) {
		return 0, nil // nothing was ever received
	}
	unlock, err := s.lock(true)
	if err != nil {
		return 0, err
	}
	defer unlock()
	w := sweep{store: s, before: time.Now().Add(-age)}
	apps, err := names(filepath.Join(s.Dir, "apps"))
	if err != nil {
		return 0, err
	}
	for _, app := range apps {
		w.app(app)
	}
	w.blobs()
	return w.removed, errors.Join(w.errs...)
}

// Tidy removes the temporary files that killed processes have left among an app's.
func (s *Store) Tidy(app string) error {
	if !appForm.MatchString(app) {
		return fmt.Errorf("tidy the layers of %q: not an app's name", app)
	}
	return atomicfile.Sweep(s.appDir(app))
}

// sweep is one run; it goes on after an error and keeps it.
type sweep struct {
	store   *Store
	before  time.Time
	removed int
	errs    []error
}

func (w *sweep) fail(err error) bool {
	if err != nil {
		w.errs = append(w.errs, err)
	}
	return err != nil
}

// remove removes a file when it is old.
func (w *sweep) remove(path string) {
	if !olderThan(path, w.before) {
		return
	}
	if !w.fail(remove(path)) {
		w.removed++
	}
}

func (w *sweep) app(app string) {
	dir := w.store.appDir(app)
	w.uploads(filepath.Join(dir, "uploads"))
	for _, sub := range []string{"blobs", "manifests", "tags"} {
		w.temps(filepath.Join(dir, sub))
	}
	w.manifests(app)
	records, err := w.store.records(app)
	if w.fail(err) {
		return
	}
	configs := map[string]bool{}
	for _, r := range records {
		configs[hexOf(r.Config)] = true
	}
	held, err := names(filepath.Join(dir, "blobs"))
	if w.fail(err) {
		return
	}
	for _, hex := range held {
		if !configs[hex] {
			w.remove(filepath.Join(dir, "blobs", hex))
		}
	}
}

// uploads removes old uploads, except one that is being written to.
func (w *sweep) uploads(dir string) {
	ids, err := names(dir)
	if w.fail(err) {
		return
	}
	w.temps(dir)
	for _, id := range ids {
		path := filepath.Join(dir, id)
		if strings.HasSuffix(id, sumSuffix) {
			if _, err := os.Lstat(strings.TrimSuffix(path, sumSuffix)); errors.Is(err, fs.ErrNotExist) {
				w.remove(path)
			}
			continue
		}
		if !olderThan(path, w.before) || busy(path) {
			continue
		}
		w.remove(path)
		w.fail(remove(path + sumSuffix))
	}
}

// manifests removes records that help nobody any more: pulled, and then
// removed from the engine.
func (w *sweep) manifests(app string) {
	if w.store.Has == nil {
		return
	}
	records, err := w.store.records(app)
	if w.fail(err) {
		return
	}
	for _, r := range records {
		path := w.store.manifestPath(app, r.Digest)
		if !r.Dropped || !olderThan(path+".json", w.before) || w.engineHas(app, r) {
			continue
		}
		w.remove(path + ".json")
		w.remove(path)
	}
}

func (w *sweep) engineHas(app string, r record) bool {
	for _, l := range r.Layers {
		if !w.store.Has(context.Background(), app, l.Digest) {
			return false
		}
	}
	return true
}

// blobs removes blobs that no app holds.
func (w *sweep) blobs() {
	dir := filepath.Join(w.store.Dir, "blobs", "sha256")
	w.temps(dir)
	list, err := names(dir)
	if w.fail(err) {
		return
	}
	for _, hex := range list {
		held, err := w.store.heldByAny("sha256:" + hex)
		if !w.fail(err) && !held {
			w.remove(filepath.Join(dir, hex))
		}
	}
}

// temps removes old files that were never finished.
func (w *sweep) temps(dir string) {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		w.fail(fmt.Errorf("list the layer store: %w", err))
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") { // not complete yet, or never to be
			w.remove(filepath.Join(dir, e.Name()))
		}
	}
}

// busy says whether another process writes to an upload now.
func busy(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	return flock(f, unix.LOCK_EX|unix.LOCK_NB) != nil
}
