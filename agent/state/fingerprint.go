package state

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/dokku-push/dokku-push/internal/atomicfile"
)

const keySize = 32 // bytes

// Fingerprint is a keyed hash of a text: 16 hex digits. Who reads one can tell that two
// texts are the same, and cannot try out what the text may be: the key, made at the
// first use, is the host's own.
func (s *Store) Fingerprint(text string) (string, error) {
	key, err := s.fingerprintKey()
	if err != nil {
		return "", fmt.Errorf("read the host's fingerprint key: %w", err)
	}
	sum := hmac.New(sha256.New, key)
	sum.Write([]byte(text))
	return hex.EncodeToString(sum.Sum(nil)[:8]), nil
}

func (s *Store) fingerprintKey() ([]byte, error) {
	path := filepath.Join(s.Places.Data(), "fingerprint.key")
	key, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		key = make([]byte, keySize)
		if _, err := rand.Read(key); err != nil {
			return nil, err
		}
		if err := atomicfile.MkdirAll(filepath.Dir(path), dirMode); err != nil {
			return nil, err
		}
		err = atomicfile.CreateFile(path, key, 0o600)
		if errors.Is(err, fs.ErrExist) { // another process was first
			key, err = os.ReadFile(path)
		}
	}
	if err == nil && len(key) != keySize {
		err = fmt.Errorf("%s has %d bytes instead of %d: remove it, a new one is made", path, len(key), keySize)
	}
	return key, err
}
