package pack

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/build"
	"github.com/dokku-push/dokku-push/manifest"
)

// TestUnseen: what is no part of the app is left out, whether project.toml says what is in
// or what is out.
func TestUnseen(t *testing.T) {
	r := build.Request{Dir: t.TempDir(), Unseen: []string{"plan.json", "web/result.json"}, App: &manifest.App{}}
	if err := os.MkdirAll(filepath.Join(r.Dir, "web"), 0o755); err != nil {
		t.Fatal(err)
	}
	for folder, want := range map[string]string{"": ".git /plan.json /web/result.json", "web": ".git /result.json"} {
		descriptor, err := descriptorOf(r, filepath.Join(r.Dir, folder), nil)
		if got := strings.Join(descriptor.Build.Exclude, " "); err != nil || got != want {
			t.Errorf("%q: %q, %v, want %q", folder, got, err, want)
		}
	}
	r.App.Project = &manifest.ProjectTOML{}
	if err := os.WriteFile(filepath.Join(r.Dir, "project.toml"), []byte("[_]\nschema-version = \"0.2\"\n[io.buildpacks]\ninclude = [\"*\"]\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	descriptor, err := descriptorOf(r, r.Dir, nil)
	if got := strings.Join(descriptor.Build.Include, " "); err != nil || got != "* !.git !/plan.json !/web/result.json" {
		t.Errorf("%q, %v", got, err)
	}
}

func TestTranslate(t *testing.T) {
	for _, test := range []struct {
		said, want string
		note       string // part of what is told; empty: nothing
	}{
		{"https://github.com/heroku/heroku-buildpack-nodejs", "heroku/nodejs", "takes its place"},
		{"https://github.com/heroku/heroku-buildpack-nodejs.git", "heroku/nodejs", "takes its place"},
		{"https://github.com/heroku/heroku-buildpack-nodejs.git#v176", "heroku/nodejs", "version of the builder"},
		{"https://github.com/Heroku/heroku-buildpack-python/", "heroku/python", "takes its place"},
		{"git@github.com:heroku/heroku-buildpack-ruby.git", "heroku/ruby", "takes its place"},
		{"git://github.com/heroku/heroku-buildpack-go.git", "heroku/go", "takes its place"},
		{"https://buildpack-registry.s3.amazonaws.com/buildpacks/heroku/php.tgz", "heroku/php", "takes its place"},
		{"https://codon-buildpacks.s3.amazonaws.com/buildpacks/heroku/java.tgz", "heroku/java", "takes its place"},
		{"https://github.com/ddollar/heroku-buildpack-multi", "", ""},
		{"heroku/nodejs", "heroku/nodejs", ""},
		{"heroku/nodejs@4.1.0", "heroku/nodejs@4.1.0", ""},
		{"docker://registry.example.com/team/buildpack", "docker://registry.example.com/team/buildpack", ""},
		{"urn:cnb:registry:heroku/nodejs", "urn:cnb:registry:heroku/nodejs", ""},
		{"https://example.com/own.cnb", "https://example.com/own.cnb", ""},
		{"./buildpacks/own", "./buildpacks/own", ""},
	} {
		found, err := translate("app.json", []string{test.said})
		if err != nil {
			t.Errorf("%s: %v", test.said, err)
			continue
		}
		if got := strings.Join(found.buildpacks, " "); got != test.want {
			t.Errorf("%s: got %q, want %q", test.said, got, test.want)
		}
		if notes := strings.Join(found.notes, "; "); (test.note == "") != (notes == "") || !strings.Contains(notes, test.note) {
			t.Errorf("%s: told %q, want %q", test.said, notes, test.note)
		}
	}
}

func TestTranslateRefuses(t *testing.T) {
	_, err := translate(".buildpacks", []string{
		"https://github.com/heroku/heroku-buildpack-nodejs",
		"https://github.com/acme/heroku-buildpack-thing.git#main",
		"https://github.com/heroku/heroku-buildpack-apt",
	})
	e := api.AsError(err)
	if e == nil || e.Code != api.InvalidManifest {
		t.Fatalf("got %#v", err)
	}
	for _, want := range []string{"acme/heroku-buildpack-thing", "heroku-buildpack-apt"} {
		if !strings.Contains(e.Message, want) {
			t.Errorf("%q does not name %s", e.Message, want)
		}
	}
	for _, want := range []string{"heroku/nodejs", "docker://", "heroku/deb-packages"} {
		if !strings.Contains(e.Hint, want) {
			t.Errorf("the hint %q does not tell of %s", e.Hint, want)
		}
	}
}

func TestBuildpacksOf(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	app := &manifest.App{AppJSON: &manifest.AppJSON{Buildpacks: []string{"heroku/python"}}, Procfile: &manifest.Procfile{}}
	check := func(from string, want ...string) {
		t.Helper()
		got, err := buildpacksOf(build.Request{Dir: dir, App: app}, dir)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got.buildpacks); diff != "" || got.from != from {
			t.Errorf("from %q, want %q: %s", got.from, from, diff)
		}
	}
	check("app.json", "heroku/python", "heroku/procfile")
	write(".buildpacks", "\ufeff# first the assets\r\nhttps://github.com/heroku/heroku-buildpack-nodejs\r\n\r\nhttps://github.com/heroku/heroku-buildpack-ruby.git\r\n")
	check(".buildpacks", "heroku/nodejs", "heroku/ruby", "heroku/procfile")
	app.Project = &manifest.ProjectTOML{Buildpacks: []manifest.Buildpack{{ID: "x/y"}}}
	check("") // pack reads project.toml by itself
	app.Build.Pack.Buildpacks = []string{"dokku-push/hello"}
	check("dokku.hcl", "dokku-push/hello")
}
