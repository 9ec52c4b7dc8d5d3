package manifest

import (
	"encoding/json"
	"strings"
	"testing"
)

const precedence = `app = "shop"
domains = ["shop.example.com"]
secrets = ["TOKEN"]
host "production" {
  address  = "dokku@one.example"
  host_key = "SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU"
}
config {
  LEVEL = "info"
  URL   = "postgres://u:hunter2@db/x"
  KEPT  = "yes"
}
build {
  builder = "pack"
  args    = { A = "1", B = "2" }
}
formation "web" {
  quantity = 2
  memory   = "256m"
}
environment "staging" {
  domains = ["staging.example.com"]
  host "staging" { address = "dokku@two.example" }
  config {
    LEVEL = "debug"
    TOKEN = "for staging"
  }
  build { args = { B = "3" } }
  formation "web" { quantity = 1 }
}
environment "production" {
  host "production" { address = "dokku@three.example" }
  config { PASS = env("DB_PASS") }
}
`

func precedenceFiles() map[string]string {
	return map[string]string{
		"dokku.hcl": precedence,
		"app.json": `{
  "env": {"LEVEL": "trace", "SESSION": {"generator": "secret"}, "PLAIN": "p"},
  "formation": {"web": {"quantity": 7}, "worker": {"quantity": 3}},
  "healthchecks": {"web": [{"path": "/up"}]},
  "buildpacks": [{"url": "heroku/go"}]
}`,
		"Procfile":     "web: ./web $PORT\nworker: ./worker\n",
		"CHECKS":       "/old ok\n",
		"project.toml": "[io.buildpacks]\nbuilder = \"heroku/builder:24\"\n[[io.buildpacks.group]]\nid = \"heroku/nodejs\"\nversion = \"1.2\"\n[[io.buildpacks.build.env]]\nname = \"X\"\nvalue = \"1\"\n",
	}
}

func TestExplain(t *testing.T) {
	environment := func(key string) (string, bool) { return "hunter2", key == "DB_PASS" }
	for _, test := range []struct{ environment, key, want string }{
		{"", "app", "shop <- dokku.hcl:1:1 | the folder's name <- default"},
		{"staging", "domains", "staging.example.com <- dokku.hcl:22:3 environment staging | shop.example.com <- dokku.hcl:2:1 | APP.HOSTNAME of the host <- default"},
		{"staging", "config.LEVEL", "debug <- dokku.hcl:25:5 environment staging | info <- dokku.hcl:9:3 | trace <- app.json:2:11"},
		{"", "config.LEVEL", "info <- dokku.hcl:9:3 | trace <- app.json:2:11"},
		{"", "config.URL", "secret <- dokku.hcl:10:3"},
		{"", "config.TOKEN", "secret <- dokku.hcl:3:1 secrets"},
		{"staging", "config.TOKEN", "secret <- dokku.hcl:26:5 environment staging | secret <- dokku.hcl:3:1 secrets"},
		{"production", "config.PASS", "secret <- dokku.hcl:33:12 environment production"},
		{"", "config.SESSION", "secret <- app.json:2:29"},
		{"", "config.PLAIN", "p <- app.json:2:65"},
		{"", "config.NEVER", "not set <- default"},
		{"staging", "formation.web.quantity", "1 <- dokku.hcl:29:21 environment staging | 2 <- dokku.hcl:18:3 | 7 <- app.json:3:17 | 1 <- default"},
		{"", "formation.worker.quantity", "3 <- app.json:3:41 | 0 <- default"},
		{"", "formation.web.memory", "256m <- dokku.hcl:19:3 | no limit <- default"},
		{"", "build.builder", "pack <- dokku.hcl:14:3 | pack <- default"},
		{"staging", "build.args.B", "3 <- dokku.hcl:28:20 environment staging | 2 <- dokku.hcl:15:24"},
		{"staging", "build.args.A", "1 <- dokku.hcl:15:15"},
		{"", "build.pack.builder", "heroku/builder:24 <- project.toml:2:1"},
		{"", "build.pack.buildpacks", "heroku/nodejs@1.2 <- project.toml:3:1 | heroku/go <- app.json:5:3 | the builder's own <- default"},
		{"", "build.pack.env.X", "1 <- project.toml:7:1"},
		{"staging", "host", "staging <- dokku.hcl:23:8 environment staging | production <- dokku.hcl:4:6"},
		{"staging", "host.address", "dokku@two.example <- dokku.hcl:23:20 environment staging | dokku@one.example <- dokku.hcl:5:3"},
		{"production", "host.address", "dokku@three.example <- dokku.hcl:32:23 environment production | dokku@one.example <- dokku.hcl:5:3"},
		{"", "checks.wait", "10s <- default"},
		{"", "procfile.worker", "./worker <- Procfile:2"},
		{"", "healthchecks.web", "startup GET /up <- app.json:4:20 | startup GET /old <- CHECKS"},
		{"", "apps", "error: there is no key apps; did you mean app?"},
		{"", "formation.web", "error: there is no key formation.web; write one of: formation.web.cpu, formation.web.max_parallel, formation.web.memory, formation.web.quantity, formation.web.stop_timeout"},
		{"", "environment.staging.app", "error: there is no key environment.staging.app; write a key such as domains, config.KEY or formation.web.quantity"},
		{"", "", "error: there is no key \"\"; write a key such as domains, config.KEY or formation.web.quantity"},
	} {
		app, found := Load(project(precedenceFiles()), Options{Environment: test.environment, Getenv: environment})
		if app == nil {
			t.Fatal(told(found))
		}
		same(t, explained(app, test.key), test.want)
	}
}

