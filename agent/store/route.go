package store

import (
	"strconv"
	"strings"
)

// kind is what a path of the distribution API names.
type kind int

const (
	kindBase     kind = iota // /v2/
	kindBlob                 // /v2/REPO/blobs/DIGEST
	kindUploads              // /v2/REPO/blobs/uploads/
	kindUpload               // /v2/REPO/blobs/uploads/ID
	kindManifest             // /v2/REPO/manifests/DIGEST-or-TAG
)

// route is a path, taken apart. Its parts have their exact form: nothing in
// them can lead out of a folder.
type route struct {
	kind kind
	repo string
	ref  string // digest, upload id or tag
}

// parseRoute takes a path apart; ok is false for any that is not exactly one
// of the five forms.
func parseRoute(path string) (r route, ok bool) {
	rest, ok := strings.CutPrefix(path, "/v2/")
	if !ok {
		return route{}, path == "/v2"
	}
	if rest == "" {
		return route{}, true
	}
	parts := strings.Split(rest, "/")
	if !appForm.MatchString(parts[0]) {
		return route{}, false
	}
	r.repo = parts[0]
	switch {
	case len(parts) == 3 && parts[1] == "manifests":
		r.kind, r.ref = kindManifest, parts[2]
		ok = digestForm.MatchString(r.ref) || tagForm.MatchString(r.ref)
	case len(parts) < 3 || parts[1] != "blobs":
		ok = false
	case len(parts) == 3 && parts[2] == "uploads", len(parts) == 4 && parts[2] == "uploads" && parts[3] == "":
		r.kind, ok = kindUploads, true
	case len(parts) == 4 && parts[2] == "uploads":
		r.kind, r.ref = kindUpload, parts[3]
		ok = uploadForm.MatchString(r.ref)
	case len(parts) == 3:
		r.kind, r.ref = kindBlob, parts[2]
		ok = digestForm.MatchString(r.ref)
	default:
		ok = false
	}
	if !ok {
		return route{}, false
	}
	return r, true
}

// path is the path that a route was taken from.
func (r route) path() string {
	switch r.kind {
	case kindBlob:
		return "/v2/" + r.repo + "/blobs/" + r.ref
	case kindUploads, kindUpload:
		return "/v2/" + r.repo + "/blobs/uploads/" + r.ref
	case kindManifest:
		return "/v2/" + r.repo + "/manifests/" + r.ref
	}
	return "/v2/"
}

// span is the part of a blob that a request carries, from its first byte up to
// but not including end.
type span struct{ start, end int64 }

// parseContentRange reads the distribution API's form of Content-Range,
// FIRST-LAST in plain digits, both included.
func parseContentRange(header string) (span, bool) {
	first, last, ok := strings.Cut(header, "-")
	if !ok {
		return span{}, false
	}
	start, ok1 := parseOffset(first)
	final, ok2 := parseOffset(last)
	if !ok1 || !ok2 || final < start {
		return span{}, false
	}
	return span{start: start, end: final + 1}, true
}

// maxBlob is the largest blob that can be named, in bytes: 1 TiB.
const maxBlob = 1 << 40

// parseOffset reads a number of at most maxBlob without sign or leading zero.
func parseOffset(text string) (int64, bool) {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 || n >= maxBlob || strconv.FormatInt(n, 10) != text {
		return 0, false
	}
	return n, true
}

// header is the form that parseContentRange reads.
func (s span) header() string {
	return strconv.FormatInt(s.start, 10) + "-" + strconv.FormatInt(s.end-1, 10)
}
