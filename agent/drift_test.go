package agent

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dokku-push/dokku-push/api"
)

// asReleased is an app that runs as v3 of it says: two web containers and a worker.
func asReleased() observed {
	settings := Settings{Env: map[string]string{"COLOUR": "s3cret-blue", "PLAIN": "1"}, Scale: map[string]int{"web": 2, "worker": 1}, Properties: map[string]string{}}
	record := &Record{Release: api.Release{Version: 3, Run: "sha256:run", Formation: map[string]int{"web": 2, "worker": 1}}, Settings: settings.clone()}
	o := observed{app: "shop", host: "here", record: record, settings: settings.clone(), global: map[string]string{"GLOBAL": "s3cret-global"},
		images: map[string]Image{"sha256:run": {Env: []string{"PATH=/bin", "LANG=C"}}}, latest: "sha256:run",
		conf: []byte("site"), loaded: []byte("site"), fresh: [][]byte{[]byte("site")}, mapped: true}
	for n, label := range []string{"web.1", "web.2", "worker.1"} {
		process, index, _ := strings.Cut(label, ".")
		address := fmt.Sprintf("172.17.0.%d", n+2)
		o.containers = append(o.containers, Container{ID: label, Name: "shop." + label, Image: "sha256:run", Running: true, Status: "running", Address: address,
			Network: "default", Networks: []string{"bridge"},
			Labels: map[string]string{labelApp: "shop", labelType: "deploy", labelHost: "here", labelDyno: label, labelProcess: process, labelRequest: "r3"},
			Env:    []string{"COLOUR=s3cret-blue", "PLAIN=1", "GLOBAL=s3cret-global", "DYNO=" + label, "PORT=5000", "PATH=/bin", "LANG=C"}})
		if process == "web" {
			o.pointed = append(o.pointed, Backend{Index: int(index[0] - '0'), Address: address, Port: 5000})
		}
	}
	return o
}

// one adds a container like web.1, changed.
func (o *observed) one(change func(c *Container)) {
	c := o.containers[0]
	labels := map[string]string{}
	for key, value := range c.Labels {
		labels[key] = value
	}
	c.ID, c.Labels = fmt.Sprintf("new%d", len(o.containers)), labels
	change(&c)
	o.containers = append(o.containers, c)
}

func TestDriftNone(t *testing.T) {
	if found := asReleased().drift(); len(found) != 0 {
		t.Errorf("an app that runs as it was released: %+v", found)
	}
	never := observed{app: "shop", host: "here"}
	if found := never.drift(); len(found) != 0 {
		t.Errorf("an app that was never deployed: %+v", found)
	}
}

