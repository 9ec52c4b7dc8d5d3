package remote

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"golang.org/x/sync/errgroup"

	"github.com/dokku-push/dokku-push/api"
)

const opShip = "send the image"

// Transfer sends images to an agent over HTTP: only the blobs that the host
// lacks, each resumed where a broken connection left it, also by a later
// process. The fields are set before use; one Transfer may send several images.
type Transfer struct {
	HTTP *http.Client
	Base string // "http://agent": the requests go to Base + "/v2/..."
	// Host tells hosts apart in StateDir; empty means Base.
	Host string
	Jobs int // blobs at a time; 0 means 4
	// Progress is called for one event at a time; nil for none.
	Progress func(api.Progress)
	// StateDir is the folder that remembers unfinished uploads; empty: none are.
	StateDir string
}

// Sent is what was sent of an image.
type Sent struct {
	Manifest string // digest
	Bytes    int64  // of request bodies, as they went out
	Layers   int    // layers sent
	Skipped  int    // layers that were there
}

// blob is one blob of an image that may have to be sent.
type blob struct {
	digest  string
	size    int64
	content v1.Layer
	config  bool
}

// shipment is one image on its way.
type shipment struct {
	*Transfer
	app      string
	http     *http.Client
	sent     *atomic.Int64
	manifest []byte
	digest   string
	kind     string // the manifest's media type
	blobs    []blob

	mu              sync.Mutex // guards what follows and the calls of Progress
	layers, skipped int
}

// Send sends what the host lacks of img and then its manifest. An image that is
// there costs one request. Layers that are there are not read.
func (t *Transfer) Send(ctx context.Context, app string, img v1.Image) (Sent, error) {
	s, err := t.shipment(app, img)
	if err != nil {
		return Sent{}, err
	}
	there, err := s.exists(ctx, "/manifests/"+s.digest)
	if err != nil {
		return s.result(), err
	}
	if there {
		for _, b := range s.blobs {
			s.skip(b)
		}
		return s.result(), nil
	}
	if err := s.sendBlobs(ctx, s.blobs, false); err != nil {
		return s.result(), err
	}
	missing, err := s.putManifest(ctx)
	if len(missing) > 0 {
		// What was there a moment ago was swept or pruned since.
		if err = s.sendNamed(ctx, missing); err == nil {
			_, err = s.putManifest(ctx)
		}
	}
	return s.result(), err
}

// Lacking tells what Send would have to send of img: the layers, and their bytes.
func (t *Transfer) Lacking(ctx context.Context, app string, img v1.Image) (api.PlannedShip, error) {
	var ship api.PlannedShip
	s, err := t.shipment(app, img)
	if err != nil {
		return ship, err
	}
	there, err := s.exists(ctx, "/manifests/"+s.digest)
	if err != nil {
		return ship, err
	}
	for _, b := range s.blobs {
		if b.config {
			continue
		}
		has := there
		if !there {
			if has, err = s.exists(ctx, "/blobs/"+b.digest); err != nil {
				return ship, err
			}
		}
		if has {
			ship.Present++
		} else {
			ship.Layers, ship.Bytes = ship.Layers+1, ship.Bytes+b.size
		}
	}
	return ship, nil
}

// SendBlobs sends the named blobs of img, whatever the host says of them, and
// the manifest again: the answer to api.BlobsMissing. Digests that are not
// img's are refused.
func (t *Transfer) SendBlobs(ctx context.Context, app string, img v1.Image, digests []string) (Sent, error) {
	s, err := t.shipment(app, img)
	if err != nil {
		return Sent{}, err
	}
	if err := s.sendNamed(ctx, digests); err != nil {
		return s.result(), err
	}
	missing, err := s.putManifest(ctx)
	if len(missing) > 0 {
		if err = s.sendNamed(ctx, missing); err == nil {
			_, err = s.putManifest(ctx)
		}
	}
	return s.result(), err
}

// shipment reads the manifest; no layer is opened.
func (t *Transfer) shipment(app string, img v1.Image) (*shipment, error) {
	raw, err := img.RawManifest()
	if err != nil {
		return nil, api.Errorf(api.ShipFailed, opShip, "read the image's manifest: %w", err)
	}
	digest, err := img.Digest()
	if err != nil {
		return nil, api.Errorf(api.ShipFailed, opShip, "read the image's digest: %w", err)
	}
	kind, err := img.MediaType()
	if err != nil {
		return nil, api.Errorf(api.ShipFailed, opShip, "read the image's media type: %w", err)
	}
	blobs, err := blobsOf(img)
	if err != nil {
		return nil, err
	}
	s := &shipment{Transfer: t, app: app, manifest: raw, digest: digest.String(), kind: string(kind), blobs: blobs, sent: new(atomic.Int64)}
	s.http = countingClient(t.HTTP, s.sent)
	return s, nil
}

