package remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/dokku-push/dokku-push/api"
)

// defaultTimeout is how long a host may take to let us in.
const defaultTimeout = 20 * time.Second

// route is the way to a host: any jump hosts, then itself.
type route struct {
	hops    []*hop
	ignored []string // parts of the ssh configuration that were not understood
}

func (r *route) last() *hop { return r.hops[len(r.hops)-1] }

// hop is one host on the way.
type hop struct {
	target  Target
	trust   *trust
	keys    *keyring
	timeout time.Duration
}

// planner reads the configuration once for all hops.
type planner struct {
	Options
	config *sshConfig
	local  string // the local user's name
	socket string
}

// plan resolves the options and the ssh configuration into a route.
func plan(o Options) (*route, error) {
	if o.Home == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return nil, api.Errorf(api.Configuration, "find the home folder", "%w", err).WithHint("set HOME")
		}
		o.Home = home
	}
	p := &planner{Options: o, socket: o.AgentSocket}
	if p.socket == "" {
		p.socket = os.Getenv("SSH_AUTH_SOCK")
	}
	if me, err := user.Current(); err == nil {
		p.local = me.Username
	} else {
		p.local = os.Getenv("USER")
	}
	var err error
	if p.config, err = readConfig(o.Home, o.ConfigFile); err != nil {
		return nil, err
	}
	hops, err := p.hops(o.Target, nil)
	if err != nil {
		return nil, err
	}
	return &route{hops: hops, ignored: p.config.ignored}, nil
}

// hops resolves a host and, before it, the hosts that it is reached through. Only
// the first of a ProxyJump list may have jump hosts of its own, as in OpenSSH.
func (p *planner) hops(text string, outer []string) ([]*hop, error) {
	if len(outer) > 8 {
		return nil, api.Errorf(api.Configuration, "connect to "+p.Target, "ProxyJump goes in circles: %s", strings.Join(outer, " through "))
	}
	outer = append(outer, text)
	s, err := p.settings(text)
	if err != nil {
		return nil, err
	}
	var hops []*hop
	for i, jump := range s.jumps {
		jump = strings.TrimPrefix(strings.TrimSpace(jump), "ssh://")
		if i == 0 {
			before, err := p.hops(jump, outer)
			if err != nil {
				return nil, err
			}
			hops = append(hops, before...)
			continue
		}
		js, err := p.settings(jump)
		if err != nil {
			return nil, err
		}
		h, err := p.hop(js, true)
		if err != nil {
			return nil, err
		}
		hops = append(hops, h)
	}
	h, err := p.hop(s, len(outer) > 1)
	return append(hops, h), err
}

func (p *planner) settings(text string) (settings, error) {
	target, err := parseTarget(text)
	if err != nil {
		return settings{}, err
	}
	return p.config.of(target, p.local)
}

// hop makes a hop of what the configuration says. A jump host is logged into as
// OpenSSH would: as the local user, with its own keys first.
func (p *planner) hop(s settings, jump bool) (*hop, error) {
	fallback := Target{User: DefaultUser, Port: DefaultPort}
	if jump {
		fallback.User = p.local
	}
	h := &hop{target: s.target.or(fallback), timeout: p.Timeout}
	if h.timeout == 0 {
		h.timeout = s.timeout
	}
	if h.timeout == 0 {
		h.timeout = defaultTimeout
	}
	h.trust = p.trustFor(s, h.target)
	if !jump {
		h.trust.pinnable = true
		if err := h.trust.readPin(p.HostKey); err != nil {
			return nil, err
		}
	}
	h.keys = p.keysFor(s, jump)
	return h, nil
}

func (p *planner) trustFor(s settings, target Target) *trust {
	t := &trust{host: target.address(), address: strings.ToLower(target.address()), acceptNew: p.AcceptNew, files: p.KnownHosts}
	if s.hostKeyAlias != "" { // OpenSSH looks it up without a port
		t.address = net.JoinHostPort(s.hostKeyAlias, "22")
	}
	if t.files == nil {
		t.files = s.knownHosts
		if t.files == nil {
			ssh := filepath.Join(p.Home, ".ssh")
			t.files = []string{filepath.Join(ssh, "known_hosts"), filepath.Join(ssh, "known_hosts2")}
		}
		if len(t.files) > 0 {
			t.record = t.files[0]
		}
		t.files = append(t.files, "/etc/ssh/ssh_known_hosts", "/etc/ssh/ssh_known_hosts2")
	} else if len(t.files) > 0 {
		t.record = t.files[0]
	}
	return t
}

