package remote

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"time"
	"unicode"

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

// dialAgent is the Transport's DialContext: one exec request, one connection.
func (c *Conn) dialAgent(ctx context.Context, _, _ string) (net.Conn, error) {
	s, err := c.open(ctx)
	if err != nil {
		return nil, err
	}
	ch := &channel{session: s, host: c.Target(), stderr: &tail{}, ended: make(chan struct{})}
	s.Stderr = ch.stderr
	if ch.in, err = s.StdinPipe(); err == nil {
		ch.out, err = s.StdoutPipe()
	}
	stop := context.AfterFunc(ctx, func() { s.Close() }) // while the host decides
	if err == nil {
		err = s.Start(api.AgentCommand)
	}
	if !stop() && err == nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		s.Close()
		s.free()
		return nil, api.Errorf(api.Unreachable, "start "+api.AgentCommand+" on "+c.Target().String(), "%w", err).
			WithHint("does this key's forced command start the agent?")
	}
	if !c.start(ch.wait) {
		s.Close()
		return nil, c.errClosed()
	}
	return ch, nil
}

func (c *Conn) errClosed() error {
	return api.Errorf(api.Unreachable, "", "the connection to %s was closed", c.Target())
}

// channel is a net.Conn over one exec request's stdin and stdout. A deadline that
// passes ends it for good, which is all that net/http needs of one.
type channel struct {
	session *session
	host    Target
	in      io.WriteCloser
	out     io.Reader
	stderr  *tail
	spoke   bool // the agent's first bytes came; used by the one reader alone

	ended chan struct{} // closed when the host's side is over; then exit is set
	exit  error

	mu     sync.Mutex // guards timers and late
	timers [2]*time.Timer
	late   bool
}

// wait collects the host's side and frees the slot.
func (ch *channel) wait() {
	ch.exit = ch.session.Wait()
	ch.session.free()
	close(ch.ended)
}

// Read reads what the agent says. A host that says something else, or nothing,
// gives an error with what it printed instead.
func (ch *channel) Read(p []byte) (int, error) {
	n, err := ch.out.Read(p)
	if err != nil && ch.isLate() {
		return n, os.ErrDeadlineExceeded
	}
	if ch.spoke {
		return n, err
	}
	if n > 0 {
		const proof = "HTTP/"
		if !bytes.HasPrefix(p[:n], []byte(proof)[:min(n, len(proof))]) {
			return 0, ch.notHTTP(p[:n])
		}
		ch.spoke = true
		return n, err
	}
	if err != nil {
		return 0, ch.silence(err)
	}
	return 0, nil
}

func (ch *channel) notHTTP(said []byte) error {
	line, _, _ := strings.Cut(string(said[:min(len(said), 200)]), "\n")
	return api.Errorf(api.WrongProtocol, "talk to the agent on "+ch.host.String(), "the host printed %q where the agent's answer should be", printable(line)).
		WithHint("is dokku-agent installed there? A login shell's start files must print nothing")
}

// silence is the error for a channel that ended before the agent said anything.
func (ch *channel) silence(err error) error {
	select {
	case <-ch.ended:
	case <-time.After(2 * time.Second): // stdout ended, but the program stays
	}
	op := "talk to the agent on " + ch.host.String()
	select {
	case <-ch.session.link.dead:
		return api.Errorf(api.Unreachable, op, "%s", ch.session.link.ended()).WithHint("try again")
	default:
	}
	said := ch.stderr.String()
	if said == "" {
		return api.Errorf(api.Unreachable, op, "it ended without an answer: %w", errors.Join(err, ch.outcome())).
			WithHint("try again; `dokku-agent doctor` on the host may say more")
	}
	low := strings.ToLower(said)
	switch {
	case strings.Contains(low, "not found"), strings.Contains(low, "not a dokku command"), strings.Contains(low, "no such file"):
		return api.Errorf(api.Precondition, op, "%s", said).WithHint("install dokku-agent on the host: `dokku-agent install`")
	case strings.Contains(low, "denied"), strings.Contains(low, "not allowed"):
		return api.Errorf(api.Refused, op, "%s", said).WithHint("this key may not do that on the host; ask whoever runs it")
	}
	return api.Errorf(api.Unreachable, op, "%s", said).WithHint("`dokku-agent doctor` on the host may say more")
}

func (ch *channel) outcome() error {
	select {
	case <-ch.ended:
		return ch.exit
	default:
		return nil
	}
}

func (ch *channel) Write(p []byte) (int, error) {
	n, err := ch.in.Write(p)
	if err != nil && ch.isLate() {
		err = os.ErrDeadlineExceeded
	}
	return n, err
}

// Close ends the channel; the slot is free again when the host has closed too.
func (ch *channel) Close() error {
	ch.setTimer(0, time.Time{})
	ch.setTimer(1, time.Time{})
	err := ch.session.Close()
	if errors.Is(err, io.EOF) { // the host was first
		return nil
	}
	return err
}

// LocalAddr and RemoteAddr name the ssh target: a channel has no address.
func (ch *channel) LocalAddr() net.Addr  { return channelAddr("dokku-push") }
func (ch *channel) RemoteAddr() net.Addr { return channelAddr(ch.host.String()) }

// SetDeadline sets both.
func (ch *channel) SetDeadline(t time.Time) error {
	return errors.Join(ch.SetReadDeadline(t), ch.SetWriteDeadline(t))
}

// SetReadDeadline ends the whole channel at t; the zero time never does.
func (ch *channel) SetReadDeadline(t time.Time) error { ch.setTimer(0, t); return nil }

// SetWriteDeadline ends the whole channel at t; the zero time never does.
func (ch *channel) SetWriteDeadline(t time.Time) error { ch.setTimer(1, t); return nil }

func (ch *channel) setTimer(which int, t time.Time) {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	if ch.timers[which] != nil {
		ch.timers[which].Stop()
		ch.timers[which] = nil
	}
	if !t.IsZero() {
		ch.timers[which] = time.AfterFunc(time.Until(t), func() {
			ch.mu.Lock()
			ch.late = true
			ch.mu.Unlock()
			ch.session.Close()
		})
	}
}

func (ch *channel) isLate() bool {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	return ch.late
}

type channelAddr string

func (channelAddr) Network() string  { return "ssh" }
func (a channelAddr) String() string { return string(a) }

// tailSize is how many bytes of a channel's stderr are kept.
const tailSize = 4 << 10

// tail keeps the last tailSize bytes written to it.
type tail struct {
	mu   sync.Mutex
	kept []byte
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.kept = append(t.kept, p...)
	if over := len(t.kept) - tailSize; over > 0 {
		t.kept = append(t.kept[:0], t.kept[over:]...)
	}
	return len(p), nil
}

// String is what was kept as one line that is safe to show.
func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.TrimSpace(printable(strings.Join(strings.FieldsFunc(string(t.kept), func(c rune) bool { return c == '\n' || c == '\r' }), "; ")))
}

// printable takes out what could steer a terminal.
func printable(text string) string {
	return strings.Map(func(c rune) rune {
		if !unicode.IsPrint(c) {
			return ' '
		}
		return c
	}, strings.ToValidUTF8(text, "?"))
}
