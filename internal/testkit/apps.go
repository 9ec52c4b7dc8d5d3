package testkit

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// CopyApp copies testdata/apps/NAME into a folder of the test and loads the base
// image that its Dockerfile starts from. A copy of site gets its base image as
// the OCI layout folder that its dokku.hcl names.
func CopyApp(t testing.TB, name string) (dir string) {
	t.Helper()
	switch name {
	case "goweb":
		Golang(t)
		Busybox(t)
	case "pyweb":
		Python(t)
	case "cnb":
		Buildpacks(t)
	case "cnbgo", "cnbpython":
		Languages(t)
	case "site":
	default:
		Busybox(t)
	}
	dir = filepath.Join(t.TempDir(), name)
	must(t, "copy the app "+name, os.CopyFS(dir, os.DirFS(filepath.Join(Root(t), "testdata", "apps", name))))
	if name == "site" {
		must(t, "place the base image", os.CopyFS(filepath.Join(dir, "base"), os.DirFS(BaseLayout(t))))
	}
	return dir
}

// Edit replaces the one place in a file of the app where former stands.
func Edit(t testing.TB, dir, file, former, text string) {
	t.Helper()
	path := filepath.Join(dir, file)
	content, err := os.ReadFile(path)
	must(t, "read "+file, err)
	if n := strings.Count(string(content), former); n != 1 {
		t.Fatalf("edit %s: %q stands there %d times, want once", file, former, n)
	}
	must(t, "write "+file, os.WriteFile(path, []byte(strings.Replace(string(content), former, text, 1)), 0o644))
}
