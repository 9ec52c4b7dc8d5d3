package agent_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/api"
)

// patient is a check that passes when it is told to.
type patient struct{ begun, pass chan struct{} }

func newPatient() patient {
	return patient{begun: make(chan struct{}, 10), pass: make(chan struct{})}
}

func (p patient) Check(ctx context.Context, _ agent.Probe, _ func(string)) error {
	p.begun <- struct{}{}
	select {
	case <-p.pass:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// answer is what became of a change.
type answer struct {
	api.Verdict
	err  error
	took time.Duration
}

// begin starts a change in a process of its own, whose checks wait.
func begin(w *world, change agent.Change, checks agent.Checker) <-chan answer {
	done := make(chan answer, 1)
	go func() {
		var a answer
		begun := time.Now()
		w.process(0).run(func(h *agent.Host) {
			if checks != nil {
				h.Checker = checks
			}
			a.Verdict, a.err = h.Apply(context.Background(), change)
		})
		a.took = time.Since(begun)
		done <- a
	}()
	return done
}

func by(change agent.Change, key, request string) agent.Change {
	change.By.Name, change.Request = key, request
	return change
}

// warnings are what a request was warned of.
func warnings(t *testing.T, w *world, request string) string {
	t.Helper()
	entries, err := w.process(0).ReadJournal(app, request, 0)
	must(t, err)
	var all []string
	for _, entry := range entries {
		if entry.Event != nil && entry.Event.Warning != "" {
			all = append(all, entry.Event.Warning)
		}
	}
	return strings.Join(all, "\n")
}

// TestLocked: who comes second is told who holds the lock, at once; or waits as long as
// they said, and is told whom for.
func TestLocked(t *testing.T) {
	t.Parallel()
	w := deployed(t)
	checks := newPatient()
	held := by(deploy(w, 2), "alice", "request-held")
	held.RunURL = "https://ci.example.com/7"
	first := begin(w, held, checks)
	<-checks.begun
	refused := <-begin(w, by(deploy(w, 3), "bob", "request-bob"), nil)
	if refused.err != nil || refused.OK || api.Exit(refused.Error) != 75 {
		t.Errorf("the second: %+v", refused)
	}
	for _, word := range []string{"request request-held", `key "alice"`, "pid ", "since 20", "https://ci.example.com/7"} {
		if !strings.Contains(refused.Error.Error(), word) {
			t.Errorf("it is not told %q: %v", word, refused.Error)
		}
	}
	var now api.AppState
	var err error
	w.process(0).run(func(h *agent.Host) { now, err = h.State(context.Background(), app) })
	if err != nil || now.Unfinished != "request-held" || now.Last == nil || now.Last.Request != "request-held" || now.Last.Verdict != nil {
		t.Errorf("who was refused hides the deploy that runs: %q, %+v, %v", now.Unfinished, now.Last, err)
	}
	var plan api.Plan
	w.process(0).run(func(h *agent.Host) {
		plan, err = h.Plan(context.Background(), app, api.PlanRequest{Document: document(w, 1)})
	})
	if err != nil || plan.Busy != "request-held" {
		t.Errorf("a plan of what is about to be replaced: busy %q, %v", plan.Busy, err)
	}
	short := by(deploy(w, 3), "bob", "request-short")
	short.LockWait = 300 * time.Millisecond
	if got := <-begin(w, short, nil); api.Exit(got.Error) != 75 || got.took < short.LockWait {
		t.Errorf("who waits shortly: %+v after %s", got.Verdict, got.took)
	}
	long := by(deploy(w, 3), "bob", "request-long")
	long.LockWait = time.Minute
	waiting := begin(w, long, nil)
	for deadline := time.Now().Add(20 * time.Second); !strings.Contains(warned(t, w, "request-long"), "waiting for request request-held"); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("who waits is not told so: %q", warned(t, w, "request-long"))
		}
	}
	close(checks.pass)
	if got := <-first; !got.OK || got.Release != 2 {
		t.Errorf("the first: %+v", got)
	}
	if got := <-waiting; !got.OK || got.Release != 3 {
		t.Errorf("who waited: %+v", got)
	}
}

// warned is warnings of a request that may not have begun.
func warned(t *testing.T, w *world, request string) string {
	t.Helper()
	if _, err := w.process(0).ReadJournal(app, request, 0); err != nil {
		return ""
	}
	return warnings(t, w, request)
}

