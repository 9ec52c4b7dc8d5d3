package remote

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/user"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"

	"github.com/dokku-push/dokku-push/api"
)

func TestSettings(t *testing.T) {
	dir := newHome(t)
	included := dir.write(t, "more", "Host inc\n  HostName included.example.com\n")
	dir.write(t, "config", `
# a comment
Include `+included+`
Host prod p?
  HostName prod.example.com
  User deploy
  Port 2222
  IdentityFile "~/.ssh/key of %h"
  IdentityFile %d/keys/%r-%u-%n-%p-%%
  IdentitiesOnly yes
  IdentityAgent ~/agent.sock
  UserKnownHostsFile ~/.ssh/kh1 "%d/kh 2"
  HostKeyAlias prod-key
  ConnectTimeout 7
  ProxyJump a@one:23,two
Host short
  HostName=%h.example.com
Match originalhost m1,m2
  Port 3333
Match host x exec "true"
  Port 4444
Match all
  Compression yes
Host *
  User fallback
  ProxyCommand none
`)
	config, err := readConfig(string(dir), dir.path(".ssh", "config"))
	if err != nil {
		t.Fatal(err)
	}
	if len(config.ignored) != 1 || !strings.HasSuffix(config.ignored[0], "config:20") {
		t.Errorf("ignored: %q", config.ignored)
	}
	for text, want := range map[string]settings{
		"prod": {alias: "prod", target: Target{"deploy", "prod.example.com", 2222},
			identityFiles:  []string{dir.path(".ssh", "key of prod.example.com"), dir.path("keys", "deploy-local-prod-2222-%")},
			identitiesOnly: true, identityAgent: dir.path("agent.sock"), knownHosts: []string{dir.path(".ssh", "kh1"), dir.path("kh 2")},
			hostKeyAlias: "prod-key", timeout: 7 * time.Second, jumps: []string{"a@one:23", "two"}},
		"me@short:5": {alias: "short", target: Target{"me", "short.example.com", 5}},
		"m2":         {alias: "m2", target: Target{"fallback", "m2", 3333}},
		"x":          {alias: "x", target: Target{"fallback", "x", 0}},
		"inc":        {alias: "inc", target: Target{"fallback", "included.example.com", 0}},
	} {
		target, err := parseTarget(text)
		if err != nil {
			t.Fatal(err)
		}
		got, err := config.of(target, "local")
		if err != nil {
			t.Errorf("%s: %v", text, err)
		}
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(settings{})); diff != "" {
			t.Errorf("%s:\n%s", text, diff)
		}
	}
}

