package e2e

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	manager "github.com/dokku-push/dokku-push/agent/plugin"
	"github.com/dokku-push/dokku-push/internal/testkit"
)

// pluginRepository is a git repository with a plugin in it.
func pluginRepository(t *testing.T, name string, scripts map[string]string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	put(t, filepath.Join(dir, "plugin.toml"), "[plugin]\ndescription = \"a test\"\nversion = \"1.2.3\"\n[plugin.config]\n")
	for file, script := range scripts {
		put(t, filepath.Join(dir, file), "#!/usr/bin/env bash\nset -eo pipefail\n"+script+"\n")
		if err := os.Chmod(filepath.Join(dir, file), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, args := range [][]string{{"init", "--quiet", "--initial-branch=main"}, {"add", "--all"},
		{"-c", "user.name=x", "-c", "user.email=x@example.com", "commit", "--quiet", "--message=x"}} {
		must(t, exec.Command("git", append([]string{"-C", dir}, args...)...))
	}
	return "file://" + dir
}

// TestPluginLife: installed over ssh from a git repository, a plugin's triggers fire in a
// push; disabled they do not; uninstalled nothing of it is left.
func TestPluginLife(t *testing.T) {
	t.Parallel()
	h := testkit.Serve(t, testkit.ServeOptions{})
	dir, app := testkit.CopyApp(t, "hello"), h.App(t, "plug")
	tree := filepath.Join(h.Root, "lib", "plugins")
	log := filepath.Join(t.TempDir(), "log")
	asks := `{
echo "one two" | plugn trigger inner "a b" ""
plugn list | grep -c '^  teller '
printf 'hello {{ .NAME }} {{ $NAME }} [{{ $OTHER }}] {{ var "SSH_NAME" }}\n' | sigil NAME=sigil
sshcommand list dokku | sed 's/^SHA256:[^ ]* //'
sshcommand list dokku admin json | jq -r '.[0].name'
dokku plugin:installed teller && echo installed
pluginhook inner hook < /dev/null
} >> ` + log
	address := pluginRepository(t, "dokku-teller", map[string]string{
		"install":     `echo "install $(id -u)" >> ` + log + "; cp " + `"$(dirname "$0")/made" "$(dirname "$0")/post-deploy"`,
		"made":        "echo compiled >> " + log,
		"pre-release": asks,
		"inner":       `echo "inner: $# <$1> $(cat)"`,
		"uninstall":   `[[ $1 != teller ]] || echo "uninstall $1" >> ` + log,
	})
	nothing := files(t, tree)
	said := dokku(t, h, 0, "plugin:install", address).Stdout
	if !strings.Contains(said, "Plugin teller enabled") {
		t.Errorf("plugin:install says %q", said)
	}
	dokku(t, h, 0, "plugin:installed", "teller")
	var list []manager.Plugin
	if err := json.Unmarshal([]byte(dokku(t, h, 0, "plugin:list", "--format", "json").Stdout), &list); err != nil {
		t.Fatal(err)
	}
	found := false
	for _, one := range list {
		found = found || one.Name == "teller" && one.Version == "1.2.3" && one.Enabled && !one.Core && one.SourceURL == address && one.Branch == "main"
	}
	if !found {
		t.Errorf("plugin:list has %+v", list)
	}
	recorded(t, log)

	pushed(t, h.Push(t, dir, "--app", app))
	want := []string{"inner: 2 <a b> one two", "1", "hello sigil sigil [] admin", `NAME="admin" SSHCOMMAND_ALLOWED_KEYS="no-agent-forwarding,no-user-rc,no-X11-forwarding,no-port-forwarding"`,
		"admin", "installed", "inner: 1 <hook> ", "compiled"}
	if diff := cmp.Diff(want, recorded(t, log)); diff != "" {
		t.Errorf("what the plugin's triggers found (-want +got):\n%s", diff)
	}

	dokku(t, h, 0, "plugin:disable", "teller")
	testkit.Edit(t, dir, "www/cgi-bin/index.cgi", "Hello", "Hello again")
	pushed(t, h.Push(t, dir, "--app", app))
	if lines := recorded(t, log); len(lines) != 0 {
		t.Errorf("a disabled plugin was asked: %q", lines)
	}
	dokku(t, h, 0, "plugin:enable", "teller")
	if out := dokku(t, h, 0, "plugin:trigger", "inner", "x").Stdout; out != "inner: 1 <x> \n" {
		t.Errorf("plugin:trigger printed %q", out)
	}
	dokku(t, h, 0, "plugin:uninstall", "teller")
	if lines := recorded(t, log); strings.Join(lines, ";") != "uninstall teller" {
		t.Errorf("uninstalling wrote %q", lines)
	}
	dokku(t, h, 1, "plugin:installed", "teller")
	same(t, "an uninstalled plugin left something", nothing, files(t, tree))
	answers(t, h, app, "/", "Hello again")
}

// TestPluginRefused: what is refused or fails leaves nothing, and says why.
func TestPluginRefused(t *testing.T) {
	t.Parallel()
	h := testkit.Serve(t, testkit.ServeOptions{})
	before := state(t, h)
	failing := pluginRepository(t, "failing", map[string]string{"install": "touch \"$(dirname \"$0\")/half\"; echo out of luck >&2; exit 7"})
	if r := dokku(t, h, 7, "plugin:install", failing); !strings.Contains(r.Stderr, "out of luck") || !strings.Contains(r.Stderr, "the plugin failing failed in its trigger install") {
		t.Errorf("a failing install says %q", r.Stderr)
	}
	empty := filepath.Join(t.TempDir(), "empty.tar.gz")
	put(t, empty, "no archive")
	for _, test := range []struct {
		says string
		args []string
	}{
		{"names a program for git to run", []string{"plugin:install", "ext::id"}},
		{"names a program", []string{"plugin:install", "git::x/y"}},
		{"the name of a plugin of the core", []string{"plugin:install", failing, "--name", "config"}},
		{"is no plugin name", []string{"plugin:install", failing, "--name", "../x"}},
		{"--name wants a value", []string{"plugin:install", failing, "--name"}},
		{"is no branch, tag or commit", []string{"plugin:install", failing, "--committish", "a..b"}},
		{"is no flag of this command", []string{"plugin:install", failing, "--upload-pack=id"}},
		{"this is no .tar.gz", []string{"plugin:install", empty}},
		{"is not installed", []string{"plugin:uninstall", "failing"}},
		{"Please specify a plugin", []string{"plugin:enable"}},
		{"is no trigger's name", []string{"plugin:trigger", "../../x"}},
		{"supported formats: json, text", []string{"plugin:list", "--format", "xml"}},
	} {
		refuses(t, h, 1, test.says, test.args...)
	}
	same(t, "refused plugins changed the host", before, state(t, h))
	if help := dokku(t, h, 0, "plugin:help").Stdout; help != dokku(t, h, 0, "plugin").Stdout || !strings.Contains(help, "    plugin:uninstall <name>, Uninstall a plugin\n") {
		t.Errorf("help is\n%s", help)
	}
}

// TestSSHKeys: keys come and go by command; what is refused names file and line.
func TestSSHKeys(t *testing.T) {
	t.Parallel()
	h := testkit.Serve(t, testkit.ServeOptions{})
	key := testkit.NewKey(t)
	add := h.DokkuCommand(t, "ssh-keys:add", "laptop")
	add.Stdin = strings.NewReader(key.Public + "\n")
	if r := testkit.Run(t, add); r.Exit != 0 || r.Stdout != key.Fingerprint+"\n" {
		t.Errorf("ssh-keys:add: %+v", r)
	}
	before := state(t, h)
	again := h.DokkuCommand(t, "ssh-keys:add", "again")
	again.Stdin = strings.NewReader(key.Public + "\n")
	if r := testkit.Run(t, again); r.Exit != 1 || !strings.Contains(r.Stderr, "already exists in authorized_keys as laptop") {
		t.Errorf("the same key again: %+v", r)
	}
	refuses(t, h, 1, "client_key:1: this is a private key", "ssh-keys:add", "private", h.Key)
	refuses(t, h, 1, "there is no key named nobody", "ssh-keys:remove", "nobody")
	refuses(t, h, 1, "supported formats: json, text", "ssh-keys:list", "--format", "xml")
	same(t, "refused keys changed the host", before, state(t, h))
	prints(t, h, key.Fingerprint+` NAME="laptop" SSHCOMMAND_ALLOWED_KEYS="no-agent-forwarding,no-user-rc,no-X11-forwarding,no-port-forwarding"`+"\n", "ssh-keys:list", "laptop")
	if out := dokku(t, h, 0, "ssh-keys:list", "--format", "json").Stdout; !strings.Contains(out, `"name":"laptop"`) || !strings.Contains(out, `"name":"admin"`) {
		t.Errorf("ssh-keys:list printed %s", out)
	}
	dokku(t, h, 0, "ssh-keys:remove", "--fingerprint", key.Fingerprint)
	dokku(t, h, 1, "ssh-keys:list", "laptop")
}

// rootsPlugins: on a real host root installs plugins, they are the dokku user's
// afterwards, and their triggers run as that user; nobody else may. It runs in
// TestRealHost.
func rootsPlugins(t *testing.T, sshd *testkit.SSHServer, key testkit.Key) {
	address := pluginRepository(t, "dokku-rooted", map[string]string{
		"install": `echo "install as $(id -un)"; echo made > "$(dirname "$0")/made"`,
		"who":     `echo "who as $(id -un): $(cat) $*"; exit 6`,
	})
	root := func(exit int, input string, argv ...string) string {
		t.Helper()
		cmd := exec.Command(argv[0], argv[1:]...)
		cmd.Stdin = strings.NewReader(input)
		cmd.Env = append(os.Environ(), "DOKKU_ROOT=", "DOKKU_LIB_ROOT=")
		r := testkit.Run(t, cmd)
		if r.Exit != exit {
			t.Fatalf("%q: %+v, want exit %d", argv, r, exit)
		}
		return r.Stdout
	}
	for _, word := range []string{"plugin:install", "plugin:uninstall", "plugin:trigger", "ssh-keys:add"} {
		if r := overSSH(t, sshd, key, nil, word, "x"); r.Exit != 1 || !strings.Contains(r.Stderr, "must be run as root") {
			t.Errorf("%s over ssh: %+v", word, r)
		}
	}
	if said := root(0, "", "dokku", "plugin:install", address); !strings.Contains(said, "install as root\n") {
		t.Errorf("plugin:install says %q", said)
	}
	if said := root(6, "in", "dokku", "plugin:trigger", "who", "a b"); said != "who as dokku: in a b\n" {
		t.Errorf("plugin:trigger says %q", said)
	}
	if foreign := root(0, "", "find", "/var/lib/dokku", "-ignore_readdir_race", "!", "-user", "dokku"); foreign != "" {
		t.Errorf("not the dokku user's:\n%s", foreign)
	}
	if r := overSSH(t, sshd, key, nil, "plugin:list"); r.Exit != 0 || !strings.Contains(r.Stdout, "  rooted ") {
		t.Errorf("plugin:list over ssh: %+v", r)
	}
	other := testkit.NewKey(t)
	if said := root(0, other.Public+"\n", "sshcommand", "acl-add", "dokku", "other"); said != other.Fingerprint+"\n" {
		t.Errorf("acl-add says %q", said)
	}
	if said := root(0, "", "sshcommand", "list", "dokku", "other"); !strings.HasPrefix(said, other.Fingerprint+` NAME="other" `) {
		t.Errorf("list says %q", said)
	}
	root(0, "", "dokku", "ssh-keys:remove", "other")
	root(1, "", "sshcommand", "acl-remove", "dokku", "other")
	root(0, "", "sshcommand", "create", "clerk", "/bin/echo hello")
	if text, err := os.ReadFile("/home/clerk/.sshcommand"); err != nil || string(text) != "/bin/echo hello\n" {
		t.Errorf("create wrote %q, %v", text, err)
	}
	if owner := strings.TrimSpace(root(0, "", "stat", "-c", "%U %a", "/home/clerk/.ssh", "/home/clerk/.ssh/authorized_keys")); owner != "clerk 700\nclerk 600" {
		t.Errorf("create made %q", owner)
	}
	root(0, "", "dokku", "plugin:uninstall", "rooted")
}
