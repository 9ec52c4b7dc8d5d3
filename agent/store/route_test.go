package store

import (
	"path/filepath"
	"strings"
	"testing"
)

// FuzzRoute: what is taken apart can be put together again, and no part of it
// leads out of a folder.
func FuzzRoute(f *testing.F) {
	for _, seed := range []string{
		"/v2", "/v2/", "/v2/app/blobs/uploads/", "/v2/app/blobs/uploads", "/v2/a.b-c/blobs/uploads/" + strings.Repeat("0a", 16),
		"/v2/app/blobs/sha256:" + strings.Repeat("ab", 32), "/v2/app/manifests/latest", "/v2/app/manifests/sha256:" + strings.Repeat("ab", 32),
		"/v2/../blobs/uploads/", "/v2/app/manifests/..", "/v2/app/blobs/uploads/../x", "/v2/app/blobs/sha512:00", "/v2/app/tags/list", "/v2/app/blobs/SHA256:00", "//v2/",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, path string) {
		r, ok := parseRoute(path)
		if !ok {
			if r != (route{}) {
				t.Fatalf("%q is refused and returned as %+v", path, r)
			}
			return
		}
		if p := r.path(); strings.TrimSuffix(p, "/") != strings.TrimSuffix(path, "/") {
			t.Fatalf("%q became %q", path, p)
		}
		if again, ok := parseRoute(r.path()); !ok || again != r {
			t.Fatalf("%+v became %+v", r, again)
		}
		for _, part := range []string{r.repo, r.ref} {
			if part != "" && (filepath.Base(part) != part || part == ".." || strings.HasPrefix(part, ".")) {
				t.Fatalf("%q is no name of a file", part)
			}
		}
	})
}

// FuzzContentRange: parse, print, parse is the same, and a span is never empty.
func FuzzContentRange(f *testing.F) {
	for _, seed := range []string{"0-0", "0-1023", "5-4", "-1", "1-", "00-1", "+1-2", "1-9223372036854775807", "bytes 0-1/2", "1-2-3", ""} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, header string) {
		s, ok := parseContentRange(header)
		if !ok {
			if s != (span{}) {
				t.Fatalf("%q is refused and returned as %+v", header, s)
			}
			return
		}
		if s.start < 0 || s.end <= s.start || s.end > maxBlob || s.header() != header {
			t.Fatalf("%q became %+v", header, s)
		}
	})
}

// FuzzManifest: nothing that is taken breaks the bounds.
func FuzzManifest(f *testing.F) {
	f.Add([]byte(`{"schemaVersion":2,"mediaType":"application/vnd.docker.distribution.manifest.v2+json","config":{},"layers":[]}`))
	f.Add([]byte(`{"schemaVersion":2,"layers":[{"size":-1}]}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		m, err := parseManifest(raw, "application/vnd.docker.distribution.manifest.v2+json")
		if err == nil && (len(m.Layers) == 0 || len(m.Layers) > maxLayers || m.Config.Size <= 0) {
			t.Fatalf("%q was taken", raw)
		}
	})
}
