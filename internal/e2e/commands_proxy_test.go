package e2e

import (
	"archive/tar"
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"io"
	mathbig "math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/dokku-push/dokku-push/internal/testkit"
)

// pair makes a certificate for a name with its key, both in PEM.
func pair(t *testing.T, name string, until time.Time) (chain, key []byte) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: mathbig.NewInt(time.Now().UnixNano()), DNSNames: []string{name}, NotBefore: until.AddDate(-1, 0, 0), NotAfter: until}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	text, err := x509.MarshalECPrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: text})
}

// archive is a tar of files, given as name and text in turn.
func archive(t *testing.T, files ...string) []byte {
	t.Helper()
	var out bytes.Buffer
	to := tar.NewWriter(&out)
	for n := 0; n < len(files); n += 2 {
		if err := to.WriteHeader(&tar.Header{Name: files[n], Mode: 0o644, Size: int64(len(files[n+1])), Typeflag: tar.TypeReg}); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(to, files[n+1]); err != nil {
			t.Fatal(err)
		}
	}
	if err := to.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// sends runs a command with something on its standard input.
func sends(t *testing.T, h *testkit.Host, input []byte, args ...string) testkit.Result {
	t.Helper()
	command := h.DokkuCommand(t, args...)
	command.Stdin = bytes.NewReader(input)
	return testkit.Run(t, command)
}

// tlsPort is where the host serves https.
func tlsPort(t *testing.T, h *testkit.Host) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(h.Root, "lib/data/agent/host.json"))
	var config struct {
		Nginx struct {
			TLSPort int `json:"tls_port"`
		} `json:"nginx"`
	}
	if err == nil {
		err = json.Unmarshal(text, &config)
	}
	if err != nil || config.Nginx.TLSPort == 0 {
		t.Fatalf("host.json names no port for https: %v\n%s", err, text)
	}
	return strconv.Itoa(config.Nginx.TLSPort)
}

// secure asks for a domain's front page by https, at an address, and returns the
// certificate that was shown.
func secure(t *testing.T, port, domain string) (status int, body string, shown []byte) {
	t.Helper()
	dial := &tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true, ServerName: domain}}
	conn, err := dial.DialContext(t.Context(), "tcp", net.JoinHostPort("127.0.0.1", port))
	if err != nil {
		return 0, err.Error(), nil
	}
	shown = conn.(*tls.Conn).ConnectionState().PeerCertificates[0].Raw
	web := &http.Client{Transport: &http.Transport{DialTLSContext: dial.DialContext, DisableKeepAlives: true}, Timeout: 20 * time.Second}
	_ = conn.Close()
	request, err := http.NewRequest(http.MethodGet, "https://127.0.0.1:"+port+"/", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Host = domain
	answer, err := web.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(text), shown
}

// at asks a port of the host for a domain's front page.
func at(t *testing.T, port, domain string) (int, string) {
	t.Helper()
	request, err := http.NewRequest(http.MethodGet, "http://127.0.0.1:"+port+"/", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Host, request.Close = domain, true
	answer, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 20 * time.Second}).Do(request)
	if err != nil {
		return 0, err.Error()
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(text)
}

func freePort(t *testing.T) string {
	t.Helper()
	return strconv.Itoa(testkit.FreePort(t))
}