// explained prints an explanation in a line.
func explained(app *App, key string) string {
	e, err := app.Explain(key)
	if err != nil {
		return "error: " + err.Error()
	}
	lines := []string{e.Winner.Value + " <- " + e.Winner.Source}
	for _, loser := range e.Losers {
		lines = append(lines, loser.Value+" <- "+loser.Source)
	}
	return strings.Join(lines, " | ")
}

// A flag is nearer than a variable, and a variable nearer than any file.
func TestGiven(t *testing.T) {
	o := Options{Environment: "staging",
		Flags:     map[string]Given{"app": {"--app", "other"}, "config.LEVEL": {"--config", "error"}, "formation.web.quantity": {"--scale", "9"}, "domains": {"--domain", "a.example, b.example"}},
		Variables: map[string]Given{"app": {"$DOKKU_APP", "third"}, "build.builder": {"$DOKKU_BUILDER", "dockerfile"}, "config.TOKEN": {"$X", "hunter2"}}}
	app, found := Load(project(precedenceFiles()), o)
	if app == nil {
		t.Fatal(told(found))
	}
	same(t, []any{app.Name, app.Config["LEVEL"], *app.Formation["web"].Quantity, *app.Domains, app.Build.Builder, app.Config["TOKEN"], len(app.Secrets)},
		[]any{"other", "error", 9, []string{"a.example", "b.example"}, "dockerfile", "hunter2", 0})
	for key, want := range map[string]string{
		"app":           "other <- flag --app | third <- variable $DOKKU_APP | shop <- dokku.hcl:1:1 | the folder's name <- default",
		"build.builder": "dockerfile <- variable $DOKKU_BUILDER | pack <- dokku.hcl:14:3 | pack <- default",
		"config.TOKEN":  "secret <- variable $X | secret <- dokku.hcl:26:5 environment staging | secret <- dokku.hcl:3:1 secrets",
	} {
		same(t, explained(app, key), want)
	}
	app, found = Load(project(precedenceFiles()), Options{Flags: map[string]Given{"build.image": {"--image", "example/app:1"}}})
	if app == nil {
		t.Fatal(told(found))
	}
	same(t, []string{app.Build.Image, app.Build.Builder}, []string{"example/app:1", "image"})
	same(t, explained(app, "build.builder"), "image <- flag --image | pack <- dokku.hcl:14:3 | pack <- default")
	_, found = Load(project(nil), Options{Flags: map[string]Given{"app": {"--app", "My_App"}, "ap": {"--ap", "x"}, "config.PORT": {"--config", "1"}, "ports": {"--port", "ftp:1:2"}}})
	same(t, told(found), "--ap: there is no key ap; did you mean app?\n"+
		"--app: names no app: app name My_App holds more than lower-case letters, digits, hyphens and dots; write my-app\n"+
		"--config: PORT is set by the host in every deploy; take it out\n"+
		`--port: has an element: "ftp:1:2" has the scheme ftp; known here: grpc, grpcs, http, https, tcp, udp`)
}

