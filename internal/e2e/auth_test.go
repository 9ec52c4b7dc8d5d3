package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dokku-push/dokku-push/internal/testkit"
)

// plugin enables a plugin of one shell script a trigger on a host.
func plugin(t *testing.T, h *testkit.Host, name string, scripts map[string]string) {
	t.Helper()
	tree := filepath.Join(h.Root, "lib", "plugins")
	dir := filepath.Join(tree, "available", name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for trigger, script := range scripts {
		file := filepath.Join(dir, trigger)
		if err := os.WriteFile(file, []byte("#!/bin/sh\n"+script+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	link := filepath.Join(tree, "enabled", name)
	_ = os.Remove(link) // there is none the first time
	if err := os.Symlink(dir, link); err != nil {
		t.Fatal(err)
	}
}

// disable takes a plugin out of the walk.
func disable(t *testing.T, h *testkit.Host, name string) {
	t.Helper()
	if err := os.Remove(filepath.Join(h.Root, "lib", "plugins", "enabled", name)); err != nil {
		t.Fatal(err)
	}
}

// recorder writes a script that appends a line to a log: the trigger, its arguments in
// brackets, and the variables that plugins are promised.
func recorder(log string) string {
	return `line="${0##*/}"
for word; do line="$line [$word]"; done
echo "$line | $PLUGIN_PATH $DOKKU_ROOT $SSH_NAME ${DOKKU_PUSH_REQUEST:+request}" >> ` + log
}

// recorded returns a recorder's lines and empties its log.
func recorded(t *testing.T, log string) []string {
	t.Helper()
	text, err := os.ReadFile(log)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	if err := os.WriteFile(log, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	return strings.FieldsFunc(string(text), func(c rune) bool { return c == '\n' })
}

// TestAuthRefuses: a user-auth plugin that refuses is heard before a byte is stored.
func TestAuthRefuses(t *testing.T) {
	t.Parallel()
	h := testkit.Serve(t, testkit.ServeOptions{})
	dir, app := testkit.CopyApp(t, "hello"), h.App(t, "refused")
	plugin(t, h, "acl", map[string]string{"user-auth": "echo not on a Friday >&2; exit 3"})
	data := filepath.Join(h.Root, "lib", "data")
	before := files(t, data, filepath.Join(h.Root, "home"))
	push := h.Push(t, dir, "--app", app)
	if push.Exit != 77 || !strings.Contains(push.Stderr, "Access denied") || !strings.Contains(push.Stderr, "not on a Friday") {
		t.Errorf("a refused push: %+v", push)
	}
	for _, word := range []string{"status", "releases", "rollback"} {
		if r := h.Push(t, dir, word, "--app", app); r.Exit != 77 {
			t.Errorf("a refused %s: %+v", word, r)
		}
	}
	if r := h.Push(t, dir, "logs", "--app", app); r.Exit != 77 || !strings.Contains(r.Stderr, "Access denied") {
		t.Errorf("refused logs: %+v", r)
	}
	for _, word := range []string{"apps:create", "apps:list", "config:show", "run", "version", "help", "nonsense"} {
		refuses(t, h, 1, "Access denied", word, app)
	}
	same(t, "refused requests stored something", before, files(t, data, filepath.Join(h.Root, "home")))
	disable(t, h, "acl")
	pushed(t, h.Push(t, dir, "--app", app))
	answers(t, h, app, "/", "Hello")
}

// TestAuthApp: a user-auth-app plugin that hides an app hides it from everything.
func TestAuthApp(t *testing.T) {
	t.Parallel()
	h := testkit.Serve(t, testkit.ServeOptions{})
	dir, hidden, open := testkit.CopyApp(t, "hello"), h.App(t, "hidden"), h.App(t, "open")
	pushed(t, h.Push(t, dir, "--app", hidden))
	plugin(t, h, "acl", map[string]string{"user-auth-app": `shift 2; for app; do case "$app" in hidden*) ;; *) echo "$app";; esac; done`})
	testkit.Edit(t, dir, "www/cgi-bin/index.cgi", "Hello", "Hello again")
	before := state(t, h)
	if push := h.Push(t, dir, "--app", hidden); push.Exit != 77 {
		t.Errorf("a push to a hidden app: %+v", push)
	}
	if push := h.Push(t, dir, "--app", "hidden-and-new"); push.Exit != 77 {
		t.Errorf("a push to a new app that would be hidden: %+v", push)
	}
	for _, test := range []struct {
		word string
		exit int
	}{{"status", 77}, {"releases", 77}, {"rollback", 77}, {"logs", 20}} { // logs is a Dokku command, and exits as Dokku's do
		if r := h.Push(t, dir, test.word, "--app", hidden); r.Exit != test.exit {
			t.Errorf("%s of a hidden app: %+v", test.word, r)
		}
	}
	if r := h.Push(t, dir, "run", "--app", hidden, "true"); r.Exit != 20 {
		t.Errorf("run in a hidden app: %+v", r)
	}
	for _, word := range []string{"apps:exists", "apps:destroy", "config:show", "config:get", "domains:report", "ps:report", "ps:stop", "ps:scale", "logs", "run", "url", "tags"} {
		refuses(t, h, 20, "App "+hidden+" does not exist", word, hidden, "x")
		refuses(t, h, 20, "App "+hidden+" does not exist", "--app", hidden, word)
	}
	refuses(t, h, 1, "Access denied", "apps:create", "hidden-and-new")
	prints(t, h, "=====> My Apps\n", "apps:list")
	same(t, "refused requests changed the host", before, state(t, h))
	answers(t, h, hidden, "/", "Hello")
	pushed(t, h.Push(t, dir, "--app", open))
	answers(t, h, open, "/", "Hello again")
	prints(t, h, open+"\n", "apps:list", "--quiet")
	if report := dokku(t, h, 0, "ps:report").Stdout; strings.Contains(report, hidden) || !strings.Contains(report, open) {
		t.Errorf("ps:report of all apps prints:\n%s", report)
	}
}

// TestAuthIsAsked: for every command and every request, with who asks and what for.
func TestAuthIsAsked(t *testing.T) {
	t.Parallel()
	h := testkit.Serve(t, testkit.ServeOptions{})
	dir, app := testkit.CopyApp(t, "hello"), h.App(t, "asked")
	log := filepath.Join(t.TempDir(), "log")
	plugin(t, h, "acl", map[string]string{"user-auth": recorder(log)})
	asked := func(want ...string) {
		t.Helper()
		lines := recorded(t, log)
		for _, line := range lines {
			words, env, _ := strings.Cut(line, " | ")
			if !strings.HasPrefix(words, "user-auth [dokku] [admin] ") {
				t.Errorf("user-auth was asked %q", words)
			}
			if want := h.Root + "/lib/plugins " + h.Root + "/home admin "; env != want {
				t.Errorf("user-auth has %q in its environment, want %q", env, want)
			}
		}
		for _, words := range want {
			if !strings.Contains(strings.Join(lines, "\n"), "user-auth [dokku] [admin] "+words+" |") {
				t.Errorf("user-auth was not asked about %s:\n%s", words, strings.Join(lines, "\n"))
			}
		}
	}
	for _, test := range []struct {
		args []string
		want string
	}{
		{[]string{"apps:create", app}, "[apps:create] [" + app + "]"},
		{[]string{"apps:list"}, "[apps:list]"},
		{[]string{"--quiet", "apps:exists", app}, "[apps:exists] [" + app + "]"},
		{[]string{"config:set", app, quote("A=two words")}, "[config:set] [" + app + "] [A=two words]"},
		{[]string{"version"}, "[version]"},
		{[]string{"help"}, "[help]"},
	} {
		dokku(t, h, 0, test.args...)
		asked(test.want)
	}
	dokku(t, h, 1, "nonsense", "word")
	asked("[nonsense] [word]")
	pushed(t, h.Push(t, dir, "--app", app))
	asked("[git-receive-pack] [" + app + "]")
	pushed(t, h.Push(t, dir, "status", "--app", app))
	asked("[apps:report] [" + app + "]")
	pushed(t, h.Push(t, dir, "logs", "--app", app))
	asked("[logs] [" + app + "]")
	pushed(t, h.Push(t, dir, "run", "--app", app, "true"))
	asked("[run] [" + app + "] [true]")
	pushed(t, h.Push(t, dir, "rollback", "--app", app, "v1"))
	asked("[ps:rebuild] [" + app + "]")
}
