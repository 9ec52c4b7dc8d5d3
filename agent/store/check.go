package store

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/google/go-containerregistry/pkg/v1/types"
)

const (
	maxManifest = 1 << 20 // bytes
	maxConfig   = 8 << 20 // bytes
	maxLayers   = 127     // what the engine can stack
)

// imageManifest is what an image manifest of either kind says. The fields of
// other documents are there to be refused: a document that is two kinds at once
// means different things to different readers.
type imageManifest struct {
	SchemaVersion int               `json:"schemaVersion"`
	MediaType     types.MediaType   `json:"mediaType"`
	Config        descriptor        `json:"config"`
	Layers        []descriptor      `json:"layers"`
	Manifests     []json.RawMessage `json:"manifests,omitempty"`
	FSLayers      []json.RawMessage `json:"fsLayers,omitempty"`
}

type descriptor struct {
	MediaType types.MediaType `json:"mediaType"`
	Size      int64           `json:"size"`
	Digest    string          `json:"digest"`
	URLs      []string        `json:"urls,omitempty"`
}

// imageConfig is what the engine cannot do without.
type imageConfig struct {
	OS           string `json:"os"`
	Architecture string `json:"architecture"`
	RootFS       struct {
		Type    string   `json:"type"`
		DiffIDs []string `json:"diff_ids"`
	} `json:"rootfs"`
}

// parseManifest reads a manifest that a client sent and refuses all that the
// engine would not take, or would take for something else.
func parseManifest(raw []byte, mediaType types.MediaType) (imageManifest, error) {
	var m imageManifest
	if mediaType != types.DockerManifestSchema2 && mediaType != types.OCIManifestSchema1 {
		return m, fmt.Errorf("media type %q is not that of a single image (schema 2 or OCI); send the image of one platform", mediaType)
	}
	if err := decode(raw, &m); err != nil {
		return m, fmt.Errorf("it is not JSON: %w", err)
	}
	if m.SchemaVersion != 2 {
		return m, fmt.Errorf("schemaVersion is %d, not 2", m.SchemaVersion)
	}
	if m.MediaType != mediaType && (m.MediaType != "" || mediaType == types.DockerManifestSchema2) {
		return m, fmt.Errorf("it says it is %q and was sent as %q", m.MediaType, mediaType)
	}
	if m.Manifests != nil || m.FSLayers != nil {
		return m, errors.New("it is an image and an index or schema 1 at once")
	}
	if len(m.Layers) == 0 || len(m.Layers) > maxLayers {
		return m, fmt.Errorf("it has %d layers; an image has 1 to %d", len(m.Layers), maxLayers)
	}
	return m, m.checkDescriptors()
}

func (m imageManifest) checkDescriptors() error {
	if t := m.Config.MediaType; t != types.DockerConfigJSON && t != types.OCIConfigJSON {
		return fmt.Errorf("its config has media type %q", t)
	}
	if m.Config.Size > maxConfig {
		return fmt.Errorf("its config is larger than %d bytes", maxConfig)
	}
	sizes := map[string]int64{}
	var total int64
	for i, d := range append([]descriptor{m.Config}, m.Layers...) {
		if i > 0 && magicOf(d.MediaType) == nil {
			return fmt.Errorf("layer %d has media type %q; it must be a tar, plain or with gzip or zstd", i, d.MediaType)
		}
		if !digestForm.MatchString(d.Digest) {
			return fmt.Errorf("%q is not a digest of the form sha256: and 64 lower-case hex digits", d.Digest)
		}
		if len(d.URLs) > 0 {
			return fmt.Errorf("%s is to be fetched from elsewhere (urls); layers are sent, never fetched", d.Digest)
		}
		if d.Size <= 0 || d.Size > maxBlob || total > math.MaxInt64-d.Size {
			return fmt.Errorf("%s has size %d", d.Digest, d.Size)
		}
		total += d.Size
		if size, ok := sizes[d.Digest]; ok && size != d.Size {
			return fmt.Errorf("%s has two sizes, %d and %d", d.Digest, size, d.Size)
		}
		sizes[d.Digest] = d.Size
	}
	return nil
}

// checkConfig reads the config that belongs to a manifest.
func (m imageManifest) checkConfig(raw []byte) (imageConfig, error) {
	var c imageConfig
	if err := decode(raw, &c); err != nil {
		return c, fmt.Errorf("the config is not JSON: %w", err)
	}
	if c.OS == "" || c.Architecture == "" {
		return c, errors.New("the config does not say for which os and architecture it is")
	}
	if c.RootFS.Type != "layers" || len(c.RootFS.DiffIDs) != len(m.Layers) {
		return c, fmt.Errorf("the config lists %d layers (rootfs.diff_ids), the manifest %d", len(c.RootFS.DiffIDs), len(m.Layers))
	}
	blobs, tars := map[string]string{}, map[string]string{}
	for i, tar := range c.RootFS.DiffIDs {
		blob := m.Layers[i].Digest
		if !digestForm.MatchString(tar) {
			return c, fmt.Errorf("%q in rootfs.diff_ids is not a digest", tar)
		}
		if other, ok := blobs[tar]; ok && other != blob {
			return c, fmt.Errorf("%s is said to be the content of two different layers", tar)
		}
		if other, ok := tars[blob]; ok && other != tar {
			return c, fmt.Errorf("layer %s is said to have two contents", blob)
		}
		blobs[tar], tars[blob] = blob, tar
	}
	return c, nil
}

// magicOf is how a layer of that media type begins; nil for a type that is not
// taken, empty for a plain tar.
func magicOf(mediaType types.MediaType) []byte {
	switch mediaType {
	case types.DockerLayer, types.OCILayer:
		return []byte{0x1f, 0x8b}
	case types.OCILayerZStd:
		return []byte{0x28, 0xb5, 0x2f, 0xfd}
	case types.DockerUncompressedLayer, types.OCIUncompressedLayer:
		return []byte{}
	}
	return nil
}

// decode reads exactly one JSON value.
func decode(raw []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(raw))
	if err := d.Decode(into); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("something follows its end")
	}
	return nil
}
