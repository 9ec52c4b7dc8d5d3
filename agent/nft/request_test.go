package nft

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/api"
)

func TestServeRefuses(t *testing.T) {
	if !alone(t) {
		return
	}
	newWorld(t)
	m := newMap(t)
	m.Config.Subnet = netip.MustParsePrefix("198.18.4.0/22")
	point := func(from, to string) string {
		return fmt.Sprintf(`{"verb":"point","elements":[{"from":%q,"to":%q}]}`, from, to)
	}
	const ours, theirs = "198.18.4.1:5000", "172.30.0.2:5000"
	before := nft(t, "list", "ruleset")
	for name, request := range map[string]string{
		"nothing":              ``,
		"no object":            `[]`,
		"an unknown verb":      `{"verb":"exec"}`,
		"no verb":              `{}`,
		"an unknown field":     `{"verb":"sync","table":"filter"}`,
		"two requests":         `{"verb":"ensure"}{"verb":"remove"}`,
		"an argument too many": `{"verb":"ensure","elements":[{"from":"198.18.4.1:5000","to":"172.30.0.2:5000"}]}`,
		"another subnet":       point("198.18.8.1:5000", theirs),
		"a real address":       point("10.0.0.1:5000", theirs),
		"the first address":    point("198.18.4.0:5000", theirs),
		"the spare address":    point("198.18.7.255:5000", theirs),
		"port 0":               point("198.18.4.1:0", theirs),
		"port 65536":           point("198.18.4.1:65536", theirs),
		"target port 0":        point(ours, "172.30.0.2:0"),
		"loopback":             point(ours, "127.0.0.1:5000"),
		"the host":             point(ours, "172.30.0.1:5000"),
		"multicast":            point(ours, "224.0.0.1:5000"),
		"broadcast":            point(ours, "255.255.255.255:5000"),
		"unspecified":          point(ours, "0.0.0.0:5000"),
		"link-local":           point(ours, "169.254.169.254:80"),
		"a loop":               point(ours, "198.18.4.2:5000"),
		"another host's map":   point(ours, "198.19.0.1:5000"),
		"IPv6":                 point(ours, "[fd00::1]:5000"),
		"IPv6 in disguise":     point(ours, "[::ffff:172.30.0.2]:5000"),
		"a name":               point(ours, "example.com:5000"),
		"a read of something":  `{"verb":"read","owned":["198.18.4.1"]}`,
		"an element twice": `{"verb":"sync","elements":[{"from":"198.18.4.1:5000","to":"172.30.0.2:5000"},` +
			`{"from":"198.18.4.1:5000","to":"172.30.0.3:5000"}]}`,
		"owned by others":   `{"verb":"point","owned":["198.18.8.1"]}`,
		"owned with sync":   `{"verb":"sync","owned":["198.18.4.1"]}`,
		"drain of loopback": `{"verb":"drain","address":"127.0.0.1"}`,
		"drain of nothing":  `{"verb":"drain"}`,
		"drain for ever":    `{"verb":"drain","address":"172.30.0.2","most_ms":99999999}`,
		"drain backwards":   `{"verb":"drain","address":"172.30.0.2","most_ms":-1}`,
	} {
		if answer := serve(t, m.Config, request); answer.Error == nil || answer.Error.Code != api.Refused {
			t.Errorf("%s: %s was answered %+v", name, request, answer)
		}
	}
	if diff := cmp.Diff(before, nft(t, "list", "ruleset")); diff != "" {
		t.Errorf("a refused request changed something:\n%s", diff)
	}
	if answer := serve(t, m.Config, point(ours, theirs)); answer.Error != nil {
		t.Errorf("a good request: %v", answer.Error)
	}
	if answer := serve(t, agent.MapConfig{Table: "filter", Subnet: m.Config.Subnet, Device: bridge}, `{"verb":"remove"}`); answer.Error == nil {
		t.Error("a configuration that names another's table was accepted")
	}
}

