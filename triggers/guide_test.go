package triggers

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// example is one script of triggers/examples and its calls.
type example struct {
	script string
	calls  []call
}

// call is what a script prints for some arguments.
type call struct{ args, out string }

// examples reads examples.txtar: by trigger.
func examples(t *testing.T) map[string]*example {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("examples", "examples.txtar"))
	must(t, err)
	all := map[string]*example{}
	for _, part := range strings.Split("\n"+string(text), "\n-- ")[1:] {
		name, body, found := strings.Cut(part, " --")
		if !found {
			t.Fatalf("%q is no file", part)
		}
		body = strings.TrimPrefix(body, "\n")
		trigger, args, isCall := strings.Cut(name, ":")
		switch {
		case !isCall:
			all[trigger] = &example{script: strings.TrimRight(body, "\n") + "\n"}
		case all[trigger] == nil:
			t.Fatalf("%s is called before it is there", trigger)
		default:
			all[trigger].calls = append(all[trigger].calls, call{strings.TrimSpace(args), body})
		}
	}
	return all
}

// asked reads asked.txt: by trigger, how the core is asked and what it prints.
func asked(t *testing.T) map[string][]call {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("examples", "asked.txt"))
	must(t, err)
	all := map[string][]call{}
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		words, out, found := strings.Cut(strings.TrimSpace(line), "=>")
		if !found {
			t.Fatalf("%q says nothing of what is printed", line)
		}
		name, args, _ := strings.Cut(strings.TrimSpace(words), " ")
		all[name] = append(all[name], call{args, strings.TrimSpace(out)})
	}
	return all
}

const exampleHead = "#!/usr/bin/env bash\nset -eo pipefail\n"

// TestExamples runs every example as a plugin's hook, with programs that say how they
// were called, and has shellcheck look at it.
func TestExamples(t *testing.T) {
	shipped, core := examples(t), asked(t)
	for _, one := range All() {
		if shipped[one.Name] == nil && len(core[one.Name]) == 0 {
			t.Errorf("there is no example of %s", one.Name)
		}
	}
	for name := range core {
		if _, ok := Lookup(name); !ok {
			t.Errorf("an example of %s, which is not in the catalogue", name)
		}
	}
	dir := t.TempDir()
	var files []string
	for name, one := range shipped {
		if _, ok := Lookup(name); !ok || len(one.calls) == 0 {
			t.Errorf("the example %s is of no trigger, or is never called", name)
		}
		file := filepath.Join(dir, strings.ReplaceAll(name, " ", "-"))
		must(t, os.WriteFile(file, []byte(exampleHead+one.script), 0o755))
		files = append(files, file)
		for _, call := range one.calls {
			if got := strings.TrimRight(ran(t, file, call.args), "\n"); got != strings.TrimRight(call.out, "\n") {
				t.Errorf("%s %s printed %q, want %q", name, call.args, got, call.out)
			}
		}
	}
	if said, err := exec.Command("shellcheck", append([]string{"--shell", "bash"}, files...)...).CombinedOutput(); err != nil {
		t.Errorf("shellcheck: %v\n%s", err, said)
	}
}

// ran runs an example in a folder of its own.
func ran(t *testing.T, file, args string) string {
	t.Helper()
	dir := t.TempDir()
	for path, text := range map[string]string{"root/shop/nginx.conf": "server {\n    server_name shop.example.com;\n}\n", "lib/data/shop/kept": "", "tree/Dockerfile": "FROM scratch\n"} {
		must(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, path)), 0o755))
		must(t, os.WriteFile(filepath.Join(dir, path), []byte(text), 0o644))
	}
	must(t, os.Mkdir(filepath.Join(dir, "bin"), 0o755))
	for _, program := range []string{"dokku", "docker", "plugn"} {
		must(t, os.WriteFile(filepath.Join(dir, "bin", program), []byte("#!/bin/sh\necho "+program+" \"$@\"\n"), 0o755))
	}
	cmd := exec.Command("bash", "-c", file+" "+args)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "PATH="+filepath.Join(dir, "bin")+":"+os.Getenv("PATH"), "DOKKU_ROOT="+filepath.Join(dir, "root"), "DOKKU_LIB_ROOT="+filepath.Join(dir, "lib"), "TODAY=Mon")
	out, err := cmd.Output()
	if err != nil {
		if ended, ok := err.(*exec.ExitError); ok {
			return fmt.Sprintf("%s[exit %d]\n", out, ended.ExitCode())
		}
		t.Fatal(err)
	}
	return string(out)
}

// TestGuide keeps docs/plugins.md what the catalogue and the examples say, byte by byte.
func TestGuide(t *testing.T) {
	file := filepath.Join("..", "docs", "plugins.md")
	want := guide(t)
	if *update {
		must(t, os.WriteFile(file, []byte(want), 0o644))
	}
	got, err := os.ReadFile(file)
	must(t, err)
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("docs/plugins.md is not what the catalogue says; run `go generate ./triggers`:\n%s", diff)
	}
}

// guide renders the page: what a person wrote, then every trigger with its example.
func guide(t *testing.T) string {
	t.Helper()
	head, err := os.ReadFile(filepath.Join("examples", "guide.md"))
	must(t, err)
	shipped, core := examples(t), asked(t)
	var text strings.Builder
	text.Write(head)
	text.WriteString("\n## Triggers to ship\n\nEach script begins with `#!/usr/bin/env bash` and `set -eo pipefail`. Below it stands a call and what it prints.\n")
	for _, one := range slices.Concat(seedTriggers, pluginTriggers, coreTriggers) {
		if made := shipped[one.Name]; made != nil {
			explain(&text, one)
			fmt.Fprintf(&text, "\n```bash\n%s```\n", made.script)
			for _, call := range made.calls {
				fmt.Fprintf(&text, "\n    $ %s\n", strings.TrimSpace(one.Name+" "+call.args))
				for line := range strings.Lines(call.out) {
					text.WriteString("    " + strings.TrimRight(line, "\n") + "\n")
				}
			}
		}
	}
	text.WriteString("\n## What to ask the core\n\nA plugin asks with `plugn trigger`. Beside each call stands what it prints (`*` is anything), or its exit code.\n")
	for _, one := range slices.Concat(pluginTriggers, coreTriggers) {
		calls := core[one.Name]
		if len(calls) == 0 {
			continue
		}
		explain(&text, one)
		text.WriteString("\n")
		for _, call := range calls {
			out := call.out
			if out == "" {
				out = "nothing"
			}
			fmt.Fprintf(&text, "    $ plugn trigger %s    # %s\n", strings.TrimSpace(one.Name+" "+call.args), out)
		}
	}
	return text.String()
}

// explain says what a trigger is, in a line.
func explain(text *strings.Builder, one Trigger) {
	var args []string
	for _, arg := range one.Args {
		args = append(args, arg.Name)
	}
	fmt.Fprintf(text, "\n### %s\n\n%s Side: %s.\n", strings.TrimSpace("`"+one.Name+"` "+strings.Join(args, " ")), one.When, one.Side)
}
