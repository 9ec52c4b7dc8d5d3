package store

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const dockerManifest = "application/vnd.docker.distribution.manifest.v2+json"

// site is a store with the push side of one app.
type site struct {
	*Store
	url string
	t   *testing.T
}

func newSite(t *testing.T, s *Store, app string, may func(string) bool) site {
	server := httptest.NewServer(s.Handler(app, may))
	t.Cleanup(server.Close)
	return site{s, server.URL + "/v2/" + app, t}
}

func (s site) do(method, path string, body []byte, header ...string) (*http.Response, string) {
	s.t.Helper()
	if !strings.HasPrefix(path, "http") {
		path = s.url + path
	}
	r, err := http.NewRequest(method, path, bytes.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return response, string(text)
}

// begin starts an upload and returns its path below the app.
func (s site) begin() string {
	s.t.Helper()
	r, _ := s.do("POST", "/blobs/uploads/", nil)
	if r.StatusCode != http.StatusAccepted {
		s.t.Fatal(r.Status)
	}
	_, id, _ := strings.Cut(r.Header.Get("Location"), "/blobs/")
	return "/blobs/" + id
}

func sum(b []byte) string {
	h := sha256.Sum256(b)
	return "sha256:" + hex.EncodeToString(h[:])
}

func (s site) put(blob []byte) string {
	s.t.Helper()
	if r, text := s.do("POST", "/blobs/uploads/?digest="+sum(blob), blob); r.StatusCode != http.StatusCreated {
		s.t.Fatal(r.Status, text)
	}
	return sum(blob)
}

func packed(text string) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	w.Write([]byte(text))
	w.Close()
	return b.Bytes()
}

// files is what is in a folder, with sizes.
func files(t *testing.T, dir string) map[string]int64 {
	t.Helper()
	list := map[string]int64{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || d.Name() == "lock" {
			return err
		}
		info, err := d.Info()
		list[strings.TrimPrefix(path, dir)] = info.Size()
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// refused compares status, code and that nothing changed.
func (s site) refused(name string, status int, code string, try func() (*http.Response, string)) {
	s.t.Helper()
	before := files(s.t, s.Dir)
	r, text := try()
	if r.StatusCode != status || !strings.Contains(text, code) {
		s.t.Errorf("%s: %s %s, want %d %s", name, r.Status, text, status, code)
	}
	if diff := cmp.Diff(before, files(s.t, s.Dir)); diff != "" {
		s.t.Errorf("%s changed something:\n%s", name, diff)
	}
}

func TestUploadRefusals(t *testing.T) {
	s := newSite(t, &Store{Dir: t.TempDir()}, "app", nil)
	up := s.begin()
	if r, text := s.do("PATCH", up, []byte("hello"), "Content-Range", "0-4"); r.StatusCode != http.StatusAccepted || r.Header.Get(OffsetHeader) != "5" {
		t.Fatal(r.Status, text)
	}
	for name, c := range map[string]struct {
		method, path, part string
		body               string
		status             int
		code               string
	}{
		"overlap":         {"PATCH", up, "4-6", "abc", 416, "BLOB_UPLOAD_INVALID"},
		"beyond":          {"PATCH", up, "9-11", "abc", 416, "BLOB_UPLOAD_INVALID"},
		"stream again":    {"PATCH", up, "", "abc", 416, "BLOB_UPLOAD_INVALID"},
		"longer":          {"PATCH", up, "5-6", "abc", 400, "SIZE_INVALID"},
		"shorter":         {"PATCH", up, "5-9", "abc", 400, "SIZE_INVALID"},
		"no range":        {"PATCH", up, "bytes 5-7/8", "abc", 400, "BLOB_UPLOAD_INVALID"},
		"no such upload":  {"PATCH", "/blobs/uploads/" + strings.Repeat("0", 32), "0-2", "abc", 404, "BLOB_UPLOAD_UNKNOWN"},
		"strange id":      {"PATCH", "/blobs/uploads/..%2f..%2fx", "0-2", "abc", 404, "NAME_INVALID"},
		"finish as sha1":  {"PUT", up + "?digest=sha1:00", "", "", 400, "DIGEST_INVALID"},
		"finish as upper": {"PUT", up + "?digest=" + strings.ToUpper(sum(nil)), "", "", 400, "DIGEST_INVALID"},
		"index of tags":   {"GET", "/tags/list", "", "", 404, "NAME_INVALID"},
		"delete a blob":   {"DELETE", "/blobs/" + sum(nil), "", "", 405, "UNSUPPORTED"},
		"another app":     {"POST", strings.TrimSuffix(s.url, "app") + "other/blobs/uploads/", "", "", 403, "DENIED"},
	} {
		s.refused(name, c.status, c.code, func() (*http.Response, string) {
			if c.part == "" {
				return s.do(c.method, c.path, []byte(c.body))
			}
			return s.do(c.method, c.path, []byte(c.body), "Content-Range", c.part)
		})
	}
	// A chunked body's length is known only at its end: what it brought is taken back.
	s.refused("chunked and longer", 400, "SIZE_INVALID", func() (*http.Response, string) { return s.chunked(up, "5-6", "abc") })
	s.refused("chunked and shorter", 400, "SIZE_INVALID", func() (*http.Response, string) { return s.chunked(up, "5-9", "abc") })
	if r, text := s.do("PUT", up+"?digest="+sum([]byte("hello, you")), []byte(", you")); r.StatusCode != http.StatusCreated {
		t.Fatal(r.Status, text)
	}
	lie := s.begin()
	if r, text := s.do("PUT", lie+"?digest="+sum([]byte("truth")), []byte("lie")); r.StatusCode != 400 || !strings.Contains(text, "DIGEST_INVALID") {
		t.Fatal(r.Status, text)
	}
	if r, _ := s.do("GET", lie, nil); r.StatusCode != 404 {
		t.Errorf("a lie is kept: %s", r.Status)
	}
}

func (s site) chunked(path, part, body string) (*http.Response, string) {
	s.t.Helper()
	r, err := http.NewRequest("PATCH", s.url+path, struct{ io.Reader }{strings.NewReader(body)})
	if err != nil {
		s.t.Fatal(err)
	}
	r.Header.Set("Content-Range", part)
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return response, string(text)
}

func TestTwoWritersAndBrokenConnection(t *testing.T) {
	s := newSite(t, &Store{Dir: t.TempDir()}, "app", nil)
	up := s.begin()
	host := strings.TrimPrefix(s.url, "http://")
	host, _, _ = strings.Cut(host, "/")
	c, err := net.Dial("tcp", host)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(c, "PATCH /v2/app%s HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\nContent-Range: 0-9\r\n\r\nhello", up)
	s.waitOffset(up, "5")
	if r, _ := s.do("PATCH", up, []byte("x"), "Content-Range", "5-5"); r.StatusCode != http.StatusConflict {
		t.Errorf("two writers: %s", r.Status)
	}
	c.Close()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		r, text := s.do("PATCH", up, []byte("12345"), "Content-Range", "5-9")
		if r.StatusCode == http.StatusAccepted {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal(r.Status, text)
		}
	}
	// Without the saved checksum all is read again.
	if err := os.Remove(s.uploadPath("app", filepath.Base(up)) + sumSuffix); err != nil {
		t.Fatal(err)
	}
	if r, text := s.do("PUT", up+"?digest="+sum([]byte("hello12345")), nil); r.StatusCode != http.StatusCreated {
		t.Fatal(r.Status, text)
	}
}

func (s site) waitOffset(up, want string) {
	s.t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
		if r, _ := s.do("GET", up, nil); r.Header.Get(OffsetHeader) == want {
			return
		}
		if time.Now().After(deadline) {
			s.t.Fatal("the first half does not arrive")
		}
	}
}

