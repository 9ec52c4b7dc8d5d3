package remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/dokku-push/dokku-push/api"
)

// defaultTimeout is how long a host may take to let us in.
const defaultTimeout = 20 * time.Second

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
	return j.accepted == nil && j.pinType == "" && len(j.seen) > 0 // another of the host's keys may be the pinned one
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
		ClientVersion:     "SSH-2.0-dokku_push",
		Auth: []ssh.AuthMethod{ssh.PublicKeysCallback(func() ([]ssh.Signer, error) {
			signers, end, err := h.keys.offer(ctx)
			if err != nil {
				problem = err
				return nil, err
			}
			done = end
			return h.keys.noted(signers), nil
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
		if len(j.seen) > 0 { // an earlier round saw what keys there are
			return j.mismatch()
		}
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
