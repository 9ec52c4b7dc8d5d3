package build

import (
	"archive/tar"
	"bytes"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"github.com/dokku-push/dokku-push/api"
)

// bills is an image with a layer as the lifecycle makes it, and its label.
func bills(t *testing.T, label string, files map[string]string) v1.Image {
	t.Helper()
	var content bytes.Buffer
	archive := tar.NewWriter(&content)
	for name, text := range files {
		if err := archive.WriteHeader(&tar.Header{Name: name, Mode: 0o600, Size: int64(len(text))}); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(archive, text); err != nil {
			t.Fatal(err)
		}
	}
	if err := archive.Close(); err != nil {
		t.Fatal(err)
	}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(content.Bytes())), nil })
	if err != nil {
		t.Fatal(err)
	}
	image, err := mutate.AppendLayers(empty.Image, layer)
	if err != nil {
		t.Fatal(err)
	}
	id, err := layer.DiffID()
	if err != nil {
		t.Fatal(err)
	}
	if label == "" {
		label = `{"sbom": {"sha": "` + id.String() + `"}}`
	}
	image, err = mutate.Config(image, v1.Config{Labels: map[string]string{lifecycleLabel: label}})
	if err != nil {
		t.Fatal(err)
	}
	return image
}

func TestWriteSBOM(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "sbom")
	names, err := WriteSBOM(bills(t, "", map[string]string{"/layers/sbom/launch/hello/launch/sbom.cdx.json": `{"a": 1}`, "/workspace/other": "x"}), folder)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"hello/launch/sbom.cdx.json"}, names); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if text, err := os.ReadFile(filepath.Join(folder, names[0])); err != nil || string(text) != `{"a": 1}` {
		t.Errorf("%q, %v", text, err)
	}
	if _, err := os.Stat(filepath.Join(folder, "workspace")); err == nil {
		t.Error("what is no bill was written")
	}
}

func TestNoSBOM(t *testing.T) {
	none := t.TempDir()
	for name, test := range map[string]struct {
		image v1.Image
		code  api.Code
	}{
		"no label":         {empty.Image, api.NotFound},
		"no bill":          {bills(t, `{"sbom": {}}`, nil), api.NotFound},
		"a broken label":   {bills(t, `{`, nil), api.BuildFailed},
		"no such layer":    {bills(t, `{"sbom": {"sha": "sha256:`+string(bytes.Repeat([]byte("a"), 64))+`"}}`, nil), api.BuildFailed},
		"no digest":        {bills(t, `{"sbom": {"sha": "x"}}`, nil), api.BuildFailed},
		"out of its place": {bills(t, "", map[string]string{"/layers/sbom/launch/../../../../evil": "x"}), ""},
	} {
		_, err := WriteSBOM(test.image, filepath.Join(none, "in"))
		if got := api.AsError(err); (got == nil) != (test.code == "") || got != nil && got.Code != test.code {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := os.Stat(filepath.Join(none, "evil")); err == nil {
		t.Error("a name led out of the folder")
	}
}
