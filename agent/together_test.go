package agent_test

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dokku-push/dokku-push/agent"
)

// counted notes how many containers of each process type are started at once.
type counted struct {
	agent.Containers
	mu        sync.Mutex
	now, most map[string]int
	all       int // that were started at once, of all types together
	expected  int // how many to wait for before the first of them is done
}

func (c *counted) Start(ctx context.Context, ref string) error {
	one, err := c.Containers.Inspect(ctx, ref)
	if err != nil {
		return err
	}
	process := one.Labels["com.dokku.process-type"]
	count := func(more int) (total int) {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.now[process] += more
		c.most[process] = max(c.most[process], c.now[process])
		for _, n := range c.now {
			total += n
		}
		c.all = max(c.all, total)
		return c.all
	}
	// Everybody waits for as many as may come: who would start them one after the other
	// waits in vain.
	for n := count(+1); n < c.expected; time.Sleep(time.Millisecond) {
		if n = count(0); ctx.Err() != nil {
			break
		}
	}
	defer count(-1)
	return c.Containers.Start(ctx, ref)
}

// TestStartedTogether: the containers of all process types are started at once, as many
// of a type as its max_parallel allows; dokku.hcl's word counts more than app.json's.
func TestStartedTogether(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		formation  string
		properties map[string]string
		want       map[string]int
	}{
		"all":           {`"web":{"quantity":4},"worker":{"quantity":2}`, nil, map[string]int{"web": 4, "worker": 2}},
		"as app.json":   {`"web":{"quantity":4,"max_parallel":2},"worker":{"quantity":2}`, nil, map[string]int{"web": 2, "worker": 2}},
		"without limit": {`"web":{"quantity":4,"max_parallel":-1},"worker":{"quantity":2}`, nil, map[string]int{"web": 4, "worker": 2}},
		"as dokku.hcl":  {`"web":{"quantity":4,"max_parallel":2},"worker":{"quantity":2}`, map[string]string{"ps/web.max-parallel": "3", "ps/worker.max-parallel": "1"}, map[string]int{"web": 3, "worker": 1}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := created(t)
			_, _, err := w.process(0).Change(app, func(now *agent.Settings) error {
				maps.Copy(now.Properties, test.properties)
				return nil
			})
			must(t, err)
			change := deploy(w, 1)
			change.Document.AppJSON = `{"formation":{` + test.formation + `}}`
			expected := 0
			for _, n := range test.want {
				expected += n
			}
			var c *counted
			w.process(0).run(func(h *agent.Host) {
				c = &counted{Containers: h.Containers, now: map[string]int{}, most: map[string]int{}, expected: expected}
				h.Containers = c
				ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
				defer cancel()
				if verdict, err := h.Apply(ctx, change); err != nil || !verdict.OK || verdict.Error != nil {
					t.Errorf("%+v, %v", verdict, err)
				}
			})
			if diff := cmp.Diff(test.want, c.most); diff != "" || c.all != expected {
				t.Errorf("%d at once, want %d; of each process type:\n%s", c.all, expected, diff)
			}
		})
	}
}

// running are the ids of the app's containers, by name.
func (w *world) running() map[string]string {
	found := map[string]string{}
	for id, c := range w.containers {
		if c.Running {
			found[c.Name] = id
		}
	}
	return found
}

// TestScaleKeeps: scaling starts what is missing and stops what is too much; everything
// else goes on running, and no script or task runs.
func TestScaleKeeps(t *testing.T) {
	t.Parallel()
	w := deployed(t) // web=1 worker=1
	w.exits["migrate 1"], w.exits["prepare 1"] = 1, 1
	scale := func(to map[string]int) map[string]string {
		t.Helper()
		history(t, w, agent.Change{Kind: agent.Scale, Scale: to})
		return w.running()
	}
	first := w.running()
	up := scale(map[string]int{"web": 3})
	down := scale(map[string]int{"web": 2, "worker": 0})
	again := scale(map[string]int{"web": 1, "worker": 2})
	names := func(of map[string]string) string { return strings.Join(slices.Sorted(maps.Keys(of)), " ") }
	for n, test := range []struct {
		now  map[string]string
		want string
	}{{up, "shop.web.1 shop.web.2 shop.web.3 shop.worker.1"}, {down, "shop.web.1 shop.web.2"}, {again, "shop.web.1 shop.worker.1 shop.worker.2"}} {
		if got := names(test.now); got != test.want {
			t.Errorf("scale %d: %s run, want %s", n, got, test.want)
		}
	}
	if up["shop.web.1"] != first["shop.web.1"] || up["shop.worker.1"] != first["shop.worker.1"] || down["shop.web.2"] != up["shop.web.2"] || again["shop.web.1"] != first["shop.web.1"] {
		t.Errorf("what should stay was replaced: %v", []map[string]string{first, up, down, again})
	}
	if again["shop.worker.1"] == first["shop.worker.1"] {
		t.Error("what was scaled away came back")
	}
	history(t, w, agent.Change{Kind: agent.Scale, Scale: map[string]int{"web": 1, "worker": 2}, Request: "request-same"})
	if diff := cmp.Diff(again, w.running()); diff != "" {
		t.Errorf("the same scale once more:\n%s", diff)
	}
}

