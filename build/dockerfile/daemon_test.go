package dockerfile

import (
	"bytes"
	"context"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/daemon"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/validate"
	buildkit "github.com/moby/buildkit/client"

	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/internal/testkit"
	"github.com/dokku-push/dokku-push/manifest"
)

// startDaemon starts a BuildKit daemon with nothing in it and returns its address.
func startDaemon(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "dkp-bk-") // a socket's path has a hundred bytes at most
	if err != nil {
		t.Fatal(err)
	}
	address := "unix://" + dir + "/sock"
	program := exec.Command(testkit.Buildkitd(t), "--root", dir+"/root", "--addr", address, "--oci-worker-net=host", "--oci-worker-snapshotter=native", "--containerd-worker=false")
	var said bytes.Buffer
	program.Stdout, program.Stderr = &said, &said
	program.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := program.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = program.Process.Signal(syscall.SIGTERM)
		late := time.AfterFunc(10*time.Second, func() { _ = syscall.Kill(-program.Process.Pid, syscall.SIGKILL) })
		_ = program.Wait()
		late.Stop()
		if t.Failed() {
			t.Logf("buildkitd said:\n%s", &said)
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	asked, err := buildkit.New(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = asked.Close() }()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		ctx, stop := context.WithTimeout(t.Context(), 5*time.Second)
		_, err := asked.ListWorkers(ctx)
		stop()
		if err == nil {
			return address
		}
		if time.Now().After(deadline) {
			t.Fatalf("buildkitd does not answer: %v", err)
		}
	}
}

// newRegistry is a registry with the base image, and what is asked of it.
func newRegistry(t *testing.T, b *bench) (host string, pushes *atomic.Int64) {
	t.Helper()
	pushes = &atomic.Int64{}
	inner := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPut {
			pushes.Add(1)
		}
		inner.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	host = strings.TrimPrefix(server.URL, "http://")
	from, err := name.NewTag(base)
	if err != nil {
		t.Fatal(err)
	}
	image, err := daemon.Image(from, daemon.WithClient(b.docker))
	if err != nil {
		t.Fatal(err)
	}
	to, err := name.NewTag(host + "/base:latest")
	if err == nil {
		err = remote.Write(to, image)
	}
	if err != nil {
		t.Fatal(err)
	}
	return host, pushes
}

// TestBuildKitDaemon: BUILDKIT_HOST builds without an engine. A registry keeps the cache from
// one daemon to the next, layers come once, and secrets stay where they are.
func TestBuildKitDaemon(t *testing.T) {
	b := newBench(t, map[string]string{"a.txt": "a", "b.txt": "b"})
	host, pushes := newRegistry(t, b)
	b.write("Dockerfile", "FROM "+host+"/base\nRUN --mount=type=secret,id=TOKEN cat /run/secrets/TOKEN; echo made > /made\nCOPY a.txt /a\nCOPY b.txt /b\n")
	t.Setenv("DOCKER_HOST", "unix:///nowhere.sock")
	b.daemon = startDaemon(t)
	b.getenv = func(string) (string, bool) { return canary, true }
	b.request.App.Build.Secrets = []string{"TOKEN"}
	b.request.App.ProcfileText = "web: serve\n"
	cache := host + "/team/app:cache"
	b.request.App.Build.Cache = manifest.BuildCache{To: cache, From: []string{cache}}
	before := pushes.Load()
	first := b.build()
	if err := validate.Image(first); err != nil {
		t.Errorf("the image is not valid: %v", err)
	}
	if pushes.Load() == before {
		t.Error("no cache was written to the registry")
	}
	config, err := first.ConfigFile()
	if err != nil || config.Config.Labels[api.LabelProcfile] != "web: serve\n" {
		t.Errorf("%v, %v", config, err)
	}
	clean(t, first, canary)
	if b.printed(canary) || !b.printed("[secret]") {
		t.Errorf("the build printed:\n%s", strings.Join(b.lines, "\n"))
	}
	blobs := func() []os.DirEntry {
		entries, err := os.ReadDir(filepath.Join(b.cache, "buildkit", b.app, "blobs", "sha256"))
		if err != nil {
			t.Fatal(err)
		}
		return entries
	}
	had := len(blobs())
	b.daemon = startDaemon(t) // which knows nothing of the first build but from the registry
	second := b.build()
	if first.ID != second.ID || !b.printed("CACHED") || len(blobs()) != had {
		t.Errorf("%s, then %s, %d and %d blobs\n%s", first.ID, second.ID, had, len(blobs()), strings.Join(b.lines, "\n"))
	}
	b.write("b.txt", "changed")
	third := digests(t, b.build())
	if former := digests(t, second); !cmp.Equal(former[:3], third[:3]) || former[3] == third[3] || len(blobs()) != had+3 {
		t.Errorf("layers %v, then %v; %d blobs, before %d", former, third, len(blobs()), had)
	}
	b.write("Dockerfile", "FROM "+host+"/base\n\nRUN echo said && exit 4\n")
	if b.fails("exit code: 4", "Dockerfile:3"); !b.printed("said") {
		t.Errorf("the build printed:\n%s", strings.Join(b.lines, "\n"))
	}
	b.daemon = "unix:///nowhere.sock"
	if e := b.fails("does not answer"); !strings.Contains(e.Hint, "BUILDKIT_HOST") {
		t.Errorf("the hint is %q", e.Hint)
	}
}

// TestEngineToo: where the daemon stands in for the engine, a base image that only the engine
// has is no reason to fail; elsewhere it is.
func TestEngineToo(t *testing.T) {
	b := newBench(t, map[string]string{"Dockerfile": "FROM " + base + "\nRUN echo built\n"})
	builder := Builder{BuildKit: startDaemon(t), CacheDir: b.cache}
	if _, err := builder.Build(t.Context(), b.request); err == nil || !strings.Contains(err.Error(), "load metadata for") {
		t.Fatalf("the daemon alone: %v", err)
	}
	builder.EngineToo = true
	image, err := builder.Build(t.Context(), b.request)
	if err != nil {
		t.Fatal(err, b.lines)
	}
	b.ids = append(b.ids, image.ID)
	if !strings.Contains(strings.Join(b.lines, "\n"), "only in the Docker engine") {
		t.Errorf("it said %q", b.lines)
	}
	b.write("Dockerfile", "FROM 127.0.0.1:9/nobody/has:this\n")
	if _, err := builder.Build(t.Context(), b.request); err == nil || strings.Contains(strings.Join(b.lines, "\n"), "nobody/has:this is only") {
		t.Errorf("an image that nobody has: %v", err)
	}
}
