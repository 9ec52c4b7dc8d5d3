package receive

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dokku-push/dokku-push/api"
)

// TestSync: another repository's commit becomes the deploy branch's; the host's own files are no
// repository.
func TestSync(t *testing.T) {
	w := newWorld(t)
	base := t.TempDir()
	source := filepath.Join(base, "source")
	must(t, os.Mkdir(source, 0o755))
	command(t, source, "git", "init", "--quiet", "--initial-branch=trunk")
	command(t, source, "git", "commit", "--quiet", "--allow-empty", "--message", "first")
	first := command(t, source, "git", "rev-parse", "HEAD")
	address := daemon(t, base) + "/source"
	var changed bool
	asks := func(differs bool) bool { changed = differs; return false }
	commit, _, err := Sync(t.Context(), w.Host, "shop", address, "", asks)
	if err != nil || commit != first || !changed {
		t.Fatalf("%s %t %v", commit, changed, err)
	}
	if _, _, err := Sync(t.Context(), w.Host, "shop", address, "trunk", asks); err != nil || changed {
		t.Errorf("once more: %t %v", changed, err)
	}
	branches, err := Branches(t.Context(), w.Host, "shop")
	if err != nil || len(branches) != 1 || branches[0].Name != "master" || branches[0].Commit != first {
		t.Errorf("%+v %v", branches, err)
	}
	for _, from := range []string{source, "file://" + source, "ext::sh -c id", "--upload-pack=id", "ssh://-oProxyCommand=id/x", "git@-oProxy:x", "https://a b/c", ""} {
		if _, _, err := Sync(t.Context(), w.Host, "shop", from, "", no); api.AsError(err).Code != api.Usage {
			t.Errorf("%q: %v", from, err)
		}
	}
	for _, ref := range []string{"--all", "a..b", "a b", "@{u}"} {
		if _, _, err := Sync(t.Context(), w.Host, "shop", address, ref, no); api.AsError(err).Code != api.Usage {
			t.Errorf("%q: %v", ref, err)
		}
	}
	if got := Shown("https://ada:secret@example.com/x"); strings.Contains(got, "secret") {
		t.Error(got)
	}
}

// no is the answer of who builds nothing.
func no(bool) bool { return false }

// TestSyncBuilds: what fails to build or to deploy has moved no branch, and is tried again.
func TestSyncBuilds(t *testing.T) {
	w := newWorld(t)
	base := t.TempDir()
	command(t, base, "git", "init", "--quiet", "--initial-branch=trunk", "source")
	command(t, filepath.Join(base, "source"), "git", "commit", "--quiet", "--allow-empty", "--message", "first")
	address := daemon(t, base) + "/source"
	changes := func(changed bool) bool { return changed }
	for n, fail := range []error{errors.New("sick"), nil} {
		w.fail = fail
		commit, builds, err := Sync(t.Context(), w.Host, "shop", address, "", changes)
		if err != nil || !builds {
			t.Fatalf("%d: it builds: %t, %v", n, builds, err)
		}
		if err := w.Receive(t.Context(), "shop", commit); (err == nil) != (fail == nil) {
			t.Errorf("%d: %v", n, err)
		}
		if head, _, err := Head(t.Context(), w.Host, "shop"); err != nil || (head == commit) != (fail == nil) {
			t.Errorf("%d: the branch is at %q, %v", n, head, err)
		}
	}
	if _, builds, err := Sync(t.Context(), w.Host, "shop", address, "", changes); err != nil || builds {
		t.Errorf("what is deployed already is built: %t, %v", builds, err)
	}
}
