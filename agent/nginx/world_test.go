package nginx

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/api"
)

// world is an nginx of the test's own.
type world struct {
	*Nginx
	t   *testing.T
	ctx context.Context
}

func start(t *testing.T, prepare ...func(*Nginx)) world {
	t.Helper()
	dir := t.TempDir()
	n := &Nginx{Places: agent.Places{Root: filepath.Join(dir, "home"), Lib: filepath.Join(dir, "lib"), Logs: filepath.Join(dir, "logs")},
		Config: Embedded(filepath.Join(dir, "nginx"), "/usr/sbin/nginx", "127.0.0.1", freePort(t), freePort(t))}
	if err := n.WriteEmbedded(filepath.Join(dir, "nginx")); err != nil {
		t.Fatal(err)
	}
	for _, f := range prepare {
		f(n)
	}
	running, err := n.Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, warning := range running.Warnings {
		t.Log(warning)
	}
	t.Cleanup(func() {
		if err := running.Stop(); err != nil {
			t.Error(err)
		}
	})
	return world{n, t, t.Context()}
}

func freePort(t *testing.T) int {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	return listener.Addr().(*net.TCPAddr).Port
}

// backend answers with a text.
func backend(t *testing.T, text string) (address string, port int) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = fmt.Fprintf(w, "%s %s %s", text, r.Header.Get("X-Forwarded-Proto"), r.Host)
	}))
	t.Cleanup(server.Close)
	return server.Listener.Addr().String(), server.Listener.Addr().(*net.TCPAddr).Port
}

// file renders the file of an app that is served by a backend of that text.
func (w world) file(app, text string) []byte {
	w.t.Helper()
	address, port := backend(w.t, text)
	conf, err := w.Render(w.ctx, agent.Site{App: app, Domains: []string{app + ".example.com"}, Deployed: true,
		Ports: []agent.PortMap{{Scheme: "http", Host: 80, Container: port}}, Listeners: map[string][]string{"web": {address}}})
	if err != nil {
		w.t.Fatal(err)
	}
	return conf
}

func (w world) kept(app string) string { return w.Places.Kept(app, "r1") }

func (w world) swap(app string, conf []byte, preReload func() error) (bool, error) {
	w.t.Helper()
	return w.Swap(w.ctx, app, conf, w.kept(app), preReload)
}

func (w world) mustSwap(app string, conf []byte, reloads bool) {
	w.t.Helper()
	before := w.workers()
	reloaded, err := w.swap(app, conf, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	if reloaded != reloads || anyOf(before, w.workers()) == reloads {
		w.t.Errorf("reloaded: %t, workers %v, then %v; want a reload: %t", reloaded, before, w.workers(), reloads)
	}
}

func (w world) workers() []string {
	w.t.Helper()
	master, err := w.master()
	if err != nil {
		w.t.Fatal(err)
	}
	list, _ := workers(master)
	return list
}

func (w world) get(domain string) (int, string) {
	w.t.Helper()
	request, err := http.NewRequest(http.MethodGet, fmt.Sprintf("http://127.0.0.1:%d/", w.Config.Port), nil)
	if err != nil {
		w.t.Fatal(err)
	}
	request.Host = domain
	response, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(request)
	if err != nil {
		w.t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return response.StatusCode, string(text)
}

func (w world) wantAnswer(app string, status int, text string) {
	w.t.Helper()
	if code, got := w.get(app + ".example.com"); code != status || !strings.Contains(got, text) {
		w.t.Errorf("%s answers %d %q, want %d %q", app, code, got, status, text)
	}
}

func (w world) wantLive(app string, want []byte) {
	w.t.Helper()
	got, _, err := readFile(w.Places.NginxConf(app))
	if err != nil {
		w.t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		w.t.Errorf("live file of %s (-want +got)\n%s", app, diff)
	}
}

func wantError(t *testing.T, err error, code api.Code, parts ...string) {
	t.Helper()
	var problem *api.Error
	if !errors.As(err, &problem) || problem.Code != code || problem.Hint == "" {
		t.Fatalf("got %#v, want a %s with a hint", err, code)
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q does not say %q", err, part)
		}
	}
}

// certificate writes a self-signed one and returns what trusts it.
func certificate(t *testing.T, dir string) func(name string) *tls.Config {
	t.Helper()
	return certificateOf(t, dir, time.Now().Add(-time.Hour), time.Now().Add(time.Hour))
}

func certificateOf(t *testing.T, dir string, from, until time.Time) func(name string) *tls.Config {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "shop"}, DNSNames: []string{"shop.example.com", "other.example.com"},
		NotBefore: from, NotAfter: until, IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	put(t, filepath.Join(dir, "server.crt"), string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	put(t, filepath.Join(dir, "server.key"), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})))
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(parsed)
	return func(name string) *tls.Config { return &tls.Config{RootCAs: pool, ServerName: name} }
}
