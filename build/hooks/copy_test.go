package hooks

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/dokku-push/dokku-push/build/static"
)

// TestCopyTree: names, modes, times, links and content are the same; no file is the
// same file; what is no file, folder or link is passed over.
func TestCopyTree(t *testing.T) {
	from, to := t.TempDir(), filepath.Join(t.TempDir(), "to")
	must(t, os.Mkdir(to, 0o755))
	for name, mode := range map[string]os.FileMode{"plain": 0o644, "program": 0o755, "secret": 0o600, "odd name \xff": 0o640, "empty/.keep": 0o444, "set": 0o755 | os.ModeSetuid} {
		file := filepath.Join(from, name)
		must(t, os.MkdirAll(filepath.Dir(file), 0o755))
		must(t, os.WriteFile(file, []byte(name), 0o600))
		must(t, os.Chmod(file, mode))
	}
	must(t, os.WriteFile(filepath.Join(from, "large"), make([]byte, 5<<20), 0o644))
	must(t, os.Link(filepath.Join(from, "plain"), filepath.Join(from, "same")))
	must(t, os.Symlink("../outside", filepath.Join(from, "empty", "link")))
	must(t, os.Symlink("nowhere", filepath.Join(from, "dangling")))
	must(t, os.Mkdir(filepath.Join(from, "closed"), 0o700))
	must(t, os.WriteFile(filepath.Join(from, "closed", "in"), nil, 0o600))
	must(t, os.Chmod(filepath.Join(from, "closed"), 0o555))
	must(t, os.Chtimes(filepath.Join(from, "empty"), time.Time{}, time.Unix(1e9, 123)))
	want := picture(t, from)
	must(t, syscall.Mkfifo(filepath.Join(from, "pipe"), 0o600))
	must(t, copyTree(t.Context(), from, to, nil))
	got := picture(t, to)
	delete(want, ".")
	delete(got, ".")
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-from +to):\n%s", diff)
	}
	for name := range got {
		a, errA := os.Lstat(filepath.Join(from, name))
		b, errB := os.Lstat(filepath.Join(to, name))
		if errA != nil || errB != nil || os.SameFile(a, b) {
			t.Errorf("%s is the same file: %v %v", name, errA, errB)
		}
	}
	must(t, clearFolder(to))
	if entries, err := os.ReadDir(to); err != nil || len(entries) > 0 {
		t.Errorf("not cleared: %v %v", entries, err)
	}
}

// TestSelection: what a builder leaves out is not copied, but for what the manifest, the
// builder and its ignore file are; what another builder leaves out is.
func TestSelection(t *testing.T) {
	files := map[string]string{"Procfile": "web: serve\n", "app.json": "{}\n", "src/a": "", "src/b.log": "", "src/deep/keep.log": "", "node_modules/x/y": "", "cfg/Dockerfile": "FROM scratch\n",
		".git/HEAD": "ref", ".dokku/plugins/p/post-extract": "#!/bin/sh\n"}
	const docker = "build {\n  dockerfile {\n    path = \"cfg/Dockerfile\"\n  }\n}\n"
	const plain = "build {\n  builder = \"static\"\n}\n"
	always := []string{".dokku", "Procfile", "app.json", "dokku.hcl", "src/a"}
	for name, test := range map[string]struct {
		files map[string]string
		here  string
		gone  string
	}{
		"no ignore file": {map[string]string{"dokku.hcl": docker}, "src/b.log node_modules/x/y cfg/Dockerfile .git/HEAD", ""},
		".dockerignore": {map[string]string{"dokku.hcl": docker, ".dockerignore": "node_modules\n**/*.log\n!src/deep/keep.log\nProcfile\napp.json\ndokku.hcl\ncfg\n.git\n.dockerignore\n"},
			"cfg/Dockerfile .dockerignore src/deep/keep.log", "src/b.log node_modules .git"},
		"everything but": {map[string]string{"dokku.hcl": docker, ".dockerignore": "*\n!src\n!.dokku\n"}, "cfg/Dockerfile .dockerignore src/b.log", "node_modules .git"},
		"the Dockerfile's own": {map[string]string{"dokku.hcl": docker, ".dockerignore": "src\n", "cfg/Dockerfile.dockerignore": "node_modules\n"},
			"src/b.log cfg/Dockerfile.dockerignore .dockerignore .git/HEAD", "node_modules"},
		"static":                  {map[string]string{"dokku.hcl": plain, ".dokkuignore": "node_modules\n", ".dockerignore": "src\n"}, "src/b.log cfg/Dockerfile .dokkuignore", "node_modules .git"},
		"static by .dockerignore": {map[string]string{"dokku.hcl": plain, ".dockerignore": "node_modules\nsrc/*.log\n"}, "src/deep/keep.log", "node_modules src/b.log .git"},
		"a pattern below the context": {map[string]string{"dokku.hcl": "build {\n  context = \"cfg\"\n}\n", "cfg/.dockerignore": "big\n", "cfg/big/one": "", "cfg/small": "", "big/two": ""},
			"cfg/small big/two .git/HEAD", "cfg/big"},
		"buildpacks": {map[string]string{"dokku.hcl": "build {\n  builder = \"pack\"\n}\n", ".dockerignore": "src\nnode_modules\n"}, "src/b.log node_modules/x/y", ".git"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, files)
			for file, text := range test.files {
				w.write(file, text, 0o644)
			}
			must(t, os.Chmod(filepath.Join(w.dir, Folder, "p/post-extract"), 0o755))
			room := w.open()
			has := func(file string) bool { _, err := os.Lstat(filepath.Join(room.Dir(), file)); return err == nil }
			for _, file := range append(slices.Clone(always), strings.Fields(test.here)...) {
				if !has(file) {
					t.Errorf("%s is missing", file)
				}
			}
			for _, file := range strings.Fields(test.gone) {
				if has(file) {
					t.Errorf("%s was copied", file)
				}
			}
		})
	}
}

