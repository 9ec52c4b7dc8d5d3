package remote

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dokku-push/dokku-push/api"
)

// served is a Client of a handler over plain HTTP.
func served(t *testing.T, handler http.HandlerFunc) *Client {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return &Client{HTTP: server.Client(), Base: server.URL, Backoff: []time.Duration{time.Millisecond, time.Millisecond, time.Millisecond}}
}

func answerJSON(w http.ResponseWriter, status int, value any) {
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(value)
}

func TestHello(t *testing.T) {
	want := api.Hello{Protocol: api.Protocol, Version: "1.2", Arch: "amd64", Key: "ci"}
	for name, c := range map[string]struct {
		answer func(w http.ResponseWriter)
		code   api.Code
		words  []string
	}{
		"good":        {func(w http.ResponseWriter) { answerJSON(w, 200, want) }, "", nil},
		"newer agent": {func(w http.ResponseWriter) { answerJSON(w, 200, api.Hello{Protocol: api.Protocol + 1, Version: "9"}) }, api.WrongProtocol, []string{"update dokku-push", "9"}},
		"older agent": {func(w http.ResponseWriter) { answerJSON(w, 200, api.Hello{}) }, api.WrongProtocol, []string{"update dokku-agent"}},
		"no such":     {func(w http.ResponseWriter) { http.Error(w, "404 page not found", 404) }, api.WrongProtocol, []string{"404"}},
		"nonsense":    {func(w http.ResponseWriter) { fmt.Fprint(w, "<html>") }, api.WrongProtocol, []string{"cannot be read"}},
		"other shape": {func(w http.ResponseWriter) { fmt.Fprint(w, `{"protocol":"x"}`) }, api.WrongProtocol, []string{"cannot be read"}},
		"short":       {func(w http.ResponseWriter) { fmt.Fprint(w, `{"protocol":1`) }, api.Unreachable, []string{"lost"}},
		"refusal": {func(w http.ResponseWriter) {
			answerJSON(w, 503, api.Errorf(api.Precondition, "ask the engine", "Docker is down").WithHint("start it"))
		}, api.Precondition, []string{"Docker is down", "start it"}},
		"gateway": {func(w http.ResponseWriter) { http.Error(w, "bad\x1b gateway", http.StatusBadGateway) }, api.Unclassified, []string{"502", "bad  gateway"}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := served(t, func(w http.ResponseWriter, r *http.Request) { c.answer(w) }).Hello(context.Background())
			if c.code != "" {
				refused(t, err, c.code, c.words...)
			} else if diff := cmp.Diff(want, got); err != nil || diff != "" {
				t.Error(err, diff)
			}
		})
	}
	client := served(t, nil)
	client.Base = "http://127.0.0.1:1"
	_, err := client.Hello(context.Background())
	refused(t, err, api.Unreachable, "refused")
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := client.Hello(ctx); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestAppAndCancel(t *testing.T) {
	client := served(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.Method + " " + r.URL.EscapedPath() {
		case "GET /v1/apps/my%2Fapp":
			answerJSON(w, 200, api.AppState{App: "my/app", Current: 3})
		case "DELETE /v1/apps/a/releases/request-1":
			answerJSON(w, 200, api.Verdict{Error: api.Errorf(api.Cancelled, "", "cancelled")})
		default:
			answerJSON(w, 404, api.Errorf(api.NotFound, "", "no %s", r.URL.Path))
		}
	})
	if state, err := client.App(context.Background(), "my/app"); err != nil || state.Current != 3 {
		t.Error(state, err)
	}
	if verdict, err := client.Cancel(context.Background(), "a", "request-1"); err != nil || verdict.Error.Code != api.Cancelled {
		t.Error(verdict, err)
	}
	_, err := client.App(context.Background(), "b")
	refused(t, err, api.NotFound, "no /v1/apps/b", "ask for the state of b")
}

// script is an agent whose stream has these lines and is cut where the n-th
// connection may send no more.
type script struct {
	lines []string
	cuts  []int // lines sent on each connection; the last holds from then on

	mu       sync.Mutex
	requests []string
}

func (s *script) serve(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	may := s.cuts[min(len(s.requests), len(s.cuts)-1)]
	s.requests = append(s.requests, r.Method+" "+r.URL.RequestURI()+" "+r.Header.Get(api.RequestHeader))
	s.mu.Unlock()
	from, _ := strconv.Atoi("0" + r.URL.Query().Get("offset"))
	if may < 0 {
		panic(http.ErrAbortHandler)
	}
	w.Header().Set("Content-Type", api.EventStream)
	for i, line := range s.lines[from:] {
		if i == may {
			fmt.Fprint(w, line[:len(line)/2]) // cut within a line
			http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		}
		fmt.Fprintln(w, line)
	}
	http.NewResponseController(w).Flush()
}

var streamLines = []string{
	`{"type":"version","version":{"protocol":1,"request":"request-1","app":"a"}}`,
	`{"type":"step","step":{"name":"fetch","status":"started"}}`,
	`{"type":"novelty","step":"of another shape"}`,
	`{"type":"warning","warning":"w"}`,
	`{"type":"verdict","verdict":{"ok":true,"changed":true,"release":4}}`,
}

