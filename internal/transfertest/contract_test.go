package transfertest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/dokku-push/dokku-push/agent/store"
	"github.com/dokku-push/dokku-push/api"
)

// hosts are the servers that the client must get along with.
func hosts(t *testing.T) map[string]*httptest.Server {
	plain := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(plain.Close)
	return map[string]*httptest.Server{
		"agent/store":  serve(t, &store.Store{Dir: t.TempDir()}, "app", nil),
		"pkg/registry": plain,
	}
}

// watched counts how often a layer's compressed bytes are asked for.
type watched struct {
	v1.Layer
	opened *atomic.Int32
}

func (w watched) Compressed() (io.ReadCloser, error) {
	w.opened.Add(1)
	return w.Layer.Compressed()
}

func TestSendContract(t *testing.T) {
	for name, server := range hosts(t) {
		t.Run(name, func(t *testing.T) {
			ctx := context.Background()
			base, extra := noise(t, 1, 300_000), noise(t, 2, 100_000)
			tr := transfer(t, server)
			first := image(t, base)
			sent, err := tr.Send(ctx, "app", first)
			if err != nil || sent.Layers != 1 || sent.Skipped != 0 || sent.Bytes < sizeOf(t, base) || sent.Manifest != digestOf(t, first) {
				t.Fatalf("first: %+v, %v", sent, err)
			}
			again, err := tr.Send(ctx, "app", first)
			if err != nil || again.Bytes != 0 || again.Layers != 0 || again.Skipped != 1 {
				t.Fatalf("the same again: %+v, %v", again, err)
			}

			opened := new(atomic.Int32)
			var notes []string
			tr.Progress = func(p api.Progress) { notes = append(notes, p.Note) }
			second := image(t, watched{base, opened}, extra)
			sent, err = tr.Send(ctx, "app", second)
			if err != nil || sent.Layers != 1 || sent.Skipped != 1 || sent.Bytes > sizeOf(t, extra)+4096 {
				t.Fatalf("one more layer: %+v, %v", sent, err)
			}
			if opened.Load() != 0 {
				t.Error("a layer that is there was read")
			}
			if !bytes.Contains([]byte(notes[0]+notes[1]), []byte("already there")) {
				t.Errorf("progress notes: %q", notes)
			}

			sent, err = tr.SendBlobs(ctx, "app", second, []string{digestOf(t, base)})
			if err != nil || sent.Layers != 1 || sent.Bytes < sizeOf(t, base) {
				t.Fatalf("sent although there: %+v, %v", sent, err)
			}
			if _, err = tr.SendBlobs(ctx, "app", first, []string{digestOf(t, extra)}); api.AsError(err).Code != api.ShipFailed {
				t.Errorf("a blob of another image: %v", err)
			}
		})
	}
}

// liar says it is one layer and is another of the same length.
type liar struct{ v1.Layer }

func (l liar) Compressed() (io.ReadCloser, error) {
	r, err := l.Layer.Compressed()
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(r)
	data[len(data)/2] ^= 1
	return io.NopCloser(bytes.NewReader(data)), errors.Join(err, r.Close())
}

func TestDigestLieIsRefusedOnce(t *testing.T) {
	for name, server := range hosts(t) {
		t.Run(name, func(t *testing.T) {
			cut := &cutting{next: server.Client().Transport}
			tr := transfer(t, server)
			tr.HTTP.Transport = cut
			_, err := tr.Send(context.Background(), "app", image(t, liar{noise(t, 3, 50_000)}))
			if api.AsError(err).Code != api.ShipFailed {
				t.Fatalf("got %v", err)
			}
			patches := 0
			for _, s := range cut.seen {
				if s[:5] == "PATCH" {
					patches++
				}
			}
			if patches > 2 { // the config and the layer
				t.Errorf("%d PATCH requests: a lie was sent again", patches)
			}
		})
	}
}

func TestQuota(t *testing.T) {
	dir := t.TempDir()
	server := serve(t, &store.Store{Dir: dir, Quota: 100_000}, "app", nil)
	tr := transfer(t, server)
	tr.Jobs = 1
	_, err := tr.Send(context.Background(), "app", image(t, noise(t, 4, 300_000)))
	e := api.AsError(err)
	if e.Code != api.ShipFailed || e.Hint == "" {
		t.Fatalf("got %v", err)
	}
	for path := range tree(t, dir) {
		if bytes.Contains([]byte(path), []byte("uploads")) {
			t.Errorf("%s was left behind", path)
		}
	}
}
