package testkit

import (
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Buildkitd is BuildKit's daemon, compiled from its Go module, which takes a minute or two
// once: the program stays in the user's cache folder.
func Buildkitd(t testing.TB) (program string) {
	t.Helper()
	source := filepath.Join(Root(t), "build", "dockerfile", "testdata", "buildkitd")
	module, err := os.ReadFile(filepath.Join(source, "go.mod"))
	must(t, "read buildkitd's module", err)
	program = filepath.Join(cacheDir(t), fmt.Sprintf("buildkitd-%x", sha256.Sum256(module)))
	defer lock(t, "buildkitd")()
	if _, err := os.Stat(program); err == nil {
		return program
	}
	part := filepath.Join(filepath.Dir(program), fmt.Sprintf("part-%d-buildkitd", os.Getpid()))
	compile := exec.Command("go", "build", "-trimpath", "-mod=readonly", "-buildvcs=false", "-ldflags", "-s -w", "-o", part, "github.com/moby/buildkit/cmd/buildkitd")
	compile.Dir, compile.Env = source, append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=", "GOWORK=off")
	if out, err := compile.CombinedOutput(); err != nil {
		t.Fatalf("compile buildkitd: %v\n%s", err, out)
	}
	former, _ := filepath.Glob(filepath.Join(filepath.Dir(program), "buildkitd-*"))
	for _, path := range former { // of another version
		_ = os.Remove(path)
	}
	must(t, "keep buildkitd", os.Rename(part, program))
	return program
}

// BuildkitdPath is a folder that has buildkitd, for a PATH.
func BuildkitdPath(t testing.TB) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "buildkit")
	must(t, "make a folder for buildkitd", os.MkdirAll(dir, 0o755))
	must(t, "name buildkitd", os.Symlink(Buildkitd(t), filepath.Join(dir, "buildkitd")))
	return dir
}
