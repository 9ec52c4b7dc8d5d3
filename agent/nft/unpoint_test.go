package nft

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dokku-push/dokku-push/agent"
)

// TestUnpoint: an element goes unless it leads elsewhere by now, and who is just connecting
// to the dead container does not reach the one that gets its address.
func TestUnpoint(t *testing.T) {
	if !alone(t) {
		return
	}
	w := newWorld(t)
	m := newMap(t)
	one, two := w.container(t, "one"), w.container(t, "two")
	backends := []agent.Backend{one.backend(1), two.backend(2)}
	check(t, m.Point(t.Context(), "app", backends, true))
	moved := agent.Backend{Index: 1, Address: two.Address, Port: one.backend(1).Port}
	check(t, m.Unpoint(t.Context(), "app", []agent.Backend{moved, two.backend(2)}))
	leads, err := m.Leads(t.Context())
	check(t, err)
	if diff := cmp.Diff(map[string][]agent.Backend{"app": {one.backend(1)}}, leads); diff != "" {
		t.Errorf("the map leads elsewhere:\n%s", diff)
	}

	dead := agent.Backend{Index: 1, Address: "172.30.0.77", Port: one.backend(1).Port}
	check(t, m.Point(t.Context(), "dead", []agent.Backend{dead}, true))
	listeners, err := m.Listeners(t.Context(), "dead", []agent.Backend{dead})
	check(t, err)
	answered := make(chan string, 1)
	go func() {
		text, err := askWithin(listeners[0], 5*time.Second)
		answered <- fmt.Sprint(text, err)
	}()
	time.Sleep(200 * time.Millisecond) // the first packet is on its way to nobody
	check(t, m.Unpoint(t.Context(), "dead", []agent.Backend{dead}))
	w.containerAt(t, "another app", 77)
	if text := <-answered; strings.Contains(text, "another app") {
		t.Errorf("the dead container's client was answered %q", text)
	} else {
		t.Log(text)
	}
}
