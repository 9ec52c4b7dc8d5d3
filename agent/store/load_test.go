package store

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/api"
)

// file is an entry of an archive; one without a kind is a regular file.
type file struct {
	name, text string
	kind       byte
	link       string
}

func tarred(t *testing.T, files ...file) []byte {
	t.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, one := range files {
		header := &tar.Header{Name: one.name, Mode: 0o644, Size: int64(len(one.text)), Typeflag: tar.TypeReg, Linkname: one.link}
		if one.kind != 0 {
			header.Typeflag = one.kind
		}
		if err := w.WriteHeader(header); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(one.text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func marshal(t *testing.T, value any) string {
	t.Helper()
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

const layerText, otherLayer = "one layer, as a tar", "and another"

// configOf is an image's config for these layers.
func configOf(t *testing.T, arch string, layers ...string) string {
	t.Helper()
	var tars []string
	for _, layer := range layers {
		tars = append(tars, sum([]byte(layer)))
	}
	return marshal(t, map[string]any{"os": "linux", "architecture": arch, "rootfs": map[string]any{"type": "layers", "diff_ids": tars}})
}

// savedImage is what docker save writes of two images that share a layer.
func savedImage(t *testing.T) []file {
	t.Helper()
	config, other := configOf(t, "amd64", layerText), configOf(t, "amd64", layerText, otherLayer)
	return []file{
		{name: "one/", kind: tar.TypeDir}, {name: "one/VERSION", text: "1.0"}, {name: "one/layer.tar", text: layerText},
		{name: "two/layer.tar", kind: tar.TypeSymlink, link: "../one/layer.tar"}, {name: "three/layer.tar", text: otherLayer},
		{name: "a.json", text: config}, {name: "b.json", text: other},
		{name: "manifest.json", text: marshal(t, []saved{{"a.json", []string{"shop:1"}, []string{"one/layer.tar"}}, {"b.json", []string{"example.com/shop:2"}, []string{"two/layer.tar", "three/layer.tar"}}})},
		{name: "repositories", text: "{}"},
	}
}

// layoutImage is an OCI layout of an image for two platforms.
func layoutImage(t *testing.T) []file {
	t.Helper()
	files := []file{{name: "oci-layout", text: `{"imageLayoutVersion":"1.0.0"}`}}
	blob := func(text string) (digest string, size int) {
		files = append(files, file{name: "blobs/sha256/" + hexOf(sum([]byte(text))), text: text})
		return sum([]byte(text)), len(text)
	}
	var entries []any
	for _, arch := range []string{"arm64", "amd64"} {
		layer := layerText + arch
		layerDigest, layerSize := blob(layer)
		config, configSize := blob(configOf(t, arch, layer))
		manifest, size := blob(marshal(t, map[string]any{"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
			"config": map[string]any{"mediaType": "application/vnd.oci.image.config.v1+json", "digest": config, "size": configSize},
			"layers": []any{map[string]any{"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": layerDigest, "size": layerSize}}}))
		entries = append(entries, map[string]any{"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": manifest, "size": size,
			"platform": map[string]string{"os": "linux", "architecture": arch}})
	}
	index, size := blob(marshal(t, map[string]any{"schemaVersion": 2, "manifests": entries}))
	return append(files, file{name: "index.json", text: marshal(t, map[string]any{"schemaVersion": 2, "manifests": []any{map[string]any{
		"mediaType": "application/vnd.oci.image.index.v1+json", "digest": index, "size": size,
		"annotations": map[string]string{"org.opencontainers.image.ref.name": "1.2"}}}})})
}

var here = agent.EngineInfo{OS: "linux", Arch: "amd64"}

// contents are the files of a store.
func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	found := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || entry.Name() == "lock" {
			return err
		}
		text, err := os.ReadFile(path)
		found[strings.TrimPrefix(path, dir)] = string(text)
		return err
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return found
}

// TestLoad: the image that is meant is kept, whole and by its digest, and nothing else.
func TestLoad(t *testing.T) {
	two := configOf(t, "amd64", layerText, otherLayer)
	for name, test := range map[string]struct {
		files  []file
		image  string
		config string
		layers []string
	}{
		"docker save":             {savedImage(t), "shop:1", configOf(t, "amd64", layerText), []string{layerText}},
		"a layer of both":         {savedImage(t), "example.com/shop:2", two, []string{layerText, otherLayer}},
		"Docker's name of it":     {savedImage(t), "docker.io/library/shop:1", configOf(t, "amd64", layerText), []string{layerText}},
		"OCI layout":              {layoutImage(t), "team/shop:1.2", configOf(t, "amd64", layerText+"amd64"), []string{layerText + "amd64"}},
		"an image without a name": {[]file{{name: "l", text: layerText}, {name: "c", text: configOf(t, "amd64", layerText)}, {name: "manifest.json", text: marshal(t, []saved{{Config: "c", Layers: []string{"l"}}})}}, "any:1", configOf(t, "amd64", layerText), []string{layerText}},
	} {
		for _, pack := range []func([]byte) []byte{func(b []byte) []byte { return b }, func(b []byte) []byte { return packed(string(b)) }} {
			s := &Store{Dir: t.TempDir()}
			image, err := s.Load(context.Background(), "app", test.image, here, bytes.NewReader(pack(tarred(t, test.files...))))
			if err != nil || image.ID != sum([]byte(test.config)) {
				t.Errorf("%s: %+v, %v", name, image, err)
				continue
			}
			layers, err := s.Layers("app")
			if err != nil || len(layers) != len(test.layers) {
				t.Errorf("%s: %+v, %v", name, layers, err)
			}
			want := []string{hexOf(image.ID)}
			for n, layer := range layers {
				if layer.Digest != sum([]byte(test.layers[n])) {
					t.Errorf("%s: layer %d is %s", name, n, layer.Digest)
				}
				want = append(want, hexOf(layer.Digest))
			}
			held, err := names(filepath.Join(s.Dir, "blobs", "sha256"))
			slices.Sort(want)
			if slices.Sort(held); err != nil || !slices.Equal(held, want) {
				t.Errorf("%s: %v is kept, want %v", name, held, want)
			}
		}
	}
}

// TestLoadRefused: an archive that is not what it says leaves nothing behind and touches
// nothing (ALSO-REFUSE 17 to 22, 27 to 32).
func TestLoadRefused(t *testing.T) {
	replaced := func(files []file, name string, with file) []file {
		files = slices.Clone(files)
		for n := range files {
			if strings.HasPrefix(files[n].name, name) {
				files[n] = with
				break
			}
		}
		return files
	}
	with := func(extra file) []byte { return tarred(t, append([]file{extra}, savedImage(t)...)...) }
	whole := tarred(t, savedImage(t)...)
	layout := layoutImage(t)
	many := make([]file, mostEntries+1)
	for n := range many {
		many[n] = file{name: fmt.Sprint("f", n, "/"), kind: tar.TypeDir}
	}
	for name, test := range map[string]struct {
		archive []byte
		image   string
		message string
	}{
		"nothing":              {nil, "shop:1", "nothing in it"},
		"no archive":           {[]byte(strings.Repeat("no archive at all ", 100)), "shop:1", "no whole archive"},
		"cut off":              {whole[:1600], "shop:1", "no whole archive"},
		"cut off at the end":   {whole[:len(whole)-1024], "shop:1", "no whole archive"},
		"cut off gzip":         {packed(string(whole))[:300], "shop:1", "no whole archive"},
		"two archives":         {append(slices.Clone(whole), whole...), "shop:1", "behind its end"},
		"another name":         {whole, "shop:3", "there is shop:1, example.com/shop:2"},
		"absolute":             {with(file{name: "/etc/canary", text: "x"}), "shop:1", "no name of a file"},
		"upwards":              {with(file{name: "../canary", text: "x"}), "shop:1", "no name of a file"},
		"upwards within":       {with(file{name: "a/../../canary", text: "x"}), "shop:1", "no name of a file"},
		"backslash":            {with(file{name: `..\canary`, text: "x"}), "shop:1", "no name of a file"},
		"control character":    {with(file{name: "a\x1b[2J", text: "x"}), "shop:1", "no name of a file"},
		"link outwards":        {with(file{name: "l", kind: tar.TypeSymlink, link: "../../etc/passwd"}), "shop:1", "leads out"},
		"absolute link":        {with(file{name: "l", kind: tar.TypeSymlink, link: "/etc/passwd"}), "shop:1", "leads out"},
		"hard link":            {with(file{name: "l", kind: tar.TypeLink, link: "/etc/passwd"}), "shop:1", "neither a file"},
		"device":               {with(file{name: "d", kind: tar.TypeChar}), "shop:1", "neither a file"},
		"fifo":                 {with(file{name: "d", kind: tar.TypeFifo}), "shop:1", "neither a file"},
		"twice":                {with(file{name: "a.json", text: "x"}), "shop:1", "twice"},
		"too many":             {tarred(t, many...), "shop:1", "more than"},
		"a config elsewhere":   {tarred(t, replaced(savedImage(t), "a.json", file{name: "elsewhere", text: "{}"})...), "shop:1", "is not in it"},
		"no config":            {tarred(t, replaced(savedImage(t), "a.json", file{name: "a.json", text: "{"})...), "shop:1", "not JSON"},
		"a layer too few":      {tarred(t, replaced(savedImage(t), "a.json", file{name: "a.json", text: configOf(t, "amd64", layerText, otherLayer)})...), "shop:1", "lists 2 layers"},
		"no manifest":          {tarred(t, file{name: "x", text: "x"}), "shop:1", "no image archive"},
		"a large manifest":     {tarred(t, replaced(savedImage(t), "manifest.json", file{name: "manifest.json", text: strings.Repeat(" ", maxManifest+1)})...), "shop:1", "more than"},
		"a blob that lies":     {tarred(t, replaced(layout, "blobs/", file{name: layout[1].name, text: "something else"})...), "team/shop:1.2", "has the digest"},
		"a layout's other tag": {tarred(t, layout...), "team/shop:2", "there is no"},
	} {
		dir := t.TempDir()
		canary := filepath.Join(dir, "canary")
		if err := os.WriteFile(canary, []byte("untouched"), 0o600); err != nil {
			t.Fatal(err)
		}
		s := &Store{Dir: filepath.Join(dir, "store")}
		kept, err := s.Load(context.Background(), "app", "kept:1", here, bytes.NewReader(tarred(t, file{name: "l", text: otherLayer}, file{name: "c", text: configOf(t, "amd64", otherLayer)},
			file{name: "manifest.json", text: marshal(t, []saved{{"c", []string{"kept:1"}, []string{"l"}}})})))
		if err != nil || kept.ID == "" {
			t.Fatal(err)
		}
		before := contents(t, dir)
		_, err = s.Load(context.Background(), "app", test.image, here, bytes.NewReader(test.archive))
		if problem := api.AsError(err); err == nil || problem.Code != api.Refused || !strings.Contains(problem.Message, test.message) {
			t.Errorf("%s: %v, want %q", name, err, test.message)
		}
		if after := contents(t, dir); !maps.Equal(before, after) {
			t.Errorf("%s: %v\nthen %v", name, slices.Sorted(maps.Keys(before)), slices.Sorted(maps.Keys(after)))
		}
	}
}

// TestLoadLimits: an archive fills no disk, neither as it is nor once it is unpacked, and
// one for other machines is named as such.
func TestLoadLimits(t *testing.T) {
	endless := io.MultiReader(bytes.NewReader(tarred(t, file{name: "l", text: strings.Repeat("x", 1<<16)})[:512+1<<16]), strings.NewReader(""))
	s := &Store{Dir: t.TempDir(), Quota: 1 << 12}
	if _, err := s.Load(context.Background(), "app", "shop:1", here, endless); !errors.Is(err, errQuota) {
		t.Errorf("more than the quota: %v", err)
	}
	bomb := packed(string(tarred(t, file{name: "l", text: strings.Repeat("\x00", 1<<20)})))
	if _, err := s.Load(context.Background(), "app", "shop:1", here, bytes.NewReader(bomb)); len(bomb) > 1<<12 || !errors.Is(err, errQuota) {
		t.Errorf("more than the quota once it is unpacked: %v", err)
	}
	if left := contents(t, s.Dir); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
	s.Quota = 0
	_, err := s.Load(context.Background(), "app", "team/shop:1.2", agent.EngineInfo{OS: "linux", Arch: "riscv64"}, bytes.NewReader(tarred(t, layoutImage(t)...)))
	if err == nil || !strings.Contains(err.Error(), "linux/riscv64") {
		t.Errorf("for another machine: %v", err)
	}
}

// TestTagged: what a client has pushed under a tag is found by it, for its app alone.
func TestTagged(t *testing.T) {
	s := newSite(t, &Store{Dir: t.TempDir()}, "app", nil)
	raw := s.ready(s.image("one layer"))
	if r, text := s.do("PUT", "/manifests/ci", raw, "Content-Type", dockerManifest); r.StatusCode != 201 {
		t.Fatalf("%d: %s", r.StatusCode, text)
	}
	image, err := s.Tagged("app", "ci")
	if id, idErr := s.Image("app", sum(raw)); err != nil || idErr != nil || image.Manifest != sum(raw) || image.ID != id {
		t.Errorf("%+v, %v, %v", image, err, idErr)
	}
	for _, other := range [][2]string{{"app", "cd"}, {"other", "ci"}, {"app", "../tags/ci"}, {"../app", "ci"}, {"app", ""}} {
		if _, err := s.Tagged(other[0], other[1]); !errors.Is(err, agent.ErrNotFound) {
			t.Errorf("%q: %v", other, err)
		}
	}
}
