// Package checks tells whether a container is ready: by HTTP, by a command in it,
// by its port or by its uptime (PLUGIN-CONTRACT 6.4). It reports as soon as it is
// true, not at the next fixed second.
package checks

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/manifest"
)

// How often a port is tried that nothing listens on yet, and how much of a body
// is read and shown.
const (
	eagerWait = 20 * time.Millisecond
	bodyRead  = 1 << 20
	bodyShown = 200
)

// usualPort is asked where neither the check nor the process says another, as in Dokku.
const usualPort = 5000

// Checker checks containers of one engine.
type Checker struct {
	Containers interface {
		Inspect(ctx context.Context, ref string) (agent.Container, error)
		Exec(ctx context.Context, ref string, command []string, out io.Writer) (int, error)
	}
	// Near lets a healthcheck's onFailure post to this machine itself; Dokku does, and
	// whoever may deploy may then knock at what listens on its loopback.
	Near bool
}

// Check carries out all checks of a probe at the same time; the first that fails
// ends it. A check that only warns is told and passed over.
func (c *Checker) Check(ctx context.Context, probe agent.Probe, say func(line string)) error {
	list := probe.Checks
	if len(list) == 0 {
		list = defaults(probe)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	results := make(chan error, len(list))
	for _, check := range list {
		check = asking(check, probe)
		go func() { results <- c.one(ctx, probe, check, say) }()
	}
	var failure error
	for range list {
		if err := <-results; err != nil && failure == nil {
			failure = err
			cancel()
		}
	}
	return failure
}

// defaults are the checks of a process that declares none: what serves must listen,
// what does not must have run for a while.
func defaults(probe agent.Probe) []manifest.Healthcheck {
	if probe.Port != 0 {
		return []manifest.Healthcheck{{Name: "port listening", Listening: true, Attempts: 30, Timeout: time.Second, Wait: time.Second}}
	}
	if probe.Wait <= 0 {
		return nil
	}
	return []manifest.Healthcheck{{Name: "uptime", Uptime: probe.Wait, Attempts: 1}}
}

// asking is a check that says what to look at: one that does not, but for its name or its
// times, looks at what counts where there is no check.
func asking(check manifest.Healthcheck, probe agent.Probe) manifest.Healthcheck {
	if check.Path != "" || len(check.Command) > 0 || check.Listening || check.Uptime > 0 {
		return check
	}
	for _, usual := range defaults(probe) {
		check.Listening, check.Uptime = usual.Listening, usual.Uptime
	}
	return check
}

// one carries out a single check, and tells whom its onFailure names of its failure:
// also of that of a container which ended before the check could say anything.
func (c *Checker) one(ctx context.Context, probe agent.Probe, check manifest.Healthcheck, say func(string)) error {
	name := check.Name
	if name == "" {
		name = describe(check)
	}
	err := c.attempts(ctx, probe, check, name, say)
	if cause := context.Cause(ctx); cause != nil && !errors.Is(cause, agent.ErrEnded) || err == nil {
		return err // what nobody waits for any more has not failed
	} else if cause != nil {
		err = cause
	}
	c.tell(ctx, probe, check, name, err, say)
	if check.Warn && ctx.Err() == nil {
		say(fmt.Sprintf("%s: failed, but it only warns", name))
		return nil
	}
	return err
}

// attempts tries as often as the check says.
func (c *Checker) attempts(ctx context.Context, probe agent.Probe, check manifest.Healthcheck, name string, say func(string)) error {
	if err := sleep(ctx, check.InitialDelay); err != nil {
		return err
	}
	attempts := max(check.Attempts, 1)
	var last error
	for n := 1; n <= attempts; n++ {
		if last = c.attempt(ctx, probe, check); last == nil {
			say(fmt.Sprintf("%s: ready (attempt %d of %d)", name, n, attempts))
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		say(fmt.Sprintf("%s: attempt %d of %d: %v", name, n, attempts, last))
		if n < attempts {
			if err := sleep(ctx, check.Wait); err != nil {
				return err
			}
		}
	}
	return fmt.Errorf("%s: %d of %d attempts failed; the last: %w", name, attempts, attempts, last)
}

func describe(check manifest.Healthcheck) string {
	switch {
	case check.Path != "":
		return "GET " + check.Path
	case len(check.Command) > 0:
		return "command " + strings.Join(check.Command, " ")
	case check.Listening:
		return "port listening"
	}
	return "uptime"
}

// attempt tries once, for at most the check's timeout. A port that refuses
// connections is tried again within it: the app is still starting.
func (c *Checker) attempt(ctx context.Context, probe agent.Probe, check manifest.Healthcheck) error {
	if check.Uptime > 0 {
		if err := c.uptime(ctx, probe, check.Uptime); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, timeout(check))
	defer cancel()
	port := check.Port
	if port == 0 {
		port = cmp.Or(probe.Port, usualPort)
	}
	address := net.JoinHostPort(probe.Address, strconv.Itoa(port))
	switch {
	case check.Path != "":
		return eagerly(ctx, func() error { return get(ctx, probe, check, address) })
	case len(check.Command) > 0:
		return c.command(ctx, probe, check.Command)
	case check.Listening:
		return eagerly(ctx, func() error { return dial(ctx, address) })
	}
	return nil
}

// timeout is how long one attempt may take.
func timeout(check manifest.Healthcheck) time.Duration {
	if check.Timeout > 0 {
		return check.Timeout
	}
	return 5 * time.Second
}

// errRefused marks what a starting app does: nobody listens yet.
type errRefused struct{ error }

func (e errRefused) Unwrap() error { return e.error }

// errLate marks a connection that was not there when the time was over.
type errLate struct{ error }

func (e errLate) Unwrap() error { return e.error }

// eagerly repeats what is refused until ctx ends. That it was refused so far says more than
// that the time was over.
func eagerly(ctx context.Context, try func() error) error {
	var refusal error
	for {
		err := try()
		if _, late := errors.AsType[errLate](err); late && refusal != nil {
			return refusal
		}
		if _, refused := errors.AsType[errRefused](err); !refused {
			return err
		}
		if refusal = err; sleep(ctx, eagerWait) != nil {
			return err
		}
	}
}

func dial(ctx context.Context, address string) error {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
	if err != nil {
		return errRefused{fmt.Errorf("nothing accepts connections on %s: %w", address, err)}
	}
	return conn.Close()
}

// get asks for the path as nginx would, and looks for the content in the body.
func get(ctx context.Context, probe agent.Probe, check manifest.Healthcheck, address string) error {
	scheme := check.Scheme
	if scheme == "" {
		scheme = "http"
	}
	var connected atomic.Bool
	traced := httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { connected.Store(true) }})
	request, err := http.NewRequestWithContext(traced, http.MethodGet, scheme+"://"+address+check.Path, nil)
	if err != nil {
		return err
	}
	if probe.Host != "" {
		request.Host = probe.Host
	}
	if probe.TLS {
		request.Header.Set("X-Forwarded-Proto", "https")
	}
	for _, header := range check.Headers {
		if strings.EqualFold(header.Name, "Host") {
			request.Host = header.Value
			continue
		}
		request.Header.Set(header.Name, header.Value)
	}
	// A container's certificate is made for its domain, if it has one at all.
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true}
	client := &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	answer, err := client.Do(request)
	if err != nil {
		if _, isDial := errors.AsType[*net.OpError](err); isDial && ctx.Err() == nil {
			return errRefused{err}
		}
		if ctx.Err() != nil && !connected.Load() {
			return errLate{err}
		}
		return err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(io.LimitReader(answer.Body, bodyRead))
	if err != nil {
		return fmt.Errorf("read the answer: %w", err)
	}
	if answer.StatusCode < 200 || answer.StatusCode > 399 {
		return fmt.Errorf("status %s; the body begins: %s", answer.Status, excerpt(body))
	}
	if check.Content != "" && !bytes.Contains(body, []byte(check.Content)) {
		return fmt.Errorf("status %s, but the body has no %q; it begins: %s", answer.Status, check.Content, excerpt(body))
	}
	return nil
}

