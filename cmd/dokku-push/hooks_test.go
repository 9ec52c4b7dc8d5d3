package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestCheckPlugins: check names the plugins that have a part in the build, and runs none of
// them; what they may make of the tree is no mistake yet.
func TestCheckPlugins(t *testing.T) {
	notInCI(t)
	dir := filepath.Join(t.TempDir(), "shop")
	tree(t, dir, map[string]string{"Procfile": "web: ./server $PORT\n", ".dokku/plugins/writer/post-extract": "#!/bin/sh\ntouch ran\n"})
	if err := os.Chmod(filepath.Join(dir, ".dokku/plugins/writer/post-extract"), 0o755); err != nil {
		t.Fatal(err)
	}
	got := at(t, dir, "check")
	if got.exit != 0 || !strings.Contains(got.out, "It is built with what its plugins make of it") || !strings.Contains(got.out, "are not run here: writer (post-extract).") {
		t.Errorf("%+v", got)
	}
	if _, err := os.Stat(filepath.Join(dir, "ran")); err == nil {
		t.Error("check ran a plugin")
	}
}

// TestShimIsForPlugins: outside of a build the word is nobody's.
func TestShimIsForPlugins(t *testing.T) {
	notInCI(t)
	if got := in(t, nil, "shim", "verify_app_name", "shop"); got.exit != 64 {
		t.Errorf("%+v", got)
	}
}
