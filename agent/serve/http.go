// Package serve is the agent's side of the wire: the HTTP API over a channel, and
// the ssh server of an embedded host. It parses requests, asks whether the caller
// may, and hands on; it decides nothing about releases.
package serve

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/agent/store"
	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/manifest"
)

// Server answers one caller.
type Server struct {
	Host  *agent.Host
	Store *store.Store
	By    agent.Caller
	// Submit starts the deploy process of a change and returns.
	Submit func(ctx context.Context, change agent.Change) error
}

// Handler is the whole API.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/hello", s.hello)
	mux.HandleFunc("GET /v1/doctor", s.doctor)
	mux.HandleFunc("GET /v1/apps/{app}", s.guarded("apps:report", s.state))
	mux.HandleFunc("GET /v1/apps/{app}/drift", s.guarded("apps:report", s.drift))
	mux.HandleFunc("POST /v1/apps/{app}/plan", s.guarded("git-receive-pack", s.plan))
	mux.HandleFunc("POST /v1/apps/{app}/releases", s.guarded("git-receive-pack", s.release))
	mux.HandleFunc("GET /v1/apps/{app}/releases/{id}", s.guarded("apps:report", s.follow))
	mux.HandleFunc("DELETE /v1/apps/{app}/releases/{id}", s.guarded("git-receive-pack", s.cancel))
	mux.HandleFunc("POST /v1/apps/{app}/promote", s.guarded("git-receive-pack", s.promote))
	mux.HandleFunc("POST /v1/apps/{app}/rollback", s.guarded("ps:rebuild", s.rollback))
	mux.HandleFunc("/v2/{app}/", s.guarded("git-receive-pack", s.blobs))
	mux.HandleFunc("GET /v2/{$}", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		refuse(w, http.StatusNotFound, api.Errorf(api.WrongProtocol, "", "this agent has no %s %s", r.Method, r.URL.Path).WithHint("update the agent on the host"))
	})
	return mux
}

// guarded asks the user-auth plugins first, so that a refusal comes before a byte
// of the body is read (DESIGN 5).
func (s *Server) guarded(command string, next func(w http.ResponseWriter, r *http.Request, app string)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		app := r.PathValue("app")
		if err := manifest.AppName(app); err != nil && s.Host.Exists(app) != nil {
			refuse(w, http.StatusBadRequest, api.Errorf(api.Usage, "", "%w", err))
			return
		}
		if err := s.Host.May(r.Context(), s.By, app, command, app); err != nil {
			refuse(w, http.StatusForbidden, err)
			return
		}
		next(w, r, app)
	}
}

// refuse answers with an Error as JSON.
func refuse(w http.ResponseWriter, status int, err error) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(api.AsError(err)) // a client that is gone reads nothing
}

// statusOf is the HTTP status for an error.
func statusOf(err error) int {
	switch api.AsError(err).Code {
	case api.NotFound:
		return http.StatusNotFound
	case api.Refused:
		return http.StatusForbidden
	case api.Locked:
		return http.StatusConflict
	case api.Usage, api.WrongProtocol, api.InvalidManifest, api.Precondition:
		return http.StatusBadRequest
	}
	return http.StatusInternalServerError
}

func answer(w http.ResponseWriter, value any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(value) // a client that is gone reads nothing
}

func (s *Server) hello(w http.ResponseWriter, r *http.Request) {
	if err := s.Host.May(r.Context(), s.By, "", "version"); err != nil {
		refuse(w, http.StatusForbidden, err)
		return
	}
	info, err := s.Host.Containers.Info(r.Context())
	if err != nil {
		refuse(w, http.StatusServiceUnavailable, api.Errorf(api.Precondition, "ask the engine", "%w", err).
			WithHint("is Docker running on the host?"))
		return
	}
	answer(w, api.Hello{Protocol: api.Protocol, Version: s.Host.Version, OS: info.OS, Arch: info.Arch, Store: info.Store,
		Free: agent.FreeBytes(info.Root), Traffic: s.Host.Traffic.Name(), Key: s.By.Name})
}

func (s *Server) state(w http.ResponseWriter, r *http.Request, app string) {
	state, err := s.Host.State(r.Context(), app)
	if err != nil {
		refuse(w, statusOf(err), err)
		return
	}
	answer(w, state)
}

