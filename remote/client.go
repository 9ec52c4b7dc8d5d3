package remote

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/dokku-push/dokku-push/api"
)

// Client speaks the agent's API. HTTP and Base are needed; a Conn's API method
// makes one, and so does any HTTP client whose Base leads to an agent.
type Client struct {
	HTTP *http.Client
	Base string // without a slash at the end
	// Backoff is how long to wait before each new try after a stream was cut; the
	// count starts again whenever an event arrives. Nil: 6 tries in about 16 s.
	Backoff []time.Duration
}

func (c *Client) backoff() []time.Duration {
	if c.Backoff != nil {
		return c.Backoff
	}
	return []time.Duration{200 * time.Millisecond, 500 * time.Millisecond, time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second}
}

// maxAnswer bounds an answer that is not a stream, in bytes.
const maxAnswer = 8 << 20

// Hello asks what the host is. An agent of another protocol is an error of code
// api.WrongProtocol, beside what could be read of its answer.
func (c *Client) Hello(ctx context.Context) (api.Hello, error) {
	const op = "greet the agent"
	var hello api.Hello
	err := c.call(ctx, http.MethodGet, "/v1/hello", op, &hello)
	if err != nil {
		return hello, err
	}
	return hello, checkProtocol(op, hello.Protocol, hello.Version)
}

func checkProtocol(op string, protocol int, version string) error {
	if protocol == api.Protocol {
		return nil
	}
	older := "dokku-push here"
	if protocol < api.Protocol {
		older = "dokku-agent on the host"
	}
	if version != "" {
		version = " (" + printable(version) + ")"
	}
	return api.Errorf(api.WrongProtocol, op, "the agent%s speaks protocol %d, this program speaks %d", version, protocol, api.Protocol).
		WithHint("update %s", older)
}

// App returns what the host says of an app.
func (c *Client) App(ctx context.Context, app string) (api.AppState, error) {
	var state api.AppState
	err := c.call(ctx, http.MethodGet, appPath(app), "ask for the state of "+app, &state)
	return state, err
}

// Plan asks what a release would change. It changes nothing.
func (c *Client) Plan(ctx context.Context, app string, request api.PlanRequest) (api.Plan, error) {
	op := "plan the release of " + app
	var plan api.Plan
	body, err := json.Marshal(request)
	if err != nil {
		return plan, api.Errorf(api.Unclassified, op, "encode the request: %w", err)
	}
	response, err := c.do(ctx, http.MethodPost, appPath(app)+"/plan", op, nil, body)
	if err != nil {
		return plan, err
	}
	defer response.Body.Close()
	return plan, decodeAnswer(ctx, op, response.Body, &plan)
}

// Cancel asks the host to stop a request at the next safe point, and returns its
// verdict once everything is undone.
func (c *Client) Cancel(ctx context.Context, app, id string) (api.Verdict, error) {
	var verdict api.Verdict
	err := c.call(ctx, http.MethodDelete, releasePath(app, id), "cancel "+id, &verdict)
	return verdict, err
}

func appPath(app string) string { return "/v1/apps/" + url.PathEscape(app) }

func releasePath(app, id string) string { return appPath(app) + "/releases/" + url.PathEscape(id) }

// requestID is what api.RequestHeader may hold.
var requestID = regexp.MustCompile(`^[a-z0-9-]{8,64}$`)

// call makes a request without a body and decodes the JSON answer into answer.
func (c *Client) call(ctx context.Context, method, path, op string, answer any) error {
	response, err := c.do(ctx, method, path, op, nil, nil)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	return decodeAnswer(ctx, op, response.Body, answer)
}

func decodeAnswer(ctx context.Context, op string, body io.Reader, answer any) error {
	if err := json.NewDecoder(io.LimitReader(body, maxAnswer)).Decode(answer); err != nil {
		if _, broken := errors.AsType[*json.SyntaxError](err); broken || isType(err) {
			return api.Errorf(api.WrongProtocol, op, "the agent's answer cannot be read: %w", err).WithHint("are dokku-push and dokku-agent of the same version?")
		}
		return lost(ctx, op, err)
	}
	return nil
}

func isType(err error) bool {
	_, ok := errors.AsType[*json.UnmarshalTypeError](err)
	return ok
}

// do makes one request. An answer from status 400 up becomes its error.
func (c *Client) do(ctx context.Context, method, path, op string, header http.Header, body []byte) (*http.Response, error) {
	var reader io.Reader
	if body != nil {
		reader = bytes.NewReader(body)
	}
	request, err := http.NewRequestWithContext(ctx, method, c.Base+path, reader)
	if err != nil {
		return nil, api.Errorf(api.Usage, op, "%w", err)
	}
	maps.Copy(request.Header, header)
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	response, err := c.HTTP.Do(request)
	if err != nil {
		return nil, lost(ctx, op, err)
	}
	if response.StatusCode >= 400 {
		defer response.Body.Close()
		return nil, refusal(op, response)
	}
	return response, nil
}

// lost is the error for a request without an answer. One that already is for
// people stays as it is, and so does the caller's own cancellation.
func lost(ctx context.Context, op string, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("%s: %w", op, context.Cause(ctx))
	}
	if e, ok := errors.AsType[*api.Error](err); ok {
		return e
	}
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		err = wrapped.Err // the URL is of no use to people: it names no place
	}
	return api.Errorf(api.Unreachable, op, "the connection was lost: %w", err).WithHint("try again")
}

// refusal reads the error in an answer.
func refusal(op string, response *http.Response) error {
	body, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	var e api.Error
	if json.Unmarshal(body, &e) == nil && e.Code != "" && e.Message != "" {
		if e.Op == "" {
			e.Op = op
		}
		return &e
	}
	text, _, _ := strings.Cut(strings.TrimSpace(string(body)), "\n")
	if err != nil || text == "" {
		text = "without a word"
	}
	code := api.Unclassified
	if response.StatusCode == http.StatusNotFound || response.StatusCode == http.StatusMethodNotAllowed {
		code = api.WrongProtocol // the agent words its own refusals
	}
	return api.Errorf(code, op, "the host answered %s: %s", response.Status, printable(text[:min(len(text), 200)])).
		WithHint("are dokku-push and dokku-agent of the same version?")
}

// isStream reports whether an answer is an event stream.
func isStream(response *http.Response) bool {
	kind, _, err := mime.ParseMediaType(response.Header.Get("Content-Type"))
	return err == nil && kind == api.EventStream
}
