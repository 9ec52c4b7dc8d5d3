package remote

import (
	"context"
	"errors"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"

	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/internal/redact"
)

// startAgent serves an ssh agent with these keys and returns its socket.
func startAgent(t *testing.T, keys ...testKey) string {
	t.Helper()
	keyring := agent.NewKeyring()
	for _, key := range keys {
		if err := keyring.Add(agent.AddedKey{PrivateKey: key.private, Comment: "held\x1b[31m"}); err != nil {
			t.Fatal(err)
		}
	}
	socket := filepath.Join(t.TempDir(), "a")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	var owned sync.WaitGroup
	owned.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			owned.Go(func() {
				defer conn.Close()
				agent.ServeAgent(keyring, conn) // ends with the client
			})
		}
	})
	t.Cleanup(func() {
		listener.Close()
		owned.Wait()
	})
	return socket
}

func TestAuthentication(t *testing.T) {
	user, hostKey, stranger, third := newKey(t), newKey(t), newKey(t), newRSA(t)
	server := startServer(t, []ssh.Signer{hostKey.signer}, user.public, third.public)
	const passphrase = "correct horse canary"
	many := []testKey{}
	for range 7 {
		many = append(many, newKey(t))
	}
	for _, c := range []struct {
		name    string
		files   map[string]string // under .ssh
		config  string
		options func(o *Options)
		answer  string // to the passphrase prompt; empty: nobody is there
		asked   int
		code    api.Code
		words   []string
	}{
		{name: "default key file", files: map[string]string{"id_ed25519": user.text(t, "")}},
		{name: "rsa key file", files: map[string]string{"id_rsa": third.text(t, "")}},
		{name: "named file", files: map[string]string{"deploy": user.text(t, ""), "id_ed25519": stranger.text(t, "")}, options: func(o *Options) { o.KeyFile = "~/.ssh/deploy" }},
		{name: "only the named file", files: map[string]string{"deploy": stranger.text(t, ""), "id_ed25519": user.text(t, "")},
			options: func(o *Options) { o.KeyFile = "~/.ssh/deploy"; o.AgentSocket = startAgent(t, user) }, code: api.Refused, words: []string{stranger.sum(), ".ssh/deploy", "ssh-keys:add", "dokku@127.0.0.1"}},
		{name: "text", options: func(o *Options) { o.Key = redact.Secret(user.text(t, "")) }},
		{name: "text with CRLF and no end", options: func(o *Options) {
			o.Key = redact.Secret(strings.TrimSpace(strings.ReplaceAll(user.text(t, ""), "\n", "\r\n")))
		}},
		{name: "text that is no key", options: func(o *Options) { o.Key = "canary-of-a-key" }, code: api.Configuration, words: []string{"DOKKU_SSH_KEY"}},
		{name: "file is missing", options: func(o *Options) { o.KeyFile = "/nonexistent/key" }, code: api.Configuration, words: []string{"/nonexistent/key"}},
		{name: "agent", options: func(o *Options) { o.AgentSocket = startAgent(t, stranger, user) }},
		{name: "agent with an rsa key", options: func(o *Options) { o.AgentSocket = startAgent(t, third) }},
		{name: "agent is gone", options: func(o *Options) { o.AgentSocket = "/nonexistent/agent" }, code: api.Refused, words: []string{"no key to offer", "/nonexistent/agent"}},
		{name: "full agent, named file first", files: map[string]string{"k": user.text(t, "")}, config: "IdentityFile ~/.ssh/k\n",
			options: func(o *Options) { o.AgentSocket = startAgent(t, many...) }},
		{name: "full agent, identities only", files: map[string]string{"k.pub": user.line()}, config: "IdentitiesOnly yes\nIdentityFile ~/.ssh/k.pub\n",
			options: func(o *Options) { o.AgentSocket = startAgent(t, append(many, user)...) }},
		{name: "full agent of strangers", options: func(o *Options) { o.AgentSocket = startAgent(t, many...) }, code: api.Refused, words: []string{many[0].sum(), "ssh agent: held"}},
		{name: "identity agent none", config: "IdentityAgent none\n", options: func(o *Options) { t.Setenv("SSH_AUTH_SOCK", startAgent(t, user)); o.AgentSocket = "" }, code: api.Refused, words: []string{"no key to offer"}},
		{name: "agent from the environment", options: func(o *Options) { t.Setenv("SSH_AUTH_SOCK", startAgent(t, user)); o.AgentSocket = "" }},
		{name: "passphrase", files: map[string]string{"id_ed25519": user.text(t, passphrase)}, answer: passphrase, asked: 1},
		{name: "passphrase of an rsa key", files: map[string]string{"id_rsa": third.text(t, passphrase)}, answer: passphrase, asked: 1},
		{name: "wrong passphrase", files: map[string]string{"id_ed25519": user.text(t, passphrase)}, answer: "wrong canary", asked: 2, code: api.Refused, words: []string{"passphrase is wrong", "id_ed25519"}},
		{name: "nobody to ask", files: map[string]string{"id_ed25519": user.text(t, passphrase)}, code: api.Refused, words: []string{"passphrase", "ssh-add", "id_ed25519"}},
		{name: "not asked for a key that the host does not know", files: map[string]string{"id_ed25519": stranger.text(t, passphrase)}, answer: passphrase, code: api.Refused, words: []string{stranger.sum()}},
		{name: "not asked when another key does", files: map[string]string{"id_ed25519": user.text(t, passphrase), "id_rsa": third.text(t, "")}, answer: passphrase},
		{name: "not asked when the agent has it", files: map[string]string{"id_ed25519": user.text(t, passphrase)}, answer: passphrase, options: func(o *Options) { o.AgentSocket = startAgent(t, user) }},
		{name: "passphrase for text", options: func(o *Options) { o.Key = redact.Secret(user.text(t, passphrase)) }, answer: passphrase, asked: 1},
		{name: "no key at all", code: api.Refused, words: []string{"no key to offer", "DOKKU_SSH_KEY"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := newHome(t)
			for name, text := range c.files {
				dir.write(t, name, text)
			}
			dir.write(t, "config", c.config)
			o := dir.options(server.addr)
			o.HostKey = hostKey.sum()
			asked := 0
			if c.answer != "" {
				o.Passphrase = func(string) (string, error) { asked++; return c.answer, nil }
			}
			if c.options != nil {
				c.options(&o)
			}
			conn, err := Dial(context.Background(), o)
			if err == nil {
				conn.Close()
			}
			if c.code != "" {
				refused(t, err, c.code, c.words...)
			} else if err != nil {
				t.Fatalf("%v (%s)", err, api.AsError(err).Hint)
			}
			if asked != c.asked {
				t.Errorf("the passphrase was asked for %d times, want %d", asked, c.asked)
			}
			if err != nil && (strings.Contains(err.Error(), "canary") || strings.Contains(err.Error(), "\x1b")) {
				t.Errorf("the error shows a secret or steers the terminal: %q", err)
			}
		})
	}
	server.mu.Lock()
	defer server.mu.Unlock()
	if !slices.Contains(server.logins, "dokku "+user.sum()) {
		t.Errorf("logins: %q", server.logins)
	}
}

