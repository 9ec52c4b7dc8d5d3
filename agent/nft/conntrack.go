package nft

import (
	"context"
	"encoding/binary"
	"errors"
	"net/netip"
	"time"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/dokku-push/dokku-push/api"
)

// Pauses between two looks at the table of connections. Under load the table is
// long, so a pause is also at least four times what a look takes.
const (
	firstPause = 10 * time.Millisecond
	mostPause  = 250 * time.Millisecond
)

// flow is one TCP connection as the kernel tracks it.
type flow struct {
	from  netip.AddrPort // whom it was meant for
	to    netip.AddrPort // who answers
	state uint8
	raw   []byte // names it when it is to be deleted
}

// lingers says that the connection is over but would still catch a new one from
// the same source port. TIME_WAIT does not: the kernel drops such an entry by
// itself when a new connection comes and translates that one anew. Deleting it
// from here would hit whatever has come to live under the same ends since
// (measured: 48 of 267,731 requests hung over 20 switches; without it none).
func (f flow) lingers() bool {
	return f.state == nl.TCP_CONNTRACK_CLOSE || f.state == nl.TCP_CONNTRACK_LAST_ACK
}

// fate is what became of a former target.
type fate bool

const (
	alive fate = true
	// dead: nobody answers there, until another container gets the address. What is just
	// being connected to it would reach that one, for the kernel asks again every second
	// (seen: another app's answer 1 s after its start).
	dead fate = false
)

// opening says that nobody has answered the connection yet.
func (f flow) opening() bool {
	return f.state == nl.TCP_CONNTRACK_SYN_SENT || f.state == nl.TCP_CONNTRACK_SYN_SENT2 || f.state == nl.TCP_CONNTRACK_SYN_RECV
}

// sweep goes once through the kernel's connections from the subnet to a target.
// It deletes the entries of those that linger, and of those that wait for a dead one, and
// counts the others: open says how many are in use, closed how many the kernel will
// forget in a moment.
func sweep(subnet netip.Prefix, target netip.Addr, formerly fate) (open, closed int, err error) {
	var gone []flow
	request := requestFlows(target)
	err = request.ExecuteIter(unix.NETLINK_NETFILTER, 0, func(message []byte) bool {
		f, ok := readFlow(message)
		switch {
		case !ok || !subnet.Contains(f.from.Addr()) || f.to.Addr() != target:
		case f.state == nl.TCP_CONNTRACK_TIME_WAIT:
			closed++
		case f.lingers(), formerly == dead && f.opening():
			gone = append(gone, f)
		default:
			open++
		}
		return true
	})
	for _, f := range gone {
		request := nl.NewNetlinkRequest(unix.NFNL_SUBSYS_CTNETLINK<<8|nl.IPCTNL_MSG_CT_DELETE, unix.NLM_F_ACK)
		request.AddRawData(f.raw)
		if _, failed := request.Execute(unix.NETLINK_NETFILTER, 0); failed != nil && !errors.Is(failed, unix.ENOENT) {
			err = errors.Join(err, failed)
		}
	}
	return open, closed, err
}

// Attributes of a filter that the kernel (5.8 and newer) applies itself; an older
// one ignores it and sends everything, so the answers are looked at all the same.
const (
	ctaFilter           = 25
	ctaFilterReplyFlags = 2
	filterSource        = 1 << 0
)

// requestFlows asks for the tracked connections that a target answers.
func requestFlows(target netip.Addr) *nl.NetlinkRequest {
	request := nl.NewNetlinkRequest(unix.NFNL_SUBSYS_CTNETLINK<<8|nl.IPCTNL_MSG_CT_GET, unix.NLM_F_DUMP)
	request.AddData(&nl.Nfgenmsg{NfgenFamily: unix.AF_INET, Version: nl.NFNETLINK_V0})
	reply := nl.NewRtAttr(unix.NLA_F_NESTED|nl.CTA_TUPLE_REPLY, nil)
	reply.AddRtAttr(unix.NLA_F_NESTED|nl.CTA_TUPLE_IP, nil).AddRtAttr(nl.CTA_IP_V4_SRC, target.AsSlice())
	request.AddData(reply)
	filter := nl.NewRtAttr(unix.NLA_F_NESTED|ctaFilter, nil)
	filter.AddRtAttr(ctaFilterReplyFlags, nl.Uint32Attr(filterSource))
	request.AddData(filter)
	return request
}

// readFlow decodes a tracked connection; ok is false for what is not TCP.
func readFlow(message []byte) (f flow, ok bool) {
	if len(message) < nl.SizeofNfgenmsg {
		return flow{}, false
	}
	f.raw = message
	var protocol uint8
	_ = eachAttribute(message[nl.SizeofNfgenmsg:], func(kind uint16, value []byte) {
		switch kind {
		case nl.CTA_TUPLE_ORIG:
			protocol, _, f.from = readTuple(value)
		case nl.CTA_TUPLE_REPLY:
			_, f.to, _ = readTuple(value)
		case nl.CTA_PROTOINFO:
			within, _ := attribute(value, nl.CTA_PROTOINFO_TCP)
			if state, found := attribute(within, nl.CTA_PROTOINFO_TCP_STATE); found && len(state) > 0 {
				f.state = state[0]
			}
		}
	}) // what is cut off has no state and counts as open
	return f, protocol == unix.IPPROTO_TCP
}

// readTuple decodes one direction of a connection.
func readTuple(data []byte) (protocol uint8, source, destination netip.AddrPort) {
	addresses, _ := attribute(data, nl.CTA_TUPLE_IP)
	ports, _ := attribute(data, nl.CTA_TUPLE_PROTO)
	if number, found := attribute(ports, nl.CTA_PROTO_NUM); found && len(number) > 0 {
		protocol = number[0]
	}
	end := func(address, port int) netip.AddrPort {
		a, _ := attribute(addresses, uint16(address))
		p, _ := attribute(ports, uint16(port))
		ip, ok := netip.AddrFromSlice(a)
		if !ok || len(p) != 2 {
			return netip.AddrPort{} // in no subnet
		}
		return netip.AddrPortFrom(ip, binary.BigEndian.Uint16(p))
	}
	return protocol, end(nl.CTA_IP_V4_SRC, nl.CTA_PROTO_SRC_PORT), end(nl.CTA_IP_V4_DST, nl.CTA_PROTO_DST_PORT)
}

// drain sweeps until two looks in a row find no connection to the target, open or
// just closed, or the time is over; it returns how many are open then. One
// look is not enough: a connection that was translated just before the switch
// gets its entry a moment later.
func drain(ctx context.Context, subnet netip.Prefix, target netip.Addr, most time.Duration) (left int, err error) {
	deadline := time.Now().Add(most)
	pause, quiet := firstPause, 0
	for {
		began := time.Now()
		var closed int
		left, closed, err = sweep(subnet, target, alive)
		took := time.Since(began)
		switch {
		case errors.Is(err, unix.EPERM):
			return left, noRight(err)
		case err != nil || left+closed > 0:
			quiet = 0
		default:
			quiet++
		}
		remaining := time.Until(deadline)
		if quiet == 2 || remaining <= 0 {
			break
		}
		select {
		case <-ctx.Done():
			return left, api.Errorf(api.Cancelled, opDrain, "interrupted: %w", ctx.Err())
		case <-time.After(min(remaining, max(pause, 4*took))):
		}
		if quiet == 0 {
			pause = min(pause*3/2, mostPause)
		}
	}
	if err != nil {
		return left, api.Errorf(api.ProxyFailed, opDrain, "read the kernel's connections: %w", err)
	}
	return left, nil
}