func TestForeignBlobsAreNotRevealed(t *testing.T) {
	store := &Store{Dir: t.TempDir()}
	theirs := newSite(t, store, "theirs", nil)
	blob := theirs.put([]byte("their layer"))
	mine := newSite(t, store, "mine", nil)
	if r, _ := mine.do("HEAD", "/blobs/"+blob, nil); r.StatusCode != 404 {
		t.Errorf("HEAD: %s", r.Status)
	}
	if r, _ := mine.do("GET", "/blobs/"+blob, nil); r.StatusCode != 404 {
		t.Errorf("GET: %s", r.Status)
	}
	for _, from := range []string{"theirs", "nobody", "../theirs"} {
		if r, _ := mine.do("POST", "/blobs/uploads/?mount="+blob+"&from="+from, nil); r.StatusCode != http.StatusAccepted {
			t.Errorf("mount from %s: %s", from, r.Status)
		}
	}
	if _, err := os.Stat(store.refPath("mine", blob)); err == nil {
		t.Error("it was mounted")
	}
	friend := newSite(t, store, "mine", func(app string) bool { return app == "theirs" })
	if r, _ := friend.do("HEAD", "/blobs/"+blob, nil); r.StatusCode != 200 || r.ContentLength != 11 {
		t.Errorf("HEAD with permission: %s", r.Status)
	}
	if r, _ := friend.do("POST", "/blobs/uploads/?mount="+blob+"&from=theirs", nil); r.StatusCode != http.StatusCreated {
		t.Errorf("mount with permission: %s", r.Status)
	}
	if err := store.Forget("theirs"); err != nil {
		t.Fatal(err)
	}
	if r, text := mine.do("GET", "/blobs/"+blob, nil); text != "their layer" {
		t.Errorf("kept for the other holder: %s", r.Status)
	}
	if err := store.Forget("mine"); err != nil {
		t.Fatal(err)
	}
	if left := files(t, store.Dir); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
}

