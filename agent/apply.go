package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/dokku-push/dokku-push/api"
)

// Apply carries out one change as a transaction and returns its verdict, which is in
// the request's journal too. Whatever fails before the release is recorded is
// taken back; whatever fails after is reported with the code HookFailed. It is
// called in a process of its own, which outlives the client.
//
// After the verdict, and after the app's lock is free again, it waits until
// the old containers have no connection left and retires them.
func (h *Host) Apply(ctx context.Context, c Change) (api.Verdict, error) {
	if err := h.endDestroy(ctx, c.App); err != nil {
		return api.Verdict{}, err
	}
	journal, existed, err := h.Ledger.Begin(c.App, c.Request)
	if err != nil {
		return api.Verdict{}, fmt.Errorf("open the journal: %w", err)
	}
	defer journal.Close()
	if existed {
		return api.Verdict{}, api.Errorf(api.Usage, "start", "request %s exists already", c.Request)
	}
	r := &run{Host: h, change: c, journal: journal, document: c.Document, started: time.Now(), exits: map[string]<-chan Exit{}}
	if err := r.open(); err != nil {
		return api.Verdict{}, err
	}
	// Before the lock, which may stop an older deploy, and again under it.
	if err := r.arrives(); err != nil {
		return r.conclude(api.Verdict{Error: api.AsError(err)})
	}
	lock, err := r.lock(ctx)
	if err != nil {
		return r.conclude(failed(err))
	}
	verdict, err := r.conclude(r.transact(ctx))
	if unlockErr := lock.Unlock(); err == nil && unlockErr != nil {
		err = fmt.Errorf("release the lock: %w", unlockErr)
	}
	if verdict.OK && verdict.Changed {
		r.retire(context.WithoutCancel(ctx))
	}
	return verdict, err
}

// open writes who asks for what.
func (r *run) open() error {
	c := r.change
	begin := &Begin{App: c.App, Request: c.Request, Kind: string(c.Kind), Digest: DocumentDigest(c.Document),
		Document: c.Document, By: c.By, PID: ownPID(), Born: born(ownPID()), NewestWins: c.NewestWins, After: c.After}
	if err := r.journal.Write(Entry{Time: r.started, Begin: begin}); err != nil {
		return fmt.Errorf("write the journal: %w", err)
	}
	r.tell(api.Event{Type: api.EventVersion, Version: &api.Version{Protocol: api.Protocol, Request: c.Request, App: c.App}})
	return nil
}

// conclude writes the verdict, once.
func (r *run) conclude(verdict api.Verdict) (api.Verdict, error) {
	verdict.DurationMS = time.Since(r.started).Milliseconds()
	now := time.Now()
	event := &api.Event{Type: api.EventVerdict, Time: now, Verdict: &verdict}
	if err := r.journal.Write(Entry{Time: now, Event: event}); err != nil {
		return verdict, fmt.Errorf("write the verdict: %w", err)
	}
	return verdict, nil
}

// transact is the change between lock and verdict.
func (r *run) transact(ctx context.Context) api.Verdict {
	ctx, stop := r.cancellable(ctx)
	defer stop()
	if err := r.mark(markLocked, stateBegin, nil); err != nil {
		return failed(err)
	}
	r.begun = nil // the lock is no step
	if err := r.Host.recoverLocked(ctx, r.change.App, r.change.Request); err != nil {
		return failed(err)
	}
	if err := r.Host.endStop(ctx, r.change.App); err != nil {
		r.warn("what was to stop still runs: %v", err) // this deploy replaces it
	}
	if err := r.Host.dropStop(r.change.App); err != nil {
		return failed(err)
	}
	if err := r.Host.reconcileLocked(ctx, r.change.App); err != nil {
		if ctx.Err() != nil {
			return failed(context.Cause(ctx))
		}
		r.warn("traffic may not lead to where the containers are: %v", err) // this deploy leads it anew
	}
	if err := r.matches(ctx); err != nil {
		return failed(err)
	}
	if err := r.arrives(); err != nil {
		return failed(err)
	}
	if err := r.load(ctx); err != nil {
		return failed(err)
	}
	if err := errors.Join(r.allowed(), r.returns()); err != nil {
		return failed(err)
	}
	if same, err := r.unchanged(ctx); err != nil {
		return failed(err)
	} else if same {
		return r.stays(ctx)
	}
	for _, s := range steps() {
		if r.skips(s.name) {
			continue
		}
		if err := r.perform(ctx, s); err != nil {
			verdict := r.takeBack(err)
			if errors.Is(err, errUnchanged) && verdict.Error.Code != api.UndoFailed {
				return r.stays(context.WithoutCancel(ctx))
			}
			return verdict
		}
	}
	hooks := r.after(context.WithoutCancel(ctx))
	verdict := r.verdictFor(r.recorded, true)
	verdict.Error = hooks
	return verdict
}

