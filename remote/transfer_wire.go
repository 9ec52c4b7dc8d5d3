package remote

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/dokku-push/dokku-push/api"
)

// maxRetries is how often a broken connection is tried again without anything
// having arrived in between.
const maxRetries = 3

var (
	errNotThere  = errors.New("not there")
	errOutOfStep = errors.New("the host has another part of the upload than expected, or another connection writes to it")
	errDiscarded = errors.New("discarded")
)

// wireBody is a request's body, which can be opened again.
type wireBody struct {
	kind  string
	size  int64
	open  func() (io.ReadCloser, error)
	parts string // Content-Range
}

func bytesOf(data []byte) func() (io.ReadCloser, error) {
	return func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(data)), nil }
}

// wireAnswer is a response whose body was read.
type wireAnswer struct {
	status int
	header http.Header
}

// do makes one request. The error is errNotThere for 404, errOutOfStep for an
// upload that stands elsewhere, *api.Error for any other refusal, and the
// connection's own error otherwise.
func (s *shipment) do(ctx context.Context, method, place string, body *wireBody) (*wireAnswer, error) {
	request, err := http.NewRequestWithContext(ctx, method, place, nil)
	if err != nil {
		return nil, api.Errorf(api.ShipFailed, opShip, "make a request: %w", err)
	}
	if body != nil {
		if request.Body, err = body.open(); err != nil {
			return nil, err
		}
		request.ContentLength = body.size
		request.Header.Set("Content-Type", body.kind)
		if body.parts != "" {
			request.Header.Set("Content-Range", body.parts)
			// A refusal then comes before the bytes have travelled.
			request.Header.Set("Expect", "100-continue")
		}
	}
	response, err := s.http.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if err != nil {
		return nil, err
	}
	if response.StatusCode == http.StatusForbidden && method == http.MethodHead {
		return s.do(ctx, http.MethodGet, place, nil) // the answer to a HEAD cannot say why
	}
	if response.StatusCode >= 300 {
		return nil, refusalOf(response, text)
	}
	return &wireAnswer{status: response.StatusCode, header: response.Header}, nil
}

// refusalOf makes an error of an answer in either form: the agent's api.Error
// or the distribution API's list.
func refusalOf(response *http.Response, text []byte) error {
	var own api.Error
	if json.Unmarshal(text, &own) == nil && own.Code != "" {
		return &own
	}
	var list struct {
		Errors []struct {
			Code    string          `json:"code"`
			Message string          `json:"message"`
			Detail  json.RawMessage `json:"detail"`
		} `json:"errors"`
	}
	_ = json.Unmarshal(text, &list) // a body in no form we know leaves the status to speak
	var missing, words []string
	first := ""
	for _, e := range list.Errors {
		if first == "" {
			first = e.Code
		}
		var d struct {
			Digest string `json:"digest"`
		}
		if e.Code == "MANIFEST_BLOB_UNKNOWN" && json.Unmarshal(e.Detail, &d) == nil && d.Digest != "" {
			missing = append(missing, d.Digest)
			continue
		}
		words = append(words, e.Message)
	}
	message := strings.Join(words, "; ")
	if message == "" {
		message = "the host answers " + response.Status
	}
	return shipRefusal(response.StatusCode, first, message, missing)
}

func shipRefusal(status int, code, message string, missing []string) error {
	switch {
	case len(missing) > 0:
		e := api.Errorf(api.BlobsMissing, opShip, "the host lacks %d blobs of the image", len(missing))
		e.Missing = missing
		return e
	case status == http.StatusNotFound:
		return errNotThere
	case status == http.StatusConflict, status == http.StatusRequestedRangeNotSatisfiable:
		return errOutOfStep
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		return api.Errorf(api.Refused, opShip, "%s", message).WithHint("ask for the right to deploy this app")
	case code == "DIGEST_INVALID":
		e := api.Errorf(api.ShipFailed, opShip, "%s", message).
			WithHint("the layer changed while it was sent, or on the way; run the push again")
		e.Cause = errDiscarded
		return e
	case status == http.StatusRequestEntityTooLarge:
		return api.Errorf(api.ShipFailed, opShip, "%s", message).
			WithHint("make the image smaller, or raise the quota on the host")
	case status == http.StatusInsufficientStorage:
		return api.Errorf(api.ShipFailed, opShip, "%s", message).WithHint("free disk space on the host")
	}
	return api.Errorf(api.ShipFailed, opShip, "%s", message)
}

// worthRetry says whether trying once more can help.
func worthRetry(ctx context.Context, err error) bool {
	if ctx.Err() != nil {
		return false
	}
	// A host that cannot be reached just now was reached before: it may come back.
	if e, refused := errors.AsType[*api.Error](err); refused && e.Code != api.Unreachable {
		return false
	}
	_, unreadable := errors.AsType[*unreadableError](err)
	return !unreadable
}

// shipError is the error for the caller.
func shipError(ctx context.Context, err error) error {
	if e, ok := errors.AsType[*api.Error](err); ok {
		if e.Code == api.Unreachable {
			e.Hint = "run the push again: it goes on where it ended"
		}
		return e
	}
	if ctx.Err() != nil {
		return &api.Error{Code: api.Cancelled, Op: opShip, Message: "cancelled", Cause: ctx.Err()}
	}
	if _, unreadable := errors.AsType[*unreadableError](err); unreadable {
		return api.Errorf(api.ShipFailed, opShip, "%w", err)
	}
	if errors.Is(err, errNotThere) || errors.Is(err, errOutOfStep) {
		return api.Errorf(api.ShipFailed, opShip, "the host loses the upload again and again: %w", err).
			WithHint("another push of the same app may be under way; try again")
	}
	return api.Errorf(api.Unreachable, opShip, "the connection broke: %w", err).
		WithHint("run the push again: it goes on where it ended")
}

// retry makes a small request until the connection holds.
func (s *shipment) retry(ctx context.Context, try func() error) error {
	for failures := 1; ; failures++ {
		err := try()
		if err == nil {
			return nil
		}
		if !worthRetry(ctx, err) || errors.Is(err, errNotThere) || failures > maxRetries {
			return shipError(ctx, err)
		}
		if err := backOff(ctx, failures); err != nil {
			return shipError(ctx, err)
		}
	}
}

// backOff waits longer after each failure: 0.2, 0.8, 3.2 seconds.
func backOff(ctx context.Context, failures int) error {
	wait := 50 * time.Millisecond << (2 * min(failures, 4))
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("wait for the next attempt: %w", ctx.Err())
	}
}

// countingTransport adds up the bytes of all request bodies.
type countingTransport struct {
	next http.RoundTripper
	sent *atomic.Int64
}

func countingClient(client *http.Client, sent *atomic.Int64) *http.Client {
	counted := *client
	if counted.Transport == nil {
		counted.Transport = http.DefaultTransport
	}
	counted.Transport = countingTransport{counted.Transport, sent}
	return &counted
}

func (t countingTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil && r.Body != http.NoBody {
		r = r.Clone(r.Context())
		r.Body = countedBody{r.Body, t.sent}
	}
	return t.next.RoundTrip(r)
}

type countedBody struct {
	io.ReadCloser
	sent *atomic.Int64
}

func (b countedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.sent.Add(int64(n))
	return n, err
}
