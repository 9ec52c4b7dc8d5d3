package store

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
)

// image is a manifest as loose JSON, to be bent.
type image struct {
	manifest map[string]any
	config   map[string]any
}

func (s site) image(layers ...string) image {
	var descriptors, diffs []any
	for _, l := range layers {
		b := packed(l)
		s.put(b)
		descriptors = append(descriptors, map[string]any{"mediaType": "application/vnd.docker.image.rootfs.diff.tar.gzip", "size": len(b), "digest": sum(b)})
		diffs = append(diffs, sum([]byte(l)))
	}
	return image{
		manifest: map[string]any{"schemaVersion": 2, "mediaType": dockerManifest, "layers": descriptors},
		config:   map[string]any{"os": "linux", "architecture": "amd64", "rootfs": map[string]any{"type": "layers", "diff_ids": diffs}},
	}
}

func (i image) layer(n int) map[string]any { return i.manifest["layers"].([]any)[n].(map[string]any) }

func encode(t *testing.T, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// ready sends the config and gives the manifest's bytes.
func (s site) ready(i image) []byte {
	c := encode(s.t, i.config)
	s.put(c)
	if _, bent := i.manifest["config"]; !bent {
		i.manifest["config"] = map[string]any{"mediaType": "application/vnd.docker.container.image.v1+json", "size": len(c), "digest": sum(c)}
	}
	return encode(s.t, i.manifest)
}

func (s site) putManifest(raw []byte, kind string) (*http.Response, string) {
	return s.do("PUT", "/manifests/"+sum(raw), raw, "Content-Type", kind)
}

func TestManifestRefusals(t *testing.T) {
	s := newSite(t, &Store{Dir: t.TempDir()}, "app", nil)
	const oneLayer = "application/vnd.docker.image.rootfs.diff.tar.gzip"
	cases := map[string]struct {
		bend   func(image)
		kind   string
		status int
		code   string
	}{
		"index type":       {func(i image) { i.manifest["mediaType"] = "application/vnd.oci.image.index.v1+json" }, "application/vnd.oci.image.index.v1+json", 400, "MANIFEST_INVALID"},
		"schema 1":         {func(i image) { i.manifest["schemaVersion"] = 1 }, "application/vnd.docker.distribution.manifest.v1+prettyjws", 400, "MANIFEST_INVALID"},
		"no type":          {func(image) {}, "", 400, "MANIFEST_INVALID"},
		"two types":        {func(image) {}, "application/vnd.oci.image.manifest.v1+json", 400, "MANIFEST_INVALID"},
		"version":          {func(i image) { i.manifest["schemaVersion"] = 3 }, dockerManifest, 400, "MANIFEST_INVALID"},
		"index inside":     {func(i image) { i.manifest["manifests"] = []any{} }, dockerManifest, 400, "MANIFEST_INVALID"},
		"schema 1 inside":  {func(i image) { i.manifest["fsLayers"] = []any{1} }, dockerManifest, 400, "MANIFEST_INVALID"},
		"no layers":        {func(i image) { i.manifest["layers"] = []any{} }, dockerManifest, 400, "MANIFEST_INVALID"},
		"128 layers":       {func(i image) { i.manifest["layers"] = bytes128(i.layer(0)) }, dockerManifest, 400, "MANIFEST_INVALID"},
		"too long":         {func(i image) { i.manifest["x"] = strings.Repeat("x", maxManifest) }, dockerManifest, 413, "MANIFEST_INVALID"},
		"negative":         {func(i image) { i.layer(0)["size"] = -1 }, dockerManifest, 400, "MANIFEST_INVALID"},
		"huge":             {func(i image) { i.layer(0)["size"] = int64(1) << 62 }, dockerManifest, 400, "MANIFEST_INVALID"},
		"beyond int64":     {func(i image) { i.layer(0)["size"] = 1e30 }, dockerManifest, 400, "MANIFEST_INVALID"},
		"another size":     {func(i image) { i.layer(0)["size"] = 7 }, dockerManifest, 400, "SIZE_INVALID"},
		"upper case":       {func(i image) { i.layer(0)["digest"] = "sha256:" + strings.Repeat("AB", 32) }, dockerManifest, 400, "MANIFEST_INVALID"},
		"md5":              {func(i image) { i.layer(0)["digest"] = "md5:" + strings.Repeat("ab", 16) }, dockerManifest, 400, "MANIFEST_INVALID"},
		"short digest":     {func(i image) { i.layer(0)["digest"] = "sha256:ab" }, dockerManifest, 400, "MANIFEST_INVALID"},
		"path as digest":   {func(i image) { i.layer(0)["digest"] = "../../x" }, dockerManifest, 400, "MANIFEST_INVALID"},
		"urls":             {func(i image) { i.layer(0)["urls"] = []string{"http://169.254.169.254/"} }, dockerManifest, 400, "MANIFEST_INVALID"},
		"foreign layer":    {func(i image) { i.layer(0)["mediaType"] = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip" }, dockerManifest, 400, "MANIFEST_INVALID"},
		"not zstd":         {func(i image) { i.layer(0)["mediaType"] = "application/vnd.oci.image.layer.v1.tar+zstd" }, dockerManifest, 400, "MANIFEST_INVALID"},
		"config type":      {func(i image) { i.manifest["config"] = i.layer(0) }, dockerManifest, 400, "MANIFEST_INVALID"},
		"layer not here":   {func(i image) { i.layer(0)["digest"] = sum([]byte("nowhere")) }, dockerManifest, 404, "MANIFEST_BLOB_UNKNOWN"},
		"too few diff ids": {func(i image) { i.config["rootfs"] = map[string]any{"type": "layers", "diff_ids": []any{}} }, dockerManifest, 400, "MANIFEST_INVALID"},
		"one content twice": {func(i image) {
			i.config["rootfs"] = map[string]any{"type": "layers", "diff_ids": []string{sum(nil), sum(nil)}}
		}, dockerManifest, 400, "MANIFEST_INVALID"},
		"bad diff id":     {func(i image) { i.config["rootfs"] = map[string]any{"type": "layers", "diff_ids": []string{"x", "y"}} }, dockerManifest, 400, "MANIFEST_INVALID"},
		"no os":           {func(i image) { delete(i.config, "os") }, dockerManifest, 400, "MANIFEST_INVALID"},
		"no architecture": {func(i image) { delete(i.config, "architecture") }, dockerManifest, 400, "MANIFEST_INVALID"},
		"two sizes, a digest": {func(i image) {
			i.manifest["layers"] = append(i.manifest["layers"].([]any), map[string]any{"mediaType": oneLayer, "size": 1, "digest": i.layer(0)["digest"]})
		}, dockerManifest, 400, "MANIFEST_INVALID"},
	}
	for name, c := range cases {
		i := s.image("one", "two")
		c.bend(i)
		raw := s.ready(i)
		s.refused(name, c.status, c.code, func() (*http.Response, string) { return s.putManifest(raw, c.kind) })
	}
	raw := s.ready(s.image("one", "two"))
	s.refused("garbage", 400, "MANIFEST_INVALID", func() (*http.Response, string) { return s.putManifest([]byte("{"), dockerManifest) })
	s.refused("something behind", 400, "MANIFEST_INVALID", func() (*http.Response, string) { return s.putManifest(append(raw, "{}"...), dockerManifest) })
	s.refused("another digest", 400, "DIGEST_INVALID", func() (*http.Response, string) {
		return s.do("PUT", "/manifests/"+sum(nil), raw, "Content-Type", dockerManifest)
	})
	if r, text := s.putManifest(raw, dockerManifest); r.StatusCode != http.StatusCreated {
		t.Fatalf("the straight one: %s %s", r.Status, text)
	}
	if r, _ := s.do("PUT", "/manifests/v1", raw, "Content-Type", dockerManifest); r.StatusCode != http.StatusCreated {
		t.Fatal(r.Status)
	}
	if r, text := s.do("GET", "/manifests/v1", nil); r.StatusCode != 200 || text != string(raw) || r.Header.Get("Content-Type") != dockerManifest {
		t.Fatalf("by tag: %s %s", r.Status, text)
	}
}

func bytes128(l map[string]any) (list []any) {
	for range 128 {
		list = append(list, l)
	}
	return list
}