// allowed refuses a change of an app that somebody has locked (apps:lock), and the restart
// of a process type that is not there.
func (r *run) allowed() error {
	app := r.change.App
	if r.settings.Properties["apps/locked"] != "" {
		return api.Errorf(api.Locked, "deploy", "%s is locked", app).WithHint("whoever locked it knows why; apps:unlock %s", app)
	}
	if process := r.change.Process; process != "" && r.settings.Scale[process] == 0 {
		return api.Errorf(api.Precondition, string(r.change.Kind), "%s runs no process of the type %q", app, process)
	}
	return nil
}

// skips tells which steps a kind of change has no use for.
func (r *run) skips(name string) bool {
	return name == "release" && (r.change.Kind == Scale || r.change.Kind == Start) || name == "services" && !r.declaresServices()
}

// takeBack undoes everything begun and says what had failed.
func (r *run) takeBack(cause error) api.Verdict {
	verdict := failed(cause)
	// Nothing may stop an undo half-way: it runs to its end whatever became of ctx.
	_ = r.journal.Yield() // an undo that needs no room does without
	err := r.Host.undoAll(context.Background(), r.change.App, r.begun, r.tellStep, r.mark)
	if err != nil {
		verdict.Error = api.Errorf(api.UndoFailed, "undo the deploy", "%v (it was undone because: %s)", err, verdict.Error).
			WithHint("run `dokku-agent recover %s` on the host once the cause is gone; until then the app may be between two releases", r.change.App)
	}
	if r.current != nil {
		verdict.Release = r.current.Version
	}
	return verdict
}

func failed(err error) api.Verdict {
	if errors.Is(err, context.Canceled) {
		err = api.Errorf(api.Cancelled, "deploy", "cancelled; everything is as it was before")
	}
	return api.Verdict{Error: api.AsError(err)}
}

// stays is the verdict where nothing was to be done.
func (r *run) stays(ctx context.Context) api.Verdict {
	if err := r.address(ctx); err != nil {
		r.warn("%v", err)
	}
	return r.verdictFor(r.current, false)
}

func (r *run) verdictFor(record *Record, changed bool) api.Verdict {
	verdict := api.Verdict{OK: true, Changed: changed, Release: record.Version, Built: record.Built, Run: record.Run}
	if changed && r.current != nil {
		verdict.Previous = r.current.Version
	}
	verdict.URLs = r.urls
	return verdict
}

// matches refuses a change that was planned for another state than the app has now.
func (r *run) matches(ctx context.Context) error {
	if r.change.State == "" {
		return nil
	}
	now, err := r.Host.StateHash(ctx, r.change.App)
	if err != nil {
		return err
	}
	if now != r.change.State {
		return api.Errorf(api.StalePlan, "compare with the plan", "%s has changed since the plan was made", r.change.App).
			WithHint("look at a new plan: dokku-push plan -o plan.json")
	}
	return nil
}

// load reads what the change starts from, and creates an app that is deployed for the
// first time.
func (r *run) load(ctx context.Context) error {
	creates := r.change.Kind.ships()
	half, err := r.Host.halfCreated(r.change.App)
	if errors.Is(err, ErrNotFound) && !creates {
		return NoSuchApp(r.change.App)
	}
	if creates && (half || errors.Is(err, ErrNotFound)) {
		err = r.Host.Create(ctx, r.change.App)
	}
	if err != nil {
		return err
	}
	return r.look()
}

