package checks

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/manifest"
)

// engine has one container, in memory.
type engine struct {
	container func() (agent.Container, error)
	exec      func(ctx context.Context, command []string, out io.Writer) (int, error)
}

func (e engine) Inspect(_ context.Context, ref string) (agent.Container, error) {
	if ref != "id" {
		return agent.Container{}, agent.ErrNotFound
	}
	return e.container()
}

func (e engine) Exec(ctx context.Context, ref string, command []string, out io.Writer) (int, error) {
	if ref != "id" {
		return 0, agent.ErrNotFound
	}
	return e.exec(ctx, command, out)
}

// probe is one of a server that listens at the address.
func probe(t *testing.T, address string, checks ...manifest.Healthcheck) agent.Probe {
	t.Helper()
	host, port, err := net.SplitHostPort(strings.TrimPrefix(strings.TrimPrefix(address, "https://"), "http://"))
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	return agent.Probe{Process: "web", Index: 1, Container: "id", Address: host, Port: n, Checks: checks}
}

// check carries a probe out and returns what it said.
func check(t *testing.T, checker Checker, p agent.Probe) (said []string, err error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	var lock sync.Mutex
	err = checker.Check(ctx, p, func(line string) {
		lock.Lock()
		defer lock.Unlock()
		said = append(said, line)
	})
	return said, err
}

func serve(t *testing.T, handler http.HandlerFunc) string {
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server.URL
}

func TestReadyAtOnce(t *testing.T) {
	url := serve(t, func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "all is well with "+r.URL.String()) })
	begun := time.Now()
	said, err := check(t, Checker{}, probe(t, url, manifest.Healthcheck{Name: "up", Path: "/health?deep=1", Content: "well with /health?deep=1", Attempts: 3, Wait: time.Hour}))
	if err != nil || time.Since(begun) > time.Minute {
		t.Errorf("%v after %s", err, time.Since(begun))
	}
	if diff := cmp.Diff([]string{"up: ready (attempt 1 of 3)"}, said); diff != "" {
		t.Error(diff)
	}
}

func TestReadyLater(t *testing.T) {
	var asked atomic.Int32
	url := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		if asked.Add(1) < 3 {
			http.Error(w, "still starting", http.StatusServiceUnavailable)
		}
	})
	said, err := check(t, Checker{}, probe(t, url, manifest.Healthcheck{Path: "/", Attempts: 5, Wait: time.Millisecond}))
	if err != nil || asked.Load() != 3 {
		t.Errorf("%v after %d attempts", err, asked.Load())
	}
	want := []string{
		`GET /: attempt 1 of 5: status 503 Service Unavailable; the body begins: "still starting"`,
		`GET /: attempt 2 of 5: status 503 Service Unavailable; the body begins: "still starting"`,
		"GET /: ready (attempt 3 of 5)",
	}
	if diff := cmp.Diff(want, said); diff != "" {
		t.Error(diff)
	}
}

// TestListensLater: a port that nobody listens on yet costs no attempt.
func TestListensLater(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	listener.Close()
	for _, one := range []manifest.Healthcheck{{Path: "/", Timeout: time.Minute}, {Listening: true, Timeout: time.Minute}} {
		server := &http.Server{Handler: http.NotFoundHandler()}
		if one.Path != "" {
			server.Handler = http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
		}
		later := make(chan error, 1)
		time.AfterFunc(200*time.Millisecond, func() {
			listener, err := net.Listen("tcp", address)
			later <- err
			if err == nil {
				_ = server.Serve(listener)
			}
		})
		said, err := check(t, Checker{}, probe(t, address, one))
		if err != nil || len(said) != 1 || !strings.HasSuffix(said[0], "ready (attempt 1 of 1)") {
			t.Errorf("%v: %q", err, said)
		}
		if err := <-later; err != nil {
			t.Fatal(err)
		}
		server.Close()
	}
}

