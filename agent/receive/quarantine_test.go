package receive

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dokku-push/dokku-push/agent"
)

// TestQuarantine: what a push has brought is built from where git keeps it until its hook
// agrees, and gets into the repository before only where a plugin may look for it.
func TestQuarantine(t *testing.T) {
	for name, ships := range map[string][]string{"alone": nil, "with a plugin": {"post-deploy"}} {
		w := newWorld(t)
		w.ships = ships
		_, _, err := w.Host.Settings.Change("--global", func(now *agent.Settings) error { now.Properties["git/keep-git-dir"] = "true"; return nil })
		must(t, err)
		must(t, Initialize(t.Context(), w.Host.Places, "shop"))
		repository, source := w.Host.Places.App("shop"), folder(t, map[string]string{"Procfile": "web: x\n"})
		command(t, source, "git", "init", "--quiet")
		command(t, source, "git", "add", "Procfile")
		command(t, source, "git", "commit", "--quiet", "--message", "first")
		c := command(t, source, "git", "rev-parse", "HEAD")
		seen := ""
		w.look = func(dir string) { // as in a container, where nothing else of the host is
			copied := filepath.Join(t.TempDir(), "tree")
			must(t, os.CopyFS(copied, os.DirFS(dir)))
			seen = command(t, copied, "git", "log", "--format=%s") + " " + command(t, copied, "git", "status", "--short") + command(t, copied, "git", "fsck")
		}
		t.Setenv("GIT_QUARANTINE_PATH", filepath.Join(source, ".git", "objects"))
		w.fail = errors.New("sick")
		if err := w.hook(none + " " + c + " refs/heads/master"); err == nil || len(w.builds) != 1 || !strings.HasSuffix(w.trees[0], " Procfile") || w.builds[0].From.Author != "Ada <ada@example.com>" {
			t.Errorf("%s: %v, %+v, %q", name, err, w.builds, w.trees)
		}
		if _, err := os.Stat(filepath.Join(w.builds[0].Dir, ".git")); seen != "first " || err == nil {
			t.Errorf("%s: git in the build says %q; the tree is still there: %t", name, seen, err == nil)
		}
		if taken := resolve(t.Context(), repository, c) != ""; taken != (ships != nil) {
			t.Errorf("%s: the refused commit is in the repository: %t", name, taken)
		}
	}
}

// TestShallow: a first push without all of its history is built with its folder .git: which
// commits have no parents stands beside the repository until the hook agrees.
func TestShallow(t *testing.T) {
	w := newWorld(t)
	w.set("git/keep-git-dir", "true")
	must(t, Initialize(t.Context(), w.Host.Places, "shop"))
	dir := t.TempDir()
	command(t, dir, "git", "init", "--quiet", "whole")
	for _, message := range []string{"first", "second"} {
		command(t, filepath.Join(dir, "whole"), "git", "commit", "--quiet", "--allow-empty", "--message", message)
	}
	command(t, dir, "git", "clone", "--quiet", "--depth=1", "file://"+filepath.Join(dir, "whole"), "shallow")
	c := command(t, filepath.Join(dir, "shallow"), "git", "rev-parse", "HEAD")
	file := filepath.Join(w.Host.Places.App("shop"), "shallow_x")
	must(t, os.WriteFile(file, []byte(c+"\n"), 0o644))
	t.Setenv("GIT_SHALLOW_FILE", file)
	t.Setenv("GIT_QUARANTINE_PATH", filepath.Join(dir, "shallow", ".git", "objects"))
	seen := ""
	w.look = func(dir string) { seen = command(t, dir, "git", "log", "--format=%s") }
	if err := w.hook(none + " " + c + " refs/heads/master"); err != nil || seen != "second" {
		t.Errorf("git in the build says %q, %v", seen, err)
	}
}

// TestLost: of a push whose client goes away before all of it has come, nothing is built, no
// branch is there and nothing is kept.
func TestLost(t *testing.T) {
	w := newWorld(t)
	must(t, Initialize(t.Context(), w.Host.Places, "shop"))
	repository := w.Host.Places.App("shop")
	source := t.TempDir()
	command(t, source, "git", "init", "--quiet", "--initial-branch=master")
	command(t, source, "git", "commit", "--quiet", "--allow-empty", "--message", "first")
	c := command(t, source, "git", "rev-parse", "HEAD")
	pack := exec.Command("git", "-C", source, "pack-objects", "--stdout", "--revs", "--quiet")
	pack.Stdin = strings.NewReader(c + "\n")
	objects, err := pack.Output()
	must(t, err)
	asks := none + " " + c + " refs/heads/master\x00 report-status\n"
	asks = fmt.Sprintf("%04x%s0000", len(asks)+4, asks)
	for what, sent := range map[string]string{"before its words": asks[:20], "before the pack": asks, "in the pack": asks + string(objects[:len(objects)-30])} {
		w.In = strings.NewReader(sent)
		_ = w.ReceivePack(t.Context(), "shop") // git may be content: it has said what is wrong
		if refs := command(t, repository, "git", "for-each-ref"); refs != "" || len(w.builds) > 0 {
			t.Errorf("%s: there are %q, and %d builds", what, refs, len(w.builds))
		}
		if left := command(t, repository, "git", "count-objects"); left != "0 objects, 0 kilobytes" {
			t.Errorf("%s: it keeps %s", what, left)
		}
	}
	w.In = strings.NewReader(asks + string(objects))
	_ = w.ReceivePack(t.Context(), "shop")
	if said := w.out.String(); !strings.Contains(said, "pre-receive hook declined") {
		t.Errorf("a whole push does not get to the hook: %q", said)
	}
}