// decode reads a JSON body of bounded size with no key that is not known: an unknown
// request is refused, never half understood.
func decode(w http.ResponseWriter, r *http.Request, into any) error {
	body := json.NewDecoder(http.MaxBytesReader(w, r.Body, api.MaxDocument))
	body.DisallowUnknownFields()
	if err := body.Decode(into); err != nil {
		return api.Errorf(api.WrongProtocol, "read the request", "%w", err).WithHint("client and agent may be of different versions")
	}
	if _, err := body.Token(); !errors.Is(err, io.EOF) {
		return api.Errorf(api.WrongProtocol, "read the request", "more than one document in the body")
	}
	return nil
}

func requestOf(r *http.Request) (string, error) {
	id := r.Header.Get(api.RequestHeader)
	if !agent.ValidRequest(id) {
		return "", api.Errorf(api.Usage, "read the request", "the header %s must hold 8 to 64 of a-z, 0-9 and -", api.RequestHeader)
	}
	return id, nil
}

func (s *Server) release(w http.ResponseWriter, r *http.Request, app string) {
	id, err := requestOf(r)
	var body api.ReleaseRequest
	if err == nil {
		err = decode(w, r, &body)
	}
	if err == nil {
		err = checkDocument(body.Document)
	}
	if err != nil {
		refuse(w, http.StatusBadRequest, err)
		return
	}
	if err := s.Host.MayBring(s.By, app, body.Document); err != nil {
		refuse(w, statusOf(err), err)
		return
	}
	digest := agent.DocumentDigest(body.Document)
	if running, ok := s.Host.Attach(app, digest); ok {
		s.stream(w, r, app, running, 0)
		return
	}
	s.submit(w, r, digest, agent.Change{App: app, Request: id, Kind: agent.Deploy, Document: body.Document, Auth: body.RegistryAuth,
		By: s.By, LockWait: time.Duration(body.LockWait) * time.Second, RunURL: body.Document.Source.RunURL,
		NewestWins: body.NewestWins, Signed: body.Signed, State: strings.Trim(r.Header.Get(api.IfMatch), `"`)})
}

func (s *Server) plan(w http.ResponseWriter, r *http.Request, app string) {
	var body api.PlanRequest
	err := decode(w, r, &body)
	if err == nil {
		checked := body.Document
		if checked.Image.Manifest == "" { // it is known once the image was shipped
			checked.Image.Manifest = checked.Image.ID
		}
		err = checkDocument(checked)
	}
	if err == nil { // what a dead deploy left is no state to plan from
		err = s.Host.RecoverUnfinished(r.Context(), app)
	}
	var plan api.Plan
	if err == nil {
		plan, err = s.Host.Plan(r.Context(), app, body)
	}
	if refused := s.Host.MayBring(s.By, app, body.Document); refused != nil && plan.Refused == nil {
		plan.Refused = api.AsError(refused)
	}
	if err != nil {
		refuse(w, statusOf(err), err)
		return
	}
	answer(w, plan)
}

func (s *Server) rollback(w http.ResponseWriter, r *http.Request, app string) {
	id, err := requestOf(r)
	var body api.RollbackRequest
	if err == nil {
		err = decode(w, r, &body)
	}
	if err == nil {
		err = s.Host.Exists(app)
	}
	if err != nil {
		refuse(w, statusOf(err), err)
		return
	}
	s.submit(w, r, agent.DocumentDigest(api.ReleaseDocument{}), agent.Change{App: app, Request: id, Kind: agent.Rollback,
		Release: body.Release, By: s.By, LockWait: time.Duration(body.LockWait) * time.Second})
}

// promote runs another app's image under this one's settings. Who asks must be allowed to
// look at the other.
func (s *Server) promote(w http.ResponseWriter, r *http.Request, app string) {
	id, err := requestOf(r)
	var body api.PromoteRequest
	if err == nil {
		err = decode(w, r, &body)
	}
	if err == nil && body.From == app {
		err = api.Errorf(api.Usage, "promote", "%s cannot be promoted to itself", app)
	}
	if err == nil {
		err = s.Host.May(r.Context(), s.By, body.From, "apps:report", body.From)
	}
	if err == nil {
		err = s.Host.Exists(body.From)
	}
	if err != nil {
		refuse(w, statusOf(err), err)
		return
	}
	s.submit(w, r, agent.DocumentDigest(api.ReleaseDocument{}), agent.Change{App: app, Request: id, Kind: agent.Promote, From: body.From, Signed: body.Signed,
		By: s.By, LockWait: time.Duration(body.LockWait) * time.Second})
}

