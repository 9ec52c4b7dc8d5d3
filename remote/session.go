package remote

import (
	"context"
	"errors"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/dokku-push/dokku-push/api"
)

// session is an ssh session that holds one of the connection's slots.
type session struct {
	*ssh.Session
	link *link
	free func() // gives the slot back; only once the host closed its side too
}

// refusals is how often a host may refuse a channel before that is an error: a
// session that just ended still counts there for a moment.
const refusals = 6

// open takes a slot, waiting for one if need be, and opens a session.
func (c *Conn) open(ctx context.Context) (*session, error) {
	if err := c.take(ctx); err != nil {
		return nil, err
	}
	free := sync.OnceFunc(func() { <-c.slots })
	type result struct {
		session *session
		err     error
	}
	opened := make(chan result)
	work := func() {
		s, err := c.openSession(ctx)
		if err == nil {
			s.free = free
		}
		select {
		case opened <- result{s, err}:
		case <-ctx.Done(): // nobody wants it any more
			if err == nil {
				s.Close()
			}
			free()
		}
	}
	if !c.start(work) {
		free()
		return nil, c.errClosed()
	}
	select {
	case r := <-opened:
		if r.err != nil {
			free()
		}
		return r.session, r.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// take waits for a slot. Idle HTTP connections give theirs up.
func (c *Conn) take(ctx context.Context) error {
	select {
	case c.slots <- struct{}{}:
		return nil
	default:
	}
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		c.trips.CloseIdleConnections()
		select {
		case c.slots <- struct{}{}:
			return nil
		case <-tick.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func (c *Conn) openSession(ctx context.Context) (*session, error) {
	for try := 1; ; try++ {
		client, link, err := c.client(ctx)
		if err != nil {
			return nil, err
		}
		s, err := client.NewSession()
		if err == nil {
			return &session{Session: s, link: link}, nil
		}
		if _, ok := errors.AsType[*ssh.OpenChannelError](err); !ok {
			return nil, api.Errorf(api.Unreachable, "open a channel to "+c.Target().String(), "%s: %w", link.ended(), err).WithHint("try again")
		}
		if try == refusals {
			return nil, api.Errorf(api.Unreachable, "open a channel to "+c.Target().String(), "%w", err).
				WithHint("the host's sshd must allow sessions, %d at once (MaxSessions)", api.MaxChannels)
		}
		select {
		case <-time.After(time.Duration(try) * 100 * time.Millisecond):
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}