func TestFailures(t *testing.T) {
	long := strings.Repeat("long ", 100)
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/200":
			fmt.Fprint(w, "  hello\n")
		case "/302":
			http.Redirect(w, r, "/500", http.StatusFound)
		case "/404":
			http.NotFound(w, r)
		case "/500":
			http.Error(w, long, http.StatusInternalServerError)
		case "/slow":
			<-r.Context().Done()
		case "/cut":
			w.Header().Set("Content-Length", "100")
			fmt.Fprint(w, "short")
		}
	})
	quiet, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := quiet.Addr().String()
	quiet.Close()
	for name, test := range map[string]struct {
		address string
		check   manifest.Healthcheck
		want    []string // in the error; none: it is ready
	}{
		"status":          {url, manifest.Healthcheck{Path: "/404", Attempts: 2, Wait: time.Millisecond}, []string{"GET /404: 2 of 2 attempts failed; the last: status 404 Not Found", `"404 page not found"`}},
		"long body":       {url, manifest.Healthcheck{Path: "/500"}, []string{"status 500", `the body begins: "` + long[:bodyShown] + `…"`}},
		"content":         {url, manifest.Healthcheck{Path: "/200", Content: "goodbye"}, []string{"status 200 OK", `the body has no "goodbye"`, `it begins: "hello"`}},
		"redirect":        {url, manifest.Healthcheck{Path: "/302"}, nil}, // it is not followed: what answers is up
		"redirected body": {url, manifest.Healthcheck{Path: "/302", Content: "hello"}, []string{"status 302 Found"}},
		"timeout":         {url, manifest.Healthcheck{Path: "/slow", Timeout: 50 * time.Millisecond}, []string{"1 of 1 attempts failed", "deadline exceeded"}},
		"cut answer":      {url, manifest.Healthcheck{Path: "/cut"}, []string{"read the answer: unexpected EOF"}},
		"nobody":          {nobody, manifest.Healthcheck{Path: "/", Timeout: 500 * time.Millisecond}, []string{"1 of 1 attempts failed", nobody}},
		"no port":         {nobody, manifest.Healthcheck{Listening: true, Timeout: 500 * time.Millisecond}, []string{"port listening: ", "nothing accepts connections on " + nobody}},
		"not https":       {url, manifest.Healthcheck{Path: "/200", Scheme: "https"}, []string{"1 of 1 attempts failed"}},
	} {
		t.Run(name, func(t *testing.T) {
			said, err := check(t, Checker{}, probe(t, test.address, test.check))
			if test.want == nil {
				if err != nil {
					t.Error(err)
				}
				return
			}
			for _, want := range test.want {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("the error does not say %q: %v", want, err)
				}
			}
			if len(said) != max(1, test.check.Attempts) {
				t.Errorf("it said %q", said)
			}
			if err != nil && (strings.Contains(err.Error(), "\n") || len(err.Error()) > 600) {
				t.Errorf("the error is no line: %s", err)
			}
			test.check.Warn = true
			said, err = check(t, Checker{}, probe(t, test.address, test.check))
			if err != nil || len(said) == 0 || !strings.HasSuffix(said[len(said)-1], ": failed, but it only warns") {
				t.Errorf("as a warning: %v: %q", err, said)
			}
		})
	}
}

// TestRequest: what a server is asked, as nginx would.
func TestRequest(t *testing.T) {
	var got *http.Request
	url := serve(t, func(_ http.ResponseWriter, r *http.Request) { got = r })
	ask := func(p agent.Probe) *http.Request {
		if _, err := check(t, Checker{}, p); err != nil {
			t.Fatal(err)
		}
		return got
	}
	p := probe(t, url, manifest.Healthcheck{Path: "/a%20b"})
	if r := ask(p); r.Host != strings.TrimPrefix(url, "http://") || r.URL.EscapedPath() != "/a%20b" || r.Method != http.MethodGet || r.Header.Get("X-Forwarded-Proto") != "" {
		t.Errorf("%s %s %s %v", r.Method, r.Host, r.URL, r.Header)
	}
	p.Host, p.TLS = "shop.example.com", true
	if r := ask(p); r.Host != "shop.example.com" || r.Header.Get("X-Forwarded-Proto") != "https" {
		t.Errorf("%s %v", r.Host, r.Header)
	}
	p.Checks[0].Headers = []manifest.Header{{Name: "Authorization", Value: "Bearer x"}, {Name: "host", Value: "other.example.com"}, {Name: "X-Forwarded-Proto", Value: "http"}}
	if r := ask(p); r.Host != "other.example.com" || r.Header.Get("Authorization") != "Bearer x" || r.Header.Get("X-Forwarded-Proto") != "http" {
		t.Errorf("%s %v", r.Host, r.Header)
	}
}

