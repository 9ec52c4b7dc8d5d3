package store

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/api"
)

// saved is an image in the manifest.json of docker save.
type saved struct {
	Config   string
	RepoTags []string
	Layers   []string
}

// indexed is an entry of an OCI index.
type indexed struct {
	MediaType types.MediaType `json:"mediaType"`
	Digest    string          `json:"digest"`
	Platform  *struct {
		OS   string `json:"os"`
		Arch string `json:"architecture"`
	} `json:"platform"`
	Annotations map[string]string `json:"annotations"`
}

// names are what an entry of an index says that it is called.
func (i indexed) names() (names []string) {
	for _, key := range []string{"io.containerd.image.name", "org.opencontainers.image.ref.name"} {
		if name := i.Annotations[key]; name != "" {
			names = append(names, name)
		}
	}
	return names
}

// choose finds the image of that name and gives its manifest: its own, or one made of what
// docker save says of it.
func (l *loading) choose(name string) ([]byte, types.MediaType, error) {
	if _, ok := l.files["manifest.json"]; ok {
		return l.chooseSaved(name)
	}
	if _, ok := l.files["index.json"]; !ok {
		return nil, "", bad("", "no image archive: there is neither a manifest.json, as docker save writes, nor an index.json")
	}
	raw, err := l.text("index.json", maxManifest)
	if err != nil {
		return nil, "", err
	}
	index, err := entriesOf("index.json", raw)
	if err != nil {
		return nil, "", err
	}
	matching := slices.DeleteFunc(slices.Clone(index), func(one indexed) bool { return !called(name, one.names()) })
	if len(matching) == 0 && len(index) == 1 && len(index[0].names()) == 0 {
		matching = index
	}
	if len(matching) == 0 {
		var have []string
		for _, one := range index {
			have = append(have, one.names()...)
		}
		return nil, "", notInIt(name, have)
	}
	raw, mediaType, err := l.descend(matching, 0)
	if raw == nil && err == nil {
		err = bad("", "the image %s in it is for other machines than this host: %s/%s", name, l.platform.OS, l.platform.Arch)
	}
	return raw, mediaType, err
}

func notInIt(name string, have []string) error {
	if len(have) == 0 {
		have = []string{"images without a name"}
	}
	return bad("", "there is no %.100q in it; there is %.500s", name, strings.Join(have, ", "))
}

// descend looks for the image of the host's platform, below two indexes at most.
func (l *loading) descend(index []indexed, depth int) ([]byte, types.MediaType, error) {
	if depth > 2 {
		return nil, "", bad("", "its indexes are nested deeper than 2")
	}
	for _, one := range index {
		if p := one.Platform; p != nil && (p.OS != l.platform.OS || p.Arch != l.platform.Arch) {
			continue
		}
		if !digestForm.MatchString(one.Digest) {
			return nil, "", bad("index.json", "%.100q is no digest", one.Digest)
		}
		place := "blobs/sha256/" + hexOf(one.Digest)
		raw, err := l.text(place, maxManifest)
		if err != nil {
			return nil, "", err
		}
		if !one.MediaType.IsIndex() {
			return raw, one.MediaType, nil
		}
		below, err := entriesOf(place, raw)
		if err != nil {
			return nil, "", err
		}
		if raw, mediaType, err := l.descend(below, depth+1); raw != nil || err != nil {
			return raw, mediaType, err
		}
	}
	return nil, "", nil
}

func entriesOf(place string, raw []byte) ([]indexed, error) {
	var index struct {
		SchemaVersion int       `json:"schemaVersion"`
		Manifests     []indexed `json:"manifests"`
	}
	if err := decode(raw, &index); err != nil || index.SchemaVersion != 2 {
		return nil, bad(place, "no index of images")
	}
	return index.Manifests, nil
}

