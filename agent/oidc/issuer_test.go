package oidc

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"maps"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"golang.org/x/crypto/ssh"

	"github.com/dokku-push/dokku-push/agent/keys"
	"github.com/dokku-push/dokku-push/api"
)

// issuer is a CI system's token issuer on loopback, with TLS.
type issuer struct {
	server *httptest.Server
	rsa    *rsa.PrivateKey
	ec     *ecdsa.PrivateKey
	asked  atomic.Int32 // for its keys
	down   atomic.Bool
}

func newIssuer(t *testing.T) *issuer {
	t.Helper()
	i := &issuer{}
	var err error
	if i.rsa, err = rsa.GenerateKey(rand.Reader, 2048); err != nil {
		t.Fatal(err)
	}
	if i.ec, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	i.server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if i.down.Load() {
			http.Error(w, "no", http.StatusServiceUnavailable)
			return
		}
		mux.ServeHTTP(w, r)
	}))
	t.Cleanup(i.server.Close)
	mux.HandleFunc("/.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(map[string]string{"issuer": i.server.URL, "jwks_uri": i.server.URL + "/keys"})
	})
	mux.HandleFunc("/keys", func(w http.ResponseWriter, _ *http.Request) {
		i.asked.Add(1)
		_, _ = w.Write(i.keys())
	})
	return i
}

func encoded(bytes []byte) string { return base64.RawURLEncoding.EncodeToString(bytes) }

// keys is the issuer's key set.
func (i *issuer) keys() []byte {
	point, _ := i.ec.PublicKey.Bytes()        // of a curve that is known
	text, _ := json.Marshal(jwks{Keys: []jwk{ // of plain strings
		{ID: "rsa", Type: "RSA", Use: "sig", Algorithm: "RS256", N: encoded(i.rsa.N.Bytes()), E: encoded(big.NewInt(int64(i.rsa.E)).Bytes())},
		{ID: "ec", Type: "EC", Curve: "P-256", X: encoded(point[1:33]), Y: encoded(point[33:])},
		{ID: "not-for-this", Type: "RSA", Use: "enc", N: encoded(i.rsa.N.Bytes()), E: "AQAB"},
	}})
	return text
}

const audience = "dokku-push:example.com"

// good are the claims of a job that may deploy shop.
func (i *issuer) good(id string) jwt.MapClaims {
	now := time.Now()
	return jwt.MapClaims{"iss": i.server.URL, "aud": audience, "sub": "repo:acme/shop:environment:production", "jti": id, "iat": now.Unix(), "nbf": now.Add(-time.Minute).Unix(),
		"exp": now.Add(5 * time.Minute).Unix(), "repository": "acme/shop", "repository_id": "42", "environment": "production", "ref": "refs/heads/main", "run_id": "777",
		"job_workflow_ref": "acme/shop/.github/workflows/deploy.yml@refs/heads/main"}
}

func sign(t *testing.T, method jwt.SigningMethod, kid string, key any, claims jwt.MapClaims, header map[string]any) string {
	t.Helper()
	token := jwt.NewWithClaims(method, claims)
	if kid != "" {
		token.Header["kid"] = kid
	}
	maps.Copy(token.Header, header)
	text, err := token.SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func (i *issuer) token(t *testing.T, id string, change map[string]any) string {
	t.Helper()
	claims := i.good(id)
	for name, value := range change {
		if value == nil {
			delete(claims, name)
		} else {
			claims[name] = value
		}
	}
	return sign(t, jwt.SigningMethodRS256, "rsa", i.rsa, claims, nil)
}

// newDesk is a desk that trusts the issuer, with the door open and one rule for shop.
func newDesk(t *testing.T, i *issuer) (*Desk, keys.File) {
	t.Helper()
	home := t.TempDir()
	if err := os.MkdirAll(filepath.Join(home, ".ssh"), 0o700); err != nil {
		t.Fatal(err)
	}
	file := keys.At(home)
	desk := &Desk{Dir: filepath.Join(home, "oidc"), Program: file.Command, HTTP: i.server.Client()}
	if err := desk.Open(t.Context(), file); err != nil {
		t.Fatal(err)
	}
	err := desk.Change(t.Context(), func(now *Policy) error {
		now.Issuer, now.Audience = i.server.URL, audience
		now.Rules = []Rule{{App: "shop", Repository: "acme/shop", RepositoryID: "42", Environment: "production", Ref: "refs/heads/main", Subject: "repo:acme/shop:environment:production"},
			{App: "shop-review-*", Repository: "acme/shop", RepositoryID: "42", Ref: "refs/heads/main"},
			{App: "shop", Repository: "acme/shop", RepositoryID: "42", Subject: "repo:acme/shop:pull_request", Review: true}}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return desk, file
}

// newKey is a job's fresh key.
func newKey(t *testing.T) (string, crypto.Signer) {
	t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	key, err := ssh.NewPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key))), private
}

func ask(t *testing.T, token string, apps ...string) api.AuthRequest {
	t.Helper()
	public, _ := newKey(t)
	return api.AuthRequest{Token: token, PublicKey: public, Apps: apps}
}

// parsed reads the certificate of an answer.
func parsed(t *testing.T, answer api.AuthAnswer) *ssh.Certificate {
	t.Helper()
	public, _, _, _, err := ssh.ParseAuthorizedKey([]byte(answer.Certificate))
	if err != nil {
		t.Fatal(err)
	}
	certificate, is := public.(*ssh.Certificate)
	if !is {
		t.Fatalf("%s is no certificate", answer.Certificate)
	}
	return certificate
}
