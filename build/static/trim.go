package static

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"
)

const (
	maxCache = 1 << 30        // bytes of packed layers that stay
	minAge   = 24 * time.Hour // younger ones may belong to a build that runs now
)

// trim removes old layers beyond maxCache and what a build that died left.
// Failing to is no failure of the build.
func trim(cache, keep string) {
	entries, err := os.ReadDir(cache)
	if err != nil {
		return
	}
	var old []fs.FileInfo
	var total int64
	for _, entry := range entries {
		info, err := entry.Info()
		if err != nil || !info.Mode().IsRegular() {
			continue
		}
		total += info.Size()
		if time.Since(info.ModTime()) > minAge && entry.Name() != filepath.Base(keep) {
			old = append(old, info)
		}
	}
	slices.SortFunc(old, func(a, b fs.FileInfo) int { return a.ModTime().Compare(b.ModTime()) })
	for _, info := range old {
		unfinished := info.Name()[0] == '.'
		if (unfinished || total > maxCache) && os.Remove(filepath.Join(cache, info.Name())) == nil {
			total -= info.Size()
		}
	}
}
