package image

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"github.com/dokku-push/dokku-push/api"
)

// maxDepth is how many indexes may stand within each other before an image.
const maxDepth = 2

// Open opens an image for a platform: a path (an OCI layout folder or a docker-save
// archive), relative to dir, or else a registry reference. Errors are api.BuildFailed.
func Open(ctx context.Context, dir, reference string, platform v1.Platform) (v1.Image, error) {
	image, err := find(ctx, dir, reference, platform)
	if err != nil {
		return nil, err
	}
	config, err := image.ConfigFile()
	if err != nil {
		return nil, api.Errorf(api.BuildFailed, "open the image "+reference, "read its config: %w", err)
	}
	if config.OS != platform.OS || config.Architecture != platform.Architecture {
		return nil, wrongPlatform(reference, platform, []string{config.OS + "/" + config.Architecture})
	}
	return image, nil
}

func wrongPlatform(base string, want v1.Platform, have []string) error {
	return api.Errorf(api.BuildFailed, "open the image "+base, "it is for %s, the host runs %s/%s", strings.Join(have, ", "), want.OS, want.Architecture).
		WithHint("name an image that exists for %s/%s", want.OS, want.Architecture)
}

func find(ctx context.Context, dir, base string, platform v1.Platform) (v1.Image, error) {
	if strings.HasPrefix(base, DaemonPrefix) {
		return nil, api.Errorf(api.BuildFailed, "open the image "+base, "an image of the local engine cannot be used here").
			WithHint("write it into an archive: docker save -o base.tar %s", strings.TrimPrefix(base, DaemonPrefix))
	}
	full := base
	if !filepath.IsAbs(base) {
		full = filepath.Join(dir, base)
	}
	info, err := os.Stat(full)
	if isPath := strings.HasPrefix(base, ".") || filepath.IsAbs(base); err != nil && !isPath {
		return pull(ctx, base, platform)
	}
	op := "open the image " + base
	switch {
	case err != nil:
		return nil, api.Errorf(api.BuildFailed, op, "%w", err)
	case info.IsDir():
		index, err := layout.ImageIndexFromPath(full)
		if err != nil {
			return nil, api.Errorf(api.BuildFailed, op, "it is a folder but no OCI layout: %w", err)
		}
		return choose(base, index, platform)
	}
	image, err := tarball.ImageFromPath(full, nil)
	if err != nil {
		return nil, api.Errorf(api.BuildFailed, op, "it is no docker-save archive of one image: %w", err).WithHint("%s", archiveHint(full))
	}
	return image, nil
}

// archiveHint is what to do with an archive that is none, where its first bytes tell.
func archiveHint(path string) string {
	file, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer func() { _ = file.Close() }()
	first := make([]byte, 4)
	if _, err := io.ReadFull(file, first); err != nil {
		return ""
	}
	switch {
	case bytes.HasPrefix(first, []byte{0x1f, 0x8b}):
		return "it is compressed: gunzip it first"
	case bytes.HasPrefix(first, []byte("BZh")), bytes.Equal(first, []byte{0x28, 0xb5, 0x2f, 0xfd}), bytes.Equal(first, []byte{0xfd, '7', 'z', 'X'}):
		return "it is compressed: unpack it to a plain tar first"
	}
	return ""
}

// pull opens an image of a registry with docker login's credentials.
func pull(ctx context.Context, base string, platform v1.Platform) (v1.Image, error) {
	reference, err := name.ParseReference(base)
	if err != nil {
		return nil, api.Errorf(api.BuildFailed, "open the image "+base, "it is neither a path nor an image reference: %w", err).
			WithHint("write a reference such as nginx:alpine, or the path of an OCI layout folder or a docker-save archive")
	}
	descriptor, err := remote.Get(reference, remote.WithContext(ctx), remote.WithAuthFromKeychain(authn.DefaultKeychain))
	if err != nil {
		return nil, api.Errorf(api.BuildFailed, "get the image "+base, "%w", err).
			WithHint("is the name right, can the registry be reached, does it need docker login? An image of the local engine is %s%s", DaemonPrefix, base)
	}
	if !descriptor.MediaType.IsIndex() {
		image, err := descriptor.Image()
		if err != nil {
			return nil, api.Errorf(api.BuildFailed, "read the image "+base, "%w", err)
		}
		return image, nil
	}
	index, err := descriptor.ImageIndex()
	if err != nil {
		return nil, api.Errorf(api.BuildFailed, "read the image "+base, "%w", err)
	}
	return choose(base, index, platform)
}

// absent tells that a registry answered, and has no such image for this caller: of a
// repository that does not exist some say that a password is needed.
func absent(err error) bool {
	answer, ok := errors.AsType[*transport.Error](err)
	return ok && (answer.StatusCode == http.StatusNotFound || answer.StatusCode == http.StatusUnauthorized || answer.StatusCode == http.StatusForbidden)
}

// choose takes the image for platform out of an index. An index of one image
// that names no platform is that image.
func choose(base string, index v1.ImageIndex, platform v1.Platform) (v1.Image, error) {
	var have []string
	image, err := chooseIn(index, platform, &have, 0)
	if err != nil {
		return nil, api.Errorf(api.BuildFailed, "read the image "+base, "%w", err)
	}
	if image == nil {
		return nil, wrongPlatform(base, platform, append(have, "nothing else"))
	}
	return image, nil
}

func chooseIn(index v1.ImageIndex, platform v1.Platform, have *[]string, depth int) (v1.Image, error) {
	manifest, err := index.IndexManifest()
	if err != nil {
		return nil, err
	}
	for _, child := range manifest.Manifests {
		switch {
		case child.MediaType.IsIndex():
			if depth == maxDepth {
				return nil, fmt.Errorf("indexes are nested deeper than %d", maxDepth)
			}
			nested, err := index.ImageIndex(child.Digest)
			if err != nil {
				return nil, err
			}
			if image, err := chooseIn(nested, platform, have, depth+1); image != nil || err != nil {
				return image, err
			}
		case !child.MediaType.IsImage():
		case child.Platform == nil && len(manifest.Manifests) == 1, child.Platform != nil && child.Platform.Satisfies(platform):
			return index.Image(child.Digest)
		case child.Platform != nil:
			*have = append(*have, child.Platform.OS+"/"+child.Platform.Architecture)
		}
	}
	return nil, nil
}
