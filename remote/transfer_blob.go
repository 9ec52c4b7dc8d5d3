package remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/dokku-push/dokku-push/api"
)

// uploading is one blob on its way.
type uploading struct {
	*shipment
	what     blob
	location string // empty: not begun
	offset   int64  // what the host is known to have
}

// upload sends one blob, from where an earlier attempt or process ended.
func (s *shipment) upload(ctx context.Context, b blob) error {
	u := &uploading{shipment: s, what: b, location: s.remembered(b.digest)}
	first := true
	// Attempts that bring the blob forward do not use up the retries.
	for failures, best := 0, int64(0); ; first = false {
		err := u.attempt(ctx, first)
		if err == nil {
			s.forget(b.digest)
			return nil
		}
		if u.offset > best {
			failures, best = 0, u.offset
		}
		if failures++; !worthRetry(ctx, err) || failures > maxRetries {
			if errors.Is(err, errDiscarded) {
				s.forget(b.digest)
			}
			return shipError(ctx, err)
		}
		if err := backOff(ctx, failures); err != nil {
			return shipError(ctx, err)
		}
	}
}

// attempt goes as far as it can: find the upload or begin one, bring the rest,
// finish.
func (u *uploading) attempt(ctx context.Context, first bool) error {
	known := u.location != ""
	if known {
		if err := u.ask(ctx); err != nil {
			return err
		}
	}
	if u.location == "" {
		if err := u.begin(ctx); err != nil {
			return err
		}
	} else if known && first && u.offset > 0 {
		u.progress(u.what, u.offset, "resumed at "+bytesText(u.offset))
	}
	if u.offset < u.what.size {
		if err := u.bring(ctx); err != nil {
			return err
		}
	}
	return u.finish(ctx)
}

// ask learns how much of a known upload has arrived. One that is gone, or that
// holds more than the blob has, is given up.
func (u *uploading) ask(ctx context.Context) error {
	answer, err := u.do(ctx, http.MethodGet, u.location, nil)
	if errors.Is(err, errNotThere) {
		u.giveUp()
		return nil
	}
	if err != nil {
		return err
	}
	offset, ok := offsetOf(answer.header)
	if !ok || offset > u.what.size {
		u.giveUp()
		return nil
	}
	u.offset = offset
	return u.follow(answer)
}

func (u *uploading) giveUp() {
	u.forget(u.what.digest)
	u.location, u.offset = "", 0
}

func (u *uploading) begin(ctx context.Context) error {
	answer, err := u.do(ctx, http.MethodPost, u.place("/blobs/uploads/"), nil)
	if err != nil {
		return err
	}
	u.location = u.place("/blobs/uploads/")
	if err := u.follow(answer); err != nil {
		return err
	}
	u.offset = 0
	u.remember(u.what.digest, u.location)
	return nil
}

// bring sends the rest of the blob as one request.
func (u *uploading) bring(ctx context.Context) error {
	start := u.offset
	answer, err := u.do(ctx, http.MethodPatch, u.location, &wireBody{
		kind:  "application/octet-stream",
		size:  u.what.size - start,
		open:  func() (io.ReadCloser, error) { return u.rest(start) },
		parts: strconv.FormatInt(start, 10) + "-" + strconv.FormatInt(u.what.size-1, 10),
	})
	if errors.Is(err, errNotThere) {
		u.giveUp()
	}
	if err != nil {
		return err
	}
	u.offset = u.what.size
	return u.follow(answer)
}

func (u *uploading) finish(ctx context.Context) error {
	at, err := url.Parse(u.location)
	if err != nil {
		return fmt.Errorf("read the upload's address: %w", err)
	}
	query := at.Query()
	query.Set("digest", u.what.digest)
	at.RawQuery = query.Encode()
	_, err = u.do(ctx, http.MethodPut, at.String(), nil)
	if errors.Is(err, errNotThere) {
		// The answer to a finish may have been lost: then the blob is there.
		u.giveUp()
		if answer, headErr := u.do(ctx, http.MethodHead, u.place("/blobs/"+u.what.digest), nil); headErr == nil && answer.status == http.StatusOK {
			err = nil
		}
	}
	if err == nil {
		u.progress(u.what, u.what.size, "")
	}
	return err
}

// follow takes over the address that the host gave. It must be on the same
// host: bodies go to nobody else.
func (u *uploading) follow(answer *wireAnswer) error {
	text := answer.header.Get("Location")
	if text == "" {
		return nil
	}
	now, err := url.Parse(u.location)
	if err != nil {
		return fmt.Errorf("read the upload's address: %w", err)
	}
	next, err := now.Parse(text)
	if err != nil || next.Host != now.Host || next.Scheme != now.Scheme {
		return api.Errorf(api.ShipFailed, opShip, "the host sends the upload elsewhere")
	}
	u.location = next.String()
	return nil
}

// rest opens the compressed layer at an offset and reports what is read.
func (u *uploading) rest(offset int64) (io.ReadCloser, error) {
	r, err := openLayer(u.what.content)
	if err != nil {
		return nil, err
	}
	if err := skipTo(r, offset); err != nil {
		r.Close()
		return nil, &unreadableError{err}
	}
	return &metered{ReadCloser: r, upload: u, done: offset, told: offset}, nil
}

func openLayer(layer v1.Layer) (io.ReadCloser, error) {
	r, err := layer.Compressed()
	if err != nil {
		return nil, &unreadableError{err}
	}
	return r, nil
}

func skipTo(r io.Reader, offset int64) error {
	if s, ok := r.(io.Seeker); ok {
		_, err := s.Seek(offset, io.SeekStart)
		return err
	}
	_, err := io.CopyN(io.Discard, r, offset)
	return err
}

// unreadableError is a layer that cannot be read here; trying again is no use.
type unreadableError struct{ err error }

func (e *unreadableError) Error() string { return "read the layer: " + e.err.Error() }
func (e *unreadableError) Unwrap() error { return e.err }

// metered tells Progress about every MiB that is read.
type metered struct {
	io.ReadCloser
	upload     *uploading
	done, told int64
}

func (m *metered) Read(p []byte) (int, error) {
	n, err := m.ReadCloser.Read(p)
	m.done += int64(n)
	if m.done-m.told >= 1<<20 {
		m.told = m.done
		m.upload.progress(m.upload.what, m.done, "")
	}
	if err != nil && !errors.Is(err, io.EOF) {
		err = &unreadableError{err}
	}
	return n, err
}

// offsetOf reads how much an upload has: from the agent's own header, else from
// Range, whose last byte is included and which says 0-0 for nothing.
func offsetOf(h http.Header) (int64, bool) {
	if text := h.Get("Upload-Offset"); text != "" {
		n, err := strconv.ParseInt(text, 10, 64)
		return n, err == nil && n >= 0
	}
	_, last, ok := strings.Cut(strings.TrimPrefix(h.Get("Range"), "bytes="), "-")
	n, err := strconv.ParseInt(last, 10, 64)
	if !ok || err != nil || n < 0 {
		return 0, false
	}
	if n == 0 {
		return 0, true
	}
	return n + 1, true
}

// bytesText is a size for people.
func bytesText(n int64) string {
	if n < 1<<20 {
		return fmt.Sprintf("%d KiB", n>>10)
	}
	return fmt.Sprintf("%d MiB", n>>20)
}
