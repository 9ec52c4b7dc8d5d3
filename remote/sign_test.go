package remote

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/dokku-push/dokku-push/api"
)

// TestSign: what is signed here, by whichever key, the real ssh-keygen verifies.
func TestSign(t *testing.T) {
	user, other, rsa, hostKey, stranger := newKey(t), newKey(t), newRSA(t), newKey(t), newKey(t)
	server := startServer(t, []ssh.Signer{hostKey.signer}, user.public, rsa.public)
	const text, space, passphrase = "a statement\n", api.SignatureNamespace, "correct horse"
	for _, test := range []struct {
		name    string
		options func(o *Options, dir home)
		file    string // below the home
		text    string // of that file
		by      testKey
		says    string // for what cannot be
	}{
		{name: "the key of the connection", options: func(o *Options, dir home) { o.KeyFile = dir.write(t, "k", user.text(t, "")) }, by: user},
		{name: "that of an agent", options: func(o *Options, _ home) { o.AgentSocket = startAgent(t, stranger, user) }, by: user},
		{name: "an rsa key of an agent", options: func(o *Options, _ home) { o.AgentSocket = startAgent(t, stranger, rsa) }, by: rsa},
		{name: "with a passphrase", options: func(o *Options, dir home) {
			o.KeyFile = dir.write(t, "k", user.text(t, passphrase))
			o.Passphrase = func(string) (string, error) { return passphrase, nil }
		}, by: user},
		{name: "a file", file: "other", text: other.text(t, ""), by: other},
		{name: "a public file, the agent has the other half", file: "other.pub", text: other.line(), by: other,
			options: func(o *Options, _ home) { o.AgentSocket = startAgent(t, user, stranger, other) }},
		{name: "a public file alone", file: "other.pub", text: other.line(), says: "only a public key"},
		{name: "no file", file: "none", says: "no such file"},
		{name: "no key", file: "text", text: "canary", says: "text"},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := newHome(t)
			o := dir.options(server.addr)
			o.HostKey = hostKey.sum()
			if test.options == nil {
				test.options = func(o *Options, dir home) { o.KeyFile = dir.write(t, "k", user.text(t, "")) }
			}
			test.options(&o, dir)
			conn := dial(t, o)
			file := ""
			if test.file != "" {
				file = dir.path(".ssh", test.file)
			}
			if test.text != "" {
				file = dir.write(t, test.file, test.text)
			}
			signature, err := conn.Sign(context.Background(), text, space, file)
			if test.says != "" {
				refused(t, err, api.Configuration, test.says)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			verified(t, text, space, signature, test.by.line())
		})
	}
}

// verified asks ssh-keygen whether a signature is the key's.
func verified(t *testing.T, text, space, signature, public string) {
	t.Helper()
	dir := t.TempDir()
	allowed, made := filepath.Join(dir, "allowed"), filepath.Join(dir, "made")
	for path, content := range map[string]string{allowed: "alice " + public + "\n", made: signature} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command("ssh-keygen", "-Y", "verify", "-f", allowed, "-I", "alice", "-n", space, "-s", made)
	cmd.Stdin = strings.NewReader(text)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("ssh-keygen -Y verify: %v\n%s", err, out)
	}
}
