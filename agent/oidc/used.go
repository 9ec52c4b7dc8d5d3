package oidc

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/internal/atomicfile"
)

// use remembers a token until it has expired: each works once. It is on disk before
// anything is issued.
func (d *Desk) use(ctx context.Context, issuer, id string, expires time.Time) error {
	release, err := d.lock(ctx)
	if err != nil {
		return err
	}
	defer release()
	file := filepath.Join(d.Dir, "used.json")
	used := map[string]time.Time{}
	text, err := os.ReadFile(file)
	if err == nil {
		err = json.Unmarshal(text, &used)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return api.Errorf(api.Refused, op, "which tokens were used cannot be read: %w", err)
	}
	sum := sha256.Sum256([]byte(issuer + "\n" + id))
	name := hex.EncodeToString(sum[:])
	if _, before := used[name]; before {
		return refuse("the token was used before, and each works once").WithHint("ask for a new one")
	}
	for other, until := range used {
		if d.now().After(until) {
			delete(used, other)
		}
	}
	used[name] = expires.Add(2 * leeway)
	if text, err = json.Marshal(used); err == nil {
		err = atomicfile.WriteFile(file, text, 0o600)
	}
	if err != nil {
		return fmt.Errorf("remember the token: %w", err)
	}
	return nil
}
