package pack_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/daemon"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/build"
	"github.com/dokku-push/dokku-push/build/pack"
	"github.com/dokku-push/dokku-push/internal/testkit"
	"github.com/dokku-push/dokku-push/manifest"
)

// bench is a copy of the sample app, to be built by the tests' builder.
type bench struct {
	t       *testing.T
	dir     string
	name    string
	cnb     testkit.CNB
	docker  *client.Client
	builder pack.Builder

	mu    sync.Mutex
	lines []string
}

func newBench(t *testing.T) *bench {
	b := &bench{t: t, cnb: testkit.Buildpacks(t), dir: testkit.CopyApp(t, "cnb"), name: testkit.AppName(t, "dkp-pack"), docker: testkit.Engine(t),
		builder: pack.Builder{CacheDir: t.TempDir()}}
	t.Cleanup(b.tidy)
	return b
}

// tidy removes what builds leave for the next one.
func (b *bench) tidy() {
	ctx := context.Background()
	_, _ = b.docker.ImageRemove(ctx, "dokku-push/"+b.name+":latest", client.ImageRemoveOptions{Force: true, PruneChildren: true})
	for _, volume := range b.volumes("dokku-push-" + b.name) {
		_, _ = b.docker.VolumeRemove(ctx, volume, client.VolumeRemoveOptions{Force: true})
	}
}

func (b *bench) volumes(prefix string) (names []string) {
	b.t.Helper()
	found, err := b.docker.VolumeList(context.Background(), client.VolumeListOptions{})
	if err != nil {
		b.t.Fatal(err)
	}
	for _, volume := range found.Items {
		if strings.HasPrefix(volume.Name, prefix) {
			names = append(names, volume.Name)
		}
	}
	return names
}

// request loads the app anew, as a push does.
func (b *bench) request() build.Request {
	b.t.Helper()
	app, found := manifest.Load(os.DirFS(b.dir), manifest.Options{Getenv: func(string) (string, bool) { return "", false }})
	if found.Failed() {
		b.t.Fatal(found)
	}
	b.mu.Lock()
	b.lines = nil
	b.mu.Unlock()
	return build.Request{Dir: b.dir, App: app, Name: b.name, Revision: strings.Repeat("a", 40), OS: "linux", Arch: runtime.GOARCH, Output: func(line string) {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.lines = append(b.lines, line)
	}}
}

func (b *bench) build() *build.Image {
	b.t.Helper()
	start := time.Now()
	image, err := b.builder.Build(context.Background(), b.request())
	if err != nil {
		b.t.Fatalf("%v (%s)\n%s", err, api.AsError(err).Hint, b.said())
	}
	b.t.Logf("built %s in %s", image.ID, time.Since(start).Round(time.Millisecond))
	return image
}

func (b *bench) said() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return strings.Join(b.lines, "\n")
}

func (b *bench) write(file, text string) {
	b.t.Helper()
	if err := os.WriteFile(filepath.Join(b.dir, file), []byte(text), 0o644); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) remove(file string) {
	b.t.Helper()
	if err := os.RemoveAll(filepath.Join(b.dir, file)); err != nil {
		b.t.Fatal(err)
	}
}

func layers(t *testing.T, image v1.Image) map[string]bool {
	t.Helper()
	all, err := image.Layers()
	if err != nil {
		t.Fatal(err)
	}
	digests := map[string]bool{}
	for _, layer := range all {
		digest, err := layer.Digest()
		if err != nil {
			t.Fatal(err)
		}
		digests[digest.String()] = true
	}
	return digests
}

func fresh(before, after map[string]bool) (count int) {
	for digest := range after {
		if !before[digest] {
			count++
		}
	}
	return count
}

func config(t *testing.T, image v1.Image) v1.Config {
	t.Helper()
	file, err := image.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	return file.Config
}

