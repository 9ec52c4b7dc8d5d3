package keys

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"golang.org/x/crypto/ssh"

	"github.com/dokku-push/dokku-push/internal/atomicfile"
)

// LoadOrCreate reads a private key file, or makes one (ed25519, mode 0600) where there
// is none yet: the host key of an embedded host, and the first key to enter it with.
func LoadOrCreate(path string) (ssh.Signer, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		_, private, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			return nil, fmt.Errorf("make a key: %w", err)
		}
		block, err := ssh.MarshalPrivateKey(private, "")
		if err != nil {
			return nil, fmt.Errorf("make a key: %w", err)
		}
		text = pem.EncodeToMemory(block)
		if err := atomicfile.WriteFile(path, text, 0o600); err != nil {
			return nil, fmt.Errorf("write the key: %w", err)
		}
	} else if err != nil {
		return nil, fmt.Errorf("read the key: %w", err)
	}
	signer, err := ssh.ParsePrivateKey(text)
	if err != nil {
		return nil, fmt.Errorf("read the key %s: %w", path, err)
	}
	return signer, nil
}
