package push

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"golang.org/x/crypto/ssh"

	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/remote"
)

// fakeAgent answers a push as the agent does, over ssh, without a host: it takes layers,
// writes down what it is asked, and says what it was told to say.
type fakeAgent struct {
	hello    api.Hello
	plan     api.Plan
	refuse   *api.Error // the answer to everything about an app
	answers  []answer   // to releases, one after the other; the last for all further ones
	cancel   api.Verdict
	options  remote.Options
	listener net.Listener

	mu        sync.Mutex
	asked     []string // "GET /v1/hello", ids as ID
	planned   []api.PlanRequest
	released  []api.ReleaseRequest
	ids       []string
	states    []string // If-Match
	cancelled []string
	unknown   int // how often the host does not know of a request that is to be cancelled
	uploads   int
	conns     map[net.Conn]bool
}

// answer is what a release says: its events, and after how many of them the connection
// breaks (0: never).
type answer struct {
	events []api.Event
	cut    int
	hang   chan struct{} // when set: closed when the request is there, and no verdict comes
}

func verdict(v api.Verdict) api.Event {
	return api.Event{Type: api.EventVerdict, Time: time.Now(), Verdict: &v}
}

func live() answer {
	return answer{events: []api.Event{
		{Type: api.EventVersion, Time: time.Now(), Version: &api.Version{Protocol: api.Protocol, App: "shop"}},
		{Type: api.EventStep, Time: time.Now(), Step: &api.Step{Name: "start", Title: "Start web.1", Status: api.StepStarted}},
		{Type: api.EventOutput, Time: time.Now(), Output: &api.Output{Source: "web.1", Text: "hello"}},
		verdict(api.Verdict{OK: true, Changed: true, Release: 2, Previous: 1, URLs: []string{"http://shop.example.com"}}),
	}}
}

// newAgent serves until the test ends. It would change an app from v1 to v2.
func newAgent(t *testing.T) *fakeAgent {
	t.Helper()
	a := &fakeAgent{hello: api.Hello{Protocol: api.Protocol, Version: "test", OS: "linux", Arch: runtime.GOARCH, Traffic: "map"}, conns: map[net.Conn]bool{},
		plan:    api.Plan{App: "shop", Exists: true, Current: 1, Next: 2, State: "state-1", Document: "document-1", Changes: []api.PlanChange{{Kind: "image", Action: api.Update}}, Start: []string{"web.1"}},
		answers: []answer{live()}}
	home := t.TempDir()
	keyFile := filepath.Join(home, "key")
	user, host := newSigner(t, keyFile), newSigner(t, "")
	config := &ssh.ServerConfig{PublicKeyCallback: func(_ ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
		if string(key.Marshal()) != string(user.PublicKey().Marshal()) {
			return nil, fmt.Errorf("not authorized")
		}
		return nil, nil
	}}
	config.AddHostKey(host)
	var err error
	if a.listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	a.options = remote.Options{KeyFile: keyFile, HostKey: ssh.FingerprintSHA256(host.PublicKey()), Home: home, ConfigFile: os.DevNull,
		KnownHosts: []string{filepath.Join(home, "known_hosts")}, AgentSocket: "none", Timeout: time.Minute}
	handler := a.handler()
	var owned sync.WaitGroup
	owned.Go(func() {
		for {
			conn, err := a.listener.Accept()
			if err != nil {
				return
			}
			a.mu.Lock()
			a.conns[conn] = true
			a.mu.Unlock()
			owned.Go(func() { serveSSH(conn, config, handler) })
		}
	})
	t.Cleanup(func() {
		a.listener.Close()
		a.cutAll()
		owned.Wait()
	})
	return a
}