// TestCommandsProxy drives domains, certificates, ports, the proxy and nginx of an app that
// runs; what is refused changes nothing.
func TestCommandsProxy(t *testing.T) {
	t.Parallel()
	h, dir, app := talking(t)
	own, port := app+".localhost", tlsPort(t, h)
	served := func(step string) {
		t.Helper()
		if code, body, _ := secure(t, port, own); code != 200 || !strings.Contains(body, "Hello") {
			t.Errorf("%s: https answers %d %q", step, code, body)
		}
	}

	chain, key := pair(t, own, time.Now().AddDate(0, 1, 0))
	otherChain, otherKey := pair(t, own, time.Now().AddDate(0, 2, 0))
	expiredChain, expiredKey := pair(t, own, time.Now().Add(-time.Hour))
	wrongChain, wrongKey := pair(t, "elsewhere.example.com", time.Now().AddDate(0, 1, 0))
	good := archive(t, "certs/server.crt", string(chain), "certs/server.key", string(key))
	t.Run("refused certificates", func(t *testing.T) {
		before := state(t, h)
		for says, input := range map[string][]byte{
			"no pair":                       archive(t, "a.crt", string(chain), "a.key", string(otherKey)),
			"has expired":                   archive(t, "a.crt", string(expiredChain), "a.key", string(expiredKey)),
			"is for elsewhere.example.com":  archive(t, "a.crt", string(wrongChain), "a.key", string(wrongKey)),
			"not in PEM":                    archive(t, "a.crt", "nonsense", "a.key", string(key)),
			"missing a .key":                archive(t, "a.crt", string(chain)),
			"two .key files":                archive(t, "a.crt", string(chain), "a.key", string(key), "b.key", string(key)),
			"leads out of the archive":      archive(t, "../a.crt", string(chain), "a.key", string(key)),
			"expected on stdin":             nil,
			"no whole tar archive":          good[:700],
			"something follows its end":     append(bytes.Clone(good), good...),
			"line ends of Windows":          archive(t, "a.crt", strings.ReplaceAll(string(chain), "\n", "\r\n"), "a.key", string(key)),
			"is too large for a certificat": archive(t, "a.crt", strings.Repeat("x", 1<<20), "a.key", string(key)),
		} {
			if r := sends(t, h, input, "certs:add", app); r.Exit != 1 || r.Stdout != "" || !strings.Contains(r.Stderr, says) || strings.Contains(r.Stderr, "PRIVATE") {
				t.Errorf("want %q: %+v", says, r)
			}
		}
		refuses(t, h, 1, "files of the host", "certs:add", app, "/etc/passwd", "/etc/shadow")
		refuses(t, h, 1, "not defined", "certs:show", app, "key")
		refuses(t, h, 1, "not defined", "certs:remove", app)
		same(t, "refused certificates changed the host", before, state(t, h))
	})

	if r := sends(t, h, good, "certs:add", app); r.Exit != 0 || !strings.Contains(r.Stdout, "Certificate for "+own) {
		t.Fatalf("certs:add: %+v", r)
	}
	code, body, shown := secure(t, port, own)
	if block, _ := pem.Decode(chain); code != 200 || !strings.Contains(body, "Hello") || !bytes.Equal(shown, block.Bytes) {
		t.Fatalf("https answers %d %q, with the added certificate: %t", code, body, bytes.Equal(shown, block.Bytes))
	}
	if info, err := os.Stat(filepath.Join(h.Root, "home", app, "tls", "server.key")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the key's file: %v, %v", info, err)
	}
	if code, _ := at(t, strings.TrimPrefix(h.HTTP, "127.0.0.1:"), own); code == 200 {
		t.Errorf("http answers %d, want a redirect", code)
	}
	prints(t, h, string(key), "certs:show", app, "key")
	prints(t, h, "true\n", "certs:report", app, "--ssl-enabled")
	prints(t, h, "http:80:5000 https:443:5000\n", "ports:report", app, "--ports-map-detected")
	if r := sends(t, h, archive(t, "a.crt", string(otherChain), "a.key", string(otherKey)), "certs:update", app); r.Exit != 0 {
		t.Errorf("certs:update: %+v", r)
	}
	prints(t, h, string(otherChain), "certs:show", app, "crt")
	pushed(t, h.Push(t, dir, "--app", app)) // the next deploy keeps https
	served("after a push")

	extra := freePort(t)
	dokku(t, h, 0, "ports:set", app, "http:80:5000", "https:443:5000", "http:"+extra+":5000")
	if code, body := at(t, extra, own); code != 200 || !strings.Contains(body, "Hello") {
		t.Errorf("the new port answers %d %q", code, body)
	}
	t.Run("refused ports", func(t *testing.T) {
		settings := func() string { return files(t, filepath.Join(h.Root, "home"), filepath.Join(h.Root, "lib/config")) }
		before := settings() // nginx's own token is another after a reload that was taken back
		busy, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer busy.Close()
		_, taken, _ := net.SplitHostPort(busy.Addr().String())
		refuses(t, h, 1, "", "ports:add", app, "http:"+taken+":5000")
		refuses(t, h, 1, "mapped twice", "ports:add", app, "https:"+extra+":5000")
		refuses(t, h, 1, "", "ports:set", app, "ftp:21:21")
		refuses(t, h, 1, "nginx serves http", "ports:set", app, "tcp:5432:5432")
		refuses(t, h, 1, "is in no port mapping", "ports:remove", app, "http:9:9")
		same(t, "refused ports changed the app", before, settings())
		served("after a busy port")
	})
	dokku(t, h, 0, "ports:remove", app, extra)
	if code, _ := at(t, extra, own); code != 0 {
		t.Errorf("the removed port answers %d", code)
	}
	dokku(t, h, 0, "proxy:ports-clear", app)
	served("with the map cleared")

	t.Run("domains", func(t *testing.T) {
		moved := app + ".example.com"
		dokku(t, h, 0, "certs:remove", app)
		if code, body := page(t, h, own); code != 200 || !strings.Contains(body, "Hello") {
			t.Errorf("without the certificate http answers %d %q", code, body)
		}
		prints(t, h, "-----> Set "+moved+" for "+app+"\n", "domains:set", app, moved)
		if code, body := page(t, h, moved); code != 200 || !strings.Contains(body, "Hello") {
			t.Errorf("the new domain answers %d %q", code, body)
		}
		if _, body := page(t, h, own); strings.Contains(body, "Hello") {
			t.Errorf("the old domain answers %q", body)
		}
		dokku(t, h, 0, "domains:disable", app)
		prints(t, h, "false\n", "domains:report", app, "--domains-app-enabled")
		if _, body := page(t, h, moved); strings.Contains(body, "Hello") {
			t.Errorf("a disabled domain answers %q", body)
		}
		dokku(t, h, 0, "domains:enable", app)
		answers(t, h, app, "/", "Hello")
		if r := dokku(t, h, 0, "certs:generate", app, moved); !strings.Contains(r.Stdout, "CERTIFICATE REQUEST") {
			t.Errorf("certs:generate: %+v", r)
		}
		if code, body, _ := secure(t, port, moved); code != 200 || !strings.Contains(body, "Hello") {
			t.Errorf("the self-signed site answers %d %q", code, body)
		}
		dokku(t, h, 0, "certs:remove", app)
		prints(t, h, "-----> Cleared domains in "+app+"\n", "domains:clear", app)
		prints(t, h, "-----> Reset domains in "+app+"\n", "domains:reset", app)
		answers(t, h, app, "/", "Hello")
	})

	t.Run("nginx", func(t *testing.T) {
		dokku(t, h, 0, "nginx:set", app, "client-max-body-size", "7m")
		if conf := dokku(t, h, 0, "nginx:show-config", app).Stdout; !strings.Contains(conf, "client_max_body_size 7m;") {
			t.Errorf("the property is not in the site:\n%s", conf)
		}
		before := state(t, h)
		refuses(t, h, 1, "client-max-body-size", "nginx:set", app, "client-max-body-size", "much")
		refuses(t, h, 1, "", "nginx:set", app, "client-max-body-size", quote("1m; deny all"))
		refuses(t, h, 1, "", "nginx:set", app, "access-log-format", "nosuchformat") // nginx itself says no
		refuses(t, h, 1, "Invalid property", "nginx:set", app, "nonsense", "1")
		refuses(t, h, 1, "", "nginx:set", app, "access-log-path", "/etc/passwd")
		refuses(t, h, 1, "by the host alone", "nginx:stop")
		refuses(t, h, 1, "by the host alone", "nginx:start")
		same(t, "refused properties changed the host", before, state(t, h))
		dokku(t, h, 0, "nginx:set", app, "client-max-body-size")
		prints(t, h, "1m\n", "nginx:report", app, "--nginx-computed-client-max-body-size")
		if r := dokku(t, h, 0, "nginx:access-logs", app); !strings.Contains(r.Stdout, "GET / HTTP/1.1") {
			t.Errorf("the access log: %+v", r)
		}
		dokku(t, h, 0, "nginx:error-logs", app)
		prints(t, h, "", "nginx:validate-config")
		include := filepath.Join(h.Root, "home", app, "nginx.conf.d", "broken.conf")
		if err := os.MkdirAll(filepath.Dir(include), 0o755); err != nil {
			t.Fatal(err)
		}
		put(t, include, "brokn on;\n")
		refuses(t, h, 1, include+":1", "nginx:validate-config")
		if r := dokku(t, h, 0, "nginx:validate-config", "--clean"); !strings.Contains(r.Stderr, "the app "+app) || !strings.Contains(r.Stderr, ".broken-") {
			t.Errorf("--clean says %+v", r)
		}
		prints(t, h, "", "nginx:validate-config")
		if err := os.Remove(include); err != nil {
			t.Fatal(err)
		}
		dokku(t, h, 0, "nginx:build-config", app)
		answers(t, h, app, "/", "Hello")
		prints(t, h, "-----> Reloading nginx\n", "nginx:reload")
	})

	prints(t, h, "-----> Disabling proxy for "+app+"\n", "proxy:disable", app)
	if _, body := h.Get(t, app, "/"); strings.Contains(body, "Hello") {
		t.Errorf("a disabled proxy answers %q", body)
	}
	dokku(t, h, 0, "ps:restart", app) // a deploy leaves it so
	if _, body := h.Get(t, app, "/"); strings.Contains(body, "Hello") {
		t.Errorf("a disabled proxy answers %q after a deploy", body)
	}
	prints(t, h, "-----> Enabling proxy for "+app+"\n", "proxy:enable", app)
	answers(t, h, app, "/", "Hello")
	dokku(t, h, 0, "proxy:clear-config", app)
	refuses(t, h, 1, "No nginx.conf exists", "nginx:show-config", app)
	dokku(t, h, 0, "proxy:build-config", app)
	answers(t, h, app, "/", "Hello")
	var report map[string]string
	if err := json.Unmarshal([]byte(dokku(t, h, 0, "proxy:report", app, "--format", "json").Stdout), &report); err != nil || report["enabled"] != "true" || report["computed-type"] != "nginx" {
		t.Errorf("the report as JSON: %v, %v", report, err)
	}
}

