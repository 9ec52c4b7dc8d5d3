package store

import (
	"encoding/json"
	"errors"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
)

// Handler serves the push side of the OCI distribution API for one app, which
// is also the repository's name. may says of which other apps the caller may
// use layers, nil means of none; it is asked at most once for each app that has
// sent layers. Whether the caller may push at all was decided
// before.
func (s *Store) Handler(app string, may func(repo string) bool) http.Handler {
	if may == nil {
		may = func(string) bool { return false }
	}
	h := &handler{store: s, app: app, may: may}
	h.others = sync.OnceValues(h.askOthers)
	return h
}

type handler struct {
	store *Store
	app   string
	may   func(repo string) bool
	// others are the apps, beside its own, whose layers the caller may use. All
	// are asked for before any is looked at: how long an answer takes must not
	// tell whether a stranger's app has a layer.
	others func() ([]string, error)
}

func (h *handler) askOthers() ([]string, error) {
	apps, err := names(filepath.Join(h.store.Dir, "apps"))
	if err != nil {
		return nil, err
	}
	var others []string
	for _, app := range apps {
		if app != h.app && appForm.MatchString(app) && h.may(app) {
			others = append(others, app)
		}
	}
	return others, nil
}

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Docker-Distribution-API-Version", "registry/2.0")
	at, ok := parseRoute(r.URL.Path)
	if !ok {
		refuse(w, http.StatusNotFound, "NAME_INVALID", "no such place in the distribution API")
		return
	}
	if at.kind != kindBase && at.repo != h.app {
		refuse(w, http.StatusForbidden, "DENIED", "this connection is for app "+h.app+" alone")
		return
	}
	type key struct {
		kind   kind
		method string
	}
	serve, ok := map[key]func(http.ResponseWriter, *http.Request, route){
		{kindBase, http.MethodGet}:      h.base,
		{kindBase, http.MethodHead}:     h.base,
		{kindBlob, http.MethodGet}:      h.getBlob,
		{kindBlob, http.MethodHead}:     h.headBlob,
		{kindUploads, http.MethodPost}:  h.beginUpload,
		{kindUpload, http.MethodGet}:    h.uploadStatus,
		{kindUpload, http.MethodPatch}:  h.patchUpload,
		{kindUpload, http.MethodPut}:    h.finishUpload,
		{kindUpload, http.MethodDelete}: h.deleteUpload,
		{kindManifest, http.MethodGet}:  h.getManifest,
		{kindManifest, http.MethodHead}: h.headManifest,
		{kindManifest, http.MethodPut}:  h.putManifest,
	}[key{at.kind, r.Method}]
	if !ok {
		refuse(w, http.StatusMethodNotAllowed, "UNSUPPORTED", r.Method+" is not possible here")
		return
	}
	serve(w, r, at)
}

func (h *handler) base(w http.ResponseWriter, _ *http.Request, _ route) {
	w.WriteHeader(http.StatusOK)
}

// ociError is one error in the distribution API's form.
type ociError struct {
	Code    string   `json:"code"`
	Message string   `json:"message"`
	Detail  *ociBlob `json:"detail,omitempty"`
}

// ociBlob names the blob that an error is about.
type ociBlob struct {
	Digest string `json:"digest"`
}

func refuse(w http.ResponseWriter, status int, code, message string) {
	refuseAll(w, status, []ociError{{Code: code, Message: message}})
}

func refuseAll(w http.ResponseWriter, status int, list []ociError) {
	body, err := json.Marshal(map[string][]ociError{"errors": list})
	if err != nil {
		status, body = http.StatusInternalServerError, nil
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	w.Write(body) // a client that is gone needs no answer
}

// fail answers for an error of the store itself. Paths of the host are not the
// client's business, a full disk is.
func fail(w http.ResponseWriter, err error) {
	switch {
	case errors.Is(err, errUnknown):
		refuse(w, http.StatusNotFound, "BLOB_UPLOAD_UNKNOWN", "no such upload: it is finished, discarded or was swept")
	case errors.Is(err, errBusy):
		refuse(w, http.StatusConflict, "BLOB_UPLOAD_INVALID", errBusy.Error())
	case errors.Is(err, errQuota):
		refuse(w, http.StatusRequestEntityTooLarge, "DENIED", errQuota.Error())
	case errors.Is(err, errMismatch):
		refuse(w, http.StatusBadRequest, "DIGEST_INVALID", errMismatch.Error()+"; they were discarded")
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		refuse(w, http.StatusInsufficientStorage, "DISK_FULL", "the host's disk is full")
	default:
		refuse(w, http.StatusInternalServerError, "UNKNOWN", plain(err))
	}
}

// plain is an error's text without the paths of the host.
func plain(err error) string {
	text, _, _ := strings.Cut(err.Error(), ": ")
	if number, ok := errors.AsType[syscall.Errno](err); ok {
		text += ": " + number.Error()
	}
	return text
}
