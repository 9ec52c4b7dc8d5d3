package receive

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/api"
)

// folder is a source tree that no git knows of.
func folder(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		must(t, os.MkdirAll(filepath.Dir(path), 0o755))
		if to, isLink := strings.CutPrefix(text, "link:"); isLink {
			must(t, os.Symlink(to, path))
			continue
		}
		must(t, os.WriteFile(path, []byte(text), 0o644))
	}
	return dir
}

// TestTree: a folder becomes the deploy branch's next commit, with what its .gitignore
// names; the same once more is nothing, unless the app runs something else; what fails moves no branch.
func TestTree(t *testing.T) {
	w := newWorld(t)
	ctx := context.Background()
	tree := func(files map[string]string, by Author) (bool, error) {
		t.Helper()
		return w.Tree(ctx, "shop", folder(t, files), "an archive", by)
	}
	first := map[string]string{"Procfile": "web: x\n", ".gitignore": "target\n", "target/app.jar": "jar", "link": "link:Procfile"}
	if changed, err := tree(first, Author{"Ada", "ada@example.com"}); err != nil || !changed {
		t.Fatalf("%v, %v", changed, err)
	}
	head, branch, err := Head(ctx, w.Host, "shop")
	must(t, err)
	if head == "" || branch != "master" || len(w.builds) != 1 || w.builds[0].From.Revision != head || w.builds[0].From.Author != "Ada <ada@example.com>" ||
		w.trees[0] != ".gitignore Procfile link target/app.jar" {
		t.Errorf("%s of %s: %+v, %q", head, branch, w.builds, w.trees)
	}
	runs := func(version int, source api.Source) {
		t.Helper()
		must(t, w.Host.Ledger.Save("shop", agent.Record{Release: api.Release{Version: version}, Document: api.ReleaseDocument{Source: source}}))
		must(t, w.Host.Ledger.SetCurrent("shop", version))
	}
	runs(1, w.builds[0].From)
	if changed, err := tree(first, Author{}); err != nil || changed || len(w.builds) != 1 {
		t.Errorf("the same once more: %v, %v", changed, err)
	}
	runs(2, api.Source{}) // an image, or another release by a rollback
	if changed, err := tree(first, Author{}); err != nil || !changed || len(w.builds) != 2 || w.builds[1].From.Revision != head {
		t.Errorf("the same, which does not run any more: %v, %v, %d builds", changed, err, len(w.builds))
	}
	w.fail = errors.New("sick")
	if _, err := tree(map[string]string{"Procfile": "web: y\n"}, Author{}); err == nil {
		t.Error("a deploy that fails is none")
	}
	if now, _, err := Head(ctx, w.Host, "shop"); err != nil || now != head {
		t.Errorf("the branch is at %s, %v", now, err)
	}
	if changed, err := tree(map[string]string{"Procfile": "web: y\n"}, Author{}); err != nil || !changed {
		t.Errorf("once more: %v, %v", changed, err)
	}
	now, _, err := Head(ctx, w.Host, "shop")
	must(t, err)
	if text, err := git(ctx, "--git-dir="+w.Host.Places.App("shop"), "log", "--format=%an <%ae> %s", now); err != nil || text != "Dokku <automated@dokku.sh> an archive\nAda <ada@example.com> an archive" {
		t.Errorf("%q, %v", text, err)
	}
}