// blobsOf lists an image's layers and its config, each digest once.
func blobsOf(img v1.Image) ([]blob, error) {
	m, err := img.Manifest()
	if err != nil {
		return nil, api.Errorf(api.ShipFailed, opShip, "read the image's manifest: %w", err)
	}
	var list []blob
	seen := map[string]bool{}
	for i, d := range append([]v1.Descriptor{m.Config}, m.Layers...) {
		if seen[d.Digest.String()] {
			continue
		}
		seen[d.Digest.String()] = true
		layer, err := blobLayer(img, d.Digest, i == 0)
		if err != nil {
			return nil, api.Errorf(api.ShipFailed, opShip, "find layer %s of the image: %w", d.Digest, err)
		}
		list = append(list, blob{digest: d.Digest.String(), size: d.Size, content: layer, config: i == 0})
	}
	return list, nil
}

// blobLayer finds a blob; an image of a docker-save archive knows its config by no digest.
func blobLayer(img v1.Image, digest v1.Hash, config bool) (v1.Layer, error) {
	if config {
		return partial.ConfigLayer(img)
	}
	return img.LayerByDigest(digest)
}

func (s *shipment) sendNamed(ctx context.Context, digests []string) error {
	var named []blob
	for _, d := range digests {
		at := slices.IndexFunc(s.blobs, func(b blob) bool { return b.digest == d })
		switch {
		case at >= 0:
			named = append(named, s.blobs[at])
		case d != s.digest: // the manifest is sent in any case
			return api.Errorf(api.ShipFailed, opShip, "the host asks for %s, which is not part of the image", d)
		}
	}
	return s.sendBlobs(ctx, named, true)
}

// sendBlobs sends blobs side by side; with again, also those that are there.
func (s *shipment) sendBlobs(ctx context.Context, blobs []blob, again bool) error {
	jobs := s.Jobs
	if jobs <= 0 {
		jobs = 4
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(jobs)
	for _, b := range blobs {
		group.Go(func() error { return s.sendBlob(ctx, b, again) })
	}
	return group.Wait()
}

func (s *shipment) sendBlob(ctx context.Context, b blob, again bool) error {
	if !again {
		there, err := s.exists(ctx, "/blobs/"+b.digest)
		if err != nil {
			return err
		}
		if there {
			s.skip(b)
			return nil
		}
	}
	if err := s.upload(ctx, b); err != nil {
		return err
	}
	if !b.config {
		s.mu.Lock()
		s.layers++
		s.mu.Unlock()
	}
	return nil
}

// skip notes a blob that is there.
func (s *shipment) skip(b blob) {
	if !b.config {
		s.mu.Lock()
		s.skipped++
		s.mu.Unlock()
	}
	s.progress(b, b.size, "already there")
}

func (s *shipment) progress(b blob, done int64, note string) {
	if s.Progress == nil || b.config {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.Progress(api.Progress{Name: shortDigest(b.digest), Done: done, Total: b.size, Note: note})
}

func (s *shipment) result() Sent {
	s.mu.Lock()
	defer s.mu.Unlock()
	return Sent{Manifest: s.digest, Bytes: s.sent.Load(), Layers: s.layers, Skipped: s.skipped}
}

// shortDigest is how Docker shows a digest to people.
func shortDigest(digest string) string {
	const prefix = len("sha256:")
	return digest[prefix:min(len(digest), prefix+12)]
}

// exists asks with HEAD.
func (s *shipment) exists(ctx context.Context, path string) (bool, error) {
	var there bool
	err := s.retry(ctx, func() error {
		answer, err := s.do(ctx, http.MethodHead, s.place(path), nil)
		if errors.Is(err, errNotThere) {
			return nil
		}
		if err != nil {
			return err
		}
		there = answer.status == http.StatusOK
		return nil
	})
	return there, err
}

// putManifest sends the manifest. missing lists the blobs that the host turns
// out to lack; err is set then, too.
func (s *shipment) putManifest(ctx context.Context) (missing []string, err error) {
	err = s.retry(ctx, func() error {
		_, err := s.do(ctx, http.MethodPut, s.place("/manifests/"+s.digest), &wireBody{
			kind: s.kind, size: int64(len(s.manifest)), open: bytesOf(s.manifest),
		})
		return err
	})
	if e, ok := errors.AsType[*api.Error](err); ok && e.Code == api.BlobsMissing {
		return e.Missing, err
	}
	return nil, err
}

func (s *shipment) place(path string) string {
	return fmt.Sprintf("%s/v2/%s%s", s.Base, s.app, path)
}
