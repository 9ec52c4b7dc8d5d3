package nft

import (
	"fmt"
	"net"
	"net/netip"
	"strings"

	"github.com/google/nftables/expr"
	"github.com/google/nftables/userdata"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// Rules are read here and not by the nftables library, which refuses a whole
// chain for one expression that it cannot decode, such as our own on the
// original direction. Of our rules only the mark matters, of others' the
// addresses they compare with.

// generation is raised when the rules change, so that an older agent's table is
// made anew.
const generation = 1

// mark is the comment that each of our rules carries; by it a table is known to
// be whole.
func mark(subnet netip.Prefix) []byte {
	return userdata.AppendString(nil, userdata.TypeComment, fmt.Sprintf("dokku-agent %d: %s", generation, subnet))
}

// rawRule is one rule as the kernel tells it.
type rawRule struct {
	table, chain string
	mark         []byte
	expressions  []byte
}

// readRules lists the rules of the IPv4 table of that name, or of all tables
// that IPv4 goes through.
func readRules(table string) ([]rawRule, error) {
	family := uint8(unix.NFPROTO_UNSPEC)
	request := nl.NewNetlinkRequest(unix.NFNL_SUBSYS_NFTABLES<<8|unix.NFT_MSG_GETRULE, unix.NLM_F_DUMP)
	if table != "" {
		family = unix.NFPROTO_IPV4
	}
	request.AddData(&nl.Nfgenmsg{NfgenFamily: family, Version: nl.NFNETLINK_V0})
	if table != "" {
		request.AddData(nl.NewRtAttr(unix.NFTA_RULE_TABLE, nl.ZeroTerminated(table)))
	}
	messages, err := request.Execute(unix.NETLINK_NETFILTER, 0)
	if err != nil {
		return nil, err
	}
	var rules []rawRule
	for _, message := range messages {
		if len(message) < nl.SizeofNfgenmsg ||
			message[0] != unix.NFPROTO_IPV4 && message[0] != unix.NFPROTO_INET {
			continue
		}
		var rule rawRule
		err := eachAttribute(message[nl.SizeofNfgenmsg:], func(kind uint16, value []byte) {
			switch kind {
			case unix.NFTA_RULE_TABLE:
				rule.table = text(value)
			case unix.NFTA_RULE_CHAIN:
				rule.chain = text(value)
			case unix.NFTA_RULE_USERDATA:
				rule.mark = value
			case unix.NFTA_RULE_EXPRESSIONS:
				rule.expressions = value
			}
		})
		if err != nil {
			return nil, err
		}
		rules = append(rules, rule)
	}
	return rules, nil
}

// claims reads the destination ranges that a rule speaks of: as many whole bytes
// of the address as it loads, or all four under a mask. What cannot be decoded
// is not about addresses.
func (r rawRule) claims() []netip.Prefix {
	var claimed []netip.Prefix
	loaded, bits := false, 0
	err := eachAttribute(r.expressions, func(_ uint16, value []byte) {
		var name string
		var data []byte
		if err := eachAttribute(value, func(kind uint16, value []byte) {
			switch kind {
			case unix.NFTA_EXPR_NAME:
				name = text(value)
			case unix.NFTA_EXPR_DATA:
				data = value
			}
		}); err != nil {
			return
		}
		var payload expr.Payload
		var mask expr.Bitwise
		var compared expr.Cmp
		switch {
		case name == "payload" && expr.Unmarshal(unix.NFPROTO_IPV4, data, &payload) == nil:
			loaded = payload.Base == expr.PayloadBaseNetworkHeader && payload.Offset == daddrOffset && payload.Len <= 4
			bits = int(payload.Len) * 8
		case name == "bitwise" && expr.Unmarshal(unix.NFPROTO_IPV4, data, &mask) == nil:
			if ones, size := net.IPMask(mask.Mask).Size(); size != 0 {
				bits = min(bits, ones)
			}
		case name == "cmp" && loaded && expr.Unmarshal(unix.NFPROTO_IPV4, data, &compared) == nil:
			var address [4]byte
			copy(address[:], compared.Data)
			claimed = append(claimed, netip.PrefixFrom(netip.AddrFrom4(address), bits).Masked())
			loaded = false
		default:
			loaded = false
		}
	})
	if err != nil {
		return nil
	}
	return claimed
}

// eachAttribute calls f for each attribute in data, in order.
func eachAttribute(data []byte, f func(kind uint16, value []byte)) error {
	attributes, err := nl.ParseRouteAttr(data)
	if err != nil {
		return err
	}
	for _, attribute := range attributes {
		f(attribute.Attr.Type&^(unix.NLA_F_NESTED|unix.NLA_F_NET_BYTEORDER), attribute.Value)
	}
	return nil
}

// attribute finds one attribute in data.
func attribute(data []byte, wanted uint16) (found []byte, ok bool) {
	_ = eachAttribute(data, func(kind uint16, value []byte) {
		if kind == wanted {
			found, ok = value, true
		}
	}) // what is damaged is not found
	return found, ok
}

func text(value []byte) string { return strings.TrimRight(string(value), "\x00") }
