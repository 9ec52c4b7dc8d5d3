package testkit

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// Golang is the name of an image with this machine's Go toolchain on top of
// busybox, at /usr/local/go, as far as a program of warmImports needs it: the compiler, the
// sources of those packages, and a warm build cache. `go build` in it takes
// about two seconds; making the image, once per toolchain, about twenty.
func Golang(t testing.TB) string {
	t.Helper()
	return golang(t).load(t)
}

const golangRecipe = "1" // counts changes of golangFiles

// golangEnv is the build environment in the image and for its cache alike: the
// cache only serves builds that agree in it.
func golangEnv() []string {
	return []string{"CGO_ENABLED=0", "GOFLAGS=-trimpath -buildvcs=false", "GOTOOLCHAIN=local", "GOPROXY=off", "GOWORK=off"}
}

func golang(t testing.TB) base {
	t.Helper()
	facts, err := exec.Command("go", "env", "GOROOT", "GOVERSION", "GOARCH").Output()
	must(t, "ask for the Go toolchain", err)
	goroot := strings.Fields(string(facts))[0]
	program := readBusybox(t)
	return base{
		name:   "golang",
		recipe: recipe(append(warmImports(), golangRecipe, program.recipe(), string(facts))...),
		env:    append(golangEnv(), "GOCACHE=/var/cache/go", "PATH=/usr/local/go/bin:/usr/local/bin:/usr/bin:/bin"),
		write: func(t testing.TB, out io.Writer) error {
			cache := t.TempDir()
			packages, err := warm(t.TempDir(), cache)
			if err != nil {
				return err
			}
			files := newTree(out)
			program.fill(files)
			if err := golangFiles(files, goroot, cache, packages); err != nil {
				return err
			}
			return files.close()
		},
	}
}

// warmImports is what a program built in the image may import of the standard
// library, beside everything those packages need themselves.
func warmImports() []string {
	return []string{"encoding/json", "html/template", "log/slog", "net/http", "os/exec", "os/signal"}
}

// warm compiles a program that imports warmImports into the cache and returns the
// import paths of everything it needs.
func warm(dir, cache string) ([]string, error) {
	source := "package main\n\n"
	for _, path := range warmImports() {
		source += fmt.Sprintf("import _ %q\n", path)
	}
	source += "\nfunc main() {}\n"
	if err := os.WriteFile(filepath.Join(dir, "main.go"), []byte(source), 0o644); err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(dir, "go.mod"), []byte("module warm\n\ngo 1.26\n"), 0o644); err != nil {
		return nil, err
	}
	env := append(append(os.Environ(), golangEnv()...), "GOCACHE="+cache)
	build := exec.Command("go", "build", "-o", os.DevNull, ".")
	build.Dir, build.Env = dir, env
	if out, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("warm the build cache: %w\n%s", err, out)
	}
	list := exec.Command("go", "list", "-deps", ".")
	list.Dir, list.Env = dir, env
	packages, err := list.Output()
	if err != nil {
		return nil, fmt.Errorf("list the packages: %w", err)
	}
	return strings.Fields(string(packages)), nil
}

// golangFiles writes the part of the toolchain that a build of those packages reads.
func golangFiles(files *tree, goroot, cache string, packages []string) error {
	names := []string{"VERSION", "go.env", "bin/go", "src/go.mod", "src/vendor/modules.txt"}
	tools := filepath.Join("pkg", "tool", "linux_"+runtime.GOARCH)
	for _, tool := range []string{"asm", "compile", "link"} {
		names = append(names, filepath.Join(tools, tool))
	}
	dirs := []string{"pkg/include"}
	for _, path := range packages {
		dirs = append(dirs, filepath.Join("src", path))
	}
	for _, dir := range dirs {
		entries, err := os.ReadDir(filepath.Join(goroot, dir))
		if err != nil {
			continue // the program's own package: no part of the toolchain
		}
		for _, entry := range entries {
			if entry.Type().IsRegular() && !strings.HasSuffix(entry.Name(), "_test.go") {
				names = append(names, filepath.Join(dir, entry.Name()))
			}
		}
	}
	if err := copyInto(files, goroot, "usr/local/go", names); err != nil {
		return err
	}
	var cached []string
	err := fs.WalkDir(os.DirFS(cache), ".", func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.Type().IsRegular() {
			cached = append(cached, path)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("read the build cache: %w", err)
	}
	return copyInto(files, cache, "var/cache/go", cached)
}

// copyInto copies files of a folder, and the folders above them, in byte order.
func copyInto(files *tree, from, to string, names []string) error {
	slices.Sort(names)
	made := map[string]bool{".": true, "usr": true, "var": true}
	var parents func(dir string)
	parents = func(dir string) {
		if !made[dir] {
			made[dir] = true
			parents(filepath.Dir(dir))
			files.dir(dir, 0o755)
		}
	}
	for _, name := range slices.Compact(names) {
		content, err := os.ReadFile(filepath.Join(from, name))
		if err != nil {
			return fmt.Errorf("copy %s: %w", name, err)
		}
		info, err := os.Stat(filepath.Join(from, name))
		if err != nil {
			return fmt.Errorf("copy %s: %w", name, err)
		}
		parents(filepath.Dir(filepath.Join(to, name)))
		files.file(filepath.Join(to, name), int64(info.Mode().Perm()), content)
	}
	return nil
}
