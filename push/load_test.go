package push

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/manifest"
)

// folder is a project of this name with these files.
func folder(t *testing.T, name string, files map[string]string) Options {
	t.Helper()
	dir := filepath.Join(t.TempDir(), name)
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for file, text := range files {
		put(t, dir, file, text)
	}
	return Options{Dir: dir, Getenv: variables(nil), Report: func(api.Event) {}}
}

// TestLoadName: what was asked for, else dokku.hcl, else the folder.
func TestLoadName(t *testing.T) {
	said := map[string]string{"dokku.hcl": "app = \"said\"\nenvironment \"staging\" {\n  app = \"staged\"\n}\n"}
	for _, test := range []struct {
		files                    map[string]string
		folder, app, environment string
		want                     string
	}{
		{said, "shop", "asked", "", "asked"},
		{said, "shop", "", "", "said"},
		{said, "shop", "", "staging", "staged"},
		{said, "shop", "asked", "staging", "asked"},
		{nil, "shop", "asked", "", "asked"},
		{nil, "shop", "", "", "shop"},
		{said, "My Shop", "", "", "said"},
	} {
		o := folder(t, test.folder, test.files)
		o.App, o.Environment = test.app, test.environment
		project, err := Load(o)
		if err != nil || project.Name != test.want || project.Dir != o.Dir {
			t.Errorf("%+v: %+v, %v", test, project, err)
		}
	}
	for _, name := range []string{"My Shop", ".shop", "-shop"} {
		if _, err := Load(folder(t, name, nil)); api.Exit(err) != 64 || !strings.Contains(api.AsError(err).Hint, "--app, DOKKU_APP or app in dokku.hcl") {
			t.Errorf("%q is no name: %v", name, err)
		}
	}
}

func TestLoadMistakes(t *testing.T) {
	o := folder(t, "shop", map[string]string{"Procfile": "nothing\n", "dokku.hcl": "build {\n  builder = \"magic\"\n}\n"})
	_, err := Load(o)
	if api.Exit(err) != 65 || !strings.Contains(err.Error(), "Procfile:1:1") || !strings.Contains(err.Error(), "dokku.hcl:2") {
		t.Errorf("not all mistakes at once: %v", err)
	}
	o.Dir = filepath.Join(o.Dir, "Procfile")
	if _, err := Load(o); api.Exit(err) != 64 {
		t.Errorf("a file: %v", err)
	}
	o.Dir += ".nowhere"
	if _, err := Load(o); api.Exit(err) != 64 {
		t.Errorf("nothing: %v", err)
	}
}

// TestLoadAdvice: advice is told, each once, and is no failure.
func TestLoadAdvice(t *testing.T) {
	o := folder(t, "shop", map[string]string{"app.json": "{} // advice\n"})
	events := &recorder{}
	o.Report = events.report
	if _, err := Load(o); err != nil || len(events.events) != 1 || !strings.HasPrefix(events.events[0].Warning, "app.json:1:4: ") {
		t.Errorf("%v, %+v", err, events.events)
	}
}

// TestLoadImage: an image that is named wins over whatever would be built.
func TestLoadImage(t *testing.T) {
	o := folder(t, "shop", map[string]string{"Dockerfile": "FROM scratch\n", "dokku.hcl": "build {\n  builder = \"dockerfile\"\n}\n"})
	o.Image = "nginx:alpine"
	project, err := Load(o)
	if err != nil || project.App.Build.Builder != "image" || project.App.Build.Image != "nginx:alpine" {
		t.Errorf("%+v, %v", project, err)
	}
}

func TestTarget(t *testing.T) {
	app := &manifest.App{Host: manifest.Host{Name: "production", Address: "dokku@example.com:2222", HostKey: "SHA256:said"}}
	for _, test := range []struct {
		host, key string
		app       *manifest.App
		target    string
		hostKey   string
	}{
		{"", "", app, "dokku@example.com:2222", "SHA256:said"},
		{"production", "", app, "dokku@example.com:2222", "SHA256:said"},
		{"production", "SHA256:asked", app, "dokku@example.com:2222", "SHA256:asked"},
		{"dokku@other", "", app, "dokku@other", ""}, // another host has another key
		{"dokku@other", "SHA256:asked", app, "dokku@other", "SHA256:asked"},
		{"dokku@other", "", nil, "dokku@other", ""},
	} {
		o := Options{Host: test.host}
		o.Remote.HostKey = test.key
		got, err := Target(o, test.app)
		if err != nil || got.Target != test.target || got.HostKey != test.hostKey {
			t.Errorf("%q %q: %+v, %v", test.host, test.key, got, err)
		}
	}
	for _, app := range []*manifest.App{nil, {}} {
		_, err := Target(Options{}, app)
		for _, word := range []string{"--host", "DOKKU_HOST", "dokku.hcl"} {
			if api.Exit(err) != 64 || !strings.Contains(api.AsError(err).Hint, word) {
				t.Errorf("no host: %v, and the hint does not name %s", err, word)
			}
		}
	}
}

// TestUnseen: what dokku-push reads or writes in the project's folder is not in its image.
func TestUnseen(t *testing.T) {
	dir, elsewhere := t.TempDir(), t.TempDir()
	link := filepath.Join(elsewhere, "link")
	if err := os.Symlink(dir, link); err != nil {
		t.Fatal(err)
	}
	t.Chdir(dir)
	o := Options{Plan: "plan.json", Own: []string{"", "./out/../result.json", filepath.Join(link, "events.json"), filepath.Join(elsewhere, "other.json"), "../above.json", "."}}
	for _, project := range []string{dir, link} {
		if diff := cmp.Diff([]string{"plan.json", "result.json", "events.json"}, o.unseen(project)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", project, diff)
		}
	}
}

func TestBytes(t *testing.T) {
	for n, want := range map[int64]string{0: "0 bytes", 10239: "10239 bytes", 10 << 10: "10.0 KiB (10240 bytes)", 10<<20 - 1: "10240.0 KiB (10485759 bytes)", 25 << 20: "25.0 MiB (26214400 bytes)"} {
		if got := Bytes(n); got != want {
			t.Errorf("%d: %q, want %q", n, got, want)
		}
	}
}

func TestStateDir(t *testing.T) {
	for _, test := range []struct {
		set  map[string]string
		want string
	}{
		{nil, ""}, {map[string]string{"HOME": "/h"}, "/h/.local/state/dokku-push"}, {map[string]string{"HOME": "/h", "XDG_STATE_HOME": "/s"}, "/s/dokku-push"},
		{map[string]string{"HOME": "/h", "XDG_STATE_HOME": "relative"}, "/h/.local/state/dokku-push"}, {map[string]string{"HOME": ""}, ""},
	} {
		if got := stateDir(Options{Getenv: variables(test.set)}); got != test.want {
			t.Errorf("%v: %q, want %q", test.set, got, test.want)
		}
	}
}
