package e2e

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/moby/moby/client"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/internal/testkit"
)

// How many switches there are, how many clients of each of three sorts ask at full speed
// meanwhile, and how many lines the long download has. A few clients use all that the
// machine has: more of them would only take turns with the deploys.
const (
	switches = 20
	each     = 4
	streamed = 300
)

// generations is what the app says of itself: which release it is, over every kind of
// connection that a switch must not cut.
const generations = `	say := func(w io.Writer) { fmt.Fprintf(w, "gen %s\n", os.Getenv("GEN")) }
	mux.HandleFunc("/gen", func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err == nil {
			say(w)
		}
	})
	mux.HandleFunc("GET /stream", func(w http.ResponseWriter, _ *http.Request) {
		for range 300 {
			say(w)
			w.(http.Flusher).Flush()
			time.Sleep(25 * time.Millisecond)
		}
	})
	mux.HandleFunc("GET /socket", func(w http.ResponseWriter, _ *http.Request) {
		conn, both, err := w.(http.Hijacker).Hijack()
		if err != nil {
			return
		}
		defer conn.Close()
		fmt.Fprint(conn, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
		for {
			if _, err := both.ReadString('\n'); err != nil {
				return
			}
			say(conn)
		}
	})
`

// TestSwitch moves an app from release to release while clients of every kind are busy with
// it, at full speed: none loses a request, none hears of the old release 100 ms after the
// switch, what is open stays open, and each old container goes as soon as it is drained.
func TestSwitch(t *testing.T) {
	h := testkit.Serve(t, testkit.ServeOptions{Args: []string{"--traffic", "map"}})
	app, port, tlsPort := generational(t, h)
	workers := reloads(t, h)
	f := &fleet{host: app + ".localhost", plain: fmt.Sprintf("http://127.0.0.1:%d", port), secure: fmt.Sprintf("https://127.0.0.1:%d", tlsPort)}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	for range each {
		f.start(ctx, http.MethodGet, f.plain, false, 0)
		f.start(ctx, http.MethodPost, f.plain, false, 0)
		f.start(ctx, http.MethodGet, f.plain, true, 0)
	}
	second := f.start(ctx, http.MethodGet, f.secure, false, 500*time.Millisecond) // HTTP/2; nginx ends a connection after 1000 requests
	stream := f.download(t)
	socket := f.upgrade(t)
	begun, done := time.Now(), 0
	for done < switches {
		done++
		if set := h.Dokku(t, "config:set", app, fmt.Sprintf("GEN=%d", done)); set.Exit != 0 {
			t.Fatalf("switch %d: %+v", done, set)
		}
		if got := socket("still there?"); got != "gen 0\n" {
			said, _ := os.ReadFile(filepath.Join(h.Root, "nginx", "log", app+"-error.log"))
			t.Fatalf("the websocket answers %q after %d switches\n%s\n%s", got, done, said[max(0, len(said)-2000):],
				docker(t, "ps", "--all", "--filter", "label=com.dokku.app-name="+app, "--format", "{{.Names}} {{.Status}}"))
		}
	}
	t.Logf("%d switches in %s; of a deploy, %s", done, time.Since(begun).Round(time.Millisecond), shares(t, h, app))
	stop()
	f.wait.Wait()
	if workers != reloads(t, h) {
		t.Error("nginx has reloaded")
	}
	if connections := second.connections; connections != 1 || second.protocol != 2 {
		t.Errorf("the client of HTTP/%d needed %d connections, want one", second.protocol, connections)
	}
	f.judge(t, done)
	if got := <-stream; got.lines != streamed || got.err != nil || got.gens != 1 {
		t.Errorf("the long download ended after %d lines of %d releases: %v", got.lines, got.gens, got.err)
	}
	// All old containers are gone but the one that the websocket keeps.
	if left := remaining(t, h, app, 2); left != 2 {
		t.Errorf("%d containers, want the current and the websocket's", left)
	}
	socket("")
	closed := time.Now()
	if left := remaining(t, h, app, 1); left != 1 {
		t.Errorf("%d containers once the websocket is closed", left)
	}
	t.Logf("its container was gone %s after the websocket was closed", time.Since(closed).Round(10*time.Millisecond))
}