// TestNewestWins: the newer push of the same key stops the older one, which is undone;
// another key's is left alone, and the newer is refused.
func TestNewestWins(t *testing.T) {
	t.Parallel()
	for _, key := range []string{"alice", "bob"} {
		t.Run(key, func(t *testing.T) {
			t.Parallel()
			w := deployed(t)
			checks := newPatient()
			older := begin(w, by(deploy(w, 2), "alice", "request-older"), checks)
			<-checks.begun
			w.impatient = key != "alice" // which the newer one waits for in vain
			newer := by(deploy(w, 3), key, "request-newer")
			newer.NewestWins = true
			got := <-begin(w, newer, nil)
			if key != "alice" {
				if api.Exit(got.Error) != 75 || !strings.Contains(warnings(t, w, "request-newer"), "is another key's deploy: it is not stopped") {
					t.Errorf("the newer: %+v", got)
				}
				close(checks.pass)
				if first := <-older; !first.OK || first.Release != 2 {
					t.Errorf("another key's deploy: %+v", first)
				}
				return
			}
			if !got.OK || got.Release != 2 {
				t.Errorf("the newer: %+v", got)
			}
			if first := <-older; first.OK || api.Exit(first.Error) != 27 {
				t.Errorf("the older: %+v", first)
			}
		})
	}
}

// TestCancel: a deploy that is cancelled stops within seconds, whatever it waits for, and
// all is as before; one that is over stays what it is, and nobody else's is touched.
func TestCancel(t *testing.T) {
	t.Parallel()
	w := deployed(t)
	before := observed(t, w)
	checks := newPatient()
	running := begin(w, by(deploy(w, 2), "alice", "request-running"), checks)
	<-checks.begun
	waits := by(deploy(w, 3), "alice", "request-waits")
	waits.LockWait = time.Minute
	waiting := begin(w, waits, nil)
	for deadline := time.Now().Add(20 * time.Second); warned(t, w, "request-waits") == ""; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the second does not wait")
		}
	}
	cancel := func(request string) (err error) {
		w.process(0).run(func(h *agent.Host) { err = h.Cancel(app, request) })
		return err
	}
	for _, test := range []struct {
		request string
		done    <-chan answer
	}{{"request-waits", waiting}, {"request-running", running}} { // in that order: only the named one stops
		must(t, cancel(test.request))
		begun := time.Now()
		select {
		case got := <-test.done:
			if got.OK || api.Exit(got.Error) != 27 || !strings.Contains(got.Error.Error(), "as it was before") {
				t.Errorf("%s: %+v", test.request, got)
			}
		case <-time.After(20 * time.Second):
			t.Fatalf("%s is not over", test.request)
		}
		t.Logf("%s was over %s after it was cancelled", test.request, time.Since(begun).Round(time.Millisecond))
	}
	if diff := cmp.Diff(before, observed(t, w)); diff != "" {
		t.Errorf("not as before:\n%s", diff)
	}
	history(t, w, deploy(w, 2))
	must(t, cancel("request-2"))
	if verdict := verdictOf(t, w, "request-2"); verdict == nil || !verdict.OK {
		t.Errorf("what was over when it was cancelled: %+v", verdict)
	}
	if cancel("request-nobody") == nil {
		t.Error("a request that nobody made was cancelled")
	}
}

// TestVerdictGiven: a deploy keeps its lock for a moment after its verdict, in which who saw
// that asks for the next thing: it waits, and is refused nothing.
func TestVerdictGiven(t *testing.T) {
	t.Parallel()
	w := deployed(t)
	w.process(0).run(func(h *agent.Host) {
		for name, do := range map[string]func() error{
			"deploy": func() error {
				verdict, err := h.Apply(context.Background(), deploy(w, 2))
				if verdict.Error != nil {
					err = verdict.Error
				}
				return err
			},
			"stop":  func() error { return h.Stop(context.Background(), app, agent.Caller{Name: "alice"}) },
			"drift": func() error { _, err := h.Drift(context.Background(), app); return err },
		} {
			lock, _, err := h.Ledger.Lock(app, api.Lock{Key: "alice", PID: 1, Request: "request-1", Since: time.Now()})
			must(t, err)
			gone := make(chan error)
			go func() {
				time.Sleep(200 * time.Millisecond)
				gone <- lock.Unlock()
			}()
			if err := do(); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			must(t, <-gone)
		}
	})
}

// TestStateOfALock: who holds the lock for a moment, the watch or a deploy that has given its
// verdict, is nobody who deploys now.
func TestStateOfALock(t *testing.T) {
	t.Parallel()
	w := deployed(t)
	w.process(0).run(func(h *agent.Host) {
		for holder, shown := range map[api.Lock]bool{{Key: "watch"}: false, {Key: "alice", Request: "request-1"}: false, {Key: "bob", Request: "request-9"}: true, {Key: "bob"}: true} {
			holder.PID, holder.Since = 1, time.Now()
			lock, _, err := h.Ledger.Lock(app, holder)
			must(t, err)
			state, err := h.State(context.Background(), app)
			must(t, errors.Join(err, lock.Unlock()))
			if (state.Lock != nil) != shown {
				t.Errorf("held by %s: the state says %v", &holder, state.Lock)
			}
		}
	})
}