func TestDrift(t *testing.T) {
	const web1 = 0
	told := map[string]bool{api.DriftLeftover: true} // TestDriftCodes has that one
	for name, test := range map[string]struct {
		change func(o *observed)
		want   []string // code and subject
		names  []string
	}{
		"set since":           {func(o *observed) { o.settings.Env["NEW"] = "s3cret-new" }, []string{"D001 web.1", "D001 web.2", "D001 worker.1"}, []string{"NEW"}},
		"changed since":       {func(o *observed) { o.settings.Env["COLOUR"] = "s3cret-red" }, []string{"D002 web.1", "D002 web.2", "D002 worker.1"}, []string{"COLOUR"}},
		"unset since":         {func(o *observed) { delete(o.settings.Env, "COLOUR") }, []string{"D003 web.1", "D003 web.2", "D003 worker.1"}, []string{"COLOUR"}},
		"unset, with plugins": {func(o *observed) { o.foreign = true; delete(o.settings.Env, "COLOUR") }, []string{"D003 web.1", "D003 web.2", "D003 worker.1"}, []string{"COLOUR"}},
		"unset for all":       {func(o *observed) { o.global = nil }, []string{"D003 web.1", "D003 web.2", "D003 worker.1"}, []string{"GLOBAL"}},
		"a plugin's variable": {func(o *observed) {
			o.foreign = true
			o.containers[web1].Env = append(o.containers[web1].Env, "REDIS=x")
		}, nil, nil},
		"another image": {func(o *observed) {
			o.containers[web1].Image = "sha256:other"
			o.images["sha256:other"] = o.images["sha256:run"]
		}, []string{"D004 web.1"}, nil},
		"missing":               {func(o *observed) { o.containers = o.containers[:2] }, []string{"D005 worker.1"}, nil},
		"stopped":               {func(o *observed) { c := &o.containers[2]; c.Running, c.Status, c.Address = false, "exited", "" }, []string{"D006 worker.1"}, nil},
		"stopped by ps:stop":    {func(o *observed) { o.settings.Properties["ps/restore"] = "false"; o.containers, o.pointed = nil, nil }, nil, nil},
		"running after ps:stop": {func(o *observed) { o.settings.Properties["ps/restore"] = "false" }, []string{"D007 web.1", "D007 web.2", "D007 worker.1"}, nil},
		"one more": {func(o *observed) {
			o.one(func(c *Container) { c.Name, c.Labels[labelDyno] = "shop.web.3", "web.3" })
		}, []string{"D008 shop.web.3"}, nil},
		"left by a failed deploy": {func(o *observed) { o.one(func(c *Container) { c.Name = "shop.web.1.upcoming-0123456789" }) }, []string{"D009 shop.web.1.upcoming-0123456789"}, nil},
		"left by a former deploy": {func(o *observed) { o.one(func(c *Container) { c.Name = "shop.web.1.1763719000" }) }, []string{"D009 shop.web.1.1763719000"}, nil},
		"being retired": {func(o *observed) {
			o.work.retiring = true
			o.one(func(c *Container) { c.Name = "shop.web.1.1763719000" })
		}, nil, nil},
		"a script's container": {func(o *observed) {
			o.one(func(c *Container) { c.Name, c.Labels[labelType] = "shop.predeploy.1", "phase" })
		}, []string{"D009 shop.predeploy.1"}, nil},
		"somebody's command": {func(o *observed) { o.one(func(c *Container) { c.Name, c.Labels[labelType] = "shop.run.1", "run" }) }, nil, nil},
		"nobody's":           {func(o *observed) { o.one(func(c *Container) { c.Name, c.Labels[labelHost] = "stray", "" }) }, []string{"D010 stray"}, nil},
		"a copy":             {func(o *observed) { o.one(func(c *Container) { c.Name = "stray" }) }, []string{"D010 stray"}, nil},
		"scaled without a deploy": {func(o *observed) { o.settings.Scale["web"] = 5; o.settings.Scale["clock"] = 1 },
			[]string{"D011 clock", "D011 web"}, nil},
		"off its network":    {func(o *observed) { o.containers[web1].Networks = []string{} }, []string{"D012 web.1"}, []string{"bridge"}},
		"on another network": {func(o *observed) { o.containers[web1].Networks = []string{"bridge", "mine"} }, []string{"D013 web.1"}, []string{"mine"}},
		"on a declared one": {func(o *observed) {
			o.networks = []string{"mine"}
			o.containers[web1].Networks = []string{"bridge", "mine"}
		}, nil, nil},
		"another's network":     {func(o *observed) { o.containers[web1].Network, o.containers[web1].Networks = "container:abc", nil }, nil, nil},
		"nginx edited":          {func(o *observed) { o.conf = []byte("site # by hand") }, []string{"D014 nginx.conf"}, nil},
		"edited and reloaded":   {func(o *observed) { o.conf = []byte("by hand"); o.loaded = o.conf }, []string{"D014 nginx.conf"}, nil},
		"edited by plugins":     {func(o *observed) { o.conf = []byte("by hand"); o.loaded, o.fresh = o.conf, nil }, nil, nil},
		"nginx file removed":    {func(o *observed) { o.conf = nil }, []string{"D015 nginx.conf"}, nil},
		"the proxy is disabled": {func(o *observed) { o.conf = nil; o.settings.Properties["proxy/disabled"] = "true" }, nil, nil},
		"nothing in the map":    {func(o *observed) { o.pointed = o.pointed[1:] }, []string{"D016 web.1"}, nil},
		"the map elsewhere":     {func(o *observed) { o.pointed[1].Address = "172.17.0.99" }, []string{"D017 web.2"}, nil},
		"no map":                {func(o *observed) { o.mapped, o.pointed = false, nil }, nil, nil},
		"the image removed":     {func(o *observed) { o.gone, o.latest = true, "" }, []string{"D018 sha256:run"}, nil},
		"the tag moved":         {func(o *observed) { o.latest = "sha256:other" }, []string{"D019 dokku/shop:latest"}, nil},
		"the tag removed":       {func(o *observed) { o.latest = "" }, []string{"D019 dokku/shop:latest"}, nil},
		"cut off":               {func(o *observed) { o.work.unfinished = "r4" }, []string{"D020 r4"}, nil},
		"cut off at first":      {func(o *observed) { *o = observed{app: "shop", host: "here", work: work{unfinished: "r1"}} }, []string{"D020 r1"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			o := asReleased()
			test.change(&o)
			found := o.drift()
			var got []string
			for _, f := range found {
				told[f.Code] = true
				got = append(got, f.Code+" "+f.Subject)
				if f.Severity != api.SeverityOf(f.Code) || f.Found == "" || f.Expected == "" || f.Hint == "" {
					t.Errorf("a finding is not complete: %+v", f)
				}
				if test.names != nil && !slices.Equal(f.Names, test.names) {
					t.Errorf("it names %v, want %v", f.Names, test.names)
				}
			}
			slices.Sort(got)
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			if text, err := json.Marshal(found); err != nil || strings.Contains(string(text), "s3cret") {
				t.Errorf("a value is told: %s, %v", text, err)
			}
		})
	}
	for _, row := range api.DriftCodes() {
		if !told[row.Code] {
			t.Errorf("no case is told %s: %s", row.Code, row.Meaning)
		}
	}
}

