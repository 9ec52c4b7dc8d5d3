package nft

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"net/netip"
	"path/filepath"
	"regexp"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/api"
)

const (
	opConfig    = "set up the address map"
	derivedBits = 22 // 1022 addresses for a derived host
	bridge      = "docker0"
)

// reserved is the range that all maps are cut from: it is set aside for
// benchmarks and never routed.
func reserved() netip.Prefix {
	return netip.PrefixFrom(netip.AddrFrom4([4]byte{198, 18, 0, 0}), 15)
}

// Derive makes a host's table name and subnet from the path of its state folder,
// the same ones each time, unless the subnet overlaps one that is taken: then
// the next that is free. If none is, Subnet is invalid, which Validate refuses.
func Derive(stateDir string, taken []netip.Prefix) agent.MapConfig {
	sum := sha256.Sum256([]byte(filepath.Clean(stateDir)))
	config := agent.MapConfig{Table: "dokku_" + hex.EncodeToString(sum[:4]), Device: bridge}
	slots := 1 << (derivedBits - reserved().Bits())
	first := int(binary.BigEndian.Uint32(sum[4:]) % uint32(slots))
	for i := range slots {
		slot := (first + i) % slots
		subnet := netip.PrefixFrom(nth(reserved(), slot<<(32-derivedBits)), derivedBits)
		if !overlapsAny(subnet, taken) {
			config.Subnet = subnet
			return config
		}
	}
	return config
}

// Choose derives a host's configuration beside everything that uses the range on
// this machine now. What a former process of the same host left counts as free.
func Choose(stateDir string) (agent.MapConfig, error) {
	taken, err := Taken(Derive(stateDir, nil).Table)
	if err != nil {
		return agent.MapConfig{}, err
	}
	config := Derive(stateDir, taken)
	return config, Validate(config)
}

// Validate refuses a configuration that could reach beyond what is ours.
func Validate(config agent.MapConfig) error {
	refuse := func(format string, args ...any) error {
		return api.Errorf(api.Configuration, opConfig, format, args...).
			WithHint(`set "map" in the host's configuration as dokku-agent install does`)
	}
	subnet := config.Subnet
	switch {
	case !regexp.MustCompile(`^dokku[a-z0-9_]{0,40}$`).MatchString(config.Table):
		return refuse("%q is no name of a table of ours", config.Table)
	case !subnet.IsValid() || subnet != subnet.Masked():
		return refuse("%q is no subnet", subnet.String())
	case !reserved().Contains(subnet.Addr()) || subnet.Bits() < reserved().Bits() || subnet.Bits() > 28:
		return refuse("%s is no subnet of /28 or larger out of %s", subnet, reserved())
	case !regexp.MustCompile(`^[a-zA-Z0-9_.-]{1,15}$`).MatchString(config.Device):
		return refuse("%q is no name of a network device", config.Device)
	}
	return nil
}

func overlapsAny(prefix netip.Prefix, others []netip.Prefix) bool {
	for _, other := range others {
		if prefix.Overlaps(other) {
			return true
		}
	}
	return false
}

// assignable says whether an address may be an app's: in the subnet, and neither
// its first one nor its last, which the probe uses.
func assignable(subnet netip.Prefix, address netip.Addr) bool {
	return subnet.Contains(address) && address != subnet.Addr() && address != spare(subnet)
}

// spare is the address that is kept for trying out the map.
func spare(subnet netip.Prefix) netip.Addr {
	return nth(subnet, 1<<(32-subnet.Bits())-1)
}

// nth is the address at an offset from a prefix's first one.
func nth(prefix netip.Prefix, offset int) netip.Addr {
	first := prefix.Addr().As4()
	var address [4]byte
	binary.BigEndian.PutUint32(address[:], binary.BigEndian.Uint32(first[:])+uint32(offset))
	return netip.AddrFrom4(address)
}
