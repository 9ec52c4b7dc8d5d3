package manifest

import (
	"fmt"
	"strings"
	"testing"
	"testing/fstest"
)

func getenv(key string) (string, bool) {
	value, ok := map[string]string{"STAGE": "production", "EMPTY": "", "BAD": "\xff"}[key]
	return value, ok
}

// load reads a project that has this dokku.hcl.
func load(text string) (*App, Diagnostics) {
	return Load(fstest.MapFS{
		"dokku.hcl":   {Data: []byte(text)},
		"version.txt": {Data: []byte(" 1.2\n")},
		"logo.png":    {Data: []byte{0x89, 'P', 0}},
		"folder/x":    {Data: []byte("x")},
		"big":         {Data: []byte(strings.Repeat("a", maxFile))},
	}, Options{Getenv: getenv})
}

func TestHCL(t *testing.T) {
	app, found := load(`
app = "my-app"
host "production" {
  address  = "dokku@[2001:db8::1]:2222"
  host_key = "SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU"
}
image { registry = "registry.example.com:5000/team/my-app" }
build {
  builder = "static"
  context = "."
  args    = { VERSION = trimspace(file("version.txt")), "N" = 2 }
  dockerfile {
    path   = "docker/Dockerfile"
    target = "run-1"
  }
  static {
    base    = "scratch"
    dir     = "public"
    dest    = "/srv/www/"
    command = "server --port $PORT"
  }
}
config {
  TEXT    = "a ${upper("b")} $${c}"
  NUMBER  = -1.5
  BIG     = 12345678901234567890
  YES     = true
  STAGE   = env("STAGE")
  CHOICE  = env("STAGE") == "production" && !false ? "p" : "q"
  LINES   = <<-EOT
    one
    two
  EOT
  JOINED  = join(",", ["a", lower("B")])
  NAME    = replace(format("%s-%03d", "x", 7), "-", "_")
}
`)
	if found != nil {
		t.Fatal(told(found))
	}
	same(t, app, &App{
		Name:  "my-app",
		Host:  Host{Name: "production", Address: "dokku@[2001:db8::1]:2222", HostKey: "SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU"},
		Image: ImageSpec{Registry: "registry.example.com:5000/team/my-app"},
		Build: Build{
			Builder: "static", Context: ".", Args: map[string]string{"VERSION": "1.2", "N": "2"},
			Dockerfile: DockerfileBuild{Path: "docker/Dockerfile", Target: "run-1"},
			Static:     StaticBuild{Base: "scratch", Dir: "public", Dest: "/srv/www/", Command: "server --port $PORT"},
		},
		Config: map[string]string{
			"TEXT": "a B ${c}", "NUMBER": "-1.5", "BIG": "12345678901234567890", "YES": "true", "STAGE": "production", "CHOICE": "p",
			"LINES": "one\ntwo\n", "JOINED": "a,b", "NAME": "x_007",
		},
	})
}

const knownAtTop = "known here: app, build, checks, config, docker_options, domains, environment, formation, host, image, nginx, ports, review, secrets, server, service, storage"

