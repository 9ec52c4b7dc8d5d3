package agent_test

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/api"
)

// apply carries out a change in a process of its own, which may be killed in it.
func apply(t *testing.T, w *world, p *process, c agent.Change) (verdict api.Verdict) {
	t.Helper()
	p.run(func(h *agent.Host) {
		var err error
		verdict, err = h.Apply(context.Background(), c)
		must(t, err)
	})
	return verdict
}

// released is a release as a client is told of it, and what became of its hooks in words.
func released(t *testing.T, w *world, version int) (release api.Release, hooks []string) {
	t.Helper()
	var state api.AppState
	w.process(0).run(func(h *agent.Host) {
		var err error
		state, err = h.State(context.Background(), app)
		must(t, err)
	})
	for _, one := range state.Releases {
		if one.Version == version {
			release = one
		}
	}
	for _, hook := range release.Hooks {
		if hook.DurationMS < 0 || hook.DurationMS > 60_000 {
			t.Errorf("%s took %d ms", hook.Name, hook.DurationMS)
		}
		hooks = append(hooks, strings.TrimSpace(hook.Name+" "+hook.Error))
	}
	return release, hooks
}

// TestHooksOfARelease: what ran before the commit and after it is told with each release, the
// rollback's own with the rollback, and none of it is part of the state's hash.
func TestHooksOfARelease(t *testing.T) {
	t.Parallel()
	w := created(t)
	for _, trigger := range []string{"post-release", "check-deploy", "post-deploy"} {
		w.plugins[trigger] = func([]string) error { return nil }
	}
	if verdict := apply(t, w, w.process(0), scripted(w, 1)); verdict.Error != nil {
		t.Fatal(verdict.Error)
	}
	first, hooks := released(t, w, 1)
	// check-deploy is walked for each of the two containers.
	want := []string{"predeploy", "post-release", "release", "check-deploy", "post-deploy", "postdeploy", "heroku.postdeploy"}
	if diff := cmp.Diff(want, hooks); diff != "" || first.HooksPending {
		t.Errorf("of v1, pending %t (-want +got):\n%s", first.HooksPending, diff)
	}

	password := "correct horse\nbattery staple"
	next := scripted(w, 2)
	next.Document.Config["PASSWORD"], next.Document.Config["PART"] = password, "horse"
	w.plugins["post-deploy"] = func([]string) error {
		return errors.New("the plugin test says\n" + password + " " + strings.Repeat("long ", 100))
	}
	w.exits["after it"] = 3
	if verdict := apply(t, w, w.process(0), next); !verdict.OK || api.Exit(verdict.Error) != 26 {
		t.Fatalf("got %+v", verdict)
	}
	second, hooks := released(t, w, 2)
	if len(hooks) != 6 || hooks[5] != "postdeploy it exited with code 3" {
		t.Fatalf("of v2: %q", hooks)
	}
	if said := second.Hooks[4]; said.Name != "post-deploy" || !strings.HasPrefix(said.Error, "the plugin test says **** long long") || len(said.Error) > 320 || strings.Contains(said.Error, "\n") {
		t.Errorf("post-deploy says %q", said.Error)
	}
	if again, _ := released(t, w, 1); cmp.Diff(first, again) != "" {
		t.Errorf("the next deploy changes the release before it:\n%s", cmp.Diff(first, again))
	}

	hash := hashNow(t, w)
	path := w.places().ReleaseHooks(app, 2)
	must(t, os.WriteFile(path, []byte(`[{"name":"postdeploy","duration_ms":1}]`), 0o600))
	if hashNow(t, w) != hash {
		t.Error("the state hash is another one with other results")
	}
	must(t, os.WriteFile(path, []byte("{"), 0o600)) // what is damaged is in nobody's way
	if damaged, _ := released(t, w, 2); !damaged.HooksPending || len(damaged.Hooks) != 4 {
		t.Errorf("with a damaged file: pending %t, %+v", damaged.HooksPending, damaged.Hooks)
	}

	delete(w.plugins, "post-deploy")
	back := agent.Change{App: app, Request: "request-back", Kind: agent.Rollback, Release: 1, By: agent.Caller{Name: "alice"}}
	if verdict := apply(t, w, w.process(0), back); !verdict.OK || verdict.Release != 3 {
		t.Fatalf("the rollback: %+v", verdict)
	}
	third, hooks := released(t, w, 3)
	if diff := cmp.Diff([]string{"post-release", "release", "check-deploy", "postdeploy it exited with code 3"}, hooks); diff != "" || third.RollbackOf != 1 {
		t.Errorf("of the rollback (-want +got):\n%s", diff)
	}
}

// TestKilledBeforeItsHooksEnd: of such a release only what ran before the commit is known, and
// that the rest is not; the next release has its own.
func TestKilledBeforeItsHooksEnd(t *testing.T) {
	t.Parallel()
	w := created(t)
	p := w.process(0)
	w.plugins["post-deploy"] = func([]string) error {
		if release, _ := released(t, w, 1); !release.HooksPending {
			t.Error("its hooks have ended while they run")
		}
		p.die()
		return nil
	}
	if apply(t, w, p, scripted(w, 1)); !p.dead {
		t.Fatal("it was not killed")
	}
	delete(w.plugins, "post-deploy")
	must(t, recoverApp(t, w, 0))
	if verdict := verdictOf(t, w, "request-1"); verdict == nil || !verdict.OK || api.Exit(verdict.Error) != 26 {
		t.Errorf("the verdict is %+v", verdict)
	}
	release, hooks := released(t, w, 1)
	if diff := cmp.Diff([]string{"predeploy", "release"}, hooks); diff != "" || !release.HooksPending {
		t.Errorf("pending %t (-want +got):\n%s", release.HooksPending, diff)
	}
	if verdict := apply(t, w, w.process(0), scripted(w, 2)); !verdict.OK || verdict.Error != nil {
		t.Errorf("the next deploy: %+v", verdict)
	}
	if next, hooks := released(t, w, 2); next.HooksPending || len(hooks) != 4 {
		t.Errorf("the next release: pending %t, %q", next.HooksPending, hooks)
	}
}

// TestHooksOfARenamedApp: its releases keep the results that they had.
func TestHooksOfARenamedApp(t *testing.T) {
	t.Parallel()
	w := base(2)(t)
	before, err := w.process(0).Release(app, 1)
	must(t, err)
	w.process(0).run(func(h *agent.Host) { must(t, copies()["rename"](context.Background(), h)) })
	after, err := w.process(0).Release(copied, 1)
	must(t, err)
	if diff := cmp.Diff(before.Hooks, after.Hooks); diff != "" || after.HooksPending || len(after.Hooks) < 5 {
		t.Errorf("pending %t, %d (-before +after):\n%s", after.HooksPending, len(after.Hooks), diff)
	}
	if own, err := w.process(0).Release(copied, 2); err != nil || own.HooksPending || len(own.Hooks) == 0 {
		t.Errorf("its own release: %+v, %v", own.Hooks, err)
	}
}

// TestHooksAreNotRecorded: that they are not is told, and takes nothing back.
func TestHooksAreNotRecorded(t *testing.T) {
	t.Parallel()
	w := created(t)
	w.fails["save hooks"] = errors.New("no room")
	verdict := apply(t, w, w.process(0), scripted(w, 1))
	if !verdict.OK || verdict.Release != 1 || api.Exit(verdict.Error) != 26 || !strings.Contains(verdict.Error.Message, "no room") {
		t.Errorf("got %+v", verdict)
	}
	if release, _ := released(t, w, 1); !release.HooksPending {
		t.Error("what was not recorded is known")
	}
}
