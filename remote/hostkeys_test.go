package remote

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"fmt"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"

	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/internal/redact"
)

func TestHostKeys(t *testing.T) {
	user, hostKey, rsaKey, other := newKey(t), newKey(t), newRSA(t), newKey(t)
	server := startServer(t, []ssh.Signer{hostKey.signer, rsaKey.signer}, user.public)
	onlyED := startServer(t, []ssh.Signer{hostKey.signer}, user.public)
	onlyRSA := startServer(t, []ssh.Signer{rsaKey.signer}, user.public)
	_, port, err := net.SplitHostPort(server.addr)
	if err != nil {
		t.Fatal(err)
	}
	entry := func(addr string, key testKey) string { return knownhosts.Normalize(addr) + " " + key.line() + "\n" }
	for _, c := range []struct {
		name  string
		known string
		pin   string
		isNew bool
		addr  string
		code  api.Code // empty: let in
		words []string
	}{
		{name: "known", known: entry(server.addr, hostKey)},
		{name: "known by its second key", known: entry(server.addr, rsaKey)},
		{name: "hashed", known: knownhosts.HashHostname(knownhosts.Normalize(server.addr)) + " " + hostKey.line()},
		{name: "among others", known: "# comment\n\n" + entry("h:22", other) + entry(server.addr, other) + entry(server.addr, hostKey)},
		{name: "unknown", code: api.Refused, words: []string{hostKey.sum(), "--host-key " + hostKey.sum(), "DOKKU_SSH_HOST_KEY=" + hostKey.sum(), "ssh-keyscan -p " + port, "DOKKU_SSH_ACCEPT_NEW_HOST_KEYS=1"}},
		{name: "known without its port", known: "127.0.0.1 " + hostKey.line()},
		{name: "known by its second key, without its port", known: "127.0.0.* " + rsaKey.line()},
		{name: "other key without its port", known: "127.0.0.1 " + other.line(), code: api.Refused, words: []string{"not known"}},
		{name: "changed at its port", known: entry(server.addr, other) + "127.0.0.1 " + hostKey.line(), code: api.Refused, words: []string{"changed"}},
		{name: "other port is unknown", known: "[127.0.0.1]:1 " + hostKey.line(), code: api.Refused, words: []string{"not known"}},
		{name: "changed", known: "#\n" + entry(server.addr, other), code: api.Refused, words: []string{"changed", hostKey.sum(), other.sum(), "known_hosts:2"}},
		{name: "changed, accept new", known: entry(server.addr, other), isNew: true, code: api.Refused, words: []string{"changed"}},
		{name: "known kind is gone", addr: onlyRSA.addr, known: entry(onlyRSA.addr, hostKey), isNew: true, code: api.Refused, words: []string{"changed", rsaKey.sum(), hostKey.sum()}},
		{name: "revoked", known: entry(server.addr, hostKey) + "@revoked * " + hostKey.line(), code: api.Refused, words: []string{"revokes", hostKey.sum(), "known_hosts:2"}},
		{name: "revoked and pinned", known: "@revoked * " + hostKey.line(), pin: hostKey.sum(), code: api.Refused, words: []string{"revokes"}},
		{name: "revoked, accept new", known: "@revoked * " + hostKey.line(), isNew: true, code: api.Refused, words: []string{"revokes"}},
		{name: "pinned", pin: hostKey.sum()},
		{name: "pinned by the second key's sum", pin: rsaKey.sum()},
		{name: "pinned by a line", pin: rsaKey.line() + " comment"},
		{name: "pinned by a keyscan line", pin: "[127.0.0.1]:" + port + " " + hostKey.line()},
		{name: "pin wins over known_hosts", known: entry(server.addr, other), pin: hostKey.sum()},
		{name: "wrong pin", known: entry(server.addr, hostKey), pin: other.sum(), isNew: true, code: api.Refused, words: []string{other.sum(), hostKey.sum(), rsaKey.sum()}},
		{name: "wrong pin, host with one key", addr: onlyED.addr, pin: other.sum(), code: api.Refused, words: []string{other.sum(), hostKey.sum(), "is pinned"}},
		{name: "wrong pin, host with one rsa key", addr: onlyRSA.addr, pin: hostKey.sum(), code: api.Refused, words: []string{rsaKey.sum(), hostKey.sum(), "is pinned"}},
		{name: "pinned, host with one rsa key", addr: onlyRSA.addr, pin: rsaKey.sum()},
		{name: "wrong pinned line", pin: other.line(), code: api.Refused, words: []string{other.sum(), hostKey.sum()}},
		{name: "pinned kind is gone", addr: onlyRSA.addr, pin: hostKey.line(), code: api.Refused, words: []string{hostKey.sum(), rsaKey.sum()}},
		{name: "bad pin", pin: "SHA256:short", code: api.Configuration, words: []string{"fingerprint"}},
		{name: "nonsense pin", pin: "MD5:00", code: api.Configuration, words: []string{"pinned host key"}},
		{name: "malformed known_hosts", known: "x\n", pin: hostKey.sum(), code: api.Configuration, words: []string{"known_hosts:1"}},
		{name: "accept new", isNew: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := newHome(t)
			dir.write(t, "known_hosts", c.known)
			addr := server.addr
			if c.addr != "" {
				addr = c.addr
			}
			o := dir.options(addr)
			o.Key, o.HostKey, o.AcceptNew = redact.Secret(user.text(t, "")), c.pin, c.isNew
			conn, err := Dial(context.Background(), o)
			if err == nil {
				defer conn.Close()
			}
			if c.code != "" {
				refused(t, err, c.code, c.words...)
			} else if err != nil {
				t.Fatalf("%v (%s)", err, api.AsError(err).Hint)
			}
			after, err := os.ReadFile(dir.path(".ssh", "known_hosts"))
			if err != nil {
				t.Fatal(err)
			}
			if grew := string(after) != c.known; grew != (c.name == "accept new") {
				t.Errorf("known_hosts became %q", after)
			}
		})
	}
}

