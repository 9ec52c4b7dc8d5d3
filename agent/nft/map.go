// Package nft sends an app's addresses to its containers. Map does it in the
// kernel: nginx names stable addresses out of a reserved range, and one nftables
// map translates each to the container of the day, so that traffic moves in one
// transaction and no connection is cut. Reload is the plain alternative, where
// nginx names the containers themselves. The package speaks netlink; it starts
// no program and knows nothing of engines: that an address is one of an app's
// containers is for its caller to see to.
package nft

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"time"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/api"
)

// drainSlice bounds one drain request to the root helper: an unprivileged caller
// cannot end a process of root's, so no single one may be long.
const drainSlice = 10 * time.Second

// Map is the kernel's address map. It implements agent.Traffic.
type Map struct {
	Places agent.Places
	Config agent.MapConfig
	// Helper hands a request (one JSON value, see Request) to a process of root's
	// that runs Serve, and returns what that wrote. Nil: this process is root.
	Helper func(ctx context.Context, request []byte) ([]byte, error)
}

var _ agent.Traffic = (*Map)(nil)

// Name is "map".
func (m *Map) Name() string { return "map" }

// Ensure creates what is missing of the table and the route. What is there
// already, elements included, stays; it may be called at any time.
func (m *Map) Ensure(ctx context.Context) error {
	_, err := m.do(ctx, Request{Verb: VerbEnsure})
	return err
}

// Remove takes the table and the route away.
func (m *Map) Remove(ctx context.Context) error {
	_, err := m.do(ctx, Request{Verb: VerbRemove})
	return err
}

// Available tries the map out: it attaches a throwaway network namespace to the
// device, maps a spare address to it by a table of its own, connects, and takes
// all of that away again. The error says why the map cannot be used here.
func (m *Map) Available(ctx context.Context) error {
	_, err := m.do(ctx, Request{Verb: VerbProbe})
	return err
}

// Listeners returns the stable "address:port" of each backend and keeps in
// state which address belongs to which app and index.
func (m *Map) Listeners(_ context.Context, app string, backends []agent.Backend) ([]string, error) {
	given, _, err := m.allot(map[string][]agent.Backend{app: backends})
	if err != nil {
		return nil, err
	}
	listeners := make([]string, len(backends))
	for i, backend := range backends {
		if backend.Port < 1 || backend.Port > 65535 {
			return nil, api.Errorf(api.Precondition, opBook, "web.%d has no usable port: %d", backend.Index, backend.Port)
		}
		listeners[i] = netip.AddrPortFrom(given[app][backend.Index], uint16(backend.Port)).String()
	}
	return listeners, nil
}

// Point sends the app's addresses to these backends in one kernel transaction.
// exact removes the app's other elements.
func (m *Map) Point(ctx context.Context, app string, backends []agent.Backend, exact bool) error {
	elements, owned, err := m.elements(map[string][]agent.Backend{app: backends})
	if err != nil {
		return err
	}
	request := Request{Verb: VerbPoint, Elements: elements}
	if exact {
		request.Owned = owned
	}
	_, err = m.do(ctx, request)
	return err
}

// Drain waits until no connection through the map is open to a container's
// address any more, at most for the time given, and returns how many are left.
// Entries of closed connections are deleted meanwhile, so that none of them can
// catch a new connection that happens on the same source port.
func (m *Map) Drain(ctx context.Context, address string, most time.Duration) (int, error) {
	target, err := netip.ParseAddr(address)
	if err != nil {
		return 0, api.Errorf(api.Precondition, opDrain, "%q is no address", address)
	}
	deadline := time.Now().Add(most)
	for {
		slice := max(time.Until(deadline), 0)
		if m.Helper != nil {
			slice = min(slice, drainSlice)
		}
		left, err := m.do(ctx, Request{Verb: VerbDrain, Address: target, MostMS: slice.Milliseconds()})
		if err != nil || left == 0 || time.Until(deadline) <= 0 {
			return left, err
		}
	}
}

