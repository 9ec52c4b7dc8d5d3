package entry

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dokku-push/dokku-push/triggers"
)

// install enables a plugin with these executables, in a host that has plugins.
func (h *host) install(t *testing.T, name string, files map[string]string) {
	t.Helper()
	tree := h.Host.Places.Plugins()
	for file, script := range files {
		path := filepath.Join(tree, "enabled", name, file)
		must(t, os.MkdirAll(filepath.Dir(path), 0o755))
		must(t, os.WriteFile(path, []byte("#!/bin/sh\n"+script+"\n"), 0o755))
	}
	h.Plugins = func() *triggers.Walk { return &triggers.Walk{Path: tree, Env: triggers.Environment()} }
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestRest: plugins see the words behind the command as they were given.
func TestRest(t *testing.T) {
	for args, want := range map[string][]string{
		"--quiet demo:x --app a --force b": {"--app", "a", "--force", "b"},
		"--app a demo:x":                   {},
		"demo:x -- --app":                  {"--", "--app"},
	} {
		if got := parse(strings.Fields(args)).rest; !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", args, got, want)
		}
	}
}

// TestCommunity is lookup 1 to 4 of PLUGIN-CONTRACT 2.7.
func TestCommunity(t *testing.T) {
	const says = `echo "$(basename "$(dirname "$(dirname "$0")")")/$(basename "$0") <$*> app <$DOKKU_APP_NAME>"`
	h := newHost(t)
	h.install(t, "demo", map[string]string{"subcommands/default": says, "subcommands/act": says, "subcommands/fail": "echo no >&2; exit 42",
		"commands": `case "$1" in other:*) echo "first takes $*" ;; broken:*) exit 5 ;; *) exit 10 ;; esac`})
	h.install(t, "single", map[string]string{"subcommands/single": says})
	h.install(t, "zlast", map[string]string{"commands": `case "$1" in other:*|last:*) echo "last takes $*" ;; *) exit 10 ;; esac`})
	h.install(t, "builder-pack", map[string]string{"subcommands/set": says})
	h.install(t, "apps", map[string]string{"subcommands/list": "echo not asked"})
	for _, test := range []struct {
		line     string
		exit     int
		out, err string
	}{
		{"demo", 0, "demo/default <demo> app <>\n", ""},
		{"demo shop", 0, "demo/default <demo shop> app <>\n", ""},
		{"demo:act shop --force x", 0, "demo/act <demo:act shop --force x> app <>\n", ""},
		{"--app shop demo:act x", 0, "demo/act <demo:act x> app <shop>\n", ""},
		{"single a", 0, "single/single <single a> app <>\n", ""},
		{"demo:fail", 42, "", "no\n"},
		{"other:thing a", 0, "first takes other:thing a\nlast takes other:thing a\n", ""}, // taken, and still asked
		{"last:thing", 0, "last takes last:thing\n", ""},
		{"broken:thing", 5, "", ""},
		{"pack:set x", 0, "builder-pack/set <builder-pack:set x> app <>\n", ""},
		{"apps:list", 0, "=====> My Apps\nshop\n", ""}, // the core's own comes first
		{"demo:none x", 1, "", " !     `demo:none x' is not a dokku command.\n !     See `dokku help' for a list of available commands.\n"},
		{"demo:../act", 1, "", " !     `demo:../act' is not a dokku command.\n !     See `dokku help' for a list of available commands.\n"},
	} {
		os.Unsetenv("DOKKU_APP_NAME")
		exit, out, problem := h.call("", strings.Fields(test.line)...)
		if diff := cmp.Diff([]any{test.exit, test.out, test.err}, []any{exit, out, problem}); diff != "" {
			t.Errorf("%s:\n%s", test.line, diff)
		}
	}
	must(t, os.WriteFile(filepath.Join(h.Host.Places.Plugins(), "enabled", "zlast", "commands"), nil, 0o644))
	must(t, os.Chmod(filepath.Join(h.Host.Places.Plugins(), "enabled", "zlast", "commands"), 0o644))
	if exit, _, problem := h.call("", "nobody:knows"); exit != 126 || !strings.Contains(problem, "zlast") {
		t.Errorf("a commands file that cannot run: %d, %q", exit, problem)
	}
}

