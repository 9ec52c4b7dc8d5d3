package sshsig

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/dokku-push/dokku-push/api"
)

const space = "release@dokku-push"

// key makes a key with the real ssh-keygen, and returns its file and public line.
func key(t *testing.T, kind string) (file, public string) {
	t.Helper()
	file = filepath.Join(t.TempDir(), "key")
	keygen(t, "", "-q", "-t", kind, "-N", "", "-C", "", "-f", file)
	text, err := os.ReadFile(file + ".pub")
	if err != nil {
		t.Fatal(err)
	}
	return file, strings.TrimSpace(string(text))
}

func keygen(t *testing.T, in string, args ...string) string {
	t.Helper()
	cmd := exec.Command("ssh-keygen", args...)
	cmd.Stdin = strings.NewReader(in)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("ssh-keygen %q: %v", args, err)
	}
	return string(out)
}

// TestVerify judges what the real ssh-keygen has signed.
func TestVerify(t *testing.T) {
	const text = "a statement\n"
	now := time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)
	file, public := key(t, "ed25519")
	_, stranger := key(t, "ed25519")
	parsed, _, _, _, err := ssh.ParseAuthorizedKey([]byte(public))
	if err != nil {
		t.Fatal(err)
	}
	signature := keygen(t, text, "-q", "-Y", "sign", "-f", file, "-n", space)
	elsewhere := keygen(t, text, "-q", "-Y", "sign", "-f", file, "-n", "git")
	for _, test := range []struct {
		name, text, signature string
		allowed               []string
		signer, says          string // who, or why not
	}{
		{"listed", text, signature, []string{"bob " + stranger, "alice,ci " + public}, "alice,ci", ""},
		{"quoted name", text, signature, []string{`"alice ci" ` + public}, "alice ci", ""},
		{"nobody asked", text, signature, nil, "", ""},
		{"namespace named", text, signature, []string{`alice namespaces="git,release@*" ` + public}, "alice", ""},
		{"valid now", text, signature, []string{`alice valid-after="20261121Z",valid-before="202611211001Z" ` + public}, "alice", ""},
		{"a second line allows", text, signature, []string{`alice valid-before="2020" ` + public, "alice " + public}, "", "cannot be read"},
		{"expired, then again", text, signature, []string{`alice valid-before="20200101Z" ` + public, "alice " + public}, "alice", ""},
		{"stranger", text, signature, []string{"bob " + stranger}, "", "not among the app's allowed signers"},
		{"nobody", text, signature, []string{}, "", "not among the app's allowed signers"},
		{"tampered", "a statement \n", signature, []string{"alice " + public}, "", "changed afterwards"},
		{"tampered, nobody asked", "a statement \n", signature, nil, "", "changed afterwards"},
		{"for git", text, elsewhere, []string{"alice " + public}, "", `made for "git"`},
		{"for other namespaces", text, signature, []string{`alice namespaces="*,!release@*" ` + public}, "", "may not sign for"},
		{"expired", text, signature, []string{`alice valid-before="20261121100000Z" ` + public}, "", "has expired"},
		{"not yet", text, signature, []string{`alice valid-after="20261122Z" ` + public}, "", "is valid from"},
		{"an authority", text, signature, []string{"alice cert-authority " + public}, "", "cert-authority is not supported"},
		{"no list", text, signature, []string{"alice"}, "", "cannot be read"},
		{"no signature", text, "signed, honestly", []string{"alice " + public}, "", "not what ssh-keygen -Y sign writes"},
	} {
		t.Run(test.name, func(t *testing.T) {
			by, err := Verifier{}.Verify(test.text, test.signature, space, test.allowed, now)
			if test.says == "" {
				if err != nil || by.Name != test.signer || by.Key != ssh.FingerprintSHA256(parsed) {
					t.Errorf("signed by %+v, %v", by, err)
				}
				return
			}
			refused, ok := errors.AsType[*api.Error](err)
			if !ok || refused.Code != api.Refused || !strings.Contains(refused.Error(), test.says) {
				t.Errorf("it says %v, want %q", err, test.says)
			}
		})
	}
}

// TestKinds: every usual kind of key.
func TestKinds(t *testing.T) {
	for _, kind := range []string{"rsa", "ecdsa"} {
		file, public := key(t, kind)
		signature := keygen(t, "text", "-q", "-Y", "sign", "-f", file, "-n", space)
		if by, err := (Verifier{}).Verify("text", signature, space, []string{"alice " + public}, time.Now()); err != nil || by.Name != "alice" {
			t.Errorf("%s: %+v, %v", kind, by, err)
		}
	}
}

// FuzzParse: a line is read or refused; what is read has a key, and a name that is not empty.
func FuzzParse(f *testing.F) {
	const public = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAkTPiJlRWDq4SiEkcvYJFDSbaHg5jZ1hV9dY9SLjZ6z"
	for _, text := range []string{"", "alice", `"`, "alice " + public, `"a b" valid-before="2020" ` + public, `a namespaces="x,!y" ` + public} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		line, err := Parse(text)
		if err == nil && (line.Key == nil || strings.Trim(line.Principals, ", ") == "") {
			t.Errorf("%q is read as %+v", text, line)
		}
	})
}
