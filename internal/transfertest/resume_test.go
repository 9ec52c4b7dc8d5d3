package transfertest

import (
	"context"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/dokku-push/dokku-push/agent/store"
	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/remote"
)

const (
	bigLayer = 8 << 20
	cutAt    = 5 << 20
	slack    = 64 << 10
)

func TestInterruptedUploadGoesOn(t *testing.T) {
	t.Parallel()
	server := serve(t, &store.Store{Dir: t.TempDir()}, "app", nil)
	big := noise(t, 5, bigLayer)
	cut := &cutting{next: http.DefaultTransport, after: cutAt, times: 1}
	tr := &remote.Transfer{HTTP: &http.Client{Transport: cut}, Base: server.URL, Jobs: 1}
	sent, err := tr.Send(context.Background(), "app", image(t, big))
	if err != nil || sent.Layers != 1 {
		t.Fatalf("%+v, %v", sent, err)
	}
	if most := sizeOf(t, big) + slack; sent.Bytes > most {
		t.Errorf("sent %d bytes, at most %d were needed", sent.Bytes, most)
	}
}

func TestNewProcessGoesOn(t *testing.T) {
	t.Parallel()
	s := &store.Store{Dir: t.TempDir()}
	server := serve(t, s, "app", nil)
	img := image(t, noise(t, 6, bigLayer))
	state := t.TempDir()
	through, stop := proxy(t, server.Listener.Addr().String(), cutAt)
	first := &remote.Transfer{HTTP: &http.Client{Transport: through}, Base: server.URL, StateDir: state, Host: "h"}
	if _, err := first.Send(context.Background(), "app", img); api.AsError(err).Code != api.Unreachable {
		t.Fatalf("the line is cut: %v", err)
	}
	stop()
	stored := arrived(t, s)

	var notes []string
	second := &remote.Transfer{HTTP: server.Client(), Base: server.URL, StateDir: state, Host: "h",
		Progress: func(p api.Progress) { notes = append(notes, p.Note) }}
	sent, err := second.Send(context.Background(), "app", img)
	if err != nil {
		t.Fatal(err)
	}
	layers, err := img.Layers()
	if err != nil {
		t.Fatal(err)
	}
	if most := sizeOf(t, layers[0]) - stored + slack; sent.Bytes > most {
		t.Errorf("sent %d bytes, at most %d were needed", sent.Bytes, most)
	}
	if !strings.Contains(strings.Join(notes, ","), "resumed at") {
		t.Errorf("notes: %q", notes)
	}
	if left := tree(t, state); len(left) != 0 {
		t.Errorf("state left behind: %v", left)
	}
}

// arrived is how much of the unfinished upload of the layer is on disk, once its writer has
// noticed that nothing more comes. The config's may have been cut off beside it.
func arrived(t *testing.T, s *store.Store) int64 {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		sums, err := filepath.Glob(filepath.Join(s.Dir, "apps/app/uploads/*.sum"))
		if err != nil {
			t.Fatal(err)
		}
		for _, sum := range sums {
			info, err := os.Stat(strings.TrimSuffix(sum, ".sum"))
			if err != nil {
				t.Fatal(err)
			}
			if info.Size() >= cutAt/2 {
				return info.Size()
			}
		}
	}
	t.Fatalf("the server did not notice the cut: %v", tree(t, s.Dir))
	return 0
}

// proxy is a transport whose connections all die once so many bytes went
// through, and that cannot connect from then on.
func proxy(t *testing.T, address string, most int64) (http.RoundTripper, func()) {
	t.Helper()
	budget := make(chan int64, 1)
	budget <- most
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		left := <-budget
		budget <- left
		if left <= 0 {
			return nil, net.ErrClosed
		}
		c, err := new(net.Dialer).DialContext(ctx, "tcp", address)
		return &metered{c, budget}, err
	}}
	return transport, transport.CloseIdleConnections
}

type metered struct {
	net.Conn
	budget chan int64
}

func (m *metered) Write(p []byte) (int, error) {
	left := <-m.budget
	n := min(left, int64(len(p)))
	m.budget <- left - n
	if n > 0 {
		if done, err := m.Conn.Write(p[:n]); err != nil {
			return done, err
		}
	}
	if n < int64(len(p)) {
		m.Conn.Close()
		return int(n), net.ErrClosed
	}
	return int(n), nil
}

func TestStateOfAnotherHostIsNotUsed(t *testing.T) {
	t.Parallel()
	state := t.TempDir()
	img := image(t, noise(t, 7, 200_000))
	for _, host := range []string{"a", "b"} {
		server := serve(t, &store.Store{Dir: t.TempDir()}, "app", nil)
		through, stop := proxy(t, server.Listener.Addr().String(), 100_000)
		tr := &remote.Transfer{HTTP: &http.Client{Transport: through}, Base: server.URL, StateDir: state, Host: host}
		if _, err := tr.Send(context.Background(), "app", img); err == nil {
			t.Fatal("the line is cut")
		}
		stop()
		tr.HTTP = server.Client()
		if _, err := tr.Send(context.Background(), "app", img); err != nil {
			t.Fatalf("host %s: %v", host, err)
		}
	}
}

func TestForgottenUploadBeginsAnew(t *testing.T) {
	t.Parallel()
	s := &store.Store{Dir: t.TempDir()}
	server := serve(t, s, "app", nil)
	img := image(t, noise(t, 8, 400_000))
	through, stop := proxy(t, server.Listener.Addr().String(), 200_000)
	tr := &remote.Transfer{HTTP: &http.Client{Transport: through}, Base: server.URL, StateDir: t.TempDir()}
	if _, err := tr.Send(context.Background(), "app", img); err == nil {
		t.Fatal("the line is cut")
	}
	stop()
	if err := s.Forget("app"); err != nil {
		t.Fatal(err)
	}
	tr.HTTP = server.Client()
	if sent, err := tr.Send(context.Background(), "app", img); err != nil || sent.Layers != 1 {
		t.Fatalf("%+v, %v", sent, err)
	}
}
