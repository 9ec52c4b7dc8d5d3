package nft

import (
	"context"
	"errors"
	"io/fs"
	"maps"
	"net/netip"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/api"
)

// lockPath is one lock for all hosts on a machine: only root's processes write
// maps, and only root can create files there.
const lockPath = "/run/dokku-agent-map.lock"

// perform checks a request and carries it out in this process, which must have
// the right to do so. left is drain's answer.
func perform(ctx context.Context, config agent.MapConfig, request Request) (left int, err error) {
	own, err := hostAddresses()
	if err != nil {
		return 0, err
	}
	if err := request.check(config, own); err != nil {
		return 0, err
	}
	if request.Verb == VerbDrain {
		return drain(ctx, config.Subnet, request.Address, time.Duration(request.MostMS)*time.Millisecond)
	}
	unlock, err := lock(ctx)
	if err != nil {
		return 0, err
	}
	defer unlock()
	t, err := open(config)
	if err != nil {
		return 0, err
	}
	switch request.Verb {
	case VerbEnsure:
		return 0, t.ensure()
	case VerbProbe:
		return 0, probe(ctx, t)
	case VerbRemove:
		return 0, t.remove()
	case VerbSync:
		return 0, t.sync(request.Elements)
	case VerbUnpoint:
		return 0, t.unpoint(request.Elements)
	default:
		return 0, t.point(request.Elements, request.Owned)
	}
}

// point writes these elements and removes others of the owned addresses. A table
// that a firewall reload flushed is put back first.
func (t table) point(elements []Element, owned []netip.Addr) error {
	if err := t.ensure(); err != nil {
		return err
	}
	now, err := t.elements()
	if err != nil {
		return err
	}
	want := maps.Clone(now)
	for _, address := range owned {
		maps.DeleteFunc(want, func(from, _ netip.AddrPort) bool { return from.Addr() == address })
	}
	for _, element := range elements {
		want[element.From] = element.To
	}
	return t.turn(now, want, alive)
}

// unpoint removes those of the elements that still lead where they say. Under the lock
// nobody points one elsewhere in between. What they lead to is taken for dead.
func (t table) unpoint(elements []Element) error {
	if err := t.ensure(); err != nil {
		return err
	}
	now, err := t.elements()
	if err != nil {
		return err
	}
	want := maps.Clone(now)
	for _, element := range elements {
		if want[element.From] == element.To {
			delete(want, element.From)
		}
	}
	return t.turn(now, want, dead)
}

// sync makes these elements the whole map. What goes with it is taken for dead.
func (t table) sync(elements []Element) error {
	if err := t.ensure(); err != nil {
		return err
	}
	now, err := t.elements()
	if err != nil {
		return err
	}
	want := make(map[netip.AddrPort]netip.AddrPort, len(elements))
	for _, element := range elements {
		want[element.From] = element.To
	}
	return t.turn(now, want, dead)
}

// turn makes the map want, in one transaction, so that no element is ever
// missing between two targets. Then it deletes what is left in the kernel of
// connections to former targets that are over. The switch is done by then, so a
// failure of that is no reason to undo it: drain does the same and reports it.
func (t table) turn(now, want map[netip.AddrPort]netip.AddrPort, formerly fate) error {
	var gone, added []Element
	former := make(map[netip.Addr]bool)
	for from, to := range now {
		if want[from] != to {
			former[to.Addr()] = true
			gone = append(gone, Element{From: from})
		}
	}
	for from, to := range want {
		if now[from] != to {
			added = append(added, Element{From: from, To: to})
		}
	}
	if len(gone)+len(added) == 0 {
		return nil
	}
	set := t.set()
	for chunk := range slices.Chunk(gone, chunkSize) {
		if err := t.conn.SetDeleteElements(set, setElements(chunk)); err != nil {
			return api.Errorf(api.ProxyFailed, opWrite, "encode elements: %w", err)
		}
	}
	if err := t.add(added); err != nil {
		return err
	}
	if err := t.commit(); err != nil {
		return err
	}
	for target := range former {
		_, _, _ = sweep(t.config.Subnet, target, formerly)
	}
	return nil
}

// lock keeps other processes from writing any map of this machine.
func lock(ctx context.Context) (unlock func(), err error) {
	file, err := os.OpenFile(lockPath, os.O_CREATE|os.O_RDWR|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0o600)
	if errors.Is(err, fs.ErrPermission) {
		return nil, noRight(err)
	}
	if err != nil {
		return nil, api.Errorf(api.Precondition, opWrite, "open the lock: %w", err)
	}
	for {
		err := flock(file, unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return func() { _ = file.Close() }, nil // closing releases it
		}
		if !errors.Is(err, unix.EWOULDBLOCK) {
			_ = file.Close() // the error below says more
			return nil, api.Errorf(api.Precondition, opWrite, "take the lock: %w", err)
		}
		select {
		case <-ctx.Done():
			_ = file.Close() // the error below says more
			return nil, api.Errorf(api.Locked, opWrite, "another process is writing it: %w", ctx.Err())
		case <-time.After(5 * time.Millisecond):
		}
	}
}

func noRight(err error) error {
	return api.Errorf(api.Precondition, opWrite, "it needs root with CAP_NET_ADMIN: %w", err).
		WithHint("run as root, or let nginx reload instead (traffic: reload)")
}
