package push

import (
	"context"
	"slices"
	"strings"

	"github.com/dokku-push/dokku-push/build"
)

// BuildLayout makes the project's image and writes it into a folder as an OCI layout. What
// builds without an engine is made for every platform that the project names; the others
// for the given one alone. It returns the digest of the layout's image or index.
func BuildLayout(ctx context.Context, o Options, project *Project, system, arch, folder string) (string, error) {
	named := project.App.Image.Platforms
	platforms := slices.Clone(named)
	if len(platforms) == 0 || project.App.Build.Builder != "static" {
		platforms = []string{system + "/" + arch}
	}
	defer func() { project.App.Image.Platforms = named }()
	var images []*build.Image
	for _, platform := range platforms {
		system, arch, _ := strings.Cut(platform, "/")
		arch, _, _ = strings.Cut(arch, "/") // a variant is the base image's to choose
		if len(platforms) > 1 {
			project.App.Image.Platforms = []string{platform}
		}
		image, err := Build(ctx, o, project, system, arch)
		if err != nil {
			return "", err
		}
		images = append(images, image)
	}
	var digest string
	err := o.step("write", "Write "+folder, func() (detail string, err error) {
		digest, err = build.WriteLayout(folder, images)
		return digest, err
	})
	return digest, err
}
