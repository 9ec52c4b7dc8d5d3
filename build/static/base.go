package static

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/build"
)

// Scratch is the base that holds nothing, for programs that need nothing.
const Scratch = "scratch"

// maxDepth is how many indexes may stand within each other before an image.
const maxDepth = 2

// openBase opens the base image for the host's platform: a path in the project
// (an OCI layout folder or a docker-save archive) or else a registry reference.
func openBase(ctx context.Context, request build.Request) (v1.Image, error) {
	base := request.App.Build.Static.Base
	if base == "" {
		return nil, api.Errorf(api.BuildFailed, "build", "no base image is named").
			WithHint("name one in dokku.hcl: build { static { base = \"nginx:alpine\" } }, or base = %q for a static program", Scratch)
	}
	platform := v1.Platform{OS: request.OS, Architecture: request.Arch}
	if base == Scratch {
		return mutate.ConfigFile(empty.Image, &v1.ConfigFile{
			OS: platform.OS, Architecture: platform.Architecture, RootFS: v1.RootFS{Type: "layers"},
		})
	}
	image, err := find(ctx, request.Dir, base, platform)
	if err != nil {
		return nil, err
	}
	config, err := image.ConfigFile()
	if err != nil {
		return nil, fmt.Errorf("read the config of base image %s: %w", base, err)
	}
	if config.OS != platform.OS || config.Architecture != platform.Architecture {
		return nil, wrongPlatform(base, platform, []string{config.OS + "/" + config.Architecture})
	}
	request.Output("base image " + base)
	return image, nil
}

func wrongPlatform(base string, want v1.Platform, have []string) error {
	return api.Errorf(api.BuildFailed, "build", "base image %s is for %s, the host runs %s/%s",
		base, strings.Join(have, ", "), want.OS, want.Architecture).
		WithHint("name a base that exists for %s/%s", want.OS, want.Architecture)
}

func find(ctx context.Context, project, base string, platform v1.Platform) (v1.Image, error) {
	full := filepath.Join(project, base)
	info, err := os.Stat(full)
	if isPath := strings.HasPrefix(base, ".") || filepath.IsAbs(base); err != nil && !isPath {
		return pull(ctx, base, platform)
	}
	if _, err := inside(project, base); err != nil {
		return nil, err
	}
	switch {
	case err != nil:
		return nil, fmt.Errorf("open base image %s: %w", base, err)
	case info.IsDir():
		index, err := layout.ImageIndexFromPath(full)
		if err != nil {
			return nil, fmt.Errorf("base image %s is a folder but no OCI layout: %w", base, err)
		}
		return choose(base, index, platform)
	}
	image, err := tarball.ImageFromPath(full, nil)
	if err != nil {
		return nil, fmt.Errorf("read base image %s as a docker-save archive of one image: %w", base, err)
	}
	return image, nil
}

// pull opens an image of a registry with docker login's credentials.
func pull(ctx context.Context, base string, platform v1.Platform) (v1.Image, error) {
	reference, err := name.ParseReference(base)
	if err != nil {
		return nil, api.Errorf(api.BuildFailed, "build", "base %q is neither a path in the project nor an image reference: %w", base, err).
			WithHint("write base = \"nginx:alpine\", or the path of an OCI layout folder or a docker-save archive")
	}
	descriptor, err := remote.Get(reference, remote.WithContext(ctx), remote.WithAuthFromKeychain(authn.DefaultKeychain))
	if err != nil {
		return nil, api.Errorf(api.BuildFailed, "build", "get base image %s: %w", base, err).
			WithHint("is the name right, can the registry be reached, does it need docker login?")
	}
	if !descriptor.MediaType.IsIndex() {
		image, err := descriptor.Image()
		if err != nil {
			return nil, fmt.Errorf("read base image %s: %w", base, err)
		}
		return image, nil
	}
	index, err := descriptor.ImageIndex()
	if err != nil {
		return nil, fmt.Errorf("read base image %s: %w", base, err)
	}
	return choose(base, index, platform)
}

// choose takes the image for platform out of an index. An index of one image
// that names no platform is that image.
func choose(base string, index v1.ImageIndex, platform v1.Platform) (v1.Image, error) {
	var have []string
	image, err := chooseIn(index, platform, &have, 0)
	if err != nil {
		return nil, fmt.Errorf("read base image %s: %w", base, err)
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
