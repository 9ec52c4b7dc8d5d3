package nft

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/hex"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/api"
)

// Reload is traffic without a map: nginx's upstream names the containers
// themselves and moves when it is reloaded. It implements agent.Traffic and
// needs no rights.
type Reload struct {
	Places agent.Places
}

var _ agent.Traffic = (*Reload)(nil)

// Name is "reload".
func (r *Reload) Name() string { return "reload" }

// Listeners returns each container's own address and port.
func (r *Reload) Listeners(_ context.Context, _ string, backends []agent.Backend) ([]string, error) {
	listeners := make([]string, len(backends))
	for i, backend := range backends {
		address, err := endpoint(backend)
		if err != nil {
			return nil, err
		}
		listeners[i] = address.String()
	}
	return listeners, nil
}

// Point does nothing: nginx's own file says where traffic goes.
func (r *Reload) Point(context.Context, string, []agent.Backend, bool) error { return nil }

// Sync does nothing.
func (r *Reload) Sync(context.Context, map[string][]agent.Backend) error { return nil }

// Forget does nothing.
func (r *Reload) Forget(context.Context, string) error { return nil }

// Drain waits until no socket of this host is connected to the address.
func (r *Reload) Drain(ctx context.Context, address string, most time.Duration) (int, error) {
	target, err := netip.ParseAddr(address)
	if err != nil || !target.Is4() {
		return 0, api.Errorf(api.Precondition, opDrain, "%q is no IPv4 address", address)
	}
	deadline := time.Now().Add(most)
	pause := firstPause
	for {
		left, err := connected(target)
		if err != nil {
			return 0, api.Errorf(api.Precondition, opDrain, "read the host's connections: %w", err)
		}
		remaining := time.Until(deadline)
		if left == 0 || remaining <= 0 {
			return left, nil
		}
		select {
		case <-ctx.Done():
			return left, api.Errorf(api.Cancelled, opDrain, "interrupted: %w", ctx.Err())
		case <-time.After(min(remaining, pause)):
		}
		pause = min(pause*3/2, mostPause)
	}
}

// connected counts the host's TCP sockets whose other end is the address and
// which may still carry an answer: connecting, established, or half closed by
// the container. The kernel's list has the state in its fourth column, in hex.
func connected(target netip.Addr) (int, error) {
	file, err := os.Open("/proc/thread-self/net/tcp")
	if err != nil {
		return 0, err
	}
	defer file.Close() //nolint:errcheck // opened for reading only
	count := 0
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) < 4 {
			continue
		}
		remote, err := parseHexAddr(fields[2])
		if err != nil || remote.Addr() != target {
			continue // the heading, or another address
		}
		switch fields[3] {
		case "01", "02", "08": // ESTABLISHED, SYN_SENT, CLOSE_WAIT
			count++
		}
	}
	return count, lines.Err()
}

// parseHexAddr reads "020011AC:1388": the address is a word in the machine's
// byte order, the port is plain.
func parseHexAddr(s string) (netip.AddrPort, error) {
	word, port, _ := strings.Cut(s, ":")
	raw, err := hex.DecodeString(word)
	if err != nil {
		return netip.AddrPort{}, err
	}
	number, err := strconv.ParseUint(port, 16, 16)
	if err != nil {
		return netip.AddrPort{}, err
	}
	if len(raw) != 4 {
		return netip.AddrPort{}, strconv.ErrSyntax
	}
	var address [4]byte
	binary.NativeEndian.PutUint32(address[:], binary.BigEndian.Uint32(raw))
	return netip.AddrPortFrom(netip.AddrFrom4(address), uint16(number)), nil
}
