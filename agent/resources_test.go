package agent

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/manifest"
)

func TestParseMemory(t *testing.T) {
	for text, want := range map[string]int64{"100": 100 << 20, "67108864": 64 << 20, "64m": 64 << 20, "64M": 64 << 20, "64mb": 64 << 20, "1g": 1 << 30, "2GiB": 2 << 30,
		"2048k": 2 << 20, "10b": 10, "0": 0, "10485760b": 10 << 20} {
		if got, err := ParseMemory(text); err != nil || got != want {
			t.Errorf("%q is %d, %v; want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", "m", "-1", "+1", "1.5g", "1t", "1e3", "0x10", "9223372036854775807g", "1 m m", "١m"} {
		if got, err := ParseMemory(text); err == nil {
			t.Errorf("%q is taken for %d", text, got)
		}
	}
}

// TestSameMemory: a limit that dokku.hcl says in other words than resource:limit is no change.
func TestSameMemory(t *testing.T) {
	const property = "resource/web.limit.memory"
	for _, one := range []struct{ before, declared, after string }{{"64m", "67108864", "64m"}, {"64", "67108864", "64"}, {"65m", "67108864", "67108864"}, {"", "67108864", "67108864"}, {"much", "67108864", "67108864"}} {
		settings := Settings{Properties: map[string]string{}}
		if one.before != "" {
			settings.Properties[property] = one.before
		}
		declared{properties: map[string]string{property: one.declared, "checks/disabled": "web"}}.putInto(&settings)
		if got := settings.Properties[property]; got != one.after || settings.Properties["checks/disabled"] != "web" {
			t.Errorf("%q declared as %q is %q, want %q", one.before, one.declared, got, one.after)
		}
	}
}

// TestResourceDefaults: a process type's own property is over the one for all.
func TestResourceDefaults(t *testing.T) {
	settings := Settings{Properties: map[string]string{
		"resource/_default_.limit.memory": "100", "resource/_default_.limit.cpu": "0.5", "resource/worker.limit.memory": "1g",
		"resource/_default_.reserve.memory": "50m", "resource/worker.limit.memory-swap": "-1", "resource/worker.limit.nvidia-gpu": "2",
		"docker-options/_default_.deploy": "--init\n--env 'A=b c'", "docker-options/worker.deploy": "--ulimit nofile=12",
	}}
	for process, want := range map[string]struct {
		memory, cpus  int64
		args, options []string
	}{
		"web":    {100 << 20, 5e8, []string{"--memory-reservation=52428800b"}, []string{"--init", "--env", "A=b c"}},
		"worker": {1 << 30, 5e8, []string{"--memory-swap=-1", "--gpus=2", "--memory-reservation=52428800b"}, []string{"--init", "--env", "A=b c", "--ulimit", "nofile=12"}},
	} {
		memory, cpus := limits(settings, process)
		options, err := optionsOf(settings, process, "deploy")
		if memory != want.memory || cpus != want.cpus || err != nil {
			t.Errorf("%s: %d, %d, %v", process, memory, cpus, err)
		}
		if diff := cmp.Diff([][]string{want.args, want.options}, [][]string{limitArgs(settings, process), options}); diff != "" {
			t.Errorf("%s:\n%s", process, diff)
		}
	}
}

func TestKnownProperty(t *testing.T) {
	for name, want := range map[string]bool{"resource/_default_.limit.memory": true, "resource/web.reserve.memory": true, "docker-options/worker.deploy": true, "apps/locked": true,
		"resource/_other_.limit.memory": false, "resource/web.limit.network": false, "docker-options/a/b.deploy": false, "docker-options/worker.start": false, "scheduler/selected": false} {
		if KnownProperty(name) != want {
			t.Errorf("%s is known: %t", name, !want)
		}
	}
}

// TestAllowed: a locked app is not changed, whatever the change.
func TestAllowed(t *testing.T) {
	r := &run{change: Change{App: "shop", Kind: Deploy}, settings: Settings{Properties: map[string]string{"apps/locked": "true"}, Scale: map[string]int{"web": 1, "worker": 0}}}
	if err := r.allowed(); api.AsError(err).Code != api.Locked {
		t.Errorf("a locked app: %v", err)
	}
	delete(r.settings.Properties, "apps/locked")
	r.change.Kind = Restart
	for process, want := range map[string]bool{"": true, "web": true, "worker": false, "clock": false} {
		r.change.Process = process
		if err := r.allowed(); (err == nil) != want {
			t.Errorf("a restart of %q: %v", process, err)
		}
	}
}

// TestCopyTree: modes, links and empty folders are the same; what containers make is not
// copied.
func TestCopyTree(t *testing.T) {
	from, to := filepath.Join(t.TempDir(), "a"), filepath.Join(t.TempDir(), "b")
	for name, mode := range map[string]os.FileMode{"VHOST": 0o644, "tls/server.key": 0o600, "hooks/pre-receive": 0o755, "nginx.conf": 0o644, "CONTAINER.web.1": 0o644, "IP.web.1": 0o644, "nginx.conf.d/x.conf": 0o644} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(from, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(from, name), []byte(name), mode); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("/nowhere", filepath.Join(from, "link")); err != nil {
		t.Fatal(err)
	}
	if err := copyTree(from, to, madeByContainers); err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	_ = filepath.WalkDir(to, func(path string, entry os.DirEntry, err error) error {
		info, infoErr := entry.Info()
		if err != nil || infoErr != nil {
			t.Fatal(err, infoErr)
		}
		name, _ := filepath.Rel(to, path)
		got[name] = info.Mode().String()
		return nil
	})
	want := map[string]string{".": "drwxr-xr-x", "VHOST": "-rw-r--r--", "tls": "drwxr-xr-x", "tls/server.key": "-rw-------", "hooks": "drwxr-xr-x", "hooks/pre-receive": "-rwxr-xr-x",
		"nginx.conf.d": "drwxr-xr-x", "nginx.conf.d/x.conf": "-rw-r--r--", "link": "Lrwxrwxrwx"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the copy:\n%s", diff)
	}
	if err := copyTree(filepath.Join(from, "absent"), to, madeByContainers); err != nil {
		t.Errorf("a folder that is not there: %v", err)
	}
}

// TestParallel: -1 is a word like another: dokku.hcl's "all at once" is over app.json's number.
func TestParallel(t *testing.T) {
	for _, one := range []struct{ declared, appJSON, want int }{{0, 0, mostContainers}, {2, 0, 2}, {0, 3, 3}, {2, 3, 2}, {-1, 3, mostContainers}, {0, -1, mostContainers}, {4, -1, 4}} {
		d := declaredIn(api.ReleaseDocument{Declared: &api.Declared{Formation: map[string]api.Process{"web": {MaxParallel: one.declared}}}})
		r := &run{settings: Settings{Properties: d.properties}, appJSON: &manifest.AppJSON{Formation: map[string]manifest.Formation{"web": {MaxParallel: one.appJSON}}}}
		if got := r.parallel("web"); got != one.want {
			t.Errorf("dokku.hcl %d, app.json %d: %d at once, want %d", one.declared, one.appJSON, got, one.want)
		}
	}
}
