package testkit

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

const languagesRecipe = "1" // counts changes of the images of languages

// Languages makes a builder for apps in Go and in Python, with the buildpacks go, python
// and procfile of testdata/buildpacks, on top of Debian with the toolchain of the image
// that Golang makes; what it builds runs on Debian with Python. It takes a minute once, and
// shares its layers with Python's image.
func Languages(t testing.TB) CNB {
	t.Helper()
	debian, toolchain := python(t), golang(t)
	run := base{
		name: "cnb-debian", on: &debian, recipe: recipe(languagesRecipe, debian.recipe), env: debian.env,
		config: func(config *v1.Config) { config.User = fmt.Sprintf("%d:%d", cnbUser, cnbUser) },
		write: func(_ testing.TB, out io.Writer) error {
			files := newTree(out)
			files.add(&tar.Header{Typeflag: tar.TypeDir, Name: "home/cnb/", Mode: 0o755, Uid: cnbUser, Gid: cnbUser}, nil)
			return files.close()
		},
	}
	compilers := base{
		name: "cnb-toolchain", on: &debian, recipe: recipe(languagesRecipe, debian.recipe, toolchain.recipe),
		write: func(t testing.TB, out io.Writer) error {
			unlock := lock(t, toolchain.name)
			defer unlock()
			return copyFolders(out, toolchain.tar(t), "usr/local", "var/cache")
		},
	}
	groups := order{{"go", "procfile"}, {"python", "procfile"}}
	parts := []string{languagesRecipe, cnbRecipe, compilers.recipe, lifecycleSource(t)}
	for _, one := range groups.each() {
		parts = append(parts, folderHash(t, one.dir(t)))
	}
	builder := base{
		name: "cnb-languages", on: &compilers, recipe: recipe(parts...), env: cnbEnv(),
		config: func(config *v1.Config) { configureBuilder(t, config, groups, run.name) },
		write: func(t testing.TB, out io.Writer) error {
			return builderFiles(t, newTree(out), groups, run.name)
		},
	}
	return CNB{Run: run.load(t), Builder: builder.load(t)}
}

// copyFolders writes those folders of a tar file.
func copyFolders(out io.Writer, file string, folders ...string) error {
	from, err := os.Open(file)
	if err != nil {
		return err
	}
	defer from.Close()
	all, kept := tar.NewReader(from), tar.NewWriter(out)
	for {
		header, err := all.Next()
		if errors.Is(err, io.EOF) {
			return kept.Close()
		}
		if err != nil {
			return err
		}
		name := path.Clean(header.Name)
		for _, folder := range folders {
			if name != folder && !strings.HasPrefix(name, folder+"/") {
				continue
			}
			if err := kept.WriteHeader(header); err != nil {
				return err
			}
			if _, err := io.Copy(kept, all); err != nil {
				return err
			}
		}
	}
}
