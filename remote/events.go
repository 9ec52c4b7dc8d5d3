package remote

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/dokku-push/dokku-push/api"
)

// Release asks for a release and follows it to its verdict. Every event goes to
// each, in order and once, the verdict included; each may be nil. The error says
// that there is no verdict: it is nil for a release that failed, whose verdict
// says so.
func (c *Client) Release(ctx context.Context, app, requestID string, request api.ReleaseRequest, each func(api.Event)) (api.Verdict, error) {
	return c.change(ctx, app, requestID, request.State, appPath(app)+"/releases", "release "+app, request, each)
}

// Rollback asks for an earlier release and follows it as Release does.
func (c *Client) Rollback(ctx context.Context, app, requestID string, request api.RollbackRequest, each func(api.Event)) (api.Verdict, error) {
	return c.change(ctx, app, requestID, "", appPath(app)+"/rollback", "roll back "+app, request, each)
}

// Promote asks for another app's image and follows it as Release does.
func (c *Client) Promote(ctx context.Context, app, requestID string, request api.PromoteRequest, each func(api.Event)) (api.Verdict, error) {
	return c.change(ctx, app, requestID, "", appPath(app)+"/promote", "promote "+request.From+" to "+app, request, each)
}

// Follow reads the events of a request (or of a release, vN) from an offset: the
// number of events that the caller has already seen.
func (c *Client) Follow(ctx context.Context, app, id string, offset int, each func(api.Event)) (api.Verdict, error) {
	f := &follower{client: c, app: app, id: id, op: "follow " + id, seen: max(offset, 0), each: each}
	return f.run(ctx)
}

func (c *Client) change(ctx context.Context, app, id, state, path, op string, document any, each func(api.Event)) (api.Verdict, error) {
	if !requestID.MatchString(id) {
		return api.Verdict{}, api.Errorf(api.Usage, op, "the request id %q is not 8 to 64 of a-z, 0-9 and -", id)
	}
	body, err := json.Marshal(document)
	if err != nil {
		return api.Verdict{}, api.Errorf(api.Unclassified, op, "encode the request: %w", err)
	}
	if len(body) > api.MaxDocument {
		return api.Verdict{}, api.Errorf(api.Usage, op, "the request has %d bytes; the host takes %d", len(body), api.MaxDocument).
			WithHint("Procfile, app.json and config travel in it: one of them is very large")
	}
	f := &follower{client: c, app: app, id: id, op: op, each: each, path: path, body: body, state: state}
	return f.run(ctx)
}

// follower reads one request's events over as many connections as it takes.
type follower struct {
	client  *Client
	app, id string
	op      string
	each    func(api.Event)

	// path and body are the request that started it all; empty for Follow. It is
	// sent again until the first event came: the id makes that the same deploy.
	path string
	body []byte
	// state is that of api.IfMatch.
	state string

	seen int // events so far, of known and unknown types
}

// errCut is a stream that ended before its verdict.
var errCut = errors.New("the stream ended before its verdict")

func (f *follower) run(ctx context.Context) (api.Verdict, error) {
	waits := f.client.backoff()
	for try := 0; ; try++ {
		before := f.seen
		verdict, err := f.once(ctx)
		if err == nil {
			return *verdict, nil
		}
		if ctx.Err() != nil {
			return api.Verdict{}, fmt.Errorf("%s: %w", f.op, context.Cause(ctx))
		}
		if e := api.AsError(err); !errors.Is(err, errCut) && e.Code != api.Unreachable {
			return api.Verdict{}, err
		}
		if f.seen > before {
			try = 0
		}
		if try >= len(waits) {
			return api.Verdict{}, f.lost(err)
		}
		select {
		case <-time.After(waits[try]):
		case <-ctx.Done():
		}
	}
}

// lost is the error for a request whose outcome is not known here.
func (f *follower) lost(err error) error {
	return api.Errorf(api.Unreachable, f.op, "the connection was lost and the outcome is not known: %w", err).
		WithHint("the host goes on by itself: `dokku-push status` tells what became of request %s", f.id)
}

