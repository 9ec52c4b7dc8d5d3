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

// chains are the table's three, in nft's words:
//
//	chain output      { type nat hook output priority -100
//	                    ip daddr SUBNET dnat to ip daddr . tcp dport map @up }
//	chain postrouting { type nat hook postrouting priority 90
//	                    ct original ip daddr SUBNET masquerade }
//	chain guard       { type filter hook output priority 10
//	                    ip daddr SUBNET meta l4proto tcp reject with tcp reset }
//
// The second makes a container see its bridge's gateway as its peer, as it does
// behind Docker. The third answers for an address that has no element at once,
// where it would otherwise leave the machine.
func chains(subnet netip.Prefix) []chainPlan {
	priority := nftables.ChainPriorityRef
	return []chainPlan{
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