func TestPassphraseFails(t *testing.T) {
	user, hostKey := newKey(t), newKey(t)
	server := startServer(t, []ssh.Signer{hostKey.signer}, user.public)
	dir := newHome(t)
	dir.write(t, "id_ed25519", user.text(t, "x"))
	o := dir.options(server.addr)
	o.HostKey = hostKey.sum()
	o.Passphrase = func(string) (string, error) { return "", errors.New("terminal closed") }
	_, err := Dial(context.Background(), o)
	refused(t, err, api.Refused, "terminal closed")
}

// A second connection asks nobody again.
func TestUnlockedKeyIsRemembered(t *testing.T) {
	user, hostKey := newKey(t), newKey(t)
	server := startServer(t, []ssh.Signer{hostKey.signer}, user.public)
	dir := newHome(t)
	dir.write(t, "id_ed25519", user.text(t, "x"))
	o := dir.options(server.addr)
	o.HostKey = hostKey.sum()
	asked := 0
	o.Timeout = 6 * time.Second
	o.Passphrase = func(string) (string, error) {
		asked++
		time.Sleep(6200 * time.Millisecond) // a person types while the clock stands
		return "x", nil
	}
	conn := dial(t, o)
	server.cut()
	<-conn.link.dead
	if code, err := conn.Run(context.Background(), []string{"version"}, nil, nil, nil, RunOptions{}); code != 0 || err != nil {
		t.Fatal(code, err)
	}
	if asked != 1 {
		t.Errorf("asked %d times", asked)
	}
}
