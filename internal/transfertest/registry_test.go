package transfertest

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/internal/testkit"
	"github.com/dokku-push/dokku-push/remote"
)

// startRegistry runs Debian's docker-registry with more lines under "http:" and
// after it; it returns host:port.
func startRegistry(t *testing.T, inHTTP, after string) string {
	t.Helper()
	address := fmt.Sprintf("127.0.0.1:%d", testkit.FreePort(t))
	dir := t.TempDir()
	conf := filepath.Join(dir, "config.yml")
	text := fmt.Sprintf("version: 0.1\nlog: {level: error}\nstorage: {filesystem: {rootdirectory: %s}}\nhttp:\n  addr: %s\n%s%s", filepath.Join(dir, "data"), address, inHTTP, after)
	write(t, conf, text)
	program := exec.Command("docker-registry", "serve", conf)
	// It would read REGISTRY_AUTH_FILE, which is for clients, as its own setting.
	program.Env = []string{"PATH=" + os.Getenv("PATH")}
	said := new(bytes.Buffer)
	program.Stdout, program.Stderr = said, said
	if err := program.Start(); err != nil {
		t.Fatalf("docker-registry is needed: %v", err)
	}
	t.Cleanup(func() {
		program.Process.Kill()
		program.Wait()
	})
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		c, err := net.Dial("tcp", address)
		if err == nil {
			c.Close()
			return address
		}
		if time.Now().After(deadline) {
			program.Process.Kill()
			program.Wait()
			t.Fatalf("docker-registry does not listen: %s", said)
		}
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// home is an empty home folder, also for Docker's configuration.
func home(t *testing.T) string {
	dir := t.TempDir()
	t.Setenv("HOME", dir)
	t.Setenv("DOCKER_CONFIG", filepath.Join(dir, ".docker"))
	t.Setenv("REGISTRY_AUTH_FILE", "")
	t.Setenv("XDG_CONFIG_HOME", filepath.Join(dir, ".config"))
	t.Setenv("XDG_RUNTIME_DIR", dir)
	return dir
}

func TestPlainRegistryOnLoopback(t *testing.T) {
	home(t)
	ctx, repository := context.Background(), startRegistry(t, "", "")+"/team/app"
	big := noise(t, 31, 500_000)
	var last api.Progress
	pushed, err := remote.PushRegistry(ctx, image(t, big), repository, func(p api.Progress) { last = p })
	if err != nil || pushed.Repository != repository || pushed.Manifest != digestOf(t, image(t, big)) || pushed.Bytes < sizeOf(t, big) {
		t.Fatalf("%+v, %v", pushed, err)
	}
	if last.Done == 0 || last.Done != last.Total {
		t.Errorf("progress ends at %+v", last)
	}
	pushed, err = remote.PushRegistry(ctx, image(t, big), repository, nil)
	if err != nil || pushed.Bytes > 4096 {
		t.Fatalf("second push: %+v, %v", pushed, err)
	}
	if auth, err := remote.RegistryAuth(repository); auth != nil || err != nil {
		t.Errorf("credentials from nowhere: %v, %v", auth, err)
	}
}

func TestRegistryWithPasswordAndOwnCA(t *testing.T) {
	dir := home(t)
	certificate, key := selfSigned(t)
	hash, err := bcrypt.GenerateFromPassword([]byte("s3cret-canary"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	files := t.TempDir()
	write(t, filepath.Join(files, "cert"), certificate)
	write(t, filepath.Join(files, "key"), key)
	write(t, filepath.Join(files, "htpasswd"), "ci:"+string(hash)+"\n")
	host := startRegistry(t, fmt.Sprintf("  tls: {certificate: %s/cert, key: %s/key}\n", files, files), fmt.Sprintf("auth: {htpasswd: {realm: test, path: %s/htpasswd}}\n", files))
	ctx, repository, big := context.Background(), host+"/team/app", noise(t, 32, 500_000)

	_, err = remote.PushRegistry(ctx, image(t, big), repository, nil)
	if e := api.AsError(err); e.Code != api.ShipFailed || !strings.Contains(e.Hint, "certs.d/"+host) {
		t.Fatalf("an unknown CA: %v, hint %q", err, e.Hint)
	}
	write(t, filepath.Join(dir, ".docker", "certs.d", host, "ca.crt"), certificate)
	_, err = remote.PushRegistry(ctx, image(t, big), repository, nil)
	if e := api.AsError(err); e.Code != api.Refused || e.Hint != "docker login "+host {
		t.Fatalf("no password: %v, hint %q", err, e.Hint)
	}
	login := func(password string) {
		pair := base64.StdEncoding.EncodeToString([]byte("ci:" + password))
		write(t, filepath.Join(dir, ".docker", "config.json"), fmt.Sprintf(`{"auths":{%q:{"auth":%q}}}`, host, pair))
	}
	login("wrong-canary")
	_, err = remote.PushRegistry(ctx, image(t, big), repository, nil)
	if e := api.AsError(err); e.Code != api.Refused || strings.Contains(fmt.Sprintf("%v %+v", err, e), "canary") {
		t.Fatalf("the wrong password: %v", err)
	}
	login("s3cret-canary")
	pushed, err := remote.PushRegistry(ctx, image(t, big), repository, nil)
	if err != nil || pushed.Bytes < sizeOf(t, big) {
		t.Fatalf("%+v, %v", pushed, err)
	}
	if pushed, err = remote.PushRegistry(ctx, image(t, big), repository, nil); err != nil || pushed.Bytes > 4096 {
		t.Fatalf("second push: %+v, %v", pushed, err)
	}
	auth, err := remote.RegistryAuth(repository)
	if err != nil || auth == nil || auth.Username != "ci" || auth.Password != "s3cret-canary" {
		t.Errorf("credentials for the agent: %v", err)
	}
}

func TestRegistryRefusals(t *testing.T) {
	home(t)
	img := image(t, noise(t, 33, 1000))
	for repository, want := range map[string]api.Code{
		"":                                    api.Configuration,
		"app":                                 api.Configuration,
		"127.0.0.1:1/app:tag":                 api.Configuration,
		"127.0.0.1:1/app@" + digestOf(t, img): api.Configuration,
		"127.0.0.1:1/Team/app":                api.Configuration,
		"https://127.0.0.1:1/app":             api.Configuration,
		"127.0.0.1:1/team/app":                api.Unreachable,
	} {
		if _, err := remote.PushRegistry(context.Background(), img, repository, nil); api.AsError(err).Code != want || api.AsError(err).Hint == "" {
			t.Errorf("%q: %v", repository, err)
		}
	}
}

// selfSigned is a CA that is the server's own certificate.
func selfSigned(t *testing.T) (certificate, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test CA"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw}))
}
