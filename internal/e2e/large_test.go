package e2e

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/dokku-push/dokku-push/internal/testkit"
)

// TestManyFiles: a tree of 20,000 files is packed in little memory. BenchmarkLarge has the
// same for the other builder, and for large files.
func TestManyFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	testkit.ManyFiles(t, filepath.Join(dir, "public"), 20000)
	write(t, dir, "dokku.hcl", "build {\n  builder = \"static\"\n  static {\n    base = \"scratch\"\n    dir  = \"public\"\n  }\n}\n")
	r, peak := testkit.Peak(t, dir, "build", "--app", "many")
	if r.Exit != 0 || !strings.Contains(r.Stderr, "20200 files and folders") {
		t.Fatalf("exit %d\n%s", r.Exit, r.Stderr)
	}
	t.Logf("%d MiB at most, %s", peak, r.Took)
	if peak == 0 || peak > 300 {
		t.Errorf("it took %d MiB", peak)
	}
}
