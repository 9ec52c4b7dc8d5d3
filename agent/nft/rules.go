package nft

import (
	"net"
	"net/netip"
	"slices"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// Offsets in the IPv4 and TCP headers, and the registers in use: the second half
// of a pair that starts in register 1 is the 4-byte register 9.
const (
	daddrOffset = 16
	dportOffset = 2
	first       = 1
	second      = 9
)

// chainPlan is a base chain and its only rule.
type chainPlan struct {
	name     string
	kind     nftables.ChainType
	hook     *nftables.ChainHook
	priority *nftables.ChainPriority
	rule     []expr.Any
}

// timeoutName is the object that says how long closed connections are remembered.
const timeoutName = "closed"

// chains are the table's four, in nft's words:
//
//	chain closed      { type filter hook output priority -150
//	                    ip daddr SUBNET meta l4proto tcp ct timeout set "closed" }
//	chain output      { type nat hook output priority -100
//	                    ip daddr SUBNET dnat to ip daddr . tcp dport map @up }
//	chain postrouting { type nat hook postrouting priority 90
//	                    ct original ip daddr SUBNET masquerade }
//	chain guard       { type filter hook output priority 10
//	                    ip daddr SUBNET meta l4proto tcp reject with tcp reset }
//
// The first lets the kernel forget a closed connection after a second instead of
// two minutes: what an engine deletes of a stopped container's connections, it deletes
// by their ends, and hits those that have come to live under the same ends since
// (measured: of 116,917 requests over 10 deploys 4 hung).
// The third makes a container see its bridge's gateway as its peer, as it does
// behind Docker. The fourth answers for an address that has no element at once,
// where it would otherwise leave the machine.
func chains(subnet netip.Prefix) []chainPlan {
	priority := nftables.ChainPriorityRef
	return []chainPlan{
		{"closed", nftables.ChainTypeFilter, nftables.ChainHookOutput, priority(-150), forget(subnet)},
		{"output", nftables.ChainTypeNAT, nftables.ChainHookOutput, priority(-100), translate(subnet)},
		{"postrouting", nftables.ChainTypeNAT, nftables.ChainHookPostrouting, priority(90), masquerade(subnet)},
		{"guard", nftables.ChainTypeFilter, nftables.ChainHookOutput, priority(10), reset(subnet)},
	}
}

func (p chainPlan) chain(table *nftables.Table) *nftables.Chain {
	accept := nftables.ChainPolicyAccept
	return &nftables.Chain{
		Name: p.name, Table: table, Type: p.kind, Hooknum: p.hook, Priority: p.priority, Policy: &accept,
	}
}

// is says whether chain is the planned one, its rules aside.
func (p chainPlan) is(chain *nftables.Chain) bool {
	return chain.Name == p.name && chain.Type == p.kind &&
		chain.Hooknum != nil && *chain.Hooknum == *p.hook &&
		chain.Priority != nil && *chain.Priority == *p.priority &&
		chain.Policy != nil && *chain.Policy == nftables.ChainPolicyAccept
}

// timeouts is the object of the first chain, in seconds.
func timeouts(table *nftables.Table) *nftables.NamedObj {
	return &nftables.NamedObj{Table: table, Name: timeoutName, Type: nftables.ObjTypeCtTimeout, Obj: &expr.CtTimeout{
		L3Proto: unix.NFPROTO_IPV4, L4Proto: unix.IPPROTO_TCP, Policy: expr.CtStatePolicyTimeout{
			expr.CtStateTCPESTABLISHED: 432000, // the kernel's own default; the library's is shorter
			expr.CtStateTCPTIMEWAIT:    1, expr.CtStateTCPCLOSE: 1, expr.CtStateTCPLASTACK: 10,
		}}}
}

func forget(subnet netip.Prefix) []expr.Any {
	return slices.Concat(within(subnet, daddr()), isTCP(), []expr.Any{
		&expr.Objref{Type: int(nftables.ObjTypeCtTimeout), Name: timeoutName},
	})
}

func translate(subnet netip.Prefix) []expr.Any {
	return slices.Concat(within(subnet, daddr()), isTCP(), []expr.Any{
		daddr(),
		&expr.Payload{DestRegister: second, Base: expr.PayloadBaseTransportHeader, Offset: dportOffset, Len: 2},
		&expr.Lookup{SourceRegister: first, DestRegister: first, IsDestRegSet: true, SetName: mapName},
		&expr.NAT{Type: expr.NATTypeDestNAT, Family: unix.NFPROTO_IPV4, RegAddrMin: first, RegProtoMin: second},
	})
}

func masquerade(subnet netip.Prefix) []expr.Any {
	// Direction 0 is the original one. nft itself writes NFT_CT_DST_IP, for which
	// the library leaves the direction out; in a table of family ip both are the same.
	original := &expr.Ct{Register: first, Key: expr.CtKeyDST, Direction: 0}
	return append(within(subnet, original), &expr.Masq{})
}

func reset(subnet netip.Prefix) []expr.Any {
	return slices.Concat(within(subnet, daddr()), isTCP(), []expr.Any{
		&expr.Reject{Type: unix.NFT_REJECT_TCP_RST},
	})
}

func daddr() expr.Any {
	return &expr.Payload{DestRegister: first, Base: expr.PayloadBaseNetworkHeader, Offset: daddrOffset, Len: 4}
}

func isTCP() []expr.Any {
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: first},
		&expr.Cmp{Op: expr.CmpOpEq, Register: first, Data: []byte{unix.IPPROTO_TCP}},
	}
}

// within compares the address that load puts into the first register.
func within(subnet netip.Prefix, load expr.Any) []expr.Any {
	return []expr.Any{
		load,
		&expr.Bitwise{
			SourceRegister: first, DestRegister: first, Len: 4,
			Mask: net.CIDRMask(subnet.Bits(), 32), Xor: make([]byte, 4),
		},
		&expr.Cmp{Op: expr.CmpOpEq, Register: first, Data: subnet.Addr().AsSlice()},
	}
}
