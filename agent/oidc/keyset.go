package oidc

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/dokku-push/dokku-push/internal/atomicfile"
)

// How the issuer's keys are kept. A token of an unknown key has them fetched again, but
// not more often than once in pause, whoever asks.
const (
	fresh    = time.Hour
	stale    = 24 * time.Hour // they still count while the issuer does not answer
	pause    = time.Minute
	mostKeys = 1 << 20 // bytes of a key set
	fewest   = 2048    // bits of an RSA key
	most     = 8192
)

// jwks is a JSON Web Key Set, as far as it matters here.
type jwks struct {
	Keys []jwk `json:"keys"`
}

type jwk struct {
	ID        string `json:"kid"`
	Type      string `json:"kty"`
	Use       string `json:"use"`
	Algorithm string `json:"alg"`
	Curve     string `json:"crv"`
	N         string `json:"n"`
	E         string `json:"e"`
	X         string `json:"x"`
	Y         string `json:"y"`
}

// kept is the issuer's key set and when it was asked for.
type kept struct {
	Issuer  string          `json:"issuer"`
	Fetched time.Time       `json:"fetched"`
	Tried   time.Time       `json:"tried"`
	Keys    json.RawMessage `json:"keys,omitempty"`
}

// key finds the issuer's key of an id.
func (d *Desk) key(ctx context.Context, policy Policy, kid string) (crypto.PublicKey, error) {
	if policy.Keys != "" {
		text, err := os.ReadFile(policy.Keys)
		if err != nil {
			return nil, refuse("the issuer's keys cannot be read: %w", err).WithHint("on the host: dokku oidc:set keys FILE, which the dokku user can read")
		}
		return findKey(text, kid)
	}
	release, err := d.lock(ctx)
	if err != nil {
		return nil, err
	}
	defer release()
	file, now := filepath.Join(d.Dir, "issuer.json"), d.now()
	var cache kept
	if text, err := os.ReadFile(file); err != nil || json.Unmarshal(text, &cache) != nil || cache.Issuer != policy.issuer() {
		cache = kept{Issuer: policy.issuer()}
	}
	known, unknown := findKey(cache.Keys, kid)
	age := now.Sub(cache.Fetched)
	if unknown == nil && age >= 0 && age < fresh {
		return known, nil
	}
	var failed error
	if since := now.Sub(cache.Tried); since < 0 || since >= pause {
		cache.Tried = now
		var text []byte
		if text, failed = d.fetch(ctx, policy.issuer()); failed == nil {
			cache.Keys, cache.Fetched, age = text, now, 0
		}
		written, err := json.Marshal(cache)
		if err == nil {
			err = atomicfile.WriteFile(file, written, 0o600)
		}
		if err != nil {
			return nil, fmt.Errorf("keep the issuer's keys: %w", err)
		}
		known, unknown = findKey(cache.Keys, kid)
	}
	switch {
	case unknown == nil && age < stale:
		return known, nil
	case failed != nil:
		return nil, refuse("the issuer's keys cannot be had: %w", failed).WithHint("try again in a minute, or pin them: dokku oidc:set keys FILE")
	case cache.Keys == nil || age >= stale:
		return nil, refuse("the issuer's keys could not be had a moment ago").WithHint("try again in a minute")
	}
	return nil, unknown
}

// fetch asks the issuer where its keys are, and for them.
func (d *Desk) fetch(ctx context.Context, issuer string) ([]byte, error) {
	text, err := d.get(ctx, issuer+"/.well-known/openid-configuration")
	if err != nil {
		return nil, err
	}
	var about struct {
		Issuer string `json:"issuer"`
		Keys   string `json:"jwks_uri"`
	}
	if err := json.Unmarshal(text, &about); err != nil {
		return nil, fmt.Errorf("read what the issuer says of itself: %w", err)
	}
	if about.Issuer != issuer || !strings.HasPrefix(about.Keys, "https://") {
		return nil, errors.New("the issuer says that it is another, or names no keys")
	}
	if text, err = d.get(ctx, about.Keys); err != nil {
		return nil, err
	}
	if !json.Valid(text) {
		return nil, errors.New("the issuer's keys are no JSON")
	}
	return text, nil
}

// get reads one document. It follows no redirect: nobody else speaks for the issuer.
func (d *Desk) get(ctx context.Context, url string) ([]byte, error) {
	web := http.Client{}
	if d.HTTP != nil {
		web = *d.HTTP
	}
	web.Timeout = 10 * time.Second
	web.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	answer, err := web.Do(request)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s answers %s", url, answer.Status)
	}
	text, err := io.ReadAll(io.LimitReader(answer.Body, mostKeys+1))
	if err == nil && len(text) > mostKeys {
		err = fmt.Errorf("%s answers with more than %d bytes", url, mostKeys)
	}
	return text, err
}

// Keys refuses a text that holds no key which could have signed a token.
func Keys(text []byte) error {
	var set jwks
	if err := json.Unmarshal(text, &set); err != nil {
		return fmt.Errorf("it is no JSON Web Key Set: %w", err)
	}
	if !slices.ContainsFunc(set.Keys, func(key jwk) bool { _, err := key.public(); return err == nil && key.ID != "" }) {
		return errors.New("it holds no RSA or P-256 key with an id")
	}
	return nil
}

// findKey finds a key in a set; the error is for whoever has sent the token.
func findKey(text []byte, kid string) (crypto.PublicKey, error) {
	var set jwks
	if len(text) > 0 {
		if err := json.Unmarshal(text, &set); err != nil {
			return nil, refuse("the issuer's keys cannot be read: %w", err)
		}
	}
	for _, key := range set.Keys {
		if key.ID != kid {
			continue
		}
		public, err := key.public()
		if err != nil {
			return nil, refuse("the issuer's key %.60q does not count: %w", kid, err)
		}
		return public, nil
	}
	return nil, refuse("the token is signed with the key %.60q, which is not among the issuer's", kid)
}

// public is the key itself.
func (k jwk) public() (crypto.PublicKey, error) {
	if k.Use != "" && k.Use != "sig" {
		return nil, errors.New("it is not for signatures")
	}
	bytes := func(text string) []byte {
		decoded, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(text, "="))
		if err != nil {
			return nil
		}
		return decoded
	}
	number := func(text string) *big.Int { return new(big.Int).SetBytes(bytes(text)) }
	switch {
	case k.Type == "RSA" && (k.Algorithm == "" || k.Algorithm == "RS256"):
		n, e := number(k.N), number(k.E)
		if n.BitLen() < fewest || n.BitLen() > most || !e.IsInt64() || e.Int64() < 3 || e.Int64() > 1<<31-1 || e.Bit(0) == 0 {
			return nil, fmt.Errorf("an RSA key has %d to %d bits and an odd exponent", fewest, most)
		}
		return &rsa.PublicKey{N: n, E: int(e.Int64())}, nil
	case k.Type == "EC" && k.Curve == "P-256" && (k.Algorithm == "" || k.Algorithm == "ES256"):
		key, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), slices.Concat([]byte{4}, bytes(k.X), bytes(k.Y)))
		if err != nil {
			return nil, errors.New("it is no point of the curve")
		}
		return key, nil
	}
	return nil, errors.New("it is neither an RSA nor a P-256 key")
}
