package dockerfile

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

const (
	// maxBlobs is how many bytes of compressed layers stay between builds.
	// What falls out is exported again when somebody asks for it.
	maxBlobs = 2 << 30
	// maxRecords is how many images are remembered; a record is a few KiB.
	maxRecords = 50
)

// store keeps what an engine exported: blobs/HEX are compressed layers by
// digest, images/HEX.json are records by image id. Files appear by rename, so
// that two builds at a time share it without a lock.
type store struct {
	dir   string
	limit int64
}

// record is one image without its layers, byte for byte.
type record struct {
	Config    []byte          `json:"config"`
	Manifest  []byte          `json:"manifest"`
	MediaType types.MediaType `json:"media_type"`
}

func openStore(dir string) (*store, error) {
	if dir == "" {
		return nil, fmt.Errorf("no cache folder was named")
	}
	s := &store{dir: dir, limit: maxBlobs}
	for _, name := range []string{"blobs", "images"} {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o700); err != nil {
			return nil, err
		}
	}
	return s, nil
}

func (s *store) blobPath(digest v1.Hash) string {
	return filepath.Join(s.dir, "blobs", digest.Hex)
}

func (s *store) recordPath(id string) string {
	return filepath.Join(s.dir, "images", strings.TrimPrefix(id, "sha256:")+".json")
}

func (s *store) open(digest v1.Hash) (*os.File, error) { return os.Open(s.blobPath(digest)) }

// record returns what is known of an image. A record that does not hash to its
// id was damaged and counts as unknown.
func (s *store) record(id string) (*record, bool) {
	text, err := os.ReadFile(s.recordPath(id))
	if err != nil {
		return nil, false
	}
	var r record
	if json.Unmarshal(text, &r) != nil || digestOf(r.Config) != id {
		return nil, false
	}
	if _, err := r.manifest(); err != nil {
		return nil, false
	}
	now := time.Now()
	_ = os.Chtimes(s.recordPath(id), now, now) // only the order of eviction suffers
	return &r, true
}

func (r *record) manifest() (*v1.Manifest, error) {
	return v1.ParseManifest(strings.NewReader(string(r.Manifest)))
}

func (s *store) putRecord(id string, r *record) error {
	text, err := json.Marshal(r)
	if err != nil {
		return err
	}
	temp, err := os.CreateTemp(s.dir, ".record-") // 0600
	if err != nil {
		return err
	}
	_, err = temp.Write(text)
	if closing := temp.Close(); err == nil {
		err = closing
	}
	if err == nil {
		err = os.Rename(temp.Name(), s.recordPath(id))
	}
	if err != nil {
		_ = os.Remove(temp.Name())
	}
	return err
}

func (s *store) forget(id string) { _ = os.Remove(s.recordPath(id)) }

// layers returns every layer that a record names, by the digest of what it
// holds (diffID). The same layer always has the same compressed form here, even
// after its blob was evicted.
func (s *store) layers() map[v1.Hash]v1.Descriptor {
	known := map[v1.Hash]v1.Descriptor{}
	for _, file := range slices.Backward(s.files("images")) { // newest first
		r, ok := s.record("sha256:" + strings.TrimSuffix(filepath.Base(file.path), ".json"))
		if !ok {
			continue
		}
		manifest, _ := r.manifest() // record has parsed it
		config, err := v1.ParseConfigFile(strings.NewReader(string(r.Config)))
		if err != nil || len(config.RootFS.DiffIDs) != len(manifest.Layers) {
			continue
		}
		for i, id := range config.RootFS.DiffIDs {
			if _, ok := known[id]; !ok {
				known[id] = manifest.Layers[i]
			}
		}
	}
	return known
}

// blobWriter is a blob on its way into the store.
type blobWriter struct {
	store *store
	file  *os.File
	hash  hash.Hash
	size  int64
}

func (s *store) newBlob() (*blobWriter, error) {
	file, err := os.CreateTemp(s.dir, ".blob-")
	if err != nil {
		return nil, err
	}
	return &blobWriter{store: s, file: file, hash: sha256.New()}, nil
}

func (w *blobWriter) Write(p []byte) (int, error) {
	n, err := io.MultiWriter(w.file, w.hash).Write(p)
	w.size += int64(n)
	return n, err
}

// commit files the blob under its digest and returns that.
func (w *blobWriter) commit() (v1.Hash, error) {
	digest := v1.Hash{Algorithm: "sha256", Hex: hex.EncodeToString(w.hash.Sum(nil))}
	if err := w.file.Close(); err != nil {
		w.drop()
		return v1.Hash{}, err
	}
	return digest, os.Rename(w.file.Name(), w.store.blobPath(digest))
}

// drop removes a blob that was not committed.
func (w *blobWriter) drop() {
	_ = w.file.Close()
	_ = os.Remove(w.file.Name())
}

// takeConfig reads a blob that is a config and removes it: it lives in a record.
func (s *store) takeConfig(digest v1.Hash) ([]byte, error) {
	text, err := os.ReadFile(s.blobPath(digest))
	if err == nil {
		err = os.Remove(s.blobPath(digest))
	}
	return text, err
}

func digestOf(text []byte) string {
	sum := sha256.Sum256(text)
	return "sha256:" + hex.EncodeToString(sum[:])
}