func newSigner(t *testing.T, file string) ssh.Signer {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if file != "" {
		block, err := ssh.MarshalPrivateKey(private, "test")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	signer, err := ssh.NewSignerFromSigner(private)
	if err != nil {
		t.Fatal(err)
	}
	return signer
}

// serveSSH answers every exec request of the agent's command with HTTP.
func serveSSH(conn net.Conn, config *ssh.ServerConfig, handler http.Handler) {
	defer conn.Close()
	_, channels, requests, err := ssh.NewServerConn(conn, config)
	if err != nil {
		return
	}
	var owned sync.WaitGroup
	defer owned.Wait()
	owned.Go(func() { ssh.DiscardRequests(requests) })
	for incoming := range channels {
		channel, requests, err := incoming.Accept()
		if err != nil {
			continue
		}
		owned.Go(func() {
			for request := range requests {
				good := request.Type == "exec" && string(request.Payload[4:]) == api.AgentCommand
				_ = request.Reply(good, nil) // a client that is gone hears nothing
				if good {
					owned.Go(func() { serveChannel(channel, handler) })
				}
			}
		})
	}
}

// serveChannel serves one HTTP connection and returns when it is over.
func serveChannel(channel ssh.Channel, handler http.Handler) {
	one := &oneConn{conn: channelConn{channel}, over: make(chan struct{})}
	once := sync.OnceFunc(func() { close(one.over) })
	server := &http.Server{Handler: handler, ErrorLog: log.New(io.Discard, "", 0), ConnState: func(_ net.Conn, state http.ConnState) {
		if state == http.StateClosed {
			once()
		}
	}}
	_ = server.Serve(one) // it always ends with an error
}

type oneConn struct {
	conn net.Conn
	over chan struct{}
}

func (l *oneConn) Accept() (net.Conn, error) {
	if conn := l.conn; conn != nil {
		l.conn = nil
		return conn, nil
	}
	<-l.over
	return nil, io.EOF
}
func (l *oneConn) Close() error   { return nil }
func (l *oneConn) Addr() net.Addr { return &net.UnixAddr{Name: "agent"} }

// channelConn is a channel as a net.Conn, without deadlines.
type channelConn struct{ ssh.Channel }

func (channelConn) LocalAddr() net.Addr              { return &net.UnixAddr{Name: "agent"} }
func (channelConn) RemoteAddr() net.Addr             { return &net.UnixAddr{Name: "client"} }
func (channelConn) SetDeadline(time.Time) error      { return nil }
func (channelConn) SetReadDeadline(time.Time) error  { return nil }
func (channelConn) SetWriteDeadline(time.Time) error { return nil }

// cutAll breaks every connection, as a network does.
func (a *fakeAgent) cutAll() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for conn := range a.conns {
		conn.Close()
	}
	clear(a.conns)
}

func (a *fakeAgent) handler() http.Handler {
	mux := http.NewServeMux()
	layers := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	mux.HandleFunc("/v2/", func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			a.mu.Lock()
			a.uploads++
			a.mu.Unlock()
		}
		layers.ServeHTTP(w, r)
	})
	mux.HandleFunc("GET /v1/hello", func(w http.ResponseWriter, r *http.Request) { a.json(w, a.hello) })
	mux.HandleFunc("GET /v1/apps/{app}", func(w http.ResponseWriter, r *http.Request) {
		if a.refuse != nil {
			w.WriteHeader(http.StatusForbidden)
			a.json(w, a.refuse)
			return
		}
		a.json(w, api.AppState{App: r.PathValue("app"), Exists: true, Current: 1, Hash: a.plan.State})
	})
	mux.HandleFunc("POST /v1/apps/{app}/plan", func(w http.ResponseWriter, r *http.Request) {
		var request api.PlanRequest
		if err := json.NewDecoder(r.Body).Decode(&request); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		a.mu.Lock()
		a.planned = append(a.planned, request)
		a.mu.Unlock()
		a.json(w, a.plan)
	})
	mux.HandleFunc("POST /v1/apps/{app}/releases", a.release)
	mux.HandleFunc("GET /v1/apps/{app}/releases/{id}", func(w http.ResponseWriter, r *http.Request) {
		offset, _ := strconv.Atoi(r.URL.Query().Get("offset"))
		a.mu.Lock()
		last := a.answers[min(len(a.ids), len(a.answers))-1]
		known := a.ids[len(a.ids)-1] == r.PathValue("id")
		a.mu.Unlock()
		if !known {
			http.Error(w, "no such request", http.StatusNotFound)
			return
		}
		a.stream(w, last.events[min(offset, len(last.events)):])
	})
	mux.HandleFunc("DELETE /v1/apps/{app}/releases/{id}", func(w http.ResponseWriter, r *http.Request) {
		a.mu.Lock()
		soon := a.unknown > 0
		if a.unknown--; !soon {
			a.cancelled = append(a.cancelled, r.PathValue("id"))
		}
		a.mu.Unlock()
		if soon {
			w.WriteHeader(http.StatusNotFound)
			a.json(w, api.Error{Code: api.NotFound, Message: "no such request"})
			return
		}
		a.json(w, a.cancel)
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.mu.Lock()
		if !strings.HasPrefix(r.URL.Path, "/v2/") {
			a.asked = append(a.asked, r.Method+" "+r.URL.Path)
		}
		a.mu.Unlock()
		mux.ServeHTTP(w, r)
	})
}

