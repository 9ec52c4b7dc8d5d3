package dockerfile

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// save exports with docker save: the whole image crosses once, and layers that
// the store does not know are compressed into it.
func (e *engine) save(ctx context.Context, s *store, id, tag string, missing v1.Hash) (*record, error) {
	archive, err := e.spool(ctx, s, id, tag)
	if err != nil {
		return nil, fmt.Errorf("save the image: %w", err)
	}
	defer func() { _ = os.Remove(archive) }()
	image, err := tarball.ImageFromPath(archive, nil)
	if err != nil {
		return nil, fmt.Errorf("read the saved image: %w", err)
	}
	config, err := image.RawConfigFile()
	if err != nil {
		return nil, fmt.Errorf("read the saved image's config: %w", err)
	}
	if id != "" && digestOf(config) != id {
		return nil, fmt.Errorf("the engine saved another image than %s: was the app built twice at a time?", id)
	}
	manifest, err := s.compressLayers(image, config, missing)
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(manifest)
	if err != nil {
		return nil, err
	}
	return &record{Config: config, Manifest: text, MediaType: manifest.MediaType}, nil
}

// spool writes the engine's archive into a file of the store and names it.
func (e *engine) spool(ctx context.Context, s *store, id, tag string) (string, error) {
	stream, err := e.docker.ImageSave(ctx, []string{id})
	if err != nil {
		stream, err = e.docker.ImageSave(ctx, []string{tag})
	}
	if err != nil {
		return "", err
	}
	defer func() { _ = stream.Close() }()
	file, err := os.CreateTemp(s.dir, ".save-")
	if err != nil {
		return "", err
	}
	_, err = io.Copy(file, stream)
	if closing := file.Close(); err == nil {
		err = closing
	}
	if err != nil {
		_ = os.Remove(file.Name())
	}
	return file.Name(), err
}

// compressLayers makes the manifest of a saved image, with a blob for each
// layer that is unknown or asked for.
func (s *store) compressLayers(image v1.Image, config []byte, missing v1.Hash) (*v1.Manifest, error) {
	parsed, err := v1.ParseConfigFile(strings.NewReader(string(config)))
	if err != nil {
		return nil, fmt.Errorf("read the saved image's config: %w", err)
	}
	configDigest, err := v1.NewHash(digestOf(config))
	if err != nil {
		return nil, err
	}
	manifest := &v1.Manifest{
		SchemaVersion: 2,
		MediaType:     types.DockerManifestSchema2,
		Config:        v1.Descriptor{MediaType: types.DockerConfigJSON, Size: int64(len(config)), Digest: configDigest},
	}
	known := s.layers()
	for _, diffID := range parsed.RootFS.DiffIDs {
		descriptor, ok := known[diffID]
		if !ok || descriptor.Digest == missing {
			if descriptor, err = s.compress(image, diffID); err != nil {
				return nil, fmt.Errorf("compress layer %s: %w", diffID, err)
			}
			known[diffID] = descriptor
		}
		manifest.Layers = append(manifest.Layers, descriptor)
	}
	return manifest, nil
}

func (s *store) compress(image v1.Image, diffID v1.Hash) (v1.Descriptor, error) {
	layer, err := image.LayerByDiffID(diffID)
	if err != nil {
		return v1.Descriptor{}, err
	}
	// One compressor at one level: the same layer gives the same bytes.
	content, err := layer.Compressed()
	if err != nil {
		return v1.Descriptor{}, err
	}
	defer func() { _ = content.Close() }()
	blob, err := s.newBlob()
	if err != nil {
		return v1.Descriptor{}, err
	}
	if _, err := io.Copy(blob, content); err != nil {
		blob.drop()
		return v1.Descriptor{}, err
	}
	digest, err := blob.commit()
	return v1.Descriptor{MediaType: types.DockerLayer, Size: blob.size, Digest: digest}, err
}