// asked keeps what there was to check.
type asked struct {
	mu     sync.Mutex
	probes map[string]agent.Probe
}

func (a *asked) Check(_ context.Context, probe agent.Probe, _ func(string)) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.probes[fmt.Sprintf("%s.%d", probe.Process, probe.Index)] = probe
	return nil
}

// TestProbes: what is checked of which process: by what app.json says of it, by CHECKS,
// by its port or by its uptime, and what checks:skip, disable and set make of it.
func TestProbes(t *testing.T) {
	t.Parallel()
	const two = `{"healthchecks":{"web":[{"type":"startup","name":"up","path":"/up"},{"name":"too","path":"/too"},{"type":"readiness","path":"/r"},{"type":"liveness","path":"/l"}],` +
		`"worker":[{"type":"liveness","uptime":3}]},"formation":{"web":{"quantity":1},"worker":{"quantity":1}}}`
	for name, test := range map[string]struct {
		appJSON, checks string
		properties      map[string]string
		global          map[string]string
		tls             bool
		web, worker     string // the names of the checks, port, wait, host, TLS
	}{
		"nothing said":        {"", "", nil, nil, false, "[] 5001 10s shop.example.com", "[] 0 10s shop.example.com"},
		"app.json":            {two, "", nil, nil, false, "[up too] 5001 10s shop.example.com", "[] 0 10s shop.example.com"},
		"with a certificate":  {two, "", nil, nil, true, "[up too] 5001 10s shop.example.com https", "[] 0 10s shop.example.com https"},
		"CHECKS":              {"", "ATTEMPTS=2\n/check well\n", nil, nil, false, "[GET /check] 5001 10s shop.example.com", "[] 0 10s shop.example.com"},
		"app.json and CHECKS": {two, "/check well\n", nil, nil, false, "[up too] 5001 10s shop.example.com", "[] 0 10s shop.example.com"},
		"skipped":             {two, "", map[string]string{"checks/skipped": "web"}, nil, false, "[] 0 300ms shop.example.com", "[] 0 10s shop.example.com"},
		"disabled":            {two, "", map[string]string{"checks/disabled": "_all_"}, nil, false, "[] 0 300ms shop.example.com", "[] 0 300ms shop.example.com"},
		"default wait":        {two, "", map[string]string{"checks/default-wait": "3"}, nil, false, "[up too] 5001 3s shop.example.com", "[] 0 3s shop.example.com"},
		"default wait of all": {two, "", nil, map[string]string{"checks/default-wait": "4"}, false, "[up too] 5001 4s shop.example.com", "[] 0 4s shop.example.com"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := created(t)
			w.set(t, app, test.properties)
			w.set(t, "--global", test.global)
			if test.tls {
				certified(t, w)
			}
			change := deploy(w, 1)
			change.Document.AppJSON, change.Document.Checks = test.appJSON, test.checks
			if test.appJSON == "" {
				change.Document.AppJSON = `{"formation":{"web":{"quantity":1},"worker":{"quantity":1}}}`
			}
			seen := &asked{probes: map[string]agent.Probe{}}
			w.process(0).run(func(h *agent.Host) {
				h.Checker = seen
				if verdict, err := h.Apply(context.Background(), change); err != nil || !verdict.OK || verdict.Error != nil {
					t.Errorf("%+v, %v", verdict, err)
				}
			})
			for label, want := range map[string]string{"web.1": test.web, "worker.1": test.worker} {
				probe := seen.probes[label]
				names := []string{}
				for _, check := range probe.Checks {
					if check.Name == "" {
						check.Name = "GET " + check.Path
					}
					names = append(names, check.Name)
				}
				got := fmt.Sprintf("%v %d %s %s", names, probe.Port, probe.Wait, probe.Host)
				if probe.TLS {
					got += " https"
				}
				if got != want {
					t.Errorf("%s is checked by %s, want %s", label, got, want)
				}
			}
		})
	}
}

// certified gives the app a certificate, as far as files go.
func certified(t *testing.T, w *world) {
	t.Helper()
	dir := w.places().TLS(app)
	must(t, os.MkdirAll(dir, 0o755))
	for _, name := range []string{"server.crt", "server.key"} {
		must(t, os.WriteFile(filepath.Join(dir, name), nil, 0o600))
	}
}