func TestValidate(t *testing.T) {
	good := agent.MapConfig{Table: "dokku", Subnet: netip.MustParsePrefix("198.18.0.0/22"), Device: "docker0"}
	check(t, Validate(good))
	for name, change := range map[string]func(*agent.MapConfig){
		"no table":            func(c *agent.MapConfig) { c.Table = "" },
		"Docker's table":      func(c *agent.MapConfig) { c.Table = "nat" },
		"quoting":             func(c *agent.MapConfig) { c.Table = "dokku; flush ruleset" },
		"a long name":         func(c *agent.MapConfig) { c.Table = "dokku" + strings.Repeat("x", 99) },
		"no subnet":           func(c *agent.MapConfig) { c.Subnet = netip.Prefix{} },
		"everything":          func(c *agent.MapConfig) { c.Subnet = netip.MustParsePrefix("0.0.0.0/0") },
		"a private network":   func(c *agent.MapConfig) { c.Subnet = netip.MustParsePrefix("172.17.0.0/16") },
		"wider than reserved": func(c *agent.MapConfig) { c.Subnet = netip.MustParsePrefix("198.16.0.0/14") },
		"host bits":           func(c *agent.MapConfig) { c.Subnet = netip.MustParsePrefix("198.18.0.1/22") },
		"too small":           func(c *agent.MapConfig) { c.Subnet = netip.MustParsePrefix("198.18.0.0/30") },
		"IPv6":                func(c *agent.MapConfig) { c.Subnet = netip.MustParsePrefix("fd00::/64") },
		"no device":           func(c *agent.MapConfig) { c.Device = "" },
		"a path":              func(c *agent.MapConfig) { c.Device = "../docker0" },
	} {
		bad := good
		change(&bad)
		if err := Validate(bad); err == nil || api.AsError(err).Code != api.Configuration {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestDerive(t *testing.T) {
	one, again, two := Derive("/srv/one", nil), Derive("/srv/one/", nil), Derive("/srv/two", nil)
	if one != again || one == two || one.Table == two.Table {
		t.Errorf("derived %v, %v, %v", one, again, two)
	}
	var taken []netip.Prefix
	for range 128 {
		next := Derive("/srv/one", taken)
		check(t, Validate(next))
		if overlapsAny(next.Subnet, taken) {
			t.Fatalf("%s is taken", next.Subnet)
		}
		taken = append(taken, next.Subnet)
	}
	if err := Validate(Derive("/srv/one", taken)); err == nil {
		t.Error("a full range gave a subnet")
	}
}

func TestBook(t *testing.T) {
	dir := t.TempDir()
	b := book{path: filepath.Join(dir, "data", "addresses.json"), subnet: netip.MustParsePrefix("198.18.0.0/28")}
	allot := func(app string, indexes ...int) map[int]netip.Addr {
		t.Helper()
		given, _, err := b.allot(map[string][]int{app: indexes})
		check(t, err)
		return given[app]
	}
	a := allot("a", 1, 2, 3)
	allot("b", 1)
	if diff := cmp.Diff(fmt.Sprint(a), fmt.Sprint(allot("a", 1, 2, 3))); diff != "" {
		t.Errorf("addresses changed:\n%s", diff)
	}
	check(t, b.forget("a"))
	if fresh := allot("c", 1)[1]; fresh == a[1] {
		t.Error("an address was given away again at once")
	}
	seen := map[netip.Addr]string{}
	for i := range 12 {
		app := fmt.Sprint("d", i)
		address := allot(app, 1)[1]
		if !assignable(b.subnet, address) || seen[address] != "" {
			t.Errorf("%s got %s, which %q has", app, address, seen[address])
		}
		seen[address] = app
	}
	if _, _, err := b.allot(map[string][]int{"e": {1}}); err == nil || api.AsError(err).Hint == "" {
		t.Errorf("a full subnet: %v", err)
	}
	check(t, b.forget("d5"))
	allot("e", 1)
	check(t, os.WriteFile(b.path, []byte("{"), 0o600))
	if _, _, err := b.allot(map[string][]int{"a": {1}}); err == nil {
		t.Error("a damaged file was taken for an empty one")
	}
}

func FuzzServe(f *testing.F) {
	f.Add([]byte(`{"verb":"point","elements":[{"from":"198.18.4.1:5000","to":"172.30.0.2:5000"}],"owned":["198.18.4.1"]}`))
	f.Add([]byte(`{"verb":"drain","address":"172.30.0.2","most_ms":10}`))
	f.Add([]byte(`{"verb":"sync","elements":[{"from":"198.18.4.1:0","to":"127.0.0.1:5000"}]}`))
	config := agent.MapConfig{Table: "dokku", Subnet: netip.MustParsePrefix("198.18.4.0/22"), Device: bridge}
	f.Fuzz(func(t *testing.T, data []byte) {
		request, err := readRequest(bytes.NewReader(data))
		if err != nil || request.check(config, nil) != nil {
			return
		}
		for _, element := range request.Elements {
			if !assignable(config.Subnet, element.From.Addr()) || element.From.Port() == 0 || element.To.Port() == 0 ||
				reserved().Contains(element.To.Addr()) || element.To.Addr().IsLoopback() || !element.To.Addr().Is4() {
				t.Errorf("%s was accepted", data)
			}
		}
		text, err := json.Marshal(request)
		check(t, err)
		again, err := readRequest(bytes.NewReader(text))
		check(t, err)
		if one, two := fmt.Sprintf("%+v", request), fmt.Sprintf("%+v", again); one != two {
			t.Errorf("%s came back as %s", one, two)
		}
	})
}
