package contract

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dokku-push/dokku-push/agent"
)

// TrafficWorld is traffic that leads nowhere yet, and addresses of two containers to
// which nobody is connected.
type TrafficWorld struct {
	Traffic  agent.Traffic
	One, Two string
	Port     int
	// Pointed tells where the app's addresses lead, in order; nil where nginx alone knows.
	Pointed func(app string) ([]agent.Backend, error)
}

// Traffic is what every agent.Traffic must do.
func Traffic(t *testing.T, w TrafficWorld) {
	ctx := t.Context()
	first, second := agent.Backend{Index: 1, Address: w.One, Port: w.Port}, agent.Backend{Index: 2, Address: w.Two, Port: w.Port}
	moved := agent.Backend{Index: 1, Address: w.Two, Port: w.Port}

	must(t, w.Traffic.Sync(ctx, nil))
	listeners, err := w.Traffic.Listeners(ctx, "app", []agent.Backend{second, first})
	must(t, err)
	if len(listeners) != 2 || listeners[0] == listeners[1] {
		t.Fatalf("listeners of two backends: %q", listeners)
	}
	again, err := w.Traffic.Listeners(ctx, "app", []agent.Backend{second, first})
	must(t, err)
	if !slices.Equal(listeners, again) {
		t.Errorf("listeners changed from %q to %q", listeners, again)
	}
	for _, port := range []int{0, -1, 65536} {
		if _, err := w.Traffic.Listeners(ctx, "app", []agent.Backend{{Index: 1, Address: w.One, Port: port}}); err == nil {
			t.Errorf("the port %d was accepted", port)
		}
	}
	if w.Pointed != nil {
		others, err := w.Traffic.Listeners(ctx, "other", []agent.Backend{moved})
		must(t, err)
		if len(others) != 1 || slices.Contains(listeners, others[0]) {
			t.Errorf("another app has the listeners %q beside %q", others, listeners)
		}
	}
	must(t, w.Traffic.Point(ctx, "app", []agent.Backend{second, first}, true))
	w.leads(t, "app", first, second)
	must(t, w.Traffic.Point(ctx, "app", []agent.Backend{moved}, false))
	w.leads(t, "app", moved, second)
	for range 2 { // once more, as recovery does
		must(t, w.Traffic.Point(ctx, "app", []agent.Backend{moved}, true))
		w.leads(t, "app", moved)
	}
	must(t, w.Traffic.Point(ctx, "app", nil, true))
	w.leads(t, "app")
	must(t, w.Traffic.Sync(ctx, map[string][]agent.Backend{"app": {first, second}}))
	w.leads(t, "app", first, second)
	w.leads(t, "other")
	if left, err := w.Traffic.Drain(ctx, w.One, 10*time.Second); left != 0 || err != nil {
		t.Errorf("draining what nobody is connected to: %d left, %v", left, err)
	}
	for range 2 {
		must(t, w.Traffic.Forget(ctx, "app"))
		must(t, w.Traffic.Forget(ctx, "never-heard-of"))
		w.leads(t, "app")
	}
}

// leads wants an app's addresses to lead to these backends.
func (w TrafficWorld) leads(t *testing.T, app string, want ...agent.Backend) {
	t.Helper()
	if w.Pointed == nil {
		return
	}
	got, err := w.Pointed(app)
	must(t, err)
	if len(want)+len(got) > 0 {
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("the addresses of %s lead elsewhere (-want +got):\n%s", app, diff)
		}
	}
}