// chooseSaved makes the manifest of an image that docker save wrote: its layers are plain
// tars there, or packed as their first bytes say.
func (l *loading) chooseSaved(name string) ([]byte, types.MediaType, error) {
	raw, err := l.text("manifest.json", maxManifest)
	if err != nil {
		return nil, "", err
	}
	var images []saved
	if err := decode(raw, &images); err != nil {
		return nil, "", bad("manifest.json", "%v", err)
	}
	var have []string
	at := slices.IndexFunc(images, func(one saved) bool {
		have = append(have, one.RepoTags...)
		return called(name, one.RepoTags)
	})
	if at < 0 && len(images) == 1 && len(have) == 0 {
		at = 0
	}
	if at < 0 {
		return nil, "", notInIt(name, have)
	}
	image := images[at]
	if len(image.Layers) > maxLayers {
		return nil, "", bad("manifest.json", "the image has more than %d layers", maxLayers)
	}
	config, err := l.find(image.Config)
	if err != nil {
		return nil, "", err
	}
	manifest := imageManifest{SchemaVersion: 2, MediaType: types.DockerManifestSchema2,
		Config: descriptor{MediaType: types.DockerConfigJSON, Size: config.size, Digest: config.digest}}
	for _, layer := range image.Layers {
		file, err := l.find(layer)
		if err != nil {
			return nil, "", err
		}
		packed, err := l.packedAs(file)
		if err != nil {
			return nil, "", err
		}
		manifest.Layers = append(manifest.Layers, descriptor{MediaType: packed, Size: file.size, Digest: file.digest})
	}
	text, err := json.Marshal(manifest)
	return text, manifest.MediaType, err
}

// packedAs tells from its first bytes how a layer is packed.
func (l *loading) packedAs(file archived) (types.MediaType, error) {
	f, err := os.Open(l.store.blobPath(file.digest))
	if err != nil {
		return "", fmt.Errorf("read a layer: %w", err)
	}
	defer f.Close()
	first := make([]byte, 4)
	if n, err := io.ReadFull(f, first); err != nil {
		first = first[:n]
	}
	for _, packed := range []types.MediaType{types.DockerLayer, types.OCILayerZStd} {
		if bytes.HasPrefix(first, magicOf(packed)) {
			return packed, nil
		}
	}
	return types.DockerUncompressedLayer, nil
}

// called tells whether one of the names that an archive gives an image is that name. Some
// archives give the tag alone.
func called(name string, names []string) bool {
	want := fullName(name)
	_, tag, _ := strings.Cut(want[strings.LastIndex(want, "/")+1:], ":")
	return slices.ContainsFunc(names, func(one string) bool {
		return fullName(one) == want || tagForm.MatchString(one) && one == tag
	})
}

// fullName is an image's name with all that Docker leaves out.
func fullName(name string) string {
	name = strings.TrimPrefix(strings.TrimPrefix(name, "docker.io/"), "index.docker.io/")
	name = strings.TrimPrefix(name, "library/")
	if last := name[strings.LastIndex(name, "/")+1:]; !strings.ContainsAny(last, ":@") {
		name += ":latest"
	}
	return name
}

func digestOf(raw []byte) string {
	sum := sha256.Sum256(raw)
	return digestBytes(sum[:])
}

func digestBytes(sum []byte) string { return "sha256:" + hex.EncodeToString(sum) }

// Tagged is the image that a client has pushed for an app under a tag. The error wraps
// agent.ErrNotFound where there is none.
func (s *Store) Tagged(app, tag string) (api.Image, error) {
	if !appForm.MatchString(app) || !tagForm.MatchString(tag) {
		return api.Image{}, fmt.Errorf("tag %q of %q: %w", tag, app, agent.ErrNotFound)
	}
	rec, err := s.resolve(app, tag)
	if errors.Is(err, errUnknown) {
		return api.Image{}, fmt.Errorf("tag %s of %s: %w", tag, app, agent.ErrNotFound)
	}
	return api.Image{ID: rec.Config, Manifest: rec.Digest}, err
}
