package nft

import (
	"context"
	"errors"
	"net"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/internal/contract"
)

// fulfil is what every agent.Traffic must do, with connections.
func fulfil(t *testing.T, w *world, traffic agent.Traffic) {
	idle, other := w.container(t, "idle"), w.container(t, "idle too")
	world := contract.TrafficWorld{Traffic: traffic, One: idle.Address, Two: other.Address, Port: 5000}
	if mapped, ok := traffic.(*Map); ok {
		world.Pointed = func(app string) ([]agent.Backend, error) { return mapped.Pointed(t.Context(), app) }
	}
	contract.Traffic(t, world)
	one, two := w.container(t, "one"), w.container(t, "two")
	backends := []agent.Backend{two.backend(2), one.backend(1)}
	ctx := t.Context()

	check(t, traffic.Sync(ctx, nil))
	listeners, err := traffic.Listeners(ctx, "app", backends)
	check(t, err)
	if len(listeners) != 2 || listeners[0] == listeners[1] {
		t.Fatalf("listeners of two backends: %q", listeners)
	}
	again, err := traffic.Listeners(ctx, "app", backends)
	check(t, err)
	if diff := cmp.Diff(listeners, again); diff != "" {
		t.Errorf("listeners changed:\n%s", diff)
	}

	check(t, traffic.Point(ctx, "app", backends, true))
	check(t, traffic.Point(ctx, "app", backends, false)) // once more, as recovery does
	wantAnswer(t, listeners[0], "two 172.30.0.1")
	wantAnswer(t, listeners[1], "one 172.30.0.1")
	if mapped, ok := traffic.(*Map); ok {
		pointed, err := mapped.Pointed(ctx, "app")
		check(t, err)
		if diff := cmp.Diff([]agent.Backend{one.backend(1), two.backend(2)}, pointed); diff != "" {
			t.Errorf("the map leads elsewhere:\n%s", diff)
		}
		if pointed, err := mapped.Pointed(ctx, "never-heard-of"); err != nil || len(pointed) != 0 {
			t.Errorf("an app without addresses leads to %v, %v", pointed, err)
		}
	}
	check(t, traffic.Sync(ctx, map[string][]agent.Backend{"app": backends}))
	wantAnswer(t, listeners[0], "two 172.30.0.1")

	contractDrain(t, traffic, listeners[1], one)

	check(t, traffic.Forget(ctx, "app"))
	check(t, traffic.Forget(ctx, "app"))
	check(t, traffic.Forget(ctx, "never-heard-of"))
	for _, bad := range []agent.Backend{{Index: 1, Address: one.Address, Port: 0}, {Index: 1, Address: one.Address, Port: 65536}} {
		if _, err := traffic.Listeners(ctx, "app", []agent.Backend{bad}); err == nil {
			t.Errorf("port %d was accepted", bad.Port)
		}
	}
}

// contractDrain allows for the second that the kernel remembers a closed connection.
func contractDrain(t *testing.T, traffic agent.Traffic, listener string, c *container) {
	drain := func(most time.Duration) (int, time.Duration) {
		t.Helper()
		began := time.Now()
		left, err := traffic.Drain(t.Context(), c.Address, most)
		check(t, err)
		return left, time.Since(began)
	}
	if left, took := drain(time.Minute); left != 0 || took > 50*time.Second {
		t.Errorf("drain of an idle container: %d left after %v", left, took)
	}
	open, err := net.Dial("tcp", listener)
	check(t, err)
	if left, _ := drain(0); left != 1 {
		t.Errorf("a look at one open connection: %d left", left)
	}
	if left, took := drain(300 * time.Millisecond); left != 1 || took < 300*time.Millisecond || took > 50*time.Second {
		t.Errorf("drain with one open connection: %d left after %v", left, took)
	}
	interrupted, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := traffic.Drain(interrupted, c.Address, time.Minute); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("drain after its context ended: %v", err)
	}
	time.AfterFunc(200*time.Millisecond, func() { _ = open.Close() })
	if left, took := drain(time.Minute); left != 0 || took > 50*time.Second {
		t.Errorf("drain while the connection is closed: %d left after %v", left, took)
	}
	if _, err := traffic.Drain(t.Context(), "no address", 0); err == nil {
		t.Error("drain of no address is no error")
	}
}

func TestContractMap(t *testing.T) {
	if alone(t) {
		fulfil(t, newWorld(t), newMap(t))
	}
}

func TestContractMapByHelper(t *testing.T) {
	if alone(t) {
		fulfil(t, newWorld(t), helped(newMap(t)))
	}
}

func TestContractReload(t *testing.T) {
	if alone(t) {
		fulfil(t, newWorld(t), &Reload{Places: agent.Places{Lib: t.TempDir()}})
	}
}
