package shim

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// picture is every file and link below a folder: mode, time, and where links lead.
func picture(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	must(t, filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		to, _ := os.Readlink(path)
		all[strings.TrimPrefix(path, dir)] = info.Mode().String() + " " + info.ModTime().Format(time.RFC3339Nano) + " " + to
		return nil
	}))
	return all
}

func TestWrite(t *testing.T) {
	w := newWorld(t)
	for _, one := range plugins() {
		enabled := filepath.Join(w.dir, "plugins", "enabled", one.name)
		if to, err := os.Readlink(enabled); err != nil || to != filepath.Join(w.dir, "plugins", "available", one.name) {
			t.Errorf("%s is enabled by a link to %q: %v", one.name, to, err)
		}
		real, err := filepath.EvalSymlinks(enabled)
		if want := filepath.Join(w.dir, "core-plugins", "available", one.name); err != nil || real != want {
			t.Errorf("%s is %s, want %s: %v", one.name, real, want, err)
		}
		if _, err := os.Stat(filepath.Join(w.dir, "core-plugins", "enabled", one.name, "plugin.toml")); err != nil {
			t.Error(err)
		}
	}
	before := picture(t, w.dir)
	must(t, Write(w.dir, w.program))
	if diff := cmp.Diff(before, picture(t, w.dir)); diff != "" {
		t.Errorf("laid out again with nothing new, it changed: %s", diff)
	}
}

func TestWriteAgain(t *testing.T) {
	w := newWorld(t)
	before := picture(t, w.dir)
	core := filepath.Join(w.dir, "core-plugins", "available")
	must(t, os.WriteFile(filepath.Join(core, "ps", "post-deploy"), []byte("old"), 0o755))
	must(t, os.WriteFile(filepath.Join(core, "config", "functions"), []byte("broken"), 0o755))
	must(t, os.Chmod(filepath.Join(core, "cron", "cron-write"), 0o644))
	must(t, os.Remove(filepath.Join(w.dir, "plugins", "enabled", "apps")))
	must(t, os.Symlink("/nowhere", filepath.Join(w.dir, "plugins", "enabled", "apps")))
	must(t, Write(w.dir, w.program))
	after := picture(t, w.dir)
	plain := func(all map[string]string) map[string]string {
		bare := map[string]string{}
		for name, text := range all {
			parts := strings.SplitN(text, " ", 3)
			bare[name] = parts[0] + " " + parts[2]
		}
		return bare
	}
	if diff := cmp.Diff(plain(before), plain(after)); diff != "" {
		t.Errorf("laid out again, it is not what it was: %s", diff)
	}
	changed := 0
	for name := range before {
		if before[name] != after[name] {
			changed++
		}
	}
	if changed != 3 {
		t.Errorf("%d files and links were written, want the three that were not as they should be", changed)
	}
}

// TestWriteLeavesOthers: a plugin that somebody has installed under a core plugin's name stays.
func TestWriteLeavesOthers(t *testing.T) {
	dir := t.TempDir()
	own := filepath.Join(dir, "plugins", "available", "cron")
	must(t, os.MkdirAll(own, 0o755))
	must(t, os.WriteFile(filepath.Join(own, "cron-write"), []byte("theirs"), 0o755))
	must(t, os.MkdirAll(filepath.Join(dir, "plugins", "enabled"), 0o755))
	must(t, os.Symlink(own, filepath.Join(dir, "plugins", "enabled", "cron")))
	elsewhere := t.TempDir()
	must(t, os.Symlink(elsewhere, filepath.Join(dir, "plugins", "enabled", "tags")))
	must(t, Write(dir, "/usr/bin/agent"))
	if text, err := os.ReadFile(filepath.Join(dir, "plugins", "enabled", "cron", "cron-write")); err != nil || string(text) != "theirs" {
		t.Errorf("the installed plugin holds %q: %v", text, err)
	}
	if to, err := os.Readlink(filepath.Join(dir, "plugins", "enabled", "tags")); err != nil || to != elsewhere {
		t.Errorf("the link leads to %q: %v", to, err)
	}
	if _, err := os.Stat(filepath.Join(dir, "core-plugins", "available", "cron", "cron-write")); err != nil {
		t.Errorf("the core's own is not there beside it: %v", err)
	}
}

func TestWriteRefuses(t *testing.T) {
	dir := t.TempDir()
	for _, one := range [][2]string{{dir, "agent"}, {dir, "/a b"}, {dir, "/x\"$(id)"}, {dir + "/$x", "/agent"}, {"lib", "/agent"}, {dir, ""}} {
		if err := Write(one[0], one[1]); err == nil {
			t.Errorf("laid out in %q with the program %q", one[0], one[1])
		}
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 0 {
		t.Errorf("refused, and %d entries were made: %v", len(entries), err)
	}
}
