package agent_test

import (
	"context"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/api"
)

// cell is one act that goes wrong in one way.
type cell struct {
	act
	at  int
	how mode
}

func (c cell) String() string { return fmt.Sprintf("%s at act %d, %q", c.how, c.at, c.name) }

// cells are all ways in which each of the acts can go wrong. Who is killed around an act
// that changes nothing is killed around the next one that does.
func cells(did []act) (all []cell) {
	for n, one := range did {
		add := func(how ...mode) {
			for _, how := range how {
				all = append(all, cell{one, n + 1, how})
			}
		}
		if add(fails); !asks(one.name) {
			add(killedBefore, killedAfter, lost)
		}
		if one.waits {
			add(hangs, stuck)
		} else if fills(one.name) {
			add(diskFull)
		}
	}
	return all
}

var (
	faults    = flag.String("faults", "some", "which cells of the fault matrix to run: some (a seeded sample) or all")
	faultSeed = flag.Uint64("faultseed", 0, "seed of the sample; 0: another one each time")
)

// sample chooses one of so many cells, or all.
func sample[T any](t *testing.T, all []T, of int) []T {
	t.Helper()
	if *faults == "all" {
		return all
	}
	seed := *faultSeed
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("-faultseed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	some := slices.Clone(all)
	r.Shuffle(len(some), func(a, b int) { some[a], some[b] = some[b], some[a] })
	return some[:(len(some)+of-1)/of]
}

// TestFaults breaks everything that changes an app at each of its acts, in every way.
func TestFaults(t *testing.T) {
	t.Parallel()
	for _, s := range scenarios() {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			m := newMatrix(t, s)
			m.world.patience = 30 // who hangs is told to stop, however long that takes to be heard
			all := cells(m.did)
			work := sample(t, all, 6)
			m.each(len(work), func(n int) { m.cell(t, work[n]) })
			m.tell(t)
			t.Logf("%s: %d acts, %d of %d cells, in %d of them an undo hung", s.name, len(m.did), len(work), len(all), m.stuck)
			if m.stuck == 0 && s.request != "" {
				t.Error("no undo hung")
			}
			if len(all) < 40 {
				t.Errorf("only %d cells: this tests nothing", len(all))
			}
		})
	}
}

// matrix is a scenario with what it starts from and where it may end.
type matrix struct {
	scenario
	world         *world
	before, after map[string]string
	empty         map[string]string // with the app and nothing in it
	did           []act             // when nothing goes wrong

	mu       sync.Mutex
	problems map[string][]string // by cell
	stuck    int                 // cells in which an undo hung
}

// wrong notes what is wrong in a cell.
func (m *matrix) wrong(c cell, format string, args ...any) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.problems[c.String()] = append(m.problems[c.String()], fmt.Sprintf(format, args...))
}

// tell shows some of what is wrong, and names all cells in which something is.
func (m *matrix) tell(t *testing.T) {
	t.Helper()
	for n, name := range slices.Sorted(maps.Keys(m.problems)) {
		if n < 3 {
			t.Errorf("%s: %s", name, strings.Join(m.problems[name], "\n"))
		} else {
			t.Errorf("%s: wrong too", name)
		}
	}
}

func newMatrix(t *testing.T, s scenario) *matrix {
	t.Helper()
	m := &matrix{scenario: s, problems: map[string][]string{}, world: s.base(t), empty: observed(t, base(1)(t))}
	m.before = observed(t, m.world)
	w := m.world.clone(t)
	p := w.process(0)
	p.run(func(h *agent.Host) {
		verdict, err := s.act(context.Background(), h, s.request)
		if err != nil || !verdict.OK || verdict.Error != nil || !verdict.Changed || verdict.Release != s.release {
			t.Fatalf("%s: %+v, %v", s.name, verdict, err)
		}
	})
	m.after, m.did = observed(t, w), p.did
	return m
}

// each calls f for the numbers below n, many at a time: most of it is waiting.
func (m *matrix) each(n int, f func(n int)) {
	var wait sync.WaitGroup
	var next atomic.Int64
	for range 12 {
		wait.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				f(i)
			}
		})
	}
	wait.Wait()
}

// cell runs the scenario with one fault, recovers, and looks at what is left.
func (m *matrix) cell(t *testing.T, c cell) {
	w := m.world.clone(t)
	hash := hashNow(t, w)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	p := w.process(0)
	p.fault = fault{at: c.at, how: c.how, then: 1 + c.at%5, cancel: func() {
		cancel()
		if m.request != "" {
			w.process(0).run(func(h *agent.Host) { _ = h.Cancel(app, m.request) })
		}
	}}
	background := ctx
	if m.request != "" {
		background = context.Background() // its own journal is how it learns of being cancelled
	}
	var verdict api.Verdict
	var err error
	lived := p.run(func(h *agent.Host) { verdict, err = m.act(background, h, m.request) })
	if p.stuck && lived && m.request != "" {
		m.mu.Lock()
		m.stuck++
		m.mu.Unlock()
		if err == nil && !verdict.OK && api.AsError(verdict.Error).Code != api.UndoFailed {
			m.wrong(c, "the engine hung while it was undone, and it says %v", verdict.Error)
		}
	}
	if lived && m.request != "" && !verdict.OK && err == nil && api.AsError(verdict.Error).Code != api.UndoFailed {
		if diff := m.differs(observed(t, w)); diff != "" {
			m.wrong(c, "it says %v, and it is not as before:\n%s", verdict.Error, diff)
		}
		if c.how == hangs && verdict.Error.Code != api.Cancelled {
			m.wrong(c, "it was cancelled and says %v", verdict.Error)
		}
	}
	m.recovered(t, w, c, hash)
}

