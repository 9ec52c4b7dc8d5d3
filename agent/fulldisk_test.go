package agent_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/api"
)

// TestFullDiskIsUndone: a disk that fills up while a deploy is on its way fails it, and what it
// had begun is taken back all the same: by itself, and by who finds it dead.
func TestFullDiskIsUndone(t *testing.T) {
	if os.Geteuid() != 0 {
		return // nobody else may mount a disk
	}
	t.Parallel()
	for name, killed := range map[string]bool{"by itself": false, "by a recovery": true} {
		t.Run(name, func(t *testing.T) {
			w := deployed(t).onDisk(t, "6m")
			before := observed(t, w)
			filler := filepath.Join(w.dir, "filler")
			p := w.process(0)
			w.plugins["check-deploy"] = func([]string) error {
				text := make([]byte, 8<<20)
				if err := os.WriteFile(filler, text, 0o600); !errors.Is(err, syscall.ENOSPC) {
					t.Errorf("the disk is not full: %v", err)
				}
				if killed {
					w.mu.Lock()
					defer w.mu.Unlock()
					p.dieAt = len(p.acts) + 1
				}
				return errors.New("it cannot be checked")
			}
			p.run(func(h *agent.Host) {
				verdict, err := h.Apply(context.Background(), deploy(w, 2))
				if err != nil || verdict.OK || api.Exit(verdict.Error) != 24 {
					t.Errorf("it says %+v, %v", verdict, err)
				}
			})
			if killed {
				must(t, recoverApp(t, w, 0))
			}
			must(t, os.Remove(filler))
			if diff := cmp.Diff(before, observed(t, w)); diff != "" {
				t.Errorf("not as before (-before +undone):\n%s", diff)
			}
		})
	}
}

// onDisk is the same world once more, on a disk of its own that is no larger.
func (w *world) onDisk(t *testing.T, size string) *world {
	t.Helper()
	n := w.clone(t)
	dir := t.TempDir()
	must(t, syscall.Mount("tmpfs", dir, "tmpfs", 0, "size="+size))
	t.Cleanup(func() { must(t, syscall.Unmount(dir, syscall.MNT_DETACH)) })
	must(t, os.CopyFS(dir, os.DirFS(n.dir)))
	must(t, filepath.WalkDir(n.dir, func(path string, entry fs.DirEntry, err error) error { // CopyFS widens modes
		if err != nil {
			return err
		}
		info, err := entry.Info()
		return errors.Join(err, os.Chmod(dir+strings.TrimPrefix(path, n.dir), info.Mode()))
	}))
	n.dir = dir
	return n
}
