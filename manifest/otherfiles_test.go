package manifest

import (
	"testing"
	"time"
)

func TestCron(t *testing.T) {
	for _, schedule := range []string{"0 3 * * *", "*/5 0-4,12 1 jan-mar MON", "@daily", "0 0 * * 7", "1,2 3 4 5 6"} {
		if problem, _ := checkSchedule(schedule); problem != "" {
			t.Errorf("%s %s", schedule, problem)
		}
	}
	for _, schedule := range []string{"", "* * * *", "* * * * * *", "60 * * * *", "* 24 * * *", "* * 0 * *", "* * * 13 *", "* * * * 8", "*/0 * * * *", "5-1 * * * *", "a * * * *", "+1 * * * *",
		"@reboot", "* * * * *\n", "1- * * * *", "-1 * * * *", "*/x * * * *", ", * * * *"} {
		if problem, hint := checkSchedule(schedule); problem == "" || hint == "" {
			t.Errorf("%q is accepted", schedule)
		}
	}
	for _, command := range []string{"a; b", "a && b", "a | b", "a > b", "$(a)", "`a`", "a\nb"} {
		if problem, _ := checkCronCommand(command); problem == "" {
			t.Errorf("%q is accepted", command)
		}
	}
	got, found := ParseAppJSON("app.json", []byte(`{"cron": [{"command": "./task --all", "schedule": "0 3 * * *", "maintenance": true, "concurrency_policy": "forbid"}]}`))
	same(t, told(found), "")
	same(t, got.Cron, []Cron{{Command: "./task --all", Schedule: "0 3 * * *", Maintenance: true, Concurrency: "forbid"}})
	_, found = ParseAppJSON("app.json", []byte(`{"cron": [{"command": "a; b", "schedule": "0 25 * * *", "concurrency_policy": "wait"}, {}, 1]}`))
	same(t, told(found), ""+
		"app.json:1:23: cron[0].command holds an operator of the shell; put it into a script of the image and call that\n"+
		"app.json:1:43: cron[0].schedule has the hour 25; write * or numbers from 0 to 23, with , - and / between them\n"+
		"app.json:1:79: cron[0].concurrency_policy is wait; write one of: allow, forbid, replace\n"+
		`app.json:1:88: cron[1] lacks a command or a schedule; write { "command": "./task", "schedule": "0 3 * * *" }`+"\n"+
		"app.json:1:92: cron[2] is a number; write an object: { … }\n"+
		`app.json:1:92: cron[2] lacks a command or a schedule; write { "command": "./task", "schedule": "0 3 * * *" }`)
}

func TestAppJSONEnvironments(t *testing.T) {
	got, found := ParseAppJSON("app.json", []byte(`{"environments": {
 "test": {"scripts": {"test": "go test", "test-setup": "x"}, "env": {"A": "1"}},
 "review": {"scripts": {"postdeploy": "./seed", "pr-predestroy": "./drop"}, "formation": {"web": {"quantity": 1}}, "buildpacks": [{"url": "heroku/go"}]}},
 "buildpacks": [{"url": "heroku/nodejs"}]}`))
	if found.Failed() {
		t.Fatal(told(found))
	}
	one := 1
	same(t, got, &AppJSON{
		Buildpacks: []string{"heroku/nodejs"},
		Environments: map[string]*AppJSON{
			"test": {Env: map[string]EnvVar{"A": {Value: "1", Required: true}}},
			"review": {Scripts: Scripts{FirstDeploy: "./seed", Predestroy: "./drop"}, Formation: map[string]Formation{"web": {Quantity: &one}},
				Buildpacks: []string{"heroku/go"}},
		},
	})
	const notUsed = "advice: app.json:1:2: environments is not used; this deploy goes on without it"
	for text, want := range map[string]string{
		`{"environments": {"review": {"environments": {}}}}`:     notUsed + "\napp.json:1:30: environments.review.environments: an environment has no environments; take them out",
		`{"environments": {"review": {"env": {"A": null}}}}`:     notUsed + "\napp.json:1:43: environments.review.env.A is null; write a string in double quotes, or an object",
		`{"environments": {"reviews": {}}}`:                      notUsed + "\nadvice: app.json:1:19: environments.reviews is not known and not used; did you mean review?",
		`{"environments": {"test": {"scripts": {"tset": "x"}}}}`: notUsed + "\nadvice: app.json:1:40: environments.test.scripts.tset is not known and not used; did you mean test?",
		`{"environments": {"review": {"addons": []}}}`:           notUsed + "\nadvice: app.json:1:30: environments.review.addons is not used; this deploy goes on without it",
		`{"buildpacks": [{"url": ""}, {"uri": "x"}], "addons": 1}`: "advice: app.json:1:2: buildpacks is not used; this deploy goes on without it\n" +
			"app.json:1:17: buildpacks[0] has no url; write { \"url\": \"heroku/nodejs\" }\napp.json:1:30: buildpacks[1] has no url; write { \"url\": \"heroku/nodejs\" }\n" +
			"advice: app.json:1:31: buildpacks[1].uri is not known and not used; did you mean url?\nadvice: app.json:1:45: addons is not used; this deploy goes on without it",
	} {
		_, found := ParseAppJSON("app.json", []byte(text))
		sound(t, found)
		same(t, told(found), want)
	}
}

