package serve

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/agent/state"
	"github.com/dokku-push/dokku-push/agent/store"
	"github.com/dokku-push/dokku-push/api"
)

// plugins are triggers in memory.
type plugins map[string]func(args []string, out io.Writer) error

func (p plugins) Trigger(_ context.Context, name string, args []string, streams agent.Streams) error {
	if p[name] == nil {
		return nil
	}
	return p[name](args, streams.Out)
}

func (p plugins) Has(name string) bool { return p[name] != nil }

func (p plugins) Ships(name string) []string {
	if p[name] == nil {
		return nil
	}
	return []string{"test"}
}

// engine can only say what it is.
type engine struct {
	agent.Containers
	err error
}

func (e engine) Info(context.Context) (agent.EngineInfo, error) {
	return agent.EngineInfo{OS: "linux", Arch: "arm64", Store: "overlay2", Root: "/"}, e.err
}

type traffic struct{ agent.Traffic }

func (traffic) Name() string { return "reload" }

// wire is a server of a host with the app "shop" whose deploys end at once.
type wire struct {
	Server
	url       string
	plugins   plugins
	submitted []agent.Change
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func newWire(t *testing.T) *wire {
	t.Helper()
	dir := t.TempDir()
	files := &state.Store{Places: agent.Places{Root: filepath.Join(dir, "root"), Lib: filepath.Join(dir, "lib")}}
	must(t, files.Create("shop"))
	w := &wire{plugins: plugins{}}
	w.Server = Server{By: agent.Caller{User: "dokku", Name: "alice"}, Store: &store.Store{Dir: filepath.Join(dir, "blobs")},
		Host: &agent.Host{Places: files.Places, Settings: files, Ledger: files, Walk: w.plugins, Containers: engine{}, Traffic: traffic{}, Version: "1.2.3"},
		Submit: func(_ context.Context, change agent.Change) error {
			w.submitted = append(w.submitted, change)
			return journal(files, change)
		}}
	server := httptest.NewServer(w.Handler())
	t.Cleanup(server.Close)
	w.url = server.URL
	return w
}

// journal is a deploy that ends at once.
func journal(files *state.Store, change agent.Change) error {
	j, _, err := files.Begin(change.App, change.Request)
	if err != nil {
		return err
	}
	events := []*api.Event{{Type: api.EventVersion, Version: &api.Version{Protocol: api.Protocol, Request: change.Request}}, {Type: api.EventWarning, Warning: "careful"},
		{Type: api.EventVerdict, Verdict: &api.Verdict{OK: true, Release: 7}}}
	err = j.Write(agent.Entry{Begin: &agent.Begin{App: change.App, Request: change.Request, Kind: string(change.Kind), Digest: agent.DocumentDigest(change.Document), By: change.By}})
	for _, event := range events {
		err = errors.Join(err, j.Write(agent.Entry{Event: event}))
	}
	return errors.Join(err, j.Close())
}

// ask sends a request with a valid id and returns status and body.
func (w *wire) ask(t *testing.T, method, path string, body any, header ...string) (int, string) {
	t.Helper()
	var reader io.Reader
	switch body := body.(type) {
	case nil:
	case string:
		reader = strings.NewReader(body)
	case io.Reader:
		reader = body
	default:
		text, err := json.Marshal(body)
		must(t, err)
		reader = bytes.NewReader(text)
	}
	request, err := http.NewRequest(method, w.url+path, reader)
	must(t, err)
	request.Header.Set(api.RequestHeader, "request-1")
	for n := 0; n+1 < len(header); n += 2 {
		request.Header.Set(header[n], header[n+1])
	}
	answer, err := http.DefaultClient.Do(request)
	must(t, err)
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	must(t, err)
	return answer.StatusCode, string(text)
}

// refused reads an answer as an error.
func refused(t *testing.T, status int, body string, wantStatus int, code api.Code, message string) {
	t.Helper()
	var problem api.Error
	if err := json.Unmarshal([]byte(body), &problem); err != nil {
		t.Fatalf("%d with no error as JSON: %v: %s", status, err, body)
	}
	if status != wantStatus || problem.Code != code || !strings.Contains(problem.Error(), message) {
		t.Errorf("%d %+v, want %d %s %q", status, problem, wantStatus, code, message)
	}
}

var sha = "sha256:" + strings.Repeat("0", 64)

func release() api.ReleaseRequest {
	return api.ReleaseRequest{Document: api.ReleaseDocument{Image: api.Image{ID: sha, Manifest: sha}, Builder: "dockerfile"}}
}

func TestHello(t *testing.T) {
	w := newWire(t)
	status, body := w.ask(t, "GET", "/v1/hello", nil)
	var hello api.Hello
	must(t, json.Unmarshal([]byte(body), &hello))
	if hello.Free == 0 {
		t.Error("no byte is free")
	}
	hello.Free = 0
	if diff := cmp.Diff(api.Hello{Protocol: api.Protocol, Version: "1.2.3", OS: "linux", Arch: "arm64", Store: "overlay2", Traffic: "reload", Key: "alice"}, hello); diff != "" || status != 200 {
		t.Errorf("%d\n%s", status, diff)
	}
	w.Host.Containers = engine{err: errors.New("nobody answers")}
	status, body = w.ask(t, "GET", "/v1/hello", nil)
	refused(t, status, body, 503, api.Precondition, "nobody answers")
}

// TestUnknown: what this agent does not have is a matter of versions, what the host does
// not have is not found, and what can be no name is wrong usage.
func TestUnknown(t *testing.T) {
	w := newWire(t)
	for _, test := range []struct {
		method, path string
		body         any
		status       int
		code         api.Code
		message      string
	}{
		{"GET", "/", nil, 404, api.WrongProtocol, "this agent has no GET /"},
		{"GET", "/v3/hello", nil, 404, api.WrongProtocol, "this agent has no GET /v3/hello"},
		{"PUT", "/v1/apps/shop", nil, 404, api.WrongProtocol, "this agent has no PUT"},
		{"POST", "/v1/apps/shop/nonsense", nil, 404, api.WrongProtocol, "this agent has no POST"},
		{"GET", "/v1/apps/Shop", nil, 400, api.Usage, "Shop"},
		{"GET", "/v1/apps/..%2fshop", nil, 400, api.Usage, ""},
		{"GET", "/v1/apps/--global", nil, 400, api.Usage, ""},
		{"POST", "/v1/apps/shop%20x/releases", release(), 400, api.Usage, ""},
		{"POST", "/v2/Shop/blobs/uploads/", nil, 400, api.Usage, ""},
		{"POST", "/v1/apps/other/rollback", api.RollbackRequest{}, 404, api.NotFound, "App other does not exist"},
		{"GET", "/v1/apps/other/releases/request-1", nil, 404, api.NotFound, "other knows no request request-1"},
		{"GET", "/v1/apps/shop/releases/v3", nil, 404, api.NotFound, "shop has no release v3"},
		{"GET", "/v1/apps/shop/releases/..%2f..%2fx", nil, 404, api.NotFound, "knows no request"},
		{"DELETE", "/v1/apps/shop/releases/request-1", nil, 404, api.NotFound, "shop knows no request request-1"},
	} {
		t.Run(test.method+" "+test.path, func(t *testing.T) {
			status, body := w.ask(t, test.method, test.path, test.body)
			refused(t, status, body, test.status, test.code, test.message)
		})
	}
	if status, body := w.ask(t, "GET", "/v1/apps/other", nil); status != 200 || !strings.Contains(body, `"exists":false`) {
		t.Errorf("the state of an app that is none: %d %s", status, body)
	}
	if len(w.submitted) != 0 {
		t.Errorf("started: %+v", w.submitted)
	}
}

// untouched is a body that nobody may read.
type untouched struct{ t *testing.T }

func (u untouched) Read([]byte) (int, error) {
	u.t.Error("a byte of the body was read")
	return 0, io.EOF
}

// TestRefusedFirst: who may not is told so before a byte of the body is read.
func TestRefusedFirst(t *testing.T) {
	w := newWire(t)
	var asked []string
	for _, trigger := range []string{"user-auth", "user-auth-app"} {
		w.plugins["user-auth"], w.plugins["user-auth-app"] = nil, nil
		w.plugins[trigger] = func(args []string, out io.Writer) error {
			asked = args
			if trigger == "user-auth" {
				return errors.New("exit status 1")
			}
			return nil // no app is permitted
		}
		for path, command := range map[string]string{
			"POST /v1/apps/shop/releases":            "git-receive-pack",
			"GET /v1/apps/shop":                      "apps:report",
			"GET /v1/apps/shop/drift":                "apps:report",
			"POST /v1/apps/shop/plan":                "git-receive-pack",
			"GET /v1/apps/shop/releases/request-1":   "apps:report",
			"DELETE /v1/apps/shop/releases/request1": "git-receive-pack",
			"POST /v1/apps/shop/rollback":            "ps:rebuild",
			"POST /v2/shop/blobs/uploads/":           "git-receive-pack",
			"PUT /v2/shop/manifests/latest":          "git-receive-pack",
			"HEAD /v2/shop/blobs/" + sha:             "git-receive-pack",
		} {
			method, target, _ := strings.Cut(path, " ")
			request := httptest.NewRequest(method, target, untouched{t})
			request.Header.Set(api.RequestHeader, "request-1")
			answer := httptest.NewRecorder()
			w.Handler().ServeHTTP(answer, request)
			refused(t, answer.Code, answer.Body.String(), 403, api.Refused, "Access denied")
			want := []string{"dokku", "alice", command, "shop"}
			if trigger == "user-auth-app" {
				want = []string{"dokku", "alice", "shop"}
			}
			if diff := cmp.Diff(want, asked); diff != "" {
				t.Errorf("%s asks %s of:\n%s", path, trigger, diff)
			}
		}
	}
	if len(w.submitted) != 0 {
		t.Errorf("started: %+v", w.submitted)
	}
}

func TestBadRelease(t *testing.T) {
	w := newWire(t)
	change := func(f func(*api.ReleaseRequest)) api.ReleaseRequest {
		r := release()
		f(&r)
		return r
	}
	for name, test := range map[string]struct {
		body    any
		id      string
		code    api.Code
		message string
	}{
		"no id":            {release(), "", api.Usage, api.RequestHeader},
		"a short id":       {release(), "1234567", api.Usage, api.RequestHeader},
		"a path":           {release(), "../../../x", api.Usage, api.RequestHeader},
		"upper case":       {release(), "REQUEST-1", api.Usage, api.RequestHeader},
		"a long id":        {release(), strings.Repeat("a", 65), api.Usage, api.RequestHeader},
		"no JSON":          {"hello", "request-1", api.WrongProtocol, "invalid character"},
		"no body":          {"", "request-1", api.WrongProtocol, "EOF"},
		"half of one":      {`{"document":{"image"`, "request-1", api.WrongProtocol, "unexpected EOF"},
		"two":              {`{}{}`, "request-1", api.WrongProtocol, "more than one document"},
		"a type":           {`{"document":"x"}`, "request-1", api.WrongProtocol, "cannot unmarshal"},
		"an unknown key":   {`{"document":{"hooks":["rm"]}}`, "request-1", api.WrongProtocol, `unknown field "hooks"`},
		"too large":        {`{"document":{"procfile":"` + strings.Repeat("x", api.MaxDocument) + `"}}`, "request-1", api.WrongProtocol, "too large"},
		"no image":         {change(func(r *api.ReleaseRequest) { r.Document.Image.ID = "" }), "request-1", api.Usage, "image.id"},
		"a short digest":   {change(func(r *api.ReleaseRequest) { r.Document.Image.ID = sha[:70] }), "request-1", api.Usage, "image.id"},
		"an upper digest":  {change(func(r *api.ReleaseRequest) { r.Document.Image.ID = "sha256:" + strings.Repeat("A", 64) }), "request-1", api.Usage, "image.id"},
		"a tag":            {change(func(r *api.ReleaseRequest) { r.Document.Image.Manifest = "latest" }), "request-1", api.Usage, "image.manifest"},
		"another digest":   {change(func(r *api.ReleaseRequest) { r.Document.Image.Manifest = sha + "\n" }), "request-1", api.Usage, "image.manifest"},
		"a registry's tag": {change(func(r *api.ReleaseRequest) { r.Document.Image.Registry = "r.example.com/a:latest" }), "request-1", api.Usage, "image.registry"},
		"a flag":           {change(func(r *api.ReleaseRequest) { r.Document.Image.Registry = "--insecure" }), "request-1", api.Usage, "image.registry"},
		"a scheme":         {change(func(r *api.ReleaseRequest) { r.Document.Image.Registry = "https://r.example.com/a" }), "request-1", api.Usage, "image.registry"},
		"no repository":    {change(func(r *api.ReleaseRequest) { r.Document.Image.Registry = "r.example.com" }), "request-1", api.Usage, "image.registry"},
		"an escape":        {change(func(r *api.ReleaseRequest) { r.Document.Source.Branch = "a\x1b[2J" }), "request-1", api.Usage, "control character"},
		"a long branch":    {change(func(r *api.ReleaseRequest) { r.Document.Source.Branch = strings.Repeat("a", 5<<10) }), "request-1", api.Usage, "4 KiB"},
	} {
		t.Run(name, func(t *testing.T) {
			status, body := w.ask(t, "POST", "/v1/apps/shop/releases", test.body, api.RequestHeader, test.id)
			refused(t, status, body, 400, test.code, test.message)
		})
	}
	if len(w.submitted) != 0 {
		t.Errorf("started: %+v", w.submitted)
	}
}

// events reads an event stream.
func events(t *testing.T, body string) (found []api.Event) {
	t.Helper()
	for line := range strings.Lines(body) {
		var event api.Event
		must(t, json.Unmarshal([]byte(line), &event))
		found = append(found, event)
	}
	return found
}

// TestRelease: one request id is one deploy, however often it is asked for.
func TestRelease(t *testing.T) {
	w := newWire(t)
	asked := release()
	asked.RegistryAuth, asked.LockWait = &api.RegistryAuth{Username: "u", Password: "p"}, 60
	asked.Document.Image.Registry, asked.Document.Source.RunURL = "r.example.com:5000/team/a-b", "https://ci.example.com/1"
	for range 2 {
		status, body := w.ask(t, "POST", "/v1/apps/shop/releases", asked)
		found := events(t, body)
		if status != 200 || len(found) != 3 || found[0].Version == nil || found[0].Version.Request != "request-1" || found[2].Verdict == nil || found[2].Verdict.Release != 7 {
			t.Errorf("%d: %s", status, body)
		}
	}
	want := []agent.Change{{App: "shop", Request: "request-1", Kind: agent.Deploy, Document: asked.Document, Auth: asked.RegistryAuth, By: w.By,
		LockWait: time.Minute, RunURL: "https://ci.example.com/1"}}
	if diff := cmp.Diff(want, w.submitted); diff != "" {
		t.Error(diff)
	}
	other := asked
	other.Document.Procfile = "web: x"
	status, body := w.ask(t, "POST", "/v1/apps/shop/releases", other)
	refused(t, status, body, 400, api.Usage, "request-1 was used for another document")

	for path, from := range map[string]int{"": 0, "?offset=0": 0, "?offset=1": 1, "?offset=2": 2, "?offset=9": 3} {
		status, body := w.ask(t, "GET", "/v1/apps/shop/releases/request-1"+path, nil)
		if found := events(t, body); status != 200 || len(found) != 3-from {
			t.Errorf("%s: %d: %s", path, status, body)
		}
	}
	for _, offset := range []string{"-1", "x", "1.5", "99999999999999999999"} {
		status, body := w.ask(t, "GET", "/v1/apps/shop/releases/request-1?offset="+offset, nil)
		refused(t, status, body, 400, api.Usage, "offset is a number")
	}
	status, body = w.ask(t, "DELETE", "/v1/apps/shop/releases/request-1", nil)
	if status != 200 || !strings.Contains(body, `"ok":true`) {
		t.Errorf("cancelling what is over: %d %s", status, body)
	}
}

func TestRollback(t *testing.T) {
	w := newWire(t)
	if status, body := w.ask(t, "POST", "/v1/apps/shop/rollback", api.RollbackRequest{Release: 3, LockWait: 5}); status != 200 || len(events(t, body)) != 3 {
		t.Errorf("%d: %s", status, body)
	}
	want := []agent.Change{{App: "shop", Request: "request-1", Kind: agent.Rollback, Release: 3, By: w.By, LockWait: 5 * time.Second}}
	if diff := cmp.Diff(want, w.submitted); diff != "" {
		t.Error(diff)
	}
	status, body := w.ask(t, "POST", "/v1/apps/shop/rollback", `{"releases":3}`)
	refused(t, status, body, 400, api.WrongProtocol, "unknown field")
	status, body = w.ask(t, "POST", "/v1/apps/shop/rollback", api.RollbackRequest{}, api.RequestHeader, "x")
	refused(t, status, body, 400, api.Usage, api.RequestHeader)
}

// TestSubmitFails: a process that could not be started is an error, not an empty stream.
func TestSubmitFails(t *testing.T) {
	w := newWire(t)
	w.Submit = func(context.Context, agent.Change) error { return errors.New("no more processes") }
	status, body := w.ask(t, "POST", "/v1/apps/shop/releases", release())
	refused(t, status, body, 500, api.Unclassified, "no more processes")
}
