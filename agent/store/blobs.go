package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"strconv"
)

// stat is the size of a blob that an app holds here; errUnknown otherwise.
func (s *Store) stat(app, digest string) (int64, error) {
	if _, err := os.Stat(s.refPath(app, digest)); errors.Is(err, fs.ErrNotExist) {
		return 0, errUnknown
	} else if err != nil {
		return 0, fmt.Errorf("look for a layer: %w", err)
	}
	info, err := os.Stat(s.blobPath(digest))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, errUnknown
	}
	if err != nil {
		return 0, fmt.Errorf("look for a layer: %w", err)
	}
	return info.Size(), nil
}

// find says whether a layer need not be sent: the app, or another one that the
// caller may deploy, holds it here or has it in the engine. holder is the app
// that has it here, empty when only the engine has it; size is -1 when nobody
// knows it.
func (h *handler) find(ctx context.Context, digest string) (holder string, size int64, err error) {
	size, err = h.store.stat(h.app, digest)
	if !errors.Is(err, errUnknown) {
		return h.app, size, err
	}
	others, err := h.others()
	if err != nil {
		return "", 0, err
	}
	for _, app := range others {
		size, err := h.store.stat(app, digest)
		if !errors.Is(err, errUnknown) {
			return app, size, err
		}
	}
	if h.store.Has == nil {
		return "", 0, errUnknown
	}
	for _, app := range append([]string{h.app}, others...) {
		size, known := h.store.sizeOnRecord(app, digest)
		// Of other apps only what came through here is known by its digest.
		if (known || app == h.app) && h.store.Has(ctx, app, digest) {
			if !known {
				size = -1
			}
			return "", size, nil
		}
	}
	return "", 0, errUnknown
}

func (h *handler) headBlob(w http.ResponseWriter, r *http.Request, at route) {
	_, size, err := h.find(r.Context(), at.ref)
	if errors.Is(err, errUnknown) {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	if err != nil {
		fail(w, err)
		return
	}
	w.Header().Set("Docker-Content-Digest", at.ref)
	w.Header().Set("Content-Type", "application/octet-stream")
	if size >= 0 {
		w.Header().Set("Content-Length", strconv.FormatInt(size, 10))
	}
	w.WriteHeader(http.StatusOK)
}

func (h *handler) getBlob(w http.ResponseWriter, r *http.Request, at route) {
	h.store.serveBlob(w, r, h.app, at.ref)
}

// serveBlob sends a blob that the app holds; false when there is none.
func (s *Store) serveBlob(w http.ResponseWriter, r *http.Request, app, digest string) bool {
	_, err := s.stat(app, digest)
	var f *os.File
	if err == nil {
		f, err = os.Open(s.blobPath(digest))
	}
	if errors.Is(err, errUnknown) || errors.Is(err, fs.ErrNotExist) {
		refuseAll(w, http.StatusNotFound, []ociError{{Code: "BLOB_UNKNOWN", Message: "unknown blob", Detail: &ociBlob{digest}}})
		return false
	}
	if err != nil {
		fail(w, err)
		return true
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		fail(w, fmt.Errorf("read a layer: %w", err))
		return true
	}
	w.Header().Set("Docker-Content-Digest", digest)
	w.Header().Set("Content-Type", "application/octet-stream")
	http.ServeContent(w, r, "", info.ModTime(), f)
	return true
}