// keysFor chooses the keys for a host. A key that the caller named is the only
// one for the target; a jump host is offered it after those of its own.
func (p *planner) keysFor(s settings, jump bool) *keyring {
	k := &keyring{ask: p.Passphrase, only: s.identitiesOnly, socket: p.socket, text: p.Key}
	if s.identityAgent != "" && p.AgentSocket == "" {
		k.socket = s.identityAgent
	}
	if k.socket == "none" {
		k.socket = ""
	}
	explicit := p.Key != "" || p.KeyFile != ""
	if explicit && !jump {
		k.only = true
	} else {
		for _, path := range s.identityFiles {
			k.files = append(k.files, keyFile{path: path, named: true})
		}
		if len(k.files) == 0 {
			for _, name := range []string{"id_ed25519", "id_ecdsa", "id_rsa"} {
				k.files = append(k.files, keyFile{path: filepath.Join(p.Home, ".ssh", name)})
			}
		}
	}
	if p.KeyFile != "" {
		path := p.KeyFile
		if rest, ok := strings.CutPrefix(path, "~/"); ok {
			path = filepath.Join(p.Home, rest)
		}
		k.files = append(k.files, keyFile{path: path, named: true, must: !jump})
	}
	return k
}

// link is one established connection with the jump hosts it runs through.
type link struct {
	clients []*ssh.Client // the target's last
	dead    chan struct{} // closed when the target's connection ended
	silent  atomic.Bool   // it ended because keepalives were not answered
	owned   sync.WaitGroup
}

func (l *link) client() *ssh.Client { return l.clients[len(l.clients)-1] }

// close ends all connections, the innermost first, and waits for their goroutines.
func (l *link) close() error {
	var errs []error
	for i := len(l.clients) - 1; i >= 0; i-- {
		if err := l.clients[i].Close(); err != nil && !errors.Is(err, net.ErrClosed) && !errors.Is(err, io.EOF) {
			errs = append(errs, err)
		}
	}
	l.owned.Wait()
	select {
	case <-l.dead: // what broke before cannot be closed well
		return nil
	default:
		return errors.Join(errs...)
	}
}

// connect goes the whole way.
func (r *route) connect(ctx context.Context) (*link, error) {
	l := &link{dead: make(chan struct{})}
	var net net.Dialer
	dial := net.DialContext
	var through *hop
	for _, h := range r.hops {
		client, err := h.connect(ctx, dial, through)
		if err != nil {
			l.close()
			if e := api.AsError(err); len(r.ignored) > 0 && e.Code != api.Unclassified {
				e.Hint += fmt.Sprintf(" (Match blocks that only OpenSSH evaluates were left out: %s)", strings.Join(r.ignored, ", "))
			}
			return nil, err
		}
		l.clients = append(l.clients, client)
		dial, through = client.DialContext, h
	}
	l.owned.Go(func() {
		_ = l.client().Wait() // how it ended is told to whoever uses it
		close(l.dead)
	})
	l.owned.Go(func() { l.keepAlive(keepAliveEvery, keepAliveMisses) })
	return l, nil
}

// A connection whose host has not answered for as long as this is dead.
const (
	keepAliveEvery  = 15 * time.Second
	keepAliveMisses = 3
)

// keepAlive asks the host for a sign of life, and ends a connection without one.
func (l *link) keepAlive(every time.Duration, misses int) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	answered := make(chan struct{}, 1)
	missed, waiting := 0, false
	for {
		select {
		case <-l.dead:
			return
		case <-answered:
			missed, waiting = 0, false
		case <-tick.C:
			if waiting {
				if missed++; missed >= misses {
					l.silent.Store(true)
					l.client().Close()
					return
				}
				continue
			}
			waiting = true
			l.owned.Go(func() { // returns at the latest when the connection ends
				if _, _, err := l.client().SendRequest("keepalive@openssh.com", true, nil); err == nil {
					answered <- struct{}{}
				}
			})
		}
	}
}

// ended says why a dead link is dead.
func (l *link) ended() string {
	if l.silent.Load() {
		return fmt.Sprintf("the host has not answered for %v", keepAliveEvery*keepAliveMisses)
	}
	return "the connection was lost"
}

type dialFunc func(ctx context.Context, network, address string) (net.Conn, error)

// connect logs into one host. It takes several handshakes where only that tells
// whether the host has the key that is trusted.
func (h *hop) connect(ctx context.Context, dial dialFunc, through *hop) (*ssh.Client, error) {
	j, err := h.trust.load()
	if err != nil {
		return nil, err
	}
	for i, algorithms := range j.rounds {
		client, err := h.attempt(ctx, dial, through, j, algorithms)
		if err == nil {
			return client, nil
		}
		if i+1 == len(j.rounds) || !j.again(err) {
			return nil, err
		}
	}
	return nil, api.Errorf(api.Refused, "connect to "+h.target.String(), "no kind of host key is asked for")
}