// recovered recovers a world, to which something else happens first, and looks at what is left.
func (m *matrix) recovered(t *testing.T, w *world, c cell, hash string) {
	all := aftermaths()
	after := all[rand.IntN(len(all))]
	err := after.befalls(t, w)
	defer func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		if name := c.String(); len(m.problems[name]) > 0 {
			m.problems[name] = append(m.problems[name], "where "+string(after))
		}
	}()
	if err != nil {
		m.wrong(c, "the recovery: %v", err)
		return
	}
	m.settled(t, w, c, hash)
	was, told := observed(t, w), journals(t, w)
	if err := recoverApp(t, w, 0); err != nil {
		m.wrong(c, "the second recovery: %v", err)
	}
	if diff := cmp.Diff(was, observed(t, w)) + cmp.Diff(told, journals(t, w)); diff != "" {
		m.wrong(c, "recovering once more changes (-before +after):\n%s", diff)
	}
}

// differs compares with what was before. An app that was first created may stay.
func (m *matrix) differs(now map[string]string) string {
	diff := cmp.Diff(m.before, now)
	if diff != "" && m.name == "new" {
		if other := cmp.Diff(timeless(m.empty), timeless(now)); other == "" {
			return ""
		}
	}
	return diff
}

// settled looks at a world in which nothing is left to recover.
func (m *matrix) settled(t *testing.T, w *world, c cell, hash string) {
	now := observed(t, w)
	if m.request == "" {
		m.destroyed(t, w, c)
		return
	}
	current, err := w.process(0).Current(app)
	must(t, err)
	verdict := verdictOf(t, w, m.request)
	switch {
	case current == m.release:
		if verdict == nil || !verdict.OK || verdict.Release != m.release || verdict.Error != nil && verdict.Error.Code != api.HookFailed {
			m.wrong(c, "the verdict of what is live is %+v", verdict)
		}
		after := timeless(m.after)
		if now = timeless(now); verdict != nil && verdict.Error != nil { // it says that these may not have been done
			for _, late := range []string{"/lib/config/app-json/shop/heroku.postdeploy", "/lib/config/common/shop/deployed", strings.TrimPrefix(w.places().ReleaseHooks(app, m.release), w.dir)} {
				delete(after, late)
				delete(now, late)
			}
		}
		if diff := cmp.Diff(after, now); diff != "" {
			m.wrong(c, "it is not finished (-finished +recovered):\n%s", diff)
		}
	default:
		if verdict != nil && (verdict.OK || verdict.Changed || verdict.Error == nil) {
			m.wrong(c, "the verdict of what was undone is %+v", verdict)
		}
		if diff := m.differs(now); diff != "" {
			m.wrong(c, "not as before (-before +recovered):\n%s", diff)
		} else if m.name != "new" && hashNow(t, w) != hash {
			m.wrong(c, "the state hash is another one")
		}
		if m.name == "new" || c.at%4 == 0 {
			m.again(t, w.clone(t), c)
		}
	}
	if left := leftBehind(t, w); left != "" {
		m.wrong(c, "left behind: %s", left)
	}
}

// again: what was undone can be done, as if it had never been tried.
func (m *matrix) again(t *testing.T, w *world, c cell) {
	w.process(0).run(func(h *agent.Host) {
		verdict, err := m.act(context.Background(), h, m.request+"-again")
		if err != nil || !verdict.OK || verdict.Error != nil || verdict.Release != m.release {
			m.wrong(c, "the next attempt: %+v, %v", verdict, err)
			return
		}
		if settings, err := h.Settings.Read(app); err != nil || !slices.Equal(settings.Domains, []string{"shop.example.com"}) {
			m.wrong(c, "the next attempt leaves the domains %q, %v", settings.Domains, err)
		}
	})
}

// destroyed: what makes no release, a destroy and a stop, was never begun or is finished.
func (m *matrix) destroyed(t *testing.T, w *world, c cell) {
	if cmp.Diff(m.before, observed(t, w)) == "" || cmp.Diff(m.after, observed(t, w)) == "" {
		return
	}
	m.wrong(c, "neither whole nor gone:\n%s", cmp.Diff(m.after, observed(t, w)))
}
