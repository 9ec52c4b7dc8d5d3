package agent_test

import (
	"context"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/dokku-push/dokku-push/agent"
)

// timeless leaves out what no two deploys have in common: times.
func timeless(seen map[string]string) map[string]string {
	seen = comparable(seen)
	for name := range seen {
		if strings.HasSuffix(name, "/created-at") {
			seen[name] = ""
		}
	}
	return seen
}

// leftBehind names temporary files, the sign of a lock that is free, and room that
// journals keep for nobody.
func leftBehind(t *testing.T, w *world) string {
	var left []string
	err := filepath.WalkDir(w.dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		blocks := info.Sys().(*syscall.Stat_t).Blocks * 512
		switch {
		case strings.Contains(entry.Name(), ".new-"), strings.HasSuffix(entry.Name(), ".holder"):
			left = append(left, path)
		case strings.HasSuffix(path, ".jsonl") && blocks > info.Size()+1<<16:
			left = append(left, fmt.Sprintf("%d bytes of %s", blocks, path))
		}
		return nil
	})
	must(t, err)
	if holder, err := w.process(0).Holder(app); err != nil || holder != nil {
		left = append(left, fmt.Sprintf("the lock: %+v, %v", holder, err))
	}
	return strings.Join(left, ", ")
}

func hashNow(t *testing.T, w *world) (hash string) {
	t.Helper()
	w.process(0).run(func(h *agent.Host) {
		var err error
		hash, err = h.StateHash(context.Background(), app)
		must(t, err)
	})
	return hash
}
