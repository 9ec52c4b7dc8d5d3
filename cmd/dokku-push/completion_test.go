package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// typed are words as somebody types them before the key that completes, and the line
// that comes of it.
var typed = [][2]string{
	{"rel", "releases"},
	{"status --accept", "status --accept-new-host-key"},
	{"plan --format mark", "plan --format markdown"},
	{"plan --format=mark", "plan --format=markdown"},
	{"check --format gi", "check --format github"},
	{"--log-format pl", "--log-format plain"},
	{"-a shop rollback-", "-a shop rollback-"}, // an app's name is asked nowhere
	{"host ap", "host apply"},
	{"completion fi", "completion fish"},
	{"schema mani", "schema manifest"},
	{"help roll", "help rollback"},
	{"check --manifest sub/dok", "check --manifest sub/dokku.hcl"},
	{"push --plugin-path su", "push --plugin-path sub/"},
	{"run -a x -- sub/dok", "run -a x -- sub/dokku.hcl"},
	{"-a x su", "-a x sub/"},
}

// scripted writes a shell's completions into a folder that has something to complete.
func scripted(t *testing.T, shell string) (dir, script string) {
	t.Helper()
	dir = t.TempDir()
	script = filepath.Join(dir, "completion."+shell)
	var out bytes.Buffer
	if err := (&client{args: []string{shell}, out: &out}).completion(); err != nil {
		t.Fatal(err)
	}
	for path, text := range map[string]string{script: out.String(), filepath.Join(dir, "sub", "dokku.hcl"): ""} {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir, script
}

// TestCompletionTyped: in a bash and a zsh that somebody types into.
func TestCompletionTyped(t *testing.T) {
	for shell, test := range map[string]struct{ start, rc string }{
		"bash": {"bash --noprofile --rcfile rc -i", ""},
		"zsh":  {"env ZDOTDIR=. zsh -d -i", "autoload -Uz compinit; compinit -D -u; unsetopt auto_remove_slash\n"},
	} {
		t.Run(shell, func(t *testing.T) {
			t.Parallel()
			dir, script := scripted(t, shell)
			// What takes the program's place says what the line was.
			rc := fmt.Sprintf("%ssource %s\ndokku-push() { echo \"GOT<$*>\" >>got; }\n", test.rc, script)
			for _, name := range []string{"rc", ".zshrc"} {
				if err := os.WriteFile(filepath.Join(dir, name), []byte(rc), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			var keys, want, got strings.Builder
			for _, one := range typed {
				fmt.Fprintf(&keys, "dokku-push %s\t\n", one[0])
				fmt.Fprintf(&want, "GOT<%s>\n", one[1])
			}
			keys.WriteString("exit\n")
			terminal := exec.CommandContext(t.Context(), "script", "-qec", test.start, "/dev/null")
			terminal.Dir, terminal.Stdin, terminal.WaitDelay = dir, strings.NewReader(keys.String()), 10*time.Second
			terminal.Env = append(os.Environ(), "TERM=dumb", "HOME="+dir)
			out, err := terminal.CombinedOutput()
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			lines, err := os.ReadFile(filepath.Join(dir, "got"))
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			got.Write(lines)
			if diff := cmp.Diff(want.String(), got.String()); diff != "" {
				t.Errorf("-want +got:\n%s\n%s", diff, out)
			}
		})
	}
}

// TestCompletionFish: fish says what it would complete.
func TestCompletionFish(t *testing.T) {
	t.Parallel()
	dir, script := scripted(t, "fish")
	for _, one := range typed {
		words := strings.Fields(one[1])
		want := strings.TrimPrefix(words[len(words)-1], "./")
		fish := exec.CommandContext(t.Context(), "fish", "--no-config", "-c", `source $argv[1]; complete -C $argv[2]`, script, "dokku-push "+one[0])
		fish.Dir = dir
		fish.Env = append(os.Environ(), "HOME="+dir)
		out, err := fish.CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		if one[0] == one[1] {
			if len(out) > 0 {
				t.Errorf("%s: %s", one[0], out)
			}
			continue
		}
		first, _, _ := strings.Cut(string(out), "\n")
		if first, _, _ = strings.Cut(first, "\t"); first != want {
			t.Errorf("%s: %s, want %s", one[0], out, want)
		}
	}
}

// TestCompletionKnowsTheTable: every command and flag is in every shell's script, and one
// that is hidden in none.
func TestCompletionKnowsTheTable(t *testing.T) {
	for shell, write := range map[string]func([]completed) string{"bash": bashCompletion, "zsh": zshCompletion, "fish": fishCompletion} {
		text := write(completions())
		for _, one := range completions() {
			for _, flag := range one.flags {
				name := "--" + flag.long
				if shell == "fish" {
					name = fmt.Sprintf("__dokku_push_is %s' -l %s ", one.name, flag.long)
				}
				if !strings.Contains(text, name) {
					t.Errorf("%s: there is no %s of %s", shell, name, one.name)
				}
			}
			if !strings.Contains(text, one.name) {
				t.Errorf("%s: there is no %s", shell, one.name)
			}
		}
		if strings.Contains(text, "on-host") {
			t.Errorf("%s: tells of what is hidden", shell)
		}
	}
	for _, args := range [][]string{nil, {"tcsh"}} {
		if err := (&client{args: args, out: &bytes.Buffer{}}).completion(); err == nil {
			t.Errorf("%q: no complaint", args)
		}
	}
}

// TestCompletionIsClean: shellcheck and the shells themselves find nothing wrong.
func TestCompletionIsClean(t *testing.T) {
	for shell, check := range map[string][]string{"bash": {"shellcheck"}, "zsh": {"zsh", "-n"}, "fish": {"fish", "--no-config", "-n"}} {
		_, script := scripted(t, shell)
		if out, err := exec.CommandContext(t.Context(), check[0], append(check[1:], script)...).CombinedOutput(); err != nil || len(out) > 0 {
			t.Errorf("%s: %v\n%s", shell, err, out)
		}
	}
}