// again reports whether another round may show the host's right key.
func (j *judge) again(err error) bool {
	if negotiation, ok := errors.AsType[*ssh.AlgorithmNegotiationError](err); ok {
		return strings.Contains(negotiation.What, "host key")
	}
	return j.pin != "" && j.pinType == "" && j.refusal != nil && len(j.seen) > 0
}

// attempt is one connection and handshake.
func (h *hop) attempt(ctx context.Context, dial dialFunc, through *hop, j *judge, algorithms []string) (*ssh.Client, error) {
	inner, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	late := fmt.Errorf("no answer within %v", h.timeout)
	timer := time.AfterFunc(h.timeout, func() { cancel(late) })
	defer timer.Stop()

	conn, err := dial(inner, "tcp", h.target.address())
	if err != nil {
		if cause := context.Cause(inner); cause != nil {
			err = cause
		}
		return nil, h.unreachable(ctx, err, through)
	}
	stop := context.AfterFunc(inner, func() { conn.Close() })
	client, err := h.handshake(inner, timer, conn, j, algorithms)
	if !stop() && err == nil {
		err = context.Cause(inner) // the connection was closed under us
	}
	if err != nil {
		conn.Close()
		if cause := context.Cause(inner); cause != nil {
			return nil, h.unreachable(ctx, cause, through)
		}
		return nil, h.explain(err, j)
	}
	return client, nil
}

func (h *hop) handshake(ctx context.Context, timer *time.Timer, conn net.Conn, j *judge, algorithms []string) (*ssh.Client, error) {
	j.accepted, j.refusal = nil, nil
	h.keys.waitWith(timer, h.timeout)
	defer h.keys.waitWith(nil, 0)
	done := func() {}
	defer func() { done() }()
	var problem error
	config := &ssh.ClientConfig{
		User:              h.target.User,
		HostKeyCallback:   j.verify,
		HostKeyAlgorithms: algorithms,
		ClientVersion:     "SSH-2.0-dokku-push",
		Auth: []ssh.AuthMethod{ssh.PublicKeysCallback(func() ([]ssh.Signer, error) {
			signers, end, err := h.keys.offer(ctx)
			if err != nil {
				problem = err
				return nil, err
			}
			done = end
			return signers, nil
		})},
	}
	c, channels, requests, err := ssh.NewClientConn(conn, j.address, config)
	if err != nil {
		return nil, errors.Join(problem, err)
	}
	return ssh.NewClient(c, channels, requests), nil
}

// explain turns a failed handshake into an error for people.
func (h *hop) explain(err error, j *judge) error {
	op := "connect to " + h.target.String()
	if j.refusal != nil {
		return j.refusal
	}
	if e, ok := errors.AsType[*api.Error](err); ok {
		return e
	}
	if negotiation, ok := errors.AsType[*ssh.AlgorithmNegotiationError](err); ok {
		return api.Errorf(api.Unreachable, op, "%w", negotiation).WithHint("update the ssh server of the host")
	}
	network, isNetwork := errors.AsType[*net.OpError](err)
	switch {
	case isNetwork:
		return api.Errorf(api.Unreachable, op, "the connection broke: %w", network).WithHint("try again")
	case j.accepted == nil && errors.Is(err, io.EOF):
		return api.Errorf(api.Unreachable, op, "the host closed the connection before it showed a key").
			WithHint("is an ssh server on port %d? It may also have too many connections (MaxStartups) or have banned this address", h.target.Port)
	case j.accepted == nil:
		return api.Errorf(api.Unreachable, op, "%w", err).WithHint("is an ssh server on port %d?", h.target.Port)
	}
	return h.keys.refused(h.target, err)
}

// unreachable is the error for a host that did not answer. A caller who gave up
// gets back the context's own error.
func (h *hop) unreachable(ctx context.Context, err error, through *hop) error {
	op := "connect to " + h.target.String()
	if ctx.Err() != nil {
		return fmt.Errorf("%s: %w", op, context.Cause(ctx))
	}
	where := ""
	if through != nil {
		where = " through " + through.target.String()
	}
	e := api.Errorf(api.Unreachable, op+where, "%w", err)
	if refused, ok := errors.AsType[*ssh.OpenChannelError](err); ok && refused.Reason == ssh.Prohibited {
		return e.WithHint("the jump host %s does not allow forwarding (AllowTcpForwarding)", through.target.Host)
	}
	if unknown, ok := errors.AsType[*net.DNSError](err); ok && unknown.IsNotFound {
		return e.WithHint("check the host's name: DOKKU_HOST, --host, the host block of dokku.hcl, or the alias in ~/.ssh/config")
	}
	return e.WithHint("check that the host is up, that port %d is open from here, and that its ssh server runs", h.target.Port)
}