// shares is how long the steps of the app's releases took, on average.
func shares(t *testing.T, h *testkit.Host, app string) string {
	t.Helper()
	var names []string
	took := map[string]int64{}
	releases := status(t, h, t.TempDir(), app).Releases
	for _, release := range releases {
		for _, step := range release.Steps {
			if !slices.Contains(names, step.Name) {
				names = append(names, step.Name)
			}
			took[step.Name] += step.DurationMS
		}
	}
	var texts []string
	for _, name := range names {
		texts = append(texts, fmt.Sprintf("%s %d ms", name, took[name]/int64(len(releases))))
	}
	return strings.Join(texts, ", ")
}

// generational pushes an app that tells its release, without TLS at a port of its own and
// with TLS at the host's.
func generational(t *testing.T, h *testkit.Host) (app string, port, tlsPort int) {
	dir := testkit.CopyApp(t, "goweb")
	app = h.App(t, "gen")
	testkit.Edit(t, dir, "main.go", "	port := os.Getenv(\"PORT\")\n", generations+"	port := os.Getenv(\"PORT\")\n")
	port = testkit.FreePort(t)
	for name, text := range map[string]string{"Procfile": "web: /app/goweb web\n",
		"app.json":  `{"healthchecks": {"web": [{"type": "startup", "path": "/healthz", "attempts": 20, "wait": 1}]}}`,
		"dokku.hcl": fmt.Sprintf("ports = [\"http:%d:5000\", \"https:443:5000\"]\n", port)} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	places := agent.Places{Root: filepath.Join(h.Root, "home"), Lib: filepath.Join(h.Root, "lib")}
	var config agent.HostConfig
	text, err := os.ReadFile(places.HostConfig())
	if err == nil {
		err = json.Unmarshal(text, &config)
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, words := range [][]string{{"apps:create", app}, {"config:set", "--no-restart", app, "GEN=0"},
		{"checks:set", app, "wait-to-retire", "900"}} { // the websocket is not cut, however slow the machine
		if did := h.Dokku(t, words...); did.Exit != 0 {
			t.Fatalf("%v: %+v", words, did)
		}
	}
	testkit.Certificate(t, places.TLS(app))
	pushed(t, h.Push(t, dir, "--app", app))
	return app, port, config.Nginx.TLSPort
}

// fleet is the crowd of clients and what they saw.
type fleet struct {
	host, plain, secure string
	wait                sync.WaitGroup
	clients             []*asker
}

// asker is one client.
type asker struct {
	seen        []sighting
	failures    []string
	connections int
	protocol    int
}

// sighting is one answer.
type sighting struct {
	began, ended time.Time
	gen          int
}

// start lets one more client ask until ctx ends; fresh: with a new connection each time.
func (f *fleet) start(ctx context.Context, method, url string, fresh bool, pause time.Duration) *asker {
	a := &asker{}
	f.clients = append(f.clients, a)
	f.wait.Go(func() {
		transport := &http.Transport{DisableKeepAlives: fresh, MaxIdleConnsPerHost: 1, ForceAttemptHTTP2: true,
			TLSClientConfig: &tls.Config{InsecureSkipVerify: true, ServerName: f.host}}
		defer transport.CloseIdleConnections()
		web := &http.Client{Transport: transport, Timeout: 20 * time.Second}
		for ; ctx.Err() == nil; time.Sleep(pause) {
			if err := a.ask(web, method, url+"/gen", f.host); err != nil {
				a.failures = append(a.failures, time.Now().Format("15:04:05.000 ")+method+" "+err.Error())
			}
		}
	})
	return a
}

// ask asks once; a body of once is never sent again.
func (a *asker) ask(web *http.Client, method, url, host string) error {
	var body io.Reader
	if method == http.MethodPost {
		body = once{strings.NewReader("a body that is sent once")}
	}
	trace := &httptrace.ClientTrace{GotConn: func(got httptrace.GotConnInfo) {
		if !got.Reused {
			a.connections++
		}
	}}
	request, err := http.NewRequestWithContext(httptrace.WithClientTrace(context.Background(), trace), method, url, body)
	if err != nil {
		return err
	}
	request.Host = host
	s := sighting{began: time.Now()}
	answer, err := web.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		return err
	}
	if _, err := fmt.Sscanf(string(text), "gen %d\n", &s.gen); err != nil || answer.StatusCode != http.StatusOK {
		return fmt.Errorf("%s %q", answer.Status, text)
	}
	s.ended, a.protocol = time.Now(), answer.ProtoMajor
	a.seen = append(a.seen, s)
	return nil
}

