package e2e

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// faultyEngine stands between a host and the engine. Armed, it lets one call of a deploy
// go wrong.
type faultyEngine struct {
	address string // for DOCKER_HOST
	spare   int32  // the host's own process, whose calls do not count

	mu    sync.Mutex
	at    int // the call that goes wrong, 1 for the next one; 0: none
	how   string
	hit   bool // it has gone wrong
	calls []string

	refuse func(r *http.Request) bool // calls that are answered with a failure, whoever makes them
}

// How a call goes wrong.
const (
	answers500 = "500"
	unanswered = "no answer" // it was done
	hanging    = "hanging"
)

// newFaultyEngine listens in a folder of the test's.
func newFaultyEngine(t *testing.T) *faultyEngine {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "engine.sock")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	e := &faultyEngine{address: "unix://" + socket}
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", "/var/run/docker.sock")
	}}
	through := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: "docker"})
	through.Transport, through.FlushInterval = transport, -1
	through.ErrorHandler = func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) }
	server := &http.Server{ConnContext: withPeer, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch e.next(r) {
		case answers500:
			http.Error(w, `{"message":"this call was chosen to fail"}`, http.StatusInternalServerError)
		case hanging:
			<-r.Context().Done()
		case unanswered:
			r.URL.Scheme, r.URL.Host, r.RequestURI = "http", "docker", ""
			if answer, err := transport.RoundTrip(r); err == nil {
				_, _ = io.Copy(io.Discard, answer.Body) // the end of it is when it is done
				_ = answer.Body.Close()
			}
			panic(http.ErrAbortHandler) // the connection is closed without a word
		default:
			through.ServeHTTP(w, r)
		}
	})}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	t.Cleanup(func() {
		_ = server.Close()
		<-served
		transport.CloseIdleConnections()
	})
	return e
}

// arm lets the n-th call from now on go wrong; 0 only counts.
func (e *faultyEngine) arm(n int, how string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.at, e.how, e.hit, e.calls = n, how, false, nil
}

// disarm returns the calls that a deploy has made since.
func (e *faultyEngine) disarm() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.at = 0
	return e.calls
}

// hangs tells whether a call waits for an answer that never comes.
func (e *faultyEngine) hangs() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.hit && e.how == hanging
}

// refusing lets every call fail that it is told of, from now on; nil: none.
func (e *faultyEngine) refusing(refuse func(r *http.Request) bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.refuse = refuse
}

func (e *faultyEngine) next(r *http.Request) (how string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.refuse != nil && e.refuse(r) {
		return answers500
	}
	// What streams until the container ends is no call that could have an answer.
	if peer, _ := r.Context().Value(peerKey{}).(int32); peer == e.spare || strings.HasSuffix(r.URL.Path, "/events") ||
		strings.HasSuffix(r.URL.Path, "/wait") || strings.HasSuffix(r.URL.Path, "/_ping") {
		return ""
	}
	e.calls = append(e.calls, r.Method+" "+r.URL.Path)
	if len(e.calls) == e.at {
		e.hit = true
		return e.how
	}
	return ""
}

type peerKey struct{}

// withPeer notes the process at the other end of a connection.
func withPeer(ctx context.Context, connection net.Conn) context.Context {
	raw, err := connection.(*net.UnixConn).SyscallConn()
	if err != nil {
		return ctx
	}
	_ = raw.Control(func(fd uintptr) {
		if peer, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED); err == nil {
			ctx = context.WithValue(ctx, peerKey{}, peer.Pid)
		}
	})
	return ctx
}
