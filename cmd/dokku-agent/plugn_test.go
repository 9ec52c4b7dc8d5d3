package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestPlugnSource: a shell that evaluates what plugn says has the functions of enabled
// plugins, whatever is in their folder's name.
func TestPlugnSource(t *testing.T) {
	path := filepath.Join(t.TempDir(), "it's a path")
	for name, enabled := range map[string]bool{"one": true, "two": true, "off": false, "bare": true} {
		dir := filepath.Join(path, "available", name)
		for _, folder := range []string{dir, filepath.Join(path, "enabled")} {
			if err := os.MkdirAll(folder, 0o755); err != nil {
				t.Fatal(err)
			}
		}
		if name != "bare" {
			if err := os.WriteFile(filepath.Join(dir, name+".sh"), []byte("echo from "+name+"\n"), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if enabled {
			if err := os.Symlink(dir, filepath.Join(path, "enabled", name)); err != nil {
				t.Fatal(err)
			}
		}
	}
	t.Setenv("PLUGIN_PATH", path)
	out, err := os.Create(filepath.Join(t.TempDir(), "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	p := &program{ctx: context.Background(), out: out, err: os.Stderr}
	if code := p.plugn([]string{"source"}); code != 0 {
		t.Fatalf("exit %d", code)
	}
	said, err := exec.Command("bash", "-e", out.Name()).CombinedOutput()
	if err != nil || string(said) != "from one\nfrom two\n" {
		t.Errorf("%v: %q", err, said)
	}
}
