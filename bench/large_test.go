package bench

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dokku-push/dokku-push/internal/testkit"
)

// BenchmarkLarge: the memory of the client's process while it builds a tree of 20,000
// files, and one of 1 GiB. It builds once, however often it is asked to.
func BenchmarkLarge(b *testing.B) {
	trees := map[string]func(dir string){
		"files": func(dir string) { testkit.ManyFiles(b, dir, 20000) },
		"bytes": func(dir string) { testkit.LargeFile(b, filepath.Join(dir, "large"), 1024) },
	}
	for _, builder := range []string{"static", "dockerfile"} {
		for _, tree := range []string{"files", "bytes"} {
			b.Run(builder+"/"+tree, func(b *testing.B) {
				dir, app := b.TempDir(), testkit.AppName(b, "large")
				trees[tree](filepath.Join(dir, "public"))
				text := "build {\n  builder = \"" + builder + "\"\n  static {\n    base = \"scratch\"\n    dir  = \"public\"\n  }\n}\n"
				for name, text := range map[string]string{"dokku.hcl": text, "Dockerfile": "FROM scratch\nCOPY public /public\nCMD [\"/x\"]\n"} {
					if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
						b.Fatal(err)
					}
				}
				b.Cleanup(func() { _ = exec.Command("docker", "rmi", "-f", "dokku-push/"+app+":latest").Run() })
				done := false
				for b.Loop() {
					if !done {
						large(b, dir, app, tree == "bytes")
						done = true
					}
				}
			})
		}
	}
}

// large builds once and reports what it took.
func large(b *testing.B, dir, app string, shows bool) {
	b.Helper()
	r, peak := testkit.Peak(b, dir, "build", "--app", app)
	if r.Exit != 0 {
		b.Fatalf("exit %d\n%s", r.Exit, r.Stderr)
	}
	b.ReportMetric(float64(peak), "MiB-peak")
	b.ReportMetric(r.Took.Seconds(), "s-in-all")
	if peak == 0 || peak > 300 {
		b.Errorf("%d MiB, want at most 300", peak)
	}
	if progress := strings.Count(r.Stderr, "\n"); shows && progress < 5 {
		b.Errorf("nothing is told meanwhile:\n%s", r.Stderr)
	}
}
