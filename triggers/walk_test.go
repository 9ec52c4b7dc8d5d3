package triggers

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// plugin writes one trigger of an enabled plugin.
func plugin(t *testing.T, path, name, trigger, script string, mode os.FileMode) {
	t.Helper()
	dir := filepath.Join(path, "available", name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, trigger), []byte(script), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(path, "enabled"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(dir, filepath.Join(path, "enabled", name)); err != nil && !errors.Is(err, os.ErrExist) {
		t.Fatal(err)
	}
}

func TestWalk(t *testing.T) {
	const say = "#!/bin/sh\nprintf '%s' \"${0##*/enabled/}\" | cut -d/ -f1 | tr -d '\\n'; printf '[%s]' \"$@\"\n"
	for _, test := range []struct {
		name    string
		set     func(path string)
		args    []string
		stdin   string
		stdout  string
		stderr  string
		failure string
		code    int
	}{
		{name: "nobody ships it: no failure, no output"},
		{name: "order of the walk is by bytes, arguments arrive as they are", args: []string{"a b", "", "*"},
			set: func(path string) {
				for _, name := range []string{"ps", "apps", "_x", "Zed", "00_first"} {
					plugin(t, path, name, "act", say, 0o755)
				}
			},
			stdout: "00_first[a b][][*]Zed[a b][][*]_x[a b][][*]apps[a b][][*]ps[a b][][*]"},
		{name: "not executable: named, passed over", stdout: "b[]",
			set: func(path string) {
				plugin(t, path, "a", "act", say, 0o644)
				plugin(t, path, "b", "act", say, 0o755)
			},
			stderr: "Trigger 'act' is not executable, skipping plugin (a)\n"},
		{name: "the first failure ends the walk with its code", failure: "b", code: 7, stdout: "a[]",
			set: func(path string) {
				plugin(t, path, "a", "act", say, 0o755)
				plugin(t, path, "b", "act", "#!/bin/sh\nexit 7\n", 0o755)
				plugin(t, path, "c", "act", say, 0o755)
			}},
		{name: "killed by a signal", failure: "a", code: 143,
			set: func(path string) { plugin(t, path, "a", "act", "#!/bin/sh\nkill -TERM $$\n", 0o755) }},
		{name: "exit code 10 is an ordinary failure", failure: "a", code: 10,
			set: func(path string) { plugin(t, path, "a", "act", "#!/bin/sh\nexit 10\n", 0o755) }},
		{name: "the first that reads drains stdin", stdin: "words", stdout: "wordsb",
			set: func(path string) {
				plugin(t, path, "a", "act", "#!/bin/sh\ncat\n", 0o755)
				plugin(t, path, "b", "act", "#!/bin/sh\ncat; printf b\n", 0o755)
			}},
		{name: "values of plugin.toml, config.toml and the environment", stdout: "theirs user deflt",
			set: func(path string) {
				plugin(t, path, "my-plug", "act", "#!/bin/sh\nprintf '%s %s %s' \"$CONFIG_ONE\" \"$CONFIG_TWO_X\" \"$CONFIG_THREE\"\n", 0o755)
				plugin(t, path, "my-plug", "plugin.toml", "[plugin]\nversion='1'\n[plugin.config]\none='1'\ntwo-x='2'\nthree='deflt'\n", 0o644)
				if err := os.WriteFile(filepath.Join(path, "config.toml"), []byte("[my-plug]\none='no'\ntwo-x='user'\n"), 0o644); err != nil {
					t.Fatal(err)
				}
			}},
	} {
		t.Run(test.name, func(t *testing.T) {
			path := t.TempDir()
			if test.set != nil {
				test.set(path)
			}
			walk := &Walk{Path: path, Env: append(os.Environ(), "MY_PLUG_ONE=theirs")}
			var stdout, stderr bytes.Buffer
			streams := Streams{Out: &stdout, Err: &stderr}
			if test.stdin != "" {
				streams.In = strings.NewReader(test.stdin)
			}
			err := walk.Trigger(context.Background(), "act", test.args, streams)
			if got := stdout.String(); got != test.stdout {
				t.Errorf("stdout %q, want %q", got, test.stdout)
			}
			if got := stderr.String(); got != test.stderr {
				t.Errorf("stderr %q, want %q", got, test.stderr)
			}
			failure, failed := errors.AsType[*Failure](err)
			if failed != (test.failure != "") || failed && (failure.Plugin != test.failure || failure.Code != test.code) {
				t.Errorf("error %v (%+v), want plugin %q with code %d", err, failure, test.failure, test.code)
			}
		})
	}
}

func TestShips(t *testing.T) {
	path := t.TempDir()
	plugin(t, path, "20_events", "act", "#!/bin/sh\n", 0o755)
	plugin(t, path, "b", "act", "#!/bin/sh\n", 0o755)
	plugin(t, path, "c", "act", "#!/bin/sh\n", 0o644)
	plugin(t, path, "d", "other", "#!/bin/sh\n", 0o755)
	if got := (&Walk{Path: path}).Ships("act"); len(got) != 1 || got[0] != "b" {
		t.Errorf("ships %v, want b alone: the events plugin never counts, nor does what is not executable", got)
	}
}
