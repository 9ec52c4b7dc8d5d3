package remote

import (
	"crypto/rand"
	"encoding/json"
	"encoding/pem"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/dokku-push/dokku-push/api"
)

// certificate makes one of a key, as a host's authority does.
func certificate(t *testing.T, authority ssh.Signer, key ssh.PublicKey, ends time.Time) *ssh.Certificate {
	t.Helper()
	made := &ssh.Certificate{Key: key, CertType: ssh.UserCert, KeyId: "job", ValidPrincipals: []string{"x"}, ValidBefore: uint64(ends.Unix())}
	if err := made.SignCert(rand.Reader, authority); err != nil {
		t.Fatal(err)
	}
	return made
}

// TestCertificate: the certificate beside a key's file is what a host is offered first.
func TestCertificate(t *testing.T) {
	user, hostKey, authority, stranger := newKey(t), newKey(t), newKey(t), newKey(t)
	file := filepath.Join(t.TempDir(), "key")
	block, err := ssh.MarshalPrivateKey(user.private, "")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
		t.Fatal(err)
	}
	good := certificate(t, authority.signer, user.public, time.Now().Add(time.Hour))
	server := startServer(t, []ssh.Signer{hostKey.signer}, good)
	for _, test := range []struct {
		name, want string
		text       []byte
	}{
		{"good", "", ssh.MarshalAuthorizedKey(good)},
		{"expired", "expired at", ssh.MarshalAuthorizedKey(certificate(t, authority.signer, user.public, time.Now().Add(-time.Hour)))},
		{"another key's", "no certificate of the key", ssh.MarshalAuthorizedKey(certificate(t, authority.signer, stranger.public, time.Now().Add(time.Hour)))},
		{"no certificate", "no certificate of the key", []byte("hello\n")},
	} {
		if err := os.WriteFile(file+"-cert.pub", test.text, 0o600); err != nil {
			t.Fatal(err)
		}
		conn, err := Dial(t.Context(), Options{Target: "dokku@" + server.addr, KeyFile: file, HostKey: ssh.FingerprintSHA256(hostKey.public), Home: t.TempDir(), AgentSocket: "none"})
		if test.want != "" {
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%s: %v", test.name, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
			continue
		}
		if signed, err := conn.Sign(t.Context(), "text", "test", file); err != nil || !strings.Contains(signed, "SSH SIGNATURE") {
			t.Errorf("sign with the key of a certificate: %q, %v", signed, err)
		}
		conn.Close()
	}
}

// TestExchange: the host is asked with the door's key alone, after its own key was verified.
func TestExchange(t *testing.T) {
	hostKey := newKey(t)
	door, err := ssh.NewPublicKey(api.DoorKey().Public())
	if err != nil {
		t.Fatal(err)
	}
	server := startServer(t, []ssh.Signer{hostKey.signer}, door)
	var asked api.AuthRequest
	answer := api.AuthAnswer{Certificate: "a line", Name: "job"}
	server.exec = func(command string, ch ssh.Channel) int {
		text, _ := io.ReadAll(ch)
		if err := json.Unmarshal(text, &asked); err != nil || command != api.AuthCommand {
			t.Errorf("%s: %v", command, err)
		}
		_ = json.NewEncoder(ch).Encode(answer)
		return 0
	}
	options := Options{Target: "dokku@" + server.addr, HostKey: ssh.FingerprintSHA256(hostKey.public), Home: t.TempDir(), KeyFile: "/nowhere"}
	got, err := Exchange(t.Context(), options, "token", []string{"shop"})
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.ParsePrivateKey([]byte(got.Key.Reveal()))
	if err != nil || asked.Token != "token" || got.Certificate != "a line" || strings.TrimSpace(string(ssh.MarshalAuthorizedKey(signer.PublicKey()))) != asked.PublicKey {
		t.Errorf("asked %+v, got %+v, %v", asked, got, err)
	}
	answer = api.AuthAnswer{Error: api.Errorf(api.Refused, "judge", "not you")}
	if _, err := Exchange(t.Context(), options, "token", []string{"shop"}); err == nil || api.AsError(err).Code != api.Refused || !strings.Contains(err.Error(), "not you") {
		t.Errorf("a refusal: %v", err)
	}
	answer = api.AuthAnswer{}
	if _, err := Exchange(t.Context(), options, "token", []string{"shop"}); err == nil || !strings.Contains(err.Error(), "no certificate") {
		t.Errorf("nothing: %v", err)
	}
	asked = api.AuthRequest{}
	options.HostKey = ssh.FingerprintSHA256(newKey(t).public)
	if _, err := Exchange(t.Context(), options, "token", []string{"shop"}); err == nil || asked.Token != "" {
		t.Errorf("a host of another key got the token %q, %v", asked.Token, err)
	}
	closed := startServer(t, []ssh.Signer{hostKey.signer})
	options.Target, options.HostKey = "dokku@"+closed.addr, ssh.FingerprintSHA256(hostKey.public)
	if _, err := Exchange(t.Context(), options, "token", []string{"shop"}); err == nil || !strings.Contains(err.Error(), "takes no tokens") {
		t.Errorf("a closed door: %v", err)
	}
}
