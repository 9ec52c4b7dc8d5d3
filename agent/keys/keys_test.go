package keys

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rsa"
	"encoding/base64"
	"errors"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
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
	fingerprint, err := f.Add("alice", "stdin", text)
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
		_, err := f.Add(name, "stdin", public(t, byte(n), ""))
		must(t, err)
	}
	if got := names(t, f); got != "alice bob carol@ci.example.com" {
		t.Errorf("it has %q", got)
	}
	bob, _, err := Parse("stdin", public(t, 1, "another comment"))
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
	if _, err := f.Add("bob", "stdin", public(t, 1, "")); err != nil {
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
	_, err := f.Add("alice", "stdin", public(t, 1, ""))
	must(t, err)
	if got := read(t, f); !strings.HasPrefix(got, foreign+"\ncommand=") || names(t, f) != "alice" {
		t.Errorf("it is now:\n%s", got)
	}
	must(t, f.Remove("alice"))
	if diff := cmp.Diff(foreign+"\n", read(t, f)); diff != "" {
		t.Error(diff)
	}
}

// material makes keys of kinds that are refused, as ssh-keygen would write them.
func material(t *testing.T, kind string) string {
	t.Helper()
	var public any
	switch kind {
	case "rsa1024", "rsa2048":
		bits := 1024
		if kind == "rsa2048" {
			bits = 2048
		}
		// An odd number of so many bits is enough for a public key.
		modulus := new(big.Int).SetBit(big.NewInt(1), bits-1, 1)
		public = &rsa.PublicKey{N: modulus, E: 65537}
	case "dsa":
		blob := ssh.Marshal(struct {
			Name       string
			P, Q, G, Y *big.Int
		}{"ssh-dss", new(big.Int).SetBit(big.NewInt(1), 1023, 1), new(big.Int).SetBit(big.NewInt(1), 159, 1), big.NewInt(2), big.NewInt(3)})
		return "ssh-dss " + base64.StdEncoding.EncodeToString(blob)
	}
	key, err := ssh.NewPublicKey(public)
	must(t, err)
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key)))
}

func TestRefused(t *testing.T) {
	f := newFile(t)
	_, err := f.Add("alice", "stdin", public(t, 1, ""))
	must(t, err)
	was := read(t, f)
	good := string(public(t, 2, ""))
	for name, test := range map[string]struct{ key, text, want string }{
		"a known name":      {"alice", good, "Duplicate ssh key name: " + f.Path + ":1"},
		"a known key":       {"bob", string(public(t, 1, "x")), "already exists in authorized_keys as alice: " + f.Path + ":1"},
		"no key":            {"bob", "", "key.pub:1: Invalid ssh public key"},
		"half a key":        {"bob", good[:40], "key.pub:1: Invalid ssh public key"},
		"a private key":     {"bob", "\n-----BEGIN OPENSSH PRIVATE KEY-----\nx\n", "key.pub:2: this is a private key"},
		"an old one":        {"bob", "-----BEGIN RSA PRIVATE KEY-----", "key.pub:1: this is a private key"},
		"PuTTY's":           {"bob", "PuTTY-User-Key-File-2: ssh-rsa\n", "key.pub:1: this is a private key"},
		"options":           {"bob", `command="/bin/sh" ` + good, "key.pub:1: a key is added without options"},
		"an option":         {"bob", "no-pty " + good, "key.pub:1: a key is added without options"},
		"two keys":          {"bob", good + string(public(t, 3, "")), "key.pub:2: a public key is exactly one line"},
		"a second line":     {"bob", good + "# x", "key.pub:2: a public key is exactly one line"},
		"a carriage return": {"bob", strings.Replace(string(public(t, 2, "x y")), " x", "\rx", 1), "key.pub:1: it holds control characters"},
		"an escape":         {"bob", string(public(t, 2, "x\x1b[2J")), "key.pub:1: it holds control characters"},
		"a NUL":             {"bob", "\n" + string(public(t, 2, "x\x00")), "key.pub:2: it holds control characters"},
		"no text":           {"bob", string(public(t, 2, "\xff")), "key.pub:1: it holds control characters"},
		"a long comment":    {"bob", string(public(t, 2, strings.Repeat("x", mostLine))), "key.pub:1: it is too long"},
		"DSA":               {"bob", material(t, "dsa"), "key.pub:1: a DSA key is too weak"},
		"RSA of 1024 bits":  {"bob", "\n\n" + material(t, "rsa1024"), "key.pub:3: an RSA key of less than 2048 bits"},
		"no name":           {"", good, "is no key name"},
		"a quote":           {`a"b`, good, "is no key name"},
		"a blank":           {"a b", good, "is no key name"},
		"a backquote":       {"a`id`", good, "is no key name"},
		"a line in it":      {"a\nb", good, "is no key name"},
		"a line after it":   {"a\n", good, "is no key name"},
		"a flag":            {"-a", good, "is no key name"},
		"a long name":       {strings.Repeat("a", 129), good, "is no key name"},
	} {
		t.Run(name, func(t *testing.T) {
			fingerprint, err := f.Add(test.key, "key.pub", []byte(test.text))
			if problem := api.AsError(err); err == nil || problem.Code != api.Usage || !strings.Contains(problem.Message, test.want) || fingerprint != "" {
				t.Errorf("%q, %v; want %q", fingerprint, err, test.want)
			}
			if read(t, f) != was {
				t.Errorf("the file is now:\n%s", read(t, f))
			}
		})
	}
	if _, err := f.Add("rsa", "key.pub", []byte(material(t, "rsa2048")+" carol\r\n")); err != nil {
		t.Errorf("a good RSA key: %v", err)
	}
}

