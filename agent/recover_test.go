package agent_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/api"
)

// TestKilledAnywhere kills a deploy before each of its acts, the recovery of it at one
// of its own, and recovers again: up to the commit all is as before; from it on the
// release is finished.
func TestKilledAnywhere(t *testing.T) {
	t.Parallel()
	for name, base := range map[string]*world{"first": created(t), "second": deployed(t)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			release := len(base.points) + 1
			before, after := observed(t, base), finished(t, base, release)
			begun := map[string]bool{}
			for dieAt := 1; ; dieAt++ {
				w := base.clone(t)
				p := w.process(dieAt)
				if p.run(func(h *agent.Host) { _, _ = h.Apply(context.Background(), deploy(w, release)) }) {
					break
				}
				if last, ok := strings.CutPrefix(p.acts[max(0, dieAt-2)], "journal "); ok {
					begun[last] = true
				}
				_ = recoverApp(t, w, dieAt%7+1)
				must(t, recoverApp(t, w, 0))
				t.Run(fmt.Sprintf("%d-%s", dieAt, p.acts[dieAt-1]), func(t *testing.T) {
					outcome(t, w, release, before, after)
				})
				was, told := observed(t, w), journals(t, w)
				must(t, recoverApp(t, w, 0))
				if diff := cmp.Diff(was, observed(t, w)) + cmp.Diff(told, journals(t, w)); diff != "" {
					t.Fatalf("recovering once more changes (-before +after):\n%s", diff)
				}
			}
			for _, step := range agent.StepsWithUndo() {
				if step == "services" { // only where some are declared: TestServicesUndone kills it everywhere
					continue
				}
				if !begun[step+" begin"] || !begun[step+" done"] {
					t.Errorf("no deploy was killed right after the marks of %s: %v", step, slices.Sorted(maps.Keys(begun)))
				}
			}
		})
	}
}

// finished is a world in which the release came through.
func finished(t *testing.T, base *world, release int) map[string]string {
	t.Helper()
	w := base.clone(t)
	w.process(0).run(func(h *agent.Host) {
		verdict, err := h.Apply(context.Background(), deploy(w, release))
		if err != nil || !verdict.OK || verdict.Error != nil || !verdict.Changed || verdict.Release != release || verdict.Previous != release-1 {
			t.Errorf("the deploy: %+v, %v", verdict, err)
		}
	})
	return observed(t, w)
}

// outcome looks at a world in which a deploy was killed and recovered.
func outcome(t *testing.T, w *world, release int, before, after map[string]string) {
	current, err := w.process(0).Current(app)
	must(t, err)
	verdict := verdictOf(t, w, fmt.Sprintf("request-%d", release))
	if current == release {
		if verdict == nil || !verdict.OK || verdict.Release != release || verdict.Error != nil && verdict.Error.Code != api.HookFailed {
			t.Errorf("the verdict of what is live is %+v", verdict)
		}
		after, now := comparable(after), comparable(observed(t, w))
		if verdict != nil && verdict.Error != nil { // it says that the hooks may not have run
			hooks := strings.TrimPrefix(w.places().ReleaseHooks(app, release), w.dir)
			delete(after, hooks)
			delete(now, hooks)
		}
		if diff := cmp.Diff(after, now); diff != "" {
			t.Errorf("it is not finished (-finished +recovered):\n%s", diff)
		}
		return
	}
	if current != release-1 {
		t.Errorf("v%d is current", current)
	}
	if verdict != nil && (verdict.OK || verdict.Changed || verdict.Error == nil) {
		t.Errorf("the verdict of what was undone is %+v", verdict)
	}
	if diff := cmp.Diff(before, observed(t, w)); diff != "" {
		t.Errorf("not as before (-before +recovered):\n%s", diff)
	}
}

// comparable leaves out what no two deploys have in common: the record's times.
func comparable(seen map[string]string) map[string]string {
	seen = maps.Clone(seen)
	for name := range seen {
		if strings.Contains(name, "/releases/v") {
			seen[name] = ""
		}
	}
	return seen
}

