package bench

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dokku-push/dokku-push/internal/testkit"
)

// BenchmarkBuild is what a build on the host costs the apps beside it: the 99th percentile of
// an app's answers while another one is pushed by git and built, and without.
func BenchmarkBuild(b *testing.B) {
	h := testkit.Serve(b, testkit.ServeOptions{Env: []string{"PATH=" + filepath.Dir(testkit.Binaries(b).Client) + ":" + os.Getenv("PATH")}})
	app, other := h.App(b, "beside"), h.App(b, "built")
	gitPush(b, h, app, 0)
	gitPush(b, h, other, 0)
	var quiet, busy []time.Duration
	for b.Loop() {
		quiet = append(quiet, asked(b, h, app, func() { time.Sleep(3 * time.Second) })...)
		busy = append(busy, asked(b, h, app, func() { gitPush(b, h, other, len(busy)+1) })...)
	}
	alone, beside := percentile(quiet), percentile(busy)
	ratio := float64(beside) / float64(alone)
	b.ReportMetric(ratio, "ratio")
	b.ReportMetric(0, "ns/op")
	fmt.Printf("p99 of an app's answers: %s alone (%d requests), %s during a build (%d requests): ratio %.2f\n", alone, len(quiet), beside, len(busy), ratio)
}

// gitPush pushes an app that compiles for a second or two; n makes it another commit.
func gitPush(b *testing.B, h *testkit.Host, app string, n int) {
	b.Helper()
	dir := testkit.CopyApp(b, "goweb")
	if err := os.WriteFile(filepath.Join(dir, "count.go"), []byte(fmt.Sprintf("package main\n\nconst count = %d\n", n)), 0o644); err != nil {
		b.Fatal(err)
	}
	ssh := strings.Join([]string{"ssh", "-F", "none", "-i", h.Key, "-o", "IdentitiesOnly=yes", "-o", "IdentityAgent=none", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes",
		"-o", "UserKnownHostsFile=" + testkit.KnownHosts(b, h.SSH, h.HostKey), "-o", "GlobalKnownHostsFile=none", "-o", "LogLevel=ERROR"}, " ")
	for _, args := range [][]string{{"init", "--quiet", "--initial-branch=master"}, {"add", "--all"}, {"commit", "--quiet", "--message", "a commit"},
		{"push", "--force", "ssh://dokku@" + h.SSH + "/" + app, "master"}} {
		cmd := exec.Command("git", args...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "GIT_SSH_COMMAND="+ssh, "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1",
			"GIT_AUTHOR_NAME=Ada", "GIT_AUTHOR_EMAIL=ada@example.com", "GIT_COMMITTER_NAME=Ada", "GIT_COMMITTER_EMAIL=ada@example.com")
		if r := testkit.Run(b, cmd); r.Exit != 0 {
			b.Fatalf("git %s: exit %d\n%s", args[0], r.Exit, r.Stderr)
		}
	}
}

// asked asks the app every 10 ms while something goes on, and returns how long each answer took.
func asked(b *testing.B, h *testkit.Host, app string, while func()) (took []time.Duration) {
	b.Helper()
	done := make(chan struct{})
	var asking sync.WaitGroup
	asking.Go(func() {
		web := &http.Client{Timeout: 30 * time.Second}
		defer web.CloseIdleConnections()
		for {
			select {
			case <-done:
				return
			case <-time.After(10 * time.Millisecond):
			}
			request, err := http.NewRequest(http.MethodGet, "http://"+h.HTTP+"/", nil)
			if err != nil {
				b.Error(err)
				return
			}
			request.Host = app + ".localhost"
			begun := time.Now()
			answer, err := web.Do(request)
			if err != nil || answer.StatusCode != http.StatusOK {
				b.Errorf("the app does not answer: %v", err)
				return
			}
			_ = answer.Body.Close()
			took = append(took, time.Since(begun))
		}
	})
	while()
	close(done)
	asking.Wait()
	return took
}

func percentile(all []time.Duration) time.Duration {
	slices.Sort(all)
	return all[len(all)*99/100]
}
