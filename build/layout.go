package build

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/dokku-push/dokku-push/api"
)

// WriteLayout writes images into a folder as an OCI layout: one image as it is, several as
// an index from which each host takes that of its platform. It returns the digest of the
// image's manifest or of the index. A folder that holds something else is api.Usage.
func WriteLayout(folder string, images []*Image) (digest string, err error) {
	op := "write the OCI layout " + folder
	entries, err := os.ReadDir(folder)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", api.Errorf(api.Usage, op, "%w", err)
	}
	if _, err := os.Stat(filepath.Join(folder, "oci-layout")); err != nil && len(entries) > 0 {
		return "", api.Errorf(api.Usage, op, "the folder holds something else").WithHint("name one that is empty or does not exist yet")
	}
	hash, err := writeLayout(folder, images)
	if err != nil {
		return "", api.Errorf(api.BuildFailed, op, "%w", err)
	}
	return hash.String(), nil
}

func writeLayout(folder string, images []*Image) (v1.Hash, error) {
	path, err := layout.Write(folder, empty.Index)
	if err != nil {
		return v1.Hash{}, err
	}
	if len(images) == 1 {
		if err := path.AppendImage(images[0]); err != nil {
			return v1.Hash{}, err
		}
		return images[0].Digest()
	}
	index, err := indexOf(images)
	if err != nil {
		return v1.Hash{}, err
	}
	if err := path.AppendIndex(index); err != nil {
		return v1.Hash{}, err
	}
	return index.Digest()
}

// indexOf lists images by their platforms, in the order in which they are given.
func indexOf(images []*Image) (v1.ImageIndex, error) {
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, image := range images {
		config, err := image.ConfigFile()
		if err != nil {
			return nil, err
		}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: image, Descriptor: v1.Descriptor{
			Platform: &v1.Platform{OS: config.OS, Architecture: config.Architecture, Variant: config.Variant}}})
	}
	return index, nil
}