func (a *fakeAgent) release(w http.ResponseWriter, r *http.Request) {
	var request api.ReleaseRequest
	if err := json.NewDecoder(r.Body).Decode(&request); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	a.mu.Lock()
	a.released = append(a.released, request)
	a.ids = append(a.ids, r.Header.Get(api.RequestHeader))
	a.states = append(a.states, r.Header.Get(api.IfMatch))
	one := a.answers[min(len(a.ids), len(a.answers))-1]
	a.mu.Unlock()
	switch {
	case one.hang != nil:
		a.stream(w, one.events[:len(one.events)-1])
		close(one.hang)
		<-r.Context().Done()
	case one.cut > 0:
		a.stream(w, one.events[:one.cut])
		a.cutAll()
	default:
		a.stream(w, one.events)
	}
}

func (a *fakeAgent) stream(w http.ResponseWriter, events []api.Event) {
	w.Header().Set("Content-Type", api.EventStream)
	lines := json.NewEncoder(w)
	for _, event := range events {
		_ = lines.Encode(event) // a client that is gone reads nothing
	}
	_ = http.NewResponseController(w).Flush()
}

func (a *fakeAgent) json(w http.ResponseWriter, value any) {
	_ = json.NewEncoder(w).Encode(value) // as above
}

// said is what was asked, except for layers.
func (a *fakeAgent) said() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return strings.Join(a.asked, "\n")
}

// recorder is the events of one push.
type recorder struct {
	mu     sync.Mutex
	events []api.Event
}

func (r *recorder) report(event api.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, event)
}

// story is every event but progress, in a word or two.
func (r *recorder) story() (words []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, event := range r.events {
		switch {
		case event.Step != nil:
			words = append(words, event.Step.Name+" "+string(event.Step.Status))
		case event.Progress == nil:
			words = append(words, string(event.Type))
		}
	}
	return words
}

// shop is a project whose image exists already, to be pushed to the agent.
func (a *fakeAgent) shop(t *testing.T, files map[string]string) (Options, *recorder, v1.Image) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "shop")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	image, err := random.Image(2000, 2)
	if err != nil {
		t.Fatal(err)
	}
	image, err = mutate.ConfigFile(image, withPlatform(t, image))
	if err != nil {
		t.Fatal(err)
	}
	if err := tarball.WriteToFile(filepath.Join(dir, "shop.tar"), name.MustParseReference("shop:latest"), image); err != nil {
		t.Fatal(err)
	}
	for file, text := range files {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	events := &recorder{}
	o := Options{Dir: dir, Image: "shop.tar", Host: "dokku@" + a.listener.Addr().String(), Remote: a.options, Report: events.report,
		Getenv: variables(map[string]string{"XDG_STATE_HOME": t.TempDir()})}
	return o, events, image
}

func withPlatform(t *testing.T, image v1.Image) *v1.ConfigFile {
	t.Helper()
	config, err := image.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	config.OS, config.Architecture = "linux", runtime.GOARCH
	config.Config.ExposedPorts = map[string]struct{}{"9000/tcp": {}, "5000/tcp": {}}
	return config
}

// variables is an environment of exactly these.
func variables(set map[string]string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		value, ok := set[name]
		return value, ok
	}
}