// TestCommunityHelp: the lines of plugins stand below the core's, sorted, in columns.
func TestCommunityHelp(t *testing.T) {
	h := newHost(t)
	h.install(t, "demo", map[string]string{"commands": `[ "$*" = help ] || exit 10; echo "    zebra <app>, Runs, fast"`})
	h.install(t, "a", map[string]string{"commands": `[ "$*" = help ] || exit 10; echo; echo "    a:b, Does b"; exit 3`})
	_, out, problem := h.call("", "help")
	want := "\nCommunity plugin commands:\n\n    a:b          Does b\n    zebra <app>  Runs, fast\n"
	if !strings.HasSuffix(out, want) || problem != "" || !strings.Contains(out, "    apps  ") {
		t.Errorf("%q\n%s", problem, out)
	}
	for word, has := range map[string]string{"config:help": "    config:set ", "domains": "    domains:add "} {
		if exit, out, problem := h.call("", word); exit != 0 || !strings.Contains(out, has) || strings.Contains(out, "apps:create") || problem != "" {
			t.Errorf("%s: %d %q %q", word, exit, out, problem)
		}
	}
	if exit, _, _ := h.call("", "nothing:help"); exit != 1 {
		t.Errorf("help of nothing: %d", exit)
	}
}

// TestInheritedApp: DOKKU_APP_NAME of an outer call is a command's app where it names none
// itself (PLUGIN-CONTRACT 5.6).
func TestInheritedApp(t *testing.T) {
	h := newHost(t)
	must(t, h.Host.Settings.Create("other"))
	t.Setenv("DOKKU_APP_NAME", "shop")
	for _, line := range []string{"config:set --no-restart A=inherited", "config:set --no-restart other A=named", "config:set --no-restart --global A=global"} {
		if exit, _, problem := h.call("", strings.Fields(line)...); exit != 0 {
			t.Errorf("%s: %d %s", line, exit, problem)
		}
	}
	for app, want := range map[string]string{"shop": "inherited", "other": "named", "--global": "global"} {
		settings, err := h.Host.Settings.Read(app)
		must(t, err)
		if settings.Env["A"] != want {
			t.Errorf("%s has %q, want %q", app, settings.Env["A"], want)
		}
	}
	if exit, out, problem := h.call("", "apps:exists"); exit != 0 || out+problem != "" {
		t.Errorf("apps:exists: %d %q %q", exit, out, problem)
	}
}

// TestReadRC: shell files become environment, and only those of root or the caller.
func TestReadRC(t *testing.T) {
	root := t.TempDir()
	for _, key := range []string{"RC_ONE", "RC_TWO", "RC_LINES", "RC_GONE"} {
		t.Setenv(key, "")
		os.Unsetenv(key)
	}
	t.Setenv("RC_GONE", "was set")
	must(t, ReadRC(t.Context(), root, false)) // there is none
	must(t, os.WriteFile(filepath.Join(root, "dokkurc"), []byte("RC_ONE=one\nexport RC_TWO=\"$RC_ONE and $((1+1))\"\nunset RC_GONE\necho not an answer\nfalse\n"), 0o644))
	must(t, os.MkdirAll(filepath.Join(root, ".dokkurc"), 0o755))
	must(t, os.WriteFile(filepath.Join(root, ".dokkurc", "MORE"), []byte("export RC_LINES=$'a\\nb=c'\n"), 0o644))
	must(t, ReadRC(t.Context(), root, false))
	got := map[string]string{}
	for _, key := range []string{"RC_ONE", "RC_TWO", "RC_LINES", "RC_GONE"} {
		got[key] = os.Getenv(key)
	}
	if diff := cmp.Diff(map[string]string{"RC_ONE": "one", "RC_TWO": "one and 2", "RC_LINES": "a\nb=c", "RC_GONE": ""}, got); diff != "" {
		t.Error(diff)
	}
	if os.Geteuid() == 0 {
		must(t, os.WriteFile(filepath.Join(root, ".dokkurc", "THEIRS"), []byte("export RC_ONE=theirs\n"), 0o644))
		must(t, os.Chown(filepath.Join(root, ".dokkurc", "THEIRS"), 12345, 12345))
		must(t, ReadRC(t.Context(), root, false))
		if os.Getenv("RC_ONE") != "one" {
			t.Errorf("root has run another user's file: %q", os.Getenv("RC_ONE"))
		}
	}
}