// TestOldForms: lines of older versions of sshcommand have their names, and stay byte for byte.
func TestOldForms(t *testing.T) {
	f := newFile(t)
	line := func(n byte, forced, options string) string {
		return `command="` + forced + " `cat /home/dokku/.sshcommand` $SSH_ORIGINAL_COMMAND\"" + options + " " + string(public(t, n, "c d"))
	}
	old := line(1, "FINGERPRINT=50:75:35:f4:17:2d:20:53:12:c3:0f:06:ce:4f:2d:63 NAME=admin", ",no-agent-forwarding") +
		line(2, `FINGERPRINT=SHA256:x NAME=\"two words\"`, ",no-user-rc,no-port-forwarding") +
		line(3, `HOSTNAME=other`, "") + "\n#" + line(4, "NAME=off", "") + line(5, "NAME=first", ",restrict")
	must(t, os.WriteFile(f.Path, []byte(old), 0o600))
	if got := names(t, f); got != "admin two words first" {
		t.Errorf("it has %q", got)
	}
	_, err := f.Add("bob", "stdin", public(t, 9, ""))
	must(t, err)
	must(t, f.Remove("bob"))
	if diff := cmp.Diff(old, read(t, f)); diff != "" {
		t.Error(diff)
	}
	admin, _, err := Parse("stdin", public(t, 1, ""))
	must(t, err)
	must(t, f.RemoveFingerprint("MD5:"+ssh.FingerprintLegacyMD5(admin)))
	words, _, err := Parse("stdin", public(t, 2, ""))
	must(t, err)
	must(t, f.RemoveFingerprint(ssh.FingerprintSHA256(words)))
	if err := f.RemoveFingerprint("SHA256:unknown"); err == nil || !strings.Contains(err.Error(), "SHA256:unknown") {
		t.Errorf("an unknown fingerprint: %v", err)
	}
	_, rest, _ := strings.Cut(old, "HOSTNAME")
	if got := read(t, f); !strings.HasSuffix(got, rest) || names(t, f) != "first" {
		t.Errorf("left is:\n%s", got)
	}
}

