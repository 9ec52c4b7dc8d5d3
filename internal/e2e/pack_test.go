package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/dokku-push/dokku-push/internal/testkit"
)

// packApp is a copy of the sample that buildpacks build, with its caches removed at the end.
func packApp(t *testing.T, h *testkit.Host) (dir, app string) {
	t.Helper()
	return packed(t, h, "cnb")
}

// packed is packApp for any of the samples.
func packed(t *testing.T, h *testkit.Host, sample string) (dir, app string) {
	t.Helper()
	dir, app = testkit.CopyApp(t, sample), h.App(t, sample)
	t.Cleanup(func() {
		for _, volume := range strings.Fields(docker(t, "volume", "ls", "--quiet", "--filter", "name=dokku-push-"+app)) {
			_ = exec.Command("docker", "volume", "rm", "--force", volume).Run() // a container may have it still
		}
	})
	return dir, app
}

// TestPack: an image that buildpacks made runs as any other: web behind nginx, worker,
// release task and one-off commands, in the environment that the buildpacks prepared.
func TestPack(t *testing.T) {
	t.Parallel()
	h := testkit.Serve(t, testkit.ServeOptions{})
	dir, app := packApp(t, h)
	first := pushed(t, h.Push(t, dir, "--app", app))
	t.Logf("the first push took %s", first.Took)
	answers(t, h, app, "/", "Hello, buildpacks, first")
	for _, want := range []string{"tools: made", "BUILD_TOKEN has 24 characters", "released as Hello, buildpacks in /workspace"} {
		if !strings.Contains(first.Stderr, want) {
			t.Errorf("the push does not say %q:\n%s", want, first.Stderr)
		}
	}
	if strings.Contains(first.Stderr, "warning: ") {
		t.Errorf("the push warns:\n%s", first.Stderr)
	}
	before := status(t, h, dir, app)
	if worker := container(t, before, "worker", 1); worker.Status != "running" {
		t.Errorf("worker %+v", worker)
	}
	says(t, h, "working for Hello, buildpacks", "logs", app, "-p", "worker")

	dokku(t, h, 0, "config:set", "--no-restart", app, "COLOUR=blue")
	env := dokku(t, h, 0, "run", app, "env").Stdout
	if !strings.Contains(env, "GREETING=Hello, buildpacks") || !strings.Contains(env, "COLOUR=blue") || strings.Contains(env, "BUILD_TOKEN") {
		t.Errorf("run env printed:\n%s", env)
	}
	says(t, h, "released as Hello, buildpacks", "run", app, "release")
	dokku(t, h, 3, "run", app, "sh", "-c", "'exit 3'")
	dokku(t, h, 0, "config:unset", "--no-restart", app, "COLOUR")

	project := filepath.Join(dir, "project.toml")
	if err := os.WriteFile(project, []byte("[_]\nschema-version = \"0.2\"\n\n[io.buildpacks]\nexclude = [\"*.md\"]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if plan := planned(t, h, dir, app); !strings.Contains(strings.Join(plan.Decided, "\n"), "project.toml: io.buildpacks.exclude") {
		t.Errorf("the plan does not name project.toml: %q", plan.Decided)
	}
	if err := os.Remove(project); err != nil {
		t.Fatal(err)
	}
	again := pushed(t, h.Push(t, dir, "--app", app))
	if !strings.Contains(again.Stderr, "nothing to do") || !strings.Contains(again.Stderr, "tools: kept from the last build") {
		t.Errorf("an unchanged push says:\n%s", again.Stderr)
	}
	if after := status(t, h, dir, app); len(after.Releases) != 1 || after.Containers[0].ID != before.Containers[0].ID {
		t.Errorf("the state changed: %+v\nthen %+v", before, after)
	}

	testkit.Edit(t, dir, "www/cgi-bin/index.cgi", "first", "second")
	second := pushed(t, h.Push(t, dir, "--app", app))
	answers(t, h, app, "/", "Hello, buildpacks, second")
	layers, bytes := wire(t, second)
	t.Logf("a one-line change sent %d layers, %d bytes, and took %s", layers, bytes, second.Took)
	if layers != 1 || bytes > 64<<10 {
		t.Errorf("a one-line change sent %d layers and %d bytes, want one small layer", layers, bytes)
	}
}

// TestPackProcesses: without a Procfile the image's process types are the app's.
func TestPackProcesses(t *testing.T) {
	t.Parallel()
	h := testkit.Serve(t, testkit.ServeOptions{})
	dir, app := packApp(t, h)
	if err := os.Remove(filepath.Join(dir, "Procfile")); err != nil {
		t.Fatal(err)
	}
	pushed(t, h.Push(t, dir, "--app", app))
	answers(t, h, app, "/", "Hello, buildpacks, first")
	if worker := container(t, status(t, h, dir, app), "worker", 1); worker.Status != "running" {
		t.Errorf("worker %+v", worker)
	}
	if path := docker(t, "inspect", "--format", "{{json .Path}}{{json .Config.Entrypoint}}{{json .Config.Cmd}}", app+".worker.1"); !strings.Contains(path, "/cnb/process/worker") {
		t.Errorf("the worker runs %s", path)
	}
}

// TestPackRegistry: the lifecycle publishes, the host pulls by digest.
func TestPackRegistry(t *testing.T) {
	t.Parallel()
	h := testkit.Serve(t, testkit.ServeOptions{})
	registry := testkit.Registry(t, testkit.RegistryOptions{})
	repository, run := registry.Addr+"/team/app", registry.Addr+"/base/run:latest"
	forgetPulled(t, repository)
	dir, app := packApp(t, h)
	docker(t, "tag", testkit.Buildpacks(t).Run, run)
	t.Cleanup(func() { docker(t, "rmi", run) })
	docker(t, "push", "--quiet", run)
	testkit.Edit(t, dir, "dokku.hcl", "    env ", "    run_image = \""+run+"\"\n    env ")
	r := pushed(t, h.Push(t, dir, "--app", app, "--registry", repository))
	answers(t, h, app, "/", "Hello, buildpacks, first")
	if sent := registryBytes(t, r); sent > 64<<10 {
		t.Errorf("shipping what was published sent %d bytes", sent)
	}
	if copies := strings.TrimSpace(docker(t, "images", "--quiet", "dokku-push/"+app)); copies != "" {
		t.Errorf("the engine of the build holds a copy: %s", copies)
	}
}

// TestPackFails: a buildpack that fails ends the push before anything is sent.
func TestPackFails(t *testing.T) {
	t.Parallel()
	h := testkit.Serve(t, testkit.ServeOptions{})
	dir, app := packApp(t, h)
	put(t, dir+"/break", "")
	r := h.Push(t, dir, "--app", app)
	if r.Exit != 20 || strings.Count(r.Stderr, "of a failing buildpack") != 500 || !strings.Contains(r.Stderr, "the last word") {
		t.Errorf("exit %d, want 20 and the whole output\n%s", r.Exit, r.Stderr)
	}
}

// says waits until a command prints the text.
func says(t *testing.T, h *testkit.Host, want string, args ...string) {
	t.Helper()
	var out string
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); {
		if out = h.Dokku(t, args...).Stdout; strings.Contains(out, want) {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Errorf("%v printed %q, want %q in it", args, out, want)
}
