package agent_test

import (
	"context"
	"errors"
	"testing"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/api"
)

// runs tells whether the app's first web container does.
func runs(t *testing.T, w *world) bool {
	t.Helper()
	one, err := w.find(app + ".web.1")
	must(t, err)
	return one.Running
}

// TestStopGoesOn: a stop that fails half-way is finished by whoever comes next, once that is
// possible; a release that comes in between is not stopped for its sake.
func TestStopGoesOn(t *testing.T) {
	t.Parallel()
	for name, comes := range map[string]func(w *world, h *agent.Host){
		"the watch": func(_ *world, h *agent.Host) {
			if err := h.Mend(context.Background(), app, true); err == nil {
				t.Error("nobody is told that it cannot be stopped")
			}
		},
		"a release": func(w *world, h *agent.Host) {
			verdict, err := h.Apply(context.Background(), deploy(w, 2))
			if err != nil || !verdict.OK {
				t.Errorf("a deploy on top of it: %+v, %v", verdict, err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := deployed(t)
			w.fails["stop"] = errors.New("the engine cannot kill it")
			w.process(0).run(func(h *agent.Host) {
				if err := stop(h); err == nil || api.AsError(err).Hint == "" {
					t.Errorf("it says %v", err)
				}
				if !runs(t, w) {
					t.Fatal("it was stopped all the same")
				}
				comes(w, h)
				delete(w.fails, "stop")
				must(t, h.Mend(context.Background(), app, true))
			})
			if want := name == "a release"; runs(t, w) != want {
				t.Errorf("it runs: %t", !want)
			}
		})
	}
}

// TestStartedForGood: an app that was stopped comes back after a reboot once it was started,
// whatever failed behind the commit.
func TestStartedForGood(t *testing.T) {
	t.Parallel()
	w := deployed(t)
	w.process(0).run(func(h *agent.Host) { must(t, stop(h)) })
	w.plugins["core-post-deploy"] = func([]string) error {
		w.fails["write the settings"] = errors.New("the disk is full")
		return nil
	}
	w.process(0).run(func(h *agent.Host) {
		verdict, err := h.Apply(context.Background(), agent.Change{App: app, Request: "request-start", Kind: agent.Start, By: agent.Caller{Name: "alice"}})
		if err != nil || !verdict.OK || api.Exit(verdict.Error) != 26 {
			t.Errorf("the start: %+v, %v", verdict, err)
		}
	})
	clear(w.fails)
	w.reboot()
	w.process(0).run(func(h *agent.Host) { must(t, h.Mend(context.Background(), app, true)) })
	if !runs(t, w) {
		t.Error("it did not come back")
	}
}