// TestHTTPS: a container's certificate is for its domain, and may be its own.
func TestHTTPS(t *testing.T) {
	server := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer server.Close()
	if _, err := check(t, Checker{}, probe(t, server.URL, manifest.Healthcheck{Path: "/", Scheme: "https"})); err != nil {
		t.Error(err)
	}
}

// TestPort: a check may name a port of its own.
func TestPort(t *testing.T) {
	url := serve(t, func(http.ResponseWriter, *http.Request) {})
	p := probe(t, url)
	p.Checks = []manifest.Healthcheck{{Path: "/", Port: p.Port}}
	p.Port = 1
	if _, err := check(t, Checker{}, p); err != nil {
		t.Error(err)
	}
}

// TestDefaults: what serves must listen, what does not must stay up, and with no uptime
// asked for there is nothing to check.
func TestDefaults(t *testing.T) {
	url := serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) })
	said, err := check(t, Checker{}, probe(t, url))
	if diff := cmp.Diff([]string{"port listening: ready (attempt 1 of 30)"}, said); diff != "" || err != nil {
		t.Errorf("%v\n%s", err, diff)
	}
	up := engine{container: func() (agent.Container, error) {
		return agent.Container{Running: true, Started: time.Now().Add(-time.Hour)}, nil
	}}
	said, err = check(t, Checker{Containers: up}, agent.Probe{Container: "id", Wait: time.Minute})
	if diff := cmp.Diff([]string{"uptime: ready (attempt 1 of 1)"}, said); diff != "" || err != nil {
		t.Errorf("%v\n%s", err, diff)
	}
	if said, err := check(t, Checker{}, agent.Probe{Container: "id"}); err != nil || said != nil {
		t.Errorf("%v: %q", err, said)
	}
}

