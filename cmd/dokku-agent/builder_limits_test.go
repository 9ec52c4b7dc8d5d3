package main

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/agent/buildkitd"
	"github.com/dokku-push/dokku-push/agent/cgroup"
	"github.com/dokku-push/dokku-push/agent/doctor"
	"github.com/dokku-push/dokku-push/agent/receive"
	"github.com/dokku-push/dokku-push/agent/store"
	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/internal/testkit"
)

// TestBuildLimits: docker's options for a build that limit it.
func TestBuildLimits(t *testing.T) {
	const most = 1 << 30
	for _, test := range []struct {
		options []string
		want    cgroup.Limits
		rest    []string
		fails   string
	}{
		{nil, cgroup.Limits{Memory: most, Shares: buildShares}, nil, ""},
		{[]string{"--build-arg A='x  y'", "--no-cache"}, cgroup.Limits{Memory: most, Shares: buildShares}, []string{"--build-arg A='x  y'", "--no-cache"}, ""},
		{[]string{"--memory 512m", "--cpus=1.5"}, cgroup.Limits{Memory: 512 << 20, Shares: buildShares, CPUs: 15e8}, nil, ""},
		{[]string{"-m=268435456 --build-arg A=1 -c 512", "--memory-swap 1g"}, cgroup.Limits{Memory: 256 << 20, Shares: 512}, []string{"--build-arg A=1"}, ""},
		{[]string{"--memory 8g"}, cgroup.Limits{Memory: most, Shares: buildShares}, nil, ""},
		{[]string{"--cpu-quota 50000"}, cgroup.Limits{Memory: most, Shares: buildShares, CPUs: 5e8}, nil, ""},
		{[]string{"--cpu-quota 50000", "--cpu-period 25000"}, cgroup.Limits{Memory: most, Shares: buildShares, CPUs: 2e9}, nil, ""},
		{[]string{"--memory 1m"}, cgroup.Limits{}, nil, "from 64m on"},
		{[]string{"--memory"}, cgroup.Limits{}, nil, "no value"},
		{[]string{"--cpus NaN"}, cgroup.Limits{}, nil, "such as 1.5"},
		{[]string{"--cpu-shares 1"}, cgroup.Limits{}, nil, "from 2 to"},
		{[]string{"--cpu-quota -1"}, cgroup.Limits{}, nil, "microseconds"},
	} {
		limits, rest, said, err := buildLimits(test.options, most)
		if test.fails != "" {
			if err == nil || !strings.Contains(err.Error(), test.fails) {
				t.Errorf("%q: %v", test.options, err)
			}
			continue
		}
		if diff := cmp.Diff(test.want, limits) + cmp.Diff(test.rest, rest); err != nil || diff != "" || said != (len(rest) < len(test.options) || test.want.Shares != buildShares) {
			t.Errorf("%q: %v %v\n%s", test.options, said, err, diff)
		}
	}
}

// held is a builder of an embedded host with the real programs: dokku-push, the agent as the
// one that is root, and buildkitd.
func held(t *testing.T) *builder {
	t.Helper()
	programs, dir := testkit.Binaries(t), t.TempDir()
	t.Setenv("PATH", filepath.Dir(programs.Client)+":"+testkit.BuildkitdPath(t)+":"+os.Getenv("PATH"))
	t.Setenv("BUILDKIT_HOST", "")
	places := agent.Places{Root: filepath.Join(dir, "root"), Lib: filepath.Join(dir, "lib")}
	config := agent.HostConfig{Embedded: true}
	for _, dir := range []string{filepath.Dir(places.HostConfig()), places.Plugins()} {
		must(t, os.MkdirAll(dir, 0o755))
	}
	must(t, os.WriteFile(places.HostConfig(), []byte(`{"embedded": true}`), 0o644))
	k := buildKit(places, config)
	k.argv[0] = programs.Agent
	b := &builder{host: &agent.Host{Places: places, Config: config}, store: &store.Store{Dir: places.Blobs(), Quota: 1 << 30}, memory: doctor.ReadMemory, kit: k}
	t.Cleanup(func() {
		tree, err := cgroup.Find()
		must(t, err)
		for _, left := range []bool{tree.Exists(k.place.Group), exists(k.place.Run)} {
			if left {
				t.Error("the build has left its control group or its socket")
			}
		}
		must(t, tree.Clear(k.place.Group))
	})
	return b
}