func TestAcceptNewRecordsOnceAndHashed(t *testing.T) {
	user, first, second := newKey(t), newKey(t), newKey(t)
	server := startServer(t, []ssh.Signer{first.signer}, user.public)
	dir := newHome(t)
	known := dir.path("new", "known_hosts")
	o := dir.options(server.addr)
	o.KnownHosts, o.AcceptNew, o.Key = []string{known}, true, redact.Secret(user.text(t, ""))
	dial(t, o)
	dial(t, o)
	text, err := os.ReadFile(known)
	if err != nil {
		t.Fatal(err)
	}
	if lines := strings.Count(string(text), "\n"); lines != 1 || !strings.HasPrefix(string(text), "|1|") || strings.Contains(string(text), "127.0.0.1") {
		t.Errorf("known_hosts is %q", text)
	}
	if info, err := os.Stat(known); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	// What was recorded is what is checked from now on.
	if err := os.WriteFile(known, []byte(strings.Replace(string(text), first.line(), second.line(), 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = Dial(context.Background(), o)
	refused(t, err, api.Refused, "changed", first.sum(), second.sum())
}

// A host that was recognised by its pin and then refuses the key is told as that.
func TestPinnedHostRefusesTheKey(t *testing.T) {
	stranger, first, rsaKey := newKey(t), newKey(t), newRSA(t)
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	second := keyOf(t, private)
	server := startServer(t, []ssh.Signer{first.signer, second.signer, rsaKey.signer})
	o := newHome(t).options(server.addr)
	o.HostKey, o.Key = second.sum(), redact.Secret(stranger.text(t, ""))
	_, err = Dial(context.Background(), o)
	refused(t, err, api.Refused, "took none of the keys", stranger.sum())
}

func TestHostCertificates(t *testing.T) {
	user, hostKey, authority, stranger := newKey(t), newKey(t), newKey(t), newKey(t)
	certified := func(by testKey, until time.Duration) ssh.Signer {
		cert := &ssh.Certificate{Key: hostKey.public, CertType: ssh.HostCert, ValidPrincipals: []string{"127.0.0.1"},
			ValidAfter: uint64(time.Now().Add(-2 * time.Hour).Unix()), ValidBefore: uint64(time.Now().Add(until).Unix())}
		if err := cert.SignCert(rand.Reader, by.signer); err != nil {
			t.Fatal(err)
		}
		signer, err := ssh.NewCertSigner(cert, hostKey.signer)
		if err != nil {
			t.Fatal(err)
		}
		return signer
	}
	for _, c := range []struct {
		name  string
		key   ssh.Signer
		words []string
	}{
		{"good", certified(authority, time.Hour), nil},
		{"expired", certified(authority, -time.Hour), []string{"expired"}},
		{"of a stranger", certified(stranger, time.Hour), []string{"certificate"}},
		{"plain key", hostKey.signer, []string{"without a certificate", "HostCertificate"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			server := startServer(t, []ssh.Signer{c.key}, user.public)
			dir := newHome(t)
			hosts := knownhosts.Normalize(server.addr)
			if c.name == "good" { // the usual line names no port
				hosts = "*.0.0.1"
			}
			dir.write(t, "known_hosts", fmt.Sprintf("@cert-authority %s %s\n", hosts, authority.line()))
			o := dir.options(server.addr)
			o.Key = redact.Secret(user.text(t, ""))
			conn, err := Dial(context.Background(), o)
			if err == nil {
				conn.Close()
			}
			if c.words == nil && err != nil {
				t.Fatal(err)
			}
			if c.words != nil {
				refused(t, err, api.Refused, c.words...)
			}
		})
	}
}
