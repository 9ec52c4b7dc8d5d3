package static

import (
	"context"
	"os"
	"path/filepath"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"

	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/build"
	"github.com/dokku-push/dokku-push/build/image"
)

// Scratch is the base that holds nothing, for programs that need nothing.
const Scratch = "scratch"

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
	_, missing := os.Stat(filepath.Join(request.Dir, base))
	if missing == nil || strings.HasPrefix(base, ".") || filepath.IsAbs(base) {
		if _, err := inside(request.Dir, base); err != nil {
			return nil, err
		}
	}
	found, err := image.Open(ctx, request.Dir, base, platform)
	if err != nil {
		return nil, err
	}
	request.Output("base image " + base)
	return found, nil
}
