package store

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"mime"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/google/go-containerregistry/pkg/v1/types"
)

// refusal is why a manifest is not taken.
type refusal struct {
	status int
	list   []ociError
}

func (r *refusal) Error() string { return r.list[0].Message }

func invalid(code string, err error) *refusal {
	return &refusal{http.StatusBadRequest, []ociError{{Code: code, Message: "the manifest is refused: " + err.Error()}}}
}

// putManifest takes a manifest whose blobs are all here, with this app, with
// one that the caller may deploy, or in the engine.
func (h *handler) putManifest(w http.ResponseWriter, r *http.Request, at route) {
	raw, err := io.ReadAll(io.LimitReader(r.Body, maxManifest+1))
	if err != nil {
		refuse(w, http.StatusBadRequest, "MANIFEST_INVALID", "the connection broke")
		return
	}
	if len(raw) > maxManifest {
		refuse(w, http.StatusRequestEntityTooLarge, "MANIFEST_INVALID", fmt.Sprintf("a manifest has at most %d bytes", maxManifest))
		return
	}
	sum := sha256.Sum256(raw)
	digest := "sha256:" + hex.EncodeToString(sum[:])
	if digestForm.MatchString(at.ref) && at.ref != digest {
		refuse(w, http.StatusBadRequest, "DIGEST_INVALID", "the manifest's digest is "+digest)
		return
	}
	mediaType, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil {
		mediaType = ""
	}
	if err := h.take(r.Context(), raw, digest, types.MediaType(mediaType)); err != nil {
		if no, ok := errors.AsType[*refusal](err); ok {
			refuseAll(w, no.status, no.list)
			return
		}
		fail(w, err)
		return
	}
	if at.ref != digest {
		if err := writeFile(filepath.Join(h.store.appDir(h.app), "tags", at.ref), []byte(digest)); err != nil {
			fail(w, err)
			return
		}
	}
	created(w, route{kind: kindManifest, repo: h.app, ref: digest})
}

// take checks a manifest against what is here and keeps it. The lock holds off
// whoever removes blobs until the manifest's own references are written.
func (h *handler) take(ctx context.Context, raw []byte, digest string, mediaType types.MediaType) error {
	m, err := parseManifest(raw, mediaType)
	if err != nil {
		return invalid("MANIFEST_INVALID", err)
	}
	unlock, err := h.store.lock(false)
	if err != nil {
		return err
	}
	defer unlock()
	here, err := h.present(ctx, m)
	if err != nil {
		return err
	}
	rawConfig, err := os.ReadFile(h.store.blobPath(m.Config.Digest))
	if err != nil {
		return fmt.Errorf("read an image's config: %w", err)
	}
	config, err := m.checkConfig(rawConfig)
	if err != nil {
		return invalid("MANIFEST_INVALID", err)
	}
	for blob := range here {
		if err := h.store.hold(h.app, blob); err != nil {
			return err
		}
	}
	rec := record{Digest: digest, MediaType: string(mediaType), Config: m.Config.Digest}
	for i, l := range m.Layers {
		rec.Layers = append(rec.Layers, recordLayer{Digest: l.Digest, DiffID: config.RootFS.DiffIDs[i], Size: l.Size})
	}
	if err := writeFile(h.store.manifestPath(h.app, digest), raw); err != nil {
		return err
	}
	return h.store.writeRecord(h.app, rec)
}

// present finds a manifest's blobs, compares them with what is said of them,
// and returns those that are on this disk. The config must be: it is read.
func (h *handler) present(ctx context.Context, m imageManifest) (map[string]bool, error) {
	here := map[string]bool{}
	var missing []ociError
	for i, d := range append([]descriptor{m.Config}, m.Layers...) {
		holder, size, err := h.find(ctx, d.Digest)
		if errors.Is(err, errUnknown) || err == nil && i == 0 && holder == "" {
			missing = append(missing, ociError{Code: "MANIFEST_BLOB_UNKNOWN", Message: "a blob of the manifest is not here", Detail: &ociBlob{d.Digest}})
			continue
		}
		if err != nil {
			return nil, err
		}
		if size >= 0 && size != d.Size {
			return nil, invalid("SIZE_INVALID", fmt.Errorf("%s has %d bytes, not %d", d.Digest, size, d.Size))
		}
		if holder == "" {
			continue
		}
		if i > 0 {
			if err := h.store.checkMagic(d); err != nil {
				return nil, err
			}
		}
		here[d.Digest] = true
	}
	if missing != nil {
		return nil, &refusal{http.StatusNotFound, missing}
	}
	return here, nil
}

// checkMagic refuses a layer that is not packed as its media type says.
func (s *Store) checkMagic(d descriptor) error {
	f, err := os.Open(s.blobPath(d.Digest))
	if err != nil {
		return fmt.Errorf("read a layer: %w", err)
	}
	defer f.Close()
	want := magicOf(d.MediaType)
	got := make([]byte, len(want))
	if _, err := io.ReadFull(f, got); err != nil || !bytes.Equal(got, want) {
		return invalid("MANIFEST_INVALID", fmt.Errorf("layer %s is not packed as %s", d.Digest, d.MediaType))
	}
	return nil
}

func (h *handler) getManifest(w http.ResponseWriter, r *http.Request, at route) {
	h.store.serveManifest(w, r, h.app, at.ref)
}

// headManifest answers that an image is here only if nothing of it needs to be
// sent again.
func (h *handler) headManifest(w http.ResponseWriter, r *http.Request, at route) {
	rec, err := h.store.resolve(h.app, at.ref)
	if err != nil {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	if _, err := h.store.stat(h.app, rec.Config); err != nil {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	for _, l := range rec.Layers {
		if _, _, err := h.find(r.Context(), l.Digest); err != nil {
			w.WriteHeader(http.StatusNotFound)
			return
		}
	}
	h.store.serveManifest(w, r, h.app, rec.Digest)
}

// resolve gives the record of a digest or tag.
func (s *Store) resolve(app, ref string) (record, error) {
	if !digestForm.MatchString(ref) {
		data, err := os.ReadFile(filepath.Join(s.appDir(app), "tags", ref))
		if errors.Is(err, fs.ErrNotExist) {
			return record{}, errUnknown
		}
		if err != nil {
			return record{}, fmt.Errorf("read a tag: %w", err)
		}
		ref = strings.TrimSpace(string(data))
	}
	return s.record(app, ref)
}

// serveManifest sends a manifest; nil record when there is none.
func (s *Store) serveManifest(w http.ResponseWriter, r *http.Request, app, ref string) (record, bool) {
	rec, err := s.resolve(app, ref)
	var raw []byte
	if err == nil {
		raw, err = os.ReadFile(s.manifestPath(app, rec.Digest))
	}
	if errors.Is(err, errUnknown) || errors.Is(err, fs.ErrNotExist) {
		refuse(w, http.StatusNotFound, "MANIFEST_UNKNOWN", "unknown manifest")
		return record{}, false
	}
	if err != nil {
		fail(w, wrap("read a manifest", err))
		return record{}, true
	}
	w.Header().Set("Content-Type", rec.MediaType)
	w.Header().Set("Content-Length", strconv.Itoa(len(raw)))
	w.Header().Set("Docker-Content-Digest", rec.Digest)
	w.WriteHeader(http.StatusOK)
	if r.Method != http.MethodHead {
		w.Write(raw) // a puller that is gone needs no answer
	}
	return rec, true
}