// tree is a source tree whose Dockerfile has nothing but busybox, in one layer.
func tree(t *testing.T, step string) string {
	t.Helper()
	dir := t.TempDir()
	program, err := os.ReadFile("/bin/busybox")
	must(t, err)
	must(t, os.Mkdir(filepath.Join(dir, "bin"), 0o755))
	must(t, os.WriteFile(filepath.Join(dir, "bin", "busybox"), program, 0o755))
	for _, name := range []string{"sh", "dd", "cat"} {
		must(t, os.Symlink("busybox", filepath.Join(dir, "bin", name)))
	}
	must(t, os.WriteFile(filepath.Join(dir, "Dockerfile"), []byte("FROM scratch\nCOPY bin /bin\n"+step+"\nCMD [\"/bin/sh\"]\n"), 0o644))
	return dir
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestBuildIsHeld: with the real BuildKit. The daemon and the steps of a Dockerfile are in
// the control group, with its limits; a step that wants more memory is ended and that is
// said, while an app beside goes on answering; nothing is left.
func TestBuildIsHeld(t *testing.T) {
	b := held(t)
	answered := beside(t)
	source := receive.Source{App: testkit.AppName(t, "dkp-held"), Dir: tree(t, "RUN cat /proc/self/cgroup"), Options: []string{"--memory 128m", "--cpu-shares 300"}}
	var out bytes.Buffer
	limits := make(chan string, 1)
	go func() { limits <- readLimits(b.kit.place.Group) }()
	document, err := b.Build(t.Context(), source, &out)
	if err != nil || document.Image.Manifest == "" {
		t.Fatalf("%v (%s)\n%s", err, api.AsError(err).Hint, &out)
	}
	if inside := "/" + b.kit.place.Group + "/buildkit/"; !strings.Contains(out.String(), inside) && !strings.Contains(out.String(), "0::/\n") {
		t.Errorf("the step does not run in %s:\n%s", inside, &out)
	}
	if got := <-limits; got != "134217728 and a daemon" {
		t.Errorf("the group's limit is %s", got)
	}

	source.Dir, source.Options = tree(t, "RUN dd if=/dev/zero of=/dev/null bs=300M count=1"), []string{"--memory 128m"}
	out.Reset()
	_, err = b.Build(t.Context(), source, &out)
	if err == nil {
		t.Fatalf("a step that eats more than the limit is built:\n%s", &out)
	}
	problem := api.AsError(err)
	if problem.Code != api.BuildFailed || !strings.Contains(problem.Message, "out of memory: its steps wanted more than the 128 MiB") || !strings.Contains(problem.Hint, "`dokku-push` on a laptop") {
		t.Errorf("a step that eats more than the limit: %v (%s)\n%s", err, problem.Hint, &out)
	}
	if n := answered(); n == 0 {
		t.Error("the app beside was never asked")
	}
}

// beside runs a small app in a container of its own, asks it all the time until the returned
// function is called, and counts its answers: each of them must come.
func beside(t *testing.T) (answered func() int) {
	t.Helper()
	name := testkit.AppName(t, "dkp-beside")
	port := strconv.Itoa(testkit.FreePort(t))
	run := exec.Command("docker", "run", "--detach", "--rm", "--name", name, "--publish", "127.0.0.1:"+port+":80", testkit.Busybox(t), "httpd", "-f", "-p", "80", "-h", "/")
	if out, err := run.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Cleanup(func() { _ = exec.Command("docker", "rm", "--force", name).Run() })
	web := &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	ask := func() error {
		response, err := web.Get("http://127.0.0.1:" + port + "/")
		if err == nil {
			err = response.Body.Close()
		}
		return err
	}
	for begun := time.Now(); ask() != nil; time.Sleep(10 * time.Millisecond) {
		if time.Since(begun) > time.Minute {
			t.Fatal("the app beside does not start")
		}
	}
	done, count := make(chan struct{}), 0
	var asking sync.WaitGroup
	asking.Go(func() {
		for {
			select {
			case <-done:
				return
			case <-time.After(20 * time.Millisecond):
			}
			if err := ask(); err != nil {
				t.Errorf("the app beside does not answer: %v", err)
				return
			}
			count++
		}
	})
	return func() int {
		close(done)
		asking.Wait()
		return count
	}
}

// readLimits waits for the group, and reads what its daemon is held by.
func readLimits(name string) string {
	tree, err := cgroup.Find()
	if err != nil {
		return err.Error()
	}
	file := "memory.limit_in_bytes"
	if tree.Unified {
		file = "memory.max"
	}
	for begun := time.Now(); time.Since(begun) < time.Minute; time.Sleep(5 * time.Millisecond) {
		members, _ := os.ReadFile(filepath.Join(tree.Memory, name, "daemon", "cgroup.procs"))
		for _, pid := range strings.Fields(string(members)) {
			line, _ := os.ReadFile("/proc/" + pid + "/cmdline")
			if !strings.Contains(string(line), "buildkitd") {
				continue
			}
			limit, err := os.ReadFile(filepath.Join(tree.Memory, name, file))
			if err != nil {
				return err.Error()
			}
			return strings.TrimSpace(string(limit)) + " and a daemon"
		}
	}
	return "no daemon was in the group"
}

// TestKilledBuild: nothing is left of a daemon whose asker is gone, and the next sweep takes
// away what is left of one whose keeper was killed.
func TestKilledBuild(t *testing.T) {
	b := held(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	start := func() (keeper, daemon int) {
		t.Helper()
		running, err := buildkitd.Start(ctx, b.kit.argv, b.kit.env, buildkitd.Request{Limits: cgroup.Limits{Memory: 256 << 20}})
		must(t, err)
		t.Cleanup(func() { running.Close() })
		tree, err := cgroup.Find()
		must(t, err)
		text, err := os.ReadFile(filepath.Join(tree.Memory, b.kit.place.Group, "daemon", "cgroup.procs"))
		must(t, err)
		daemon, err = strconv.Atoi(strings.Fields(string(text))[0])
		must(t, err)
		return parent(t, daemon), daemon
	}
	keeper, daemon := start()
	must(t, syscall.Kill(keeper, syscall.SIGKILL))
	gone(t, daemon)
	if !b.kit.place.Left() {
		t.Error("the killed keeper's group is gone by itself: what does sweep do?")
	}
	must(t, b.kit.sweep(t.Context()))
	if b.kit.place.Left() || exists(b.kit.place.Run) {
		t.Error("a sweep has left something")
	}

	_, daemon = start()
	must(t, b.kit.sweep(t.Context()))
	must(t, syscall.Kill(daemon, 0)) // beside one that runs there is nothing to sweep
	cancel()                         // whoever asked ends
	gone(t, daemon)
	for begun := time.Now(); b.kit.place.Left() || exists(b.kit.place.Run); time.Sleep(5 * time.Millisecond) {
		if time.Since(begun) > 30*time.Second {
			t.Fatal("something is left of a daemon that nobody wants any more")
		}
	}
}

func parent(t *testing.T, pid int) int {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	must(t, err)
	_, after, _ := strings.Cut(string(text), ") ")
	ppid, err := strconv.Atoi(strings.Fields(after)[1])
	must(t, err)
	return ppid
}

// gone waits until a process has ended. One that waits for its parent to notice has.
func gone(t *testing.T, pid int) {
	t.Helper()
	for begun := time.Now(); ; time.Sleep(5 * time.Millisecond) {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if _, after, _ := strings.Cut(string(text), ") "); err != nil || strings.HasPrefix(after, "Z") {
			return
		}
		if time.Since(begun) > 30*time.Second {
			t.Fatalf("the process %d still runs", pid)
		}
	}
}

// TestLease: what a build is told that asks for BuildKit where there is none with limits.
func TestLease(t *testing.T) {
	programs := t.TempDir()
	for _, name := range []string{"buildkitd", "runc"} {
		must(t, os.WriteFile(filepath.Join(programs, name), []byte("#!/bin/sh\n"), 0o755))
	}
	there := buildkitd.Place{Group: "dokku-push-test-lease", Folder: []string{programs}}
	starting := func(script string) []string { return []string{"/bin/sh", "-c", script} }
	for _, test := range []struct {
		name  string
		kit   kit
		said  bool
		notes string
	}{
		{"nobody asked for limits", kit{}, false, ""},
		{"nobody here is root", kit{place: there}, true, "no limits: only root can set them"},
		{"no program", kit{argv: starting("exit 0")}, true, "no limits: this host has no program buildkitd"},
		{"it does not start", kit{place: there, argv: starting("read asked; echo no cgroups here >&2; exit 3")}, false, "could not be started with any: /bin/sh exited with code 3: no cgroups here"},
		{"it says nothing", kit{place: there, argv: starting("read asked")}, false, "has started no BuildKit"},
	} {
		t.Run(test.name, func(t *testing.T) {
			l := &lease{kit: test.kit, ctx: t.Context(), said: test.said}
			for range 2 {
				answer := httptest.NewRecorder()
				l.ServeHTTP(answer, httptest.NewRequest(http.MethodPost, api.BuildKitPath, nil))
				if body := answer.Body.String(); strings.Contains(body, "address") || !strings.Contains(body, test.notes) || test.notes == "" && body != "{}\n" {
					t.Errorf("it is told %s", body)
				}
			}
			if l.close() {
				t.Error("what was never started ran out of memory")
			}
		})
	}
	t.Setenv(buildkitd.Off, "off")
	if err := there.Ready(); err == nil || !strings.Contains(err.Error(), "says off") {
		t.Errorf("switched off: %v", err)
	}
}
