package build

import (
	"cmp"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/manifest"
)

// builders are the names that dokku.hcl may give.
var builders = [...]string{"dockerfile", "pack", "static", "image"}

// languages are the files by which buildpacks know an app; a pattern is matched in the
// app's folder alone.
var languages = [...]string{"package.json", "requirements.txt", "pyproject.toml", "Pipfile", "poetry.lock", "uv.lock", "Gemfile", "go.mod",
	"pom.xml", "build.gradle", "build.gradle.kts", "gradlew", "build.sbt", "composer.json", "index.php", "*.sln", "*.csproj"}

// Choose says which builder builds a source tree, and why, in words for a
// person. fsys is the project's folder. A name that is none and a tree that no
// builder can build are api.InvalidManifest.
func Choose(app *manifest.App, fsys fs.FS) (name, why string, err error) {
	if app.Build.Image != "" && (app.Build.Builder == "" || app.Build.Builder == "image") {
		return "image", "an image is named", nil
	}
	if said := app.Build.Builder; said != "" {
		if !slices.Contains(builders[:], said) {
			return "", "", api.Errorf(api.InvalidManifest, "choose the builder", "there is no builder %q", said).
				WithHint("the builders are %s", strings.Join(builders[:], ", "))
		}
		return said, "named in " + cmp.Or(app.From("build.builder"), "dokku.hcl"), nil
	}
	file := Dockerfile(app)
	if isFile(fsys, file) {
		return "dockerfile", "there is a " + file, nil
	}
	if why := forBuildpacks(app, fsys); why != "" {
		return "pack", why, nil
	}
	return "", "", api.Errorf(api.InvalidManifest, "choose the builder", "nothing says how to build this: there is no %s", file).
		WithHint("write a Dockerfile, or put build { builder = \"static\" } into dokku.hcl for files or a compiled program")
}

// Dockerfile is where an app's Dockerfile is, relative to the project: where dokku.hcl
// says, within the context; else in the app's own folder, which is the context's where
// nothing else is said.
func Dockerfile(app *manifest.App) string {
	said := app.Build
	switch {
	case said.Dockerfile.Path != "":
		return path.Join(said.Context, said.Dockerfile.Path)
	case said.Dir != "":
		return path.Join(said.Dir, "Dockerfile")
	}
	return path.Join(said.Context, "Dockerfile")
}

// DefaultPackBuilder is the builder image of buildpacks where nothing names one.
const DefaultPackBuilder = "heroku/builder:24"

// PackBuilder is the image in which buildpacks build an app: dokku.hcl's, else
// project.toml's, else the default.
func PackBuilder(app *manifest.App) string {
	switch {
	case app.Build.Pack.Builder != "":
		return app.Build.Pack.Builder
	case app.Project != nil && app.Project.Builder != "":
		return app.Project.Builder
	}
	return DefaultPackBuilder
}

// SaidPack is why buildpacks build what dokku.hcl says so of.
const SaidPack = "dokku.hcl has build { pack }"

// forBuildpacks says why buildpacks should build a tree: the project names some, or it is
// written in a language that they know. Empty: neither.
func forBuildpacks(app *manifest.App, fsys fs.FS) string {
	said := app.Build.Pack
	switch {
	case said.Builder != "" || len(said.Buildpacks) > 0:
		return SaidPack
	case app.Project != nil && (app.Project.Builder != "" || len(app.Project.Buildpacks) > 0):
		return "there is a project.toml with buildpacks"
	case app.AppJSON != nil && len(app.AppJSON.Buildpacks) > 0:
		return "app.json names buildpacks"
	}
	folder := app.Build.Dir
	if folder == "" {
		folder = path.Join(".", app.Build.Context)
	}
	if file := path.Join(folder, ".buildpacks"); isFile(fsys, file) {
		return "there is a " + file
	}
	for _, pattern := range languages {
		found, err := fs.Glob(fsys, path.Join(folder, pattern))
		if err == nil && len(found) > 0 && isFile(fsys, found[0]) {
			return "there is a " + found[0]
		}
	}
	return ""
}

func isFile(fsys fs.FS, name string) bool {
	info, err := fs.Stat(fsys, name)
	return err == nil && info.Mode().IsRegular()
}
