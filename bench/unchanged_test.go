package bench

import (
	"bufio"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/dokku-push/dokku-push/internal/testkit"
)

// BenchmarkUnchanged pushes a tree that has not changed and counts what that asks of the
// host: HTTP requests at the agent, and requests to the engine that are not reads.
func BenchmarkUnchanged(b *testing.B) {
	engine := countEngine(b)
	h := testkit.Serve(b, testkit.ServeOptions{Env: []string{"DOCKER_HOST=unix://" + engine.socket}})
	way := relayTo(b, h)
	dir, app := testkit.CopyApp(b, "hello"), h.App(b, "hello")
	push := func() testkit.Result {
		b.Helper()
		command := h.Command(b, dir, "--app", app)
		command.Env = append(command.Env, "DOKKU_HOST=dokku@"+way.addr, "DOKKU_SSH_HOST_KEY="+way.hostKey)
		result := testkit.Run(b, command)
		if result.Exit != 0 {
			b.Fatalf("push: exit %d\n%s", result.Exit, result.Stderr)
		}
		return result
	}
	first := push()
	firstTrips := len(way.take())
	time.Sleep(3 * time.Second) // the former deploy's process may still write to the engine
	var trips, writes []string
	var took []time.Duration
	for b.Loop() {
		way.take()
		engine.take()
		result := push()
		took = append(took, result.Took)
		trips, writes = way.take(), engine.take()
		if !strings.Contains(result.Stderr, "nothing to do") {
			b.Fatalf("the second push is no unchanged one:\n%s", result.Stderr)
		}
	}
	say("push of an unchanged tree, %d times:", len(took))
	say("  round trips    %d  (target at most %d): %s", len(trips), targetTrips, strings.Join(trips, ", "))
	say("  engine writes  %d  %s", len(writes), strings.Join(writes, ", "))
	say("  whole push     %s median, the client's own build included; the first push was %s and %d round trips", ms(median(took)), ms(first.Took), firstTrips)
	if len(trips) > targetTrips || len(writes) > 0 { // counts, which no slow machine changes
		b.Errorf("%d round trips, want at most %d; %d engine writes, want none", len(trips), targetTrips, len(writes))
	}
	b.ReportMetric(float64(len(trips)), "trips")
	b.ReportMetric(float64(len(writes)), "writes")
}

// list collects lines from several goroutines.
type list struct {
	mu    sync.Mutex
	lines []string
}

func (l *list) add(line string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, line)
}

func (l *list) take() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	lines := l.lines
	l.lines = nil
	return lines
}

// counted stands before the engine and notes what does not only read.
type counted struct {
	list
	socket string
}

func countEngine(b *testing.B) *counted {
	b.Helper()
	testkit.Engine(b)
	dir, err := os.MkdirTemp("", "bench-") // a socket's path may not be long
	if err != nil {
		b.Fatal(err)
	}
	c := &counted{socket: filepath.Join(dir, "docker.sock")}
	listener, err := net.Listen("unix", c.socket)
	if err != nil {
		b.Fatal(err)
	}
	target := "/var/run/docker.sock"
	if host, ok := strings.CutPrefix(os.Getenv("DOCKER_HOST"), "unix://"); ok {
		target = host
	}
	pass := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: "docker"})
	pass.FlushInterval = -1
	pass.Transport = &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", target)
	}}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			c.add(r.Method + " " + r.URL.Path)
		}
		pass.ServeHTTP(w, r)
	})}
	go func() { _ = server.Serve(listener) }()
	b.Cleanup(func() {
		_ = server.Close()
		_ = os.RemoveAll(dir)
	})
	return c
}

// relay is an ssh server between a client and a host: it passes exec requests on and
// reads along which HTTP requests they carry.
type relay struct {
	list
	addr, hostKey string
	config        *ssh.ServerConfig
	target        *ssh.Client
}

func relayTo(b *testing.B, h *testkit.Host) *relay {
	b.Helper()
	text, err := os.ReadFile(h.Key)
	if err != nil {
		b.Fatal(err)
	}
	key, err := ssh.ParsePrivateKey(text)
	if err != nil {
		b.Fatal(err)
	}
	r := &relay{config: &ssh.ServerConfig{NoClientAuth: true}}
	if r.target, err = ssh.Dial("tcp", h.SSH, &ssh.ClientConfig{User: "dokku", Auth: []ssh.AuthMethod{ssh.PublicKeys(key)},
		HostKeyCallback: ssh.InsecureIgnoreHostKey()}); err != nil { // the host was started by this very test
		b.Fatal(err)
	}
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		b.Fatal(err)
	}
	own, err := ssh.NewSignerFromKey(private)
	if err != nil {
		b.Fatal(err)
	}
	r.config.AddHostKey(own)
	r.hostKey = ssh.FingerprintSHA256(own.PublicKey())
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	r.addr = listener.Addr().String()
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			serving.Go(func() { r.serve(conn) })
		}
	})
	b.Cleanup(func() {
		listener.Close()
		r.target.Close()
		serving.Wait()
	})
	return r
}

func (r *relay) serve(conn net.Conn) {
	defer conn.Close()
	server, channels, requests, err := ssh.NewServerConn(conn, r.config)
	if err != nil {
		return
	}
	defer server.Close()
	go ssh.DiscardRequests(requests)
	var running sync.WaitGroup
	for offered := range channels {
		channel, requests, err := offered.Accept()
		if err != nil {
			break
		}
		running.Go(func() { r.session(channel, requests) })
	}
	running.Wait()
}

// session passes one exec request on.
func (r *relay) session(channel ssh.Channel, requests <-chan *ssh.Request) {
	defer channel.Close()
	far, err := r.target.NewSession()
	if err != nil {
		return
	}
	defer far.Close()
	for request := range requests {
		var payload struct{ Command string }
		known := request.Type == "exec" && ssh.Unmarshal(request.Payload, &payload) == nil
		if request.WantReply {
			_ = request.Reply(known, nil)
		}
		if !known {
			continue
		}
		go ssh.DiscardRequests(requests)
		r.pass(channel, far, payload.Command)
		return
	}
}

func (r *relay) pass(channel ssh.Channel, far *ssh.Session, command string) {
	read, write := io.Pipe()
	var reading sync.WaitGroup
	reading.Go(func() { r.read(read) })
	stdin, err := far.StdinPipe()
	if err != nil {
		return
	}
	far.Stdout, far.Stderr = channel, channel.Stderr()
	if far.Start(command) != nil {
		return
	}
	go func() {
		_, _ = io.Copy(stdin, io.TeeReader(channel, write))
		stdin.Close()
		write.Close()
	}()
	status := struct{ Status uint32 }{}
	if far.Wait() != nil {
		status.Status = 255
	}
	_, _ = channel.SendRequest("exit-status", false, ssh.Marshal(status))
	channel.Close()
	write.Close()
	reading.Wait()
}

// read notes each HTTP request of a channel.
func (r *relay) read(from io.Reader) {
	stream := bufio.NewReader(from)
	for {
		request, err := http.ReadRequest(stream)
		if err != nil {
			break
		}
		r.add(request.Method + " " + request.URL.Path)
		_, _ = io.Copy(io.Discard, request.Body)
	}
	_, _ = io.Copy(io.Discard, stream) // what is no HTTP passes all the same
}