func TestHCLMistakes(t *testing.T) {
	config := func(expr string) string { return "config { A = " + expr + " }" }
	const path = "; write a path inside the project, with slashes, such as web/app"
	for _, test := range []struct{ text, told string }{
		// the text
		{`app = `, "1:7: there is no value; write one: text in double quotes, a number, true, false, [ … ] or { … }"},
		{"app = \"a\nb\"", "1:9: a text goes over the end of the line; text stands in double quotes, in one line; several lines stand between <<EOT and EOT"},
		{"app = \"a\"\napp = \"b\"", "2:1: app stands twice; keep one of the two"},
		{"app = \"é\xff\"", "1:9: this byte is not UTF-8; save the file as UTF-8"},
		{"app = \"\x00\"", "1:8: there is a NUL byte in the file; save it as UTF-8 text"},
		{config(strings.Repeat("[", 9999)), "1:45: blocks and values lie more than 32 deep within each other; dokku.hcl needs no such depth"},
		{config(strings.Repeat("!", 9999) + "true"), "1:2014: there are more than 2000 operators in the file; dokku.hcl is no program"},
		{config(strings.Repeat("9", 9999)), "1:14: the number is too long; write it in double quotes if it is meant as text"},
		{config("1e99999999"), "1:14: the number is out of range; write it in double quotes if it is meant as text"},
		// what may stand where
		{`ap = "x"`, "1:1: ap is not known; did you mean app?"},
		{`x = ["x"]`, "1:1: x is not known; " + knownAtTop},
		{`buid {}`, "1:1: buid is not known; did you mean build?"},
		{`app {}`, "1:1: app has one name; write app \"NAME\" { … }"},
		{`config = {}`, "1:1: config is a block, not an attribute; write config { … }, without ="},
		{"build {\n}\nbuild {}", "3:1: build stands twice; write one block with everything in it"},
		{`build "x" {}`, "1:7: build has no name; write build { … }"},
		{`host { address = "x" }`, "1:1: host has one name; write host \"NAME\" { … }"},
		{`host "a" {}`, "1:1: host a has no address; write address = \"dokku@host\" in it"},
		{"build {\n static {\n bas = \"x\"\n}\n}", "3:2: build.static.bas is not known; did you mean base?"},
		{"build {\n args {}\n}", "2:2: build.args is an attribute, not a block; write args = …"},
		{"config {\n X {}\n}", "2:2: config.X is a block; config holds only lines such as KEY = \"value\""},
		// values
		{`app = 1`, "1:7: app is not a string; write it in double quotes"},
		{`app = null`, "1:7: app is not a string; write it in double quotes"},
		{`app = name`, "1:7: there is no variable name; text stands in double quotes; a variable of the environment is env(\"name\")"},
		{`app = "My_App"`, "1:7: app names no app: app name My_App holds more than lower-case letters, digits, hyphens and dots; write my-app"},
		{`host "a" { address = "-oProxyCommand=x" }`, "1:22: address is no host to reach over ssh; write [user@]host[:port], such as dokku@host.example.com; an IPv6 address stands in brackets"},
		{`host "a" { address = "h:65536" }`, "1:22: address has the port 65536; write a port from 1 to 65535"},
		{`host "-a" { address = "h" }`, "1:6: the host's name is -a; write letters, digits and hyphens, such as production"},
		{"host \"a\" {\n address = \"h\"\n host_key = \"SHA256:x\"\n}", "3:13: host_key is neither a fingerprint nor one public key; write SHA256:… as ssh-keygen -lf prints it, or one line of ssh-keyscan"},
		{`image { registry = "https://r/x" }`, "1:20: registry is a URL; write host/path, such as registry.example.com/team/app"},
		{`image { registry = "r.example/x:1" }`, "1:20: registry names a tag or a digest; leave it out: the release decides that"},
		{`image { registry = "r.example/X;y" }`, "1:20: registry is no repository of a registry; write host/path, such as registry.example.com/team/app"},
		{`build { builder = "dockerfiles" }`, "1:19: builder is dockerfiles; did you mean dockerfile?"},
		{`build { context = "../x" }`, "1:19: context leads out of the project with .." + path},
		{`build { context = "/x" }`, "1:19: context is absolute" + path},
		{`build { args = { A = 1, A = 2 } }`, "1:25: args has A twice; keep one of the two"},
		{`build { args = { "A-B" = 1 } }`, "1:18: variable A-B has a name that no environment carries; a name holds letters, digits and _ and does not begin with a digit"},
		{`build { args = ["A"] }`, "1:16: args is not an object; write args = { NAME = \"value\" }"},
		{"build {\n static {\n dest = \"app\"\n}\n}", "3:9: dest is no absolute path; write where the files go in the image, such as /app"},
		{"build {\n static {\n dest = \"/a/../b\"\n}\n}", "3:9: dest is no absolute path; write where the files go in the image, such as /app"},
		{"build {\n static {\n base = \"-x\"\n}\n}", "3:9: base is no image; write an image such as nginx:alpine, or a folder or archive of the project"},
		{"build {\n static {\n command = \"a\\nb\"\n}\n}", "3:12: command holds a control character or a line break; write one line, or put it into a script"},
		{config(`["x"]`), "1:14: A is not a string, a number, true or false; write it in double quotes"},
		{config(`null`), "1:14: A is not a string, a number, true or false; write it in double quotes"},
		{"config {\n PATH = \"x\"\n a = 1\n A = 2\n A-B = 3\n}", "2:2: PATH decides which programs run; set it in the image instead\n" +
			"dokku.hcl:4:2: variables a and A differ only by case; keep one of the two\n" +
			"dokku.hcl:5:2: variable A-B has a name that no environment carries; a name holds letters, digits and _ and does not begin with a digit"},
		// expressions
		{config(`1 + 1`), "1:14: there is no arithmetic in dokku.hcl; write the result, or the text in double quotes"},
		{config(`[for x in ["a"]: x]`), "1:14: this kind of expression is not used in dokku.hcl; write the value out"},
		{config(`"%{ for x in ["a"] }${x}%{ endfor }"`), "1:15: this kind of expression is not used in dokku.hcl; write the value out"},
		{config(`["a"][*]`), "1:14: this kind of expression is not used in dokku.hcl; write the value out"},
		{config(`uper("x")`), "1:14: there is no function uper; did you mean upper?"},
		{config(`env("MISSING")`), "1:18: env: MISSING is not set in the environment; set it for dokku-push, or write the value"},
		{config(`env("BAD")`), "1:18: env: the environment's BAD is not UTF-8; look at what the variable holds; "},
		{config(`file("none")`), "1:19: file: there is no none in the project; paths are relative to its folder"},
		{config(`file("../x")`), "1:19: file: the path leads out of the project with .." + path},
		{config(`file("/etc/passwd")`), "1:19: file: the path is absolute" + path},
		{config(`file("C:\\x")`), "1:19: file: the path holds a backslash or a control character" + path},
		{config(`file("folder")`), "1:19: file: folder is no file; look at what the function is given; "},
		{config(`file("logo.png")`), "1:19: file: logo.png is not UTF-8 text; look at what the function is given; "},
		{config(`file("big")`), "1:14: A: the value is larger than 128 KiB; put it into a file of the image"},
		{config(`replace(file("big"), "a", file("big"))`), "1:22: replace: the results are larger than 16 MiB together; put large values into files of the image"},
		{config(`format("%99999s", "x")`), "1:21: format: the format has a number over 999; write a smaller width"},
		{config(`format("%v", ["x"])`), "1:21: format: an argument is a list or an object; write join(\", \", …) for a list"},
	} {
		app, found := load(test.text)
		sound(t, found)
		got := told(found)
		want := strings.TrimSuffix("dokku.hcl:"+test.told, "; ")
		// Which argument hcl puts the blame of a failed call on is its own business.
		if strings.HasPrefix(test.text, "config { A = ") && strings.Contains(test.text, "(") && len(found) == 1 {
			_, got, _ = strings.Cut(got, ": ")
			_, want, _ = strings.Cut(want, ": ")
			same(t, found[0].Line, 1)
		}
		if got != want {
			t.Errorf("%.100s\n got %s\nwant %s", test.text, got, want)
		}
		if app != nil {
			t.Errorf("%.100s is accepted", test.text)
		}
	}
}

