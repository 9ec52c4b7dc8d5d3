package testkit

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// ManyFiles makes small files in a folder, a hundred in each of its folders.
func ManyFiles(t testing.TB, dir string, count int) {
	t.Helper()
	for n := range count {
		folder := filepath.Join(dir, fmt.Sprintf("folder-%03d", n/100))
		if n%100 == 0 {
			must(t, "make a folder", os.MkdirAll(folder, 0o755))
		}
		must(t, "write a file", os.WriteFile(filepath.Join(folder, fmt.Sprintf("file-%03d.html", n%100)), fmt.Appendf(nil, "this is file %d\n", n), 0o644))
	}
}

// LargeFile makes a file that no compression makes smaller.
func LargeFile(t testing.TB, path string, mebibytes int) {
	t.Helper()
	must(t, "make a folder", os.MkdirAll(filepath.Dir(path), 0o755))
	file, err := os.Create(path)
	must(t, "make a file", err)
	random, block := rand.NewChaCha8([32]byte{1}), make([]byte, 1<<20)
	for range mebibytes {
		_, err := random.Read(block)
		must(t, "make bytes", err)
		_, err = file.Write(block)
		must(t, "write a file", err)
	}
	must(t, "write a file", file.Close())
}

// Peak runs the client in a folder, without any host and with a home of its own, and
// returns the most memory that its process had at a time, in MiB: the kernel's own mark,
// read until the end. What wait4 reports would count the test's own memory, which the child
// shares until it becomes the client.
func Peak(t testing.TB, dir string, args ...string) (r Result, mebibytes int) {
	t.Helper()
	cmd := exec.Command(Binaries(t).Client, args...)
	cmd.Dir = dir
	cmd.Env = append(cleanEnv(), "HOME="+t.TempDir())
	var out, story strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &story
	start := time.Now()
	must(t, "start the client", cmd.Start())
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			mebibytes = max(mebibytes, highWater(cmd.Process.Pid)>>10)
		case <-ended:
			return Result{Exit: cmd.ProcessState.ExitCode(), Stdout: out.String(), Stderr: story.String(), Took: time.Since(start)}, mebibytes
		}
	}
}

// highWater is the most memory that a process ever had, in KiB; 0 when it is gone.
func highWater(pid int) (kibibytes int) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	if _, rest, found := strings.Cut(string(status), "VmHWM:"); found {
		_, _ = fmt.Sscan(rest, &kibibytes)
	}
	return kibibytes
}
