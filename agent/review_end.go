package agent

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/manifest"
)

// RemoveReview removes a review app; parent, unless it is empty, must be its parent. Its
// pr-predestroy runs before, once. Nothing is done where there is no such app: gone tells
// whether there was one. What was begun is ended by the next call, or by the watch.
func (h *Host) RemoveReview(ctx context.Context, app, parent string, by Caller) (gone bool, err error) {
	return h.removeReview(ctx, app, by, func(review Review) error {
		if parent != "" && review.Parent != parent {
			return api.Errorf(api.Precondition, opReviewDown, "%s is a review app of %s, not of %s", app, review.Parent, parent)
		}
		return nil
	})
}

var errStillWanted = errors.New("it was given more time")

func (h *Host) removeReview(ctx context.Context, app string, by Caller, may func(Review) error) (gone bool, err error) {
	if !h.Settings.Has(app) {
		return false, nil
	}
	told := false
	_, _, err = h.Settings.Change(app, func(now *Settings) error {
		review, is := reviewOf(app, *now)
		if !is {
			return api.Errorf(api.Precondition, opReviewDown, "%s is no review app", app).WithHint("apps:destroy removes any app")
		}
		if err := may(review); err != nil {
			return err
		}
		*now = now.clone()
		if told = now.Properties[ReviewGoing] == goingTold; !told {
			now.Properties[ReviewGoing] = goingBegun
		}
		return nil
	})
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	if err == nil && !told {
		err = h.withLock(ctx, app, by, 0, func(ctx context.Context) error { return h.predestroy(ctx, app) })
	}
	if err == nil {
		err = h.Destroy(ctx, app, by)
	}
	if err != nil && !h.Settings.Has(app) && slices.Contains([]api.Code{api.Locked, api.NotFound}, api.AsError(err).Code) {
		err = nil // somebody else has removed it meanwhile
	}
	if err == nil {
		h.removeLogs(app)
	}
	return err == nil, err
}

// removeLogs removes what nginx has written about an app, rotated or not. Where nginx's
// folder is root's alone, logrotate does it in its time.
func (h *Host) removeLogs(app string) {
	dir := h.Config.Nginx.LogDir
	if dir == "" {
		dir = "/var/log/nginx"
	}
	for _, kind := range []string{"access", "error"} {
		found, _ := filepath.Glob(filepath.Join(dir, app+"-"+kind+".log*"))
		for _, path := range found {
			_ = os.Remove(path)
		}
	}
}

// mostPredestroy is how long pr-predestroy may take.
const mostPredestroy = 10 * time.Minute

// predestroy runs the app.json script of that name in the current release. That it fails is
// told and keeps nothing: the app goes.
func (h *Host) predestroy(ctx context.Context, app string) error {
	settings, err := h.Settings.Read(app)
	if err != nil {
		return fmt.Errorf("read the settings of %s: %w", app, err)
	}
	current, err := h.currentRecord(app)
	if err != nil {
		return err
	}
	appJSON, _ := manifest.ParseAppJSON("app.json", []byte(settings.AppJSON))
	if current != nil && appJSON != nil && appJSON.Scripts.Predestroy != "" {
		streams := StreamsOf(ctx)
		timed, cancel := context.WithTimeout(ctx, mostPredestroy)
		exit, err := h.RunOnce(timed, app, scriptCommand(appJSON.Scripts.Predestroy), map[string]string{"DYNO": "pr-predestroy"}, streams)
		cancel()
		if ctx.Err() != nil {
			return context.Cause(ctx) // nobody knows how far it came: it runs again
		}
		if err == nil && exit != 0 {
			err = fmt.Errorf("it exited with code %d", exit)
		}
		if err != nil && streams.Err != nil {
			fmt.Fprintf(streams.Err, " !     pr-predestroy of %s: %v\n", app, err)
		}
	}
	_, _, err = h.Settings.Change(app, func(now *Settings) error {
		*now = now.clone()
		now.Properties[ReviewGoing] = goingTold
		return nil
	})
	if err != nil {
		return fmt.Errorf("write the settings of %s: %w", app, err)
	}
	return nil
}

// ExpireReviews removes the review apps whose time is over and those whose removal was cut
// off: of one parent where it is not empty, and of the names where there are some. One that is being deployed is left for the
// next time. It returns what has gone.
func (h *Host) ExpireReviews(ctx context.Context, parent string, now time.Time, by Caller, names ...string) (gone []string, err error) {
	found, err := h.Reviews(parent)
	failures := []error{err}
	for _, review := range found {
		if !review.Expired(now) || len(names) > 0 && !slices.Contains(names, review.Name) {
			continue
		}
		removed, err := h.removeReview(ctx, review.Name, by, func(at Review) error {
			if !at.Expired(now) {
				return errStillWanted
			}
			return nil
		})
		switch {
		case errors.Is(err, errStillWanted), err != nil && api.AsError(err).Code == api.Locked:
		case err != nil:
			failures = append(failures, fmt.Errorf("remove the review app %s: %w", review.Name, err))
		case removed:
			gone = append(gone, review.Name)
		}
	}
	return gone, errors.Join(failures...)
}
