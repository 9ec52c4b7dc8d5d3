package nft

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"slices"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"golang.org/x/sys/unix"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/api"
)

const (
	mapName   = "up"
	keyBytes  = 8   // address, port, two bytes of padding
	chunkSize = 256 // elements a message: one message ends at 64 KiB
)

// table is the configured nftables table with its route. It only reads and
// writes; who may do so when is its callers' concern.
type table struct {
	conn   *nftables.Conn
	config agent.MapConfig
}

func open(config agent.MapConfig) (table, error) {
	conn, err := nftables.New()
	if err != nil {
		return table{}, api.Errorf(api.Precondition, opWrite, "open netlink: %w", err)
	}
	return table{conn: conn, config: config}, nil
}

func (t table) table() *nftables.Table {
	return &nftables.Table{Name: t.config.Table, Family: nftables.TableFamilyIPv4}
}

func (t table) set() *nftables.Set {
	pair := nftables.MustConcatSetType(nftables.TypeIPAddr, nftables.TypeInetService)
	return &nftables.Set{
		Table: t.table(), ID: 1, Name: mapName, IsMap: true,
		KeyType: pair, DataType: pair, KeyByteOrder: binaryutil.BigEndian,
	}
}

// ensure creates what is missing of table and route. A table that is not what it
// should be is made anew in one transaction that keeps its elements.
func (t table) ensure() error {
	intact, err := t.intact()
	if err != nil {
		return err
	}
	routed, err := t.routed()
	if err != nil {
		return err
	}
	if intact && routed {
		return nil
	}
	if err := t.checkFree(); err != nil {
		return err
	}
	if !routed {
		if err := t.route(); err != nil {
			return err
		}
	}
	if intact {
		return nil
	}
	return t.create()
}

// create replaces the table by a whole one.
func (t table) create() error {
	now, err := t.elements()
	if err != nil {
		now = nil // a map of another shape, or none: nothing of it can be kept
	}
	t.conn.AddTable(t.table()) // so that there is one to delete
	t.conn.DelTable(t.table())
	t.conn.AddTable(t.table())
	if err := t.conn.AddSet(t.set(), nil); err != nil {
		return api.Errorf(api.ProxyFailed, opWrite, "encode the map: %w", err)
	}
	var kept []Element
	for from, to := range now {
		if assignable(t.config.Subnet, from.Addr()) {
			kept = append(kept, Element{From: from, To: to})
		}
	}
	if err := t.add(kept); err != nil {
		return err
	}
	t.conn.AddObj(timeouts(t.table()))
	for _, plan := range chains(t.config.Subnet) {
		chain := t.conn.AddChain(plan.chain(t.table()))
		t.conn.AddRule(&nftables.Rule{Table: t.table(), Chain: chain, Exprs: plan.rule, UserData: mark(t.config.Subnet)})
	}
	return t.commit()
}

// intact says whether the table is exactly what create makes.
func (t table) intact() (bool, error) {
	tables, err := t.conn.ListTablesOfFamily(nftables.TableFamilyIPv4)
	if err != nil {
		return false, t.failed("list tables", err)
	}
	if !slices.ContainsFunc(tables, func(other *nftables.Table) bool {
		return other.Name == t.config.Table && other.Flags == 0
	}) {
		return false, nil
	}
	set, err := t.conn.GetSetByName(t.table(), mapName)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, t.failed("read the map", err)
	}
	if !set.IsMap || set.KeyType.Bytes != keyBytes || set.DataType.Bytes != keyBytes {
		return false, nil
	}
	list, err := t.conn.ListChainsOfTableFamily(nftables.TableFamilyIPv4)
	if err != nil {
		return false, t.failed("list chains", err)
	}
	list = slices.DeleteFunc(list, func(chain *nftables.Chain) bool { return chain.Table.Name != t.config.Table })
	plans := chains(t.config.Subnet)
	if len(list) != len(plans) {
		return false, nil
	}
	for _, plan := range plans {
		if !slices.ContainsFunc(list, plan.is) {
			return false, nil
		}
	}
	rules, err := readRules(t.config.Table)
	if err != nil {
		return false, t.failed("list rules", err)
	}
	marked := make(map[string]bool)
	for _, rule := range rules {
		if !bytes.Equal(rule.mark, mark(t.config.Subnet)) {
			return false, nil
		}
		marked[rule.chain] = true
	}
	return len(rules) == len(plans) && len(marked) == len(plans), nil
}

// remove takes table and route away; either may be gone already.
func (t table) remove() error {
	t.conn.AddTable(t.table())
	t.conn.DelTable(t.table())
	if err := t.commit(); err != nil {
		return err
	}
	return t.unroute()
}

// elements reads the map.
func (t table) elements() (map[netip.AddrPort]netip.AddrPort, error) {
	list, err := t.conn.GetSetElements(t.set())
	if err != nil {
		return nil, t.failed("read the map", err)
	}
	elements := make(map[netip.AddrPort]netip.AddrPort, len(list))
	for _, element := range list {
		if len(element.Key) != keyBytes || len(element.Val) != keyBytes {
			return nil, t.failed("read the map", fmt.Errorf("an element of %d bytes", len(element.Key)))
		}
		elements[unpack(element.Key)] = unpack(element.Val)
	}
	return elements, nil
}

// add queues elements for the next commit.
func (t table) add(elements []Element) error {
	for chunk := range slices.Chunk(elements, chunkSize) {
		if err := t.conn.SetAddElements(t.set(), setElements(chunk)); err != nil {
			return api.Errorf(api.ProxyFailed, opWrite, "encode elements: %w", err)
		}
	}
	return nil
}

// commit sends what was queued as one transaction: all of it happens, or nothing.
func (t table) commit() error {
	if err := t.conn.Flush(); err != nil {
		return t.failed("commit the transaction", err)
	}
	return nil
}

func (t table) failed(what string, err error) error {
	switch {
	case errors.Is(err, fs.ErrPermission):
		return noRight(err)
	case errors.Is(err, unix.EPROTONOSUPPORT), errors.Is(err, unix.EOPNOTSUPP):
		return api.Errorf(api.Precondition, opWrite, "%s: the kernel has no nf_tables: %w", what, err)
	}
	return api.Errorf(api.ProxyFailed, opWrite, "%s: %w", what, err)
}

func setElements(elements []Element) []nftables.SetElement {
	list := make([]nftables.SetElement, len(elements))
	for i, element := range elements {
		list[i].Key = pack(element.From)
		if element.To.IsValid() {
			list[i].Val = pack(element.To)
		}
	}
	return list
}

// pack lays an address and a port out as the kernel's registers hold them.
func pack(endpoint netip.AddrPort) []byte {
	address := endpoint.Addr().As4()
	data := make([]byte, keyBytes)
	copy(data, address[:])
	binary.BigEndian.PutUint16(data[4:], endpoint.Port())
	return data
}

func unpack(data []byte) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte(data[:4])), binary.BigEndian.Uint16(data[4:]))
}
