package entry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/agent/command"
	"github.com/dokku-push/dokku-push/agent/state"
	"github.com/dokku-push/dokku-push/api"
)

// TestParse is the table of flags (PLUGIN-CONTRACT 2.3).
func TestParse(t *testing.T) {
	for args, want := range map[string]line{
		"":                                      {word: "help"},
		"--quiet":                               {word: "help", quiet: true, flags: []string{"--quiet"}},
		"apps:list":                             {word: "apps:list"},
		"--quiet apps:list":                     {word: "apps:list", quiet: true, flags: []string{"--quiet"}},
		"apps:list --quiet":                     {word: "apps:list", args: []string{"--quiet"}, quiet: true, flags: []string{"--quiet"}},
		"--force apps:destroy a":                {word: "apps:destroy", args: []string{"a"}, force: true, flags: []string{"--force"}},
		"apps:destroy a --force":                {word: "apps:destroy", args: []string{"a", "--force"}, force: true, flags: []string{"--force"}},
		"--trace --quiet logs a":                {word: "logs", args: []string{"a"}, quiet: true, flags: []string{"--trace", "--quiet"}},
		"--app a config:show":                   {word: "config:show", app: "a", flags: []string{"--app=a"}},
		"config:show --app a":                   {word: "config:show", app: "a", flags: []string{"--app=a"}},
		"config:set --app a --no-restart K=V":   {word: "config:set", args: []string{"--no-restart", "K=V"}, app: "a", flags: []string{"--app=a", "--no-restart"}},
		"--app=a config:show":                   {word: "config:show", flags: []string{"--app=a"}}, // not recognised, as in Dokku
		"config:show a --app":                   {word: "config:show", args: []string{"a", "--app"}, flags: []string{"--app"}},
		"--unknown config:show a":               {word: "config:show", args: []string{"a"}, flags: []string{"--unknown"}},
		"--version":                             {word: "--version"},
		"-v":                                    {word: "-v"},
		"run a -- ls -l":                        {word: "run", args: []string{"a", "--", "ls", "-l"}},
		"ps:scale a web=2 -x":                   {word: "ps:scale", args: []string{"a", "web=2", "-x"}},
		"--rm --detach run a ls":                {word: "run", args: []string{"a", "ls"}, flags: []string{"--rm", "--detach"}},
		"--app a --app b config:show":           {word: "config:show", app: "b", flags: []string{"--app=a", "--app=b"}},
		"config:set a --encoded K=V --app-json": {word: "config:set", args: []string{"a", "--encoded", "K=V", "--app-json"}, flags: []string{"--encoded", "--app-json"}},
	} {
		got := parse(strings.Fields(args))
		got.rest = nil // TestRest
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(line{})); diff != "" {
			t.Errorf("%q:\n%s", args, diff)
		}
	}
}