// TestBuild: one tree, one image; a changed line, one changed layer; what the build was
// told stays in the build.
func TestBuild(t *testing.T) {
	b := newBench(t)
	first := b.build()
	if said := b.said(); !strings.Contains(said, "tools: made") || !strings.Contains(said, "BUILD_TOKEN has 24 characters") {
		t.Errorf("the first build said:\n%s", said)
	} else if strings.Contains(said, "\x1b") || strings.Contains(said, "SBOM") || strings.Contains(said, "warning") {
		t.Errorf("the first build said too much:\n%s", said)
	}
	labels := config(t, first).Labels
	for label, want := range map[string]string{api.LabelBuilder: "pack", api.LabelRevision: strings.Repeat("a", 40)} {
		if labels[label] != want {
			t.Errorf("label %s is %q, want %q", label, labels[label], want)
		}
	}
	if !strings.Contains(labels[api.LabelProcfile], "worker: ") || !strings.Contains(labels[api.LabelAppJSON], "healthchecks") {
		t.Errorf("labels %v", labels)
	}
	raw, err := first.RawConfigFile()
	if err != nil || strings.Contains(string(raw), "seen-while-building-only") || strings.Contains(string(raw), "BUILD_TOKEN") {
		t.Errorf("the build's variable stands in the image's config: %s, %v", raw, err)
	}

	if err := os.MkdirAll(filepath.Join(b.dir, ".git"), 0o755); err != nil {
		t.Fatal(err)
	}
	b.write(".git/index", time.Now().String())
	again := b.build()
	if again.ID != first.ID {
		t.Errorf("the same tree gave %s and then %s", first.ID, again.ID)
	}
	if !strings.Contains(b.said(), "tools: kept from the last build") {
		t.Errorf("the cache was not used:\n%s", b.said())
	}

	testkit.Edit(t, b.dir, "www/cgi-bin/index.cgi", "first", "second")
	changed := b.build()
	if count := fresh(layers(t, first), layers(t, changed)); changed.ID == first.ID || count != 1 {
		t.Errorf("a changed line changed %d layers, want 1", count)
	}

	// From nothing, elsewhere, from files of another day: the same image as at first.
	testkit.Edit(t, b.dir, "www/cgi-bin/index.cgi", "second", "first")
	b.move()
	b.tidy()
	b.builder.CacheDir = t.TempDir()
	if fresh := b.build(); fresh.ID != first.ID {
		t.Errorf("without a cache the tree gave %s, before %s", fresh.ID, first.ID)
	}
	b.runs(first)
	folder := t.TempDir()
	bills, err := build.WriteSBOM(first, folder)
	if err != nil || !slices.Contains(bills, "dokku-push_hello/sbom.cdx.json") {
		t.Errorf("the bills of materials: %q, %v", bills, err)
	}
	if text, err := os.ReadFile(filepath.Join(folder, "dokku-push_hello", "sbom.cdx.json")); err != nil || !strings.Contains(string(text), "CycloneDX") {
		t.Errorf("%q, %v", text, err)
	}
}

// move takes the app to another folder, where its files are a day older.
func (b *bench) move() {
	b.t.Helper()
	dir := filepath.Join(b.t.TempDir(), "elsewhere")
	if err := os.CopyFS(dir, os.DirFS(b.dir)); err != nil {
		b.t.Fatal(err)
	}
	yesterday := time.Now().Add(-24 * time.Hour)
	err := filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		if err == nil {
			err = os.Chtimes(path, yesterday, yesterday)
		}
		return err
	})
	if err != nil {
		b.t.Fatal(err)
	}
	b.dir = dir
}

// runs looks into the image with the engine: what is in its environment and files.
func (b *bench) runs(image *build.Image) {
	b.t.Helper()
	tag, err := name.NewTag("dokku-push/" + b.name + ":run")
	if err != nil {
		b.t.Fatal(err)
	}
	if said, err := daemon.Write(tag, image); err != nil {
		b.t.Fatalf("load the image: %v %s", err, said)
	}
	defer func() {
		_, _ = b.docker.ImageRemove(context.Background(), tag.String(), client.ImageRemoveOptions{Force: true, PruneChildren: true})
	}()
	out := docker(b.t, "run", "--rm", "--network", "none", "--entrypoint", "/cnb/process/release", tag.String())
	if !strings.Contains(out, "released as Hello, buildpacks in /workspace") {
		b.t.Errorf("the release process printed %q", out)
	}
	launch := func(script string) string {
		return docker(b.t, "run", "--rm", "--network", "none", "--entrypoint", "/cnb/lifecycle/launcher", tag.String(), "--", "sh", "-c", script)
	}
	if out := launch("env; ls /layers/*"); !strings.Contains(out, "GREETING=Hello, buildpacks") || !strings.Contains(out, "assets") ||
		strings.Contains(out, "BUILD_TOKEN") || strings.Contains(out, "tools") {
		b.t.Errorf("in the image:\n%s", out)
	}
	// dokku.hcl is part of the app, and says what was told to the build.
	if out := launch("grep -rl seen-while-building-only /workspace /layers /cnb /platform /etc /tmp 2>/dev/null || true"); out != "/workspace/dokku.hcl\n" {
		b.t.Errorf("the build's variable stands in %s", out)
	}
}

