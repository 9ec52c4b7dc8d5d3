package nft

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/api"
)

func TestTableIsWhatNftWouldWrite(t *testing.T) {
	if !alone(t) {
		return
	}
	newWorld(t)
	m := newMap(t)
	m.Config.Subnet = netip.MustParsePrefix("198.18.4.0/22")
	check(t, m.Ensure(t.Context()))
	want := `table ip ` + m.Config.Table + ` {
	ct timeout closed {
		protocol tcp
		l3proto ip
		policy = { last_ack : 10, time_wait : 1, close : 1 }
	}

	map up {
		type ipv4_addr . inet_service : ipv4_addr . inet_service
	}

	chain closed {
		type filter hook output priority mangle; policy accept;
		ip daddr 198.18.4.0/22 meta l4proto tcp ct timeout set "closed" comment "dokku-agent 1: 198.18.4.0/22"
	}

	chain output {
		type nat hook output priority -100; policy accept;
		ip daddr 198.18.4.0/22 dnat ip to ip daddr . tcp dport map @up comment "dokku-agent 1: 198.18.4.0/22"
	}

	chain postrouting {
		type nat hook postrouting priority srcnat - 10; policy accept;
		ct original ip daddr 198.18.4.0/22 masquerade comment "dokku-agent 1: 198.18.4.0/22"
	}

	chain guard {
		type filter hook output priority filter + 10; policy accept;
		ip daddr 198.18.4.0/22 reject with tcp reset comment "dokku-agent 1: 198.18.4.0/22"
	}
}
`
	if diff := cmp.Diff(want, nft(t, "list", "ruleset")); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	before := nft(t, "-a", "list", "ruleset")
	check(t, m.Ensure(t.Context()))
	if diff := cmp.Diff(before, nft(t, "-a", "list", "ruleset")); diff != "" {
		t.Errorf("a second Ensure changed something:\n%s", diff)
	}
	check(t, m.Remove(t.Context()))
	check(t, m.Remove(t.Context()))
	if left := nft(t, "list", "ruleset") + routes(t); strings.Contains(left, "198.18") {
		t.Errorf("left after Remove:\n%s", left)
	}
}

// routes prints the namespace's routes in the reserved range.
func routes(t *testing.T) string {
	t.Helper()
	output, err := exec.Command("ip", "route", "show", "root", "198.18.0.0/15").CombinedOutput()
	check(t, err)
	return string(output)
}

func TestPointIsExactOrNot(t *testing.T) {
	if !alone(t) {
		return
	}
	w := newWorld(t)
	m := newMap(t)
	one, two := w.container(t, "one"), w.container(t, "two")
	check(t, m.Point(t.Context(), "app", []agent.Backend{one.backend(1), two.backend(2)}, true))
	check(t, m.Point(t.Context(), "other", []agent.Backend{two.backend(1)}, true))
	count := func() int { return strings.Count(nft(t, "list", "map", "ip", m.Config.Table, mapName), " : 172.") }
	for _, step := range []struct {
		exact bool
		want  int
	}{{false, 3}, {true, 2}} {
		check(t, m.Point(t.Context(), "app", []agent.Backend{two.backend(1)}, step.exact))
		if got := count(); got != step.want {
			t.Errorf("exact %v: %d elements, want %d", step.exact, got, step.want)
		}
	}
	check(t, m.Sync(t.Context(), map[string][]agent.Backend{"app": {one.backend(1)}}))
	if got := count(); got != 1 {
		t.Errorf("after Sync: %d elements, want 1", got)
	}
	listeners, err := m.Listeners(t.Context(), "app", []agent.Backend{one.backend(1)})
	check(t, err)
	wantAnswer(t, listeners[0], "one 172.30.0.1")
	check(t, m.Forget(t.Context(), "app"))
	if got := count(); got != 0 {
		t.Errorf("after Forget: %d elements, want 0", got)
	}
}

func TestAddressWithoutElementIsResetAtOnce(t *testing.T) {
	if !alone(t) {
		return
	}
	newWorld(t)
	m := newMap(t)
	check(t, m.Ensure(t.Context()))
	listeners, err := m.Listeners(t.Context(), "app", []agent.Backend{{Index: 1, Port: 5000}})
	check(t, err)
	began := time.Now()
	_, err = net.DialTimeout("tcp", listeners[0], 20*time.Second)
	if took := time.Since(began); !errors.Is(err, syscall.ECONNREFUSED) || took > 10*time.Second {
		t.Errorf("connect without an element: %v after %v", err, took)
	}
	t.Logf("refused after %v", time.Since(began))
}