// Nothing that a person can write makes much out of little.
func TestHCLBombs(t *testing.T) {
	calls := strings.Repeat(`file("big"),`, 100)
	for _, text := range []string{
		fmt.Sprintf("config { A = join(\"\", [%s]) }", calls),
		fmt.Sprintf("config { A = \"%s\" }", strings.Repeat(`${file("big")}`, 100)),
		fmt.Sprintf("config { A = join(file(\"big\"), [%s]) }", strings.Repeat(`"",`, 1000)),
		fmt.Sprintf("config { A = format(%q, file(\"big\")) }", strings.Repeat("%[1]s", 1000)),
	} {
		if app, found := load(text); app != nil || !strings.Contains(told(found), "larger than 16 MiB") {
			t.Errorf("%.60s: %.300s", text, told(found))
		}
	}
}

func FuzzManifest(f *testing.F) {
	for _, text := range []string{"app = \"a\"\nconfig {\n A = env(\"STAGE\")\n}\n", `host "p" { address = "u@h:1" }`, `config { A = "%{ if true }${file("version.txt")}%{ endif }" }`,
		"build {\n args = { A = 1 }\n static { base = <<EOT\nx\nEOT\n}\n}", `config { A = format("%5.3f", 1e30) == "x" ? null : [1][0] }`, "app = [for a in b: a]\n/*", `config { A = -"x"` + "\n" + `B = {(1)=2}.x }`} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		app, found := load(string(text))
		sound(t, found)
		if found.Failed() != (app == nil) {
			t.Fatalf("mistakes %v, App %v", found.Failed(), app)
		}
		if app == nil {
			return
		}
		for key, value := range app.Config {
			if problem, _ := declaredKey(key); problem != "" || strings.Contains(value, "\x00") {
				t.Fatalf("config %q=%q", key, value)
			}
		}
		if strings.HasPrefix(app.Host.Address, "-") || app.Name != "" && ExistingAppName(app.Name) != nil {
			t.Fatalf("%+v", app)
		}
	})
}
