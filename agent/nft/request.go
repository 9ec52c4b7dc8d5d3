package nft

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"time"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/api"
)

// Verb is what the root side can be asked to do.
type Verb string

// The verbs. All of them touch only the configured table and subnet.
const (
	VerbEnsure Verb = "ensure" // create what is missing
	VerbPoint  Verb = "point"  // write Elements; other elements of Owned go
	VerbDrain  Verb = "drain"  // wait until nothing is connected to Address
	VerbSync   Verb = "sync"   // make Elements the whole map
	VerbRemove Verb = "remove" // take table and route away
	VerbProbe  Verb = "probe"  // try out whether the map works here
	VerbRead   Verb = "read"   // tell all elements
	// VerbUnpoint removes those of Elements that still lead where they say.
	VerbUnpoint Verb = "unpoint"
)

const (
	opWrite = "write the address map"
	opDrain = "drain connections"
	opProbe = "try the address map"
	opRead  = "read the address map"

	mostElements = 8192
	mostRequest  = 4 << 20 // bytes
	mostDrain    = time.Hour
)

func (v Verb) op() string {
	switch v {
	case VerbDrain:
		return opDrain
	case VerbProbe:
		return opProbe
	case VerbRead:
		return opRead
	}
	return opWrite
}

// Element is one entry of the map.
type Element struct {
	From netip.AddrPort `json:"from"` // what nginx names
	To   netip.AddrPort `json:"to"`   // the container
}

// Request is one thing to do; it is what the root helper reads. The table and
// the subnet are not in it: the root side knows its own.
type Request struct {
	Verb     Verb         `json:"verb"`
	Elements []Element    `json:"elements,omitempty"`
	Owned    []netip.Addr `json:"owned,omitempty"`   // with point: addresses whose other elements go
	Address  netip.Addr   `json:"address,omitzero"`  // with drain
	MostMS   int64        `json:"most_ms,omitempty"` // with drain: how long to wait, in milliseconds
}

// Answer is what the root helper writes.
type Answer struct {
	Left     int        `json:"left"`               // with drain: connections still open
	Elements []Element  `json:"elements,omitempty"` // with read
	Error    *api.Error `json:"error,omitempty"`
}

// Serve is the root side of a Map with a Helper: it reads one Request, carries it
// out on config's table and subnet and nothing else, and writes one Answer. What
// goes wrong with the request is in the answer; the error returned is only about
// reading and writing. config must come from where only root can write.
func Serve(ctx context.Context, in io.Reader, out io.Writer, config agent.MapConfig) error {
	var answer Answer
	request, err := readRequest(in)
	if err == nil {
		answer, err = carryOut(ctx, config, request)
	}
	answer.Error = api.AsError(err)
	if err := json.NewEncoder(out).Encode(answer); err != nil {
		return fmt.Errorf("write the answer: %w", err)
	}
	return nil
}

func readRequest(in io.Reader) (Request, error) {
	decoder := json.NewDecoder(io.LimitReader(in, mostRequest))
	decoder.DisallowUnknownFields()
	var request Request
	if err := decoder.Decode(&request); err != nil {
		return Request{}, api.Errorf(api.Refused, "read the request", "not a request: %w", err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return Request{}, api.Errorf(api.Refused, "read the request", "there is more than one request")
	}
	return request, nil
}

// check refuses what the table's owner must never be talked into. Both the
// direct way and the root helper's go through it. own tells the host's addresses.
func (r Request) check(config agent.MapConfig, own []netip.Addr) error {
	if err := Validate(config); err != nil {
		return err
	}
	refuse := func(format string, args ...any) error {
		return api.Errorf(api.Refused, r.Verb.op(), format, args...)
	}
	writes, drains := r.Verb == VerbPoint || r.Verb == VerbSync || r.Verb == VerbUnpoint, r.Verb == VerbDrain
	switch {
	case r.Verb.unknown():
		return refuse("unknown verb %q", string(r.Verb))
	case !writes && len(r.Elements) > 0, r.Verb != VerbPoint && len(r.Owned) > 0,
		!drains && (r.Address.IsValid() || r.MostMS != 0):
		return refuse("%s takes no such argument", r.Verb)
	case len(r.Elements) > mostElements || len(r.Owned) > mostElements:
		return refuse("more than %d elements", mostElements)
	case drains && (r.MostMS < 0 || r.MostMS > mostDrain.Milliseconds()):
		return refuse("cannot wait for %d ms", r.MostMS)
	case drains:
		return checkTarget(r.Address, nil)
	}
	for _, address := range r.Owned {
		if !assignable(config.Subnet, address) {
			return refuse("%s is not one of ours (%s)", address, config.Subnet)
		}
	}
	seen := make(map[netip.AddrPort]bool, len(r.Elements))
	for _, element := range r.Elements {
		switch {
		case !assignable(config.Subnet, element.From.Addr()) || element.From.Port() == 0:
			return refuse("%s is not one of ours (%s)", element.From, config.Subnet)
		case seen[element.From]:
			return refuse("%s is named twice", element.From)
		case element.To.Port() == 0:
			return refuse("%s has no port", element.To)
		}
		seen[element.From] = true
		if err := checkTarget(element.To.Addr(), own); err != nil {
			return err
		}
	}
	return nil
}

func (v Verb) unknown() bool {
	switch v {
	case VerbEnsure, VerbPoint, VerbDrain, VerbSync, VerbRemove, VerbProbe, VerbRead, VerbUnpoint:
		return false
	}
	return true
}

// checkTarget refuses addresses that cannot be a container's. The bridges' own
// addresses are the host's and refused with them.
func checkTarget(address netip.Addr, own []netip.Addr) error {
	refuse := func(why string) error {
		return api.Errorf(api.Refused, opWrite, "%s cannot be a container's address: %s", address, why)
	}
	switch {
	case !address.Is4():
		return refuse("not IPv4")
	case address.IsUnspecified(), address.As4()[0] == 0, address.As4()[0] >= 240:
		return refuse("reserved")
	case address.IsLoopback():
		return refuse("loopback")
	case address.IsMulticast():
		return refuse("multicast")
	case address.IsLinkLocalUnicast():
		return refuse("link-local")
	case reserved().Contains(address):
		return refuse("it is out of the range that is mapped")
	}
	for _, mine := range own {
		if mine == address {
			return refuse("it is the host's own")
		}
	}
	return nil
}

// hostAddresses lists the IPv4 addresses of this network namespace.
func hostAddresses() ([]netip.Addr, error) {
	list, err := net.InterfaceAddrs()
	if err != nil {
		return nil, api.Errorf(api.Precondition, opWrite, "list the host's addresses: %w", err)
	}
	var addresses []netip.Addr
	for _, entry := range list {
		if prefix, err := netip.ParsePrefix(entry.String()); err == nil && prefix.Addr().Is4() {
			addresses = append(addresses, prefix.Addr())
		}
	}
	return addresses, nil
}
