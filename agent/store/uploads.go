package store

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"strconv"
	"time"
)

// OffsetHeader tells an upload's length. The API's own Range header cannot: it
// says 0-0 for no byte and for one.
const OffsetHeader = "Upload-Offset"

// stall is how long an upload may bring nothing before it is given up.
const stall = 2 * time.Minute

// beginUpload makes an upload, mounts a blob of another app, or takes a whole
// blob at once. A mount that is not possible, for whatever reason, is answered
// as the API says: with an upload.
func (h *handler) beginUpload(w http.ResponseWriter, r *http.Request, _ route) {
	query := r.URL.Query()
	if digest := query.Get("mount"); digest != "" {
		done, err := h.mount(r, digest, query.Get("from"))
		if err != nil {
			fail(w, err)
			return
		}
		if done {
			created(w, route{kind: kindBlob, repo: h.app, ref: digest})
			return
		}
	}
	digest := query.Get("digest")
	if digest != "" && !digestForm.MatchString(digest) {
		refuse(w, http.StatusBadRequest, "DIGEST_INVALID", "a digest here is sha256: and 64 lower-case hex digits")
		return
	}
	room, err := h.store.room(h.app)
	if err == nil && (room == 0 || r.ContentLength > room) {
		err = errQuota
	}
	if err != nil {
		fail(w, err)
		return
	}
	id, err := h.store.newUpload(h.app)
	if err != nil {
		fail(w, err)
		return
	}
	at := route{kind: kindUpload, repo: h.app, ref: id}
	if digest == "" {
		status(w, http.StatusAccepted, at, 0)
		return
	}
	h.withUpload(w, at, func(u *upload) {
		if h.receive(w, r, u, span{0, r.ContentLength}) {
			h.finish(w, u, digest)
		} else if err := u.discard(); err != nil {
			return // Sweep removes it
		}
	})
}

// mount takes a blob from another app that the caller may deploy.
func (h *handler) mount(r *http.Request, digest, from string) (bool, error) {
	if !digestForm.MatchString(digest) || !appForm.MatchString(from) || from != h.app && !h.may(from) {
		return false, nil
	}
	unlock, err := h.store.lock(false)
	if err != nil {
		return false, err
	}
	defer unlock()
	if _, err := h.store.stat(from, digest); errors.Is(err, errUnknown) {
		return false, nil
	} else if err != nil {
		return false, err
	}
	return true, h.store.hold(h.app, digest)
}

// uploadStatus tells how much has arrived, also while another connection writes.
func (h *handler) uploadStatus(w http.ResponseWriter, _ *http.Request, at route) {
	info, err := os.Stat(h.store.uploadPath(h.app, at.ref))
	if errors.Is(err, fs.ErrNotExist) {
		err = errUnknown
	}
	if err != nil {
		fail(w, wrap("look for an upload", err))
		return
	}
	status(w, http.StatusNoContent, at, info.Size())
}

func (h *handler) patchUpload(w http.ResponseWriter, r *http.Request, at route) {
	h.withUpload(w, at, func(u *upload) {
		if part, ok := h.part(w, r, u, at, false); ok && h.receive(w, r, u, part) {
			status(w, http.StatusAccepted, at, u.size)
		}
	})
}

func (h *handler) finishUpload(w http.ResponseWriter, r *http.Request, at route) {
	digest := r.URL.Query().Get("digest")
	if !digestForm.MatchString(digest) {
		refuse(w, http.StatusBadRequest, "DIGEST_INVALID", "a digest here is sha256: and 64 lower-case hex digits")
		return
	}
	h.withUpload(w, at, func(u *upload) {
		if r.ContentLength != 0 {
			part, ok := h.part(w, r, u, at, true)
			if !ok || !h.receive(w, r, u, part) {
				return
			}
		}
		h.finish(w, u, digest)
	})
}