// once reads one connection's part of the stream.
func (f *follower) once(ctx context.Context) (*api.Verdict, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var response *http.Response
	var err error
	if f.path != "" && f.seen == 0 {
		response, err = f.client.do(ctx, http.MethodPost, f.path, f.op, f.header(), f.body)
	} else {
		path := fmt.Sprintf("%s?offset=%d", releasePath(f.app, f.id), f.seen)
		response, err = f.client.do(ctx, http.MethodGet, path, f.op, nil, nil)
	}
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if !isStream(response) {
		return nil, api.Errorf(api.WrongProtocol, f.op, "the host answered %s with %q instead of an event stream", response.Status, response.Header.Get("Content-Type"))
	}
	return f.read(response.Body)
}

// maxEvent bounds one line of a stream, in bytes.
const maxEvent = 4 << 20

func (f *follower) header() http.Header {
	header := http.Header{}
	header.Set(api.RequestHeader, f.id)
	if f.state != "" {
		header.Set(api.IfMatch, `"`+f.state+`"`)
	}
	return header
}

func (f *follower) read(body io.Reader) (*api.Verdict, error) {
	lines := bufio.NewScanner(body)
	lines.Buffer(make([]byte, 64<<10), maxEvent)
	lines.Split(wholeLines)
	for first := true; lines.Scan(); first = false {
		if len(bytes.TrimSpace(lines.Bytes())) == 0 {
			continue
		}
		event, err := parseEvent(lines.Bytes())
		if err != nil {
			return nil, api.Errorf(api.WrongProtocol, f.op, "an event cannot be read: %w", err)
		}
		if event.Type == api.EventVersion && event.Version != nil {
			if err := checkProtocol(f.op, event.Version.Protocol, ""); err != nil {
				return nil, err
			}
			if first && f.seen > 0 { // a stream may open anew with its version
				continue
			}
			if id := event.Version.Request; requestID.MatchString(id) {
				f.id = id // of the running deploy that this one joined, maybe: it is asked for by that name from now on
			}
		}
		f.seen++
		if !known(event) {
			continue
		}
		if f.each != nil {
			f.each(event)
		}
		if event.Type == api.EventVerdict {
			return event.Verdict, nil
		}
	}
	if errors.Is(lines.Err(), bufio.ErrTooLong) {
		return nil, api.Errorf(api.WrongProtocol, f.op, "an event is longer than %d bytes", maxEvent)
	}
	return nil, errors.Join(errCut, lines.Err())
}

// parseEvent decodes a line. Of a type that is not known only the type is read:
// its fields may be anything.
func parseEvent(line []byte) (api.Event, error) {
	var event api.Event
	err := json.Unmarshal(line, &event)
	if err == nil {
		return event, nil
	}
	var bare struct {
		Type api.EventType `json:"type"`
	}
	if json.Unmarshal(line, &bare) != nil || bare.Type == "" || knownType(bare.Type) {
		return api.Event{}, err
	}
	return api.Event{Type: bare.Type}, nil
}

func knownType(t api.EventType) bool {
	switch t {
	case api.EventVersion, api.EventStep, api.EventOutput, api.EventWarning, api.EventProgress, api.EventVerdict:
		return true
	}
	return false
}

// wholeLines gives lines that ended; what stands behind the last line break was
// cut off, and comes again.
func wholeLines(data []byte, _ bool) (int, []byte, error) {
	if i := bytes.IndexByte(data, '\n'); i >= 0 {
		return i + 1, data[:i], nil
	}
	return 0, nil, nil
}

// known reports whether an event is of a type that this program knows, with the
// field set that the type speaks of.
func known(event api.Event) bool {
	switch event.Type {
	case api.EventVersion:
		return event.Version != nil
	case api.EventStep:
		return event.Step != nil
	case api.EventOutput:
		return event.Output != nil
	case api.EventWarning:
		return event.Warning != ""
	case api.EventProgress:
		return event.Progress != nil
	case api.EventVerdict:
		return event.Verdict != nil
	}
	return false
}