func TestChecksFile(t *testing.T) {
	checks, found := ParseChecks("CHECKS", []byte("# old\nWAIT=2\nATTEMPTS = 3\n\n/healthz  all is well\n//www.example.com/a\nhttps://admin.example.com/\nTIMEOUT=10\n"))
	same(t, told(found), "")
	usual := Healthcheck{Type: "startup", Scheme: "http", Attempts: 3, Wait: 2 * time.Second, InitialDelay: 2 * time.Second, Timeout: 10 * time.Second}
	first, second, third := usual, usual, usual
	first.Path, first.Content = "/healthz", "all is well"
	second.Path, second.Headers = "/a", []Header{{"Host", "www.example.com"}}
	third.Path, third.Headers, third.Scheme = "/", []Header{{"Host", "admin.example.com"}}, "https"
	same(t, checks, []Healthcheck{first, second, third})
	for text, want := range map[string]string{
		"WAT=3\n/":            "CHECKS:1:1: WAT is not known; did you mean WAIT?",
		"WAIT=soon\n/":        "CHECKS:1:1: WAIT is soon; write a whole number from 1 to 3600",
		"/a\n{{ var \"X\" }}": "CHECKS:2:1: the line is a template; write the value out: variables are not filled in any more",
		"//a b":               "CHECKS:1:1: the host a is no name; write",
		"/a\x1b":              "CHECKS:1:1: there is a control character in the line; take it out",
		"# nothing":           "advice: CHECKS: it has no check; write a line such as /healthz, or remove the file",
		"ATTEMPTS=900\n/":     "CHECKS: each check may take 8h45m0s; lower ATTEMPTS, TIMEOUT or WAIT: together at most 1h0m0s",
		"http://a;b/":         `CHECKS:1:1: the host "a;b" holds more than letters, digits, hyphens and dots; write a name such as www.example.com`,
		"healthz":             "CHECKS:1:1: the path healthz does not begin with /; write only the path, such as /healthz: the request goes to the container",
		"/a%zz":               `CHECKS:1:1: the path "/a%zz" is no path of a URL; % begins an escape of two hex digits, such as %20`,
	} {
		_, found := ParseChecks("CHECKS", []byte(text))
		sound(t, found)
		if text == "//a b" {
			want = ""
		}
		same(t, told(found), want)
	}
}

// app.json wins over CHECKS, for web alone.
func TestWhichChecks(t *testing.T) {
	files := map[string]string{"CHECKS": "/old\n", "Procfile": "web: x $PORT\nworker: y\n", "app.json": `{"healthchecks": {"worker": [{"uptime": 3}]}}`}
	app, found := Load(project(files), Options{})
	same(t, told(found), "")
	same(t, []string{app.Healthchecks["web"][0].Path, app.Healthchecks["worker"][0].Uptime.String()}, []string{"/old", "3s"})
	if len(app.AppJSON.Healthchecks) != 1 {
		t.Error("app.json is not what it was")
	}
	files["app.json"] = `{"healthchecks": {"web": [{"path": "/new"}]}}`
	app, found = Load(project(files), Options{})
	same(t, told(found), "advice: CHECKS: it is not used: app.json has healthchecks for web; remove the file")
	same(t, app.Healthchecks["web"][0].Path, "/new")
}

