package main

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestPluginNew: a skeleton in a folder of its own, which tests itself; what is there stays.
func TestPluginNew(t *testing.T) {
	forget(t)
	t.Chdir(t.TempDir())
	run := func(args ...string) (string, error) {
		var out bytes.Buffer
		c, err := parse(append([]string{"plugin"}, args...), strings.NewReader(""), &out, &bytes.Buffer{})
		if err == nil {
			err = c.do(context.Background())
		}
		return out.String(), err
	}
	said, err := run("new", "clock")
	if err != nil || !strings.Contains(said, "wrote dokku-clock/subcommands/hello\n") || !strings.HasSuffix(said, "test it: dokku-clock/tests/run\n") {
		t.Fatalf("%v\n%s", err, said)
	}
	if said, err := exec.Command(filepath.Join("dokku-clock", "tests", "run")).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, said)
	}
	if err := os.WriteFile("dokku-clock/functions", []byte("mine\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if said, err := run("new", "clock"); err != nil || !strings.Contains(said, "kept dokku-clock/functions: it is there already") {
		t.Errorf("%v\n%s", err, said)
	}
	if text, err := os.ReadFile("dokku-clock/functions"); err != nil || string(text) != "mine\n" {
		t.Errorf("a file was replaced: %q, %v", text, err)
	}
	for _, args := range [][]string{nil, {"new"}, {"old", "clock"}, {"new", "../x"}, {"new", "a", "b", "c"}} {
		if _, err := run(args...); err == nil {
			t.Errorf("plugin %q was taken", args)
		}
	}
}

// TestHostRefused: what is refused before any host is asked.
func TestHostRefused(t *testing.T) {
	forget(t)
	t.Chdir(t.TempDir())
	one, two := "server \"one\" {\n  address = \"dokku@127.0.0.1:1\"\n}\n", "server \"two\" {\n  apps = [\"x\"]\n}\n"
	for name, text := range map[string]string{"none.hcl": "app = \"x\"\n", "one.hcl": one, "both.hcl": one + two, "broken.hcl": "server \"one\" {\n  nonsense = 1\n}\n"} {
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for args, want := range map[string]string{
		"host":                               "host takes the word apply",
		"host make one.hcl":                  "host takes the word apply",
		"host apply none.hcl":                "no server block",
		"host apply missing.hcl":             "there is no such file",
		"host apply broken.hcl":              "nonsense",
		"host apply both.hcl --server three": `no server block "three"`,
		"host apply both.hcl --host root@x":  "--host is one host",
		"host apply both.hcl --server two":   "has no address",
	} {
		c, err := parse(strings.Fields(args), strings.NewReader(""), &bytes.Buffer{}, &bytes.Buffer{})
		if err == nil {
			err = c.do(context.Background())
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", args, err, want)
		}
	}
}
