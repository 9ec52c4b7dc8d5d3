// Package keys is the authorized_keys file in sshcommand's form (PLUGIN-CONTRACT 3): each
// key has a name and a forced command, and may do nothing but call the agent. Lines that
// are not ours, and those that older versions of sshcommand wrote, stay as they are.
package keys

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/crypto/ssh"

	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/internal/atomicfile"
)

// restrictions are sshcommand's defaults.
const restrictions = "no-agent-forwarding,no-user-rc,no-X11-forwarding,no-port-forwarding"

// Key is one key of the file.
type Key struct {
	Name        string
	Fingerprint string // SHA256:...
	Allowed     string // the options behind the forced command: SSHCOMMAND_ALLOWED_KEYS
	Public      ssh.PublicKey
	Comment     string
}

var keyName = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.@+-]{0,127}$`)

// File is one authorized_keys file. Command is the path of the file that holds the
// program's name: /home/dokku/.sshcommand.
type File struct {
	Path    string
	Command string
	// Allowed are the options of new lines; empty: sshcommand's defaults.
	Allowed string
	// SameName and SameKey let a name or a key be there twice.
	SameName, SameKey bool
}

// At is the file of the user whose home that is.
func At(home string) File {
	return File{Path: filepath.Join(home, ".ssh", "authorized_keys"), Command: filepath.Join(home, ".sshcommand")}
}

// List returns the keys of the file that have a name; a missing file has none.
func (f File) List() ([]Key, error) {
	text, err := f.read()
	if err != nil {
		return nil, err
	}
	var keys []Key
	for line := range bytes.Lines(text) {
		if key, ok := named(line); ok {
			keys = append(keys, key)
		}
	}
	return keys, nil
}

// Invalid names the lines that are neither keys, comments nor empty: sshd passes them over.
func (f File) Invalid() (lines []int, err error) {
	text, err := f.read()
	if err != nil {
		return nil, err
	}
	number := 0
	for line := range bytes.Lines(text) {
		number++
		line = bytes.TrimSpace(line)
		if len(line) == 0 || line[0] == '#' {
			continue
		}
		if _, _, _, _, err := ssh.ParseAuthorizedKey(line); err != nil {
			lines = append(lines, number)
		}
	}
	return lines, nil
}

// read returns the file's content; a missing file has none.
func (f File) read() ([]byte, error) {
	text, err := os.ReadFile(f.Path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read the keys: %w", err)
	}
	return text, nil
}

// Find returns the entry of a key.
func (f File) Find(public ssh.PublicKey) (Key, bool) {
	keys, err := f.List()
	if err != nil {
		return Key{}, false
	}
	for _, key := range keys {
		if bytes.Equal(key.Public.Marshal(), public.Marshal()) {
			return key, true
		}
	}
	return Key{}, false
}

// Add appends a key that was read from shown, a name for people. A name or a key that is
// there already is refused, and so is what Parse refuses.
func (f File) Add(name, shown string, text []byte) (fingerprint string, err error) {
	if !keyName.MatchString(name) {
		return "", api.Errorf(api.Usage, "add the key", "%q is no key name: letters, digits, _ . @ + -", name)
	}
	public, comment, err := Parse(shown, text)
	if err != nil {
		return "", err
	}
	fingerprint = ssh.FingerprintSHA256(public)
	err = f.change(func(before []byte) ([]byte, error) {
		if err := f.unknown(before, name, shown, fingerprint); err != nil {
			return nil, err
		}
		if len(before) > 0 && !bytes.HasSuffix(before, []byte("\n")) {
			before = append(before, '\n')
		}
		return append(before, f.Line(name, comment, public)...), nil
	})
	if err != nil {
		return "", err
	}
	return fingerprint, nil
}

// unknown refuses a name or a key that one of the lines has.
func (f File) unknown(text []byte, name, shown, fingerprint string) error {
	number := 0
	for line := range bytes.Lines(text) {
		number++
		key, ok := named(line)
		if ok && key.Name == name && !f.SameName {
			return api.Errorf(api.Usage, "add the key", "Duplicate ssh key name: %s:%d", f.Path, number)
		}
		if ok && key.Fingerprint == fingerprint && !f.SameKey {
			return api.Errorf(api.Usage, "add the key", "%s: this key already exists in authorized_keys as %s: %s:%d", shown, key.Name, f.Path, number)
		}
	}
	return nil
}

// Line is a key's line in sshcommand's form.
func (f File) Line(name, comment string, public ssh.PublicKey) string {
	allowed := f.Allowed
	if allowed == "" {
		allowed = restrictions
	}
	line := fmt.Sprintf("command=\"FINGERPRINT=%s NAME=\\\"%s\\\" `cat %s` $SSH_ORIGINAL_COMMAND\",%s %s",
		ssh.FingerprintSHA256(public), name, f.Command, allowed, strings.TrimSpace(string(ssh.MarshalAuthorizedKey(public))))
	if comment != "" {
		line += " " + comment
	}
	return line + "\n"
}

// Remove deletes the keys of a name; foreign lines stay. A name that is not there is refused.
func (f File) Remove(name string) error {
	return f.remove("there is no key named "+name, func(key Key) bool { return key.Name == name })
}

// RemoveFingerprint deletes the key with a fingerprint, SHA256:... or MD5's colons.
func (f File) RemoveFingerprint(fingerprint string) error {
	return f.remove("there is no key with the fingerprint "+fingerprint, func(key Key) bool {
		return key.Fingerprint == fingerprint || ssh.FingerprintLegacyMD5(key.Public) == strings.TrimPrefix(fingerprint, "MD5:")
	})
}

func (f File) remove(none string, is func(Key) bool) error {
	return f.change(func(before []byte) ([]byte, error) {
		var kept []byte
		removed := false
		for line := range bytes.Lines(before) {
			if key, ok := named(line); ok && is(key) {
				removed = true
				continue
			}
			kept = append(kept, line...)
		}
		if !removed {
			return nil, api.Errorf(api.Usage, "remove the key", "%s", none)
		}
		return kept, nil
	})
}

// change reads the file, and writes what to makes of it, while nobody else does.
func (f File) change(to func(before []byte) ([]byte, error)) error {
	release, err := f.lock()
	if err != nil {
		return err
	}
	defer release()
	before, err := f.read()
	if err != nil {
		return err
	}
	after, err := to(slices.Clip(before))
	if err != nil {
		return err
	}
	if err := atomicfile.WriteFile(f.Path, after, 0o600); err != nil {
		return fmt.Errorf("write the keys: %w", err)
	}
	return nil
}