// TestOtherProcesses: without a Procfile the image's processes are the app's; with another
// one the difference is told.
func TestOtherProcesses(t *testing.T) {
	b := newBench(t)
	b.remove("Procfile")
	request := b.request()
	image, err := b.builder.Build(context.Background(), request)
	if err != nil {
		t.Fatalf("%v\n%s", err, b.said())
	}
	const want = "web: exec busybox httpd -f -p \"$PORT\" -h www\nworker: exec sleep 3600\n"
	if request.App.ProcfileText != want || config(t, image).Labels[api.LabelProcfile] != want {
		t.Errorf("the app runs %q", request.App.ProcfileText)
	}
	b.write(".slugignore", "# not for the app\nProcfile\n")
	b.write("Procfile", "web: other\nmail: send\n")
	b.build()
	for _, want := range []string{"no buildpack made a process mail", `web is "other" in the Procfile`, "a process worker"} {
		if !strings.Contains(b.said(), want) {
			t.Errorf("%q is not told:\n%s", want, b.said())
		}
	}
}

// TestFailures: what a buildpack printed is shown whole; a builder that is not there, an
// app that nobody wants and a list that cannot be understood are said in words.
func TestFailures(t *testing.T) {
	b := newBench(t)
	fails := func(code api.Code, message, hint string) {
		t.Helper()
		_, err := b.builder.Build(context.Background(), b.request())
		e := api.AsError(err)
		if e == nil || e.Code != code || !strings.Contains(e.Message, message) || !strings.Contains(e.Hint, hint) {
			t.Fatalf("got %#v\n%s", e, b.said())
		}
	}
	b.write("break", "")
	fails(api.BuildFailed, "a buildpack failed", "above")
	if said := b.said(); strings.Count(said, "of a failing buildpack") != 500 || !strings.Contains(said, "the last word") {
		t.Errorf("the buildpack's output is not whole:\n%s", said)
	}
	b.remove("break")
	b.remove("greeting.txt")
	fails(api.BuildFailed, "no buildpack of dokku-push-test/cnb-builder:latest wants this app", "Dockerfile")
	b.write(".buildpacks", "https://github.com/acme/heroku-buildpack-thing\n")
	fails(api.InvalidManifest, "acme", "heroku/nodejs")
	b.write(".buildpacks", "dokku-push/nowhere\n")
	testkit.Edit(t, b.dir, "dokku.hcl", "dokku-push-test/cnb-builder:latest", "127.0.0.1:1/nobody/builder:latest")
	fails(api.BuildFailed, "failed to fetch builder image", "docker login")
	b.nothingLeft()
}

// nothingLeft looks for what only a running build has.
func (b *bench) nothingLeft() {
	b.t.Helper()
	found, err := b.docker.ContainerList(context.Background(), client.ContainerListOptions{All: true, Filters: make(client.Filters).Add("label", "author=pack")})
	if err != nil {
		b.t.Fatal(err)
	}
	for _, container := range found.Items {
		for _, mount := range container.Mounts {
			if strings.Contains(mount.Name, b.name) {
				b.t.Errorf("container %s is left: %s", container.ID[:12], container.Status)
			}
		}
	}
}

// TestCancel: a build that is cut off leaves no container, and says so.
func TestCancel(t *testing.T) {
	b := newBench(t)
	b.write("slow", "")
	request := b.request()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	output := request.Output
	request.Output = func(line string) {
		output(line)
		if line == "waiting" {
			cancel()
		}
	}
	start := time.Now()
	_, err := b.builder.Build(ctx, request)
	if e := api.AsError(err); e == nil || e.Code != api.Cancelled || !errors.Is(err, context.Canceled) {
		t.Errorf("got %v\n%s", err, b.said())
	}
	if took := time.Since(start); took > 5*time.Minute {
		t.Errorf("it took %s", took)
	}
	b.nothingLeft()
}

