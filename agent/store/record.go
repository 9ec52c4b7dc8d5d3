package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// record is what the store remembers of a manifest beside its bytes. It
// outlives the layers, so that a layer that only the engine has is known by its
// compressed digest.
type record struct {
	Digest    string        `json:"digest"`
	MediaType string        `json:"media_type"`
	Config    string        `json:"config"`
	Layers    []recordLayer `json:"layers"`
	Dropped   bool          `json:"dropped"` // the engine has pulled it
}

type recordLayer struct {
	Digest string `json:"digest"`
	DiffID string `json:"diff_id"`
	Size   int64  `json:"size"`
}

// record reads one manifest's record; errUnknown when there is none.
func (s *Store) record(app, manifest string) (record, error) {
	if !appForm.MatchString(app) || !digestForm.MatchString(manifest) {
		return record{}, errUnknown
	}
	data, err := os.ReadFile(s.manifestPath(app, manifest) + ".json")
	if errors.Is(err, fs.ErrNotExist) {
		return record{}, errUnknown
	}
	if err != nil {
		return record{}, fmt.Errorf("read a manifest's record: %w", err)
	}
	var r record
	if err := json.Unmarshal(data, &r); err != nil {
		return record{}, fmt.Errorf("read the record of manifest %s: %w", manifest, err)
	}
	return r, nil
}

// records reads the records of all of an app's manifests, in digest order.
func (s *Store) records(app string) ([]record, error) {
	if !appForm.MatchString(app) {
		return nil, fmt.Errorf("read the manifests of %q: not an app's name", app)
	}
	list, err := names(filepath.Join(s.appDir(app), "manifests"))
	if err != nil {
		return nil, err
	}
	var records []record
	for _, name := range list {
		hex, isRecord := strings.CutSuffix(name, ".json")
		if !isRecord {
			continue
		}
		r, err := s.record(app, "sha256:"+hex)
		if errors.Is(err, errUnknown) {
			continue // removed since the folder was listed
		}
		if err != nil {
			return nil, err
		}
		records = append(records, r)
	}
	return records, nil
}

func (s *Store) writeRecord(app string, r record) error {
	data, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("write a manifest's record: %w", err)
	}
	return writeFile(s.manifestPath(app, r.Digest)+".json", data)
}

// sizeOnRecord is the compressed size of a layer that the app once sent.
func (s *Store) sizeOnRecord(app, digest string) (int64, bool) {
	layers, err := s.Layers(app)
	if err != nil {
		return 0, false
	}
	for _, l := range layers {
		if l.Digest == digest {
			return l.Size, true
		}
	}
	return 0, false
}
