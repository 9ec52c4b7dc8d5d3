package manifest

import (
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// TestWords: no mistake that the parser of HCL finds is told in its words, and each says what
// to write.
func TestWords(t *testing.T) {
	for _, text := range []string{
		`app = upper("a" "b")`, `app = upper("a"`, `app = upper("a",`, `app = upper("a"...)`, `app = upper("a"... , "b")`, `app = upper()`, `app = upper("a", "b")`,
		`app = true ?`, `app = true ? "a"`, `app = true ? "a" :`, `app = null ? "a" : "b"`, `app = "a" ? "b" : "c"`, `app = true ? "a" : ["b"]`,
		`app = "a" ==`, `app = !`, `app = -`, `app = "a" & "b"`, `app = "a" && true`, `app = !"a"`, `app = -"a"`,
		`app = "a"[0]`, `app = "a".b`, `app = ["a"][`, `app = ["a"][*`, `app = a[`, `app = a.`, `app = a.*.`, `app = a.0.0`, `app = a.*.0.0`, `app = ["a"].*.b.*.c`, `app = "a"[]`,
		`app = [for]`, `app = [for x]`, `app = [for x in]`, `app = [for x in ["a"]]`, `app = [for x in ["a"] :]`, `app = [for x, in ["a"] : x]`, `app = {for x in ["a"] : x}`, `app = [for x in ["a"] : x => x]`, `app = {for x in y : x => x...`,
		`app = "%{ if true }a"`, `app = "%{ else }a"`, `app = "%{ endif }a"`, `app = "%{ endfor }a"`, `app = "%{ foo }a"`, `app = "%{ }a"`, `app = "%{ if }a%{ endif }"`, `app = "%{ if true }a%{ else }b%{ else }c%{ endif }"`, `app = "%{ for x }a%{ endfor }"`, `app = "%{ for x in y }a"`, `app = "%{ if true"`,
		`app = "${"`, `app = "${}"`, `app = "${"a" "b"}"`, `app = "${["a"]}"`, `app = "a`, `app = "\d"`, `app = "\u12"`, `app = <<EOT`, `app = << EOT`, `app = <<EOT x`,
		`app = 1.2.3`, `app = 1e`, `app = 0x1F`, `app = 1_000`, `app = .5`, `app = foo::bar("a")`, `app = foo::("a")`, `app = foo::bar`, `app = nope("a")`, `app = env(null)`, `app = format("%d", "a")`, `app = format("%!", "a")`, `app = join(",", "a")`, `app = join(",", [null])`, `app = replace("a", "", "b")`, `app = file("nope")`, `app = file("../a")`, `app = env("NOPE")`,
		`app = $A`, `app = ${A}`, `app = 'web'`, `app = “web”`, `app == "web"`, `app: "web"`, `app "web"`, `app web`, `app`, `app =`, `app = "x" /* c`, `/* c`, `}`, `]`, `)`, `=`, `"app" = "x"`, `1app = "x"`, `a.b = "x"`,
		`domains = ["a.com" "b.com"]`, `domains = ["a.com",, "b.com"]`, `domains = ["a.com"`, `domains = ["a.com",`, `domains = {`, `domains = [a.com]`, "app = \"a\"\napp = \"b\"",
		`config { A = 1 B = 2 }`, `config { A = 1, B = 2 }`, `config { A: 1 }`, "config {\n  A = \"1\",\n}", "config {\n  A = 1; B = 2\n}", `config { A = 1`, "config {\n", "config {\n  A = \"x\n}", `config { A { } }`, `config { A }`, "config { A = 1\n}", "config {} config {}",
		`host "a" "b" { address = "h" }`, `host "${env("A")}" { address = "h" }`, `host 1 { address = "h" }`, `host "a`, `host "a" = { }`, "host \"a\"\n{\n}",
		`build { args = { a = } }`, `build { args = { = 1 } }`, `build { args = { a 1 } }`, `build { args = { a = 1 b = 2 } }`, `build { args = { a = 1`, `build { args = { a.b = 1 } }`, `build { args = { (null) = 1 } }`, `build { args = { [1] = 1 } }`, `build { args = { a = 1, a = 2 } }`,
	} {
		app, found := Load(project(map[string]string{"dokku.hcl": text + "\n", "Dockerfile": ""}), Options{})
		if app != nil || !found.Failed() {
			t.Errorf("%s: it is accepted", text)
			continue
		}
		theirs := map[string]bool{}
		file, raw := hclsyntax.ParseConfig([]byte(text+"\n"), "dokku.hcl", hcl.InitialPos)
		if body, ok := file.Body.(*hclsyntax.Body); ok && !raw.HasErrors() {
			for _, attribute := range body.Attributes {
				_, more := attribute.Expr.Value(nil)
				raw = append(raw, more...)
			}
		}
		for _, d := range raw {
			theirs[sentence(d.Summary)] = true
		}
		for _, d := range found {
			if theirs[d.Message] {
				t.Errorf("%s is told in the parser's words: %s", text, d)
			}
			if d.Severity == Mistake && d.Hint == "" {
				t.Errorf("%s: no hint: %s", text, d)
			}
		}
	}
}

// TestEnvironmentIsNotTold: what a mistake is made of may be a secret, where the environment
// gave it.
func TestEnvironmentIsNotTold(t *testing.T) {
	const canary = "canary.value"
	getenv := func(name string) (string, bool) { return canary, name == "X" }
	for _, text := range []string{
		`build { args = { (env("X")) = 1, "${env("X")}" = 2 } }`, `config { A = file(env("X")) }`, `config { A = env(env("X")) }`, `config { A = format(env("X"), 1) }`,
		`config { A = replace("a", lower(env("X")), join("", env("X"))) }`, `app = "${env("X")} x"`, `app = env("X") ? "a" : "b"`,
		"docker_options {\n  deploy = [\"--env A=${env(\"X\")}\", \"--env A=${env(\"X\")}\"]\n}", `domains = [env("X"), upper(env("X")), env("X")]`, `storage { mounts = ["a1:/${env("X")}", "b1:/${env("X")}"] }`,
		`ports = ["http:80:${env("X")}"]`, `service "a" { plugin = env("X") }`, `nginx { hsts = env("X") }`, `formation "web" { memory = env("X") }`, `review { ttl = env("X") }`, `checks { disabled = [env("X")] }`,
	} {
		app, found := Load(project(map[string]string{"dokku.hcl": text + "\n", "Dockerfile": ""}), Options{Getenv: getenv})
		if app != nil || !found.Failed() {
			t.Errorf("%s: it is accepted", text)
		}
		for _, d := range found {
			if strings.Contains(d.Message+d.Hint, canary) {
				t.Errorf("%s: %s", text, d)
			}
		}
	}
	app, found := Load(project(map[string]string{"dokku.hcl": "docker_options {\n  deploy = [\"--env A=${env(\"X\")}\"]\n}\n", "Dockerfile": ""}), Options{Getenv: getenv})
	if app == nil {
		t.Fatal(told(found))
	}
	if said, err := app.Explain("docker_options.deploy"); err != nil || said.Winner.Value != "--env A=…" {
		t.Errorf("explained as %+v, %v", said, err)
	}
}
