package e2e

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"golang.org/x/crypto/ssh"

	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/internal/testkit"
)

// ciIssuer signs tokens for the jobs of one repository, as GitHub does, on loopback.
type ciIssuer struct {
	server *httptest.Server
	roots  string // file of its TLS certificate
	keys   []byte // its key set
	claims map[string]string
}

// bearer is what GitHub gives a job to ask for its token with.
const bearer = "canary-of-the-request"

func newCIIssuer(t *testing.T) *ciIssuer {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	i := &ciIssuer{claims: map[string]string{"repository": "acme/shop", "repository_id": "42", "environment": "production", "ref": "refs/heads/main", "run_id": "777", "sub": "repo:acme/shop:environment:production"}}
	i.keys, err = json.Marshal(map[string]any{"keys": []map[string]string{{"kid": "k", "kty": "RSA", "use": "sig", "alg": "RS256", "e": "AQAB", "n": base64.RawURLEncoding.EncodeToString(key.N.Bytes())}}})
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	i.server = httptest.NewTLSServer(mux)
	t.Cleanup(i.server.Close)
	mux.HandleFunc("GET /.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(map[string]string{"issuer": i.server.URL, "jwks_uri": i.server.URL + "/keys"})
	})
	mux.HandleFunc("GET /keys", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(i.keys) })
	mux.HandleFunc("GET /token", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer "+bearer {
			http.Error(w, "who are you?", http.StatusUnauthorized)
			return
		}
		now := time.Now()
		claims := jwt.MapClaims{"iss": i.server.URL, "aud": r.URL.Query().Get("audience"), "jti": rand.Text(), "iat": now.Unix(), "nbf": now.Unix(), "exp": now.Add(5 * time.Minute).Unix()}
		for name, value := range i.claims {
			claims[name] = value
		}
		token := jwt.NewWithClaims(jwt.SigningMethodRS256, claims)
		token.Header["kid"] = "k"
		text, err := token.SignedString(key)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		_ = json.NewEncoder(w).Encode(map[string]string{"value": text})
	})
	i.roots = filepath.Join(t.TempDir(), "roots.pem")
	put(t, i.roots, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: i.server.Certificate().Raw})))
	return i
}

// keyless is a CI job's environment: no key, but what asks for its token. The folder keeps what
// steps leave to each other.
type keyless struct {
	client, dir, room, address, hostKey string
	issuer                              *ciIssuer
}

// step runs the client as a step of the job; key is the file that an earlier one has left.
func (j keyless) step(t *testing.T, key string, args ...string) testkit.Result {
	t.Helper()
	cmd := exec.Command(j.client, args...)
	cmd.Dir = j.dir
	cmd.Env = append(os.Environ(), "CI=", "HOME="+j.room, "SSH_AUTH_SOCK=", "DOKKU_HOST=dokku@"+j.address, "DOKKU_SSH_HOST_KEY="+j.hostKey, "DOKKU_SSH_KEY_FILE="+key, "SSL_CERT_FILE="+j.issuer.roots,
		"ACTIONS_ID_TOKEN_REQUEST_URL="+j.issuer.server.URL+"/token?api-version=2", "ACTIONS_ID_TOKEN_REQUEST_TOKEN="+bearer, "RUNNER_TEMP="+j.room, "GITHUB_ENV="+filepath.Join(j.room, "env"))
	result := testkit.Run(t, cmd)
	if strings.Contains(result.Stdout+result.Stderr, bearer) || strings.Contains(result.Stdout+result.Stderr, "eyJ") {
		t.Errorf("a step prints a token:\n%s%s", result.Stdout, result.Stderr)
	}
	return result
}

// auth trades the job's token and returns the key's file, as the next step finds it.
func (j keyless) auth(t *testing.T, apps ...string) string {
	t.Helper()
	got := pushed(t, j.step(t, "", append([]string{"auth", "github"}, apps...)...))
	file := strings.TrimSpace(got.Stdout)
	text, err := os.ReadFile(filepath.Join(j.room, "env"))
	if err != nil || !regexp.MustCompile(`(?m)^DOKKU_SSH_KEY_FILE<<\S+\n`+regexp.QuoteMeta(file)+`\n`).Match(text) {
		t.Errorf("$GITHUB_ENV does not name %s:\n%s (%v)", file, text, err)
	}
	for _, name := range []string{file, file + "-cert.pub"} {
		if info, err := os.Stat(name); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", name, info, err)
		}
	}
	if !strings.Contains(got.Stderr, "github:acme/shop/777 may deploy "+strings.Join(apps, ", ")+" until") {
		t.Errorf("auth says %q", got.Stderr)
	}
	return file
}

// jobDeploys is the story on any host: a certificate for one app deploys that and nothing
// else. It returns the key's file.
func jobDeploys(t *testing.T, j keyless, app, other string) string {
	t.Helper()
	key := j.auth(t, app)
	pushed(t, j.step(t, key, "push", "--app", app))
	list := pushed(t, j.step(t, key, "releases", "--app", app))
	if !strings.Contains(list.Stdout, "github:acme/shop/777") {
		t.Errorf("releases does not name the job:\n%s", list.Stdout)
	}
	for _, args := range [][]string{{"push", "--app", other}, {"status", "--app", other}, {"rollback", "--app", other}, {"promote", other, app}, {"promote", app, other}} {
		if refused := j.step(t, key, args...); refused.Exit != 77 || !strings.Contains(refused.Stderr, "is for "+app) {
			t.Errorf("%q with the certificate for %s: exit %d\n%s", args, app, refused.Exit, refused.Stderr)
		}
	}
	if refused := j.step(t, "", "auth", "github", other); refused.Exit != 77 || !strings.Contains(refused.Stderr, "no policy lets a CI job deploy "+other) || refused.Stdout != "" {
		t.Errorf("auth for %s: %+v", other, refused)
	}
	return key
}