// TestTreeRefused: a link out of the folder, a locked app, one that takes signed releases
// alone, and a host that cannot build: before a repository is made.
func TestTreeRefused(t *testing.T) {
	for name, test := range map[string]struct {
		files map[string]string
		make  func(w *world)
		code  api.Code
	}{
		"a link out": {map[string]string{"l": "link:/etc/passwd"}, func(*world) {}, api.Refused},
		"locked":     {nil, func(w *world) { w.set("apps/locked", "true") }, api.Locked},
		"signed":     {nil, func(w *world) { w.set(agent.SigningRequired, "true") }, api.Refused},
		"no builder": {nil, func(w *world) { w.Builder = nil }, api.Precondition},
	} {
		w := newWorld(t)
		test.make(w)
		_, err := w.Tree(context.Background(), "shop", folder(t, test.files), "an archive", Author{})
		if err == nil || api.AsError(err).Code != test.code || len(w.builds) > 0 || isRepository(w.Host.Places.App("shop")) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestTreeRebuilds: what came as an archive is built again by ps:rebuild, and came as an
// archive still; only a push makes it one that is pushed.
func TestTreeRebuilds(t *testing.T) {
	w := newWorld(t)
	ctx := context.Background()
	if _, err := w.Tree(ctx, "shop", folder(t, map[string]string{"a": "a"}), "an archive", Author{}); err != nil {
		t.Fatal(err)
	}
	head, _, err := Head(ctx, w.Host, "shop")
	must(t, err)
	must(t, w.Host.Ledger.Save("shop", agent.Record{Release: api.Release{Version: 1}, Document: api.ReleaseDocument{Source: api.Source{Revision: head}}}))
	must(t, w.Host.Ledger.SetCurrent("shop", 1))
	for source, want := range map[string]bool{"tar": true, "tar.gz": true, "zip": true, "docker-image": false} {
		w.set("apps/deploy-source", source)
		if builds, err := Builds(ctx, w.Host, "shop"); err != nil || builds != want {
			t.Errorf("%s: %v, %v", source, builds, err)
		}
		w.fired = nil
		must(t, w.App(ctx, "shop", ""))
		if told := slices.ContainsFunc(w.fired, func(one string) bool { return strings.HasPrefix(one, "deploy-source-set shop git-push") }); told {
			t.Errorf("%s: a rebuild fires %q", source, w.fired)
		}
	}
	w.set("apps/deploy-source", "tar")
	c := w.commit(map[string]string{"Procfile": "web: x\n"})
	must(t, w.hook(head+" "+c+" refs/heads/master"))
	if !slices.Contains(w.fired, "deploy-source-set shop git-push "+c) {
		t.Errorf("a push fires %q", w.fired)
	}
}

// TestCopy: another app gets the branches and tags, and needs the first one's files no more.
func TestCopy(t *testing.T) {
	w := newWorld(t)
	ctx, places := context.Background(), w.Host.Places
	must(t, w.Host.Settings.Create("copy"))
	must(t, Copy(ctx, places, "shop", "copy"))
	if isRepository(places.App("copy")) {
		t.Error("a copy of nothing is a repository")
	}
	must(t, Initialize(ctx, places, "shop"))
	must(t, Copy(ctx, places, "shop", "copy")) // an empty one
	c := w.commit(map[string]string{"Procfile": "web: x\n"})
	command(t, places.App("shop"), "git", "update-ref", "refs/heads/master", c)
	command(t, places.App("shop"), "git", "update-ref", "refs/tags/v1", c)
	shallow := filepath.Join(t.TempDir(), "shallow")
	must(t, os.WriteFile(filepath.Join(places.App("shop"), "shallow"), []byte(c+"\n"), 0o644))
	must(t, Copy(ctx, places, "shop", "copy"))
	must(t, w.Host.Settings.Destroy("shop"))
	refs := command(t, places.App("copy"), "git", "for-each-ref", "--format=%(objectname) %(refname)")
	for _, ref := range []string{"refs/heads/master", "refs/tags/v1"} {
		if !strings.Contains(refs+"\n", c+" "+ref+"\n") {
			t.Errorf("%s is not copied: %s", ref, refs)
		}
	}
	command(t, places.App("copy"), "git", "fsck", "--strict")
	command(t, filepath.Dir(shallow), "git", "clone", "--quiet", "file://"+places.App("copy"), shallow)
	if _, err := os.Stat(filepath.Join(places.App("copy"), "hooks", "pre-receive")); err != nil {
		t.Error("nothing receives what is pushed to the copy")
	}
}
