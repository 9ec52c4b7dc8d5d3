package hooks

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dokku-push/dokku-push/api"
)

// TestFind: plugins of the project, of folders of plugins, of a plugn tree and single
// ones, in the order of the walk.
func TestFind(t *testing.T) {
	w := newWorld(t, nil)
	w.plugin("own", "post-extract", "true")
	w.plugin("own", "post-deploy", "true")
	w.write(Folder+"/.hidden/post-extract", "", 0o755)
	w.write(Folder+"/README", "", 0o644)
	w.write("more/Zebra/pre-build", "", 0o755)
	w.write("more/zebra/post-build", "", 0o644)
	w.write("single/docker-args-build", "", 0o755)
	w.write("described/plugin.toml", "", 0o644)
	w.write("tree/available/third/post-build", "", 0o755)
	w.write("tree/available/off/post-build", "", 0o755)
	w.write("tree/core-plugins/available/ps/post-extract", "", 0o755)
	must(t, os.MkdirAll(filepath.Join(w.dir, "tree/enabled"), 0o755))
	must(t, os.Symlink("../available/third", filepath.Join(w.dir, "tree/enabled/third")))
	must(t, os.Symlink("../core-plugins/available/ps", filepath.Join(w.dir, "tree/enabled/ps")))
	at := func(names ...string) (paths []string) {
		for _, name := range names {
			paths = append(paths, filepath.Join(w.dir, name))
		}
		return paths
	}
	w.options.Paths = at("more", "single", "described", "tree")
	found, err := Find(w.options)
	must(t, err)
	var got []string
	for _, one := range found {
		got = append(got, one.String())
	}
	if diff := cmp.Diff([]string{"Zebra (pre-build)", "described ()", "own (post-extract)", "single (docker-args-build)", "third (post-build)", "zebra ()"}, got); diff != "" {
		t.Error(diff)
	}
	if got := Names(Acting(found)); got != "Zebra (pre-build), own (post-extract), single (docker-args-build), third (post-build)" {
		t.Error(got)
	}
	w.options.Distrust, w.options.Paths = true, nil
	if found, err := Find(w.options); len(found) != 0 || err != nil {
		t.Errorf("distrusted: %v, %v", found, err)
	}
	for _, paths := range [][]string{at("missing"), at("Procfile"), at("single", "single"), at(".dokku/plugins")} {
		w.options.Distrust, w.options.Paths = false, paths
		if _, err := Find(w.options); api.AsError(err) == nil || api.AsError(err).Code != api.Configuration {
			t.Errorf("%v: %v", paths, err)
		}
	}
}

// TestOutside: a plugin of --plugin-path runs where it is; it is not copied.
func TestOutside(t *testing.T) {
	w := newWorld(t, map[string]string{"Dockerfile": "FROM scratch\n"})
	plugin := filepath.Join(w.outside, "outer")
	must(t, os.Mkdir(plugin, 0o755))
	must(t, os.WriteFile(filepath.Join(plugin, "post-extract"), []byte("#!/bin/sh\nreadlink -f \"$0\" >\"$RECORD\"\necho \"$CONFIG_COLOUR\" >>\"$RECORD\"\n"), 0o755))
	must(t, os.WriteFile(filepath.Join(plugin, "plugin.toml"), []byte("[plugin]\nversion = \"1\"\n[plugin.config]\ncolour = \"green\"\n"), 0o644))
	w.options.Paths = []string{plugin}
	_, err := w.build()
	must(t, err)
	if diff := cmp.Diff([]string{filepath.Join(plugin, "post-extract"), "green"}, w.record()); diff != "" {
		t.Error(diff)
	}
}

// TestNoPlace: a place that shell files could not name, or that nobody may write to, is
// said with what helps, and no lock is left.
func TestNoPlace(t *testing.T) {
	w := newWorld(t, map[string]string{"Dockerfile": "FROM scratch\n"})
	w.plugin("any", "post-extract", "true")
	app, err := w.options.Read(os.DirFS(w.dir))
	must(t, err)
	w.options.App = app
	for _, dir := range []string{filepath.Join(w.outside, "with $blank"), filepath.Join(w.dir, "Dockerfile", "below")} {
		w.options.CacheDir = dir
		for range 2 {
			if _, err := Open(t.Context(), w.options); api.AsError(err) == nil || api.Exit(err) != 20 || api.AsError(err).Hint == "" {
				t.Errorf("%s: %v", dir, err)
			}
		}
	}
}
