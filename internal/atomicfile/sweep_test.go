package atomicfile

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestSweep: the temporary files of those who live stay, as does all else.
func TestSweep(t *testing.T) {
	gone := exec.Command("true")
	if err := gone.Run(); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	dead := gone.Process.Pid
	kept := []string{fmt.Sprintf(".ENV.new-%d-1", os.Getpid()), fmt.Sprintf(".ENV.new-%d-2", os.Getppid()), ".new-", "ENV", fmt.Sprintf("x.new-%d-1", dead), "sub"}
	for _, name := range append(kept[:5:5], fmt.Sprintf(".ENV.new-%d-3", dead), fmt.Sprintf(".new-%d-4", dead), fmt.Sprintf("sub/.a.new-%d-5", dead)) {
		path := filepath.Join(dir, name)
		if err := MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		if err := Sweep(dir); err != nil {
			t.Fatal(err)
		}
	}
	if err := Sweep(filepath.Join(dir, "nowhere")); err != nil {
		t.Error(err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var left []string
	for _, entry := range entries {
		left = append(left, entry.Name())
	}
	want := map[string]bool{}
	for _, name := range kept {
		want[name] = true
	}
	got := map[string]bool{}
	for _, name := range left {
		got[name] = true
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if inside, err := os.ReadDir(filepath.Join(dir, "sub")); err != nil || len(inside) != 0 {
		t.Errorf("left below: %v, %v", inside, err)
	}
}