func TestProject(t *testing.T) {
	got, found := ParseProject("project.toml", []byte(`[_]
schema-version = "0.2"
id = "x"
[_.metadata]
a = 1
[io.buildpacks]
builder = "heroku/builder:24"
exclude = ["*.md"]
[[io.buildpacks.group]]
id = "heroku/nodejs"
version = "1.2"
[[io.buildpacks.group]]
uri = "docker://example/bp"
[[io.buildpacks.pre.group]]
id = "a"
[io.buildpacks.pre.group.script]
api = "0.10"
inline = "x"
[[io.buildpacks.build.env]]
name = "NODE_ENV"
value = "production"
`))
	same(t, told(found), "")
	same(t, got, &ProjectTOML{
		Builder: "heroku/builder:24", Exclude: []string{"*.md"}, Env: map[string]string{"NODE_ENV": "production"},
		Buildpacks: []Buildpack{{ID: "heroku/nodejs", Version: "1.2"}, {URI: "docker://example/bp"}}, Pre: []Buildpack{{ID: "a", Script: true}},
		Decides: []string{"io.buildpacks.build.env", "io.buildpacks.builder", "io.buildpacks.exclude", "io.buildpacks.group", "io.buildpacks.pre.group"},
	})
	got, found = ParseProject("project.toml", []byte("[project]\nid = \"x\"\n[build]\ninclude = [\"a\"]\n[[build.env]]\nname = \"A\"\nvalue = \"b\"\n[[build.buildpacks]]\nid = \"x\"\n"))
	same(t, told(found), "")
	same(t, got, &ProjectTOML{Include: []string{"a"}, Env: map[string]string{"A": "b"}, Buildpacks: []Buildpack{{ID: "x"}}, Decides: []string{"build.buildpacks", "build.env", "build.include"}})
	for text, want := range map[string]string{
		"a = ":                               "project.toml:1:4: there is no value after =; text stands in double quotes",
		"[io.buildpacks]\nbuilder = 1":       "project.toml:2:1: io.buildpacks.builder is not a string; write it in double quotes",
		"[io.buildpacks]\nbuilder = \"a b\"": "project.toml:2:1: io.buildpacks.builder is no image; write an image such as nginx:alpine, or a folder or archive of the project",
		"[io.buildpacks]\nbuidler = \"x\"":   "advice: project.toml:2:1: io.buildpacks.buidler is not known and not used; did you mean builder?",
		"[io.buildpacks]\ninclude = [\"a\"]\nexclude = [\"b\"]": "project.toml:3:1: io.buildpacks has both include and exclude; keep one of the two",
		"[[io.buildpacks.group]]\nversion = \"1\"\nuri = \"x\"": "project.toml:1:1: io.buildpacks.group[0] has more than one of version, uri and script; keep one of them",
		"[[io.buildpacks.group]]\nversion = \"1\"":              "project.toml:1:1: io.buildpacks.group[0] names no buildpack; write id = \"heroku/nodejs\" or uri = \"…\"",
		"[[io.buildpacks.build.env]]\nname = \"A-B\"":           "project.toml:2:1: variable A-B has a name that no environment carries; a name holds letters, digits and _ and does not begin with a digit",
		"a = \"x":      "project.toml:1:6: a text does not end; text stands in double quotes, in one line",
		"a = 1\na = 2": "project.toml:2:1: the key stands twice; keep one of the two",
		"a b = 1":      "project.toml:1:3: there is no = after the key; write key = \"value\"",
		"a = [1 2]":    "project.toml:1:8: there is no comma between two elements; write a comma after each",
		"a = ?":        "project.toml:1:5: there is no value after =; text stands in double quotes",
		"a = [[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[":                                                                            "project.toml:1:37: values lie more than 32 deep within each other; project.toml needs no such depth",
		"[[io.buildpacks.group]]\nid = \"a\"\n\n[[io.buildpacks.group]]\nversion = \"1\"\n":                                  "project.toml:4:1: io.buildpacks.group[1] names no buildpack; write id = \"heroku/nodejs\" or uri = \"…\"",
		"[[io.buildpacks.group]]\nid = \"a\"\n[[io.buildpacks.group]]\n  id = 1\n  uri = \"x\"":                              "project.toml:4:3: io.buildpacks.group[1].id is not a string; write it in double quotes",
		"[io.buildpacks]\r\n\tgroup = [{ id = \"a\" }, { id = 1, uri = \"x\" }]":                                             "project.toml:2:2: io.buildpacks.group[1].id is not a string; write it in double quotes",
		"[[io.buildpacks.build.env]]\nname = \"A\"\nvalue = \"1\"\n[[io.buildpacks.build.env]]\nvalue = \"2\"\nname = \"A\"": "project.toml:6:1: io.buildpacks.build.env has A twice; keep one of the two",
		"[[io.buildpacks.build.env]]\nname = \"A\"\nvalue = \"1\"\n[[io.buildpacks.build.env]]\nname = \"B\"\nvalue = 2":     "project.toml:6:1: io.buildpacks.build.env[1].value is not a string; write it in double quotes",
		"[io]\nbuildpacks = 1":             "project.toml:2:1: io.buildpacks is no table; write [io.buildpacks] and its keys on the lines after it",
		"[io.buildpacks]\ninclude = \"a\"": "project.toml:2:1: io.buildpacks.include is not a list; write include = [\"pattern\"]",
		"[io.buildpacks]\ngroup = 1":       "project.toml:2:1: io.buildpacks.group is no list of tables; write [[io.buildpacks.group]] and its keys on the lines after it",
	} {
		got, found := ParseProject("project.toml", []byte(text))
		sound(t, found)
		same(t, told(found), want)
		if (got == nil) != found.Failed() {
			t.Errorf("%s: %v", text, got)
		}
	}
}

func FuzzProject(f *testing.F) {
	for _, text := range []string{"[io.buildpacks]\nbuilder = \"x\"\n", "[[build.env]]\nname = \"A\"\n", "a = [{}]\n", "\xff", "[_]\n_ = '''\n[x]\n'''"} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		got, found := ParseProject("project.toml", text)
		sound(t, found)
		if (got == nil) != found.Failed() {
			t.Fatalf("%q: %v", text, found)
		}
	})
}

func FuzzChecks(f *testing.F) {
	for _, text := range []string{"WAIT=1\n/a b\n", "//h/p\n", "https://h\n", "=\n", "\xff"} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		checks, found := ParseChecks("CHECKS", text)
		sound(t, found)
		if checks != nil && found.Failed() {
			t.Fatalf("%q: %v", text, found)
		}
		for _, c := range checks {
			if c.Path == "" || c.Path[0] != '/' || c.Attempts < 1 || c.Timeout <= 0 {
				t.Fatalf("%+v", c)
			}
		}
	})
}
