package docker

import (
	"context"
	"net"
	"net/http"
	"net/http/httputil"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/dokku-push/dokku-push/agent"
)

// TestCreateIsAnswered: the engine finishes a create that was given up, so its answer is
// waited for: who takes back what was done finds the container.
func TestCreateIsAnswered(t *testing.T) {
	w := newWorld(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	engine, err := New(slow(t, w.api.DaemonHost(), func(path string) {
		if strings.HasSuffix(path, "/containers/create") {
			cancel()
			time.Sleep(300 * time.Millisecond)
		}
	}))
	must(t, err)
	defer func() { must(t, engine.Close()) }()
	spec := agent.ContainerSpec{Name: w.repository + "-late", Image: w.image, Cmd: []string{"true"}, Labels: map[string]string{"dkp-docker": w.repository}}
	id, err := engine.Create(ctx, spec)
	if err != nil {
		t.Fatalf("nobody would know of the container: %v", err)
	}
	if made, err := w.Inspect(t.Context(), spec.Name); err != nil || made.ID != id {
		t.Errorf("the container is %q, want %q: %v", made.ID, id, err)
	}
}

// slow is the address of an engine before whose answers wait is called.
func slow(t *testing.T, host string, wait func(path string)) string {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "sock")
	listener, err := net.Listen("unix", socket)
	must(t, err)
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.Out.URL.Scheme, r.Out.URL.Host = "http", "engine" },
		Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", strings.TrimPrefix(host, "unix://"))
		}},
		ModifyResponse: func(answer *http.Response) error { wait(answer.Request.URL.Path); return nil },
	}
	server := &http.Server{Handler: proxy}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close() })
	return "unix://" + socket
}
