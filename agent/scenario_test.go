package agent_test

import (
	"context"
	"flag"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/api"
)

var (
	soak     = flag.Duration("soak", 0, "how long the random scenario goes on; 0: some hundred steps")
	soakSeed = flag.Uint64("soakseed", 0, "seed of the random scenario; 0: another one each time")
)

// TestScenario does whatever may be done to several apps of one host, in any order,
// two at once now and then, most of it broken at some act; after each step, and the
// recovery from it, every app is one release, whole, or nothing at all.
func TestScenario(t *testing.T) {
	t.Parallel()
	seed := *soakSeed
	if seed == 0 {
		seed = rand.Uint64()
	}
	s := &story{T: t, r: rand.New(rand.NewPCG(seed, 0)), world: base(0)(t), done: map[string]int{}}
	begun := time.Now()
	for step := 1; ; step++ {
		if *soak == 0 && step > 100 || *soak > 0 && time.Since(begun) > *soak {
			break
		}
		s.step()
		if problems := s.problems(); len(problems) > 0 {
			t.Fatalf("-soakseed %d, step %d:\n%s\nafter %s", seed, step, strings.Join(problems, "\n"), strings.Join(s.told, "\n"))
		}
	}
	t.Logf("-soakseed %d: %v in %s", seed, s.done, time.Since(begun).Round(time.Millisecond))
	for _, what := range []string{"deploy done", "deploy broken", "destroy done", "rollback done", "scale done"} {
		if s.done[what] == 0 {
			t.Errorf("-soakseed %d: nothing was %q: this tests too little", seed, what)
		}
	}
}

// story is a random scenario that goes on.
type story struct {
	*testing.T
	r     *rand.Rand
	world *world
	count int

	mu   sync.Mutex
	done map[string]int
	told []string // of the last step
}

func storyApps() []string { return []string{"blog", "shop", "wiki"} }

// step does something to one app, or to two at once, and recovers.
func (s *story) step() {
	s.told = nil
	apps := storyApps()
	s.r.Shuffle(len(apps), func(a, b int) { apps[a], apps[b] = apps[b], apps[a] })
	acts := []func(){s.one(apps[0])}
	if s.r.IntN(3) == 0 {
		acts = append(acts, s.one(apps[1]))
	}
	var wait sync.WaitGroup
	for _, act := range acts {
		wait.Go(act)
	}
	wait.Wait()
	for _, app := range storyApps() {
		if s.r.IntN(2) == 0 {
			p := s.world.process(1 + s.r.IntN(15))
			p.run(func(h *agent.Host) { _ = h.Recover(context.Background(), app) })
		}
		s.world.process(0).run(func(h *agent.Host) {
			if err := h.Recover(context.Background(), app); err != nil {
				s.Errorf("recover %s: %v", app, err)
			}
		})
	}
}

// one chooses what is done to an app, and how it is broken.
func (s *story) one(app string) func() {
	s.count++
	c := agent.Change{App: app, Request: fmt.Sprintf("request-%d", s.count), By: agent.Caller{Name: "alice"}, Kind: s.choose(app)}
	switch c.Kind {
	case agent.Deploy:
		c.Document = document(s.world, s.count)
		ref := c.Document.Image.Registry + "@" + c.Document.Image.Manifest
		image := s.world.remote[ref]
		image.Exposed = []string{fmt.Sprintf("%d/tcp", 5000+s.count%100)}
		s.world.remote[ref] = image
		c.Document.AppJSON = fmt.Sprintf(`{"formation":{"web":{"quantity":%d},"worker":{"quantity":%d}}}`, 1+s.r.IntN(3), s.r.IntN(2))
	case agent.Scale:
		c.Scale = map[string]int{"web": s.r.IntN(4), "worker": s.r.IntN(3)}
	}
	p := s.world.process(0)
	ctx, cancel := context.WithCancel(context.Background())
	broken := s.r.IntN(2) == 0
	if broken {
		modes := []mode{killedBefore, killedAfter, fails, lost, hangs, diskFull}
		p.fault = fault{at: 1 + s.r.IntN([]int{25, 120}[s.r.IntN(2)]), how: modes[s.r.IntN(len(modes))], cancel: func() {
			cancel()
			s.world.process(0).run(func(h *agent.Host) { _ = h.Cancel(app, c.Request) })
		}}
	}
	return func() {
		defer cancel()
		outcome := "broken"
		p.run(func(h *agent.Host) {
			verdict, err := s.carryOut(ctx, h, c)
			if err == nil && verdict.OK {
				outcome = "done"
			} else if !broken && c.Kind == agent.Deploy {
				s.Errorf("nothing was broken, and %s of %s gives %+v, %v", c.Request, app, verdict, err)
			}
		})
		s.mu.Lock()
		defer s.mu.Unlock()
		s.done[string(c.Kind)+" "+outcome]++
		s.told = append(s.told, fmt.Sprintf("%s of %s (%s), %+v: %s", c.Kind, app, c.Request, p.fault.how, outcome))
	}
}

const (
	doDestroy agent.Kind = "destroy"
	doCreate  agent.Kind = "create"
)