// submit starts a change unless its request id is known already, and streams it.
func (s *Server) submit(w http.ResponseWriter, r *http.Request, digest string, change agent.Change) {
	known, same, err := s.Host.Known(change.App, change.Request, digest)
	if err == nil && known && !same {
		err = api.Errorf(api.Usage, "start", "request id %s was used for another document", change.Request)
	}
	if err == nil && !known {
		err = s.Submit(r.Context(), change)
	}
	if err != nil {
		refuse(w, statusOf(err), err)
		return
	}
	s.stream(w, r, change.App, change.Request, 0)
}

func (s *Server) follow(w http.ResponseWriter, r *http.Request, app string) {
	offset, err := strconv.Atoi("0" + r.URL.Query().Get("offset"))
	if err != nil {
		refuse(w, http.StatusBadRequest, api.Errorf(api.Usage, "read the request", "offset is a number"))
		return
	}
	request, err := s.Host.RequestFor(app, r.PathValue("id"))
	if err != nil {
		refuse(w, statusOf(err), err)
		return
	}
	s.stream(w, r, app, request, offset)
}

func (s *Server) cancel(w http.ResponseWriter, r *http.Request, app string) {
	request, err := s.Host.RequestFor(app, r.PathValue("id"))
	if err == nil {
		err = s.Host.CancelBy(s.By, app, request)
	}
	var verdict api.Verdict
	if err == nil {
		verdict, err = s.Host.Follow(r.Context(), app, request, 0, func(api.Event) error { return nil })
	}
	if err != nil {
		refuse(w, statusOf(err), err)
		return
	}
	answer(w, verdict)
}

// stream tails a request's journal. That the client is gone is not the deploy's
// business.
func (s *Server) stream(w http.ResponseWriter, r *http.Request, app, request string, offset int) {
	w.Header().Set("Content-Type", api.EventStream)
	w.WriteHeader(http.StatusOK)
	lines := json.NewEncoder(w)
	flush := http.NewResponseController(w)
	send := func(event api.Event) error {
		if err := lines.Encode(event); err != nil {
			return err
		}
		return flush.Flush()
	}
	_ = flush.Flush() // the client sees that it was accepted
	if _, err := s.Host.Follow(r.Context(), app, request, offset, send); err != nil && r.Context().Err() == nil {
		verdict := &api.Verdict{Error: api.AsError(err)}
		_ = send(api.Event{Type: api.EventVerdict, Time: time.Now(), Verdict: verdict})
	}
}

// blobs is the OCI distribution API of one app.
func (s *Server) blobs(w http.ResponseWriter, r *http.Request, app string) {
	may := func(other string) bool {
		return s.Host.Exists(other) == nil && s.Host.May(r.Context(), s.By, other, "git-receive-pack", other) == nil
	}
	s.Store.Handler(app, may).ServeHTTP(w, r)
}

// ServeConn serves one HTTP connection until it is closed.
func (s *Server) ServeConn(ctx context.Context, conn net.Conn) error {
	done := make(chan struct{})
	server := &http.Server{
		Handler:           s.Handler(),
		BaseContext:       func(net.Listener) context.Context { return ctx },
		ReadHeaderTimeout: 5 * time.Minute, // between two requests of a push lies a build
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          log.New(io.Discard, "", 0),
		ConnState: func(_ net.Conn, state http.ConnState) {
			if state == http.StateClosed || state == http.StateHijacked {
				close(done)
			}
		},
	}
	err := server.Serve(&oneConn{conn: conn, done: done})
	if errors.Is(err, net.ErrClosed) || errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// oneConn is a listener that accepts once and is closed when that one is.
type oneConn struct {
	conn net.Conn
	done chan struct{}
}

func (l *oneConn) Accept() (net.Conn, error) {
	if conn := l.conn; conn != nil {
		l.conn = nil
		return conn, nil
	}
	<-l.done
	return nil, net.ErrClosed
}

func (l *oneConn) Close() error   { return nil }
func (l *oneConn) Addr() net.Addr { return stdioAddr{} }