// downloaded is what came of the long download.
type downloaded struct {
	lines, gens int
	err         error
}

// download begins one that lasts for several switches.
func (f *fleet) download(t *testing.T) <-chan downloaded {
	t.Helper()
	request, err := http.NewRequest(http.MethodGet, f.plain+"/stream", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Host = f.host
	answer, err := (&http.Client{Transport: &http.Transport{}}).Do(request)
	if err != nil {
		t.Fatal(err)
	}
	result := make(chan downloaded, 1)
	go func() {
		defer answer.Body.Close()
		var got downloaded
		gens := map[string]bool{}
		lines := bufio.NewScanner(answer.Body)
		for lines.Scan() {
			got.lines++
			gens[lines.Text()] = true
		}
		got.gens, got.err = len(gens), lines.Err()
		result <- got
	}()
	return result
}

// upgrade opens a websocket, as far as nginx is concerned: say says something and returns
// the answer, or closes it when there is nothing to say.
func (f *fleet) upgrade(t *testing.T) (say func(words string) string) {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(f.plain, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	fmt.Fprintf(conn, "GET /socket HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n", f.host)
	from := bufio.NewReader(conn)
	answer, err := http.ReadResponse(from, nil)
	if err != nil || answer.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("upgrade: %v %v", answer, err)
	}
	return func(words string) string {
		if words == "" {
			_ = conn.Close()
			return ""
		}
		_ = conn.SetDeadline(time.Now().Add(time.Minute))
		fmt.Fprintln(conn, words)
		line, err := from.ReadString('\n')
		if err != nil {
			line += err.Error()
		}
		return line
	}
}

// judge looks for lost requests and for answers of a release that was switched away: the
// switch to a release is at the latest when its first answer is there.
func (f *fleet) judge(t *testing.T, last int) {
	t.Helper()
	switched := make([]time.Time, last+1)
	total, failed := 0, 0
	for _, a := range f.clients {
		total += len(a.seen) + len(a.failures)
		for _, failure := range a.failures {
			if failed++; failed <= 10 {
				t.Errorf("lost: %s", failure)
			}
		}
		for _, s := range a.seen {
			if switched[s.gen].IsZero() || s.ended.Before(switched[s.gen]) {
				switched[s.gen] = s.ended
			}
		}
	}
	for gen := last - 1; gen >= 0; gen-- {
		if switched[gen].IsZero() { // nobody was quick enough to see it
			switched[gen] = switched[gen+1]
		}
	}
	var stale, late time.Duration
	after := 0
	for _, a := range f.clients {
		for _, s := range a.seen {
			if s.gen == last || !s.ended.After(switched[s.gen+1]) {
				continue
			}
			stale = max(stale, s.ended.Sub(switched[s.gen+1]))
			if asked := s.began.Sub(switched[s.gen+1]); asked > 0 {
				after, late = after+1, max(late, asked)
			}
		}
	}
	t.Logf("%d requests of %d clients, %d lost; the longest stale answer ended %s after the first of the new release, %d were to requests sent after it, the last %s after it",
		total, len(f.clients), failed, stale.Round(100*time.Microsecond), after, late.Round(100*time.Microsecond))
	if failed > 0 {
		t.Errorf("%d requests were lost", failed)
	}
	if late > 100*time.Millisecond {
		t.Errorf("a request was answered by the old release that was sent %s after the switch", late)
	}
}

// remaining waits until the app has that many containers and returns how many there are.
func remaining(t *testing.T, h *testkit.Host, app string, want int) (left int) {
	t.Helper()
	engine := testkit.Engine(t)
	for deadline := time.Now().Add(4 * time.Minute); ; time.Sleep(20 * time.Millisecond) {
		found, err := engine.ContainerList(t.Context(), client.ContainerListOptions{All: true, Filters: make(client.Filters).Add("label", "com.dokku.app-name="+app)})
		if err != nil {
			t.Fatal(err)
		}
		if left = len(found.Items); left == want || time.Now().After(deadline) {
			return left
		}
	}
}