// TestLimits: while a buildpack runs, the engine holds its container by what a host gives to
// builds.
func TestLimits(t *testing.T) {
	b := newBench(t)
	b.write("slow", "")
	b.builder.Memory, b.builder.Shares, b.builder.CPUs = 300<<20, 200, 500_000_000
	request := b.request()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	output := request.Output
	var held []container.Resources
	request.Output = func(line string) {
		output(line)
		if line == "waiting" {
			held = b.running()
			cancel()
		}
	}
	_, err := b.builder.Build(ctx, request)
	if e := api.AsError(err); e == nil || e.Code != api.Cancelled {
		t.Errorf("got %v\n%s", err, b.said())
	}
	if len(held) == 0 {
		t.Fatalf("no container of the build runs:\n%s", b.said())
	}
	for _, one := range held {
		if one.Memory != 300<<20 || one.MemorySwap != 300<<20 || one.CPUShares != 200 || one.NanoCPUs != 500_000_000 {
			t.Errorf("a container may use %d bytes, %d with swap, %d shares and %d billionths of a processor", one.Memory, one.MemorySwap, one.CPUShares, one.NanoCPUs)
		}
	}
}

// running is what the containers that run for this build may use.
func (b *bench) running() (held []container.Resources) {
	ctx := context.Background()
	all, err := b.docker.ContainerList(ctx, client.ContainerListOptions{})
	if err != nil {
		b.t.Error(err)
	}
	for _, one := range all.Items {
		if !slices.ContainsFunc(one.Mounts, func(m container.MountPoint) bool { return strings.HasPrefix(m.Name, "dokku-push-"+b.name) }) {
			continue
		}
		if found, err := b.docker.ContainerInspect(ctx, one.ID, client.ContainerInspectOptions{}); err == nil {
			held = append(held, found.Container.HostConfig.Resources)
		}
	}
	return held
}

// TestPublish: with a registry the engine holds no copy, the registry keeps the cache in
// CI, and what is there already is not sent.
func TestPublish(t *testing.T) {
	b := newBench(t)
	registry := testkit.Registry(t, testkit.RegistryOptions{})
	run := registry.Addr + "/base/run:latest"
	docker(t, "tag", b.cnb.Run, run)
	defer func() { _, _ = b.docker.ImageRemove(context.Background(), run, client.ImageRemoveOptions{}) }()
	docker(t, "push", "--quiet", run)
	b.builder.Registry, b.builder.CI = registry.Addr+"/team/app", true
	testkit.Edit(t, b.dir, "dokku.hcl", "builder = \"dokku-push-test", "run_image = \""+run+"\"\n    builder = \"dokku-push-test")

	first := b.build()
	if id, err := first.ConfigName(); err != nil || id.String() != first.ID {
		t.Errorf("the id is %s, the config's digest %s, %v", first.ID, id, err)
	}
	if labels := config(t, first).Labels; labels[api.LabelBuilder] != "pack" {
		t.Errorf("labels %v", labels)
	}
	if _, err := b.docker.ImageInspect(context.Background(), "dokku-push/"+b.name+":latest"); err == nil {
		t.Error("the engine holds a copy")
	}
	if left := b.volumes("dokku-push-" + b.name); len(left) > 0 {
		t.Errorf("volumes %v were made in CI", left)
	}
	// Somewhere else, with nothing but the registry.
	b.builder.CacheDir = t.TempDir()
	if again := b.build(); again.ID != first.ID {
		t.Errorf("the same tree gave %s and then %s", first.ID, again.ID)
	}
	if !strings.Contains(b.said(), "tools: kept from the last build") {
		t.Errorf("the registry's cache was not used:\n%s", b.said())
	}
	tag, err := name.NewTag(b.builder.Registry + ":deployed")
	if err != nil {
		t.Fatal(err)
	}
	before := registry.Requests("PATCH", "/team/app/") + registry.Requests("PUT", "/team/app/blobs/uploads/")
	if err := remote.Write(tag, first); err != nil {
		t.Fatal(err)
	}
	if sent := registry.Requests("PATCH", "/team/app/") + registry.Requests("PUT", "/team/app/blobs/uploads/") - before; sent > 2 {
		t.Errorf("shipping the published image sent %d requests of blobs, want those of the config alone", sent)
	}
}