// look reads what the change starts from, and changes nothing.
func (r *run) look() error {
	app := r.change.App
	var err error
	if r.settings, err = r.Settings.Read(app); err != nil {
		return fmt.Errorf("read the settings of %s: %w", app, err)
	}
	global, err := r.Settings.Read("--global")
	if err != nil {
		return fmt.Errorf("read the global settings: %w", err)
	}
	r.global = global.Env
	versions, err := r.Ledger.Versions(app)
	if err != nil {
		return fmt.Errorf("read the releases of %s: %w", app, err)
	}
	r.version, r.firstEver = 1, len(versions) == 0
	if !r.firstEver {
		r.version = versions[len(versions)-1] + 1
	}
	if r.current, err = r.currentRecord(app); err != nil {
		return fmt.Errorf("read the current release of %s: %w", app, err)
	}
	return r.chooseSource()
}

// chooseSource finds the release that the image comes from when no new one was built.
func (r *run) chooseSource() error {
	switch r.change.Kind {
	case Deploy, Tag:
		return nil
	case Promote:
		return r.promoted()
	case Rollback:
		releases, err := r.Ledger.Releases(r.change.App)
		if err != nil {
			return fmt.Errorf("read the releases of %s: %w", r.change.App, err)
		}
		target, err := rollbackTarget(r.change.App, releases, r.current, r.change.Release)
		if err != nil {
			return err
		}
		r.from = target
	default:
		if r.current == nil {
			return api.Errorf(api.Precondition, string(r.change.Kind), "%s has never been deployed", r.change.App).
				WithHint("push it first: dokku-push --app %s", r.change.App)
		}
		r.from = r.current
	}
	r.document = r.from.Document
	return nil
}

// promoted takes what the other app runs, with the settings that this one declared.
func (r *run) promoted() error {
	from, err := r.currentRecord(r.change.From)
	if err != nil {
		return fmt.Errorf("read the current release of %s: %w", r.change.From, err)
	}
	if from == nil {
		return api.Errorf(api.Precondition, "promote", "%s has never been deployed", r.change.From)
	}
	r.from, r.document = from, from.Document
	r.document.Config, r.document.Secrets, r.document.Declared = nil, nil, nil
	if r.current != nil {
		own := r.current.Document
		r.document.Config, r.document.Secrets, r.document.Declared = own.Config, own.Secrets, own.Declared
	}
	return nil
}

// unchanged tells whether what was asked for runs already, just as it would: its plan
// is empty.
func (r *run) unchanged(ctx context.Context) (bool, error) {
	if r.change.Kind != Deploy && r.change.Kind != Promote || r.current == nil || r.current.Built != r.document.Image.ID {
		return false, nil
	}
	if err := r.readFiles(); err != nil {
		return false, err
	}
	outlook, err := r.outlook(ctx, nil)
	if err != nil {
		return false, err
	}
	return outlook.same, nil
}

// cancellable gives a context that ends when somebody asked to cancel the
// request (Host.Cancel). Steps look at it; what is half done is undone.
func (r *run) cancellable(ctx context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	finished := make(chan struct{})
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-finished:
				return
			case <-time.After(100 * time.Millisecond):
			}
			if r.Host.cancelAsked(r.change.App, r.change.Request) {
				cancel(context.Canceled)
				return
			}
		}
	}()
	return ctx, func() { close(finished); <-stopped; cancel(nil) }
}

// begunSteps reads from a journal which steps were begun and are not undone.
func begunSteps(entries []Entry) (steps []begun, locked bool) {
	for _, entry := range entries {
		if entry.Mark == nil {
			continue
		}
		switch {
		case entry.Mark.Step == markLocked:
			locked = true
		case entry.Mark.Step == markRecorded || entry.Mark.Step == markRetire:
		case entry.Mark.State == stateBegin:
			steps = append(steps, begun{name: entry.Mark.Step, undo: json.RawMessage(entry.Mark.Undo)})
		case entry.Mark.State == stateUndone:
			for i := len(steps) - 1; i >= 0; i-- {
				if steps[i].name == entry.Mark.Step {
					steps = append(steps[:i], steps[i+1:]...)
					break
				}
			}
		}
	}
	return steps, locked
}