func TestFlushedFirewallHeals(t *testing.T) {
	if !alone(t) {
		return
	}
	w := newWorld(t)
	m := newMap(t)
	one, two := w.container(t, "one"), w.container(t, "two")
	apps := map[string][]agent.Backend{"a": {one.backend(1)}, "b": {two.backend(1)}}
	check(t, m.Sync(t.Context(), apps))
	listeners, err := m.Listeners(t.Context(), "a", apps["a"])
	check(t, err)
	wantAnswer(t, listeners[0], "one 172.30.0.1")
	damage := map[string]func(){
		"nothing":        func() {},
		"ruleset flush":  func() { nft(t, "flush", "ruleset") },
		"a rule less":    func() { nft(t, "flush", "chain", "ip", m.Config.Table, "postrouting") },
		"a chain less":   func() { nft(t, "delete", "chain", "ip", m.Config.Table, "guard") },
		"a rule more":    func() { nft(t, "add", "rule", "ip", m.Config.Table, "guard", "accept") },
		"route gone":     func() { check(t, exec.Command("ip", "route", "del", m.Config.Subnet.String()).Run()) },
		"elements gone":  func() { nft(t, "flush", "map", "ip", m.Config.Table, mapName) },
		"another policy": func() { nft(t, "add", "chain", "ip", m.Config.Table, "guard", "{ policy drop ; }") },
	}
	for _, name := range sortedKeys(damage) {
		damage[name]()
		check(t, m.Ensure(t.Context()))
		check(t, m.Sync(t.Context(), apps))
		if got, err := ask(listeners[0]); got != "one 172.30.0.1" {
			t.Errorf("after %s: %q, %v", name, got, err)
		}
	}
	nft(t, "flush", "ruleset")
	check(t, m.Point(t.Context(), "a", []agent.Backend{two.backend(1)}, true))
	wantAnswer(t, listeners[0], "two 172.30.0.1")
	output, err := exec.Command("ip", "route", "show", "default").CombinedOutput()
	check(t, err)
	if len(output) > 0 {
		t.Error("this world was meant to have no default route")
	}
}

func TestFullMap(t *testing.T) {
	if !alone(t) {
		return
	}
	w := newWorld(t)
	m := newMap(t)
	real := w.container(t, "real")
	apps := make(map[string][]agent.Backend)
	for i := range 200 {
		app := fmt.Sprint("app", i)
		for n := 1; n <= 5; n++ {
			apps[app] = append(apps[app], real.backend(n))
		}
	}
	for _, what := range []string{"write", "write again", "heal"} {
		began := time.Now()
		check(t, m.Sync(t.Context(), apps))
		t.Logf("%s 1000 elements: %v", what, time.Since(began))
		if what == "write again" {
			nft(t, "flush", "chain", "ip", m.Config.Table, "output")
		}
	}
	listeners, err := m.Listeners(t.Context(), "app199", apps["app199"])
	check(t, err)
	wantAnswer(t, listeners[4], "real 172.30.0.1")
	check(t, m.Sync(t.Context(), nil))
	if _, err := ask(listeners[4]); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("after an empty Sync: %v", err)
	}
}

func TestTwoHostsAtOnce(t *testing.T) {
	if !alone(t) {
		return
	}
	w := newWorld(t)
	one, two := w.container(t, "one"), w.container(t, "two")
	here, there := newMap(t), newMap(t)
	there.Config.Subnet = here.Config.Subnet
	backends := []agent.Backend{one.backend(1)}
	check(t, here.Point(t.Context(), "app", backends, true))
	err := there.Point(t.Context(), "app", backends, true)
	if api.AsError(err) == nil || api.AsError(err).Code != api.Precondition || api.AsError(err).Hint == "" {
		t.Fatalf("the same subnet for two hosts: %v", err)
	}
	nft(t, "flush", "ruleset") // the route alone still tells whose it is
	if err := there.Ensure(t.Context()); err == nil {
		t.Fatal("the same subnet after a flush was accepted")
	}
	taken, err := Taken(there.Config.Table)
	check(t, err)
	there.Config = Derive(there.Places.Lib, append(taken, Derive(there.Places.Lib, nil).Subnet))
	check(t, here.Point(t.Context(), "app", backends, true))
	check(t, there.Point(t.Context(), "app", []agent.Backend{two.backend(1)}, true))
	for _, side := range []struct {
		of   *Map
		want string
	}{{here, "one 172.30.0.1"}, {there, "two 172.30.0.1"}} {
		listeners, err := side.of.Listeners(t.Context(), "app", backends)
		check(t, err)
		wantAnswer(t, listeners[0], side.want)
	}
	check(t, there.Remove(t.Context()))
	listeners, err := here.Listeners(t.Context(), "app", backends)
	check(t, err)
	wantAnswer(t, listeners[0], "one 172.30.0.1")
	again, err := Choose(here.Places.Lib)
	check(t, err)
	if again != here.Config {
		t.Errorf("a host that starts again beside its own leftovers chose %v, not %v", again, here.Config)
	}
}

