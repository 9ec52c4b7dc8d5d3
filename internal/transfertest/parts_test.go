package transfertest

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/dokku-push/dokku-push/agent/store"
	"github.com/dokku-push/dokku-push/remote"
)

// serve gives a store's push side for one app an address.
func serve(t *testing.T, s *store.Store, app string, may func(string) bool) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(s.Handler(app, may))
	t.Cleanup(server.Close)
	return server
}

func transfer(t *testing.T, server *httptest.Server) *remote.Transfer {
	return &remote.Transfer{HTTP: server.Client(), Base: server.URL, StateDir: t.TempDir()}
}

// layer is one file in a tar, packed as Docker does.
func layer(t *testing.T, name string, mode int64, data []byte) v1.Layer {
	t.Helper()
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	if err := w.WriteHeader(&tar.Header{Name: name, Mode: mode, Size: int64(len(data)), Typeflag: tar.TypeReg}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	l, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(buf.Bytes())), nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// noise is a layer that does not shrink, the same for the same seed.
func noise(t *testing.T, seed byte, size int) v1.Layer {
	t.Helper()
	data := make([]byte, size)
	r := rand.NewChaCha8([32]byte{seed})
	r.Read(data)
	return layer(t, fmt.Sprintf("noise-%d", seed), 0o644, data)
}

func busybox(t *testing.T) v1.Layer {
	t.Helper()
	program, err := os.ReadFile("/bin/busybox")
	if err != nil {
		t.Fatalf("busybox-static is needed: %v", err)
	}
	return layer(t, "bin/busybox", 0o755, program)
}

func image(t *testing.T, layers ...v1.Layer) v1.Image {
	t.Helper()
	img, err := mutate.ConfigFile(mutate.MediaType(empty.Image, types.DockerManifestSchema2), &v1.ConfigFile{
		OS: "linux", Architecture: "amd64",
		RootFS: v1.RootFS{Type: "layers"},
		Config: v1.Config{Cmd: []string{"/bin/busybox", "true"}},
	})
	if err == nil {
		img, err = mutate.AppendLayers(img, layers...)
	}
	if err != nil {
		t.Fatal(err)
	}
	return img
}

func digestOf(t *testing.T, d interface{ Digest() (v1.Hash, error) }) string {
	t.Helper()
	h, err := d.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return h.String()
}

func sizeOf(t *testing.T, l v1.Layer) int64 {
	t.Helper()
	n, err := l.Size()
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// tree is every file below a folder with the checksum of its content.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		sum := sha256.Sum256(data)
		files[strings.TrimPrefix(path, dir)] = hex.EncodeToString(sum[:])
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// request is one raw request to a store.
func request(t *testing.T, method, url string, body []byte, header map[string]string) *http.Response {
	t.Helper()
	r, err := http.NewRequest(method, url, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for k, v := range header {
		r.Header.Set(k, v)
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	response.Body = io.NopCloser(bytes.NewReader(text))
	return response
}

// cutting fails every PATCH body after some bytes, as a lost connection does,
// as often as it is told to.
type cutting struct {
	next http.RoundTripper

	mu    sync.Mutex
	after int64
	times int
	seen  []string // METHOD path
}

func (c *cutting) RoundTrip(r *http.Request) (*http.Response, error) {
	c.mu.Lock()
	c.seen = append(c.seen, r.Method+" "+r.URL.Path)
	cut := r.Method == http.MethodPatch && c.times > 0 && r.ContentLength > c.after
	if cut {
		c.times--
	}
	c.mu.Unlock()
	if cut {
		r = r.Clone(r.Context())
		r.Body = struct {
			io.Reader
			io.Closer
		}{io.MultiReader(io.LimitReader(r.Body, c.after), broken{}), r.Body}
	}
	return c.next.RoundTrip(r)
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, io.ErrClosedPipe }