func TestDropKeepsTheRecord(t *testing.T) {
	store := &Store{Dir: t.TempDir()}
	s := newSite(t, store, "app", nil)
	first, second := s.ready(s.image("base", "one")), s.ready(s.image("base", "two"))
	for _, raw := range [][]byte{first, second} {
		if r, text := s.putManifest(raw, dockerManifest); r.StatusCode != http.StatusCreated {
			t.Fatal(r.Status, text)
		}
	}
	for range 2 {
		if err := store.Drop("app", sum(first)); err != nil {
			t.Fatal(err)
		}
	}
	for layer, want := range map[string]int{"base": 200, "one": 404, "two": 200} {
		if r, _ := s.do("HEAD", "/blobs/"+sum(packed(layer)), nil); r.StatusCode != want {
			t.Errorf("%s: %s, want %d", layer, r.Status, want)
		}
	}
	if r, _ := s.do("HEAD", "/manifests/"+sum(first), nil); r.StatusCode != 404 {
		t.Errorf("an image of which a layer is gone: %s", r.Status)
	}
	store.Has = func(_ context.Context, app, layer string) bool { return app == "app" && layer == sum(packed("one")) }
	if r, _ := s.do("HEAD", "/manifests/"+sum(first), nil); r.StatusCode != 200 {
		t.Errorf("an image whose layer the engine has: %s", r.Status)
	}
	layers, err := store.Layers("app")
	if err != nil || len(layers) != 4 {
		t.Fatalf("%v, %v", layers, err)
	}
	if id, err := store.Image("app", sum(first)); err != nil || !digestForm.MatchString(id) {
		t.Errorf("%s, %v", id, err)
	}
	if _, err := store.Image("app", sum(nil)); err == nil {
		t.Error("an image that never came")
	}
}

// received is a store that has an image of the app "app".
func received(t *testing.T, store *Store) (s site, raw []byte) {
	t.Helper()
	s = newSite(t, store, "app", nil)
	s.begin()
	raw = s.ready(s.image("layer"))
	if r, text := s.putManifest(raw, dockerManifest); r.StatusCode != http.StatusCreated {
		t.Fatal(r.Status, text)
	}
	return s, raw
}

// TestTidy: what a killed process was writing goes, what one that lives is writing stays.
func TestTidy(t *testing.T) {
	store := &Store{Dir: t.TempDir()}
	_, raw := received(t, store)
	gone := exec.Command("true")
	if err := gone.Run(); err != nil {
		t.Fatal(err)
	}
	was := files(t, store.Dir)
	path := store.manifestPath("app", sum(raw))
	for _, pid := range []int{gone.Process.Pid, os.Getppid()} {
		temp := filepath.Join(filepath.Dir(path), fmt.Sprintf(".%s.new-%d-1", filepath.Base(path), pid))
		if err := os.WriteFile(temp, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := store.Tidy("app"); err != nil {
		t.Fatal(err)
	}
	if left := files(t, store.Dir); len(left) != len(was)+1 {
		t.Errorf("there are %v; before they were %v", left, was)
	}
	if err := store.Tidy("../app"); err == nil {
		t.Error("tidied what is no app's")
	}
}

func TestSweep(t *testing.T) {
	store := &Store{Dir: t.TempDir()}
	s, raw := received(t, store)
	s.put([]byte("never used"))
	if n, err := store.Sweep(time.Hour); n != 0 || err != nil {
		t.Fatalf("young things: %d, %v", n, err)
	}
	n, err := store.Sweep(-time.Hour)
	if err != nil || n != 5 { // the upload, two references, two blobs
		t.Errorf("removed %d, %v: %v", n, err, files(t, store.Dir))
	}
	if _, err := store.Image("app", sum(raw)); err != nil {
		t.Errorf("the record: %v", err)
	}
	store.Has = func(context.Context, string, string) bool { return false }
	if err := store.Drop("app", sum(raw)); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Sweep(-time.Hour); err != nil {
		t.Fatal(err)
	}
	if left := files(t, store.Dir); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
}

func TestFullDiskAndQuota(t *testing.T) {
	s := newSite(t, &Store{Dir: t.TempDir(), Quota: 100}, "app", nil)
	up := s.begin()
	path := s.uploadPath("app", filepath.Base(up))
	// The kernel's own full device stands for a full disk.
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/dev/full", path); err != nil {
		t.Fatal(err)
	}
	r, text := s.do("PATCH", up, []byte("hello"), "Content-Range", "0-4")
	if r.StatusCode != http.StatusInsufficientStorage || !strings.Contains(text, "disk is full") || strings.Contains(text, s.Dir) {
		t.Errorf("full disk: %s %s", r.Status, text)
	}
	s.put(make([]byte, 60))
	s.refused("more than the rest", 413, "DENIED", func() (*http.Response, string) {
		return s.do("POST", "/blobs/uploads/?digest="+sum(make([]byte, 41)), make([]byte, 41))
	})
	up = s.begin()
	if r, text := s.chunked(up, "0-40", strings.Repeat("x", 41)); r.StatusCode != 413 {
		t.Errorf("chunked: %s %s", r.Status, text)
	}
	s.put(append(make([]byte, 39), 1))
	s.refused("full", 413, "DENIED", func() (*http.Response, string) { return s.do("POST", "/blobs/uploads/", nil) })
}
