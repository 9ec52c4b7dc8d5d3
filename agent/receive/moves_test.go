package receive

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dokku-push/dokku-push/api"
)

// TestGitWouldRefuse: what git itself refuses after its hook is not deployed before.
func TestGitWouldRefuse(t *testing.T) {
	w := newWorld(t)
	c := w.commit(map[string]string{"Procfile": "web: x\n"})
	repository := w.Host.Places.App("shop")
	command(t, repository, "git", "tag", "--annotate", "--message", "a release", "v1", c)
	tag, tree := command(t, repository, "git", "rev-parse", "v1"), command(t, repository, "git", "rev-parse", c+"^{tree}")
	command(t, repository, "git", "update-ref", "refs/heads/release", c)
	for name, test := range map[string]struct {
		branch string // that is deployed
		lines  []string
		code   api.Code
		says   string
	}{
		"a tag with a message":    {"", []string{none + " " + tag + " refs/heads/master"}, api.Refused, "what was pushed to master is a tag, and a branch is a commit"},
		"a tree":                  {"", []string{none + " " + tree + " refs/heads/feature"}, api.Refused, "is a tree"},
		"below another branch":    {"release/1", []string{none + " " + c + " refs/heads/release/1"}, api.Refused, "there cannot be refs/heads/release/1 while there is refs/heads/release"},
		"below one of this push":  {"", []string{none + " " + c + " refs/heads/master", none + " " + c + " refs/heads/master/1"}, api.Refused, "there cannot be refs/heads/master while"},
		"it has moved meanwhile":  {"release", []string{strings.Repeat("b", 40) + " " + c + " refs/heads/release"}, api.Locked, "release has moved since this push began"},
		"it has come meanwhile":   {"release", []string{none + " " + c + " refs/heads/release"}, api.Locked, "release has moved since this push began"},
		"it has gone meanwhile":   {"", []string{c + " " + c + " refs/heads/master"}, api.Locked, "master has moved since this push began"},
		"another plugin's branch": {"", []string{none + " " + c + " refs/heads/master", none + " " + c + " refs/heads/zoo"}, api.BuildFailed, "a plugin says no"},
	} {
		t.Run(name, func(t *testing.T) {
			w.t, w.ships, w.refuses = t, []string{"receive-branch"}, "receive-branch"
			w.set("git/deploy-branch", test.branch)
			err := w.hook(test.lines...)
			if problem := api.AsError(err); err == nil || problem.Code != test.code || !strings.Contains(problem.Error(), test.says) {
				t.Errorf("%v, want %s %q", err, test.code, test.says)
			}
			if len(w.builds)+len(w.deploys) > 0 {
				t.Errorf("built %d, deployed %d", len(w.builds), len(w.deploys))
			}
		})
	}
	w.t, w.ships = t, nil
	w.set("git/deploy-branch", "release/1")
	must(t, w.hook(c+" "+none+" refs/heads/release", none+" "+c+" refs/heads/release/1", none+" "+tag+" refs/tags/v2"))
	if len(w.deploys) != 1 {
		t.Errorf("a branch in the place of one that goes: %d deploys", len(w.deploys))
	}
}

// TestMovedByFaster: a push that moves the branch while another one builds is found before
// that is deployed.
func TestMovedByFaster(t *testing.T) {
	w := newWorld(t)
	c := w.commit(map[string]string{"Procfile": "web: x\n"})
	w.look = func(string) { command(t, w.Host.Places.App("shop"), "git", "update-ref", "refs/heads/master", c) }
	if err := w.hook(none + " " + c + " refs/heads/master"); api.AsError(err).Code != api.Locked {
		t.Errorf("%v", err)
	}
	if diff := cmp.Diff([]string{"receive-app shop " + c}, w.fired); diff != "" || len(w.deploys) > 0 {
		t.Errorf("%d deploys\n%s", len(w.deploys), diff)
	}
}

// TestHead: the repository's HEAD is the deploy branch, for plugins and for git clone.
func TestHead(t *testing.T) {
	w := newWorld(t)
	c := w.commit(map[string]string{"Procfile": "web: x\n"})
	repository := w.Host.Places.App("shop")
	is := func(want string) {
		t.Helper()
		if got := command(t, repository, "git", "symbolic-ref", "HEAD"); got != want {
			t.Errorf("HEAD is %s, want %s", got, want)
		}
	}
	is("refs/heads/master")
	w.look = func(string) { is("refs/heads/main") }
	must(t, w.hook(none+" "+c+" refs/heads/main"))
	if len(w.builds) != 1 {
		t.Errorf("%d builds", len(w.builds))
	}
	w.look = nil
	w.set("git/deploy-branch", "built")
	must(t, w.App(t.Context(), "shop", c))
	is("refs/heads/built")
	w.set("git/deploy-branch", "fetched")
	w.In = strings.NewReader("0000")
	must(t, w.UploadPack(t.Context(), "shop"))
	is("refs/heads/fetched")
}
