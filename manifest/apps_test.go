package manifest

import (
	"strings"
	"testing"
)

const monorepo = `
host "production" { address = "dokku@host" }
config {
  SHARED = "all"
  LEVEL  = "info"
}
app "web" {
  build {
    dir   = "apps/web"
    watch = ["libs/**"]
  }
  config { LEVEL = "debug" }
  environment "staging" {
    app = "web-staging"
    config { LEVEL = "trace" }
  }
}
app "api" {
  build { context = "apps/api" }
}
environment "staging" {
  config { SHARED = "staging" }
}
`

func monorepoFiles(hcl string) map[string]string {
	return map[string]string{"dokku.hcl": hcl, "Procfile": "web: nobody $PORT\n", "apps/web/Procfile": "web: ./web $PORT\n", "apps/web/app.json": `{"formation": {"web": {"quantity": 2}}}`,
		"apps/web/CHECKS": "/up\n", "apps/api/Procfile": "web: ./api $PORT\nworker: ./work\n", "apps/api/nginx.conf.sigil": "# api\n", "apps/file": "x", "libs/a.go": "x"}
}

func TestApps(t *testing.T) {
	fsys := project(monorepoFiles(monorepo))
	same(t, Apps(fsys, Options{}), []string{"web", "api"})
	same(t, Apps(project(nil), Options{}), []string(nil))
	same(t, Apps(project(map[string]string{"dokku.hcl": `app = "one"`}), Options{}), []string(nil))
	same(t, Apps(project(map[string]string{"dokku.hcl": `app "one" {`}), Options{}), []string(nil))

	web, found := Load(fsys, Options{App: "web", Flags: map[string]Given{"app": {Name: "--app", Value: "web"}}})
	same(t, told(found), "")
	same(t, []any{web.Name, web.Block, web.Folder, web.Host.Address, web.Build.Watch}, []any{"web", "web", "apps/web", "dokku@host", []string{"libs/**"}})
	same(t, web.Config, map[string]string{"SHARED": "all", "LEVEL": "debug"})
	same(t, web.ProcfileText, "web: ./web $PORT\n")
	same(t, *web.AppJSON.Formation["web"].Quantity, 2)
	same(t, web.Healthchecks["web"][0].Path, "/up")

	api, found := Load(fsys, Options{App: "api", Environment: "staging"})
	same(t, told(found), "")
	same(t, []any{api.Name, api.Folder, api.NginxTemplate, api.Procfile.Scaled()}, []any{"api", "apps/api", "# api\n", []string{"web", "worker"}})
	same(t, api.Config, map[string]string{"SHARED": "staging", "LEVEL": "info"})

	staging, found := Load(fsys, Options{App: "web", Environment: "staging"})
	same(t, told(found), "")
	same(t, []any{staging.Name, staging.Block, staging.Config["LEVEL"], staging.Config["SHARED"]}, []any{"web-staging", "web", "trace", "staging"})
	explained, err := staging.Explain("config.LEVEL")
	same(t, err, nil)
	same(t, explained.Winner, Origin{"dokku.hcl:15:14 app web environment staging", "trace"})
	same(t, explained.Losers, []Origin{{"dokku.hcl:12:12 app web", "debug"}, {"dokku.hcl:5:3", "info"}})
	explained, err = staging.Explain("procfile.web")
	same(t, err, nil)
	same(t, explained.Winner.Source, "apps/web/Procfile:1")
}

// One block alone needs no --app, and the twin has blocks as well.
func TestOneBlock(t *testing.T) {
	app, found := Load(project(map[string]string{"dokku.hcl.json": `{"app": {"a": {"build": {"context": "x"}}}}`, "x/Procfile": "web: x $PORT"}), Options{})
	same(t, told(found), "")
	same(t, []any{app.Name, app.Folder, app.Procfile.Scaled()}, []any{"a", "x", []string{"web"}})
}

func TestAppsMistakes(t *testing.T) {
	for _, test := range []struct{ hcl, app, told string }{
		{monorepo, "", "dokku.hcl: it describes several apps: web, api; name one with --app"},
		{monorepo, "weeb", "dokku.hcl: there is no app weeb; did you mean web?"},
		{"app \"a\" {}\napp \"a\" {}", "a", "dokku.hcl:2:1: app a stands twice; write one block with everything in it"},
		{"app = \"x\"\napp \"a\" {}", "", "dokku.hcl:1:1: app names one app, and the file has app blocks; take it out; a block's label is its app's name, or app within the block"},
		{"app \"A\" {}", "", "dokku.hcl:1:5: app name A holds more than lower-case letters, digits, hyphens and dots; write a"},
		{"app \"a\" {\n  server \"x\" {}\n}", "", "dokku.hcl:2:3: app.server is not known; known here: app, build, checks, config, docker_options, domains, environment, formation, host, image, nginx, ports, review, secrets, service, storage"},
		{"app \"a\" {\n  domain = []\n}\napp \"b\" {\n  secret = []\n}", "b", "dokku.hcl:2:3: app.domain is not known; did you mean domains?\ndokku.hcl:5:3: app.secret is not known; did you mean secrets?"},
		{"app \"a\" {\n  build { dir = \"../b\" }\n}", "", "dokku.hcl:2:17: dir leads out of the project with ..; write a path inside the project, with slashes, such as web/app"},
		{"app \"a\" {\n  build { dir = \"apps/none\" }\n}", "", "dokku.hcl:2:11: dir: there is no folder apps/none; write it relative to the project's folder"},
		{"app \"a\" {\n  build { dir = \"apps/file\" }\n}", "", "dokku.hcl:2:11: dir: apps/file is no folder; write the folder that it is in"},
		{"app \"a\" {\n  host \"x\" {}\n}", "", "dokku.hcl:2:3: host x has no address; write address = \"dokku@host\" in it"},
	} {
		app, found := Load(project(monorepoFiles(test.hcl)), Options{App: test.app})
		sound(t, found)
		if got := told(found); got != test.told {
			t.Errorf("%s\n got %s\nwant %s", test.hcl, got, test.told)
		}
		if app != nil {
			t.Errorf("%s is accepted", test.hcl)
		}
	}
	// An environment that only one of the apps speaks of is one of the file's.
	_, found := Load(project(monorepoFiles(strings.ReplaceAll(monorepo, "\nenvironment", "\n# "))), Options{App: "api", Environment: "nowhere"})
	if !found.Failed() {
		t.Error("an environment that is not there is accepted")
	}
}