// A host that is named elsewhere takes nothing of dokku.hcl's, above all not its key.
func TestHostIsNotMixed(t *testing.T) {
	files := precedenceFiles()
	const key = "SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU"
	for _, test := range []struct {
		environment, flag, variable string
		want                        Host
	}{
		{"", "", "", Host{"production", "dokku@one.example", key}},
		{"", "production", "", Host{"production", "dokku@one.example", key}},
		{"", "dokku@other.example", "", Host{"", "dokku@other.example", ""}},
		{"staging", "", "", Host{"staging", "dokku@two.example", ""}},
		{"production", "", "", Host{"production", "dokku@three.example", key}},
		{"staging", "production", "", Host{"", "production", ""}},
		{"", "", "dokku@variable.example", Host{"", "dokku@variable.example", ""}},
		{"", "", "production", Host{"production", "dokku@one.example", key}},
		{"", "production", "dokku@variable.example", Host{"production", "dokku@one.example", key}},
		{"", "production", "production", Host{"production", "dokku@one.example", key}},
		{"", "dokku@other.example", "production", Host{"", "dokku@other.example", ""}},
	} {
		o := Options{Environment: test.environment, Getenv: func(string) (string, bool) { return "x", true }}
		if test.flag != "" {
			o.Flags = map[string]Given{"host": {"--host", test.flag}}
		}
		if test.variable != "" {
			o.Variables = map[string]Given{"host": {"$DOKKU_HOST", test.variable}}
		}
		app, found := Load(project(files), o)
		if app == nil {
			t.Fatal(told(found))
		}
		if app.Host != test.want {
			t.Errorf("%q, --host %q, $DOKKU_HOST %q: %+v, want %+v", test.environment, test.flag, test.variable, app.Host, test.want)
		}
	}
	_, found := Load(project(map[string]string{"dokku.hcl": "host \"a\" { address = \"h\" }\nenvironment \"e\" {\n host \"b\" {}\n}"}), Options{Environment: "e"})
	same(t, told(found), `dokku.hcl:3:7: host b has no address; write address = "dokku@host" in it`)
}

func TestEnvironments(t *testing.T) {
	for _, test := range []struct{ text, chosen, told string }{
		{`environment "staging" {}`, "stagng", "dokku.hcl: there is no environment stagng; did you mean staging?"},
		{"environment \"a1\" {}\nenvironment \"b2\" {}", "production", "dokku.hcl: there is no environment production; known here: a1, b2"},
		{`app = "x"`, "production", `dokku.hcl: there is no environment production; this file has none: write environment "production" { … }`},
		{"environment \"a\" {\n config { A = env(\"NO\") }\n}", "a", "dokku.hcl:2:15: env: NO is not set in the environment; set it for dokku-push, or write the value"},
		{"environment \"a\" {\n config { A = env(\"NO\") }\n}", "", ""},
		{"environment \"a\" {\n service \"db\" { link = false }\n}\nservice \"db\" { plugin = \"postgres\" }", "a", ""},
	} {
		app, found := Load(project(map[string]string{"dokku.hcl": test.text}), Options{Environment: test.chosen})
		sound(t, found)
		same(t, told(found), test.told)
		if (app == nil) != (test.told != "") {
			t.Errorf("%s: %v", test.text, app)
		}
	}
	_, found := Load(project(nil), Options{Environment: "x"})
	same(t, told(found), `dokku.hcl: there is no environment x: there is no such file; write environment "x" { … } into it, or name none`)
}

