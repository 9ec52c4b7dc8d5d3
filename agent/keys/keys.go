// Package keys is the authorized_keys file in sshcommand's form (PLUGIN-CONTRACT 3.2):
// each key has a name and a forced command, and may do nothing but call the agent.
// Lines that are not ours stay as they are.
package keys

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"regexp"
	"strings"

	"golang.org/x/crypto/ssh"

	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/internal/atomicfile"
)

// restrictions are sshcommand's defaults: SSHCOMMAND_ALLOWED_KEYS.
const restrictions = "no-agent-forwarding,no-user-rc,no-X11-forwarding,no-port-forwarding"

// Key is one key of the file.
type Key struct {
	Name        string
	Fingerprint string // SHA256:...
	Public      ssh.PublicKey
}

var (
	keyName     = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.@+-]{0,127}$`)
	forcedName  = regexp.MustCompile(`NAME=\\?"?([^"\\ ]+)`)
	sshcommand  = "`cat %s` $SSH_ORIGINAL_COMMAND"
	errOneLine  = errors.New("a public key is exactly one line")
	errNoPublic = errors.New("this is no ssh public key")
)

// File is one authorized_keys file. Command is the path of the file that holds the
// program's name: /home/dokku/.sshcommand.
type File struct {
	Path    string
	Command string
}

// Parse reads a public key as it stands in an id_*.pub file.
func Parse(text []byte) (ssh.PublicKey, string, error) {
	text = bytes.TrimSpace(text)
	if bytes.ContainsAny(text, "\r\n") {
		return nil, "", errOneLine
	}
	public, comment, options, _, err := ssh.ParseAuthorizedKey(text)
	if err != nil || len(options) > 0 {
		return nil, "", errNoPublic
	}
	return public, comment, nil
}

// List returns the keys of the file that have a name; a missing file has none.
func (f File) List() ([]Key, error) {
	text, err := os.ReadFile(f.Path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the keys: %w", err)
	}
	var keys []Key
	lines := bufio.NewScanner(bytes.NewReader(text))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		public, _, options, _, err := ssh.ParseAuthorizedKey(lines.Bytes())
		if err != nil {
			continue // a comment, or nothing that sshd would take
		}
		if name := nameIn(options); name != "" {
			keys = append(keys, Key{Name: name, Fingerprint: ssh.FingerprintSHA256(public), Public: public})
		}
	}
	return keys, lines.Err()
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

// Add appends a key. A name or a key that is there already is refused.
func (f File) Add(name string, text []byte) (fingerprint string, err error) {
	if !keyName.MatchString(name) {
		return "", api.Errorf(api.Usage, "add the key", "%q is no key name: letters, digits, _ . @ + -", name)
	}
	public, comment, err := Parse(text)
	if err != nil {
		return "", api.Errorf(api.Usage, "add the key", "%w", err)
	}
	known, err := f.List()
	if err != nil {
		return "", err
	}
	fingerprint = ssh.FingerprintSHA256(public)
	for _, key := range known {
		if key.Name == name {
			return "", api.Errorf(api.Usage, "add the key", "Duplicate ssh key name")
		}
		if key.Fingerprint == fingerprint {
			return "", api.Errorf(api.Usage, "add the key", "Key specified in already exists in authorized_keys as %s", key.Name)
		}
	}
	before, err := os.ReadFile(f.Path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("read the keys: %w", err)
	}
	if len(before) > 0 && !bytes.HasSuffix(before, []byte("\n")) {
		before = append(before, '\n')
	}
	if err := atomicfile.WriteFile(f.Path, append(before, f.Line(name, comment, public)...), 0o600); err != nil {
		return "", fmt.Errorf("write the keys: %w", err)
	}
	return fingerprint, nil
}

// Line is a key's line in sshcommand's form.
func (f File) Line(name, comment string, public ssh.PublicKey) string {
	command := fmt.Sprintf(`command="FINGERPRINT=%s NAME=\"%s\" `+sshcommand+`"`, ssh.FingerprintSHA256(public), name, f.Command)
	line := command + "," + restrictions + " " + strings.TrimSpace(string(ssh.MarshalAuthorizedKey(public)))
	if comment != "" {
		line += " " + comment
	}
	return line + "\n"
}

// Remove deletes the keys of a name; foreign lines stay. A name that is not there is refused.
func (f File) Remove(name string) error {
	text, err := os.ReadFile(f.Path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("read the keys: %w", err)
	}
	var kept []byte
	removed := false
	for line := range bytes.Lines(text) {
		_, _, options, _, err := ssh.ParseAuthorizedKey(bytes.TrimSpace(line))
		if err == nil && nameIn(options) == name {
			removed = true
			continue
		}
		kept = append(kept, line...)
	}
	if !removed {
		return api.Errorf(api.Usage, "remove the key", "there is no key named %s", name)
	}
	if err := atomicfile.WriteFile(f.Path, kept, 0o600); err != nil {
		return fmt.Errorf("write the keys: %w", err)
	}
	return nil
}

// nameIn is the name in a key's forced command; empty when it has none.
func nameIn(options []string) string {
	for _, option := range options {
		if found := forcedName.FindStringSubmatch(option); found != nil && strings.HasPrefix(option, "command=") {
			return found[1]
		}
	}
	return ""
}
