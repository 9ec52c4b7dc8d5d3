package testkit

import (
	"archive/tar"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

const (
	cnbRecipe        = "1" // counts changes of the two images
	cnbUser          = 1000
	lifecycleVersion = "0.21.0" // of testdata/lifecycle/go.mod
)

// The buildpack of the tests' builder, testdata/buildpacks/hello.
const helloBuildpack, helloVersion = "dokku-push/hello", "1.0.0"

// CNB is a builder image for Cloud Native Buildpacks and the run image of what it builds.
type CNB struct{ Builder, Run string }

// Buildpacks makes a builder with the one buildpack of testdata/buildpacks/hello, on top
// of busybox. The lifecycle in it is compiled from its Go module, which takes a minute
// once; the images stay as the base images do.
func Buildpacks(t testing.TB) CNB {
	t.Helper()
	program := readBusybox(t)
	run := base{
		name: "cnb-run", recipe: recipe(cnbRecipe, program.recipe()),
		config: func(config *v1.Config) { config.User = fmt.Sprintf("%d:%d", cnbUser, cnbUser) },
		write: func(_ testing.TB, out io.Writer) error {
			files := newTree(out)
			program.fill(files)
			return files.close()
		},
	}
	buildpack := filepath.Join(Root(t), "testdata", "buildpacks", "hello")
	builder := base{
		name: "cnb-builder", recipe: recipe(cnbRecipe, program.recipe(), lifecycleSource(t), folderHash(t, buildpack)),
		env:    []string{fmt.Sprintf("CNB_USER_ID=%d", cnbUser), fmt.Sprintf("CNB_GROUP_ID=%d", cnbUser)},
		config: func(config *v1.Config) { configureBuilder(t, config) },
		write: func(t testing.TB, out io.Writer) error {
			lifecycle := compileLifecycle(t)
			files := newTree(out)
			program.fill(files)
			if err := builderFiles(files, lifecycle, buildpack); err != nil {
				return err
			}
			return files.close()
		},
	}
	return CNB{Run: run.load(t), Builder: builder.load(t)}
}

// lifecycleSource identifies what the lifecycle is compiled from.
func lifecycleSource(t testing.TB) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(Root(t), "testdata", "lifecycle", "go.mod"))
	must(t, "read the lifecycle's module", err)
	return string(text)
}

// folderHash identifies the files of a folder.
func folderHash(t testing.TB, dir string) string {
	t.Helper()
	sum := sha256.New()
	must(t, "read "+dir, fs.WalkDir(os.DirFS(dir), ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := os.ReadFile(filepath.Join(dir, name))
		fmt.Fprintf(sum, "%s %d\n%s", name, len(text), text)
		return err
	}))
	return hex.EncodeToString(sum.Sum(nil))
}

// compileLifecycle builds the programs lifecycle and launcher into a folder.
func compileLifecycle(t testing.TB) (dir string) {
	t.Helper()
	dir = t.TempDir()
	const module = "github.com/buildpacks/lifecycle/"
	build := exec.Command("go", "build", "-trimpath", "-mod=readonly", "-buildvcs=false", "-o", dir+"/",
		"-ldflags", "-s -w -X "+module+"cmd.Version="+lifecycleVersion, module+"cmd/lifecycle", module+"cmd/launcher")
	build.Dir = filepath.Join(Root(t), "testdata", "lifecycle")
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=", "GOWORK=off")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("compile the lifecycle: %v\n%s", err, out)
	}
	return dir
}

// builderFiles writes what the platform specification asks of a builder.
func builderFiles(files *tree, lifecycle, buildpack string) error {
	for _, dir := range []string{"cnb", "cnb/lifecycle", "cnb/build-config", "cnb/build-config/env", "cnb/buildpacks", "platform", "platform/env"} {
		files.dir(dir, 0o755)
	}
	for _, dir := range []string{"layers", "workspace"} {
		files.add(&tar.Header{Typeflag: tar.TypeDir, Name: dir + "/", Mode: 0o755, Uid: cnbUser, Gid: cnbUser}, nil)
	}
	for _, program := range []string{"launcher", "lifecycle"} {
		content, err := os.ReadFile(filepath.Join(lifecycle, program))
		if err != nil {
			return err
		}
		files.file("cnb/lifecycle/"+program, 0o755, content)
	}
	for _, phase := range []string{"analyzer", "builder", "creator", "detector", "exporter", "extender", "rebaser", "restorer"} {
		files.link("cnb/lifecycle/"+phase, "lifecycle")
	}
	files.file("cnb/order.toml", 0o644, fmt.Appendf(nil, "[[order]]\n[[order.group]]\nid = %q\nversion = %q\n", helloBuildpack, helloVersion))
	files.file("cnb/run.toml", 0o644, fmt.Appendf(nil, "[[images]]\nimage = %q\n", repository+"cnb-run:latest"))
	files.file("cnb/stack.toml", 0o644, fmt.Appendf(nil, "[run-image]\nimage = %q\n", repository+"cnb-run:latest"))
	root := path.Join("cnb/buildpacks", strings.ReplaceAll(helloBuildpack, "/", "_"))
	files.dir(root, 0o755)
	root = path.Join(root, helloVersion)
	return fs.WalkDir(os.DirFS(buildpack), ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			files.dir(path.Join(root, name), 0o755)
			return nil
		}
		content, err := os.ReadFile(filepath.Join(buildpack, name))
		if err != nil {
			return err
		}
		mode := int64(0o644)
		if strings.HasPrefix(name, "bin/") {
			mode = 0o755
		}
		files.file(path.Join(root, name), mode, content)
		return nil
	})
}

// configureBuilder writes the labels by which pack knows a builder.
func configureBuilder(t testing.TB, config *v1.Config) {
	type module struct {
		ID      string `json:"id"`
		Version string `json:"version"`
	}
	type versions struct {
		Deprecated []string `json:"deprecated"`
		Supported  []string `json:"supported"`
	}
	type image struct {
		Image string `json:"image"`
	}
	hello := module{helloBuildpack, helloVersion}
	apis := map[string]versions{
		"buildpack": {Supported: apiVersions(7, 12)},
		"platform":  {Supported: apiVersions(7, 15)},
	}
	run := image{repository + "cnb-run:latest"}
	config.User = fmt.Sprintf("%d:%d", cnbUser, cnbUser)
	for label, value := range map[string]any{
		"io.buildpacks.builder.metadata": map[string]any{
			"buildpacks": []module{hello},
			"stack":      map[string]any{"runImage": run},
			"images":     []image{run},
			"lifecycle": map[string]any{"version": lifecycleVersion, "apis": apis,
				"api": map[string]string{"buildpack": "0.7", "platform": "0.7"}},
			"createdBy": map[string]string{"name": "testkit", "version": cnbRecipe},
		},
		"io.buildpacks.buildpack.order":  []any{map[string]any{"group": []module{hello}}},
		"io.buildpacks.buildpack.layers": map[string]any{hello.ID: map[string]any{hello.Version: map[string]any{"api": "0.10"}}},
		"io.buildpacks.lifecycle.apis":   apis,
	} {
		text, err := json.Marshal(value)
		must(t, "write the label "+label, err)
		config.Labels[label] = string(text)
	}
	config.Labels["io.buildpacks.lifecycle.version"] = lifecycleVersion
}

func apiVersions(from, to int) (list []string) {
	for minor := from; minor <= to; minor++ {
		list = append(list, fmt.Sprintf("0.%d", minor))
	}
	return list
}