func TestCutStreamIsResumed(t *testing.T) {
	const post, get = "POST /v1/apps/a/releases request-1", "GET /v1/apps/a/releases/request-1?offset=%d "
	all := 99
	for name, c := range map[string]struct {
		cuts []int
		want []string
	}{
		"whole":                {[]int{all}, []string{post}},
		"cut once":             {[]int{2, all}, []string{post, fmt.Sprintf(get, 2)}},
		"cut after an unknown": {[]int{3, all}, []string{post, fmt.Sprintf(get, 3)}},
		"cut before anything":  {[]int{-1, 0, all}, []string{post, post, post}},
		"cut again and again":  {[]int{1, -1, -1, 1, -1, -1, 1, all}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			s := &script{lines: streamLines, cuts: c.cuts}
			var events []string
			verdict, err := served(t, s.serve).Release(context.Background(), "a", "request-1", api.ReleaseRequest{}, func(e api.Event) { events = append(events, string(e.Type)) })
			if err != nil || !verdict.OK || verdict.Release != 4 {
				t.Errorf("%+v, %v", verdict, err)
			}
			if got := strings.Join(events, " "); got != "version step warning verdict" {
				t.Errorf("events: %s", got)
			}
			if diff := cmp.Diff(c.want, s.requests); c.want != nil && diff != "" {
				t.Error(diff)
			}
		})
	}
}

// A push that joined a running deploy goes on with that one's stream: its own id is
// nothing that the host has a journal of.
func TestJoinedStreamIsResumed(t *testing.T) {
	s := &script{lines: streamLines, cuts: []int{2, 99}}
	verdict, err := served(t, s.serve).Release(context.Background(), "a", "request-of-mine", api.ReleaseRequest{}, nil)
	if err != nil || verdict.Release != 4 {
		t.Errorf("%+v, %v", verdict, err)
	}
	if diff := cmp.Diff([]string{"POST /v1/apps/a/releases request-of-mine", "GET /v1/apps/a/releases/request-1?offset=2 "}, s.requests); diff != "" {
		t.Error(diff)
	}
}

func TestLostStream(t *testing.T) {
	s := &script{lines: streamLines, cuts: []int{2, 0}}
	_, err := served(t, s.serve).Rollback(context.Background(), "a", "request-1", api.RollbackRequest{}, nil)
	refused(t, err, api.Unreachable, "dokku-push status", "request-1", "not known")
	if len(s.requests) != 4 || !strings.HasPrefix(s.requests[0], "POST /v1/apps/a/rollback") {
		t.Errorf("%q", s.requests)
	}
	ctx, cancel := context.WithCancel(context.Background())
	s = &script{lines: streamLines, cuts: []int{2, 0}}
	client := served(t, s.serve)
	client.Backoff = []time.Duration{time.Hour}
	_, err = client.Follow(ctx, "a", "v4", 0, func(e api.Event) {
		if e.Type == api.EventStep {
			cancel()
		}
	})
	if !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestFollow(t *testing.T) {
	s := &script{lines: streamLines, cuts: []int{99}}
	var events []string
	verdict, err := served(t, s.serve).Follow(context.Background(), "a", "v4", 3, func(e api.Event) { events = append(events, string(e.Type)) })
	if err != nil || verdict.Release != 4 || strings.Join(events, " ") != "warning verdict" {
		t.Error(verdict, err, events)
	}
}

func TestStreamRefusals(t *testing.T) {
	for name, c := range map[string]struct {
		id     string
		body   string
		status int
		kind   string
		code   api.Code
	}{
		"bad id":         {id: "Bad", code: api.Usage},
		"locked":         {body: `{"code":"locked","message":"m"}`, status: 409, code: api.Locked},
		"not a stream":   {body: "{}", status: 200, kind: "text/html", code: api.WrongProtocol},
		"broken event":   {body: "{\n", status: 200, kind: api.EventStream, code: api.WrongProtocol},
		"known, misused": {body: `{"type":"step","step":"x"}` + "\n", status: 200, kind: api.EventStream, code: api.WrongProtocol},
		"other protocol": {body: `{"type":"version","version":{"protocol":2}}` + "\n", status: 200, kind: api.EventStream, code: api.WrongProtocol},
		"endless line":   {body: strings.Repeat("x", maxEvent+1), status: 200, kind: api.EventStream, code: api.WrongProtocol},
	} {
		t.Run(name, func(t *testing.T) {
			count := 0
			client := served(t, func(w http.ResponseWriter, r *http.Request) {
				count++
				w.Header().Set("Content-Type", c.kind)
				w.WriteHeader(c.status)
				fmt.Fprint(w, c.body)
			})
			id := "request-1"
			if c.id != "" {
				id = c.id
			}
			_, err := client.Release(context.Background(), "a", id, api.ReleaseRequest{}, nil)
			refused(t, err, c.code)
			if count > 1 {
				t.Errorf("asked %d times", count)
			}
		})
	}
	client := served(t, nil)
	_, err := client.Release(context.Background(), "a", "request-1", api.ReleaseRequest{Document: api.ReleaseDocument{Procfile: strings.Repeat("x", api.MaxDocument)}}, nil)
	refused(t, err, api.Usage, "bytes")
}

// A stream cut together with its ssh connection goes on over a new one.
func TestCutConnectionIsResumed(t *testing.T) {
	s := &script{lines: streamLines, cuts: []int{99}}
	var server *testServer
	var conn *Conn
	server, conn = connected(t, agentExec(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			w.Header().Set("Content-Type", api.EventStream)
			fmt.Fprintf(w, "%s\n%s\n", streamLines[0], streamLines[1])
			http.NewResponseController(w).Flush()
			<-r.Context().Done()
			return
		}
		s.serve(w, r)
	})))
	verdict, err := conn.API().Release(context.Background(), "a", "request-1", api.ReleaseRequest{}, func(e api.Event) {
		if e.Type == api.EventStep {
			server.cut()
		}
	})
	if err != nil || verdict.Release != 4 {
		t.Error(verdict, err)
	}
	if len(server.logins) != 2 || len(s.requests) != 1 || !strings.Contains(s.requests[0], "offset=2") {
		t.Errorf("logins %q, requests %q", server.logins, s.requests)
	}
}
