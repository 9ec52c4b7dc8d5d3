package serve

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/dokku-push/dokku-push/api"
)

// TestServeConn serves one connection until it is closed, and then returns.
func TestServeConn(t *testing.T) {
	w := newWire(t)
	near, far := net.Pipe()
	served := make(chan error, 1)
	go func() { served <- w.ServeConn(context.Background(), far) }()
	client := &http.Client{Transport: &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) { return near, nil }}}
	for range 3 {
		answer, err := client.Get("http://host/v1/hello")
		must(t, err)
		_, err = io.Copy(io.Discard, answer.Body)
		must(t, errors.Join(err, answer.Body.Close()))
	}
	near.Close()
	select {
	case err := <-served:
		must(t, err)
	case <-time.After(30 * time.Second):
		t.Fatal("it still serves a closed connection")
	}
}

// FuzzDecode: a body of one release request is taken or refused, and what is taken has
// digests that can be nothing else.
func FuzzDecode(f *testing.F) {
	text, err := json.Marshal(release())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add([]byte(`{"document":{"image":{"id":"` + sha + `\n"}}}`))
	f.Add(append(text, text...))
	f.Fuzz(func(t *testing.T, text []byte) {
		var body api.ReleaseRequest
		request := httptest.NewRequest("POST", "/", bytes.NewReader(text))
		err := decode(httptest.NewRecorder(), request, &body)
		if err == nil {
			err = checkDocument(body.Document)
		}
		if err == nil && (len(body.Document.Image.ID) != len(sha) || strings.ContainsAny(fmt.Sprint(body.Document.Image), "\n\x00")) {
			t.Errorf("taken: %q", body.Document.Image)
		}
	})
}
