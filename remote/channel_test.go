package remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/internal/redact"
)

// connected is a server and a connection to it.
func connected(t *testing.T, exec func(string, ssh.Channel) int) (*testServer, *Conn) {
	t.Helper()
	user, hostKey := newKey(t), newKey(t)
	server := startServer(t, []ssh.Signer{hostKey.signer}, user.public)
	if exec != nil {
		server.exec = exec
	}
	o := newHome(t).options(server.addr)
	o.HostKey, o.Key = hostKey.sum(), redact.Secret(user.text(t, ""))
	return server, dial(t, o)
}

func TestHTTPOverChannelsStaysUnderTheLimit(t *testing.T) {
	release := make(chan struct{})
	var waiting, now atomic.Int32
	server, conn := connected(t, agentExec(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		waiting.Add(1)
		if n := now.Add(1); n > api.MaxChannels {
			t.Errorf("%d requests at once", n)
		}
		defer now.Add(-1)
		<-release
		fmt.Fprintf(w, "%s %s", r.Method, r.URL.Path)
	})))
	server.mu.Lock()
	server.limit = 10 // as OpenSSH's MaxSessions
	server.mu.Unlock()
	var all sync.WaitGroup
	for i := range 24 {
		all.Go(func() {
			answer, err := conn.HTTPClient().Get(fmt.Sprintf("%s/%d", AgentURL, i))
			if err != nil {
				t.Error(err)
				return
			}
			defer answer.Body.Close()
			if body, err := io.ReadAll(answer.Body); err != nil || string(body) != fmt.Sprintf("GET /%d", i) {
				t.Errorf("%q, %v", body, err)
			}
		})
	}
	for waiting.Load() < api.MaxChannels {
		time.Sleep(time.Millisecond)
	}
	close(release)
	all.Wait()
	// Idle HTTP connections make room for a command.
	if code, err := conn.Run(context.Background(), []string{"other"}, nil, nil, nil, RunOptions{}); code != 127 || err != nil {
		t.Error(code, err)
	}
	server.mu.Lock()
	defer server.mu.Unlock()
	// A server answers a close at once and counts the session until its program has
	// ended: that is what the room between MaxChannels and MaxSessions is for.
	if server.peak < api.MaxChannels || server.peak > server.limit {
		t.Errorf("%d channels at once, want %d", server.peak, api.MaxChannels)
	}
}

func TestSilentAndStrangeAgents(t *testing.T) {
	for name, c := range map[string]struct {
		exec  func(string, ssh.Channel) int
		code  api.Code
		words []string
	}{
		"not installed": {func(_ string, ch ssh.Channel) int {
			fmt.Fprint(ch.Stderr(), "sh: 1: dokku-agent: not found\n")
			return 127
		}, api.Precondition, []string{"dokku-agent: not found", "install"}},
		"plain dokku": {func(_ string, ch ssh.Channel) int {
			fmt.Fprint(ch.Stderr(), " !     `agent:http` is not a dokku command.\n !     See `dokku help`\n")
			return 1
		}, api.Precondition, []string{"is not a dokku command", "install"}},
		"denied": {func(_ string, ch ssh.Channel) int {
			fmt.Fprint(ch.Stderr(), " !     Access denied\n")
			return 1
		}, api.Refused, []string{"Access denied"}},
		"panic": {func(_ string, ch ssh.Channel) int {
			fmt.Fprint(ch.Stderr(), strings.Repeat("x", 3*tailSize)+"\x1b]0;evil\x07 the end\n")
			return 2
		}, api.Unreachable, []string{"the end", "doctor"}},
		"mute":  {func(string, ssh.Channel) int { return 3 }, api.Unreachable, []string{"without an answer", "status 3"}},
		"noisy": {func(_ string, ch ssh.Channel) int { fmt.Fprint(ch, "Welcome to\x1b[1m host\n"); return 0 }, api.WrongProtocol, []string{"Welcome to", "start files"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, conn := connected(t, c.exec)
			_, err := conn.API().Hello(context.Background())
			refused(t, err, c.code, c.words...)
			if strings.ContainsAny(err.Error(), "\x1b\x07\n") || len(err.Error()) > tailSize+200 {
				t.Errorf("not fit to show: %q", err)
			}
		})
	}
}