// TestTogether: of many that add at once none is lost, and none is there twice.
func TestTogether(t *testing.T) {
	f := newFile(t)
	must(t, os.WriteFile(f.Path, []byte("# mine\n"), 0o600))
	texts := make([][]byte, 20)
	for n := range texts {
		texts[n] = public(t, byte(n+1), "")
	}
	var running sync.WaitGroup
	var same atomic.Int32
	for n := range 20 {
		running.Go(func() {
			if _, err := f.Add(fmt.Sprint("key", n), "stdin", texts[n]); err != nil {
				t.Error(err)
			}
			if _, err := f.Add("contested", "stdin", append(bytes.TrimSpace(texts[n]), " x"...)); err == nil {
				same.Add(1)
			}
		})
	}
	running.Wait()
	if text := read(t, f); strings.Count(text, "\n") != 21 || same.Load() != 0 || !strings.HasPrefix(text, "# mine\n") {
		t.Errorf("%d lines, %d of the same key:\n%s", strings.Count(text, "\n"), same.Load(), text)
	}
}

func TestPrint(t *testing.T) {
	f := newFile(t)
	var out bytes.Buffer
	if err := f.Print(&out, "", "text", false); err == nil || out.Len() != 0 {
		t.Errorf("no file: %v, %q", err, &out)
	}
	if err := f.Print(&out, "", "json", true); err != nil || out.String() != "[]\n" {
		t.Errorf("no file, leniently: %v, %q", err, &out)
	}
	f.Allowed = "restrict,pty"
	one, err := f.Add("alice", "stdin", public(t, 1, "alice@laptop"))
	must(t, err)
	f.Allowed = ""
	two, err := f.Add("bob", "stdin", public(t, 2, ""))
	must(t, err)
	for _, test := range []struct{ name, format, want string }{
		{"", "text", one + ` NAME="alice" SSHCOMMAND_ALLOWED_KEYS="restrict,pty"` + "\n" + two + ` NAME="bob" SSHCOMMAND_ALLOWED_KEYS="` + restrictions + `"` + "\n"},
		{"bob", "text", two + ` NAME="bob" SSHCOMMAND_ALLOWED_KEYS="` + restrictions + `"` + "\n"},
		{"alice", "json", `[{"fingerprint":"` + one + `","name":"alice","SSHCOMMAND_ALLOWED_KEYS":"restrict,pty","public-key":"` +
			strings.TrimSpace(string(public(t, 1, "alice@laptop"))) + `"}]` + "\n"},
	} {
		out.Reset()
		must(t, f.Print(&out, test.name, test.format, false))
		if diff := cmp.Diff(test.want, out.String()); diff != "" {
			t.Errorf("%s %s: %s", test.name, test.format, diff)
		}
	}
	for _, test := range [][2]string{{"carol", "text"}, {"", "yaml"}} {
		out.Reset()
		if err := f.Print(&out, test[0], test[1], false); err == nil || out.Len() != 0 {
			t.Errorf("%q: %v, %q", test, err, &out)
		}
	}
	must(t, os.WriteFile(f.Path, []byte(read(t, f)+"rubbish\n"), 0o600))
	if err := f.Print(&out, "", "text", false); err == nil || !strings.Contains(err.Error(), f.Path+":3") {
		t.Errorf("with a line that is no key: %v", err)
	}
	must(t, f.Print(&out, "", "text", true))
}

// TestUnreadable: a file that cannot be read is no empty one, and not overwritten.
func TestUnreadable(t *testing.T) {
	f := newFile(t)
	must(t, os.Mkdir(f.Path, 0o700))
	_, addErr := f.Add("alice", "stdin", public(t, 1, ""))
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
	_, err := f.Add("always", "stdin", public(t, 1, ""))
	must(t, err)
	always, _, err := Parse("stdin", public(t, 1, ""))
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
		_, err := f.Add(name, "stdin", public(t, n+2, ""))
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
