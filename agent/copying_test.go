package agent_test

import (
	"context"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dokku-push/dokku-push/agent"
)

// copied is the name that an app is copied or renamed to.
const copied = "store"

// copies are the ways to make an app of another, with the names that are there afterwards.
func copies() map[string]func(ctx context.Context, h *agent.Host) error {
	return map[string]func(ctx context.Context, h *agent.Host) error{
		"clone": func(ctx context.Context, h *agent.Host) error {
			_, err := h.Clone(ctx, app, copied, agent.Caller{Name: "alice"}, func(context.Context) error {
				return os.WriteFile(filepath.Join(h.Places.App(copied), "HEAD"), []byte("the repository"), 0o644)
			})
			return err
		},
		"rename": func(ctx context.Context, h *agent.Host) error {
			return h.Rename(ctx, app, copied, agent.Caller{Name: "alice"}, func(ctx context.Context, change agent.Change) error {
				change.Request, change.By = "request-renamed", agent.Caller{Name: "alice"}
				verdict, err := h.Apply(ctx, change)
				if err == nil && !verdict.OK {
					err = verdict.Error
				}
				return err
			})
		},
	}
}

// removing makes it an act that a journal is removed.
type removing struct{ *process }

func (r removing) RemoveJournal(app, request string) error {
	return r.disk("remove the journal", func() error { return r.Store.RemoveJournal(app, request) })
}

// apart runs f in a process with its own ledger, which may be killed or fail.
func (p *process) apart(f func(h *agent.Host)) (lived bool) {
	return p.run(func(h *agent.Host) {
		h.Ledger = removing{p}
		f(h)
	})
}

// inBoth is what there is under both names, but for the times.
func inBoth(t *testing.T, w *world) map[string]string {
	t.Helper()
	seen := timeless(observed(t, w))
	for name := range seen {
		if strings.HasPrefix(name, "address ") {
			delete(seen, name)
		}
	}
	for name, points := range w.points {
		for index, backend := range points {
			seen["address "+name] += "," + string(rune('0'+index)) + backend.Address
		}
	}
	return seen
}

// TestCopyCutOff kills a clone and a rename before and after each of their acts, or has the act
// fail, and then the recovery: there is a whole app under one name, or, of a clone, under both.
func TestCopyCutOff(t *testing.T) {
	t.Parallel()
	for name, do := range copies() {
		for age, what := range map[int]string{1: "new", 2: "deployed"} {
			t.Run(name+" "+what, func(t *testing.T) {
				t.Parallel()
				m := newCutOff(t, base(age)(t), do)
				all := slices.DeleteFunc(cells(m.did), func(c cell) bool { return c.how == hangs || c.how == stuck || c.how == diskFull })
				all = sample(t, all, 2)
				(&matrix{}).each(len(all), func(n int) { m.cell(t, all[n]) })
				if len(m.did) < 15 || m.undone.Load() == 0 || m.finished.Load() == 0 {
					t.Errorf("%d acts, undone in %d cells, finished in %d: this tests nothing", len(m.did), m.undone.Load(), m.finished.Load())
				}
			})
		}
	}
}

// cutOff is a copy that is cut off, with what is there before and after one that is not.
type cutOff struct {
	do               func(ctx context.Context, h *agent.Host) error
	world            *world
	before, after    map[string]string
	did              []act
	undone, finished atomic.Int64 // cells that came to that end
}

func newCutOff(t *testing.T, w *world, do func(ctx context.Context, h *agent.Host) error) *cutOff {
	t.Helper()
	m := &cutOff{do: do, world: w, before: inBoth(t, w)}
	w = w.clone(t)
	p := w.process(0)
	p.apart(func(h *agent.Host) { must(t, do(context.Background(), h)) })
	m.after, m.did = inBoth(t, w), p.did
	if left := journalsOfCopies(t, w); left != "" {
		t.Errorf("when nothing goes wrong there is still %s", left)
	}
	return m
}