func TestRefusalBeforeTheBody(t *testing.T) {
	_, conn := connected(t, agentExec(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Connection", "close")
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprint(w, `{"code":"refused","message":"not yours"}`)
	})))
	body := &countingReader{left: 8 << 20}
	request, err := http.NewRequest(http.MethodPut, AgentURL+"/v2/app/blobs", body)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := conn.HTTPClient().Do(request)
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	if answer.StatusCode != http.StatusForbidden || body.read != 0 {
		t.Errorf("status %d after %d bytes", answer.StatusCode, body.read)
	}
}

type countingReader struct{ left, read int }

func (c *countingReader) Read(p []byte) (int, error) {
	n := min(len(p), c.left)
	c.left, c.read = c.left-n, c.read+n
	if n == 0 {
		return 0, io.EOF
	}
	return n, nil
}

func TestDeadlineEndsTheChannel(t *testing.T) {
	_, conn := connected(t, func(_ string, ch ssh.Channel) int { io.Copy(io.Discard, ch); return 0 })
	ch, err := conn.dialAgent(context.Background(), "tcp", "x:80")
	if err != nil {
		t.Fatal(err)
	}
	defer ch.Close()
	ch.SetDeadline(time.Now().Add(time.Hour))
	ch.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
	if _, err := ch.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error(err)
	}
}

func TestRun(t *testing.T) {
	server, conn := connected(t, func(command string, ch ssh.Channel) int {
		fmt.Fprintf(ch, "%s:", command)
		io.Copy(ch, ch)
		fmt.Fprint(ch.Stderr(), "story")
		if strings.HasPrefix(command, "vanish") {
			return -1
		}
		return 42
	})
	var out, story strings.Builder
	code, err := conn.Run(context.Background(), []string{"config:set", "app", "A=b c"}, strings.NewReader("input"), &out, &story, RunOptions{TTY: true, Width: 100, Height: 30, Term: "vt100"})
	if code != 42 || err != nil || out.String() != "config:set app 'A=b c':input" || story.String() != "story" {
		t.Errorf("%d, %v, %q, %q", code, err, out.String(), story.String())
	}
	if len(server.ptys) != 1 || server.ptys[0] != "vt100 100x30" {
		t.Errorf("ptys %q", server.ptys)
	}
	_, err = conn.Run(context.Background(), []string{"vanish"}, nil, nil, nil, RunOptions{})
	refused(t, err, api.Unreachable, "run vanish")
	_, err = conn.Run(context.Background(), []string{"a", "b\nc"}, nil, nil, nil, RunOptions{})
	refused(t, err, api.Usage, "line break")

	ctx, cancel := context.WithCancel(context.Background())
	reader, writer := io.Pipe() // never ends by itself
	defer writer.Close()
	time.AfterFunc(50*time.Millisecond, cancel)
	if _, err := conn.Run(ctx, []string{"wait"}, reader, nil, nil, RunOptions{}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestConnReconnectsAndCloses(t *testing.T) {
	server, conn := connected(t, agentExec(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, `{"protocol":1}`) })))
	for range 3 {
		if _, err := conn.API().Hello(context.Background()); err != nil {
			t.Fatal(err)
		}
		server.cut()
		<-conn.link.dead
	}
	if err := conn.Close(); err != nil {
		t.Error(err)
	}
	_, err := conn.API().Hello(context.Background())
	refused(t, err, api.Unreachable, "closed")
	_, err = conn.Run(context.Background(), []string{"x"}, nil, nil, nil, RunOptions{})
	refused(t, err, api.Unreachable, "closed")
}

func TestKeepAlive(t *testing.T) {
	server, conn := connected(t, nil)
	l := &link{clients: conn.link.clients, dead: conn.link.dead}
	done := make(chan struct{})
	go func() { l.keepAlive(200*time.Millisecond, 20); close(done) }()
	select {
	case <-done:
		t.Fatal("an answering host was given up")
	case <-time.After(1500 * time.Millisecond):
	}
	server.mu.Lock()
	server.deaf = true
	server.mu.Unlock()
	select {
	case <-done:
	case <-time.After(2 * time.Minute):
		t.Fatal("a mute host was not given up")
	}
	<-conn.link.dead
	l.owned.Wait()
	if !strings.Contains(l.ended(), "not answered") {
		t.Error(l.ended())
	}
}
