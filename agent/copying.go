package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"github.com/dokku-push/dokku-push/api"
)

// An app that is made of another one, by apps:clone or apps:rename, has a journal under
// both names. Until the copy's is done, whoever finds nobody at work on it removes the
// copy; a renamed app's former name goes as soon as it is done. Both go with the act.
const (
	kindCopy  = "copy"
	markCopy  = "copy"  // what is to become of it; done in the copy's journal: it is whole
	markMoved = "moved" // plugins were told to move what they keep
)

// copying is an app To that is being made of an app From.
type copying struct {
	From    string `json:"from"`
	To      string `json:"to"`
	Moves   bool   `json:"moves,omitempty"` // From is to go
	Request string `json:"-"`
}

func newCopy(from, to string, moves bool) (copying, error) {
	suffix, err := drawn(8)
	if err != nil {
		return copying{}, err
	}
	return copying{From: from, To: to, Moves: moves, Request: kindCopy + "-" + suffix}, nil
}

func copyEntryOf(step, state string, c copying) Entry {
	undo, _ := json.Marshal(c) // fails never: it is names
	return Entry{Time: time.Now(), Mark: &Mark{Step: step, State: state, Undo: undo}}
}

// copyIn reads from a journal which copy it is of; false: of none. Of one that was cut off
// before its first word nothing is known, and nothing was done.
func copyIn(request string, entries []Entry) (c copying, is bool) {
	if len(entries) == 0 && strings.HasPrefix(request, kindCopy+"-") {
		return copying{Request: request}, true
	}
	for _, entry := range entries {
		if entry.Mark != nil && entry.Mark.Step == markCopy && json.Unmarshal(entry.Mark.Undo, &c) == nil {
			c.Request = request
			return c, true
		}
	}
	return c, false
}

func marked(entries []Entry, step, state string) bool {
	for _, entry := range entries {
		if entry.Mark != nil && entry.Mark.Step == step && entry.Mark.State == state {
			return true
		}
	}
	return false
}

// makeCopy makes the app To, has fill fill it, and takes it away again when that fails. The
// caller has From's lock.
func (h *Host) makeCopy(ctx context.Context, c copying, by Caller, fill func() error) error {
	if err := h.beginCopy(c.From, c, by); err != nil {
		return errors.Join(err, h.Ledger.RemoveJournal(c.From, c.Request))
	}
	// The journal follows, or this could be another's app.
	if err := h.Settings.Create(c.To); errors.Is(err, fs.ErrExist) {
		return errors.Join(api.Errorf(api.Precondition, "name the app", "Name is already taken"), h.Ledger.RemoveJournal(c.From, c.Request))
	} else if err != nil {
		return errors.Join(err, h.endCopy(context.WithoutCancel(ctx), c))
	}
	err := h.beginCopy(c.To, c, by)
	if err == nil {
		err = h.furnish(ctx, c.To)
	}
	if err == nil {
		err = fill()
	}
	if err == nil {
		err = h.append(c.To, c.Request, copyEntryOf(markCopy, stateDone, c))
	}
	if err != nil && !h.whole(c) {
		return errors.Join(err, h.endCopy(context.WithoutCancel(ctx), c))
	}
	_ = h.endCopy(ctx, c) // it is there: what is left of its journals the next recovery removes
	return nil
}

func (h *Host) beginCopy(app string, c copying, by Caller) error {
	entry := copyEntryOf(markCopy, stateBegin, c)
	entry.Begin = &Begin{App: app, Request: c.Request, Kind: kindCopy, By: by, PID: ownPID(), Born: born(ownPID())}
	return h.append(app, c.Request, entry)
}

// whole tells whether the copy is there for good: the mark may have come through although
// nobody heard of it.
func (h *Host) whole(c copying) bool {
	entries, err := h.Ledger.ReadJournal(c.To, c.Request, 0)
	return err == nil && marked(entries, markCopy, stateDone)
}