// TestWords is SSH_ORIGINAL_COMMAND (PLUGIN-CONTRACT 2.5).
func TestWords(t *testing.T) {
	for original, want := range map[string][]string{
		"apps:list":                          {"apps:list"},
		"  apps:create   a ":                 {"apps:create", "a"},
		`config:set a "K=two words" 'L=$x'`:  {"config:set", "a", "K=two words", "L=$x"},
		`config:set a K=a\ b`:                {"config:set", "a", "K=a b"},
		`config:set a K=`:                    {"config:set", "a", "K="},
		`config:set a ''`:                    {"config:set", "a", ""},
		"run a ls -n -e -E":                  {"run", "a", "ls", "-n", "-e", "-E"},
		"run a $(reboot) `id` * ; reboot":    {"run", "a", "$(reboot)", "`id`", "*", ";", "reboot"},
		"git-receive-pack 'a'":               {"git-receive-pack", "'a'"}, // split at blanks alone
		`git:from-image a "b c`:              {"git:from-image", "a", `"b`, "c"},
		"my-git-thing 'a b'":                 {"my-git-thing", "'a", "b'"},
		"config:set a URL=git-x 'L=two two'": {"config:set", "a", "URL=git-x", "L=two two"},
	} {
		got, err := Words(original)
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%q: %v\n%s", original, err, diff)
		}
	}
	for _, original := range []string{"config:set a 'K", `config:set a "K`, `config:set a \`, "apps:list\napps:destroy a", "apps:list\x00", "git-receive-pack a\r", "a\rb"} {
		if got, err := Words(original); err == nil || got != nil || api.AsError(err).Code != api.Usage {
			t.Errorf("%q became %q, %v", original, got, err)
		}
	}
}

func TestAsked(t *testing.T) {
	for _, test := range []struct {
		args     []string
		original string
		want     string
	}{
		{nil, "", "help"},
		{[]string{"--quiet", "apps:list"}, "", "apps:list"},
		{[]string{"--app", "a", "config:show"}, "", "config:show"},
		{[]string{"apps:list"}, "--quiet 'apps:create' a", "apps:create"}, // the forced command's own words do not count
		{nil, api.AgentCommand, api.AgentCommand},
		{nil, "--trace agent:http x", "agent:http"},
		{[]string{"apps:list"}, "'apps:list", ""},
	} {
		if got := Asked(test.args, test.original); got != test.want {
			t.Errorf("%q, %q: %q, want %q", test.args, test.original, got, test.want)
		}
	}
}

// plugins are triggers in memory.
type plugins map[string]func(args []string, out io.Writer) error

func (p plugins) Trigger(_ context.Context, name string, args []string, streams agent.Streams) error {
	if p[name] == nil {
		return nil
	}
	out := streams.Out
	if out == nil {
		out = io.Discard
	}
	return p[name](args, out)
}

func (p plugins) Has(name string) bool { return p[name] != nil }

func (p plugins) Ships(name string) []string {
	if p[name] == nil {
		return nil
	}
	return []string{"test"}
}

// host is one call's surroundings, with the app "shop".
type host struct {
	Entry
	plugins  plugins
	out, err bytes.Buffer
	served   []agent.Caller
}

func newHost(t *testing.T) *host {
	t.Helper()
	for _, key := range []string{"DOKKU_COMMAND", "DOKKU_QUIET_OUTPUT", "DOKKU_TRACE", "DOKKU_APPS_FORCE_DELETE", "DOKKU_APP_NAME", "DOKKU_GLOBAL_FLAGS",
		"SSH_USER", "SSH_NAME", "NAME", "FINGERPRINT", "USER", RequestVariable, agent.ActsVariable} {
		t.Setenv(key, "") // puts the former value back
		os.Unsetenv(key)
	}
	dir := t.TempDir()
	store := &state.Store{Places: agent.Places{Root: filepath.Join(dir, "root"), Lib: filepath.Join(dir, "lib")}}
	if err := store.Create("shop"); err != nil {
		t.Fatal(err)
	}
	h := &host{plugins: plugins{}}
	h.Entry = Entry{Host: &agent.Host{Places: store.Places, Settings: store, Ledger: store, Walk: h.plugins, Version: "1.2.3"}, Out: &h.out, Err: &h.err, In: strings.NewReader(""),
		HTTP: func(_ context.Context, by agent.Caller) error { h.served = append(h.served, by); return nil }}
	return h
}

func (h *host) call(original string, args ...string) (exit int, out, err string) {
	h.out.Reset()
	h.err.Reset()
	exit = h.Run(context.Background(), args, original)
	return exit, h.out.String(), h.err.String()
}

// TestDispatch: exit codes and where what is printed (PLUGIN-CONTRACT 2.7).
func TestDispatch(t *testing.T) {
	for _, test := range []struct {
		args     string
		exit     int
		out, err string // the whole of it
	}{
		{"version", 0, "dokku version 1.2.3\n", ""},
		{"-v", 0, "dokku version 1.2.3\n", ""},
		{"--quiet --version", 0, "dokku version 1.2.3\n", ""},
		{"apps:list", 0, "=====> My Apps\nshop\n", ""},
		{"--quiet apps:list", 0, "shop\n", ""},
		{"apps:list --quiet", 0, "shop\n", ""},
		{"apps:exists shop", 0, "", ""},
		{"--app shop apps:exists", 0, "", ""},
		{"apps:exists --app shop", 0, "", ""},
		{"apps:exists other", 20, "", " !     App other does not exist\n !     apps:list shows the apps; apps:create makes one\n"},
		{"apps:exists", 1, "", " !     Please specify an app to run the command on\n"},
		{"config:get shop NOPE", 1, "", ""}, // a code of its own, and not a word
		{"nonsense 'a", 1, "", " !     `nonsense 'a' is not a dokku command.\n !     See `dokku help' for a list of available commands.\n"},
		{"--quiet nonsense", 1, "", " !     `nonsense' is not a dokku command.\n !     See `dokku help' for a list of available commands.\n"},
		{"apps:", 1, "", " !     `apps:' is not a dokku command.\n !     See `dokku help' for a list of available commands.\n"},
		{"APPS:LIST", 1, "", " !     `APPS:LIST' is not a dokku command.\n !     See `dokku help' for a list of available commands.\n"},
	} {
		t.Run(test.args, func(t *testing.T) {
			h := newHost(t)
			exit, out, problem := h.call("", strings.Fields(test.args)...)
			if diff := cmp.Diff([]any{test.exit, test.out, test.err}, []any{exit, out, problem}); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestHelp has a line for each noun, with and without the word, and lists every command
// with its arguments when it is asked for all.
func TestHelp(t *testing.T) {
	h := newHost(t)
	exit, short, problem := h.call("", "help")
	if exit != 0 || problem != "" {
		t.Errorf("exit %d: %s", exit, problem)
	}
	for _, want := range []string{"\n    apps  clone, create, destroy, exists, ", "\n    config  Show keys and values of an app or of the host\n", "\n    url  Show the first URL of an app\n", "dokku help --all"} {
		if !strings.Contains(regexp.MustCompile(`\b  +`).ReplaceAllString(short, "  "), want) {
			t.Errorf("help has not %q:\n%s", want, short)
		}
	}
	_, list, _ := strings.Cut(short, "\nCommands:\n")
	for line := range strings.Lines(list) {
		if word, _, _ := strings.Cut(strings.TrimSpace(line), " "); strings.Contains(word, ":") || strings.Count(list, "\n    "+word+" ") > 1 {
			t.Errorf("help has the line %q", line)
		}
	}
	if _, out, _ := h.call(""); out != short {
		t.Errorf("no word at all prints:\n%s", out)
	}
	exit, asked, problem := h.call("", "help", "--all")
	if exit != 0 || problem != "" {
		t.Errorf("exit %d: %s", exit, problem)
	}
	for _, row := range command.Table() {
		if !strings.Contains(asked, "\n    "+strings.TrimSpace(row.Name+" "+row.Usage)+"  ") || row.Help == "" {
			t.Errorf("help has not %s", row.Name)
		}
	}
}

// TestOriginal: over ssh the client's words count, not those of the forced command.
func TestOriginal(t *testing.T) {
	h := newHost(t)
	if exit, out, problem := h.call("config:set --no-restart shop 'A=two words'", "apps:destroy", "shop"); exit != 0 || !strings.Contains(out, "A:  two words") {
		t.Errorf("%d, %s, %s", exit, out, problem)
	}
	if _, out, _ := h.call(`config:get shop "A"`); out != "two words\n" {
		t.Errorf("it is now %q", out)
	}
	if exit, out, problem := h.call("apps:list 'x", "apps:list"); exit != 1 || out != "" || !strings.Contains(problem, "a quote is not closed") {
		t.Errorf("%d, %s, %s", exit, out, problem)
	}
}

// TestHTTP is asked for with not a word more.
func TestHTTP(t *testing.T) {
	h := newHost(t)
	t.Setenv("NAME", "alice")
	t.Setenv("FINGERPRINT", "SHA256:x")
	t.Setenv("USER", "dokku")
	if exit, _, _ := h.call(api.AgentCommand); exit != 0 {
		t.Errorf("exit %d", exit)
	}
	if diff := cmp.Diff([]agent.Caller{{User: "dokku", Name: "alice", Fingerprint: "SHA256:x"}}, h.served); diff != "" {
		t.Error(diff)
	}
	for _, original := range []string{api.AgentCommand + " x", "--quiet " + api.AgentCommand, ""} {
		if exit, _, _ := h.call(original, api.AgentCommand); exit != 1 || len(h.served) != 1 {
			t.Errorf("%q: exit %d, served %d times", original, exit, len(h.served))
		}
	}
	h.HTTP = func(context.Context, agent.Caller) error { return errors.New("broken") }
	if exit, _, problem := h.call(api.AgentCommand); exit != 1 || problem != " !     broken\n" {
		t.Errorf("%d: %s", exit, problem)
	}
}

// TestUserAuth: every command is asked for with its words, and refused before it does
// anything (PLUGIN-CONTRACT 2.6).
func TestUserAuth(t *testing.T) {
	h := newHost(t)
	t.Setenv("SSH_USER", "dokku")
	t.Setenv("NAME", "alice")
	var asked []string
	h.plugins["user-auth"] = func(args []string, out io.Writer) error {
		asked = args
		if slices.Contains(args, "apps:create") {
			fmt.Fprintln(out, "ask an admin")
			return errors.New("exit status 1")
		}
		return nil
	}
	if exit, out, problem := h.call("apps:create 'new'"); exit != 1 || out != "" || !strings.Contains(problem, " !     apps:create: Access denied\n") || !strings.Contains(problem, "ask an admin") {
		t.Errorf("%d, %q, %q", exit, out, problem)
	}
	if diff := cmp.Diff([]string{"dokku", "alice", "apps:create", "new"}, asked); diff != "" {
		t.Error(diff)
	}
	if exit, _, _ := h.call("apps:exists new"); exit != 20 {
		t.Errorf("the app was made: exit %d", exit)
	}
	for _, word := range []string{"help", "version", "nonsense"} {
		asked = nil
		h.call(word)
		if diff := cmp.Diff([]string{"dokku", "alice", word}, asked); diff != "" {
			t.Error(diff)
		}
	}
}

// TestUserAuthApp: an app that a key may not see does not exist for it.
func TestUserAuthApp(t *testing.T) {
	h := newHost(t)
	if err := h.Host.Settings.Create("open"); err != nil {
		t.Fatal(err)
	}
	h.plugins["user-auth-app"] = func(args []string, out io.Writer) error {
		for _, app := range args[2:] {
			if app == "open" {
				fmt.Fprintln(out, app)
			}
		}
		return nil
	}
	if _, out, _ := h.call("", "apps:list"); out != "=====> My Apps\nopen\n" {
		t.Errorf("it lists %q", out)
	}
	exit, _, problem := h.call("", "config:show", "shop")
	missing, _, other := h.call("", "config:show", "nope")
	if exit != 20 || missing != exit || !strings.HasPrefix(problem, " !     App shop does not exist\n") || !strings.HasPrefix(other, " !     App nope does not exist\n") {
		t.Errorf("%d %q, and of no app %d %q", exit, problem, missing, other)
	}
	if strings.ReplaceAll(problem, "shop", "X") != strings.ReplaceAll(other, "nope", "X") {
		t.Errorf("a hidden app can be told from none: %q, %q", problem, other)
	}
}

// TestEnvironment is what plugins are promised (PLUGIN-CONTRACT 2.2).
func TestEnvironment(t *testing.T) {
	for _, test := range []struct {
		name, original string
		before, want   map[string]string
	}{
		{"plain", "apps:list", nil, map[string]string{"DOKKU_COMMAND": "apps:list", "DOKKU_QUIET_OUTPUT": "", "DOKKU_TRACE": "", "DOKKU_APPS_FORCE_DELETE": "",
			"DOKKU_APP_NAME": "", "DOKKU_GLOBAL_FLAGS": "", "SSH_USER": "root", "SSH_NAME": "default"}},
		{"flags", "--quiet --trace --app shop config:show --force", nil, map[string]string{"DOKKU_COMMAND": "config:show", "DOKKU_QUIET_OUTPUT": "1", "DOKKU_TRACE": "1",
			"DOKKU_APPS_FORCE_DELETE": "1", "DOKKU_APP_NAME": "shop", "DOKKU_GLOBAL_FLAGS": "--quiet --trace --app=shop --force"}},
		{"nested", "config:set --no-restart shop A=1", map[string]string{"DOKKU_GLOBAL_FLAGS": "--app=x --no-restart"}, map[string]string{"DOKKU_GLOBAL_FLAGS": "--app=x --no-restart"}},
		{"ssh", "apps:list", map[string]string{"USER": "dokku", "NAME": "alice"}, map[string]string{"SSH_USER": "dokku", "SSH_NAME": "alice"}},
		{"sudo", "apps:list", map[string]string{"USER": "dokku", "SSH_USER": "bob", "SSH_NAME": "bob's"}, map[string]string{"SSH_USER": "bob", "SSH_NAME": "bob's"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			h := newHost(t)
			for key, value := range test.before {
				t.Setenv(key, value)
			}
			h.call(test.original)
			for key, want := range test.want {
				if got := os.Getenv(key); got != want {
					t.Errorf("%s is %q, want %q", key, got, want)
				}
			}
		})
	}
}

// TestFingerprint: only sshd says whose key it was.
func TestFingerprint(t *testing.T) {
	newHost(t)
	t.Setenv("FINGERPRINT", "SHA256:x")
	if by := caller(true); by.Fingerprint != "SHA256:x" {
		t.Errorf("over ssh: %+v", by)
	}
	if by := caller(false); by.Fingerprint != "" || by.User != "root" || by.Name != "default" {
		t.Errorf("on the host: %+v", by)
	}
}

// TestNested: a command that a trigger of a deploy started starts no second one.
func TestNested(t *testing.T) {
	h := newHost(t)
	lock, _, err := h.Host.Ledger.Lock("shop", api.Lock{Key: "alice", PID: os.Getpid(), Request: "request-1"})
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Unlock()
	t.Setenv(RequestVariable, "request-1")
	h.Submit = func(context.Context, agent.Change) error { return errors.New("a second deploy was started") }
	if exit, _, problem := h.call("", "ps:restart", "shop"); exit != 0 || !strings.Contains(problem, "is being deployed") {
		t.Errorf("%d: %s", exit, problem)
	}
	t.Setenv(RequestVariable, "request-2")
	if exit, _, problem := h.call("", "ps:restart", "shop"); exit != 0 || !strings.Contains(problem, "App shop has not been deployed") {
		t.Errorf("of a first deploy that is another's: %d: %s", exit, problem)
	}
	if err := errors.Join(h.Host.Ledger.Save("shop", agent.Record{Release: api.Release{Version: 1}}), h.Host.Ledger.SetCurrent("shop", 1)); err != nil {
		t.Fatal(err)
	}
	if exit, _, problem := h.call("", "ps:restart", "shop"); exit != 1 || !strings.Contains(problem, "a second deploy was started") {
		t.Errorf("%d: %s", exit, problem)
	}
}

// TestWithinAct: a command that a trigger of an act started which holds the app's lock does
// not wait for it.
func TestWithinAct(t *testing.T) {
	h := newHost(t)
	held := api.Lock{Key: "alice", PID: os.Getpid(), Since: time.Now()}
	lock, _, err := h.Host.Ledger.Lock("shop", held)
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Unlock()
	t.Setenv(agent.ActsVariable, fmt.Sprintf("shop:%d:%d", held.PID, held.Since.UnixNano()))
	if exit, _, problem := h.call("", "domains:clear", "shop"); exit != 0 {
		t.Errorf("%d: %s", exit, problem)
	}
}