// TestSelectionSpares: the place of the copy is in the project where that is a home folder.
func TestSelectionSpares(t *testing.T) {
	w := newWorld(t, map[string]string{"Dockerfile": "FROM scratch\n"})
	w.plugin("any", "post-extract", "true")
	w.options.CacheDir = filepath.Join(w.dir, ".cache/dokku-push/hooks")
	must(t, os.MkdirAll(filepath.Join(w.dir, ".cache/other"), 0o755))
	room := w.open()
	names := slices.Sorted(maps.Keys(picture(t, room.Dir())))
	if slices.ContainsFunc(names, func(name string) bool { return strings.HasPrefix(name, ".cache/dokku-push/hooks/") }) || !slices.Contains(names, ".cache/other") {
		t.Errorf("copied: %q", names)
	}
}

// TestSameImage: plugins that change nothing change nothing in the image.
func TestSameImage(t *testing.T) {
	w := newWorld(t, map[string]string{"dokku.hcl": "build {\n  builder = \"static\"\n  static {\n    base = \"scratch\"\n    command = \"serve\"\n  }\n}\n",
		"a/b": "text", "run": "#!/bin/sh\n", ".dockerignore": ".dokku\n*.log\n", "x.log": "", ".git/HEAD": ""})
	must(t, os.Chmod(filepath.Join(w.dir, "run"), 0o755))
	must(t, os.Symlink("a/b", filepath.Join(w.dir, "link")))
	digest := func() (v1.Hash, string) {
		request, err := w.build()
		must(t, err)
		image, err := static.Builder{CacheDir: filepath.Join(w.outside, "layers")}.Build(t.Context(), request)
		must(t, err)
		id, err := image.ConfigName()
		must(t, err)
		must(t, w.room.Close())
		return id, request.Dir
	}
	without, where := digest()
	w.plugin("idle", "post-extract", "true")
	with, there := digest()
	if without != with || where == there {
		t.Errorf("%s of %s, %s of %s", without, where, with, there)
	}
	w.plugin("label", "docker-args-build", "echo -n ' --label a=b'")
	if labelled, _ := digest(); labelled == with {
		t.Error("a label changes nothing")
	}
}

// TestBuilderChanges: a plugin may make it another builder's tree; but not where the copy
// lacks what the other builder would have had.
func TestBuilderChanges(t *testing.T) {
	w := newWorld(t, map[string]string{"go.mod": "module shop\n"})
	w.plugin("docker", "post-extract", "echo FROM scratch >Dockerfile")
	request, err := w.build()
	must(t, err)
	if _, err := os.Stat(filepath.Join(request.Dir, "Dockerfile")); err != nil {
		t.Error(err)
	}
	must(t, w.room.Close())

	w = newWorld(t, map[string]string{"Dockerfile": "FROM scratch\n", "go.mod": "module shop\n", "big": "", ".dockerignore": "big\n"})
	w.plugin("packs", "builder-detect", "echo pack")
	if _, err = w.build(); err == nil || !strings.Contains(err.Error(), "lacks what the ignore file of dockerfile leaves out") {
		t.Errorf("%v", err)
	}
}

// TestDetect: what builder-detect answers counts, its first line; dokku.hcl speaks at the
// place of the plugin builder.
func TestDetect(t *testing.T) {
	const said = "build {\n  builder = \"dockerfile\"\n}\n"
	for name, test := range map[string]struct {
		hcl     string
		plugins map[string]string
		want    string
		why     string
	}{
		"nobody answers":       {"", map[string]string{"a": "true"}, "dockerfile", "there is a Dockerfile"},
		"one answers":          {"", map[string]string{"a": "echo pack; echo dockerfile"}, "pack", "builder-detect of a plugin says pack"},
		"the first counts":     {"", map[string]string{"b": "echo dockerfile", "a": "echo static"}, "static", "builder-detect of a plugin says static"},
		"herokuish":            {"", map[string]string{"a": "echo herokuish"}, "pack", "builder-detect of a plugin says herokuish"},
		"dokku.hcl is earlier": {said, map[string]string{"c": "echo pack"}, "dockerfile", "named in dokku.hcl"},
		"dokku.hcl is later":   {said, map[string]string{"a": "echo pack"}, "pack", "builder-detect of a plugin says pack"},
		"one that is none":     {"", map[string]string{"a": "echo nixpacks"}, "", "the trigger builder-detect of a plugin says \"nixpacks\""},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, map[string]string{"Dockerfile": "FROM scratch\n", "dokku.hcl": test.hcl})
			for plugin, script := range test.plugins {
				w.plugin(plugin, "builder-detect", script)
			}
			room := w.open()
			got, why, err := room.Choose(t.Context())
			if err != nil {
				why = err.Error()
			}
			if got != test.want || !strings.Contains(why, test.why) {
				t.Errorf("%q, %q, %v", got, why, err)
			}
		})
	}
}
