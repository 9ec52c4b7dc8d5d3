package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const manDir = "../../docs/man"

// TestManPages: what is in docs/man is what the table says. DOKKU_PUSH_UPDATE=1 writes it
// anew, and takes away the page of a command that is gone.
func TestManPages(t *testing.T) {
	update := os.Getenv("DOKKU_PUSH_UPDATE") == "1"
	forget(t)
	pages := manPages()
	written, err := filepath.Glob(filepath.Join(manDir, "*.1"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range written {
		if _, known := pages[filepath.Base(path)]; known {
			continue
		}
		if !update {
			t.Errorf("%s is the page of nothing: make docs", path)
		} else if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
	if update {
		if err := os.MkdirAll(manDir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range pages {
		path := filepath.Join(manDir, name)
		if update {
			if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		got, err := os.ReadFile(path)
		if err != nil {
			t.Errorf("%v: make docs", err)
			continue
		}
		if diff := cmp.Diff(want, string(got)); diff != "" {
			t.Errorf("%s is not what the table says: make docs (-want +got):\n%s", name, diff)
		}
	}
}

// TestManPagesAreClean: mandoc finds nothing wrong, but for the date that they do not have.
func TestManPagesAreClean(t *testing.T) {
	dir := t.TempDir()
	for name, text := range manPages() {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		out, _ := exec.CommandContext(t.Context(), "mandoc", "-Tlint", "-Wwarning", path).CombinedOutput() // it fails for the date, too
		complaints := slices.DeleteFunc(slices.Collect(strings.Lines(string(out))), func(line string) bool { return strings.Contains(line, "missing date") })
		if len(complaints) > 0 {
			t.Errorf("%s", strings.Join(complaints, ""))
		}
		if shown, err := exec.CommandContext(t.Context(), "mandoc", "-Tutf8", path).Output(); err != nil || !bytes.Contains(shown, []byte("EXIT STATUS")) && !bytes.Contains(shown, []byte("S\bST")) {
			t.Errorf("%s: %v\n%s", name, err, shown)
		}
	}
}

// TestHelpMan: help shows the same pages.
func TestHelpMan(t *testing.T) {
	for want, args := range map[string][]string{"dokku-push.1": {"help", "--man"}, "dokku-push-plan.1": {"help", "--man", "plan"}} {
		c := parsed(t, nil, args...)
		if err := c.help(); err != nil {
			t.Fatal(err)
		}
		if got := c.out.(*bytes.Buffer).String(); got != manPages()[want] {
			t.Errorf("%q shows\n%s", args, got)
		}
	}
}