func TestLoadServers(t *testing.T) {
	text := `app = env("NO")
server "one" {
  address = "root@one"
  plugin "redis" {
    url        = "https://github.com/dokku/dokku-redis.git"
    committish = "1.2"
  }
  config { A = "1" }
}
server "two" { apps = ["x", "y"] }
environment "e" {
  config { B = env("NO") }
}
`
	servers, found := LoadServers(project(map[string]string{"dokku.hcl": text}), Options{})
	same(t, told(found), "")
	same(t, servers, []Server{
		{Name: "one", Address: "root@one", Config: map[string]string{"A": "1"}, Plugins: []ServerPlugin{{"redis", "https://github.com/dokku/dokku-redis.git", "1.2"}}},
		{Name: "two", Apps: []string{"x", "y"}},
	})
	_, found = LoadServers(project(nil), Options{})
	same(t, told(found), `dokku.hcl: there is no such file in the project; write server "NAME" { … } into it`)
	servers, found = LoadServers(project(map[string]string{"dokku.hcl": `server "one" { address = env("NO") }`}), Options{})
	same(t, told(found), "dokku.hcl:1:26: env: NO is not set in the environment; set it for dokku-push, or write the value")
	if servers != nil {
		t.Errorf("%+v", servers)
	}
}

func TestDiagnosticJSON(t *testing.T) {
	d := Diagnostic{Severity: Advice, File: "app.json", Line: 2, Column: 3, Source: "{}", Message: "m", Hint: "h"}
	text, err := json.Marshal(Diagnostics{d, {File: "f", Message: "n"}})
	if err != nil {
		t.Fatal(err)
	}
	same(t, string(text), `[{"severity":"advice","file":"app.json","line":2,"column":3,"source":"{}","message":"m","hint":"h"},{"severity":"mistake","file":"f","message":"n"}]`)
	var back Diagnostics
	if err := json.Unmarshal(text, &back); err != nil {
		t.Fatal(err)
	}
	same(t, back[0], d)
}

// An environment replaces attribute by attribute, config by key and lists whole.
func TestEnvironmentReplaces(t *testing.T) {
	app, found := Load(project(precedenceFiles()), Options{Environment: "staging"})
	if app == nil {
		t.Fatal(told(found))
	}
	one := 1
	same(t, app.Formation, map[string]ProcessSpec{"web": {Quantity: &one, Memory: 256 << 20}})
	same(t, app.Config, map[string]string{"LEVEL": "debug", "URL": "postgres://u:hunter2@db/x", "KEPT": "yes", "TOKEN": "for staging"})
	same(t, *app.Domains, []string{"staging.example.com"})
	same(t, app.Build.Args, map[string]string{"A": "1", "B": "3"})
	if app.Secrets != nil {
		t.Errorf("the environment's own TOKEN is still to come from outside: %v", app.Secrets)
	}
}

// TestFrom: who decides is named as it is called, be it dokku.hcl by another name.
func TestFrom(t *testing.T) {
	const text = `{"build": {"builder": "static"}}`
	for _, test := range []struct {
		file  string
		flags map[string]Given
		want  string
	}{
		{"dokku.hcl.json", nil, "dokku.hcl.json"}, {"production.hcl.json", nil, "production.hcl.json"}, {"dokku.hcl.json", map[string]Given{"build.builder": {"--builder", "pack"}}, "flag --builder"},
	} {
		app, found := Load(project(map[string]string{test.file: text, "Dockerfile": ""}), Options{File: test.file, Flags: test.flags})
		if app == nil {
			t.Fatal(told(found))
		}
		if got := app.From("build.builder"); got != test.want || app.From("domains") != "" || app.From("formation.web.quantity") != "" {
			t.Errorf("%s, %v: from %q, want %q", test.file, test.flags, got, test.want)
		}
	}
}
