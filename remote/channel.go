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

	"github.com/dokku-push/dokku-push/api"
)

// dialAgent is the Transport's DialContext: one exec request, one connection.
func (c *Conn) dialAgent(ctx context.Context, _, _ string) (net.Conn, error) {
	s, err := c.open(ctx)
	if err != nil {
		return nil, err
	}
	ch := &channel{session: s, host: c.Target(), stderr: &tail{}, heard: make(chan struct{}), ended: make(chan struct{})}
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

// channel is a net.Conn over one exec request's stdin and stdout. A deadline that
// passes ends it for good, which is all that net/http needs of one.
type channel struct {
	session *session
	host    Target
	in      io.WriteCloser
	out     io.Reader
	stderr  *tail
	heard   chan struct{} // closed when the first Read ended; then fault is set
	fault   error         // why the agent's first words are not HTTP, or did not come

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
// gives an error with what it printed instead. One goroutine reads at a time.
func (ch *channel) Read(p []byte) (int, error) {
	select {
	case <-ch.heard:
		if ch.fault != nil {
			return 0, ch.fault
		}
		n, err := ch.out.Read(p)
		return n, ch.orLate(err)
	default:
	}
	if len(p) == 0 {
		return 0, nil
	}
	n, err := ch.out.Read(p)
	const proof = "HTTP/"
	switch {
	case n == 0 && err == nil:
		return 0, nil
	case n == 0:
		if ch.fault = ch.orLate(err); ch.fault == err {
			ch.fault = ch.silence(err)
		}
	case !bytes.HasPrefix(p[:n], []byte(proof)[:min(n, len(proof))]):
		ch.fault = ch.notHTTP(p[:n])
	}
	close(ch.heard)
	if ch.fault != nil {
		return 0, ch.fault
	}
	return n, err
}

// orLate is err, or the deadline that caused it.
func (ch *channel) orLate(err error) error {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	if err != nil && ch.late {
		return os.ErrDeadlineExceeded
	}
	return err
}

func (ch *channel) notHTTP(said []byte) error {
	line, _, _ := strings.Cut(string(said[:min(len(said), 200)]), "\n")
	return api.Errorf(api.WrongProtocol, "talk to the agent on "+ch.host.String(), "the host printed %q where the agent's answer should be", printable(line)).
		WithHint("is dokku-agent installed there? A login shell's start files must print nothing")
}

// patience is how long a program may stay after its stdout ended before its exit
// code is no longer waited for.
const patience = 2 * time.Second

// silence is the error for a channel that ended before the agent said anything.
func (ch *channel) silence(err error) error {
	select {
	case <-ch.ended:
	case <-time.After(patience):
	}
	op := "talk to the agent on " + ch.host.String()
	select {
	case <-ch.session.link.dead:
		return api.Errorf(api.Unreachable, op, "%s", ch.session.link.ended()).WithHint("try again")
	default:
	}
	said := ch.stderr.String()
	if said == "" {
		return api.Errorf(api.Unreachable, op, "it ended without an answer: %w", ch.outcome(err)).
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

// outcome is how the host's side ended, or err where that is not known or was well.
func (ch *channel) outcome(err error) error {
	select {
	case <-ch.ended:
		if ch.exit != nil {
			return ch.exit
		}
	default:
	}
	return err
}

// Write writes to the agent. When that fails because the host's side is over, the
// reader knows why.
func (ch *channel) Write(p []byte) (int, error) {
	n, err := ch.in.Write(p)
	if err == nil {
		return n, nil
	}
	select {
	case <-ch.heard:
		if ch.fault != nil {
			return n, ch.fault
		}
	case <-time.After(2 * patience): // nobody reads
	}
	return n, ch.orLate(err)
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
