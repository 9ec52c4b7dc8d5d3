package plugin

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/triggers"
)

const bash = "#!/usr/bin/env bash\nset -eo pipefail\n"

const plainTOML = "[plugin]\ndescription = \"a test\"\nversion = \"0.1.0\"\n[plugin.config]\n"

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// world is a plugin tree with its manager, and a log that the plugins' triggers write.
type world struct {
	*Manager
	log      string
	out, err lockedBuffer
}

type lockedBuffer struct {
	mutex  sync.Mutex
	buffer bytes.Buffer
}

func (b *lockedBuffer) Write(text []byte) (int, error) {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	return b.buffer.Write(text)
}

func (b *lockedBuffer) String() string {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	return b.buffer.String()
}

func newWorld(t *testing.T) *world {
	t.Helper()
	dir := t.TempDir()
	w := &world{log: filepath.Join(dir, "log")}
	path := filepath.Join(dir, "plugins")
	must(t, os.MkdirAll(path, 0o755))
	t.Setenv("LOG", w.log)
	fire := func(ctx context.Context, trigger string, args []string, streams agent.Streams) error {
		walk := triggers.Walk{Path: path, Env: triggers.Environment()}
		return walk.Trigger(ctx, trigger, args, triggers.Streams{In: streams.In, Out: streams.Out, Err: streams.Err})
	}
	w.Manager = &Manager{Path: path, Fire: fire, Out: &w.out, Err: &w.err}
	return w
}

// logged is what the triggers wrote, and empties it.
func (w *world) logged(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(w.log)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	must(t, os.WriteFile(w.log, nil, 0o644))
	return strings.TrimSuffix(strings.ReplaceAll(string(text), "\n", ";"), ";")
}

// writes is a hook that writes down its plugin, its trigger and its arguments.
func writes(more string) string {
	return bash + `echo "$(basename "$(dirname "$0")") ${0##*/} $*" | sed 's/ *$//' >> "$LOG"` + "\n" + more + "\n"
}

// state is everything in the tree but what git keeps for itself.
func (w *world) state(t *testing.T) string {
	t.Helper()
	var all strings.Builder
	must(t, filepath.WalkDir(w.Path, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.Name() == ".git" {
			return fs.SkipDir
		}
		inside, err := filepath.Rel(w.Path, path)
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		fmt.Fprintf(&all, "%s %s", inside, info.Mode())
		if entry.Type()&fs.ModeSymlink != 0 {
			to, err := os.Readlink(path)
			must(t, err)
			all.WriteString(" " + to)
		} else if entry.Type().IsRegular() {
			text, err := os.ReadFile(path)
			must(t, err)
			fmt.Fprintf(&all, " %q", text)
		}
		all.WriteString("\n")
		return nil
	}))
	return all.String()
}

// folderOf writes a plugin's files into a new folder.
func folderOf(t *testing.T, name string, files map[string]string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), name)
	must(t, os.MkdirAll(dir, 0o755))
	fill(t, dir, files)
	return dir
}

func fill(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	if _, ok := files["plugin.toml"]; !ok {
		must(t, os.WriteFile(filepath.Join(dir, "plugin.toml"), []byte(plainTOML), 0o644))
	}
	for name, text := range files {
		path := filepath.Join(dir, name)
		must(t, os.MkdirAll(filepath.Dir(path), 0o755))
		mode := fs.FileMode(0o644)
		if strings.HasPrefix(text, "#!") {
			mode = 0o755
		}
		if text == "" {
			_ = os.Remove(path) // it may not be there yet
			continue
		}
		must(t, os.WriteFile(path, []byte(text), mode))
	}
}

// repositoryOf is a git repository with a plugin's files in its first commit.
func repositoryOf(t *testing.T, name string, files map[string]string) string {
	t.Helper()
	dir := folderOf(t, name, files)
	gitIn(t, dir, "init", "--quiet", "--initial-branch=main")
	commit(t, dir, nil)
	return dir
}

func commit(t *testing.T, dir string, files map[string]string) string {
	t.Helper()
	if files != nil {
		fill(t, dir, files)
	}
	gitIn(t, dir, "add", "--all")
	gitIn(t, dir, "commit", "--quiet", "--allow-empty", "--message=x")
	return gitIn(t, dir, "rev-parse", "HEAD")
}

func gitIn(t *testing.T, dir string, args ...string) string {
	t.Helper()
	command := exec.Command("git", append([]string{"-C", dir, "-c", "user.name=x", "-c", "user.email=x@example.com"}, args...)...)
	out, err := command.CombinedOutput()
	if err != nil {
		t.Fatalf("git %v: %v\n%s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

func (w *world) names(t *testing.T) string {
	t.Helper()
	list, err := w.List(context.Background())
	must(t, err)
	var names []string
	for _, one := range list {
		name := one.Name
		if one.Enabled {
			name += "+"
		}
		names = append(names, name)
	}
	return strings.Join(names, " ")
}
