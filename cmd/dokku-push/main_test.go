package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/manifest"
	"github.com/dokku-push/dokku-push/push/report"
)

// parsed is what a command line means, with exactly these DOKKU_ variables.
func parsed(t *testing.T, variables map[string]string, args ...string) *client {
	t.Helper()
	forget(t)
	for name, value := range variables {
		t.Setenv(name, value)
	}
	c, err := parse(args, strings.NewReader(""), &bytes.Buffer{}, &bytes.Buffer{})
	if err != nil {
		t.Fatalf("%v %v: %v", variables, args, err)
	}
	return c
}

// forget takes away what the caller's environment says to the program.
func forget(t *testing.T) {
	t.Helper()
	for _, entry := range os.Environ() {
		if name, _, _ := strings.Cut(entry, "="); strings.HasPrefix(name, "DOKKU_") {
			t.Setenv(name, "")
		}
	}
}

// settings are those that a flag and a variable know.
var settings = []struct {
	flag, variable string
	get            func(*client) string
}{
	{"app", "DOKKU_APP", func(c *client) string { return c.options.App }},
	{"host", "DOKKU_HOST", func(c *client) string { return c.options.Host }},
	{"environment", "DOKKU_ENVIRONMENT", func(c *client) string { return c.options.Environment }},
	{"manifest", "DOKKU_MANIFEST", func(c *client) string { return c.options.Manifest }},
	{"host-key", "DOKKU_SSH_HOST_KEY", func(c *client) string { return c.options.Remote.HostKey }},
	{"key", "DOKKU_SSH_KEY_FILE", func(c *client) string { return c.options.Remote.KeyFile }},
}

// TestFlagWinsOverVariable: for every command that looks at an app.
func TestFlagWinsOverVariable(t *testing.T) {
	for _, row := range table() {
		if !takes(row, "host") {
			continue
		}
		for _, one := range settings {
			variable := map[string]string{one.variable: "variable"}
			for want, got := range map[string]string{
				"":         one.get(parsed(t, nil, row.name)),
				"variable": one.get(parsed(t, variable, row.name)),
				"flag":     one.get(parsed(t, variable, row.name, "--"+one.flag, "flag")),
			} {
				if got != want {
					t.Errorf("%s: --%s and %s: %q, want %q", row.name, one.flag, one.variable, got, want)
				}
			}
		}
	}
	if c := parsed(t, map[string]string{"DOKKU_APP": "variable"}, "--app=", "."); c.options.App != "" {
		t.Errorf("an empty flag does not win: %q", c.options.App)
	}
	for want, got := range map[string]string{
		"auto":  parsed(t, nil).logFormat,
		"json":  parsed(t, map[string]string{"DOKKU_LOG_FORMAT": "json"}).logFormat,
		"plain": parsed(t, map[string]string{"DOKKU_LOG_FORMAT": "json"}, "status", "--log-format", "plain").logFormat,
	} {
		if got != want {
			t.Errorf("the log's format: %q, want %q", got, want)
		}
	}
}

func takes(row command, flag string) bool { return row.set(&client{}).Lookup(flag) != nil }

func TestTrust(t *testing.T) {
	for text, want := range map[string]bool{"": false, "0": false, "false": false, "no": false, "maybe": false, "1": true, "true": true, "TRUE": true, "yes": true} {
		variable := map[string]string{"DOKKU_SSH_ACCEPT_NEW_HOST_KEYS": text}
		if got := parsed(t, variable).options.Remote.AcceptNew; got != want {
			t.Errorf("%q: %t", text, got)
		}
		if parsed(t, variable, "--accept-new-host-key=false").options.Remote.AcceptNew || !parsed(t, variable, "--accept-new-host-key").options.Remote.AcceptNew {
			t.Errorf("the flag does not win over %q", text)
		}
	}
}