// cell runs it with one fault and recovers under both names, killed in it once.
func (m *cutOff) cell(t *testing.T, c cell) {
	t.Helper()
	w := m.world.clone(t)
	pairs := map[string]int{}
	w.plugins["post-app-rename-setup"] = func(args []string) error { pairs[strings.Join(args, " ")]++; return nil }
	w.plugins["post-app-rename"] = func([]string) error { pairs["told"]++; return nil }
	p := w.process(0)
	p.fault = fault{at: c.at, how: c.how}
	var err error
	lived := p.apart(func(h *agent.Host) { err = m.do(context.Background(), h) })
	names := []string{app, copied}
	if c.at%2 == 0 {
		names = []string{copied, app}
	}
	for n, one := range append(names, names...) {
		dieAt := 0
		if n < len(names) {
			dieAt = 1 + c.at%9
		}
		var recovered error
		w.process(dieAt).apart(func(h *agent.Host) { recovered = h.Recover(context.Background(), one) })
		if dieAt == 0 && recovered != nil {
			t.Errorf("%s: the recovery of %s: %v", c, one, recovered)
		}
	}
	now := inBoth(t, w)
	switch {
	case cmp.Diff(withoutJournals(m.before), withoutJournals(now)) == "":
		m.undone.Add(1)
		if pairs[app+" "+copied] > 0 && pairs[copied+" "+app] == 0 {
			t.Errorf("%s: plugins were not told that it goes back: %v", c, pairs)
		}
		if lived && err == nil {
			t.Errorf("%s: it says that all went well, and it is undone", c)
		}
	case cmp.Diff(withoutJournals(m.after), withoutJournals(now)) == "":
		m.finished.Add(1)
		if _, still := now["/root/"+app+"/VHOST"]; !still && pairs["told"] == 0 {
			t.Errorf("%s: plugins were not told of the new name", c)
		}
	default:
		t.Errorf("%s: neither before nor after:\n%s", c, cmp.Diff(m.after, now))
	}
	if left := journalsOfCopies(t, w) + leftBehind(t, w); left != "" {
		t.Errorf("%s: left behind: %s", c, left)
	}
}

// withoutJournals is for comparing: the number of a release's journal is nobody's concern. Nor
// is what became of the hooks of the copy's own release, which may have been cut off.
func withoutJournals(seen map[string]string) map[string]string {
	seen = maps.Clone(seen)
	delete(seen, "/lib/data/agent/apps/"+copied+"/releases/v2.hooks")
	maps.DeleteFunc(seen, func(name, _ string) bool { return strings.Contains(name, "/journal/") })
	return seen
}

// journalsOfCopies are those of copies that are not over.
func journalsOfCopies(t *testing.T, w *world) string {
	t.Helper()
	left, err := filepath.Glob(w.places().Journal("*", "copy-*"))
	must(t, err)
	return strings.Join(left, ", ")
}

// TestCopyFound: a command on the name of a copy that was cut off, or on that of its
// original, first clears it away; one whose maker is alive is left alone.
func TestCopyFound(t *testing.T) {
	t.Parallel()
	w := base(2)(t)
	w.plugins["post-app-clone-setup"] = func([]string) error {
		w.process(0).run(func(h *agent.Host) { // somebody else, meanwhile
			must(t, h.Recover(context.Background(), copied))
			must(t, h.Exists(copied))
		})
		return errors.New("a plugin says no")
	}
	before := inBoth(t, w)
	w.process(0).run(func(h *agent.Host) {
		if err := copies()["clone"](context.Background(), h); err == nil || !strings.Contains(err.Error(), "a plugin says no") {
			t.Errorf("the clone says %v", err)
		}
	})
	if diff := cmp.Diff(before, inBoth(t, w)); diff != "" {
		t.Errorf("a refused clone has left (-before +after):\n%s", diff)
	}
	delete(w.plugins, "post-app-clone-setup")
	for _, by := range []string{app, copied} {
		w := w.clone(t)
		p := w.process(0)
		w.plugins["post-app-clone-setup"] = func([]string) error { p.die(); return nil }
		p.run(func(h *agent.Host) { _ = copies()["clone"](context.Background(), h) })
		w.process(0).run(func(h *agent.Host) {
			must(t, h.Exists(copied))
			err := h.Stop(context.Background(), by, agent.Caller{Name: "bob"})
			if gone := by == copied; gone != (err != nil) {
				t.Errorf("ps:stop %s: %v", by, err)
			}
			if h.Exists(copied) == nil {
				t.Errorf("after a command on %s half a copy is still there", by)
			}
			must(t, h.Create(context.Background(), copied))
		})
	}
}
