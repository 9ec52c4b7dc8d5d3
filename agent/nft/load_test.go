package nft

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dokku-push/dokku-push/agent"
)

const (
	loadClients  = 64
	loadSwitches = 8
	loadTime     = 5 * time.Second
)

// answer is who answered one request, and when it was sent and answered.
type answer struct {
	began, ended time.Time
	by           string
	err          error
}

// TestSwitchUnderLoad moves an app eight times between two addresses while 64
// clients ask without pause, and ends each old container as soon as Drain says
// that nothing is connected to it. No request may fail.
func TestSwitchUnderLoad(t *testing.T) {
	if !alone(t) {
		return
	}
	w := newWorld(t)
	for name, client := range map[string]func(t *testing.T, vip string) func() (string, error){
		"keep-alive clients of a proxy": proxied,
		"a new connection each": func(_ *testing.T, vip string) func() (string, error) {
			return func() (string, error) { return ask(vip) }
		},
	} {
		t.Run(name, func(t *testing.T) { switchUnderLoad(t, w, client) })
	}
}

func switchUnderLoad(t *testing.T, w *world, client func(t *testing.T, vip string) func() (string, error)) {
	m := newMap(t)
	defer func() { check(t, m.Remove(context.Background())) }()
	old := w.containerAt(t, "v0", 100)
	backend := func(c *container) []agent.Backend { return []agent.Backend{c.backend(1)} }
	check(t, m.Point(t.Context(), "app", backend(old), true))
	listeners, err := m.Listeners(t.Context(), "app", backend(old))
	check(t, err)

	answers, stop := load(client(t, listeners[0]))
	switched := []time.Time{time.Now()}
	var slowest, longestDrain time.Duration
	for n := 1; n <= loadSwitches; n++ {
		next := w.containerAt(t, "v"+strconv.Itoa(n), byte(100+n%2))
		began := time.Now()
		check(t, m.Point(t.Context(), "app", backend(next), true))
		switched = append(switched, time.Now()) // on a busy machine it takes a while until the transaction is sent
		slowest = max(slowest, time.Since(began))
		began = time.Now()
		left, err := m.Drain(t.Context(), old.Address, time.Minute)
		if err != nil || left != 0 {
			t.Errorf("switch %d: %d left, %v", n, left, err)
		}
		longestDrain = max(longestDrain, time.Since(began))
		old.kill(t)
		old = next
		time.Sleep(time.Until(switched[0].Add(loadTime * time.Duration(n) / loadSwitches)))
	}
	stop()
	judge(t, answers(), switched)
	t.Logf("slowest switch %v, longest drain %v", slowest, longestDrain)
	old.kill(t)
}

// judge looks for failures and for answers of containers that were switched away.
func judge(t *testing.T, answers []answer, switched []time.Time) {
	t.Helper()
	failed, late := 0, 0
	var latest, latestBegun time.Duration
	for _, a := range answers {
		if a.err != nil {
			if failed++; failed <= 5 {
				t.Errorf("request after %v: %v", a.began.Sub(switched[0]), a.err)
			}
			continue
		}
		version, _, _ := strings.Cut(strings.TrimPrefix(a.by, "v"), " ")
		n, err := strconv.Atoi(version)
		if err != nil {
			if failed++; failed <= 5 {
				t.Errorf("request after %v was answered %q", a.began.Sub(switched[0]), a.by)
			}
			continue
		}
		if n+1 < len(switched) {
			latest = max(latest, a.ended.Sub(switched[n+1]))
			begun := a.began.Sub(switched[n+1])
			latestBegun = max(latestBegun, begun)
			if begun > 100*time.Millisecond {
				late++
			}
		}
	}
	t.Logf("%d requests over %d switches: %d failed; last answer of an old container %v after the switch, "+
		"to a request sent %v after it", len(answers), len(switched)-1, failed, latest, latestBegun)
	if failed > 0 || late > 0 || len(answers) < 1000 {
		t.Errorf("%d failed, %d answered by an old container, %d in all", failed, late, len(answers))
	}
}

// load asks from many clients without pause until it is stopped.
func load(client func() (string, error)) (answers func() []answer, stop func()) {
	var clients sync.WaitGroup
	done := make(chan struct{})
	got := make([][]answer, loadClients)
	for i := range got {
		clients.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				a := answer{began: time.Now()}
				a.by, a.err = client()
				a.ended = time.Now()
				got[i] = append(got[i], a)
			}
		})
	}
	return func() []answer { return slices.Concat(got...) }, func() { close(done); clients.Wait() }
}

// proxied puts a proxy before the address that makes a new connection for each
// request, as nginx does, and asks it with keep-alive.
func proxied(t *testing.T, vip string) func() (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	proxy := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := ask(vip)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		_, _ = io.WriteString(w, body) // a client that is gone notices by itself
	})}
	served := make(chan error, 1)
	go func() { served <- proxy.Serve(listener) }()
	transport := &http.Transport{MaxIdleConnsPerHost: loadClients}
	t.Cleanup(func() { transport.CloseIdleConnections(); check(t, proxy.Close()); <-served })
	client := &http.Client{Transport: transport, Timeout: time.Minute}
	return func() (string, error) {
		// A POST with a body is not sent again by the client.
		response, err := client.Post("http://"+listener.Addr().String()+"/", "text/plain", strings.NewReader("x"))
		if err != nil {
			return "", err
		}
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		if err == nil && response.StatusCode != http.StatusOK {
			err = fmt.Errorf("%s: %s", response.Status, body)
		}
		return string(body), err
	}
}