// TestDriftCodes: what is left of a removed app has the one code that no case above is told,
// and no two codes are the same.
func TestDriftCodes(t *testing.T) {
	found := leftoverDrift([]Leftover{{"old", "file", "/x"}, {"old", "container", "old.web.1"}, {"old", "image", "dokku/old:v1"}})
	for _, f := range found {
		if f.Code != api.DriftLeftover || f.Hint == "" {
			t.Errorf("a leftover: %+v", f)
		}
	}
	seen := map[string]bool{}
	for _, row := range api.DriftCodes() {
		if seen[row.Code] || row.Meaning == "" {
			t.Errorf("the row %+v", row)
		}
		seen[row.Code] = true
	}
}

// heldLedger is a ledger whose lock somebody holds.
type heldLedger struct {
	Ledger
	holder *api.Lock
}

func (l heldLedger) Holder(string) (*api.Lock, error) { return l.holder, nil }

func (heldLedger) ReadJournal(string, string, int) ([]Entry, error) { return nil, nil }

// TestDriftWhileDeploying: there is nothing to compare with, and nobody is told that
// something differs.
func TestDriftWhileDeploying(t *testing.T) {
	host := &Host{Settings: someApps{list: []string{"shop"}}, Ledger: heldLedger{holder: &api.Lock{Key: "ci", Request: "request-1"}}}
	_, err := host.Drift(t.Context(), "shop")
	if problem := api.AsError(err); problem == nil || problem.Code != api.Locked || !strings.Contains(problem.Message, "request-1") {
		t.Errorf("drift during a deploy: %v", err)
	}
	if nobody, err := (&Host{Ledger: heldLedger{holder: &api.Lock{Key: "watch"}}}).quiet("shop"); err != nil || nobody {
		t.Errorf("the watch holds the lock for a moment: %v, %v", nobody, err)
	}
}
