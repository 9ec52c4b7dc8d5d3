// Package remote is the client's way to a host: the ssh connection, the client
// of the agent's API over it, and the transfer of layers to the agent or to a
// registry. It decides nothing about releases and prints nothing.
//
// A Conn is one ssh connection, made as OpenSSH would make it from the user's
// configuration, keys and known hosts. Over it run HTTP connections to the agent
// (one exec request each) and Dokku's own commands. A connection that broke is
// made again by the next request, to the same host key rules.
package remote

import (
	"context"
	"net/http"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/internal/redact"
)

// AgentURL is the base of the agent's API for a Conn's HTTPClient. The name is
// never looked up: every address leads to the agent.
const AgentURL = "http://dokku-agent"

// Options says where to connect and what to trust. Only Target is needed.
type Options struct {
	Target string // [user@]host[:port] or an alias of the ssh configuration

	KeyFile string        // a private key file; no other key is offered
	Key     redact.Secret // the text of a private key; no other key is offered

	HostKey   string // the one host key to accept: "SHA256:..." or a public key line
	AcceptNew bool   // record and trust the key of a host that is not known

	// ConfigFile and KnownHosts replace the user's and the system's files.
	ConfigFile string
	KnownHosts []string

	// Passphrase asks for the passphrase of a key file; it is called only after the
	// host accepted that key. Nil where nobody can be asked.
	Passphrase func(keyfile string) (string, error)

	// Names are what the keys are called where they were said, for messages. An empty one
	// is that of this program's flag or variable.
	Names Names

	Timeout     time.Duration // for each host until it has let us in; 0: ConnectTimeout, or 20 s
	Home        string        // the user's home; empty: the current user's
	AgentSocket string        // the ssh agent; empty: $SSH_AUTH_SOCK; "none": no agent
}

// Names are what Options are called by whoever has said them.
type Names struct {
	Key        string // of Options.Key
	Passphrase string // of what Options.Passphrase answers, where that is no person
	HostKey    string // of Options.HostKey, or of what should say it
}

// Conn is a connection to one host. Its methods may be used concurrently.
type Conn struct {
	route *route
	slots chan struct{} // one token an open channel
	http  *http.Client
	trips *http.Transport

	life context.Context // ends when Close is called, and with it a connect that runs
	end  context.CancelFunc

	mu     sync.Mutex // guards link and closed
	link   *link
	closed bool

	owned sync.WaitGroup // goroutines of channels
}

// Dial connects and authenticates. Its errors are of code api.Unreachable,
// api.Refused or api.Configuration, or wrap ctx's own when that ended first.
func Dial(ctx context.Context, o Options) (*Conn, error) {
	r, err := plan(o)
	if err != nil {
		return nil, err
	}
	c := &Conn{route: r, slots: make(chan struct{}, api.MaxChannels)}
	if c.link, err = r.connect(ctx); err != nil {
		return nil, err
	}
	c.life, c.end = context.WithCancel(context.Background())
	c.trips = &http.Transport{
		DialContext:           c.dialAgent,
		MaxConnsPerHost:       api.MaxChannels,
		MaxIdleConnsPerHost:   api.MaxChannels,
		IdleConnTimeout:       30 * time.Second,
		ExpectContinueTimeout: 30 * time.Second,
		DisableCompression:    true,
	}
	c.http = &http.Client{Transport: askFirst{c.trips}}
	return c, nil
}

// Target is the host behind any alias, as it was connected to.
func (c *Conn) Target() Target { return c.route.last().target }

// HTTPClient returns the client whose every connection leads to the agent.
func (c *Conn) HTTPClient() *http.Client { return c.http }

// API returns the client of the agent's API over this connection.
func (c *Conn) API() *Client { return &Client{HTTP: c.http, Base: AgentURL} }

// Close ends the connection and everything that runs over it.
func (c *Conn) Close() error {
	c.end()
	c.mu.Lock()
	c.closed = true
	link := c.link
	c.mu.Unlock()
	c.trips.CloseIdleConnections()
	err := link.close()
	c.owned.Wait()
	return err
}

// client returns the live ssh connection, made anew if the last one broke.
func (c *Conn) client(ctx context.Context) (*ssh.Client, *link, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, nil, c.errClosed()
	}
	select {
	case <-c.link.dead:
		ctx, cancel := context.WithCancelCause(ctx)
		defer cancel(nil)
		defer context.AfterFunc(c.life, func() { cancel(c.errClosed()) })()
		_ = c.link.close() // it is dead
		fresh, err := c.route.connect(ctx)
		if err != nil {
			return nil, nil, err
		}
		c.link = fresh
	default:
	}
	return c.link.client(), c.link, nil
}

// start runs work in a goroutine that Close waits for. It reports false, and
// does not run it, once Close was called.
func (c *Conn) start(work func()) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return false
	}
	c.owned.Go(work)
	return true
}

func (c *Conn) errClosed() error {
	return api.Errorf(api.Unreachable, "", "the connection to %s was closed", c.Target())
}

// askBodies is the size in bytes from which a request waits for the agent's
// consent before it sends its body.
const askBodies = 16 << 10

// askFirst adds Expect: 100-continue to requests with large bodies, so that a
// refusal arrives before the body is sent.
type askFirst struct{ next http.RoundTripper }

func (a askFirst) RoundTrip(r *http.Request) (*http.Response, error) {
	large := r.ContentLength <= 0 || r.ContentLength >= askBodies // 0 with a body: not known
	if r.Body != nil && r.Body != http.NoBody && large && r.Header.Get("Expect") == "" {
		r = r.Clone(r.Context())
		r.Header.Set("Expect", "100-continue")
	}
	return a.next.RoundTrip(r)
}

// CloseIdleConnections lets http.Client close them.
func (a askFirst) CloseIdleConnections() {
	if c, ok := a.next.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}