func TestCommand(t *testing.T) {
	var commands [][]string
	answers := []struct {
		exit int
		err  error
		out  string
	}{{1, nil, "not yet\n"}, {0, errors.New("the engine is away"), ""}, {0, nil, "fine"}}
	e := engine{exec: func(_ context.Context, command []string, out io.Writer) (int, error) {
		answer := answers[len(commands)]
		commands = append(commands, command)
		fmt.Fprint(out, answer.out)
		return answer.exit, answer.err
	}}
	command := []string{"check", "a b", "$HOME"}
	said, err := check(t, Checker{Containers: e}, agent.Probe{Container: "id", Checks: []manifest.Healthcheck{{Command: command, Attempts: 3, Wait: time.Millisecond}}})
	want := []string{
		`command check a b $HOME: attempt 1 of 3: exit code 1; it printed: "not yet"`,
		"command check a b $HOME: attempt 2 of 3: the engine is away",
		"command check a b $HOME: ready (attempt 3 of 3)",
	}
	if diff := cmp.Diff(want, said) + cmp.Diff([][]string{command, command, command}, commands); diff != "" || err != nil {
		t.Errorf("%v\n%s", err, diff)
	}
	slow := engine{exec: func(ctx context.Context, _ []string, _ io.Writer) (int, error) { <-ctx.Done(); return 0, ctx.Err() }}
	_, err = check(t, Checker{Containers: slow}, agent.Probe{Container: "id", Checks: []manifest.Healthcheck{{Command: command, Timeout: 20 * time.Millisecond}}})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

// TestCommandPrints: what a command prints without end costs this process nothing.
func TestCommandPrints(t *testing.T) {
	var kept int
	e := engine{exec: func(_ context.Context, _ []string, out io.Writer) (int, error) {
		for range 1000 {
			if n, err := out.Write([]byte(strings.Repeat("x", 1000))); n != 1000 || err != nil {
				t.Errorf("%d, %v", n, err)
			}
		}
		kept = len(*out.(*beginning))
		return 1, nil
	}}
	_, err := check(t, Checker{Containers: e}, agent.Probe{Container: "id", Checks: []manifest.Healthcheck{{Command: []string{"yes"}}}})
	if err == nil || !strings.Contains(err.Error(), `it printed: "`+strings.Repeat("x", bodyShown)+`…"`) || kept > 1000 {
		t.Errorf("%d bytes are kept; %v", kept, err)
	}
}

func TestUptime(t *testing.T) {
	for name, test := range map[string]struct {
		after agent.Container
		err   error
		want  string
	}{
		"up":        {after: agent.Container{Running: true, Restarts: 2}},
		"exited":    {after: agent.Container{Restarts: 2}, want: "it did not stay up for 50ms"},
		"restarted": {after: agent.Container{Running: true, Restarts: 3}, want: "it did not stay up for 50ms"},
		"gone":      {err: agent.ErrNotFound, want: "not found"},
	} {
		t.Run(name, func(t *testing.T) {
			begun, first := time.Now(), true
			e := engine{container: func() (agent.Container, error) {
				if first {
					first = false
					return agent.Container{Running: true, Restarts: 2, Started: begun}, nil
				}
				return test.after, test.err
			}}
			_, err := check(t, Checker{Containers: e}, agent.Probe{Container: "id", Checks: []manifest.Healthcheck{{Uptime: 50 * time.Millisecond}}})
			if time.Since(begun) < 50*time.Millisecond {
				t.Errorf("it waited %s", time.Since(begun))
			}
			if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// TestSaysNothing: a check that names nothing to look at looks at the port of what serves,
// and at the uptime of what does not.
func TestSaysNothing(t *testing.T) {
	one := manifest.Healthcheck{Name: "mine", Attempts: 2, Wait: 1, Timeout: 20 * time.Millisecond, Content: "x"}
	if _, err := check(t, Checker{}, probe(t, "http://127.0.0.1:1", one)); err == nil || !strings.Contains(err.Error(), "mine: 2 of 2 attempts failed; the last: nothing accepts connections") {
		t.Errorf("a web process: %v", err)
	}
	down := engine{container: func() (agent.Container, error) { return agent.Container{Started: time.Now().Add(-time.Hour)}, nil }}
	_, err := check(t, Checker{Containers: down}, agent.Probe{Process: "worker", Container: "id", Wait: time.Minute, Checks: []manifest.Healthcheck{one}})
	if err == nil || !strings.Contains(err.Error(), "mine: 2 of 2 attempts failed; the last: it did not stay up for 1m0s") {
		t.Errorf("a worker: %v", err)
	}
}

// TestUsualPort: a process that is no web asks for the usual port, unless its check names one.
func TestUsualPort(t *testing.T) {
	for _, one := range []manifest.Healthcheck{{Path: "/"}, {Listening: true}} {
		one.Timeout = 20 * time.Millisecond
		_, err := check(t, Checker{}, agent.Probe{Process: "worker", Container: "id", Address: "192.0.2.1", Checks: []manifest.Healthcheck{one}})
		if err == nil || !strings.Contains(err.Error(), "192.0.2.1:5000") {
			t.Errorf("it asks elsewhere: %v", err)
		}
	}
}

// TestFirstFailureEndsIt: no other check is waited for, and nothing is left running.
func TestFirstFailureEndsIt(t *testing.T) {
	ended := make(chan struct{})
	e := engine{exec: func(ctx context.Context, _ []string, _ io.Writer) (int, error) {
		<-ctx.Done()
		close(ended)
		return 0, ctx.Err()
	}}
	url := serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) })
	begun := time.Now()
	_, err := check(t, Checker{Containers: e}, probe(t, url,
		manifest.Healthcheck{Name: "slow", Command: []string{"x"}, Timeout: time.Minute, Attempts: 100},
		manifest.Healthcheck{Name: "later", Path: "/", InitialDelay: time.Hour},
		manifest.Healthcheck{Name: "broken", Path: "/"}))
	if err == nil || !strings.HasPrefix(err.Error(), "broken: ") || time.Since(begun) > 50*time.Second {
		t.Errorf("%v after %s", err, time.Since(begun))
	}
	select {
	case <-ended:
	default:
		t.Error("the command still runs")
	}
}

func TestCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	url := serve(t, func(w http.ResponseWriter, _ *http.Request) { cancel(); w.WriteHeader(http.StatusTeapot) })
	err := (&Checker{}).Check(ctx, probe(t, url, manifest.Healthcheck{Path: "/", Attempts: 10, Wait: time.Hour}), func(string) {})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

// TestHeadersAreNotShown: what is sent may be a secret.
func TestHeadersAreNotShown(t *testing.T) {
	url := serve(t, func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", http.StatusForbidden) })
	said, err := check(t, Checker{}, probe(t, url, manifest.Healthcheck{Path: "/", Headers: []manifest.Header{{Name: "Authorization", Value: "Bearer s3cret"}}}))
	if err == nil || strings.Contains(fmt.Sprint(err, said), "s3cret") {
		t.Errorf("%v: %q", err, said)
	}
}
