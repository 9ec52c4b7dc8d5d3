package nft

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strconv"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/api"
)

const probeTimeout = 10 * time.Second // the first packets may be lost while the bridge wakes up

// probe does what a switch does, with a throwaway table, the subnet's spare
// address and a throwaway namespace in the place of a container.
func probe(ctx context.Context, of table) (err error) {
	refuse := func(what string, err error) error {
		return api.Errorf(api.Precondition, opProbe, "%s: %w", what, err).
			WithHint("nginx can reload instead (traffic: reload)")
	}
	if err := of.checkFree(); err != nil {
		return err
	}
	bridge, own, address, err := of.place()
	if err != nil {
		return refuse("find a place on "+of.config.Device, err)
	}
	guest, err := newGuest(bridge, "dkp"+strconv.Itoa(os.Getpid()), address, 0)
	if err != nil {
		return refuse("attach a network namespace", err)
	}
	defer func() { err = errors.Join(err, guest.Close()) }()

	from := netip.AddrPortFrom(spare(of.config.Subnet), 80)
	to, err := netip.ParseAddrPort(guest.Listener.Addr().String())
	if err != nil {
		return refuse("read the namespace's address", err)
	}
	trial, err := open(agent.MapConfig{
		Table: of.config.Table + "_probe", Subnet: netip.PrefixFrom(from.Addr(), 32), Device: of.config.Device,
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, trial.remove()) }()
	if err := trial.route(); err != nil {
		return err
	}
	if err := trial.create(); err != nil {
		return err
	}
	if err := trial.turn(nil, map[netip.AddrPort]netip.AddrPort{from: to}, alive); err != nil {
		return err
	}
	if err := converse(ctx, guest.Listener, from, own); err != nil {
		return refuse("connect through the map", err)
	}
	if _, err := drain(ctx, trial.config.Subnet, to.Addr(), 0); err != nil {
		return refuse("read the kernel's connections", err)
	}
	return nil
}

// place finds the bridge, its own address and a free one far from those that
// Docker gives out first.
func (t table) place() (bridge netlink.Link, own netip.Addr, free netip.Prefix, err error) {
	bridge, err = t.device()
	if err != nil {
		return nil, own, free, err
	}
	if bridge.Type() != "bridge" {
		return nil, own, free, fmt.Errorf("%s is no bridge but a %s", t.config.Device, bridge.Type())
	}
	addresses, err := whole(func() ([]netlink.Addr, error) { return netlink.AddrList(bridge, unix.AF_INET) })
	if err != nil || len(addresses) == 0 {
		return nil, own, free, errors.Join(errors.New("it has no address"), err)
	}
	own, _ = netip.AddrFromSlice(addresses[0].IP.To4())
	network := prefixOf(addresses[0].IPNet)
	size := 1 << (32 - network.Bits())
	known, err := whole(func() ([]netlink.Neigh, error) { return netlink.NeighList(bridge.Attrs().Index, unix.AF_INET) })
	if err != nil {
		return nil, own, free, fmt.Errorf("list its neighbours: %w", err)
	}
	inUse := map[netip.Addr]bool{own: true}
	for _, neighbour := range known {
		if address, ok := netip.AddrFromSlice(neighbour.IP); ok {
			inUse[address.Unmap()] = true
		}
	}
	for offset := size - 3; offset > size/2; offset-- {
		if address := nth(network, offset); !inUse[address] {
			return bridge, own, netip.PrefixFrom(address, network.Bits()), nil
		}
	}
	return nil, own, free, errors.New("its network has no free address")
}

// converse connects to the mapped address and asks the other side whom it sees:
// that must be the bridge, as it is behind Docker.
func converse(ctx context.Context, listener net.Listener, from netip.AddrPort, own netip.Addr) error {
	answered := make(chan error, 1)
	go func() {
		connection, err := listener.Accept()
		if err != nil {
			answered <- err
			return
		}
		host, _, _ := net.SplitHostPort(connection.RemoteAddr().String())
		_, err = io.WriteString(connection, host)
		answered <- errors.Join(err, connection.Close())
	}()
	dialer := net.Dialer{Timeout: probeTimeout}
	connection, err := dialer.DialContext(ctx, "tcp4", from.String())
	if err != nil {
		// The guest's listener is closed by our caller, which ends the goroutine.
		return fmt.Errorf("%w (does a firewall close the output chain?)", err)
	}
	defer connection.Close() //nolint:errcheck // nothing was written
	if err := connection.SetDeadline(time.Now().Add(probeTimeout)); err != nil {
		return err
	}
	seen, err := io.ReadAll(connection)
	if err != nil {
		return err
	}
	if string(seen) != own.String() {
		return fmt.Errorf("a container would see %q as its peer, not %s", seen, own)
	}
	return <-answered
}
