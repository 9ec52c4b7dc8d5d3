package agent

import (
	"context"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/dokku-push/dokku-push/api"
)

func ownPID() int { return os.Getpid() }

// lock takes the app's deploy lock. While another holds it the client is told
// who, and it is tried again until the change's patience is over.
func (r *run) lock(ctx context.Context) (Unlocker, error) {
	c := r.change
	holder := api.Lock{Key: c.By.Name, PID: ownPID(), Request: c.Request, RunURL: c.RunURL, Since: time.Now()}
	patience := c.LockWait
	if c.NewestWins {
		patience = max(patience, r.Host.undoTime())
	}
	deadline := time.Now().Add(patience)
	told := ""
	for {
		lock, other, err := r.Ledger.Lock(c.App, holder)
		if err != nil {
			return nil, fmt.Errorf("take the deploy lock of %s: %w", c.App, err)
		}
		if lock != nil {
			return lock, nil
		}
		if !time.Now().Before(deadline) && !r.Host.short(c.App, other, r.started) {
			return nil, lockedBy(c.App, other)
		}
		if other != nil && other.Request != "" && other.Request != told && !r.Host.passing(c.App, other) {
			told = other.Request
			if err := r.outdo(*other); err != nil {
				return nil, err
			}
			r.warn("waiting for %s", describeLock(other))
		}
		if err := r.outdone(); err != nil {
			return nil, err
		}
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-time.After(50 * time.Millisecond):
		}
		if r.Host.cancelAsked(c.App, c.Request) {
			return nil, context.Canceled
		}
	}
}

// outdo asks the deploy that holds the lock to stop, when this one is to win over older
// ones. Another key's deploy is never touched.
func (r *run) outdo(holder api.Lock) error {
	if !r.change.NewestWins {
		return nil
	}
	if !sameKey(holder.Key, r.change.By.Name) {
		r.warn("%s is another key's deploy: it is not stopped", holder.Request)
		return nil
	}
	r.warn("asking request %s to stop: this push is newer", holder.Request)
	return r.Host.Cancel(r.change.App, holder.Request)
}

// outdone gives up waiting when a newer push of the same key waits to win.
func (r *run) outdone() error {
	requests, err := r.Ledger.Requests(r.change.App)
	if err != nil {
		return fmt.Errorf("list the journals of %s: %w", r.change.App, err)
	}
	for _, request := range requests[slices.Index(requests, r.change.Request)+1:] {
		entries, err := r.Ledger.ReadJournal(r.change.App, request, 0)
		if err != nil || len(entries) == 0 || entries[0].Begin == nil || verdictOf(entries) != nil {
			continue // it is being written, or is over
		}
		if begin := entries[0].Begin; begin.NewestWins && sameKey(begin.By.Name, r.change.By.Name) {
			return api.Errorf(api.Cancelled, "wait for the lock", "the newer request %s takes its place; nothing was changed", request)
		}
	}
	return nil
}

// shortAct is how long an act that is no deploy may hold a lock before it counts as one
// that somebody has to be told of.
const shortAct = 10 * time.Second

// short tells whether the lock is held by an act that is over in a moment: the watch, a
// change of domains, a recovery, a deploy that has given its verdict and is about to go.
// Nobody is refused for its sake.
func (h *Host) short(app string, holder *api.Lock, since time.Time) bool {
	return time.Since(since) < shortAct && (holder == nil || holder.Request == "" || h.passing(app, holder))
}

func lockedBy(app string, holder *api.Lock) *api.Error {
	return api.Errorf(api.Locked, "lock "+app, "%s has a deploy lock in place: %s", app, describeLock(holder)).
		WithHint("wait for it, or push with --lock-wait 5m")
}

func describeLock(holder *api.Lock) string {
	if holder == nil {
		return "another process of this host"
	}
	return holder.String()
}

// withLock runs f under the app's deploy lock, for acts that are no releases.
// Inside a trigger of the request or the act that holds the lock it runs at once.
func (h *Host) withLock(ctx context.Context, app string, by Caller, wait time.Duration, f func(ctx context.Context) error) error {
	if h.InsideDeploy(ctx, app) || h.insideAct(ctx, app) {
		return f(ctx)
	}
	begun := time.Now()
	deadline := begun.Add(wait)
	there := h.Exists(app) == nil
	for {
		ours := api.Lock{Key: by.Name, PID: ownPID(), Since: time.Now()}
		lock, other, err := h.Ledger.Lock(app, ours)
		if err != nil {
			return fmt.Errorf("take the deploy lock of %s: %w", app, err)
		}
		if lock != nil {
			err := h.recoverLocked(ctx, app, "")
			if err == nil && there && h.Exists(app) != nil {
				err = removed(app)
			} else if err == nil {
				_, _ = h.endStop(ctx, app), h.reconcileLocked(ctx, app) // the watch tells of it; no command is refused for it
				err = f(addAct(ctx, actOf(app, ours)))
			}
			if unlockErr := lock.Unlock(); err == nil {
				err = unlockErr
			}
			return err
		}
		if !time.Now().Before(deadline) && !h.short(app, other, begun) {
			return lockedBy(app, other)
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// InsideDeploy tells whether ctx is that of a command which a trigger of the app's
// running deploy has started.
func (h *Host) InsideDeploy(ctx context.Context, app string) bool {
	request := nestedIn(ctx)
	if request == "" {
		return false
	}
	holder, err := h.Ledger.Holder(app)
	return err == nil && holder != nil && holder.Request == request
}

// siteFollows tells whether somebody makes the app's site anew, with the settings of that
// moment, when what ctx is for is over: a deploy that has not switched yet, or who makes the site
// just now. Once its release is current a deploy does so no more: what the site is made of
// may change in a trigger that comes after, and counts at once.
func (h *Host) siteFollows(ctx context.Context, app string) bool {
	if MakingSite(ctx) && hasAct(ctx, h.siteAct(app)) {
		return true
	}
	return h.InsideDeploy(ctx, app) && !h.isLive(app, nestedIn(ctx))
}

// isLive tells whether the app's current release is a request's.
func (h *Host) isLive(app, request string) bool {
	current, err := h.currentRecord(app)
	return err == nil && current != nil && current.Request == request
}