func (h *handler) deleteUpload(w http.ResponseWriter, _ *http.Request, at route) {
	h.withUpload(w, at, func(u *upload) {
		if err := u.discard(); err != nil {
			fail(w, err)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	})
}

// withUpload calls do with the upload, for this process alone.
func (h *handler) withUpload(w http.ResponseWriter, at route, do func(*upload)) {
	u, err := h.store.openUpload(h.app, at.ref)
	if err != nil {
		fail(w, err)
		return
	}
	defer u.close()
	do(u)
}

// part is what the request's body claims to be; it must begin where the upload
// ends. Without Content-Range it is the last part when the request says so, else
// the whole blob, so that the upload must be empty. An unknown length has end -1.
func (h *handler) part(w http.ResponseWriter, r *http.Request, u *upload, at route, last bool) (span, bool) {
	part := span{start: 0, end: r.ContentLength}
	if last {
		part.start = u.size
		if part.end >= 0 {
			part.end += u.size
		}
	}
	if header := r.Header.Get("Content-Range"); header != "" {
		var ok bool
		if part, ok = parseContentRange(header); !ok {
			refuse(w, http.StatusBadRequest, "BLOB_UPLOAD_INVALID", "Content-Range must be FIRST-LAST")
			return span{}, false
		}
		if r.ContentLength >= 0 && r.ContentLength != part.end-part.start {
			refuse(w, http.StatusBadRequest, "SIZE_INVALID", "Content-Range and Content-Length differ")
			return span{}, false
		}
	}
	if part.start != u.size {
		setStatus(w, at, u.size)
		refuse(w, http.StatusRequestedRangeNotSatisfiable, "BLOB_UPLOAD_INVALID",
			fmt.Sprintf("the upload goes on at byte %d, not %d", u.size, part.start))
		return span{}, false
	}
	return part, true
}

// receive appends the body. What a broken connection brought is kept; a body
// of another length than announced is taken back, and an upload that does not
// fit is removed, so that it does not fill the disk while nobody goes on.
func (h *handler) receive(w http.ResponseWriter, r *http.Request, u *upload, part span) bool {
	room, err := h.store.room(h.app)
	if err == nil && part.end >= 0 && part.end-part.start > room {
		err = errQuota
	}
	if err != nil {
		fail(w, errors.Join(err, u.discard()))
		return false
	}
	var body io.Reader = progress{r.Body, http.NewResponseController(w)}
	if part.end >= 0 {
		body = io.LimitReader(body, part.end-part.start+1) // one more shows a lie
	}
	readErr, err := u.appendFrom(body)
	if err != nil {
		fail(w, errors.Join(err, u.discard()))
		return false
	}
	if readErr == nil && part.end >= 0 && u.size != part.end {
		if err := u.truncate(part.start); err != nil {
			fail(w, err)
			return false
		}
		refuse(w, http.StatusBadRequest, "SIZE_INVALID", "the body is not as long as announced")
		return false
	}
	if err := u.saveSum(); err != nil {
		fail(w, errors.Join(err, u.discard()))
		return false
	}
	if readErr != nil {
		refuse(w, http.StatusBadRequest, "BLOB_UPLOAD_INVALID", "the connection broke; ask for the status and go on")
		return false
	}
	return true
}

// truncate takes back what a request brought. The saved checksum is of the
// point before it.
func (u *upload) truncate(size int64) error {
	if err := u.file.Truncate(size); err != nil {
		return errors.Join(fmt.Errorf("take back part of an upload: %w", err), u.discard())
	}
	return nil
}

func (h *handler) finish(w http.ResponseWriter, u *upload, digest string) {
	if err := u.finish(digest); err != nil {
		fail(w, err)
		return
	}
	created(w, route{kind: kindBlob, repo: h.app, ref: digest})
}

func created(w http.ResponseWriter, at route) {
	w.Header().Set("Location", at.path())
	w.Header().Set("Docker-Content-Digest", at.ref)
	w.WriteHeader(http.StatusCreated)
}

// status answers with where an upload is and how much of it has arrived.
func status(w http.ResponseWriter, code int, at route, size int64) {
	setStatus(w, at, size)
	w.WriteHeader(code)
}

func setStatus(w http.ResponseWriter, at route, size int64) {
	w.Header().Set("Location", at.path())
	w.Header().Set("Docker-Upload-UUID", at.ref)
	w.Header().Set("Range", span{0, max(size, 1)}.header())
	w.Header().Set(OffsetHeader, strconv.FormatInt(size, 10))
}

// progress is a body that must bring something every now and then.
type progress struct {
	body    io.Reader
	control *http.ResponseController
}

func (p progress) Read(b []byte) (int, error) {
	// A connection without deadlines (an ssh channel) is ended by its owner.
	if err := p.control.SetReadDeadline(time.Now().Add(stall)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return 0, err
	}
	return p.body.Read(b)
}
