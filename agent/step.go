package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/dokku-push/dokku-push/api"
)

// step is one step of the transaction. plan reads what undo will need, which is on
// disk before do changes anything; undo works from that alone, so that it serves
// the process that failed and the one that finds its journal.
type step struct {
	name  string
	title string
	plan  func(r *run, ctx context.Context) (undo any, err error)
	do    func(r *run, ctx context.Context) error
	undo  func(ctx context.Context, h *Host, app string, undo json.RawMessage) error
	// commits says that nothing is undone once do has returned nil.
	commits bool
}

// steps is the transaction of DESIGN 6, steps 2 to 9, in order. Step 1 (lock,
// recovery, preconditions) is in Apply; 10 and 11 come after the commit.
func steps() []step {
	return []step{
		{name: "prepare", title: "Check the host", do: (*run).precheck},
		{name: "fetch", title: "Fetch the image", plan: (*run).planFetch, do: (*run).fetch, undo: undoFetch},
		{name: "extract", title: "Read the app's files", plan: (*run).planContainers, do: (*run).extract, undo: undoContainers},
		{name: "settings", title: "Apply the settings", plan: (*run).planSettings, do: (*run).applySettings, undo: undoSettings},
		{name: "services", title: "Link the services", plan: (*run).planServices, do: (*run).linkServices, undo: undoServices},
		{name: "release", title: "Release", plan: (*run).planContainers, do: (*run).release, undo: undoRelease},
		{name: "start", title: "Start the containers", plan: (*run).planStart, do: (*run).start, undo: undoStart},
		{name: "check", title: "Check the containers", do: (*run).check},
		{name: "switch", title: "Switch the traffic", plan: (*run).planSwitch, do: (*run).switchTraffic, undo: undoSwitch},
		{name: "record", title: "Record the release", plan: (*run).planRecord, do: (*run).record, undo: undoRecord, commits: true},
	}
}

// Marks of the transaction in a journal, beside the steps' own.
const (
	markLocked   = "locked"   // the lock was had: from here on there is something to recover
	markRecorded = "recorded" // the release is current: nothing is undone any more
	markRetire   = "retire"   // old containers; done when they are gone
	markVerdict  = "verdict"
	stateBegin   = "begin"
	stateDone    = "done"
	stateUndone  = "undone"
)

// perform runs one step between its marks.
func (r *run) perform(ctx context.Context, s step) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	begun := time.Now()
	r.tellStep(s, api.StepStarted, 0, "")
	var undo any
	if s.plan != nil {
		var err error
		if undo, err = s.plan(r, ctx); err != nil {
			r.tellStep(s, api.StepFailed, time.Since(begun), err.Error())
			return err
		}
	}
	if s.undo != nil {
		if err := r.mark(s.name, stateBegin, undo); err != nil {
			return err
		}
	}
	err := s.do(r, ctx)
	took := time.Since(begun)
	if err != nil {
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
		r.tellStep(s, api.StepFailed, took, api.AsError(err).Message)
		return err
	}
	if s.undo != nil {
		if err := r.mark(s.name, stateDone, nil); err != nil && !s.commits {
			return err
		}
	}
	r.times = append(r.times, api.StepTime{Name: s.name, DurationMS: took.Milliseconds()})
	r.tellStep(s, api.StepDone, took, "")
	return nil
}

// begun is a step found in a journal, with what its undo needs.
type begun struct {
	name string
	undo json.RawMessage
}

// undoAll takes back what was begun, last first. It goes on after a failure, so
// that as much as possible is as before, and returns all failures. All of it together
// has undoTime: an engine that hangs fails an undo, and the next recovery tries again.
func (h *Host) undoAll(ctx context.Context, app string, done []begun, tell func(s step, status api.StepStatus, took time.Duration, detail string), mark func(name, state string, undo any) error) error {
	byName := map[string]step{}
	for _, s := range steps() {
		byName[s.name] = s
	}
	var failures []error
	most := h.undoTime()
	deadline := time.Now().Add(most)
	for i := len(done) - 1; i >= 0; i-- {
		s, known := byName[done[i].name]
		if !known || s.undo == nil {
			failures = append(failures, fmt.Errorf("step %q of the journal has no undo in this version of the agent", done[i].name))
			continue
		}
		start := time.Now()
		// What needs no engine that hangs is still to be undone when the time is over.
		if soonest := start.Add(most / 20); deadline.Before(soonest) {
			deadline = soonest
		}
		if err := h.undoOne(ctx, s, app, done[i].undo, deadline); err != nil {
			failures = append(failures, fmt.Errorf("undo %s: %w", s.name, err))
			tell(s, api.StepFailed, time.Since(start), "undo: "+err.Error())
			if errors.Is(err, errStillCurrent) {
				break // what it runs on must stay
			}
			continue
		}
		if err := mark(s.name, stateUndone, nil); err != nil {
			failures = append(failures, err)
		}
		tell(s, api.StepUndone, time.Since(start), "")
	}
	return errors.Join(failures...)
}

// undoTime is how long an undo waits for an engine or an nginx that does not answer,
// and a push that wins over a running deploy for that to be undone.
const undoTime = 2 * time.Minute

func (h *Host) undoTime() time.Duration {
	if h.Config.UndoTimeout > 0 {
		return time.Duration(h.Config.UndoTimeout) * time.Second
	}
	return undoTime
}

func (h *Host) undoOne(ctx context.Context, s step, app string, undo json.RawMessage, deadline time.Time) error {
	ctx, cancel := context.WithDeadlineCause(ctx, deadline, fmt.Errorf("what it waits for has not answered within %s (undo_timeout in the host's host.json)", h.undoTime()))
	defer cancel()
	err := s.undo(ctx, h, app, undo)
	if cause := context.Cause(ctx); err != nil && cause != nil && !errors.Is(err, cause) {
		err = fmt.Errorf("%w: %w", cause, err)
	}
	return err
}

// decodeUndo reads what a step's plan wrote.
func decodeUndo[T any](data json.RawMessage) (T, error) {
	var undo T
	if err := json.Unmarshal(data, &undo); err != nil {
		return undo, fmt.Errorf("read the journal: %w", err)
	}
	return undo, nil
}