// TestGiven: what the manifest hears of flags and variables, for config explain.
func TestGiven(t *testing.T) {
	c := parsed(t, map[string]string{"DOKKU_APP": "a", "DOKKU_HOST": "h"}, "--app", "b", "--registry", "r", "--host-key", "SHA256:x")
	flags := map[string]manifest.Given{"app": {Name: "--app", Value: "b"}, "image.registry": {Name: "--registry", Value: "r"}, "host.host_key": {Name: "--host-key", Value: "SHA256:x"}}
	variables := map[string]manifest.Given{"app": {Name: "$DOKKU_APP", Value: "a"}, "host": {Name: "$DOKKU_HOST", Value: "h"}}
	if diff := cmp.Diff(flags, c.options.Flags) + cmp.Diff(variables, c.options.Variables); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// TestFirstWord: a command, a folder or a mistake.
func TestFirstWord(t *testing.T) {
	forget(t)
	t.Chdir(t.TempDir())
	for _, name := range []string{"shop", "statis"} {
		if err := os.Mkdir(name, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for word, want := range map[string]string{"": "push", "status": "status", "shop": "push shop", "statis": "push statis", "./status": "push ./status", ".": "push .", "/srv/x": "push /srv/x"} {
		args := []string{word}
		if word == "" {
			args = nil
		}
		c, err := parse(args, nil, &bytes.Buffer{}, &bytes.Buffer{})
		if err != nil || strings.Join(append([]string{c.command.name}, c.args...), " ") != want {
			t.Errorf("%q: %v, %v", word, c, err)
		}
	}
	for word, want := range map[string]string{"pusj": "push", "stauts": "status", "rolback": "rollback", "drit": "drift", "innit": "init", "hepl": "help", "log": "logs", "realeases": "releases"} {
		if _, err := parse([]string{word}, nil, &bytes.Buffer{}, &bytes.Buffer{}); api.Exit(err) != 64 || api.AsError(err).Hint != "did you mean "+want+"?" || !strings.Contains(err.Error(), `"`+word+`"`) {
			t.Errorf("%q: %v (%s)", word, err, api.AsError(err).Hint)
		}
	}
	_, err := parse([]string{"frobnicate"}, nil, &bytes.Buffer{}, &bytes.Buffer{})
	for _, row := range table() {
		if api.Exit(err) != 64 || !strings.Contains(api.AsError(err).Hint, row.name) {
			t.Errorf("a word that is like none: the hint does not name %s: %v", row.name, api.AsError(err))
		}
	}
}

// TestUsage: wrong usage is exit code 64, says what to do on stderr, and nothing on stdout.
func TestUsage(t *testing.T) {
	notInCI(t)
	for _, test := range []struct {
		args []string
		says string
	}{
		{[]string{"--nonsense"}, "nonsense"},
		{[]string{"status", "--plan", "x"}, "dokku-push help status"},
		{[]string{"build", "--lock-wait", "5m"}, "dokku-push help build"},
		{[]string{"push", "--lock-wait", "soon"}, "soon"},
		{[]string{"status", "one"}, "no arguments"},
		{[]string{"releases", "one"}, "no arguments"},
		{[]string{"push", "one", "two"}, "one argument"},
		{[]string{"rollback", "first"}, "dokku-push releases"},
		{[]string{"rollback", "v0"}, ` !     "v0" is no release`},
		{[]string{"--app", "x", "status"}, "status stands behind a flag"},
		{[]string{"--format", "json", "check"}, "dokku-push check --…"},
		{[]string{"rollback", "--", "-1"}, "dokku-push releases"},
		{[]string{"help", "nonsense"}, "there is no command"},
		{[]string{"schema", "nonsense"}, "there are: manifest"},
		{[]string{"status", "--log-format", "xml"}, "auto, plain or json"},
		{[]string{"drift", "--format", "github", "--host", "h"}, "text or json"},
		{[]string{"doctor", "--format", "xml", "--host", "h"}, "text or json"},
		{[]string{"config", "explain", "--format", "xml", "app"}, "text or json"},
		{[]string{"config", "explain"}, "config explain"},
		{[]string{"config", "shout", "app"}, "config explain"},
		{[]string{"config", "explain", "nonsense"}, "nonsense"},
		{[]string{"push", "nowhere"}, "nowhere"},
		{[]string{"--app", "x", "./status"}, "no folder"},
		{[]string{"--host", "h", "--plan", "no.json"}, "plan -o no.json"}, // before anything is built
	} {
		got := in(t, map[string]string{"Dockerfile": "FROM scratch\n"}, test.args...)
		if got.exit != 64 || got.out != "" || !strings.Contains(got.err, test.says) || !strings.HasPrefix(got.err, " !     ") {
			t.Errorf("%v: it does not say %q: %+v", test.args, test.says, got)
		}
	}
	t.Setenv("DOKKU_LOG_FORMAT", "xml") // at() empties what is set before it
	if _, err := parse(nil, nil, &bytes.Buffer{}, &bytes.Buffer{}); api.Exit(err) != 64 {
		t.Errorf("a wrong variable: %v", err)
	}
}

// TestNoHost: every command that needs one says how to name one.
func TestNoHost(t *testing.T) {
	notInCI(t)
	for _, args := range [][]string{{}, {"push"}, {"plan"}, {"status"}, {"releases"}, {"rollback"}, {"drift"}, {"doctor"}, {"import", "--app", "a"}, {"logs"}, {"run", "--", "ls"}} {
		got := in(t, map[string]string{"Dockerfile": "FROM scratch\n"}, args...)
		for _, word := range []string{"no host was named", "--host user@host", "DOKKU_HOST", "dokku.hcl"} {
			if got.exit != 64 || got.out != "" || !strings.Contains(got.err, word) {
				t.Errorf("%v does not say %q: %+v", args, word, got)
			}
		}
	}
}

// TestHelp: what there is, all of it, and the codes of the one table.
func TestHelp(t *testing.T) {
	help := in(t, nil, "help")
	if help.exit != 0 || help.err != "" {
		t.Fatalf("%+v", help)
	}
	_, codes, _ := strings.Cut(help.out, "\nExit codes:\n")
	codes, _, _ = strings.Cut(codes, "\n\n")
	var want []string
	for _, row := range api.ExitCodes() {
		want = append(want, fmt.Sprintf("  %3d  %s", row.Exit, row.Meaning))
	}
	codes, _, _ = strings.Cut(codes, "\nEverything")
	if diff := cmp.Diff(strings.Join(want, "\n"), strings.TrimRight(codes, "\n")); diff != "" {
		t.Errorf("the exit codes (-want +got):\n%s", diff)
	}
	for _, row := range table() {
		if !strings.Contains(help.out, "\n  "+row.name+" ") || !strings.Contains(help.out, row.about) {
			t.Errorf("help does not list %s", row.name)
		}
		for _, args := range [][]string{{"help", row.name}, {row.name, "--help"}, {row.name, "-h"}} {
			one := in(t, nil, args...)
			if one.exit != 0 || one.err != "" || !strings.HasPrefix(one.out, "Usage: dokku-push "+row.name+" [flags] "+row.args) || !strings.Contains(one.out, row.about) {
				t.Errorf("%v: %+v", args, one)
			}
			for _, setting := range settings {
				if takes(row, "host") && !strings.Contains(one.out, "--"+setting.flag+" ") {
					t.Errorf("%v does not list --%s", args, setting.flag)
				}
			}
		}
	}
	for _, one := range settings {
		if !strings.Contains(help.out, one.variable) || !strings.Contains(help.out, "--"+one.flag+" ") {
			t.Errorf("help does not name --%s and %s", one.flag, one.variable)
		}
	}
}

// TestHelpKeepsSecrets: help shows defaults; a default that comes from the environment is
// whatever stands there, and what is private does not stand in help.
func TestHelpKeepsSecrets(t *testing.T) {
	forget(t)
	t.Setenv("DOKKU_SSH_KEY", "key-canary")
	for _, row := range table() {
		for _, args := range [][]string{{"help", row.name}, {row.name, "-h"}, {row.name, "--nonsense"}} {
			var out, err bytes.Buffer
			run(t.Context(), args, strings.NewReader(""), &out, &err)
			if strings.Contains(out.String()+err.String(), "canary") {
				t.Errorf("%v shows a key:\n%s%s", args, out.String(), err.String())
			}
		}
	}
}

// TestSecretsStaySecret: no way to fail prints a key or a secret of the app.
func TestSecretsStaySecret(t *testing.T) {
	notInCI(t)
	dir := filepath.Join(t.TempDir(), "shop")
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	host := "dokku@" + closed.Addr().String()
	tree(t, dir, map[string]string{"Dockerfile": "FROM scratch\n", "dokku.hcl": "secrets = [\"API_TOKEN\", \"MISSING\"]\n"})
	t.Chdir(dir)
	forget(t)
	t.Setenv("HOME", t.TempDir())
	t.Setenv("SSH_AUTH_SOCK", "")
	t.Setenv("API_TOKEN", "token-canary")
	for _, key := range []string{"key-canary", "-----BEGIN OPENSSH PRIVATE KEY-----\nkey-canary\n-----END OPENSSH PRIVATE KEY-----\n", ""} {
		t.Setenv("DOKKU_SSH_KEY", key)
		for _, args := range [][]string{{"push"}, {"plan"}, {"status"}, {"push", "--log-format", "json"}, {"check"}, {"check", "--format", "json"}, {"run", "--", "ls"},
			{"config", "explain", "secrets"}, {"config", "explain", "config.API_TOKEN"}, {"config", "explain", "--format", "json", "config.API_TOKEN"}} {
			var out, err bytes.Buffer
			exit := run(t.Context(), append(slices.Clone(args[:1]), append([]string{"--host", host}, args[1:]...)...), strings.NewReader(""), &out, &err)
			if text := out.String() + err.String(); strings.Contains(text, "canary") {
				t.Errorf("%v (exit %d) shows a secret:\n%s", args, exit, text)
			}
		}
	}
}

// TestJSONEndsWithAVerdict: who reads the events of a push that never got to the host
// finds a verdict last.
func TestJSONEndsWithAVerdict(t *testing.T) {
	notInCI(t)
	for what, files := range map[string]map[string]string{"no host": {"Dockerfile": "FROM scratch\n"}, "a mistake": broken} {
		got := in(t, files, "push", "--log-format", "json")
		lines := strings.Split(strings.TrimSpace(got.out), "\n")
		if last := lines[len(lines)-1]; !strings.Contains(last, `"type":"verdict"`) || !strings.Contains(last, `"ok":false`) || got.exit == 0 {
			t.Errorf("%s: exit %d, the last event is %s", what, got.exit, last)
		}
	}
}

// TestVerdict: what a person and a script are told, and how the program exits.
func TestVerdict(t *testing.T) {
	id := "sha256:" + strings.Repeat("ab", 32)
	hook := &api.Error{Code: api.HookFailed, Op: "run post-deploy", Message: "no"}
	for name, test := range map[string]struct {
		verdict  api.Verdict
		exit     int
		out, err string
	}{
		"success": {api.Verdict{OK: true, Changed: true, Release: 2, Run: id, URLs: []string{"http://a", "http://b"}, DurationMS: 1500}, 0,
			"http://a\nhttp://b\n", "=====> shop v2 is live (sha256:abababababab, deployed in 1.5s)\n"},
		"unchanged":   {api.Verdict{OK: true, Release: 2, URLs: []string{"http://a"}}, 0, "http://a\n", "=====> shop v2 runs this already: nothing to do\n"},
		"hook failed": {api.Verdict{OK: true, Changed: true, Release: 3, Run: "sha256:1", URLs: []string{"http://a"}, Error: hook}, 26, "http://a\n", "=====> shop v3 is live (sha256:1, deployed in 0s)\n"},
		"unhealthy":   {api.Verdict{Release: 1, URLs: []string{"http://a"}, Error: &api.Error{Code: api.Unhealthy, Message: "no"}}, 24, "", ""},
	} {
		for format, silent := range map[string]bool{"auto": false, "plain": false, "json": true} {
			var out, err bytes.Buffer
			exit := api.Exit((&client{logFormat: format, out: &out, err: &err}).verdict(test.verdict, "shop"))
			want := said{test.exit, test.out, test.err}
			if silent {
				want.out, want.err = "", ""
			}
			if diff := cmp.Diff(want, said{exit, out.String(), err.String()}, cmp.AllowUnexported(said{})); diff != "" {
				t.Errorf("%s, %s (-want +got):\n%s", name, format, diff)
			}
		}
	}
}

// TestVerdictSaysHowLong: a person is told how long it took in all, build and ship with it;
// the host's clock, which may be another, does not count.
func TestVerdictSaysHowLong(t *testing.T) {
	begun := time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)
	for want, verdict := range map[string]api.Verdict{
		"=====> shop v2 is live (sha256:1, deployed in 1.5s, 9.25s in all)\n": {OK: true, Changed: true, Release: 2, Run: "sha256:1", DurationMS: 1500},
		"=====> shop v2 runs this already: nothing to do (9.25s in all)\n":    {OK: true, Release: 2},
	} {
		var out, err bytes.Buffer
		c := &client{logFormat: "auto", out: &out, err: &err, story: story{accounts: &report.Accounts{}}}
		host := begun.Add(time.Hour)
		for _, event := range []api.Event{
			{Time: begun, Step: &api.Step{Name: "connect", Status: api.StepStarted}},
			{Time: begun.Add(7750 * time.Millisecond), Step: &api.Step{Name: "ship", Status: api.StepDone, DurationMS: 900}},
			{Time: host, Version: &api.Version{App: "shop"}},
			{Time: host.Add(1500 * time.Millisecond), Verdict: &verdict},
		} {
			c.story.accounts.Event(event)
		}
		if problem := c.verdict(verdict, "shop"); problem != nil || err.String() != want {
			t.Errorf("%v, it says %q, want %q", problem, err.String(), want)
		}
	}
}

// TestSignals: what a signal stopped exits as shells expect, and says nothing of it.
func TestSignals(t *testing.T) {
	notInCI(t)
	silent, err := net.Listen("tcp", "127.0.0.1:0") // it takes connections and never speaks
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	t.Chdir(t.TempDir())
	forget(t)
	for signal, want := range map[syscall.Signal]int{syscall.SIGINT: 130, syscall.SIGTERM: 143} {
		ctx, stop := context.WithCancelCause(t.Context())
		go func() { // it ends with the connection
			if conn, err := silent.Accept(); err == nil {
				stop(&signalError{signal})
				defer conn.Close()
				_, _ = conn.Read(make([]byte, 1<<10))
			}
		}()
		var out, said bytes.Buffer
		exit := run(ctx, []string{"status", "--app", "shop", "--host", "dokku@" + silent.Addr().String(), "--host-key", "SHA256:" + strings.Repeat("A", 43)}, strings.NewReader(""), &out, &said)
		if exit != want || out.Len() != 0 {
			t.Errorf("%v: exit %d, want %d:\n%s", signal, exit, want, said.String())
		}
		stop(nil)
	}
}
