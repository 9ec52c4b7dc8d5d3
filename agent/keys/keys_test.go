package keys

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/crypto/ssh"

	"github.com/dokku-push/dokku-push/api"
)

// public makes the n-th key as it stands in an id_ed25519.pub file.
func public(t *testing.T, n byte, comment string) []byte {
	t.Helper()
	seed := bytes.Repeat([]byte{n}, ed25519.SeedSize)
	key, err := ssh.NewPublicKey(ed25519.NewKeyFromSeed(seed).Public())
	if err != nil {
		t.Fatal(err)
	}
	text := bytes.TrimSpace(ssh.MarshalAuthorizedKey(key))
	if comment != "" {
		text = append(text, " "+comment...)
	}
	return append(text, '\n')
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func newFile(t *testing.T) File {
	return File{Path: filepath.Join(t.TempDir(), "authorized_keys"), Command: "/home/dokku/.sshcommand"}
}

func read(t *testing.T, f File) string {
	t.Helper()
	text, err := os.ReadFile(f.Path)
	must(t, err)
	return string(text)
}

// names are the file's names in order.
func names(t *testing.T, f File) string {
	t.Helper()
	keys, err := f.List()
	must(t, err)
	var names []string
	for _, key := range keys {
		names = append(names, key.Name)
	}
	return strings.Join(names, " ")
}

// TestLine: sshcommand's form, field by field (PLUGIN-CONTRACT 3.2).
func TestLine(t *testing.T) {
	f := newFile(t)
	text := public(t, 1, "alice@laptop")
	fingerprint, err := f.Add("alice", text)
	must(t, err)
	want := `command="FINGERPRINT=` + fingerprint + ` NAME=\"alice\" ` + "`cat /home/dokku/.sshcommand`" + ` $SSH_ORIGINAL_COMMAND",` +
		`no-agent-forwarding,no-user-rc,no-X11-forwarding,no-port-forwarding ` + string(text)
	if diff := cmp.Diff(want, read(t, f)); diff != "" {
		t.Error(diff)
	}
	if !strings.HasPrefix(fingerprint, "SHA256:") {
		t.Errorf("the fingerprint is %s", fingerprint)
	}
	key, _, options, rest, err := ssh.ParseAuthorizedKey([]byte(read(t, f)))
	if err != nil || len(rest) != 0 || len(options) != 5 || ssh.FingerprintSHA256(key) != fingerprint {
		t.Errorf("sshd would read %v with %q, %v", key, options, err)
	}
	if info, err := os.Stat(f.Path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("its mode is %v, %v", info.Mode(), err)
	}
}

func TestAddListRemove(t *testing.T) {
	f := newFile(t)
	if got := names(t, f); got != "" {
		t.Errorf("a file that is not there has %q", got)
	}
	for n, name := range []string{"alice", "bob", "carol@ci.example.com"} {
		_, err := f.Add(name, public(t, byte(n), ""))
		must(t, err)
	}
	if got := names(t, f); got != "alice bob carol@ci.example.com" {
		t.Errorf("it has %q", got)
	}
	bob, _, err := Parse(public(t, 1, "another comment"))
	must(t, err)
	if key, ok := f.Find(bob); !ok || key.Name != "bob" || key.Fingerprint != ssh.FingerprintSHA256(bob) {
		t.Errorf("found %+v, %t", key, ok)
	}
	must(t, f.Remove("bob"))
	if key, ok := f.Find(bob); ok {
		t.Errorf("found %+v", key)
	}
	if got := names(t, f); got != "alice carol@ci.example.com" {
		t.Errorf("it has %q", got)
	}
	was := read(t, f)
	for _, name := range []string{"bob", "", "alic", "alice ", "carol"} {
		if err := f.Remove(name); api.AsError(err) == nil || api.AsError(err).Code != api.Usage {
			t.Errorf("removing %q: %v", name, err)
		}
	}
	if read(t, f) != was {
		t.Error("a refused removal changed the file")
	}
	if _, err := f.Add("bob", public(t, 1, "")); err != nil {
		t.Errorf("a removed key cannot come back: %v", err)
	}
	if info, err := os.Stat(f.Path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("its mode is %v, %v", info.Mode(), err)
	}
}

// TestForeignLines: what is not ours stays byte for byte, and is no key of ours.
func TestForeignLines(t *testing.T) {
	f := newFile(t)
	foreign := "# mine\n\n" + string(public(t, 7, "root@host")) + `command="/bin/true",no-pty ` + string(public(t, 8, "")) + "not a key at all\n" +
		"  " + strings.TrimSpace(string(public(t, 9, ""))) // and no newline at the end
	must(t, os.WriteFile(f.Path, []byte(foreign), 0o644))
	_, err := f.Add("alice", public(t, 1, ""))
	must(t, err)
	if got := read(t, f); !strings.HasPrefix(got, foreign+"\ncommand=") || names(t, f) != "alice" {
		t.Errorf("it is now:\n%s", got)
	}
	must(t, f.Remove("alice"))
	if diff := cmp.Diff(foreign+"\n", read(t, f)); diff != "" {
		t.Error(diff)
	}
}

func TestRefused(t *testing.T) {
	f := newFile(t)
	_, err := f.Add("alice", public(t, 1, ""))
	must(t, err)
	was := read(t, f)
	for name, test := range map[string]struct {
		key  string
		text []byte
		want string
	}{
		"a known name":    {"alice", public(t, 2, ""), "Duplicate ssh key name"},
		"a known key":     {"bob", public(t, 1, "x"), "already exists in authorized_keys as alice"},
		"no key":          {"bob", nil, "this is no ssh public key"},
		"half a key":      {"bob", public(t, 2, "")[:40], "this is no ssh public key"},
		"a private key":   {"bob", []byte("-----BEGIN OPENSSH PRIVATE KEY-----"), "this is no ssh public key"},
		"options":         {"bob", append([]byte(`command="/bin/sh" `), public(t, 2, "")...), "this is no ssh public key"},
		"an option":       {"bob", append([]byte("no-pty "), public(t, 2, "")...), "this is no ssh public key"},
		"two keys":        {"bob", append(public(t, 2, ""), public(t, 3, "")...), "exactly one line"},
		"a second line":   {"bob", append(public(t, 2, ""), "# x"...), "exactly one line"},
		"a carriage":      {"bob", []byte(strings.Replace(string(public(t, 2, "x y")), " x", "\rx", 1)), "exactly one line"},
		"no name":         {"", public(t, 2, ""), "is no key name"},
		"a quote":         {`a"b`, public(t, 2, ""), "is no key name"},
		"a blank":         {"a b", public(t, 2, ""), "is no key name"},
		"a backquote":     {"a`id`", public(t, 2, ""), "is no key name"},
		"a line in it":    {"a\nb", public(t, 2, ""), "is no key name"},
		"a line after it": {"a\n", public(t, 2, ""), "is no key name"},
		"a flag":          {"-a", public(t, 2, ""), "is no key name"},
		"a long name":     {strings.Repeat("a", 129), public(t, 2, ""), "is no key name"},
	} {
		t.Run(name, func(t *testing.T) {
			fingerprint, err := f.Add(test.key, test.text)
			if problem := api.AsError(err); err == nil || problem.Code != api.Usage || !strings.Contains(problem.Message, test.want) || fingerprint != "" {
				t.Errorf("%q, %v; want %q", fingerprint, err, test.want)
			}
			if read(t, f) != was {
				t.Errorf("the file is now:\n%s", read(t, f))
			}
		})
	}
}

// TestUnreadable: a file that cannot be read is no empty one, and not overwritten.
func TestUnreadable(t *testing.T) {
	f := newFile(t)
	must(t, os.Mkdir(f.Path, 0o700))
	_, addErr := f.Add("alice", public(t, 1, ""))
	_, listErr := f.List()
	for what, err := range map[string]error{"add": addErr, "list": listErr, "remove": f.Remove("alice")} {
		if err == nil {
			t.Errorf("%s succeeded", what)
		}
	}
	if key, ok := f.Find(nil); ok {
		t.Errorf("found %+v", key)
	}
}

// TestNeverHalfAFile: whoever reads while keys come and go sees whole lines and the key
// that is always there.
func TestNeverHalfAFile(t *testing.T) {
	f := newFile(t)
	_, err := f.Add("always", public(t, 1, ""))
	must(t, err)
	always, _, err := Parse(public(t, 1, ""))
	must(t, err)
	done := make(chan struct{})
	var reader sync.WaitGroup
	reader.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
			}
			text, err := os.ReadFile(f.Path)
			if _, ok := f.Find(always); err != nil || !ok || !bytes.HasSuffix(text, []byte("\n")) {
				t.Errorf("seen: %v, %q", err, text)
				return
			}
		}
	})
	for n := range byte(15) {
		name := fmt.Sprint("key", n)
		_, err := f.Add(name, public(t, n+2, ""))
		err = errors.Join(err, f.Remove(name))
		if err != nil {
			t.Error(err)
		}
	}
	close(done)
	reader.Wait()
	entries, err := os.ReadDir(filepath.Dir(f.Path))
	if err != nil || len(entries) != 1 {
		t.Errorf("left in the folder: %v, %v", entries, err)
	}
}

func TestLoadOrCreate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "host_key")
	first, err := LoadOrCreate(path)
	must(t, err)
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("its mode is %v, %v", info.Mode(), err)
	}
	second, err := LoadOrCreate(path)
	must(t, err)
	if !bytes.Equal(first.PublicKey().Marshal(), second.PublicKey().Marshal()) || first.PublicKey().Type() != ssh.KeyAlgoED25519 {
		t.Errorf("%s, then %s", ssh.FingerprintSHA256(first.PublicKey()), ssh.FingerprintSHA256(second.PublicKey()))
	}
	must(t, os.WriteFile(path, []byte("-----BEGIN OPENSSH PRIVATE KEY-----\nx\n"), 0o600))
	if _, err := LoadOrCreate(path); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("a broken key gives %v", err)
	}
	if text, _ := os.ReadFile(path); !strings.HasSuffix(string(text), "\nx\n") {
		t.Error("a broken key was overwritten")
	}
}
