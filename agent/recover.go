package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/dokku-push/dokku-push/api"
)

// Recover finishes or undoes what dead processes have left of an app. It does
// nothing while somebody holds the app's lock: that one is alive. It waits for who is
// through in a moment.
func (h *Host) Recover(ctx context.Context, app string) error {
	if requests, err := h.Ledger.Requests(app); h.Exists(app) != nil && err == nil && len(requests) == 0 {
		return nil // and a lock would leave its file
	}
	lock, _, err := h.lockForRecovery(ctx, app, func(holder *api.Lock, begun time.Time) bool {
		return time.Since(begun) <= shortAct && h.passing(app, holder)
	})
	if err != nil || lock == nil {
		return err
	}
	err = h.recoverLocked(ctx, app, "")
	if err == nil {
		err = errors.Join(h.dropUpcoming(ctx, app), h.endStop(ctx, app))
	}
	return errors.Join(err, lock.Unlock())
}

// lockForRecovery takes an app's lock for what has nobody's name. It waits as long as waits
// says of a holder, who is returned when it waits no more.
func (h *Host) lockForRecovery(ctx context.Context, app string, waits func(holder *api.Lock, begun time.Time) bool) (Unlocker, *api.Lock, error) {
	for begun := time.Now(); ; {
		lock, holder, err := h.Ledger.Lock(app, api.Lock{Key: "recover", PID: ownPID(), Since: time.Now()})
		if err != nil {
			return nil, nil, fmt.Errorf("take the deploy lock of %s: %w", app, err)
		}
		if lock != nil || !waits(holder, begun) {
			return lock, holder, nil
		}
		select {
		case <-ctx.Done():
			return nil, nil, context.Cause(ctx)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// dropUpcoming removes what an engine has created so long after it was told not to that the
// undo of its deploy could not see it. The caller holds the lock and has recovered: nobody
// else's container has such a name now.
func (h *Host) dropUpcoming(ctx context.Context, app string) error {
	all, err := h.appContainers(ctx, app)
	if err != nil {
		return err
	}
	var failures []error
	for _, c := range all {
		if i, ok := instanceOf(c); ok && strings.HasPrefix(c.Name, i.finalName(app)+upcoming) {
			failures = append(failures, ignoreNotFound(h.Containers.Remove(ctx, c.ID)))
		}
	}
	if err := errors.Join(failures...); err != nil {
		return fmt.Errorf("remove what a cancelled deploy of %s has left: %w", app, err)
	}
	return nil
}

// passing tells whether a holder of the lock has it for a moment only: the watch, who has
// not yet said who they are, a deploy that has given its verdict.
func (h *Host) passing(app string, holder *api.Lock) bool {
	if holder == nil || holder.Request == "" {
		return holder == nil || holder.Key == "watch"
	}
	entries, err := h.Ledger.ReadJournal(app, holder.Request, 0)
	return err == nil && verdictOf(entries) != nil
}

// RecoverUnfinished is Recover for an app whose last request has no verdict. It writes
// nothing where there is nothing to recover.
func (h *Host) RecoverUnfinished(ctx context.Context, app string) error {
	var state api.AppState
	if h.Exists(app) != nil {
		return nil
	}
	if err := h.attempts(app, &state); err != nil || state.Unfinished == "" {
		return err
	}
	return h.Recover(ctx, app)
}

// recoverLocked is Recover for one who holds the lock. The request named is the
// caller's own, which is not looked at.
func (h *Host) recoverLocked(ctx context.Context, app, own string) error {
	if err := errors.Join(h.Ledger.Sweep(app), h.Blobs.Tidy(app)); err != nil {
		return fmt.Errorf("tidy the files of %s: %w", app, err)
	}
	if err := h.undoSite(ctx, app); err != nil {
		return api.Errorf(api.UndoFailed, "recover the site of "+app, "%w", err)
	}
	requests, err := h.Ledger.Requests(app)
	if err != nil {
		return fmt.Errorf("list the journals of %s: %w", app, err)
	}
	for _, request := range requests {
		if request == own {
			continue
		}
		entries, err := h.Ledger.ReadJournal(app, request, 0)
		if err != nil {
			return fmt.Errorf("read the journal of %s: %w", request, err)
		}
		begun, told := destroying(entries)
		if c, is := copyIn(request, entries); is {
			begun, err = h.recoverCopy(ctx, app, c)
		} else if begun {
			err = h.goOn(ctx, app, told)
		} else {
			err = h.recoverOne(ctx, app, request, entries)
		}
		if err != nil {
			return api.Errorf(api.UndoFailed, "recover "+request, "%w", err).
				WithHint("mend the cause, then run `dokku-agent recover %s`", app)
		}
		if begun {
			return nil // its other journals are gone too
		}
	}
	return nil
}

// recoverOne looks at one journal. The truth about the commit is which release
// is current, never the journal.
func (h *Host) recoverOne(ctx context.Context, app, request string, entries []Entry) error {
	steps, locked := begunSteps(entries)
	if verdict := verdictOf(entries); verdict != nil && (len(steps) == 0 || verdict.Error == nil || verdict.Error.Code != api.UndoFailed) {
		return h.retireAgain(ctx, app, request, entries)
	}
	if !locked {
		if len(entries) > 0 && entries[0].Begin != nil && entries[0].Begin.lives() {
			return nil // it waits for the lock
		}
		return h.close(app, request, api.Verdict{Error: api.Errorf(api.Unclassified, "deploy", "the deploy process died before it began; nothing was changed")})
	}
	current, err := h.currentRecord(app)
	if err != nil {
		return err
	}
	if current != nil && current.Request == request {
		return h.finish(ctx, app, request, current)
	}
	journal, _, err := h.Ledger.Begin(app, request)
	if err != nil {
		return fmt.Errorf("open the journal: %w", err)
	}
	_ = journal.Yield() // an undo that needs no room does without
	mark := func(name, state string, undo any) error {
		return journal.Write(Entry{Time: time.Now(), Mark: &Mark{Step: name, State: state}})
	}
	tell := func(s step, status api.StepStatus, took time.Duration, detail string) {
		event := api.Event{Type: api.EventStep, Time: time.Now(), Step: &api.Step{Name: s.name, Title: s.title, Status: status, DurationMS: took.Milliseconds(), Detail: detail}}
		_ = journal.Note(Entry{Time: event.Time, Event: &event})
	}
	err = errors.Join(h.undoAll(ctx, app, steps, tell, mark), journal.Close())
	if err != nil {
		return err
	}
	return h.close(app, request, api.Verdict{Error: api.Errorf(api.Cancelled, "deploy", "the deploy process was killed; what it had begun is undone").
		WithHint("push again")})
}

// finish writes the verdict of a request that had committed, and retires what it
// replaced. Hooks that come after a deploy are not run: nobody knows which did.
func (h *Host) finish(ctx context.Context, app, request string, record *Record) error {
	verdict := api.Verdict{OK: true, Changed: true, Release: record.Version, Built: record.Built, Run: record.Run,
		URLs:  h.served(app, record.Settings),
		Error: api.Errorf(api.HookFailed, "finish the deploy", "the deploy process was killed after release v%d was live; post-deploy hooks may not have run", record.Version)}
	stale, err := h.stale(ctx, app)
	if err == nil {
		err = h.markDeployed(app)
	}
	if err != nil {
		return err
	}
	// Before the verdict: whoever finds one believes that only the retirement may be open.
	undo, err := json.Marshal(retireMark{Containers: stale})
	if err == nil {
		mark := Entry{Time: time.Now(), Mark: &Mark{Step: markRetire, State: stateBegin, Undo: undo}}
		err = h.append(app, request, mark, verdictEntry(verdict))
	}
	if err != nil {
		return err
	}
	entries, err := h.Ledger.ReadJournal(app, request, 0)
	if err != nil {
		return fmt.Errorf("read the journal of %s: %w", request, err)
	}
	return h.retireAgain(ctx, app, request, entries)
}

// retireAgain goes on with a retirement that was cut.
func (h *Host) retireAgain(ctx context.Context, app, request string, entries []Entry) error {
	var open *retireMark
	for _, entry := range entries {
		if entry.Mark == nil || entry.Mark.Step != markRetire {
			continue
		}
		if entry.Mark.State == stateDone {
			open = nil
			break
		}
		open = &retireMark{}
		if err := json.Unmarshal(entry.Mark.Undo, open); err != nil {
			return fmt.Errorf("read the journal: %w", err)
		}
	}
	if entries[0].Begin == nil || entries[0].Begin.lives() {
		return nil
	}
	if open == nil {
		return h.Ledger.Tidy(app, request)
	}
	settings, err := h.Settings.Read(app)
	if err != nil {
		return fmt.Errorf("read the settings: %w", err)
	}
	if err := errors.Join(h.removePhases(ctx, app, request), h.retireAll(ctx, app, settings, open.Containers)); err != nil {
		return err
	}
	return h.append(app, request, Entry{Time: time.Now(), Mark: &Mark{Step: markRetire, State: stateDone}})
}

// stale lists the containers of the app that have no final name.
func (h *Host) stale(ctx context.Context, app string) ([]instance, error) {
	all, err := h.appContainers(ctx, app)
	if err != nil {
		return nil, err
	}
	var stale []instance
	for _, c := range all {
		if i, ok := instanceOf(c); ok && c.Name != i.finalName(app) {
			stale = append(stale, i)
		}
	}
	return stale, nil
}

// close writes a verdict into a journal that has none.
func (h *Host) close(app, request string, verdict api.Verdict) error {
	return h.append(app, request, verdictEntry(verdict))
}

// append adds to the journal of a process that is no more.
func (h *Host) append(app, request string, entries ...Entry) error {
	journal, _, err := h.Ledger.Begin(app, request)
	if err != nil {
		return fmt.Errorf("open the journal: %w", err)
	}
	for _, entry := range entries {
		if err == nil {
			err = journal.Write(entry)
		}
	}
	return errors.Join(err, journal.Close())
}

func verdictEntry(verdict api.Verdict) Entry {
	now := time.Now()
	return Entry{Time: now, Event: &api.Event{Type: api.EventVerdict, Time: now, Verdict: &verdict}}
}

func (h *Host) currentRecord(app string) (*Record, error) {
	current, err := h.Ledger.Current(app)
	if err != nil || current == 0 {
		return nil, err
	}
	record, err := h.Ledger.Release(app, current)
	if errors.Is(err, ErrNotFound) {
		return nil, fmt.Errorf("release v%d of %s is current but has no record", current, app)
	} else if err != nil {
		return nil, err
	}
	return &record, nil
}
