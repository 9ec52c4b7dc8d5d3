package scaffold

import (
	"encoding/json"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/dokku-push/dokku-push/manifest"
)

// FuzzRemote: what is taken for a Dokku host can be written as a URL that means the same.
func FuzzRemote(f *testing.F) {
	for _, text := range []string{"dokku@host:app", "ssh://dokku:word@[::1]:22/app.git", "dokku@[::1]:app", "ssh://dokku@host/a%2fb", "dokku@h:a:b", "dokku@[0]:0", "ssh://dokku@h:99999/a"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		address, app, ok := parseRemote(text)
		if !ok {
			return
		}
		again, sameApp, ok := parseRemote("ssh://" + address + "/" + app)
		if !ok || again != address || sameApp != app && sameApp+".git" != app {
			t.Errorf("%q is %s and %s, and then %s and %s (%t)", text, address, app, again, sameApp, ok)
		}
	})
}

// FuzzTree: whatever a tree's files say, the dokku.hcl that is drafted from them loads,
// names an app that may be created, and holds nothing but plain lines.
func FuzzTree(f *testing.F) {
	f.Add("@acme/web", ">=20", "module x\ngo 1.26\n", "ruby \"3.4\"\ngem \"rails\"\n", "dokku@host:app")
	f.Add("${env(\"X\")}", "\"\n}", "module \"\\\"\ngo 1\n", "ruby '${x}'\n", "ssh://dokku@h:1/a\nb")
	f.Fuzz(func(t *testing.T, name, engine, gomod, gemfile, remote string) {
		about, err := json.Marshal(map[string]any{"name": name, "engines": map[string]string{"node": engine}, "scripts": map[string]string{"start": name}})
		if err != nil {
			t.Fatal(err)
		}
		l := &look{options: Options{Dir: "/" + strings.ReplaceAll(name, "\x00", ""), Version: engine}, fsys: fstest.MapFS{
			"package.json": {Data: about}, "go.mod": {Data: []byte(gomod)}, "Gemfile": {Data: []byte(gemfile)}, "pyproject.toml": {Data: []byte(gemfile)},
		}, repository: repository{top: "/", remotes: []gitRemote{{"dokku", remote}}}}
		if err := l.all(); err != nil {
			t.Fatal(err)
		}
		text := l.draft.Files[0].Text
		app, found := manifest.Load(fstest.MapFS{ManifestName: {Data: []byte(text)}}, manifest.Options{})
		if found.Failed() || manifest.ExistingAppName(app.Name) != nil {
			t.Errorf("%v\n%s", found, text)
		}
		if strings.ContainsAny(text, "\r\x00\x1b") || strings.Contains(text, "${") {
			t.Errorf("%q", text)
		}
	})
}
