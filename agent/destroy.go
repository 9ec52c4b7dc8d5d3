package agent

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/dokku-push/dokku-push/api"
)

// markDestroy is in a journal of its own as soon as an app is to go; done when the
// plugins are about to be told. The journal goes with the app.
const (
	markDestroy = "destroy"
	kindDestroy = "destroy"
)

// Destroy removes an app with everything that belongs to it. From the moment at which
// that is in the journal there is no way back: whatever cuts it off, the next command on
// the app, the next recovery or the next Destroy goes on with it.
func (h *Host) Destroy(ctx context.Context, app string, by Caller) error {
	if err := h.Exists(app); err != nil {
		return err
	}
	if err := h.endDestroy(ctx, app); err != nil || h.Exists(app) != nil {
		return err
	}
	if err := h.fire(ctx, "pre-delete", app, tag); err != nil {
		return err
	}
	err := h.withLock(ctx, app, by, 0, func(ctx context.Context) error {
		journal, err := h.beginDestroy(app, by)
		if err != nil {
			return err
		}
		err = h.destroy(ctx, app, func() error {
			if err := journal.Write(destroyMark(stateDone)); err != nil {
				return fmt.Errorf("write the journal: %w", err)
			}
			return h.fire(ctx, "post-delete", app, tag)
		})
		return errors.Join(err, journal.Close())
	})
	if err != nil && h.Exists(app) != nil && api.AsError(err).Code == api.Locked {
		return nil // somebody else has removed it meanwhile
	}
	if err == nil {
		err = h.fire(ctx, "cron-write")
	}
	return err
}

// beginDestroy notes in a new journal that the app is to go.
func (h *Host) beginDestroy(app string, by Caller) (Journal, error) {
	suffix, err := drawn(8)
	if err != nil {
		return nil, err
	}
	request := kindDestroy + "-" + suffix
	journal, _, err := h.Ledger.Begin(app, request)
	if err != nil {
		return nil, fmt.Errorf("open the journal: %w", err)
	}
	begin := Entry{Time: time.Now(), Begin: &Begin{App: app, Request: request, Kind: kindDestroy, By: by, PID: ownPID(), Born: born(ownPID())}}
	if err = journal.Write(begin); err == nil {
		err = journal.Write(destroyMark(stateBegin))
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("write the journal: %w", err), journal.Close())
	}
	return journal, nil
}

func destroyMark(state string) Entry {
	return Entry{Time: time.Now(), Mark: &Mark{Step: markDestroy, State: state}}
}

// destroy removes everything of an app, its journals last but for its folder. All of it
// may be gone already. tell tells the plugins, once the containers are gone.
func (h *Host) destroy(ctx context.Context, app string, tell func() error) error {
	if err := h.removeContainers(ctx, app); err != nil {
		return err
	}
	if err := tell(); err != nil {
		return err
	}
	if err := h.Proxy.Remove(ctx, app); err != nil {
		return fmt.Errorf("remove the nginx site: %w", err)
	}
	if err := h.Traffic.Forget(ctx, app); err != nil {
		return fmt.Errorf("give the addresses back: %w", err)
	}
	if err := h.removeImages(ctx, app); err != nil {
		return err
	}
	if err := h.Blobs.Forget(app); err != nil {
		return fmt.Errorf("remove the received layers: %w", err)
	}
	if err := h.Settings.Destroy(app); err != nil && !errors.Is(err, ErrNotFound) {
		return fmt.Errorf("remove the files of %s: %w", app, err)
	}
	return nil
}

// destroying tells whether a journal is that of an app that is to go, and whether the
// plugins were told.
func destroying(entries []Entry) (begun, told bool) {
	for _, entry := range entries {
		if entry.Mark != nil && entry.Mark.Step == markDestroy {
			begun = true
			told = told || entry.Mark.State == stateDone
		}
	}
	return begun, told
}

// goOn finishes what was cut off. No plugin is told twice.
func (h *Host) goOn(ctx context.Context, app string, told bool) error {
	return h.destroy(ctx, app, func() error {
		if told {
			return nil
		}
		return h.fire(ctx, "post-delete", app, tag)
	})
}

// endDestroy finishes the removal of an app that was cut off, if it was, and that of a
// copy that was never whole.
func (h *Host) endDestroy(ctx context.Context, app string) error {
	requests, err := h.Ledger.Requests(app)
	if err != nil {
		return fmt.Errorf("list the journals of %s: %w", app, err)
	}
	for _, request := range requests[max(0, len(requests)-mostJournals):] {
		entries, err := h.Ledger.ReadJournal(app, request, 0)
		if errors.Is(err, ErrNotFound) {
			continue // it was removed in between
		} else if err != nil {
			return fmt.Errorf("read the journal of %s: %w", request, err)
		}
		begun, _ := destroying(entries)
		if _, copied := copyIn(request, entries); begun || copied {
			return h.Recover(ctx, app)
		}
	}
	return nil
}

// removed is for who finds that the app is gone once what was cut off is finished.
func removed(app string) *api.Error {
	return api.Errorf(api.Locked, "look at the app", "%s was being removed, and is gone now", app).
		WithHint("push again, and it is made anew")
}
