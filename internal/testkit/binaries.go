package testkit

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Bin is where the two programs are.
type Bin struct{ Client, Agent string }

// Binaries compiles dokku-push and dokku-agent as they stand in the checkout.
// Tests of other packages that ask at the same time share the result; nobody's
// running program is overwritten by other sources.
func Binaries(t testing.TB) Bin {
	t.Helper()
	root := Root(t)
	dir := filepath.Join(cacheDir(t), "bin", recipe(root))
	must(t, "make the folder of binaries", os.MkdirAll(dir, 0o755))
	defer lock(t, "binaries")()
	return Bin{Client: compile(t, root, dir, "dokku-push"), Agent: compile(t, root, dir, "dokku-agent")}
}

// compile builds one program and returns it under a name of its content. The
// file that go build writes is kept: where nothing changed, it is not linked again.
func compile(t testing.TB, root, dir, program string) string {
	t.Helper()
	built := filepath.Join(dir, program)
	build := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-o", built, "./cmd/"+program)
	build.Dir = root
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("compile %s: %v\n%s", program, err, out)
	}
	content, err := os.ReadFile(built)
	must(t, "read "+program, err)
	sum := sha256.Sum256(content)
	// The program's own name stays the last part of the path: the agent is told by it who it is.
	file := filepath.Join(dir, hex.EncodeToString(sum[:8]), program)
	if _, err := os.Stat(file); err == nil {
		return file
	}
	forgetBinaries(t, dir, program)
	must(t, "keep "+program, os.MkdirAll(filepath.Dir(file), 0o755))
	// A program of its own writes it: of a file that this process has open to write, a child
	// that another test starts at that moment has a copy, and it cannot be started meanwhile.
	if out, err := exec.Command("cp", built, file+".part").CombinedOutput(); err != nil {
		t.Fatalf("keep %s: %v\n%s", program, err, out)
	}
	must(t, "keep "+program, os.Rename(file+".part", file))
	return file
}

// forgetBinaries keeps the three newest former builds of a program, which tests
// that run now may still start, and removes the others.
func forgetBinaries(t testing.TB, dir, program string) {
	t.Helper()
	former, err := filepath.Glob(filepath.Join(dir, "*", program))
	must(t, "find former binaries", err)
	for len(former) > 3 {
		oldest := 0
		for i := range former {
			if modified(former[i]) < modified(former[oldest]) {
				oldest = i
			}
		}
		must(t, "remove a former binary", os.RemoveAll(filepath.Dir(former[oldest])))
		former = append(former[:oldest], former[oldest+1:]...)
	}
}

func modified(file string) int64 {
	info, err := os.Stat(file)
	if err != nil {
		return 0
	}
	return info.ModTime().UnixNano()
}
