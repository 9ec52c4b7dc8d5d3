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
// an app's answers while another one is pushed by git and built, and without. Both builders
// have their limits: buildpacks those of their containers, a Dockerfile those of BuildKit's
// control group.
func BenchmarkBuild(b *testing.B) {
	path := strings.Join([]string{filepath.Dir(testkit.Binaries(b).Client), testkit.BuildkitdPath(b), os.Getenv("PATH")}, ":")
	h := testkit.Serve(b, testkit.ServeOptions{Env: []string{"PATH=" + path}})
	beside, bases := h.App(b, "beside"), registered(b)
	builders := []*pushedApp{{builder: "dockerfile", sample: "goweb", bases: bases, says: "exporting to oci image format"}, {builder: "pack", sample: "cnbgo", says: "packages compiled"}}
	for _, one := range builders {
		one.app = h.App(b, one.sample)
		one.push(b, h)
	}
	besides := &pushedApp{sample: "goweb", bases: bases, app: beside}
	besides.push(b, h)
	b.Cleanup(func() { // what buildpacks keep between builds
		volumes, _ := exec.Command("docker", "volume", "ls", "--quiet", "--filter", "name=dokku-push-"+builders[1].app).Output()
		for _, volume := range strings.Fields(string(volumes)) {
			_ = exec.Command("docker", "volume", "rm", "--force", volume).Run() // a container may have it still
		}
	})
	var quiet []time.Duration
	for b.Loop() {
		quiet = append(quiet, asked(b, h, beside, func() { time.Sleep(3 * time.Second) })...)
		for _, one := range builders {
			one.took = append(one.took, asked(b, h, beside, func() { one.push(b, h) })...)
		}
	}
	alone := percentile(quiet)
	for _, one := range builders {
		during := percentile(one.took)
		ratio := float64(during) / float64(alone)
		b.ReportMetric(ratio, "ratio-"+one.builder)
		fmt.Printf("p99 of an app's answers: %s alone (%d requests), %s during a build by %s (%d requests): ratio %.2f\n", alone, len(quiet), during, one.builder, len(one.took), ratio)
	}
	b.ReportMetric(0, "ns/op")
}

// pushedApp is an app that is pushed again and again, each time with another source file.
type pushedApp struct {
	builder     string
	sample, app string
	bases       string // a registry with what its Dockerfile begins with: BuildKit asks no engine
	says        string // of a build as it is meant to be measured
	pushes      int
	took        []time.Duration // each answer of the app beside it
}

// registered is a registry with the images that goweb begins with.
func registered(b *testing.B) string {
	b.Helper()
	server := testkit.Registry(b, testkit.RegistryOptions{})
	for name, image := range map[string]string{"golang": testkit.Golang(b), "busybox": testkit.Busybox(b)} {
		there := server.Addr + "/" + name
		for _, args := range [][]string{{"tag", image, there}, {"push", "--quiet", there}, {"rmi", "--no-prune", there}} {
			if out, err := exec.Command("docker", args...).CombinedOutput(); err != nil {
				b.Fatalf("docker %v: %v\n%s", args, err, out)
			}
		}
	}
	return server.Addr
}

// push pushes the app, which compiles for a second or two.
func (o *pushedApp) push(b *testing.B, h *testkit.Host) {
	b.Helper()
	dir := testkit.CopyApp(b, o.sample)
	o.pushes++
	if err := os.WriteFile(filepath.Join(dir, "count.go"), fmt.Appendf(nil, "package main\n\nconst count = %d\n", o.pushes), 0o644); err != nil {
		b.Fatal(err)
	}
	if o.bases != "" {
		testkit.Edit(b, dir, "Dockerfile", "FROM dokku-push-test/golang", "FROM "+o.bases+"/golang")
		testkit.Edit(b, dir, "Dockerfile", "FROM dokku-push-test/busybox", "FROM "+o.bases+"/busybox")
		testkit.Edit(b, dir, "Dockerfile", "COPY go.mod main.go ./", "COPY go.mod *.go ./")
	}
	ssh := strings.Join([]string{"ssh", "-F", "none", "-i", h.Key, "-o", "IdentitiesOnly=yes", "-o", "IdentityAgent=none", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes",
		"-o", "UserKnownHostsFile=" + testkit.KnownHosts(b, h.SSH, h.HostKey), "-o", "GlobalKnownHostsFile=none", "-o", "LogLevel=ERROR"}, " ")
	for _, args := range [][]string{{"init", "--quiet", "--initial-branch=master"}, {"add", "--all"}, {"commit", "--quiet", "--message", "a commit"},
		{"push", "--force", "ssh://dokku@" + h.SSH + "/" + o.app, "master"}} {
		cmd := exec.Command("git", args...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "GIT_SSH_COMMAND="+ssh, "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1",
			"GIT_AUTHOR_NAME=Ada", "GIT_AUTHOR_EMAIL=ada@example.com", "GIT_COMMITTER_NAME=Ada", "GIT_COMMITTER_EMAIL=ada@example.com")
		if r := testkit.Run(b, cmd); r.Exit != 0 || args[0] == "push" && !strings.Contains(r.Stderr, o.says) {
			b.Fatalf("git %s: exit %d, and does it say %q?\n%s", args[0], r.Exit, o.says, r.Stderr)
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
