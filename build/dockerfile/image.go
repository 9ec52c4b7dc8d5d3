package dockerfile

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/dokku-push/dokku-push/api"
)

// engineImage is an image of the engine. Digests and sizes come from its
// record, layers from the store, and a layer that was evicted from the engine
// again.
type engineImage struct {
	v1.Image
	id       string
	tag      string
	record   *record
	manifest *v1.Manifest
	store    *store
	host     string // of the engine, for evicted layers
}

// image returns the image with that id, exported now or before; without an id the one
// that the tag names, exported now.
func (e *engine) image(ctx context.Context, s *store, id, tag string) (*engineImage, error) {
	r, ok := s.record(id)
	if !ok {
		var err error
		if r, err = e.export(ctx, s, id, tag, v1.Hash{}); err != nil {
			return nil, err
		}
	}
	manifest, err := r.manifest()
	if err != nil {
		return nil, err
	}
	image := &engineImage{id: digestOf(r.Config), tag: tag, record: r, manifest: manifest, store: s, host: e.docker.DaemonHost()}
	image.Image, err = partial.CompressedToImage(core{image})
	return image, err
}

func (i *engineImage) parsedConfig() (*v1.ConfigFile, error) {
	return v1.ParseConfigFile(strings.NewReader(string(i.record.Config)))
}

// core is what go-containerregistry needs to know of an image.
type core struct{ image *engineImage }

func (c core) RawConfigFile() ([]byte, error)      { return c.image.record.Config, nil }
func (c core) RawManifest() ([]byte, error)        { return c.image.record.Manifest, nil }
func (c core) MediaType() (types.MediaType, error) { return c.image.record.MediaType, nil }

func (c core) LayerByDigest(digest v1.Hash) (partial.CompressedLayer, error) {
	for i, layer := range c.image.manifest.Layers {
		if layer.Digest == digest {
			return &engineLayer{image: c.image, index: i, Descriptor: layer}, nil
		}
	}
	if digest == c.image.manifest.Config.Digest {
		return partial.ConfigLayer(c.image)
	}
	return nil, api.Errorf(api.BuildFailed, "read the image", "it has no layer %s", digest)
}

// engineLayer is one layer of an engineImage.
type engineLayer struct {
	v1.Descriptor
	image *engineImage
	index int
}

func (l *engineLayer) Digest() (v1.Hash, error)            { return l.Descriptor.Digest, nil }
func (l *engineLayer) Size() (int64, error)                { return l.Descriptor.Size, nil }
func (l *engineLayer) MediaType() (types.MediaType, error) { return l.Descriptor.MediaType, nil }

// DiffID is answered from the config: computing it would unpack the layer.
func (l *engineLayer) DiffID() (v1.Hash, error) {
	config, err := l.image.parsedConfig()
	if err != nil {
		return v1.Hash{}, err
	}
	if l.index >= len(config.RootFS.DiffIDs) {
		return v1.Hash{}, errors.New("the image's config names fewer layers than its manifest")
	}
	return config.RootFS.DiffIDs[l.index], nil
}

// Compressed opens the layer, exporting it again if it was evicted.
func (l *engineLayer) Compressed() (io.ReadCloser, error) {
	file, err := l.image.store.open(l.Descriptor.Digest)
	if !errors.Is(err, fs.ErrNotExist) {
		return file, err
	}
	if err := l.image.exportAgain(context.Background(), l.Descriptor.Digest); err != nil {
		return nil, err
	}
	file, err = l.image.store.open(l.Descriptor.Digest)
	if err != nil {
		// An engine that was upgraded in between may compress differently.
		l.image.store.forget(l.image.id)
		return nil, api.Errorf(api.BuildFailed, "export layer "+l.Descriptor.Digest.String(),
			"the engine now gives other bytes for this layer").WithHint("build again")
	}
	return file, nil
}

// exportAgain takes a missing layer from the engine. The interface of v1.Layer
// has no context, so only the end of the program cuts it off.
func (i *engineImage) exportAgain(ctx context.Context, missing v1.Hash) error {
	e, err := connect(ctx, i.host)
	if err != nil {
		return err
	}
	defer e.close()
	if _, err := e.export(ctx, i.store, i.id, i.tag, missing); err != nil {
		return e.explain(ctx, "export an evicted layer", err)
	}
	return nil
}