func excerpt(body []byte) string {
	text := strings.TrimSpace(string(body))
	if len(text) > bodyShown {
		text = text[:bodyShown] + "…"
	}
	return strconv.Quote(text)
}

func (c *Checker) command(ctx context.Context, probe agent.Probe, command []string) error {
	var out beginning
	exit, err := c.Containers.Exec(ctx, probe.Container, command, &out)
	if err != nil {
		return err
	}
	if exit != 0 {
		return fmt.Errorf("exit code %d; it printed: %s", exit, excerpt(out))
	}
	return nil
}

// beginning keeps as much of an output as can be shown: a command may print without end.
type beginning []byte

func (b *beginning) Write(text []byte) (int, error) {
	*b = append(*b, text[:min(len(text), 4*bodyShown-len(*b))]...)
	return len(text), nil
}

// uptime waits until the container has run that long without a restart.
func (c *Checker) uptime(ctx context.Context, probe agent.Probe, long time.Duration) error {
	now, err := c.Containers.Inspect(ctx, probe.Container)
	if err != nil {
		return err
	}
	if err := sleep(ctx, time.Until(now.Started.Add(long))); err != nil {
		return err
	}
	after, err := c.Containers.Inspect(ctx, probe.Container)
	if err != nil {
		return err
	}
	if !after.Running || after.Restarts > now.Restarts {
		return fmt.Errorf("it did not stay up for %s", long)
	}
	return nil
}

func sleep(ctx context.Context, long time.Duration) error {
	if long <= 0 {
		return ctx.Err()
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(long):
		return nil
	}
}