// Include as OpenSSH reads it: ~ and folders, in blocks that apply or do not, of files that
// have Match blocks, as Fedora's own configuration does.
func TestIncludes(t *testing.T) {
	dir := newHome(t)
	for _, folder := range []string{"conf.d/a folder", "more"} {
		if err := os.MkdirAll(dir.path(".ssh", folder), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	dir.write(t, "conf.d/1.conf", "Match final all\n  Include none\n  Port 1\nHost a b\n  Port 11\n")
	dir.write(t, "conf.d/2.conf", "Host a\n  Port 12\n  User second\nMatch host c\n  Port 13\n")
	dir.write(t, "more/c=1", "Port 14\nHost d\n  Port 15\n")
	dir.write(t, "config", `
include=~/.ssh/conf.d/* missing/* # all of them
Host d e
  Include "more/c=1"
Match exec true
  Include [
Host *
  Include ~/.ssh/more/none
  Port 16
`)
	config, err := readConfig(string(dir), dir.path(".ssh", "config"))
	if err != nil {
		t.Fatal(err)
	}
	if len(config.ignored) != 2 || !strings.HasSuffix(config.ignored[0], "config:5") || !strings.HasSuffix(config.ignored[1], "1.conf:1") {
		t.Errorf("ignored: %q", config.ignored)
	}
	for alias, want := range map[string]Target{"a": {"second", "a", 11}, "b": {"", "b", 11}, "c": {"", "c", 13}, "d": {"", "d", 14}, "e": {"", "e", 14}, "f": {"", "f", 16}} {
		got, err := config.of(Target{Host: alias}, "local")
		if err != nil || got.target != want {
			t.Errorf("%s: %v, %v, want %v", alias, got.target, err, want)
		}
	}
}

func TestConfigRefusals(t *testing.T) {
	for name, c := range map[string]struct {
		config string
		words  []string
	}{
		"proxy command": {"Host h\n ProxyCommand nc %h %p\n", []string{"config", "ProxyCommand", "ProxyJump"}},
		"malformed":     {"Host h\n HostName\n", []string{"config", "line 2", "HostName"}},
		"include loop":  {"Include %s\n", []string{"config"}},
		"bad port":      {"Port 99999\n", []string{"config", "99999"}},
		"bad timeout":   {"ConnectTimeout soon\n", []string{"config", "soon"}},
		"bad host name": {"HostName -oProxyCommand=x\n", []string{"config", "-oProxyCommand=x"}},
		"unknown token": {"IdentityFile ~/%C\n", []string{"%C"}},
		"jump circle":   {"Host h\n ProxyJump i\nHost i\n ProxyJump h\n", []string{"circles"}},
		"bad jump":      {"ProxyJump -x\n", []string{"-x"}},
		"bad include":   {"Include [\n", []string{"config", "["}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := newHome(t)
			path := dir.path(".ssh", "config")
			text := c.config
			if strings.Contains(text, "%s") {
				text = fmt.Sprintf(text, path)
			}
			dir.write(t, "config", text)
			_, err := Dial(context.Background(), dir.options("h"))
			refused(t, err, api.Configuration, c.words...)
		})
	}
	dir := newHome(t)
	o := dir.options("h")
	o.ConfigFile = dir.path("none")
	_, err := Dial(context.Background(), o)
	refused(t, err, api.Configuration, dir.path("none"))
}

func TestAliasAndJumpHosts(t *testing.T) {
	mine, forJump, jumpHost, secondJump, goal := newKey(t), newKey(t), newKey(t), newKey(t), newKey(t)
	jump := startServer(t, []ssh.Signer{jumpHost.signer}, forJump.public)
	second := startServer(t, []ssh.Signer{secondJump.signer}, forJump.public)
	target := startServer(t, []ssh.Signer{goal.signer}, mine.public)
	jump.forward, second.forward = true, true
	port := func(s *testServer) string {
		_, port, err := net.SplitHostPort(s.addr)
		if err != nil {
			t.Fatal(err)
		}
		return port
	}
	dir := newHome(t)
	dir.write(t, "mine", mine.text(t, ""))
	dir.write(t, "jumpkey", forJump.text(t, ""))
	dir.write(t, "config", fmt.Sprintf(`
Host prod
  HostName 127.0.0.1
  Port %s
  IdentityFile ~/.ssh/mine
  ProxyJump bastion,inner
  HostKeyAlias prod-alias
Host bastion
  HostName 127.0.0.1
  Port %s
  User jumper
  IdentityFile ~/.ssh/jumpkey
Host inner
  HostName 127.0.0.1
  Port %s
  IdentityFile ~/.ssh/jumpkey
`, port(target), port(jump), port(second)))
	known := knownhosts.Normalize(jump.addr) + " " + jumpHost.line() + "\n" + knownhosts.Normalize(second.addr) + " " + secondJump.line() + "\n"
	dir.write(t, "known_hosts", known+"prod-alias "+goal.line()+"\n")

	conn := dial(t, dir.options("prod"))
	var out strings.Builder
	if code, err := conn.Run(context.Background(), []string{"apps:list"}, nil, &out, nil, RunOptions{}); code != 0 || err != nil || out.String() != "ran apps:list\n" {
		t.Errorf("%d, %v, %q", code, err, out.String())
	}
	local, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		server *testServer
		want   string
	}{{jump, "jumper " + forJump.sum()}, {second, local.Username + " " + forJump.sum()}, {target, "dokku " + mine.sum()}} {
		if len(c.server.logins) != 1 || c.server.logins[0] != c.want {
			t.Errorf("logins %q, want %q", c.server.logins, c.want)
		}
	}
	if got := conn.Target(); got.Host != "127.0.0.1" || got.User != "dokku" {
		t.Errorf("target %v", got)
	}

	// Each hop's key is checked, and a pin is about the target alone.
	dir.write(t, "known_hosts", knownhosts.Normalize(jump.addr)+" "+jumpHost.line()+"\nprod-alias "+goal.line()+"\n")
	_, err = Dial(context.Background(), dir.options("prod"))
	refused(t, err, api.Refused, "not known", secondJump.sum())
	if strings.Contains(api.AsError(err).Hint, "--host-key") {
		t.Error("the hint offers to pin a jump host")
	}
	dir.write(t, "known_hosts", known)
	_, err = Dial(context.Background(), dir.options("prod"))
	refused(t, err, api.Refused, "not known", "ssh-keyscan -p "+port(target)+" 127.0.0.1", "with prod-alias")
	o := dir.options("prod")
	o.HostKey = goal.sum()
	dial(t, o)

	// A jump host that does not forward is named.
	second.mu.Lock()
	second.forward = false
	second.mu.Unlock()
	_, err = Dial(context.Background(), o)
	refused(t, err, api.Unreachable, "through", port(second), "AllowTcpForwarding")
}

func TestUnreachable(t *testing.T) {
	dir := newHome(t)
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	_, err = Dial(context.Background(), dir.options(closed.Addr().String()))
	refused(t, err, api.Unreachable, "refused", "ssh server")
	_, err = Dial(context.Background(), dir.options("host.invalid"))
	refused(t, err, api.Unreachable, "host.invalid")
	o := dir.options(silent.Addr().String())
	o.Timeout = 100 * time.Millisecond
	_, err = Dial(context.Background(), o)
	refused(t, err, api.Unreachable, "no answer within 100ms")

	ctx, cancel := context.WithCancel(context.Background())
	time.AfterFunc(100*time.Millisecond, cancel)
	begin := time.Now()
	_, err = Dial(ctx, dir.options(silent.Addr().String()))
	if err == nil || ctx.Err() == nil || !strings.Contains(err.Error(), "canceled") || time.Since(begin) > 30*time.Second {
		t.Errorf("cancelled dial: %v after %v", err, time.Since(begin))
	}
}
