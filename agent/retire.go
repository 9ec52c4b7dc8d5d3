package agent

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/dokku-push/dokku-push/api"
)

// How long an old container may keep its connections, and how long it has to end
// after TERM, when nothing else is said (PLUGIN-CONTRACT 6.1, step 18).
const (
	defaultWaitToRetire = 60 * time.Second
	defaultStopTimeout  = 30 * time.Second
	keptJournals        = 50
)

// retire is step 11: the old containers are stopped as soon as nobody is connected
// to them any more. It runs after the verdict, without the app's lock; what it is to
// retire was marked before the verdict.
func (r *run) retire(ctx context.Context) {
	app := r.change.App
	if err := errors.Join(r.Host.removePhases(ctx, app, r.change.Request), r.Host.retireAll(ctx, app, r.settings, r.old)); err != nil {
		return // left in the journal: the next command or the watch tries again
	}
	_ = r.mark(markRetire, stateDone, nil) // at worst it is done once more, to no effect
	ctx, cancel := context.WithTimeout(ctx, r.Host.undoTime())
	defer cancel()
	r.Host.prune(ctx, app, r.settings)
	r.Host.pruneJournals(app)
}

// removePhases removes the containers of scripts that a request has left: one that ran
// when its process was killed, one whose removal failed.
func (h *Host) removePhases(ctx context.Context, app, request string) error {
	ctx, cancel := context.WithTimeout(ctx, h.undoTime())
	defer cancel()
	left, err := h.Containers.List(ctx, map[string]string{labelApp: app, labelType: "phase", labelHost: h.ID(), labelRequest: request})
	if err != nil {
		return fmt.Errorf("list the containers of scripts: %w", err)
	}
	for _, c := range left {
		if err := ignoreNotFound(h.Containers.Remove(ctx, c.ID)); err != nil {
			return fmt.Errorf("remove the container %s: %w", c.Name, err)
		}
	}
	return nil
}

// retireMark lists what was to be retired.
type retireMark struct {
	Containers []instance `json:"containers"`
}

// retireAll drains, stops and removes containers, all at the same time. One that is
// gone is done.
func (h *Host) retireAll(ctx context.Context, app string, settings Settings, old []instance) error {
	settings = h.inherit(settings)
	failures := make([]error, len(old))
	var wait sync.WaitGroup
	for n, i := range old {
		wait.Go(func() { failures[n] = h.retireOne(ctx, app, settings, i) })
	}
	wait.Wait()
	return errors.Join(failures...)
}

// retireOne gives an engine up that does not answer in the time that an undo has, beyond
// what the settings give the container: who comes next tries again.
func (h *Host) retireOne(ctx context.Context, app string, settings Settings, i instance) error {
	within := func(most time.Duration, do func(ctx context.Context) error) error {
		ctx, cancel := context.WithTimeout(ctx, most+h.undoTime())
		defer cancel()
		return do(ctx)
	}
	var c Container
	err := within(0, func(ctx context.Context) (err error) {
		c, err = h.Containers.Inspect(ctx, i.ID)
		return err
	})
	if errors.Is(err, ErrNotFound) {
		return nil
	} else if err != nil {
		return fmt.Errorf("look at %s: %w", i.Name, err)
	}
	if c.Running && i.Process == "web" && c.Address != "" {
		most := seconds(settings, "checks/wait-to-retire", defaultWaitToRetire)
		err := within(most, func(ctx context.Context) error {
			_, err := h.Traffic.Drain(ctx, c.Address, most)
			return err
		})
		if err != nil {
			return fmt.Errorf("drain %s: %w", i.Name, err)
		}
	}
	grace := stopTimeout(settings, i.Process)
	err = within(grace, func(ctx context.Context) error { return h.Containers.Stop(ctx, i.ID, grace) })
	if err == nil {
		err = within(0, func(ctx context.Context) error { return h.Containers.Remove(ctx, i.ID) })
	}
	if err != nil && !errors.Is(err, ErrNotFound) {
		// Nobody listens any more; the trigger is how a plugin learns of it.
		_ = h.trigger(ctx, "retire-container-failed", []string{app, i.ID}, Streams{})
		return fmt.Errorf("retire %s: %w", i.Name, err)
	}
	return nil
}

// stopTimeout is the time between TERM and KILL: the process type's own, else the app's.
func stopTimeout(settings Settings, process string) time.Duration {
	return seconds(settings, processProperty("ps", process, "stop-timeout-seconds"), seconds(settings, "ps/stop-timeout-seconds", defaultStopTimeout))
}

func seconds(settings Settings, property string, otherwise time.Duration) time.Duration {
	if n, err := strconv.Atoi(settings.Properties[property]); err == nil && n >= 0 {
		return time.Duration(n) * time.Second
	}
	return otherwise
}

// pruneJournals lets the journals of old requests go; one that is not settled stays.
func (h *Host) pruneJournals(app string) {
	requests, err := h.Ledger.Requests(app)
	if err != nil || len(requests) <= keptJournals {
		return
	}
	for _, request := range requests[:len(requests)-keptJournals] {
		entries, err := h.Ledger.ReadJournal(app, request, 0)
		if err == nil && verdictOf(entries) != nil && !retireOpen(entries) {
			_ = h.Ledger.RemoveJournal(app, request) // at worst it is there the next time
		}
	}
}

// CancelBy is Cancel for somebody who asks for it: another key's deploy is not stopped.
func (h *Host) CancelBy(by Caller, app, request string) error {
	entries, err := h.Ledger.ReadJournal(app, request, 0)
	if err != nil {
		return err
	}
	if len(entries) > 0 && entries[0].Begin != nil && verdictOf(entries) == nil && !sameKey(entries[0].Begin.By.Name, by.Name) {
		return api.Errorf(api.Refused, "cancel "+request, "it is the deploy of key %q, and this is %q", entries[0].Begin.By.Name, by.Name).
			WithHint("who began it stops it; `--lock-wait` waits for its end")
	}
	return h.Cancel(app, request)
}

// Cancel asks for a running request to be stopped at its next safe point. The
// journal's reader learns what became of it.
func (h *Host) Cancel(app, request string) error {
	entries, err := h.Ledger.ReadJournal(app, request, 0)
	if err != nil {
		return err
	}
	if verdictOf(entries) != nil {
		return nil
	}
	if err := os.WriteFile(h.cancelFile(app, request), nil, 0o600); err != nil {
		return fmt.Errorf("ask to cancel %s: %w", request, err)
	}
	return nil
}

func (h *Host) cancelFile(app, request string) string {
	return h.Places.Journal(app, request) + ".cancel"
}

func (h *Host) cancelAsked(app, request string) bool {
	_, err := os.Stat(h.cancelFile(app, request))
	return err == nil
}

// verdictOf is what became of a request. A recovery that did what a failed undo could
// not do has the last word.
func verdictOf(entries []Entry) *api.Verdict {
	for _, entry := range slices.Backward(entries) {
		if entry.Event != nil && entry.Event.Verdict != nil {
			return entry.Event.Verdict
		}
	}
	return nil
}
