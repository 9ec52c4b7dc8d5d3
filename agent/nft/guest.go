package nft

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// guest is a network namespace attached to a bridge as a container is, with one
// listening socket in it. It ends with Close.
type guest struct {
	Listener net.Listener
	host     netlink.Link  // the bridge's side of the pair
	end      chan struct{} // closed to let the namespace's thread go
	ended    chan struct{}
}

// newGuest attaches a namespace to the bridge under an address with the prefix
// length of the bridge's network, and listens there on a port (0: any).
func newGuest(bridge netlink.Link, name string, address netip.Prefix, port int) (*guest, error) {
	g := &guest{end: make(chan struct{}), ended: make(chan struct{})}
	namespace := make(chan *os.File)
	attached := make(chan bool)
	listening := make(chan error)
	go func() {
		defer close(g.ended)
		// Never unlocked: the thread is in another namespace and ends with the goroutine.
		runtime.LockOSThread()
		file, err := newNamespace()
		if err != nil {
			listening <- err
			return
		}
		defer file.Close() //nolint:errcheck // opened for reading only
		namespace <- file
		if !<-attached {
			return
		}
		g.Listener, err = listenInside(name, address, port)
		listening <- err
		if err == nil {
			<-g.end
		}
	}()
	var err error
	select {
	case err = <-listening:
		return nil, err
	case file := <-namespace:
		g.host, err = attach(bridge, name, address.Addr(), file)
	}
	attached <- err == nil
	if err == nil {
		if err = <-listening; err != nil {
			_ = netlink.LinkDel(g.host) // the error that brought us here says more
		}
	}
	if err != nil {
		<-g.ended
		return nil, err
	}
	return g, nil
}

// Close takes the namespace and the pair away.
func (g *guest) Close() error {
	closed := g.Listener.Close()
	close(g.end)
	<-g.ended
	// The kernel removes the pair with the namespace, at its leisure.
	if err := netlink.LinkDel(g.host); err != nil && !errors.Is(err, unix.ENODEV) {
		return fmt.Errorf("remove %s: %w", g.host.Attrs().Name, err)
	}
	return closed
}

// newNamespace moves the calling thread into a network namespace of its own.
func newNamespace() (*os.File, error) {
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		return nil, fmt.Errorf("create a network namespace: %w", err)
	}
	return os.Open("/proc/thread-self/ns/net")
}

// attach makes a veth pair, one end on the bridge, the other in the namespace. A
// bridge whose own hardware address nobody set takes the lowest of its ports':
// the host's end gets a high one, so that nothing changes for containers there.
// The other end's is made from its address, as Docker makes it.
func attach(bridge netlink.Link, name string, address netip.Addr, namespace *os.File) (netlink.Link, error) {
	ip := address.As4()
	attributes := netlink.NewLinkAttrs()
	attributes.HardwareAddr = append(net.HardwareAddr{0xfe, 0x42}, ip[:]...)
	attributes.Name, attributes.MasterIndex = name, bridge.Attrs().Index
	pair := netlink.NewVeth(attributes)
	pair.PeerHardwareAddr = append(net.HardwareAddr{0x02, 0x42}, ip[:]...)
	pair.PeerName = name + "g"
	pair.PeerNamespace = netlink.NsFd(namespace.Fd())
	if err := netlink.LinkAdd(pair); err != nil {
		return nil, fmt.Errorf("attach a namespace to %s: %w", bridge.Attrs().Name, err)
	}
	host, err := netlink.LinkByName(name)
	if err != nil {
		return nil, fmt.Errorf("find %s: %w", name, err)
	}
	if err := netlink.LinkSetUp(host); err != nil {
		_ = netlink.LinkDel(host) // the error that brought us here says more
		return nil, fmt.Errorf("set %s up: %w", name, err)
	}
	return host, nil
}

// listenInside runs in the namespace: it gives the device its address and listens.
func listenInside(name string, address netip.Prefix, port int) (net.Listener, error) {
	link, err := netlink.LinkByName(name + "g")
	if err != nil {
		return nil, fmt.Errorf("find the namespace's device: %w", err)
	}
	network := ipNet(address)
	if err := netlink.AddrAdd(link, &netlink.Addr{IPNet: network}); err != nil {
		return nil, fmt.Errorf("give the namespace's device %s: %w", address, err)
	}
	if err := netlink.LinkSetUp(link); err != nil {
		return nil, fmt.Errorf("set the namespace's device up: %w", err)
	}
	return net.Listen("tcp4", netip.AddrPortFrom(address.Addr(), uint16(port)).String())
}
