package state

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/internal/atomicfile"
)

// currentFile names the version that runs. That it is renamed into place is the moment
// in which a release becomes the current one.
func (s *Store) currentFile(app string) string {
	return filepath.Join(filepath.Dir(s.Places.ReleaseRecord(app, 1)), "current")
}

// Versions lists the releases of an app, oldest first, without reading any.
func (s *Store) Versions(app string) ([]int, error) {
	if !isApp(app) {
		return nil, noSuchApp(app)
	}
	entries, err := os.ReadDir(filepath.Dir(s.currentFile(app)))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list the releases: %w", err)
	}
	var versions []int
	for _, entry := range entries {
		number, ok := strings.CutPrefix(strings.TrimSuffix(entry.Name(), ".json"), "v")
		version, err := strconv.Atoi(number)
		if ok && err == nil && entry.Name() == "v"+strconv.Itoa(version)+".json" {
			versions = append(versions, version)
		}
	}
	slices.Sort(versions)
	return versions, nil
}

// Release reads the record of one version; one that is not there is agent.ErrNotFound.
func (s *Store) Release(app string, version int) (record agent.Record, err error) {
	if !isApp(app) {
		return record, noSuchApp(app)
	}
	text, err := os.ReadFile(s.Places.ReleaseRecord(app, version))
	if errors.Is(err, fs.ErrNotExist) {
		return record, fmt.Errorf("release v%d of %s: %w", version, app, agent.ErrNotFound)
	}
	if err == nil {
		err = json.Unmarshal(text, &record)
	}
	if err != nil {
		return record, fmt.Errorf("read release v%d of %s: %w", version, app, err)
	}
	s.readHooks(app, &record)
	return record, nil
}

// Releases returns all records of an app, oldest first.
func (s *Store) Releases(app string) ([]agent.Record, error) {
	versions, err := s.Versions(app)
	if err != nil {
		return nil, err
	}
	var records []agent.Record
	for _, version := range versions {
		record, err := s.Release(app, version)
		if err != nil {
			return nil, err
		}
		records = append(records, record)
	}
	return records, nil
}

// Save writes a record. One of that version that says anything else is fs.ErrExist.
func (s *Store) Save(app string, record agent.Record) error {
	if !isApp(app) {
		return noSuchApp(app)
	}
	if record.Version < 1 {
		return fmt.Errorf("save a release: it has the version %d", record.Version)
	}
	text, err := json.MarshalIndent(record, "", "  ")
	if err != nil {
		return fmt.Errorf("save release v%d: %w", record.Version, err)
	}
	text = append(text, '\n')
	path := s.Places.ReleaseRecord(app, record.Version)
	if err := atomicfile.MkdirAll(filepath.Dir(path), dirMode); err != nil {
		return err
	}
	err = atomicfile.CreateFile(path, text, 0o600)
	if errors.Is(err, fs.ErrExist) {
		if former, readErr := os.ReadFile(path); readErr == nil && bytes.Equal(former, text) {
			return nil
		}
	}
	if err != nil {
		return fmt.Errorf("save release v%d: %w", record.Version, err)
	}
	return nil
}

// Current returns the version that runs, 0 for none.
func (s *Store) Current(app string) (int, error) {
	if !isApp(app) {
		return 0, noSuchApp(app)
	}
	text, err := os.ReadFile(s.currentFile(app))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("read which release is current: %w", err)
	}
	version, err := strconv.Atoi(strings.TrimPrefix(strings.TrimSpace(string(text)), "v"))
	if err != nil {
		return 0, fmt.Errorf("read which release is current: %s holds %q", s.currentFile(app), text)
	}
	return version, nil
}

// SetCurrent records the version that runs; it must have a record. 0 means none.
func (s *Store) SetCurrent(app string, version int) error {
	if !isApp(app) {
		return noSuchApp(app)
	}
	if version == 0 {
		return removeFile(s.currentFile(app))
	}
	if _, err := os.Stat(s.Places.ReleaseRecord(app, version)); err != nil {
		return fmt.Errorf("make release v%d current: %w", version, err)
	}
	return atomicfile.WriteFile(s.currentFile(app), []byte("v"+strconv.Itoa(version)+"\n"), 0o600)
}

// RemoveRelease removes a record; one that is not there is no error, the current one
// stays and is.
func (s *Store) RemoveRelease(app string, version int) error {
	current, err := s.Current(app)
	if err != nil {
		return err
	}
	if version == current {
		return fmt.Errorf("remove release v%d of %s: it is the current one", version, app)
	}
	// The hooks first: those of another release of that version are not to be taken for its own.
	return errors.Join(removeFile(s.Places.ReleaseHooks(app, version)), removeFile(s.Places.ReleaseRecord(app, version)))
}
