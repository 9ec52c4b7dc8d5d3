package archive

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/dokku-push/dokku-push/api"
)

// TestAddress: ALSO-REFUSE 14; what may be a secret is in no error.
func TestAddress(t *testing.T) {
	for _, good := range []string{"https://example.com/a.tar", "http://10.0.0.1:8080/a.zip?token=x"} {
		if _, err := Address(good); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	for _, bad := range []string{"", "/etc/passwd", "file:///etc/passwd", "ftp://example.com/x", "https://", "https:///x", "https://me:s3cret@example.com/x", "https://s3cret@example.com/x", "-o/tmp/x",
		"https://example.com/a b", "https://example.com/a\nb", "gopher://x/s?s3cret", "javascript:alert(1)", "https://example.com/" + strings.Repeat("x", 5000)} {
		if _, err := Address(bad); err == nil || api.AsError(err).Code != api.Usage || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%q: %v", bad, err)
		}
	}
	address, err := Address("https://example.com/a.tar?sig=s3cret")
	must(t, err)
	if shown := Shown(address); shown != "https://example.com/a.tar" {
		t.Errorf("shown as %s", shown)
	}
}

func TestFetch(t *testing.T) {
	var web *httptest.Server
	web = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/a":
			_, _ = io.WriteString(w, "content")
		case "/on":
			http.Redirect(w, r, "/a", http.StatusFound)
		case "/round":
			http.Redirect(w, r, "/round", http.StatusFound)
		case "/file":
			http.Redirect(w, r, "file:///etc/passwd", http.StatusFound)
		case "/named":
			http.Redirect(w, r, strings.Replace(web.URL, "http://", "http://u:p@", 1)+"/a", http.StatusFound)
		default:
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(web.Close)
	secure := httptest.NewTLSServer(http.NotFoundHandler())
	t.Cleanup(secure.Close)
	for path, want := range map[string]string{"/a": "", "/on": "", "/round": "led on more than", "/file": "no archive's address", "/named": "no archive's address", "/none?s3cret": "404"} {
		address, err := Address(web.URL + path)
		must(t, err)
		from, err := Fetch(context.Background(), address, true)
		if want != "" {
			if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "s3cret") {
				t.Errorf("%s: %v, want %q", path, err, want)
			}
			continue
		}
		must(t, err)
		text, err := io.ReadAll(from)
		must(t, err)
		must(t, from.Close())
		if string(text) != "content" {
			t.Errorf("%s: %q", path, text)
		}
	}
	for _, near := range []string{web.URL + "/a", strings.Replace(web.URL, "127.0.0.1", "localhost", 1) + "/a", "http://169.254.169.254/latest", "http://[::1]:1/", "http://0.0.0.0:1/"} {
		address, err := Address(near)
		must(t, err)
		if _, err := Fetch(context.Background(), address, false); err == nil || !strings.Contains(err.Error(), "this host's own") {
			t.Errorf("%s: %v", near, err)
		}
	}
	address, err := url.Parse(secure.URL)
	must(t, err)
	if _, err := Fetch(context.Background(), address, true); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("a certificate of nobody's: %v", err)
	}
	down := &http.Request{URL: address}
	if err := ledOn(&http.Request{URL: &url.URL{Scheme: "http", Host: "example.com"}}, []*http.Request{down}); err == nil {
		t.Error("https leads to http")
	}
}