// TestOIDC: an embedded host that fetches the issuer's keys, and its refusals.
func TestOIDC(t *testing.T) {
	t.Parallel()
	i := newCIIssuer(t)
	h := testkit.Serve(t, testkit.ServeOptions{Env: []string{"SSL_CERT_FILE=" + i.roots}})
	app, other := h.App(t, "shop"), h.App(t, "other")
	dir := testkit.CopyApp(t, "hello")
	j := keyless{client: h.Bin.Client, dir: dir, room: t.TempDir(), address: h.SSH, hostKey: h.HostKey, issuer: i}
	if closed := j.step(t, "", "auth", "github", app); closed.Exit != 77 || !strings.Contains(closed.Stderr, "takes no tokens") {
		t.Errorf("before the door is open: %+v", closed)
	}
	onHost(t, h, "", "oidc:open")
	onHost(t, h, "", "oidc:set", "audience", "dokku-push:127.0.0.1")
	onHost(t, h, "", "oidc:set", "issuer", i.server.URL)
	onHost(t, h, "", "oidc:add", app, "--repository", "acme/shop", "--repository-id", "42", "--environment", "production")
	if over := dokku(t, h, 1, "oidc:add", other, "--repository", "acme/shop", "--repository-id", "42", "--environment", "production"); !strings.Contains(over.Stderr, "not over ssh") {
		t.Errorf("a rule, over ssh: %s", over.Stderr)
	}
	key := jobDeploys(t, j, app, other)
	answers(t, h, app, "/", "Hello")
	i.claims["environment"] = "staging"
	if refused := j.step(t, "", "auth", "github", app); refused.Exit != 77 || !strings.Contains(refused.Stderr, `the environment "staging" may not deploy`) {
		t.Errorf("another environment: %+v", refused)
	}
	onHost(t, h, "", "oidc:close")
	if closed := j.step(t, key, "status", "--app", app); closed.Exit != 77 {
		t.Errorf("after the door is closed: %+v", closed)
	}
}

// byToken is the same through Debian's sshd, with the issuer's keys in a file; and what the
// machine's ssh program can do with the certificate and the door's key.
func byToken(t *testing.T, bin testkit.Bin, sshd *testkit.SSHServer, admin testkit.Key) {
	i := newCIIssuer(t)
	app, other := testkit.AppName(t, "token"), testkit.AppName(t, "other")
	testkit.ForgetImages(t, app)
	put(t, "/etc/dokku-push/issuer.json", string(i.keys))
	if err := os.Chmod("/etc/dokku-push/issuer.json", 0o644); err != nil {
		t.Fatal(err)
	}
	for _, words := range [][]string{{"oidc:open"}, {"oidc:set", "audience", "dokku-push:127.0.0.1"}, {"oidc:set", "issuer", i.server.URL}, {"oidc:set", "keys", "/etc/dokku-push/issuer.json"},
		{"oidc:add", app, "--repository", "acme/shop", "--repository-id", "42", "--ref", "refs/heads/main"}} {
		must(t, exec.Command("/usr/local/bin/dokku", words...))
	}
	t.Cleanup(func() {
		if gone := overSSH(t, sshd, admin, nil, "apps:destroy", "--force", app); gone.Exit != 0 {
			t.Errorf("apps:destroy: %+v", gone)
		}
	})
	j := keyless{client: bin.Client, dir: testkit.CopyApp(t, "hello"), room: t.TempDir(), address: sshd.Addr, hostKey: sshd.HostKey, issuer: i}
	key := testkit.Key{File: jobDeploys(t, j, app, other)}
	if list := overSSH(t, sshd, key, nil, "apps:list"); list.Exit != 0 || list.Stdout != "=====> My Apps\n"+app+"\n" {
		t.Errorf("apps:list with the certificate: %+v", list)
	}
	for _, words := range [][]string{{"bash"}, {"apps:destroy", "--force", app}, {"config:show", app}, {"apps:create", other}, {"oidc:list"}, {"DOKKU_PUSH_APPS=", "config:show", app}} {
		if said := overSSH(t, sshd, key, nil, words...); said.Exit == 0 || !strings.Contains(said.Stderr, "nothing else") || strings.Contains(said.Stdout, "a shell") {
			t.Errorf("%q with the certificate: %+v", words, said)
		}
	}
	noDoor(t, sshd)
}

// doorText is the door's private key, which everybody has.
func doorText(t *testing.T) string {
	t.Helper()
	block, err := ssh.MarshalPrivateKey(api.DoorKey(), "")
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(block))
}

// noDoor: whatever is asked for with the door's key, the answer is about a token.
func noDoor(t *testing.T, sshd *testkit.SSHServer) {
	key := testkit.Key{File: filepath.Join(t.TempDir(), "door")}
	put(t, key.File, doorText(t))
	if err := os.Chmod(key.File, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, words := range [][]string{{"bash"}, {"apps:list"}, {"agent:http"}, {"git-receive-pack", "shop"}, {}} {
		if said := overSSH(t, sshd, key, nil, words...); said.Exit != 1 || !strings.Contains(said.Stdout, "no request for a certificate") || strings.Contains(said.Stdout, "a shell") {
			t.Errorf("%q at the door: %+v", words, said)
		}
	}
	if forward := overSSH(t, sshd, key, []string{"-o", "ExitOnForwardFailure=yes", "-W", sshd.Addr}); forward.Exit == 0 || strings.Contains(forward.Stdout, "SSH-2.0") {
		t.Errorf("a port was forwarded through the door: %+v", forward)
	}
}
