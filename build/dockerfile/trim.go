package dockerfile

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// cached is one file of the store.
type cached struct {
	path string
	size int64
	used time.Time
}

// files lists a folder of the store, the longest unused first.
func (s *store) files(folder string) []cached {
	entries, err := os.ReadDir(filepath.Join(s.dir, folder))
	if err != nil {
		return nil
	}
	var files []cached
	for _, entry := range entries {
		info, err := entry.Info()
		if err != nil || !info.Mode().IsRegular() {
			continue
		}
		files = append(files, cached{filepath.Join(s.dir, folder, entry.Name()), info.Size(), info.ModTime()})
	}
	slices.SortFunc(files, func(a, b cached) int { return a.used.Compare(b.used) })
	return files
}

// trim evicts what was not used for the longest time, but nothing of the image
// that was just built, and what a build that died left behind.
func (s *store) trim(built *engineImage) {
	now := time.Now()
	keep := map[string]bool{s.recordPath(built.id): true}
	for _, layer := range built.manifest.Layers {
		path := s.blobPath(layer.Digest)
		keep[path] = true
		_ = os.Chtimes(path, now, now) // it may be gone already
	}
	blobs := s.files("blobs")
	var total int64
	for _, blob := range blobs {
		total += blob.size
	}
	for _, blob := range blobs {
		if total > s.limit && !keep[blob.path] && os.Remove(blob.path) == nil {
			total -= blob.size
		}
	}
	records := s.files("images")
	for i, file := range records {
		if i < len(records)-maxRecords && !keep[file.path] {
			_ = os.Remove(file.path)
		}
	}
	for _, file := range s.files(".") {
		if strings.HasPrefix(filepath.Base(file.path), ".") && time.Since(file.used) > 24*time.Hour {
			_ = os.Remove(file.path)
		}
	}
}