// endCopy finishes a copy or removes it, as its journal says. The caller has From's lock.
func (h *Host) endCopy(ctx context.Context, c copying) error {
	entries, err := h.Ledger.ReadJournal(c.To, c.Request, 0)
	switch {
	case errors.Is(err, ErrNotFound):
		if err := h.uncreate(c); err != nil {
			return err
		}
	case err != nil:
		return fmt.Errorf("read the journal of %s: %w", c.Request, err)
	case marked(entries, markCopy, stateDone):
		if c.Moves {
			return nil
		}
		if err := h.Ledger.RemoveJournal(c.To, c.Request); err != nil {
			return err
		}
	default:
		lock, err := h.othersLock(ctx, c.To)
		if err != nil {
			return err
		}
		if err := errors.Join(h.undoCopy(ctx, c, entries), lock.Unlock()); err != nil {
			return err
		}
	}
	return h.Ledger.RemoveJournal(c.From, c.Request)
}

// uncreate removes an app of which nothing but the folder was made.
func (h *Host) uncreate(c copying) error {
	if !h.Settings.Has(c.To) {
		return nil
	}
	half, err := h.halfCreated(c.To)
	if err == nil && half {
		err = h.Settings.Destroy(c.To)
	}
	return err
}

// undoCopy removes a copy that is not whole, under its lock. Plugins take back what they
// have moved.
func (h *Host) undoCopy(ctx context.Context, c copying, entries []Entry) error {
	var err error
	if marked(entries, markMoved, stateBegin) {
		err = h.fire(ctx, "post-app-rename-setup", c.To, c.From)
	}
	return errors.Join(err, h.discard(ctx, c.To))
}

// discard removes an app that was only begun.
func (h *Host) discard(ctx context.Context, app string) error {
	if !h.Settings.Has(app) {
		return nil
	}
	err := errors.Join(h.removeContainers(ctx, app), h.Proxy.Remove(ctx, app), h.Traffic.Forget(ctx, app), h.removeImages(ctx, app))
	if err != nil {
		return err // its files say what is left to do
	}
	return h.Settings.Destroy(app)
}

// othersLock takes the lock of an app beside the one that the caller has. Who holds it does
// so for a moment, or is a deploy that nobody can wait for.
func (h *Host) othersLock(ctx context.Context, app string) (Unlocker, error) {
	lock, holder, err := h.lockForRecovery(ctx, app, func(holder *api.Lock, begun time.Time) bool { return h.short(app, holder, begun) })
	if err == nil && lock == nil {
		err = lockedBy(app, holder)
	}
	return lock, err
}

// recoverCopy goes on with a copy that was cut off, or removes it. The caller has app's lock,
// which is one of its names; gone tells that this name is no more.
func (h *Host) recoverCopy(ctx context.Context, app string, c copying) (gone bool, err error) {
	if c.From == "" {
		return false, h.Ledger.RemoveJournal(app, c.Request)
	}
	if app == c.From {
		if c.Moves && h.whole(c) {
			if own, err := h.Ledger.ReadJournal(c.From, c.Request, 0); err != nil || len(own) > 0 && own[0].Begin.lives() {
				return false, err // who has begun it asks plugins, and goes on
			}
			if err := h.removeRenamed(ctx, c, false); err != nil {
				return false, err
			}
			return true, h.toldRenamed(ctx, c)
		}
		return false, h.endCopy(ctx, c)
	}
	former, err := h.Ledger.ReadJournal(c.From, c.Request, 0)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return false, fmt.Errorf("read the journal of %s: %w", c.Request, err)
	}
	entries, err := h.Ledger.ReadJournal(c.To, c.Request, 0)
	if err != nil {
		return false, fmt.Errorf("read the journal of %s: %w", c.Request, err)
	}
	if len(former) == 0 { // what there was to do under the other name is done
		if entries[0].Begin != nil && entries[0].Begin.lives() {
			return false, nil
		}
		switch {
		case !marked(entries, markCopy, stateDone):
			return true, h.undoCopy(ctx, c, entries)
		case c.Moves:
			return false, h.toldRenamed(ctx, c)
		}
		return false, h.Ledger.RemoveJournal(c.To, c.Request)
	}
	lock, _, err := h.Ledger.Lock(c.From, api.Lock{Key: "recover", PID: ownPID(), Since: time.Now()})
	if err != nil || lock == nil {
		return false, err // whoever has it is at work on it, or looks after it first
	}
	if marked(entries, markCopy, stateDone) {
		_, err = h.recoverCopy(ctx, c.From, c)
	} else if err = h.undoCopy(ctx, c, entries); err == nil {
		gone, err = true, h.Ledger.RemoveJournal(c.From, c.Request)
	}
	return gone, errors.Join(err, lock.Unlock())
}
