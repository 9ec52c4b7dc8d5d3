package dockerfile

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

func emptyStore(t *testing.T) *store {
	t.Helper()
	s, err := openStore(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func putBlob(t *testing.T, s *store, text string) v1.Hash {
	t.Helper()
	blob, err := s.newBlob()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := blob.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	digest, err := blob.commit()
	if err != nil || digest.String() != digestOf([]byte(text)) {
		t.Fatalf("%s, %v", digest, err)
	}
	return digest
}

// putImage records an image with one layer.
func putImage(t *testing.T, s *store, layer v1.Hash) string {
	t.Helper()
	config := fmt.Appendf(nil, `{"rootfs":{"type":"layers","diff_ids":[%q]}}`, layer)
	id := digestOf(config)
	digest, err := v1.NewHash(id)
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := json.Marshal(v1.Manifest{SchemaVersion: 2, MediaType: types.DockerManifestSchema2,
		Config: v1.Descriptor{MediaType: types.DockerConfigJSON, Digest: digest},
		Layers: []v1.Descriptor{{MediaType: types.DockerLayer, Size: 1, Digest: layer}}})
	if err == nil {
		err = s.putRecord(id, &record{Config: config, Manifest: manifest, MediaType: types.DockerManifestSchema2})
	}
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func TestTrimEvictsTheLongestUnused(t *testing.T) {
	s := emptyStore(t)
	s.limit = 10
	old, middle, built := putBlob(t, s, "old-"), putBlob(t, s, "middle"), putBlob(t, s, "built")
	for i, digest := range []v1.Hash{built, old, middle} { // built is the oldest, and kept
		when := time.Now().Add(time.Duration(i-10) * time.Hour)
		if err := os.Chtimes(s.blobPath(digest), when, when); err != nil {
			t.Fatal(err)
		}
	}
	left := filepath.Join(s.dir, ".save-1")
	if err := os.WriteFile(left, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	ago := time.Now().Add(-48 * time.Hour)
	if err := os.Chtimes(left, ago, ago); err != nil {
		t.Fatal(err)
	}
	s.trim(&engineImage{id: "sha256:x", manifest: &v1.Manifest{Layers: []v1.Descriptor{{Digest: built}}}})
	for digest, want := range map[v1.Hash]bool{old: false, middle: false, built: true} {
		if _, err := os.Stat(s.blobPath(digest)); (err == nil) != want {
			t.Errorf("%s kept: %v, want %v", digest, err == nil, want)
		}
	}
	if _, err := os.Stat(left); err == nil {
		t.Error("what a dead build left is still there")
	}
}

func TestRecords(t *testing.T) {
	s := emptyStore(t)
	layer := putBlob(t, s, "layer")
	id := putImage(t, s, layer)
	if _, ok := s.record(id); !ok {
		t.Fatal("a record is lost")
	}
	if got := s.layers()[layer].Digest; got != layer {
		t.Errorf("known layers lack %s", layer)
	}
	info, err := os.Stat(s.recordPath(id))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	text, err := os.ReadFile(s.recordPath(id))
	if err == nil {
		err = os.WriteFile(s.recordPath(id), []byte(strings.Replace(string(text), `"config":"ey`, `"config":"eY`, 1)), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := s.record(id); ok {
		t.Error("a damaged record is believed")
	}
}

func TestReceiverRefuses(t *testing.T) {
	s := emptyStore(t)
	layer := putBlob(t, s, "layer")
	putImage(t, s, layer)
	r := newReceiver(s, "password", v1.Hash{})
	ask := func(method, path, password, body string) *httptest.ResponseRecorder {
		request := httptest.NewRequest(method, path, strings.NewReader(body))
		request.SetBasicAuth(receiverUser, password)
		answer := httptest.NewRecorder()
		r.ServeHTTP(answer, request)
		return answer
	}
	for _, test := range []struct {
		method, path, password string
		want                   int
	}{
		{"GET", "/v2/", "", http.StatusUnauthorized},
		{"GET", "/v2/", "wrong", http.StatusUnauthorized},
		{"POST", "/v2/x/blobs/uploads/", "wrong", http.StatusUnauthorized},
		{"GET", "/v2/", "password", http.StatusOK},
		{"HEAD", "/v2/x/blobs/" + layer.String(), "password", http.StatusOK},
		{"HEAD", "/v2/x/blobs/" + digestOf([]byte("other")), "password", http.StatusNotFound},
		{"HEAD", "/v2/x/blobs/nonsense", "password", http.StatusNotFound},
		{"PATCH", "/v2/x/blobs/uploads/none", "password", http.StatusNotFound},
		{"PUT", "/v2/x/blobs/uploads/none", "password", http.StatusNotFound},
	} {
		if got := ask(test.method, test.path, test.password, "").Code; got != test.want {
			t.Errorf("%s %s: %d, want %d", test.method, test.path, got, test.want)
		}
	}
	at := ask("POST", "/v2/x/blobs/uploads/", "password", "").Header().Get("Location")
	if got := ask("PUT", at+"?digest="+digestOf([]byte("a")), "password", "b").Code; got != http.StatusBadRequest {
		t.Errorf("bytes that are not their digest: %d", got)
	}
	if got := newReceiver(s, "p", layer).known; len(got) != 0 {
		t.Errorf("a missing layer is not asked for: %v", got)
	}
}

func TestSearchedLine(t *testing.T) {
	dir := t.TempDir()
	text := "FROM x\n# RUN make\nRUN a && \\\n    b\nRUN twice\nRUN twice\n"
	if err := os.WriteFile(filepath.Join(dir, "Dockerfile"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	for step, want := range map[string]string{
		"[2/3] RUN a &&     b": " (Dockerfile:3)", "[3/3] RUN twice": "", "[1/3] RUN make": "", "exporting": "",
	} {
		if got := searchedLine(source{folder: dir, file: "Dockerfile"}, step); got != want {
			t.Errorf("%q: got %q, want %q", step, got, want)
		}
	}
}

func TestReason(t *testing.T) {
	for message, want := range map[string]string{
		"failed to solve: executor failed running [/bin/sh -c x]: exit code: 7":                                "exit code: 7",
		`process "/bin/sh -c x" did not complete successfully: exit code: 1`:                                   "exit code: 1",
		"failed to solve: rpc error: code = Unknown desc = failed to solve with frontend dockerfile.v0: oh no": "oh no",
		"plain": "plain",
	} {
		if got := reason(message); got != want {
			t.Errorf("%q: got %q, want %q", message, got, want)
		}
	}
}