func TestOverlapIsRefused(t *testing.T) {
	if !alone(t) {
		return
	}
	newWorld(t)
	m := newMap(t)
	inside := netip.PrefixFrom(nth(m.Config.Subnet, 256), 24)
	command := func(args ...string) func() {
		return func() {
			t.Helper()
			if output, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
				t.Fatalf("%v: %v\n%s", args, err, output)
			}
		}
	}
	rule := func(match string) func() {
		return func() {
			nft(t, "add", "table", "ip", "x")
			nft(t, "add", "chain", "ip", "x", "c", "{ type filter hook output priority 0 ; }")
			nft(t, strings.Fields("add rule ip x c "+match+" accept")...)
		}
	}
	for _, other := range []struct {
		name      string
		set, undo func()
		refused   bool
	}{
		{"a route", command("ip", "route", "add", inside.String(), "dev", bridge), command("ip", "route", "del", inside.String()), true},
		{"a route in another table", command("ip", "route", "add", inside.String(), "dev", bridge, "table", "77"),
			command("ip", "route", "del", inside.String(), "table", "77"), true},
		{"an address", command("ip", "addr", "add", inside.Addr().Next().String()+"/32", "dev", bridge),
			command("ip", "addr", "del", inside.Addr().Next().String()+"/32", "dev", bridge), true},
		{"a rule", rule("ip daddr " + inside.String()), func() { nft(t, "delete", "table", "ip", "x") }, true},
		{"a rule for two bytes", rule("ip daddr " + netip.PrefixFrom(inside.Addr(), 16).Masked().String()),
			func() { nft(t, "delete", "table", "ip", "x") }, true},
		{"a rule for another range", rule("ip daddr 10.0.0.0/8"), func() { nft(t, "delete", "table", "ip", "x") }, false},
		{"a default route", command("ip", "route", "add", "default", "via", "172.30.0.9"), command("ip", "route", "del", "default"), false},
	} {
		other.set()
		err := m.Ensure(t.Context())
		if got := err != nil && api.AsError(err).Code == api.Precondition; got != other.refused {
			t.Errorf("%s: %v", other.name, err)
		}
		if other.refused && strings.Contains(nft(t, "list", "tables"), m.Config.Table) {
			t.Errorf("%s: the table was made", other.name)
		}
		check(t, m.Remove(t.Context()))
		other.undo()
	}
}

func TestAvailable(t *testing.T) {
	if !alone(t) {
		return
	}
	newWorld(t)
	m := newMap(t)
	before := picture(t)
	began := time.Now()
	check(t, m.Available(t.Context()))
	t.Logf("tried in %v", time.Since(began))
	check(t, m.Ensure(t.Context()))
	check(t, m.Available(t.Context())) // beside the real table
	check(t, m.Remove(t.Context()))

	nft(t, "add", "table", "ip", "closed")
	nft(t, "add", "chain", "ip", "closed", "o", "{ type filter hook output priority 0 ; policy drop ; }")
	nft(t, "add", "rule", "ip", "closed", "o", "oifname", "lo", "accept")
	err := m.Available(t.Context())
	if err == nil || !strings.Contains(err.Error(), "output chain") {
		t.Errorf("with a closed output chain: %v", err)
	}
	t.Log(err)
	nft(t, "delete", "table", "ip", "closed")

	if diff := cmp.Diff(before, picture(t)); diff != "" {
		t.Errorf("trying left something behind:\n%s", diff)
	}
	m.Config.Device = "lo"
	t.Log(m.Available(t.Context()))
	m.Config.Device = "none0"
	if err := m.Available(t.Context()); err == nil {
		t.Error("a device that does not exist is accepted")
	}
}

// picture is everything Available could leave behind.
func picture(t *testing.T) string {
	t.Helper()
	links, err := netlink.LinkList()
	check(t, err)
	var names []string
	for _, link := range links {
		names = append(names, link.Attrs().Name)
	}
	return fmt.Sprint(names) + nft(t, "list", "ruleset") + routes(t)
}

func TestWithoutRights(t *testing.T) {
	const as = "DOKKU_PUSH_NFT_NOBODY"
	if os.Getenv(as) == "" {
		child := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
		child.Env = append(os.Environ(), as+"=1", "TMPDIR="+os.TempDir())
		child.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		dir := t.TempDir()
		check(t, os.Chmod(dir, 0o755))
		program, err := os.ReadFile(os.Args[0])
		check(t, err)
		child.Path, child.Dir = dir+"/test", "/"
		check(t, os.WriteFile(child.Path, program, 0o755))
		for parent := dir; len(parent) > len(os.TempDir()); parent = parent[:strings.LastIndex(parent, "/")] {
			check(t, os.Chmod(parent, 0o755))
		}
		output, err := child.CombinedOutput()
		t.Logf("%s", output)
		check(t, err)
		return
	}
	m := newMap(t)
	for name, err := range map[string]error{
		"available": m.Available(t.Context()), "ensure": m.Ensure(t.Context()),
		"point": m.Point(t.Context(), "app", []agent.Backend{{Index: 1, Address: "172.30.0.2", Port: 1}}, true),
	} {
		if err == nil || !strings.Contains(err.Error(), "needs root") {
			t.Errorf("%s as nobody: %v", name, err)
		}
	}
	if _, err := m.Drain(t.Context(), "172.30.0.2", 0); err == nil || !strings.Contains(err.Error(), "needs root") {
		t.Errorf("drain as nobody: %v", err)
	}
	if left, err := (&Reload{}).Drain(t.Context(), "172.30.0.2", 0); err != nil || left != 0 {
		t.Errorf("drain of the reload adapter as nobody: %d, %v", left, err)
	}
}
