package e2e

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/internal/testkit"
)

// hostMade: root, or a user who may sudo, makes a host what a server block says; a second
// run changes nothing, and the key that deploys may not. It runs in TestRealHost.
func hostMade(t *testing.T, bin testkit.Bin, deployer *testkit.SSHServer, key testkit.Key) {
	// Debian's sshd of these tests lets root in for a forced command alone: a shell's.
	root, other := testkit.NewKey(t), testkit.NewKey(t)
	login := `command="eval \"$SSH_ORIGINAL_COMMAND\"" ` + root.Public
	put(t, "/etc/ssh/gardeners", login+"\n") // where every user can read it
	sshd := testkit.SSHD(t, testkit.SSHDOptions{AuthorizedKeysFile: "/etc/ssh/gardeners"})
	must(t, exec.Command("useradd", "--create-home", "--shell", "/bin/bash", "gardener"))
	put(t, "/etc/sudoers.d/gardener", "gardener ALL=(root) NOPASSWD: /usr/local/bin/dokku-agent apply\n")
	if err := os.Chmod("/etc/sudoers.d/gardener", 0o440); err != nil {
		t.Fatal(err)
	}
	// The address of the plugin leads to a repository on this machine.
	repository := strings.TrimPrefix(pluginRepository(t, "dokku-provided", map[string]string{"install": "echo provided by $(id -un)", "post-create": `dokku config:set --no-restart "$1" PROVIDED=yes`}), "file://")
	must(t, exec.Command("git", "-C", repository, "tag", "1.0"))
	must(t, exec.Command("git", "config", "--system", "url.file://"+repository+".insteadOf", "https://plugins.example.test/provided.git"))
	dir := t.TempDir()
	block := func(more string) {
		put(t, filepath.Join(dir, "hosts.hcl"), "server \"here\" {\n  address = \"root@"+sshd.Addr+"\"\n  host_key = \""+sshd.HostKey+"\"\n"+more+"}\n")
	}
	apply := func(exit int, args ...string) testkit.Result {
		t.Helper()
		cmd := exec.Command(bin.Client, append([]string{"host", "apply", "hosts.hcl"}, args...)...)
		cmd.Dir, cmd.Env = dir, append(os.Environ(), "CI=", "DOKKU_HOST=dokku@nowhere.example.test", "DOKKU_SSH_KEY_FILE="+root.File)
		r := testkit.Run(t, cmd)
		if r.Exit != exit {
			t.Fatalf("host apply %q: exit %d, want %d\n%s%s", args, r.Exit, exit, r.Stdout, r.Stderr)
		}
		return r
	}
	block(`  apps    = ["made"]
  domains = ["example.test", "second.example.test"]
  config {
    LEVEL = "canary value"
  }
  plugin "provided" {
    url        = "https://plugins.example.test/provided.git"
    committish = "1.0"
  }
  ssh_key "gardener" {
    public_key = "` + other.Public + `"
  }
`)
	plan := apply(2, "--plan", "--detailed-exitcode").Stdout
	for _, part := range []string{"here: 5 changes\n", "+ add config LEVEL\n", "~ change domains: example.test → example.test second.example.test\n", "+ add plugin provided: https://plugins.example.test/provided.git 1.0\n",
		"+ add ssh key gardener: " + other.Fingerprint, "+ add app made\n"} {
		if !strings.Contains(plan, part) {
			t.Errorf("the plan does not say %q:\n%s", part, plan)
		}
	}
	if list := agentDo(t, bin.Agent, "", "keys", "list"); strings.Contains(list, "gardener") {
		t.Error("a plan let a key in")
	}
	said := apply(0).Stderr
	for _, part := range []string{"Add app made", "provided by root", "=====> here is made (5 changes)"} {
		if !strings.Contains(said, part) {
			t.Errorf("applying does not say %q:\n%s", part, said)
		}
	}
	if strings.Contains(plan+said, "canary") {
		t.Error("a value is shown")
	}
	if env := overSSH(t, deployer, key, nil, "config:get", "made", "PROVIDED"); env.Stdout != "yes\n" {
		t.Errorf("the app was not made by apps:create, or before the plugin: %+v", env)
	}
	if level := overSSH(t, deployer, key, nil, "config:get", "--global", "LEVEL"); level.Stdout != "canary value\n" {
		t.Errorf("the global config is %+v", level)
	}
	if again := apply(0).Stderr; !strings.Contains(again, "here is so already: nothing to do") {
		t.Errorf("a second run:\n%s", again)
	}
	var nothing api.Plan
	if err := json.Unmarshal([]byte(apply(0, "--plan", "--json", "--detailed-exitcode").Stdout), &nothing); err != nil || !nothing.Empty() || nothing.Server != "here" {
		t.Errorf("the plan of nothing is %+v, %v", nothing, err)
	}
	if foreign, err := exec.Command("find", "/home/dokku", "/var/lib/dokku", "-ignore_readdir_race", "!", "-user", "dokku").Output(); err != nil || len(foreign) > 0 {
		t.Errorf("not the dokku user's: %v\n%s", err, foreign)
	}

	block("  domains = [\"example.test\"]\n")
	gardener := "gardener@" + sshd.Addr
	said = apply(0, "--host", gardener).Stderr
	for _, part := range []string{"Remove ssh key gardener", "Remove config LEVEL", "the app made is no longer named and stays", "here is made (3 changes)"} {
		if !strings.Contains(said, part) {
			t.Errorf("a user with sudo: it does not say %q:\n%s", part, said)
		}
	}
	if err := os.Remove("/etc/sudoers.d/gardener"); err != nil {
		t.Fatal(err)
	}
	if r := apply(77, "--host", gardener); !strings.Contains(r.Stderr, "NOPASSWD: /usr/local/bin/dokku-agent apply") {
		t.Errorf("a user without sudo: %+v", r)
	}
	r := apply(77, "--host", "dokku@"+deployer.Addr, "--host-key", deployer.HostKey, "--key", key.File)
	if !strings.Contains(r.Stderr, "may deploy, and cannot change the host") || !strings.Contains(r.Stderr, "sudo -n dokku-agent apply") {
		t.Errorf("with the key that deploys: %+v", r)
	}
	if r := overSSH(t, deployer, key, nil, "sudo", "-n", "dokku-agent", "apply"); r.Exit == 0 || !strings.Contains(r.Stderr, "is not a dokku command") {
		t.Errorf("the key that deploys got to apply: %+v", r)
	}
	block("  apps = [\"made\"]\n  nonsense = 1\n")
	apply(65)
	must(t, exec.Command("dokku", "--force", "apps:destroy", "made"))
	must(t, exec.Command("dokku", "plugin:uninstall", "provided"))
}
