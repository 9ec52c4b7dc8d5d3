package dockerfile

import (
	"context"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/moby/moby/client"
)

// TestLostImage: an image that somebody removes between its build and its export is
// built again.
func TestLostImage(t *testing.T) {
	b := newBench(t, map[string]string{"Dockerfile": "FROM " + base + "\nCOPY app.txt /app.txt\n", "app.txt": "lost once\n"})
	var pushes atomic.Int32
	b.host = before(t, b.docker, func(r *http.Request) {
		if r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/push") && pushes.Add(1) == 1 {
			_, err := b.docker.ImageRemove(context.Background(), ImageName(b.app), client.ImageRemoveOptions{})
			if err == nil {
				name := strings.TrimSuffix(r.URL.Path[strings.Index(r.URL.Path, "/images/")+len("/images/"):], "/push")
				_, err = b.docker.ImageRemove(context.Background(), name+":latest", client.ImageRemoveOptions{})
			}
			if err != nil {
				t.Errorf("take the image away: %v", err)
			}
		}
	})
	image := b.build()
	if text, _ := file(t, image, "app.txt"); text != "lost once\n" || pushes.Load() != 2 {
		t.Errorf("app.txt is %q after %d exports, want two", text, pushes.Load())
	}
}

// before is the address of an engine like the one of docker; f sees each request first.
func before(t *testing.T, docker *client.Client, f func(*http.Request)) string {
	t.Helper()
	engine, err := url.Parse(docker.DaemonHost())
	if err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(t.TempDir(), "sock")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.Out.URL.Scheme, r.Out.URL.Host = "http", "engine"; f(r.In) },
		Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", engine.Path)
		}},
		FlushInterval: -1,
	}
	server := &http.Server{Handler: proxy}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close() })
	return "unix://" + socket
}
