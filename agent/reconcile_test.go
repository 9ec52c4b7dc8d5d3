package agent_test

import (
	"context"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/api"
)

func (traffic) Ensure(context.Context) error { return nil }

func (t traffic) Leads(context.Context) (map[string][]agent.Backend, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	leads := map[string][]agent.Backend{}
	for app, points := range t.points {
		for _, index := range slices.Sorted(maps.Keys(points)) {
			leads[app] = append(leads[app], points[index])
		}
	}
	return leads, nil
}

func (t traffic) Unpoint(ctx context.Context, app string, backends []agent.Backend) error {
	return t.locked(ctx, "unpoint", func() error {
		for _, backend := range backends {
			if t.points[app][backend.Index] == backend {
				delete(t.points[app], backend.Index)
			}
		}
		return nil
	})
}

// move gives a container another address, or stops it.
func (w *world) move(t *testing.T, name, address string) {
	t.Helper()
	one, err := w.find(name)
	must(t, err)
	one.Address, one.Running, one.Status = address, address != "", "running"
	if address == "" {
		one.Status = "exited"
	}
	w.containers[one.ID] = one
}

// wantLeads compares where the app's first address leads; empty: nowhere.
func wantLeads(t *testing.T, w *world, want string) {
	t.Helper()
	if got := w.points[app][1].Address; got != want {
		t.Errorf("the app's address leads to %q, want %q", got, want)
	}
}

// TestReconcile: traffic and files follow the container, what is gone goes at once even while
// the app is being deployed, and what is right already is not written.
func TestReconcile(t *testing.T) {
	t.Parallel()
	w := deployed(t)
	reconcile := func() (busy []string, p *process) {
		p = w.process(0)
		p.run(func(h *agent.Host) {
			var err error
			busy, err = h.Reconcile(context.Background())
			must(t, err)
		})
		return busy, p
	}
	if busy, p := reconcile(); len(busy) > 0 || slices.ContainsFunc(p.acts, func(act string) bool { return act == "point" || act == "unpoint" }) {
		t.Errorf("nothing was wrong; busy %v, it did %v", busy, p.acts)
	}
	w.move(t, app+".web.1", "elsewhere")
	reconcile()
	wantLeads(t, w, "elsewhere")
	files := observed(t, w)
	if got := files["/root/"+app+"/IP.web.1"]; got != "-rw-r--r-- elsewhere\n" {
		t.Errorf("IP.web.1 is %q", got)
	}
	deploying := w.process(0)
	holder, _, err := deploying.Lock(app, api.Lock{Key: "somebody"})
	must(t, err)
	w.move(t, app+".web.1", "")
	if busy, _ := reconcile(); !slices.Equal(busy, []string{app}) {
		t.Errorf("busy: %v", busy)
	}
	wantLeads(t, w, "")
	w.move(t, app+".web.1", "third")
	reconcile()
	wantLeads(t, w, "") // it is the deploy's to lead there
	must(t, holder.Unlock())
	reconcile()
	wantLeads(t, w, "third")
}

// TestMend starts what did not come back, but for an app that was stopped.
func TestMend(t *testing.T) {
	t.Parallel()
	for restore, want := range map[string]string{"": "running", "true": "running", "false": "exited"} {
		w := deployed(t)
		w.move(t, app+".web.1", "")
		p := w.process(0)
		p.run(func(h *agent.Host) {
			_, _, err := h.Settings.Change(app, func(now *agent.Settings) error { now.Properties["ps/restore"] = restore; return nil })
			must(t, err)
			must(t, h.Mend(context.Background(), app, false))
			if one, _ := w.find(app + ".web.1"); one.Running {
				t.Error("it was started although nobody asked for that")
			}
			must(t, h.Mend(context.Background(), app, true))
		})
		one, err := w.find(app + ".web.1")
		must(t, err)
		if one.Status != want {
			t.Errorf("ps/restore=%q: it is %s, want %s", restore, one.Status, want)
		}
		wantLeads(t, w, one.Address)
	}
}

// TestMendWaits: after an engine restart the watch leads traffic and starts what did not come
// back at the same time, and neither is left out because the other holds the lock.
func TestMendWaits(t *testing.T) {
	t.Parallel()
	w := deployed(t)
	w.move(t, app+".web.1", "")
	w.process(0).run(func(h *agent.Host) {
		lock, _, err := h.Ledger.Lock(app, api.Lock{Key: "watch", PID: 1, Since: time.Now()})
		must(t, err)
		time.AfterFunc(300*time.Millisecond, func() { _ = lock.Unlock() })
		must(t, h.Mend(context.Background(), app, true))
	})
	if one, _ := w.find(app + ".web.1"); !one.Running {
		t.Error("what did not come back was not started")
	}
}

// TestUndoAfterReboot: the power went between the switch and its record, and the former
// container comes back at an address that was another's: undoing leads there, never to
// where it was before.
func TestUndoAfterReboot(t *testing.T) {
	t.Parallel()
	w := deployed(t)
	p := w.process(0)
	w.plugins["core-post-deploy"] = func([]string) error {
		w.mu.Lock()
		defer w.mu.Unlock()
		p.dieAt = len(p.acts) + 1
		return nil
	}
	former, err := w.find(app + ".web.1")
	must(t, err)
	if p.run(func(h *agent.Host) { _, _ = h.Apply(context.Background(), deploy(w, 2)) }) {
		t.Fatal("it was not killed")
	}
	delete(w.plugins, "core-post-deploy")
	was := former.Address
	former = w.containers[former.ID]
	former.Address = "after the boot"
	w.containers[former.ID] = former
	for dieAt := 1; ; dieAt++ {
		n := w.clone(t)
		clear(n.points)
		lived := n.process(dieAt).run(func(h *agent.Host) { must(t, h.Recover(context.Background(), app)) })
		if got := n.points[app][1].Address; got != "" && got != "after the boot" {
			t.Fatalf("after %d acts it leads to %q, before the boot it led to %q", dieAt-1, got, was)
		}
		if lived {
			wantLeads(t, n, "after the boot")
			break
		}
	}
}
