package store

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/api"
)

// Listen offers the app's images to one pull of the engine: a listener on a
// free port of the loopback, which answers only to a user and password made
// now. It is closed by Close, and when ctx ends.
func (s *Store) Listen(ctx context.Context, app string) (agent.Pull, error) {
	if !appForm.MatchString(app) {
		return nil, fmt.Errorf("offer the layers of %q: not an app's name", app)
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen for the engine: %w", err)
	}
	p := &pull{
		store: s, app: app, address: listener.Addr().String(),
		auth: api.RegistryAuth{Username: newSecret(), Password: newSecret()},
		done: make(chan error, 1),
	}
	p.server = &http.Server{
		Handler: p, ReadHeaderTimeout: 30 * time.Second,
		// The engine tries TLS first; that is no news for anybody.
		ErrorLog: log.New(io.Discard, "", 0),
	}
	go func() { p.done <- p.server.Serve(listener) }()
	p.stop = context.AfterFunc(ctx, func() { p.server.Close() })
	return p, nil
}

// pull is one offered pull; it implements agent.Pull.
type pull struct {
	store   *Store
	app     string
	address string
	auth    api.RegistryAuth
	server  *http.Server
	done    chan error
	stop    func() bool
	once    sync.Once
	err     error

	mu      sync.Mutex
	missing []string
	served  []record
}

// Ref is what the engine is told to pull for a manifest digest.
func (p *pull) Ref(manifest string) string { return p.address + "/" + p.app + "@" + manifest }

// Auth is what the engine must say here.
func (p *pull) Auth() api.RegistryAuth { return p.auth }

// Close ends the listener and waits for it.
func (p *pull) Close() error {
	p.once.Do(func() {
		p.stop()
		p.err = p.server.Close()
		if err := <-p.done; !errors.Is(err, http.ErrServerClosed) && p.err == nil {
			p.err = err
		}
	})
	return wrap("close the listener for the engine", p.err)
}

// Missing lists what the engine asked for and is not here: blobs, or the
// manifest itself. An engine gives up at the first missing layer; it would have
// asked for those above it as well, so they are in the list, too.
func (p *pull) Missing() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	missing := slices.Clone(p.missing)
	for _, r := range p.served {
		first := slices.IndexFunc(r.Layers, func(l recordLayer) bool { return slices.Contains(p.missing, l.Digest) })
		if first < 0 {
			continue
		}
		for _, l := range r.Layers[first:] {
			if _, err := p.store.stat(p.app, l.Digest); err != nil && !slices.Contains(missing, l.Digest) {
				missing = append(missing, l.Digest)
			}
		}
	}
	return missing
}

func (p *pull) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Docker-Distribution-API-Version", "registry/2.0")
	if !p.knows(r) {
		w.Header().Set("WWW-Authenticate", `Basic realm="dokku-agent"`)
		refuse(w, http.StatusUnauthorized, "UNAUTHORIZED", "this is for one pull of the engine alone")
		return
	}
	at, ok := parseRoute(r.URL.Path)
	if !ok || at.kind != kindBase && at.repo != p.app {
		refuse(w, http.StatusNotFound, "NAME_UNKNOWN", "nothing else is here")
		return
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		refuse(w, http.StatusMethodNotAllowed, "UNSUPPORTED", "this can only be read")
		return
	}
	switch at.kind {
	case kindBase:
		w.WriteHeader(http.StatusOK)
	case kindManifest:
		rec, found := p.store.serveManifest(w, r, p.app, at.ref)
		p.note(at.ref, found, rec)
	case kindBlob:
		found := p.store.serveBlob(w, r, p.app, at.ref)
		p.note(at.ref, found, record{})
	default:
		refuse(w, http.StatusMethodNotAllowed, "UNSUPPORTED", "this can only be read")
	}
}

// knows compares in constant time.
func (p *pull) knows(r *http.Request) bool {
	user, password, _ := r.BasicAuth()
	same := subtle.ConstantTimeCompare([]byte(user), []byte(p.auth.Username))
	return same&subtle.ConstantTimeCompare([]byte(password), []byte(p.auth.Password)) == 1
}

// note remembers what was asked for.
func (p *pull) note(ref string, found bool, rec record) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case !found && digestForm.MatchString(ref) && !slices.Contains(p.missing, ref):
		p.missing = append(p.missing, ref)
	case rec.Digest != "":
		p.served = append(p.served, rec)
	}
}
