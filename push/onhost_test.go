package push

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"testing/fstest"

	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/build"
	"github.com/dokku-push/dokku-push/manifest"
)

// TestWhyOnHost: the builder image that the app's config names is not said to be dokku.hcl's.
func TestWhyOnHost(t *testing.T) {
	for name, test := range map[string]struct {
		onHost *api.HostBuild
		app    manifest.App
		want   string
	}{
		"the app's config":        {&api.HostBuild{}, manifest.App{}, "DOKKU_CNB_BUILDER names its builder image"},
		"dokku.hcl names another": {&api.HostBuild{}, manifest.App{Build: manifest.Build{Pack: manifest.PackBuild{Builder: "of/hcl"}}}, build.SaidPack},
		"dokku.hcl's buildpacks":  {&api.HostBuild{}, manifest.App{Build: manifest.Build{Pack: manifest.PackBuild{Buildpacks: []string{"a/b"}}}}, build.SaidPack},
		"where it is no host":     {nil, manifest.App{Build: manifest.Build{Pack: manifest.PackBuild{Builder: "of/config"}}}, build.SaidPack},
	} {
		o := Options{OnHost: test.onHost, Getenv: func(name string) (string, bool) { return "of/config", name == "DOKKU_CNB_BUILDER" }}
		o.onHost(&test.app)
		_, why, err := build.Choose(&test.app, fstest.MapFS{})
		if got := o.whyOnHost(&test.app, why); err != nil || got != test.want {
			t.Errorf("%s: %q (%v), want %q", name, got, err, test.want)
		}
	}
}

// TestOwnFiles: what is built on a host is read from what was pushed to it, and from nothing
// else there.
func TestOwnFiles(t *testing.T) {
	for text, fine := range map[string]bool{
		"build {\n  builder = \"image\"\n  image = \"/var/lib/other.tar\"\n}":                 false,
		"build {\n  builder = \"image\"\n  image = \"../other.tar\"\n}":                       false,
		"build {\n  builder = \"image\"\n  image = \"a/../../other\"\n}":                      false,
		"build {\n  builder = \"image\"\n  image = \"./image.tar\"\n}":                        true,
		"build {\n  builder = \"image\"\n  image = \"registry.example.com/team/a:1\"\n}":      true,
		"build {\n  cache { from = [\"type=local,src=/home/dokku/other\"] }\n}":               false,
		"build {\n  cache { to = \"mode=max,\\\"type=local\\\",dest=/home/dokku/other\" }\n}": false,
		"build {\n  cache { from = [\"type=registry,ref=team/a\"] }\n}":                       true,
		`docker_options { build = ["--cache-from type=local,src=/tmp"] }`:                     false,
		`docker_options { build = ["--cache-from team/a"] }`:                                  true,
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "dokku.hcl"), []byte(text+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		app, found := manifest.Load(os.DirFS(dir), manifest.Options{App: "shop"})
		if found.Failed() {
			t.Fatalf("%s: %v", text, found)
		}
		if err := ownFiles(app); (err == nil) != fine || err != nil && api.AsError(err).Code != api.Refused {
			t.Errorf("%s: %v", text, err)
		}
		if fine {
			continue
		}
		o := Options{Dir: dir, App: "shop", Getenv: func(string) (string, bool) { return "", false }, Report: func(api.Event) {}}
		if _, err := BuildOnHost(context.Background(), o, api.HostBuild{}); api.AsError(err).Code != api.Refused {
			t.Errorf("%s: a build on a host: %v", text, err)
		}
	}
}

// TestHostsEnvironment: a build on a host has the app's config, and of the host's own
// environment what a build is made with.
func TestHostsEnvironment(t *testing.T) {
	of := withConfig(func(name string) (string, bool) { return "host's", true },
		map[string]string{"TOKEN": "app's", "HOME": "app's", "SSH_AUTH_SOCK": "/run/docker.sock", "EMPTY": ""})
	for name, want := range map[string]string{"TOKEN": "app's", "HOME": "host's", "BUILDKIT_HOST": "host's", "DOKKU_CNB_BUILDER": "host's", "EMPTY": "",
		"AWS_SECRET_ACCESS_KEY": "no", "SSH_AUTH_SOCK": "no", "ACTIONS_RUNTIME_TOKEN": "no"} {
		got, ok := of(name)
		if !ok {
			got = "no"
		}
		if got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if got, _ := withConfig(func(string) (string, bool) { return "host's", true }, map[string]string{builderVariable: "app's"})(builderVariable); got != "app's" {
		t.Errorf("the builder's image is the %s", got)
	}
}
