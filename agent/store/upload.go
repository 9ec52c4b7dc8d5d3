package store

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

const (
	sumSuffix  = ".sum"
	leaseBytes = 16 << 20 // between two looks at the quota
)

var (
	errBusy     = errors.New("another connection writes to this upload")
	errQuota    = errors.New("the app's quota of stored layers is used up")
	errMismatch = errors.New("the bytes that arrived have another digest")
)

// upload is a blob that is arriving. Its length on disk is its offset. The
// checksum's state is saved beside it after every request; what a crash left
// out of it is read again from the file.
type upload struct {
	store *Store
	app   string
	path  string
	file  *os.File
	size  int64
	sum   hash.Hash
}

type savedSum struct {
	Offset int64  `json:"offset"`
	State  []byte `json:"state"`
}

func (s *Store) uploadPath(app, id string) string {
	return filepath.Join(s.appDir(app), "uploads", id)
}

// newUpload makes an empty upload and returns its id.
func (s *Store) newUpload(app string) (id string, err error) {
	id = newSecret()
	path := s.uploadPath(app, id)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return "", fmt.Errorf("begin an upload: %w", err)
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return "", fmt.Errorf("begin an upload: %w", err)
	}
	return id, wrap("begin an upload", f.Close())
}

// newSecret is 128 random bits in hex.
func newSecret() string {
	var b [16]byte
	rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

// openUpload opens an upload for one writer; errBusy when there is another,
// errUnknown when the app has no such upload.
func (s *Store) openUpload(app, id string) (*upload, error) {
	path := s.uploadPath(app, id)
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errUnknown
	}
	if err != nil {
		return nil, fmt.Errorf("open an upload: %w", err)
	}
	u := &upload{store: s, app: app, path: path, file: f}
	if err := u.prepare(); err != nil {
		f.Close()
		return nil, err
	}
	return u, nil
}

// prepare takes the upload for this process and brings its checksum up to date.
func (u *upload) prepare() error {
	err := flock(u.file, unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return errBusy
	}
	if err != nil {
		return fmt.Errorf("lock an upload: %w", err)
	}
	// Between open and lock the former writer may have finished it.
	opened, err := u.file.Stat()
	if err != nil {
		return fmt.Errorf("open an upload: %w", err)
	}
	if there, err := os.Stat(u.path); err != nil || !os.SameFile(opened, there) {
		return errUnknown
	}
	u.size = opened.Size()
	var at int64
	if u.sum, at = u.loadSum(); at > u.size {
		u.sum, at = sha256.New(), 0
	}
	if _, err := u.file.Seek(at, io.SeekStart); err != nil {
		return fmt.Errorf("read an upload again: %w", err)
	}
	if _, err := io.CopyN(u.sum, u.file, u.size-at); err != nil {
		return fmt.Errorf("read an upload again: %w", err)
	}
	return nil
}

// loadSum gives the saved checksum, or a fresh one.
func (u *upload) loadSum() (hash.Hash, int64) {
	fresh := sha256.New()
	data, err := os.ReadFile(u.path + sumSuffix)
	if err != nil {
		return fresh, 0
	}
	var saved savedSum
	if json.Unmarshal(data, &saved) != nil || saved.Offset < 0 {
		return fresh, 0
	}
	sum := sha256.New()
	if sum.(encoding.BinaryUnmarshaler).UnmarshalBinary(saved.State) != nil {
		return fresh, 0
	}
	return sum, saved.Offset
}

// saveSum keeps the checksum's state for the next request.
func (u *upload) saveSum() error {
	state, err := u.sum.(encoding.BinaryMarshaler).MarshalBinary()
	if err != nil {
		return fmt.Errorf("save an upload's checksum: %w", err)
	}
	data, err := json.Marshal(savedSum{Offset: u.size, State: state})
	if err != nil {
		return fmt.Errorf("save an upload's checksum: %w", err)
	}
	return writeFile(u.path+sumSuffix, data)
}

func (u *upload) close() { u.file.Close() }

// discard removes the upload for good.
func (u *upload) discard() error {
	return errors.Join(remove(u.path), remove(u.path+sumSuffix))
}

// Write appends to the upload.
func (u *upload) Write(p []byte) (int, error) {
	n, err := u.file.Write(p)
	u.sum.Write(p[:n])
	u.size += int64(n)
	return n, err
}

// appendFrom takes bytes from r until it ends, looking at the quota again
// every leaseBytes. readErr is r's own failure: what came before it is kept.
func (u *upload) appendFrom(r io.Reader) (readErr, err error) {
	for {
		left, err := u.store.room(u.app)
		if err != nil {
			return nil, err
		}
		source := &reader{r: io.LimitReader(r, min(left, leaseBytes))}
		n, err := io.Copy(u, source)
		switch {
		case source.err != nil:
			return source.err, nil
		case err != nil:
			return nil, fmt.Errorf("store a layer: %w", err)
		case n < min(left, leaseBytes):
			return nil, nil
		case n < leaseBytes:
			// The quota is full; only the end may follow now.
			var one [1]byte
			if m, err := io.ReadFull(r, one[:]); m > 0 {
				return nil, errQuota
			} else if !errors.Is(err, io.EOF) {
				return err, nil
			}
			return nil, nil
		}
	}
}

// reader remembers its own failures, to tell them from the writer's.
type reader struct {
	r   io.Reader
	err error
}

func (r *reader) Read(p []byte) (int, error) {
	n, err := r.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		r.err = err
	}
	return n, err
}

// finish makes the upload a blob of the app if its digest is the one named. An
// upload that lied is removed.
func (u *upload) finish(digest string) error {
	if got := "sha256:" + hex.EncodeToString(u.sum.Sum(nil)); got != digest {
		return errors.Join(errMismatch, u.discard())
	}
	if err := u.file.Sync(); err != nil {
		return fmt.Errorf("store a layer: %w", err)
	}
	unlock, err := u.store.lock(false)
	if err != nil {
		return err
	}
	defer unlock()
	if err := rename(u.path, u.store.blobPath(digest)); err != nil {
		return err
	}
	if err := u.store.hold(u.app, digest); err != nil {
		return err
	}
	return remove(u.path + sumSuffix)
}

// hold notes that an app has a blob, as of now. The caller has the shared lock.
func (s *Store) hold(app, digest string) error { return writeFile(s.refPath(app, digest), nil) }

// room is how many bytes an app may still store.
func (s *Store) room(app string) (int64, error) {
	if s.Quota <= 0 {
		return maxBlob, nil
	}
	used, err := s.used(app)
	if err != nil {
		return 0, err
	}
	return max(0, s.Quota-used), nil
}

// used counts the bytes of an app's blobs and unfinished uploads.
func (s *Store) used(app string) (int64, error) {
	var total int64
	held, err := names(filepath.Join(s.appDir(app), "blobs"))
	if err != nil {
		return 0, err
	}
	for _, hex := range held {
		if info, err := os.Stat(s.blobPath("sha256:" + hex)); err == nil {
			total += info.Size()
		}
	}
	ids, err := names(filepath.Join(s.appDir(app), "uploads"))
	if err != nil {
		return 0, err
	}
	for _, id := range ids {
		if info, err := os.Stat(s.uploadPath(app, id)); err == nil {
			total += info.Size()
		}
	}
	return total, nil
}
