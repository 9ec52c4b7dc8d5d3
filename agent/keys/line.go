package keys

import (
	"bytes"
	"context"
	"crypto/rsa"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/crypto/ssh"

	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/internal/dirlock"
)

const (
	fewestBits = 2048     // of an RSA key
	mostLine   = 16 << 10 // of a key, in bytes
	// patience is how long to wait for a lock that is only ever held for a moment.
	patience = 30 * time.Second
)

// lock locks the file's folder: the file itself is replaced by each change.
func (f File) lock() (release func(), err error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	release, err = dirlock.Lock(ctx, filepath.Dir(f.Path), nil)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, api.Errorf(api.Precondition, "change the keys", "there is no folder %s: this machine is no host yet", filepath.Dir(f.Path)).
			WithHint("run `dokku-agent install` as root once")
	case errors.Is(err, fs.ErrPermission):
		return nil, api.Errorf(api.Refused, "change the keys", "%w", err).WithHint("run it as root: sudo")
	case err != nil:
		return nil, api.Errorf(api.Locked, "change the keys", "%w", err)
	}
	return release, nil
}

// Read reads a public key's text from the one file that is named, else from stdin, and
// says how to call where it came from.
func Read(file []string, stdin io.Reader) (shown string, text []byte, err error) {
	const most = 64 << 10
	if len(file) == 0 || file[0] == "-" {
		text, err = io.ReadAll(io.LimitReader(stdin, most))
		return "stdin", text, err
	}
	from, err := os.Open(file[0])
	if err != nil {
		return file[0], nil, err
	}
	defer from.Close()
	text, err = io.ReadAll(io.LimitReader(from, most))
	return file[0], text, err
}

// Parse reads one public key as it stands in an id_*.pub file. shown is where the text is
// from; an error names it with the line. Refused are private keys, several keys, keys that
// are too weak, certificates, options and control characters.
func Parse(shown string, text []byte) (public ssh.PublicKey, comment string, err error) {
	refuse := func(line int, format string, args ...any) (ssh.PublicKey, string, error) {
		return nil, "", api.Errorf(api.Usage, "add the key", "%s:%d: %s", shown, line, fmt.Sprintf(format, args...))
	}
	var key []byte
	at, number := 0, 0
	for line := range bytes.Lines(text) {
		number++
		line = bytes.TrimRight(line, "\r\n")
		switch {
		case isPrivate(line):
			return refuse(number, "this is a private key, which never leaves its owner; the public one is in the file .pub beside it")
		case !utf8.Valid(line) || bytes.ContainsFunc(line, func(c rune) bool { return unicode.IsControl(c) && c != '\t' }):
			return refuse(number, "it holds control characters")
		case len(line) > mostLine:
			return refuse(number, "it is too long for a key")
		case len(bytes.TrimSpace(line)) == 0:
			continue
		case key != nil:
			return refuse(number, "a public key is exactly one line")
		}
		key, at = bytes.TrimSpace(line), number
	}
	if key == nil {
		return refuse(1, "Invalid ssh public key: there is none")
	}
	public, comment, options, _, err := ssh.ParseAuthorizedKey(key)
	if err != nil {
		return refuse(at, "Invalid ssh public key")
	}
	if len(options) > 0 {
		return refuse(at, "a key is added without options; the host gives it its own")
	}
	if weak := weakness(public); weak != "" {
		return refuse(at, "%s", weak)
	}
	return public, comment, nil
}

func isPrivate(line []byte) bool {
	return bytes.Contains(line, []byte("PRIVATE KEY-----")) || bytes.HasPrefix(line, []byte("PuTTY-User-Key-File-"))
}

// weakness tells what is wrong with a kind of key; empty: nothing.
func weakness(public ssh.PublicKey) string {
	if _, ok := public.(*ssh.Certificate); ok {
		return "a certificate is no key"
	}
	switch public.Type() {
	case "ssh-dss":
		return "a DSA key is too weak: ssh-keygen -t ed25519 makes a good one"
	case ssh.KeyAlgoRSA:
		crypto, ok := public.(ssh.CryptoPublicKey)
		if !ok {
			return "Invalid ssh public key"
		}
		if key, ok := crypto.CryptoPublicKey().(*rsa.PublicKey); !ok || key.N.BitLen() < fewestBits {
			return fmt.Sprintf("an RSA key of less than %d bits is too weak: ssh-keygen -t ed25519 makes a good one", fewestBits)
		}
	}
	return ""
}

// The name in a forced command: in escaped quotes, or bare as older versions wrote it.
var (
	quotedName = regexp.MustCompile(`[" ]NAME=\\"([^"\\]*)\\"`)
	bareName   = regexp.MustCompile(`[" ]NAME=([^"\\ ]+)`)
)

// named reads a line that sshcommand wrote; false: it is another's, or no key at all.
func named(line []byte) (Key, bool) {
	public, comment, options, _, err := ssh.ParseAuthorizedKey(bytes.TrimSpace(line))
	if err != nil {
		return Key{}, false
	}
	key := Key{Fingerprint: ssh.FingerprintSHA256(public), Public: public, Comment: comment}
	var others []string
	for _, option := range options {
		command, ok := strings.CutPrefix(option, "command=")
		if !ok {
			others = append(others, option)
			continue
		}
		found := quotedName.FindStringSubmatch(command)
		if found == nil {
			found = bareName.FindStringSubmatch(command)
		}
		if found != nil {
			key.Name = found[1]
		}
	}
	key.Allowed = strings.Join(others, ",")
	return key, key.Name != ""
}
