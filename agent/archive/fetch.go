package archive

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/internal/outward"
)

// How long an archive may take to come, until its answer begins, and how often its address
// may lead on.
const (
	mostFetch   = 15 * time.Minute
	mostAnswer  = time.Minute
	mostLedOn   = 5
	mostAddress = 4096
)

// Address reads the address of an archive: http or https, of a host, without a password,
// which would be in logs and reports.
func Address(text string) (*url.URL, error) {
	refuse := func(why string) (*url.URL, error) {
		return nil, api.Errorf(api.Usage, "", "%.80q is no archive's address: %s", withoutQuery(text), why).WithHint("https://HOST/PATH, or http://")
	}
	if len(text) > mostAddress || strings.ContainsFunc(text, func(c rune) bool { return c <= ' ' || c == 0x7f || c == '\\' }) {
		return refuse("it is too long or has blanks in it")
	}
	address, err := url.Parse(text)
	switch {
	case err != nil:
		return refuse("it cannot be read")
	case address.Scheme != "https" && address.Scheme != "http":
		return refuse("only https and http are fetched")
	case address.Hostname() == "":
		return refuse("it names no host")
	case address.User != nil:
		return refuse("it has a name or a password in it")
	}
	return address, nil
}

// withoutQuery leaves out what often is a secret.
func withoutQuery(text string) string {
	text, _, _ = strings.Cut(text, "?")
	if scheme, rest, ok := strings.Cut(text, "://"); ok {
		if at := strings.LastIndex(rest, "@"); at >= 0 {
			rest = "…@" + rest[at+1:]
		}
		return scheme + "://" + rest
	}
	return text
}

// Shown is an address as it may be shown and kept: without its query, where signed
// addresses have their secret.
func Shown(address *url.URL) string { return withoutQuery(address.String()) }

// Fetch begins to read what is behind an address. near lets it be on this host itself, or
// on its link, where clouds serve a machine's own credentials.
func Fetch(ctx context.Context, address *url.URL, near bool) (io.ReadCloser, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, mostFetch, fmt.Errorf("it has not come within %s", mostFetch))
	dialer := &net.Dialer{Timeout: 30 * time.Second}
	if !near {
		dialer.Control = outward.Only
	}
	client := &http.Client{CheckRedirect: ledOn,
		Transport: &http.Transport{DialContext: dialer.DialContext, TLSHandshakeTimeout: 30 * time.Second, ResponseHeaderTimeout: mostAnswer, DisableKeepAlives: true, DisableCompression: true}}
	fail := func(format string, args ...any) (io.ReadCloser, error) {
		cancel()
		return nil, api.Errorf(api.Precondition, "fetch "+Shown(address), format, args...)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address.String(), nil)
	if err != nil {
		return fail("it is no address")
	}
	response, err := client.Do(request)
	if err != nil {
		if wrapped, ok := errors.AsType[*url.Error](err); ok {
			err = wrapped.Err // without the address
		}
		return fail("%w", err)
	}
	if response.StatusCode != http.StatusOK {
		response.Body.Close()
		return fail("the answer is %s", response.Status)
	}
	return &body{response.Body, cancel}, nil
}

type body struct {
	io.ReadCloser
	cancel func()
}

func (b *body) Close() error {
	defer b.cancel()
	return b.ReadCloser.Close()
}

// ledOn follows an address that leads on, but never from https to http.
func ledOn(next *http.Request, via []*http.Request) error {
	if len(via) > mostLedOn {
		return fmt.Errorf("it led on more than %d times", mostLedOn)
	}
	if _, err := Address(next.URL.String()); err != nil {
		return errors.New("it led to what is no archive's address")
	}
	if via[len(via)-1].URL.Scheme == "https" && next.URL.Scheme != "https" {
		return errors.New("it led from https to http")
	}
	return nil
}
