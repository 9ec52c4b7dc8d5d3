package testkit

import (
	"crypto/rand"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"
)

// RegistryOptions says what kind of registry is wanted. The zero value is a plain
// one without a password.
type RegistryOptions struct {
	TLS      bool   // behind a certificate of an own CA
	User     string // basic auth; empty: none
	Password string
}

// RegistryServer is Debian's docker-registry on loopback.
type RegistryServer struct {
	Addr           string // 127.0.0.1:PORT
	CAFile         string // PEM of the CA, with TLS
	User, Password string

	child *child
}

// Registry starts Debian's docker-registry, empty, for the length of the test.
func Registry(t testing.TB, options RegistryOptions) *RegistryServer {
	t.Helper()
	dir := t.TempDir()
	server := &RegistryServer{Addr: loopback(FreePort(t)), User: options.User, Password: options.Password}
	config := map[string]any{
		"version": "0.1",
		"log":     map[string]any{"level": "info", "accesslog": map[string]any{"disabled": false}},
		"storage": map[string]any{"filesystem": map[string]any{"rootdirectory": filepath.Join(dir, "data")},
			"delete": map[string]any{"enabled": true}},
	}
	listen := map[string]any{"addr": server.Addr}
	if options.TLS {
		ca, cert, key := certificate(t, dir)
		server.CAFile = ca
		listen["tls"] = map[string]any{"certificate": cert, "key": key}
	}
	config["http"] = listen
	if options.User != "" {
		hash, err := bcrypt.GenerateFromPassword([]byte(options.Password), bcrypt.MinCost)
		must(t, "hash the password", err)
		passwords := filepath.Join(dir, "htpasswd")
		must(t, "write htpasswd", os.WriteFile(passwords, fmt.Appendf(nil, "%s:%s\n", options.User, hash), 0o600))
		config["auth"] = map[string]any{"htpasswd": map[string]any{"realm": "test", "path": passwords}}
	}
	text, err := json.Marshal(config) // JSON is YAML too
	must(t, "write the registry's config", err)
	file := filepath.Join(dir, "config.yml")
	must(t, "write the registry's config", os.WriteFile(file, text, 0o600))
	serve := exec.Command("docker-registry", "serve", file)
	serve.Env = append(cleanEnv(), "HOME="+dir, "OTEL_TRACES_EXPORTER=none")
	server.child = startChild(t, "docker-registry", serve)
	server.child.listening(t, server.Addr)
	return server
}

// Requests counts the requests so far with that method whose path holds part:
// what a push sent can be told from what it only asked for.
func (r *RegistryServer) Requests(method, part string) int {
	r.written()
	count := 0
	for line := range strings.Lines(r.child.said.String()) {
		if request, ok := requestOf(line); ok && strings.HasPrefix(request, method+" ") && strings.Contains(request, part) {
			count++
		}
	}
	return count
}

// written waits until the registry has written down what it was asked before: it does so after
// its answer. A request of our own comes last.
func (r *RegistryServer) written() {
	path := "/our-own/" + rand.Text()
	web := &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	url := map[bool]string{false: "http://", true: "https://"}[r.CAFile != ""] + r.Addr + path
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if answer, err := web.Get(url); err == nil {
			_ = answer.Body.Close()
		}
		if strings.Contains(r.child.said.String(), path) {
			return
		}
	}
}

// requestOf finds `METHOD PATH` in a line of the access log, which has Apache's
// combined form: the request is the first quoted part.
func requestOf(line string) (string, bool) {
	before, rest, ok := strings.Cut(line, `] "`)
	request, _, closed := strings.Cut(rest, " HTTP/")
	return request, ok && closed && !strings.Contains(before, "level=")
}

// DockerConfig writes a folder for DOCKER_CONFIG whose config.json logs in to the
// registry, as `docker login` leaves it.
func (r *RegistryServer) DockerConfig(t testing.TB) (dir string) {
	t.Helper()
	dir = t.TempDir()
	text, err := json.Marshal(map[string]any{"auths": map[string]any{
		// encoding/json writes a []byte in base64, which is the form of auth.
		r.Addr: map[string]any{"auth": []byte(r.User + ":" + r.Password)},
	}})
	must(t, "write Docker's config", err)
	must(t, "write Docker's config", os.WriteFile(filepath.Join(dir, "config.json"), text, 0o600))
	return dir
}
