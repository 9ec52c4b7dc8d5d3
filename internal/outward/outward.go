// Package outward keeps connections that somebody elsewhere asked for away from the
// machine that makes them.
package outward

import (
	"fmt"
	"net/netip"
	"syscall"
)

// Only is a net.Dialer's Control. It refuses a connection to this machine itself and to
// its link, where clouds serve a machine's own credentials: it sees the address that a name
// has led to.
func Only(_, address string, _ syscall.RawConn) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return err
	}
	if ip := at.Addr().Unmap(); ip.IsLoopback() || ip.IsLinkLocalUnicast() || ip.IsUnspecified() || ip.IsMulticast() {
		return fmt.Errorf("%s is this host's own; nobody elsewhere can have it asked", ip)
	}
	return nil
}