// TestRecoveryFails: it is exit 29, what could be undone is, and once the cause is gone
// the next recovery does the rest.
func TestRecoveryFails(t *testing.T) {
	t.Parallel()
	w := deployed(t)
	before := observed(t, w)
	p := w.process(0)
	w.plugins["core-post-deploy"] = func([]string) error {
		w.mu.Lock()
		defer w.mu.Unlock()
		p.dieAt = len(p.acts) + 1
		return nil
	}
	if p.run(func(h *agent.Host) { _, _ = h.Apply(context.Background(), deploy(w, 2)) }) {
		t.Fatal("it was not killed")
	}
	delete(w.plugins, "core-post-deploy")
	w.fails["restore the site"] = errors.New("nginx is broken")
	for range 2 {
		err := recoverApp(t, w, 0)
		if api.Exit(err) != 29 || !strings.Contains(err.Error(), "nginx is broken") {
			t.Fatalf("got %v", err)
		}
		undone(t, w, "restore the site", before)
	}
	w.process(0).run(func(h *agent.Host) { // and no deploy begins on top of it
		verdict, err := h.Apply(context.Background(), deploy(w, 3))
		if err != nil || api.Exit(verdict.Error) != 29 {
			t.Errorf("a deploy on top of it: %+v, %v", verdict, err)
		}
	})
	undone(t, w, "restore the site", before)
	delete(w.fails, "restore the site")
	must(t, recoverApp(t, w, 0))
	if diff := cmp.Diff(before, observed(t, w)); diff != "" {
		t.Errorf("not as before (-before +recovered):\n%s", diff)
	}
}

// TestRecoverWaits: who recovers waits for the watch and for a deploy that has given its
// verdict, which are through in a moment; a deploy that goes on is left alone at once.
func TestRecoverWaits(t *testing.T) {
	t.Parallel()
	base := deployed(t)
	before := observed(t, base)
	p := base.process(0)
	p.dieAt = 25
	p.run(func(h *agent.Host) { _, _ = h.Apply(context.Background(), deploy(base, 2)) })
	if !p.dead || cmp.Diff(before, observed(t, base)) == "" {
		t.Fatal("nothing was left to recover")
	}
	for name, test := range map[string]struct {
		holder api.Lock
		waits  bool
	}{
		"the watch":         {api.Lock{Key: "watch", PID: 1}, true},
		"one that is over":  {api.Lock{Key: "alice", PID: 1, Request: "request-1"}, true},
		"one that goes on":  {api.Lock{Key: "alice", PID: 1, Request: "request-2"}, false},
		"somebody's domain": {api.Lock{Key: "alice", PID: 1}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := base.clone(t)
			lock, _, err := w.process(0).Store.Lock(app, test.holder)
			must(t, err)
			recovered := make(chan error, 1)
			go func() { recovered <- recoverApp(t, w, 0) }()
			if !test.waits {
				must(t, <-recovered)
				must(t, lock.Unlock())
				if cmp.Diff(before, observed(t, w)) == "" {
					t.Error("it was recovered under another's lock")
				}
				return
			}
			select {
			case err := <-recovered:
				t.Errorf("it did not wait: %v", err)
			case <-time.After(300 * time.Millisecond):
			}
			must(t, lock.Unlock())
			must(t, <-recovered)
			if diff := cmp.Diff(before, observed(t, w)); diff != "" {
				t.Errorf("not as before (-before +recovered):\n%s", diff)
			}
		})
	}
}

// TestLateContainer: an engine may create a container long after its deploy was cancelled and
// undone; the next round of the watch removes it, and nothing else.
func TestLateContainer(t *testing.T) {
	t.Parallel()
	w := deployed(t)
	before := observed(t, w)
	late, err := w.find(app + ".web.1")
	must(t, err)
	late.ID, late.Name, late.Running, late.Status = "late", app+".web.1.upcoming-0123456789", false, "created"
	w.containers[late.ID] = late
	must(t, recoverApp(t, w, 0))
	if diff := cmp.Diff(before, observed(t, w)); diff != "" {
		t.Errorf("not as before (-before +recovered):\n%s", diff)
	}
}
