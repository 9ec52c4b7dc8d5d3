package nft

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/dokku-push/dokku-push/api"
)

// The route makes an address of the subnet connectable on a host without a
// default route, and names the device's address as the source. Its metric is
// made from the table's name and says whose it is: several hosts may share a
// machine, and a firewall reload can take a table away but no route.

func (t table) metric() int {
	sum := sha256.Sum256([]byte(t.config.Table))
	return 1<<30 | int(binary.BigEndian.Uint32(sum[:4])>>8)
}

// ours lists the routes out of the reserved range that carry this table's metric.
// The library's own filter does not know metrics, so the choice is made here.
func (t table) ours() ([]netlink.Route, error) {
	all, err := whole(func() ([]netlink.Route, error) { return netlink.RouteList(nil, unix.AF_INET) })
	if err != nil {
		return nil, t.failed("list routes", err)
	}
	return slices.DeleteFunc(all, func(route netlink.Route) bool {
		subnet := prefixOf(route.Dst)
		return route.Priority != t.metric() || !subnet.IsValid() ||
			subnet.Bits() < reserved().Bits() || !reserved().Contains(subnet.Addr())
	}), nil
}

func (t table) routed() (bool, error) {
	device, err := t.device()
	if err != nil {
		return false, err
	}
	routes, err := t.ours()
	if err != nil {
		return false, err
	}
	return len(routes) == 1 && prefixOf(routes[0].Dst) == t.config.Subnet &&
		routes[0].LinkIndex == device.Attrs().Index, nil
}

// route puts the subnet's route in place of whatever former one is ours.
func (t table) route() error {
	if err := t.unroute(); err != nil {
		return err
	}
	device, err := t.device()
	if err != nil {
		return err
	}
	err = netlink.RouteAdd(&netlink.Route{
		LinkIndex: device.Attrs().Index,
		Dst:       ipNet(t.config.Subnet),
		Scope:     netlink.SCOPE_LINK,
		Priority:  t.metric(),
	})
	if err != nil {
		return t.failed("add the route to "+t.config.Subnet.String(), err)
	}
	return nil
}

func (t table) unroute() error {
	routes, err := t.ours()
	if err != nil {
		return err
	}
	for _, route := range routes {
		if err := netlink.RouteDel(&route); err != nil && !errors.Is(err, unix.ESRCH) {
			return t.failed("remove the route", err)
		}
	}
	return nil
}

func (t table) device() (netlink.Link, error) {
	link, err := netlink.LinkByName(t.config.Device)
	if err != nil {
		return nil, api.Errorf(api.Precondition, opWrite, "find the device %s: %w", t.config.Device, err).
			WithHint("is the Docker Engine running?")
	}
	return link, nil
}

// checkFree refuses a subnet that something else on this machine uses.
func (t table) checkFree() error {
	taken, err := Taken(t.config.Table)
	if err != nil {
		return err
	}
	for _, prefix := range taken {
		if prefix.Overlaps(t.config.Subnet) {
			return api.Errorf(api.Precondition, opConfig, "%s overlaps %s, which something else on this machine uses",
				t.config.Subnet, prefix).WithHint("choose another subnet out of %s for the address map", reserved())
		}
	}
	return nil
}

// Taken lists what is in use of the range that maps are cut from: routes,
// addresses of devices and ranges in the rules of other tables. What belongs to
// the named table is left out.
func Taken(except string) ([]netip.Prefix, error) {
	t, err := open(Derive("/", nil))
	if err != nil {
		return nil, err
	}
	t.config.Table = except
	var taken []netip.Prefix
	// A wider prefix, such as a default route, claims nothing: ours is more specific.
	claim := func(prefix netip.Prefix) {
		if prefix.IsValid() && prefix.Bits() >= reserved().Bits() && prefix.Overlaps(reserved()) {
			taken = append(taken, prefix)
		}
	}
	routes, err := whole(func() ([]netlink.Route, error) {
		return netlink.RouteListFiltered(unix.AF_INET, &netlink.Route{Table: unix.RT_TABLE_UNSPEC}, netlink.RT_FILTER_TABLE)
	})
	if err != nil {
		return nil, t.failed("list routes", err)
	}
	for _, route := range routes {
		if route.Priority != t.metric() {
			claim(prefixOf(route.Dst))
		}
	}
	devices, err := whole(func() ([]netlink.Addr, error) { return netlink.AddrList(nil, unix.AF_INET) })
	if err != nil {
		return nil, t.failed("list addresses", err)
	}
	for _, device := range devices {
		claim(prefixOf(device.IPNet))
	}
	rules, err := readRules("")
	if err != nil {
		return nil, t.failed("list rules", err)
	}
	for _, rule := range rules {
		if rule.table != except {
			for _, prefix := range rule.claims() {
				claim(prefix)
			}
		}
	}
	return taken, nil
}

// whole is what the kernel lists. A list that changed while it was read, as when a container
// starts at that moment, is read again.
func whole[T any](list func() ([]T, error)) (all []T, err error) {
	for range 100 {
		if all, err = list(); !errors.Is(err, netlink.ErrDumpInterrupted) {
			break
		}
	}
	return all, err
}

// prefixOf turns an IPv4 network around; the zero Prefix stands for none.
func prefixOf(network *net.IPNet) netip.Prefix {
	if network == nil {
		return netip.Prefix{}
	}
	address, ok := netip.AddrFromSlice(network.IP)
	ones, _ := network.Mask.Size()
	if !ok {
		return netip.Prefix{}
	}
	return netip.PrefixFrom(address.Unmap(), ones).Masked()
}

func ipNet(prefix netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: prefix.Addr().AsSlice(), Mask: net.CIDRMask(prefix.Bits(), 32)}
}