// TestCommandsNetwork: containers are where network:set says, and are served there.
func TestCommandsNetwork(t *testing.T) {
	t.Parallel()
	h, _, app := talking(t)
	first, second := app+"-first", app+"-second"
	t.Cleanup(func() {
		h.Stop()
		for _, name := range []string{first, second} {
			for _, id := range strings.Fields(docker(t, "ps", "-aq", "--filter", "network="+name)) {
				docker(t, "rm", "-f", id)
			}
			if strings.Contains(docker(t, "network", "ls", "--format", "{{.Name}}"), name) {
				docker(t, "network", "rm", name)
			}
		}
	})
	refuses(t, h, 1, "Network does not exist", "network:exists", first)
	prints(t, h, "-----> Creating network "+first+"\n", "network:create", first)
	dokku(t, h, 0, "network:create", second)
	prints(t, h, "Network exists\n", "network:exists", first)
	if list := dokku(t, h, 0, "network:list"); !strings.HasPrefix(list.Stdout, "=====> Networks\n") || !strings.Contains(list.Stdout, "\n"+first+"\n") {
		t.Errorf("network:list: %+v", list)
	}
	before := state(t, h)
	refuses(t, h, 1, "Network is already taken", "network:create", first)
	refuses(t, h, 1, "does not exist", "network:set", app, "initial-network", app+"-none")
	refuses(t, h, 1, "", "network:set", app, "initial-network", "host")
	refuses(t, h, 1, "", "network:set", app, "tld", quote("a;b"))
	refuses(t, h, 1, "Invalid property", "network:set", app, "nonsense", "x")
	refuses(t, h, 1, "not made by network:create", "network:destroy", "bridge", "--force")
	refuses(t, h, 1, "Confirmation did not match", "network:destroy", first)
	same(t, "refused networks changed the host", before, state(t, h))
	dokku(t, h, 0, "network:set", app, "initial-network", first)
	dokku(t, h, 0, "network:set", app, "attach-post-create", second)
	dokku(t, h, 0, "network:set", app, "tld", "internal")
	dokku(t, h, 0, "ps:rebuild", app)
	answers(t, h, app, "/", "Hello")
	if got := docker(t, "inspect", "--format", "{{range $name, $n := .NetworkSettings.Networks}}{{$name}} {{end}}", app+".web.1"); got != first+" "+second {
		t.Errorf("the container is in %q", got)
	}
	refuses(t, h, 1, "in use by "+app+".web.1", "network:destroy", first, "--force")
	prints(t, h, first+"\n", "network:report", app, "--network-computed-initial-network")
	out := dokku(t, h, 0, "run", app, "busybox", "wget", "-qO-", app+".web.internal:5000/").Stdout
	if !strings.Contains(out, "Hello") {
		t.Errorf("another container of the network gets %q", out)
	}
	dokku(t, h, 0, "network:rebuild", app)
	dokku(t, h, 0, "network:rebuildall")
	answers(t, h, app, "/", "Hello")
	dokku(t, h, 0, "network:set", app, "initial-network")
	dokku(t, h, 0, "network:set", app, "attach-post-create")
	dokku(t, h, 0, "ps:rebuild", app)
	answers(t, h, app, "/", "Hello")
	gone := time.Now().Add(3 * time.Minute) // for the former container, whose connections are waited for
	for docker(t, "ps", "-aq", "--filter", "network="+second) != "" && time.Now().Before(gone) {
		time.Sleep(100 * time.Millisecond)
	}
	prints(t, h, "-----> Destroying network "+second+"\n", "network:destroy", second, "--force")
	dokku(t, h, 0, "network:destroy", first, "--force")
}
