// Package store keeps the layers and manifests that clients send for an app
// until the engine has pulled them: the push side of the OCI distribution API,
// and a listener from which the engine takes one image. It is no registry: it
// knows nothing of users, serves nobody but its own engine, and forgets a layer
// once the engine has it.
//
// Every ssh channel is a process of its own, so all state is files:
//
//	DIR/lock                             shared to add, exclusive to remove
//	DIR/blobs/sha256/HEX                 a blob, whatever apps hold it
//	DIR/apps/APP/blobs/HEX               empty: the app holds that blob
//	DIR/apps/APP/manifests/HEX           a manifest's bytes
//	DIR/apps/APP/manifests/HEX.json      what the manifest says, see record
//	DIR/apps/APP/tags/TAG                a manifest's digest
//	DIR/apps/APP/uploads/ID              bytes that have arrived so far
//	DIR/apps/APP/uploads/ID.sum          the checksum up to a point, see upload
package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/dokku-push/dokku-push/agent"
)

var _ agent.Blobs = (*Store)(nil)

// Store is a folder of received layers. Any number of processes may use one.
type Store struct {
	Dir string
	// Has says that the engine already has a compressed layer of that app; nil
	// means that it never has.
	Has func(ctx context.Context, app, layer string) bool
	// Quota is how many bytes one app may keep here; 0 means no limit. Uploads
	// that run at the same time may exceed it by leaseBytes each.
	Quota int64
}

// Layer is one layer of a manifest that the store knows, whether its blob is
// still here or not.
type Layer struct {
	Digest   string // of the compressed blob
	DiffID   string // of the uncompressed tar
	Size     int64  // compressed, in bytes
	Manifest string // the manifest that names it
}

// errUnknown is a blob, manifest or upload that is not here.
var errUnknown = errors.New("not in the store")

// The forms of names that become part of a path.
var (
	appForm    = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{0,127}$`)
	digestForm = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)
	tagForm    = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$`)
	uploadForm = regexp.MustCompile(`^[0-9a-f]{32}$`)
)

func hexOf(digest string) string { return strings.TrimPrefix(digest, "sha256:") }

func (s *Store) blobPath(digest string) string {
	return filepath.Join(s.Dir, "blobs", "sha256", hexOf(digest))
}

func (s *Store) appDir(app string) string { return filepath.Join(s.Dir, "apps", app) }

func (s *Store) refPath(app, digest string) string {
	return filepath.Join(s.appDir(app), "blobs", hexOf(digest))
}

func (s *Store) manifestPath(app, digest string) string {
	return filepath.Join(s.appDir(app), "manifests", hexOf(digest))
}

// Layers lists the layers of every manifest that the app has sent and the
// store still knows, also of those that Drop was called for.
func (s *Store) Layers(app string) ([]Layer, error) {
	records, err := s.records(app)
	if err != nil {
		return nil, err
	}
	var layers []Layer
	for _, r := range records {
		for _, l := range r.Layers {
			layers = append(layers, Layer{Digest: l.Digest, DiffID: l.DiffID, Size: l.Size, Manifest: r.Digest})
		}
	}
	return layers, nil
}

// Image returns the config digest, which is the image id, of a manifest that
// the app has sent. The error wraps agent.ErrNotFound when it never did.
func (s *Store) Image(app, manifest string) (configDigest string, err error) {
	r, err := s.record(app, manifest)
	if errors.Is(err, errUnknown) {
		return "", fmt.Errorf("manifest %s of app %s: %w", manifest, app, agent.ErrNotFound)
	}
	if err != nil {
		return "", err
	}
	return r.Config, nil
}

// Drop forgets the layers of a manifest that the engine has pulled, unless
// another app or another manifest that waits for its pull needs them. The
// manifest and its config stay, as the record of what was sent. Dropping twice
// is no error.
func (s *Store) Drop(app, manifest string) error {
	unlock, err := s.lock(true)
	if err != nil {
		return err
	}
	defer unlock()
	dropped, err := s.record(app, manifest)
	if errors.Is(err, errUnknown) {
		return nil
	}
	if err != nil {
		return err
	}
	dropped.Dropped = true
	if err := s.writeRecord(app, dropped); err != nil {
		return err
	}
	records, err := s.records(app)
	if err != nil {
		return err
	}
	needed := map[string]bool{}
	for _, r := range records {
		needed[r.Config] = true
		for _, l := range r.Layers {
			needed[l.Digest] = needed[l.Digest] || !r.Dropped
		}
	}
	for _, l := range dropped.Layers {
		if needed[l.Digest] {
			continue
		}
		if err := s.release(app, l.Digest); err != nil {
			return err
		}
	}
	return nil
}

// Forget removes everything of an app, unfinished uploads too.
func (s *Store) Forget(app string) error {
	if !appForm.MatchString(app) {
		return fmt.Errorf("forget the layers of %q: not an app's name", app)
	}
	unlock, err := s.lock(true)
	if err != nil {
		return err
	}
	defer unlock()
	held, err := names(filepath.Join(s.appDir(app), "blobs"))
	if err != nil {
		return err
	}
	for _, hex := range held {
		if err := s.release(app, "sha256:"+hex); err != nil {
			return err
		}
	}
	return wrap("forget the app's layers", os.RemoveAll(s.appDir(app)))
}

// release takes a blob from an app and removes it when no other app holds it.
// The caller has the lock for itself.
func (s *Store) release(app, digest string) error {
	if err := remove(s.refPath(app, digest)); err != nil {
		return err
	}
	held, err := s.heldByAny(digest)
	if err != nil || held {
		return err
	}
	return remove(s.blobPath(digest))
}

func (s *Store) heldByAny(digest string) (bool, error) {
	apps, err := names(filepath.Join(s.Dir, "apps"))
	if err != nil {
		return false, err
	}
	for _, app := range apps {
		_, err := os.Stat(s.refPath(app, digest))
		if err == nil {
			return true, nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return false, fmt.Errorf("look who holds a layer: %w", err)
		}
	}
	return false, nil
}
