package hooks

import (
	"crypto/sha256"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/build"
	"github.com/dokku-push/dokku-push/manifest"
)

// TestMain makes this program the one that answers plugins, as dokku-push is.
func TestMain(m *testing.M) {
	if env := os.Environ(); len(os.Args) > 1 && os.Args[1] == "shim" && Asked(env) {
		os.Exit(Answer(os.Args[2:], env, Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}))
	}
	os.Exit(m.Run())
}

// world is a project with plugins.
type world struct {
	t       *testing.T
	dir     string
	outside string // where a plugin may write what a test reads
	options Options
	printed []string
	room    *Room // the last one that was opened
}

// newWorld writes a project of these files.
func newWorld(t *testing.T, files map[string]string) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir(), outside: t.TempDir()}
	t.Setenv("RECORD", filepath.Join(w.outside, "record"))
	for name, text := range files {
		w.write(name, text, 0o644)
	}
	w.options = Options{Dir: w.dir, Name: "shop", Revision: strings.Repeat("ab", 20), CacheDir: filepath.Join(t.TempDir(), "hooks"),
		Getenv: os.LookupEnv, Version: "1.2.3", Output: func(line string) { w.printed = append(w.printed, line) },
		Read: func(fsys fs.FS) (*manifest.App, error) {
			app, found := manifest.Load(fsys, manifest.Options{Getenv: os.LookupEnv})
			if found.Failed() {
				return nil, api.Errorf(api.InvalidManifest, "", "%w", found)
			}
			return app, nil
		}}
	return w
}

func (w *world) write(name, text string, mode fs.FileMode) {
	w.t.Helper()
	path := filepath.Join(w.dir, name)
	must(w.t, os.MkdirAll(filepath.Dir(path), 0o755))
	must(w.t, os.WriteFile(path, []byte(text), mode))
}

// plugin gives the project a plugin with this script for a trigger.
func (w *world) plugin(name, trigger, script string) {
	w.t.Helper()
	w.write(Folder+"/"+name+"/"+trigger, "#!/usr/bin/env bash\nset -eo pipefail; [[ $DOKKU_TRACE ]] && set -x\n"+script+"\n", 0o755)
}

// open opens the room, to be closed at the end of the test.
func (w *world) open() *Room {
	w.t.Helper()
	var err error
	if w.options.App == nil {
		w.options.App, err = w.options.Read(os.DirFS(w.dir))
		must(w.t, err)
	}
	room, err := Open(w.t.Context(), w.options)
	must(w.t, err)
	w.t.Cleanup(func() { must(w.t, room.Close()) })
	w.room = room
	return room
}

// build goes through a whole build without a builder, and returns what it would be given.
func (w *world) build() (build.Request, error) {
	w.t.Helper()
	room := w.open()
	app, err := room.Extract(w.t.Context())
	if err != nil {
		return build.Request{}, err
	}
	name, _, err := room.Choose(w.t.Context())
	if err != nil {
		return build.Request{}, err
	}
	request := build.Request{Dir: room.Dir(), App: app, Name: "shop", OS: "linux", Arch: "amd64", Output: w.options.Output}
	if err := room.Before(w.t.Context(), name, &request); err != nil {
		return request, err
	}
	return request, room.After(w.t.Context(), name)
}

// record is what plugins wrote to $RECORD.
func (w *world) record() []string {
	w.t.Helper()
	text, err := os.ReadFile(os.Getenv("RECORD"))
	if err != nil {
		return nil
	}
	return strings.Split(strings.TrimSpace(string(text)), "\n")
}

// picture is all that a folder is made of: names, modes, times, links and content.
func picture(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	must(t, filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		text := fmt.Sprintf("%s %d", info.Mode(), info.ModTime().UnixNano())
		switch {
		case info.Mode().IsRegular():
			content, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			text += fmt.Sprintf(" %x", sha256.Sum256(content))
		case info.Mode()&fs.ModeSymlink != 0:
			to, err := os.Readlink(path)
			if err != nil {
				return err
			}
			text += " -> " + to
		}
		all[name] = text
		return nil
	}))
	return all
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