func (s *story) choose(app string) agent.Kind {
	store := s.world.process(0).Store
	current, _ := store.Current(app)
	switch {
	case !store.Has(app) && s.r.IntN(4) == 0:
		return doCreate
	case current == 0:
		return agent.Deploy
	}
	kinds := []agent.Kind{agent.Deploy, agent.Deploy, agent.Deploy, agent.Scale, agent.Scale, agent.Config, agent.Rollback, agent.Rollback, agent.Restart, doDestroy}
	return kinds[s.r.IntN(len(kinds))]
}

func (s *story) carryOut(ctx context.Context, h *agent.Host, c agent.Change) (api.Verdict, error) {
	var err error
	switch c.Kind {
	case doDestroy:
		err = h.Destroy(ctx, c.App, c.By)
	case doCreate:
		err = h.Create(ctx, c.App)
	case agent.Config:
		_, _, err = h.Settings.Change(c.App, func(now *agent.Settings) error {
			now.Env["CHANGED_BY"] = c.Request
			return nil
		})
		if err == nil {
			return h.Apply(context.Background(), c)
		}
	default:
		return h.Apply(context.Background(), c)
	}
	return api.Verdict{OK: err == nil}, err
}

// problems looks at everything there is.
func (s *story) problems() (problems []string) {
	wrong := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	if s.Failed() {
		wrong("see above")
	}
	store := s.world.process(0).Store
	for _, app := range storyApps() {
		if !store.Has(app) {
			for _, left := range s.traces(app) {
				wrong("%s does not exist, and there is %s", app, left)
			}
			continue
		}
		current, err := store.Current(app)
		if err != nil {
			wrong("%s: %v", app, err)
		}
		var record agent.Record
		if current > 0 {
			if record, err = store.Release(app, current); err != nil {
				wrong("%s: %v", app, err)
			}
		}
		s.running(app, record, wrong)
		s.requests(app, store.ReadJournal, wrong)
	}
	if left := leftBehind(s.T, s.world); left != "" {
		wrong("left behind: %s", left)
	}
	serving := map[string]string{}
	for app, points := range s.world.points {
		for _, backend := range points {
			if other := serving[backend.Address]; other != "" {
				wrong("%s and %s are served by one container", app, other)
			}
			serving[backend.Address] = app
		}
	}
	return problems
}

// running compares what runs of an app with its current release.
func (s *story) running(app string, record agent.Record, wrong func(string, ...any)) {
	want, got := map[string]string{}, map[string]string{}
	for process, n := range record.Settings.Scale {
		for index := range n {
			want[fmt.Sprintf("%s.%s.%d", app, process, index+1)] = record.Run + " running"
		}
	}
	web := 0
	for _, c := range s.world.containers {
		if c.Labels["com.dokku.app-name"] != app {
			continue
		}
		got[c.Name] = c.Image + " " + c.Status
		if c.Labels["com.dokku.process-type"] == "web" {
			web++
			index := strings.TrimPrefix(c.Name, app+".web.")
			if backend := s.world.points[app][int(index[0]-'0')]; backend.Address != c.Address {
				wrong("%s: its address leads to %q", c.Name, backend.Address)
			}
		}
	}
	if !maps.Equal(want, got) {
		wrong("%s: v%d is %v, and there is %v", app, record.Version, want, got)
	}
	if len(s.world.points[app]) != web {
		wrong("%s has %d web containers and %v", app, web, s.world.points[app])
	}
	if latest := s.world.names["dokku/"+app+":latest"]; latest != record.Run {
		wrong("%s: the image is %q, the release's %q", app, latest, record.Run)
	}
}

// requests wants each journal to have ended.
func (s *story) requests(app string, read func(app, request string, offset int) ([]agent.Entry, error), wrong func(string, ...any)) {
	paths, _ := filepath.Glob(s.world.places().Journal(app, "*"))
	for _, path := range paths {
		request := strings.TrimSuffix(filepath.Base(path), ".jsonl")
		entries, err := read(app, request, 0)
		ended := slices.ContainsFunc(entries, func(entry agent.Entry) bool { return entry.Event != nil && entry.Event.Verdict != nil })
		if err != nil || !ended {
			wrong("%s of %s has no verdict, %v", request, app, err)
		}
	}
}

// traces are what there is of an app that does not exist.
func (s *story) traces(app string) (found []string) {
	for _, c := range s.world.containers {
		if c.Labels["com.dokku.app-name"] == app {
			found = append(found, "the container "+c.Name)
		}
	}
	for name := range s.world.names {
		if strings.HasPrefix(name, "dokku/"+app+":") {
			found = append(found, "the image "+name)
		}
	}
	if len(s.world.points[app]) > 0 {
		found = append(found, fmt.Sprint("traffic to ", s.world.points[app]))
	}
	_ = filepath.WalkDir(s.world.dir, func(path string, entry fs.DirEntry, err error) error {
		// A journal is how one finds out what became of a deploy that never began.
		if err == nil && !entry.IsDir() && strings.Contains(path, "/"+app) && !strings.Contains(path, "/journal/") && !strings.Contains(path, ".lock") {
			found = append(found, path)
		}
		return nil
	})
	return found
}
