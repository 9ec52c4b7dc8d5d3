package agent

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// These are what Leftovers asks for: an engine's containers and names, and the apps.
type (
	someApps struct {
		SettingsStore
		list []string
	}
	someContainers struct {
		Containers
		list []Container
	}
	someImages struct {
		Images
		names []string
	}
)

func (r someApps) Apps() ([]string, error) { return r.list, nil }

func (r someApps) Has(app string) bool { return slices.Contains(r.list, app) }

func (r someContainers) List(_ context.Context, labels map[string]string) ([]Container, error) {
	var found []Container
	for _, c := range r.list {
		all := true
		for key, value := range labels {
			all = all && c.Labels[key] == value
		}
		if all {
			found = append(found, c)
		}
	}
	return found, nil
}

func (r someImages) Names(_ context.Context, repository string) ([]string, error) {
	var found []string
	for _, name := range r.names {
		if strings.HasPrefix(name, repository+":") {
			found = append(found, name)
		}
	}
	return found, nil
}

func TestLeftovers(t *testing.T) {
	dir := t.TempDir()
	places := Places{Root: filepath.Join(dir, "root"), Lib: filepath.Join(dir, "lib")}
	owned := func(name, app, host string) Container {
		return Container{Name: name, Labels: map[string]string{labelApp: app, labelHost: host}}
	}
	containers := []Container{owned("lives.web.1", "lives", "here"), owned("by-container.web.1", "by-container", "here"), owned("shared.web.1", "shared", "another host")}
	names := []string{"dokku/lives:latest", "dokku/by-container:v1", "dokku/by-file:v1", "dokku/shared:v1"}
	host := &Host{Places: places, Config: HostConfig{ID: "here"}, Settings: someApps{list: []string{"lives", "ps"}},
		Containers: someContainers{list: containers}, Images: someImages{names: names}}
	if left, err := host.Leftovers(t.Context()); err != nil || len(left) != 2 {
		t.Errorf("without a file: %v, %v", left, err)
	}
	files := []string{places.Env("lives"), places.Env("--global"), places.Property("ps", "lives", "scale"), places.Property("ps", "--global", "x"),
		places.Env("by-file"), places.Property("nginx", "by-property", "hsts"), places.NginxLoaded("by-site"), places.DeployLock("by-lock"),
		places.Journal("by-journal", "r1"), places.Env("shared"), filepath.Join(places.Lib, "data", "storage", "kept", "file")}
	for _, file := range files {
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	left, err := host.Leftovers(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := []Leftover{
		{"by-container", "container", "by-container.web.1"}, {"by-container", "image", "dokku/by-container:v1"},
		{"by-file", "file", places.Env("by-file")}, {"by-file", "image", "dokku/by-file:v1"},
		{"by-journal", "file", places.AppData("by-journal")}, {"by-lock", "file", filepath.Dir(places.DeployLock("by-lock"))},
		{"by-property", "file", filepath.Dir(places.Property("nginx", "by-property", "hsts"))}, {"by-site", "file", places.NginxLoaded("by-site")},
		{"shared", "file", places.Env("shared")}, // its image is another host's
	}
	if diff := cmp.Diff(want, left); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
