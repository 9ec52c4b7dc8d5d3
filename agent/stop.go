package agent

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/dokku-push/dokku-push/api"
)

// Stop stops all containers of an app and leaves them, its image and its site where
// they are; ps:start or a push brings it back. It is noted before it begins: whatever cuts
// it off, the next command on the app or the watch goes on with it, unless that is a deploy
// that starts the app again.
func (h *Host) Stop(ctx context.Context, app string, by Caller) error {
	if err := h.Exists(app); err != nil {
		return err
	}
	return h.withLock(ctx, app, by, 0, func(ctx context.Context) error {
		if err := h.fire(ctx, "scheduler-stop", scheduler, app); err != nil {
			return err
		}
		if err := h.noteStop(app); err != nil {
			return err
		}
		if err := h.endStop(ctx, app); err != nil {
			return api.Errorf(api.Unclassified, "stop "+app, "%w", err).
				WithHint("the watch goes on with it, and so does ps:stop; ps:start %s takes it back", app)
		}
		return h.fire(ctx, "post-stop", app)
	})
}

// stopNote is there while an app is being stopped.
func (h *Host) stopNote(app string) string {
	return filepath.Join(h.Places.AppData(app), "stopping")
}

func (h *Host) noteStop(app string) error {
	err := os.MkdirAll(h.Places.AppData(app), 0o755)
	if err == nil {
		err = writeFile(h.stopNote(app), nil, 0o600)
	}
	if err != nil {
		return fmt.Errorf("note that %s is to stop: %w", app, err)
	}
	return nil
}

// dropStop says that an app has stopped, or is not to any more.
func (h *Host) dropStop(app string) error {
	if err := os.Remove(h.stopNote(app)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("forget that %s was to stop: %w", app, err)
	}
	return nil
}

// endStop stops an app of which that is noted. Its lock is the caller's.
func (h *Host) endStop(ctx context.Context, app string) error {
	if _, err := os.Lstat(h.stopNote(app)); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	_, settings, err := h.Settings.Change(app, func(now *Settings) error {
		*now = now.clone()
		now.Properties["ps/restore"] = "false"
		return nil
	})
	if err != nil {
		return fmt.Errorf("write the settings of %s: %w", app, err)
	}
	if err := h.Traffic.Point(ctx, app, nil, true); err != nil {
		return fmt.Errorf("take %s out of the address map: %w", app, err)
	}
	running, err := h.instances(ctx, app)
	if err != nil {
		return err
	}
	for _, i := range running {
		if err := ignoreNotFound(h.Containers.Stop(ctx, i.ID, stopTimeout(settings, i.Process))); err != nil {
			return fmt.Errorf("stop %s: %w", i.Name, err)
		}
	}
	return h.dropStop(app)
}