// Sync makes the map exactly what each app's backends are, in one transaction:
// elements of apps that are not named go. Addresses stay with their apps.
func (m *Map) Sync(ctx context.Context, apps map[string][]agent.Backend) error {
	elements, _, err := m.elements(apps)
	if err != nil {
		return err
	}
	_, err = m.do(ctx, Request{Verb: VerbSync, Elements: elements})
	return err
}

// Forget removes the app's elements, then gives its addresses back.
func (m *Map) Forget(ctx context.Context, app string) error {
	if err := Validate(m.Config); err != nil {
		return err
	}
	owned, err := m.book().owned(app)
	if err != nil {
		return err
	}
	if len(owned) > 0 {
		if _, err := m.do(ctx, Request{Verb: VerbPoint, Owned: owned}); err != nil {
			return err
		}
	}
	return m.book().forget(app)
}

// elements returns what sends each app's addresses to its backends, in the order
// of the apps' names and of the backends, and all addresses the apps own.
func (m *Map) elements(apps map[string][]agent.Backend) ([]Element, []netip.Addr, error) {
	given, owned, err := m.allot(apps)
	if err != nil {
		return nil, nil, err
	}
	var elements []Element
	for _, app := range sortedKeys(apps) {
		for _, backend := range apps[app] {
			to, err := endpoint(backend)
			if err != nil {
				return nil, nil, err
			}
			from := netip.AddrPortFrom(given[app][backend.Index], to.Port())
			elements = append(elements, Element{From: from, To: to})
		}
	}
	return elements, owned, nil
}

// allot looks up the addresses of each app's indexes, giving new ones where
// there is none, and all addresses the apps own.
func (m *Map) allot(apps map[string][]agent.Backend) (map[string]map[int]netip.Addr, []netip.Addr, error) {
	if err := Validate(m.Config); err != nil {
		return nil, nil, err
	}
	indexes := make(map[string][]int, len(apps))
	for app, backends := range apps {
		indexes[app] = nil
		for _, backend := range backends {
			indexes[app] = append(indexes[app], backend.Index)
		}
	}
	return m.book().allot(indexes)
}

func (m *Map) book() book {
	return book{path: m.Places.Addresses(), subnet: m.Config.Subnet}
}

// do carries a request out and returns how many connections are left.
func (m *Map) do(ctx context.Context, request Request) (int, error) {
	answer, err := m.ask(ctx, request)
	return answer.Left, err
}

// ask carries a request out, here or by the helper.
func (m *Map) ask(ctx context.Context, request Request) (Answer, error) {
	if m.Helper == nil {
		return carryOut(ctx, m.Config, request)
	}
	data, err := json.Marshal(request)
	if err != nil {
		return Answer{}, fmt.Errorf("encode the request to the root helper: %w", err)
	}
	reply, err := m.Helper(ctx, data)
	if err != nil {
		return Answer{}, api.Errorf(api.Precondition, request.Verb.op(), "ask the root helper: %w", err)
	}
	var answer Answer
	if err := json.Unmarshal(reply, &answer); err != nil {
		return Answer{}, api.Errorf(api.Precondition, request.Verb.op(), "read the root helper's answer: %w", err)
	}
	if answer.Error != nil {
		if ctx.Err() != nil {
			answer.Error.Cause = ctx.Err() // causes do not travel
		}
		return answer, answer.Error
	}
	return answer, nil
}

// endpoint is a backend's own address and port.
func endpoint(backend agent.Backend) (netip.AddrPort, error) {
	address, err := netip.ParseAddrPort(net.JoinHostPort(backend.Address, strconv.Itoa(backend.Port)))
	if err != nil || backend.Port < 1 {
		return netip.AddrPort{}, api.Errorf(api.Precondition, opWrite,
			"web.%d has no usable address: %q, port %d", backend.Index, backend.Address, backend.Port)
	}
	return address, nil
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}
