package triggers

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// plugin writes one trigger of an enabled plugin.
func plugin(t *testing.T, path, name, trigger, script string, mode os.FileMode) {
	t.Helper()
	dir := filepath.Join(path, "available", name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, trigger), []byte(script), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(path, "enabled"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(dir, filepath.Join(path, "enabled", name)); err != nil && !errors.Is(err, os.ErrExist) {
		t.Fatal(err)
	}
}

func TestShips(t *testing.T) {
	path := t.TempDir()
	plugin(t, path, "20_events", "act", "#!/bin/sh\n", 0o755)
	plugin(t, path, "b", "act", "#!/bin/sh\n", 0o755)
	plugin(t, path, "c", "act", "#!/bin/sh\n", 0o644)
	plugin(t, path, "d", "other", "#!/bin/sh\n", 0o755)
	if got := (&Walk{Path: path}).Ships("act"); len(got) != 1 || got[0] != "b" {
		t.Errorf("ships %v, want b alone: the events plugin never counts, nor does what is not executable", got)
	}
}
