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
	"slices"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

const (
	cnbRecipe        = "1" // counts changes of the two images
	cnbUser          = 1000
	lifecycleVersion = "0.21.0" // of testdata/lifecycle/go.mod
)

// buildpack is one of testdata/buildpacks, by its folder.
type buildpack string

const buildpackVersion = "1.0.0" // of each of them

func (b buildpack) id() string { return "dokku-push/" + string(b) }

func (b buildpack) dir(t testing.TB) string {
	return filepath.Join(Root(t), "testdata", "buildpacks", string(b))
}

// order is which buildpacks a builder tries: the first group that wants an app builds it.
type order [][]buildpack

// each are the buildpacks of all groups, each once.
func (o order) each() (all []buildpack) {
	for _, one := range slices.Concat(o...) {
		if !slices.Contains(all, one) {
			all = append(all, one)
		}
	}
	return all
}

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
	groups := order{{"hello"}}
	builder := base{
		name: "cnb-builder", recipe: recipe(cnbRecipe, program.recipe(), lifecycleSource(t), folderHash(t, buildpack("hello").dir(t))),
		env:    cnbEnv(),
		config: func(config *v1.Config) { configureBuilder(t, config, groups, run.name) },
		write: func(t testing.TB, out io.Writer) error {
			files := newTree(out)
			program.fill(files)
			return builderFiles(t, files, groups, run.name)
		},
	}
	return CNB{Run: run.load(t), Builder: builder.load(t)}
}

// cnbEnv says as whom buildpacks run.
func cnbEnv() []string {
	return []string{fmt.Sprintf("CNB_USER_ID=%d", cnbUser), fmt.Sprintf("CNB_GROUP_ID=%d", cnbUser)}
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

// builderFiles writes what the platform specification asks of a builder, and closes the tar.
func builderFiles(t testing.TB, files *tree, groups order, run string) error {
	lifecycle := compileLifecycle(t)
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
	var text string
	for _, group := range groups {
		text += "[[order]]\n"
		for _, one := range group {
			text += fmt.Sprintf("[[order.group]]\nid = %q\nversion = %q\n", one.id(), buildpackVersion)
		}
	}
	files.file("cnb/order.toml", 0o644, []byte(text))
	files.file("cnb/run.toml", 0o644, fmt.Appendf(nil, "[[images]]\nimage = %q\n", repository+run+":latest"))
	files.file("cnb/stack.toml", 0o644, fmt.Appendf(nil, "[run-image]\nimage = %q\n", repository+run+":latest"))
	for _, one := range groups.each() {
		if err := one.fill(t, files); err != nil {
			return err
		}
	}
	return files.close()
}

// fill writes the buildpack where a builder has it.
func (b buildpack) fill(t testing.TB, files *tree) error {
	from, root := b.dir(t), path.Join("cnb/buildpacks", strings.ReplaceAll(b.id(), "/", "_"))
	files.dir(root, 0o755)
	root = path.Join(root, buildpackVersion)
	return fs.WalkDir(os.DirFS(from), ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			files.dir(path.Join(root, name), 0o755)
			return nil
		}
		content, err := os.ReadFile(filepath.Join(from, name))
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
func configureBuilder(t testing.TB, config *v1.Config, groups order, runImage string) {
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
	var buildpacks []module
	layers := map[string]any{}
	for _, one := range groups.each() {
		buildpacks = append(buildpacks, module{one.id(), buildpackVersion})
		layers[one.id()] = map[string]any{buildpackVersion: map[string]any{"api": "0.10"}}
	}
	var tried []any
	for _, group := range groups {
		var modules []module
		for _, one := range group {
			modules = append(modules, module{one.id(), buildpackVersion})
		}
		tried = append(tried, map[string]any{"group": modules})
	}
	apis := map[string]versions{
		"buildpack": {Supported: apiVersions(7, 12)},
		"platform":  {Supported: apiVersions(7, 15)},
	}
	run := image{repository + runImage + ":latest"}
	config.User = fmt.Sprintf("%d:%d", cnbUser, cnbUser)
	for label, value := range map[string]any{
		"io.buildpacks.builder.metadata": map[string]any{
			"buildpacks": buildpacks,
			"stack":      map[string]any{"runImage": run},
			"images":     []image{run},
			"lifecycle": map[string]any{"version": lifecycleVersion, "apis": apis,
				"api": map[string]string{"buildpack": "0.7", "platform": "0.7"}},
			"createdBy": map[string]string{"name": "testkit", "version": cnbRecipe},
		},
		"io.buildpacks.buildpack.order":  tried,
		"io.buildpacks.buildpack.layers": layers,
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
