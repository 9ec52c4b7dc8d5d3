package build

import (
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/manifest"
)

// builders are the names that dokku.hcl may give.
var builders = [...]string{"dockerfile", "pack", "static", "image"}

// Choose says which builder builds a source tree, and why, in words for a
// person. fsys is the project's folder. A name that is none and a tree that no
// builder can build are api.InvalidManifest.
func Choose(app *manifest.App, fsys fs.FS) (name, why string, err error) {
	if app.Build.Image != "" && app.Build.Builder == "" {
		return "image", "an image is named", nil
	}
	if said := app.Build.Builder; said != "" {
		if !slices.Contains(builders[:], said) {
			return "", "", api.Errorf(api.InvalidManifest, "choose the builder", "there is no builder %q", said).
				WithHint("the builders are %s", strings.Join(builders[:], ", "))
		}
		return said, "named in dokku.hcl", nil
	}
	file := app.Build.Dockerfile.Path
	if file == "" {
		file = "Dockerfile"
	}
	file = path.Join(app.Build.Context, file)
	if info, err := fs.Stat(fsys, file); err == nil && info.Mode().IsRegular() {
		return "dockerfile", "there is a " + file, nil
	}
	return "", "", api.Errorf(api.InvalidManifest, "choose the builder", "nothing says how to build this: there is no %s", file).
		WithHint("write a Dockerfile, or put build { builder = \"static\" } into dokku.hcl for files or a compiled program")
}
