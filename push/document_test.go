package push

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/build"
	"github.com/dokku-push/dokku-push/manifest"
)

// TestDocumentOf: everything that the manifest says of the host's settings is asked for.
func TestDocumentOf(t *testing.T) {
	two, none := 2, []string{}
	wait, retire := 7*time.Second, 90*time.Second
	app := &manifest.App{
		Config: map[string]string{"COLOR": "red"}, Secrets: []string{"TOKEN", "API_KEY"}, Domains: &[]string{"a.example.com"}, Ports: &none,
		Build: manifest.Build{Builder: "static"}, ProcfileText: "web: x\n", AppJSONText: "{}", ChecksText: "/ ok\n",
		Formation:     map[string]manifest.ProcessSpec{"web": {Quantity: &two, Memory: 64 << 20, CPU: "0.5", StopTimeout: 9 * time.Second, MaxParallel: 3}, "worker": {}},
		Checks:        manifest.Checks{Disabled: []string{"worker", "cron"}, Skipped: []string{"web"}, Wait: &wait, WaitToRetire: &retire},
		Storage:       &[]manifest.Mount{{Host: "/srv/a", Container: "/a"}, {Host: "/srv/b", Container: "/b", Options: "ro"}},
		DockerOptions: manifest.DockerOptions{Build: []string{"--one"}, Run: []string{"--two 2"}},
		Nginx:         map[string]string{"client-max-body-size": "9m"},
		Services:      []manifest.Service{{Plugin: "postgres", Name: "db", Link: true}, {Plugin: "redis", Name: "cache"}},
	}
	source := api.Source{Revision: "r", Branch: "b", Dirty: true}
	o := Options{Getenv: variables(map[string]string{"TOKEN": "t", "API_KEY": "k", "OTHER": "x"})}
	got, err := documentOf(o, &Project{App: app, Source: source}, &build.Image{ID: "sha256:1"})
	if err != nil {
		t.Fatal(err)
	}
	want := api.ReleaseDocument{
		Image: api.Image{ID: "sha256:1"}, Builder: "static", Source: source, Procfile: "web: x\n", AppJSON: "{}", Checks: "/ ok\n",
		Config: map[string]string{"COLOR": "red", "TOKEN": "t", "API_KEY": "k"}, Secrets: []string{"API_KEY", "TOKEN"},
		Declared: &api.Declared{
			Formation: map[string]api.Process{"web": {Quantity: &two, Memory: 64 << 20, CPU: "0.5", StopTimeout: 9, MaxParallel: 3}, "worker": {}},
			Domains:   &[]string{"a.example.com"}, Ports: &none,
			Checks:        map[string]string{"default-wait": "7", "wait-to-retire": "90", "disabled": "worker,cron", "skipped": "web"},
			Storage:       []string{"/srv/a:/a", "/srv/b:/b:ro"},
			DockerOptions: map[string][]string{"build": {"--one"}, "run": {"--two 2"}},
			Nginx:         map[string]string{"client-max-body-size": "9m"},
			Services:      []api.Service{{Plugin: "postgres", Name: "db", Link: true}, {Plugin: "redis", Name: "cache"}},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if diff := cmp.Diff(map[string]string{"COLOR": "red"}, app.Config); diff != "" {
		t.Errorf("secrets got into the manifest:\n%s", diff)
	}
}

// TestDocumentOfLittle: what is not said is not asked for.
func TestDocumentOfLittle(t *testing.T) {
	got, err := documentOf(Options{Getenv: variables(nil)}, &Project{App: &manifest.App{}}, &build.Image{ID: "sha256:1"})
	if diff := cmp.Diff(api.ReleaseDocument{Image: api.Image{ID: "sha256:1"}}, got); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	only := &manifest.App{Secrets: []string{"TOKEN"}}
	got, err = documentOf(Options{Getenv: variables(map[string]string{"TOKEN": "t"})}, &Project{App: only}, &build.Image{})
	if err != nil || got.Config["TOKEN"] != "t" || only.Config != nil {
		t.Errorf("secrets without config: %+v, %v", got, err)
	}
	// Every part that may be said by itself is said.
	zero := time.Duration(0)
	for what, app := range map[string]*manifest.App{
		"no domains": {Domains: &[]string{}}, "no ports": {Ports: &[]string{}}, "formation": {Formation: map[string]manifest.ProcessSpec{"web": {}}},
		"a wait of none": {Checks: manifest.Checks{Wait: &zero}}, "docker options": {DockerOptions: manifest.DockerOptions{Deploy: []string{"-x"}}},
		"nginx": {Nginx: map[string]string{"a": "b"}}, "a service": {Services: []manifest.Service{{Plugin: "redis", Name: "c"}}},
		"a mount": {Storage: &[]manifest.Mount{{Host: "/a", Container: "/b"}}},
	} {
		if declaredOf(app) == nil {
			t.Errorf("%s: nothing is asked for", what)
		}
	}
}

// TestDocumentOfPlaceholders: a secret that nobody has set is refused, whatever stands for it.
func TestDocumentOfPlaceholders(t *testing.T) {
	app := &manifest.App{Secrets: []string{"TOKEN", "OTHER"}}
	for _, value := range []string{"", " ", "changeme", "ChangeMe", "xxx", "TODO\n"} {
		_, err := documentOf(Options{Getenv: variables(map[string]string{"TOKEN": value, "OTHER": "fine"})}, &Project{App: app}, &build.Image{ID: "sha256:1"})
		if api.Exit(err) != 78 || !strings.HasSuffix(err.Error(), ": TOKEN") || api.AsError(err).Hint == "" {
			t.Errorf("%q: %v", value, err)
		}
	}
}
