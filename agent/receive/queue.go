package receive

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/internal/atomicfile"
	"github.com/dokku-push/dokku-push/internal/dirlock"
)

// holder is who builds.
type holder struct {
	App   string    `json:"app"`
	Key   string    `json:"key"`
	PID   int       `json:"pid"`
	Since time.Time `json:"since"`
}

func (h holder) String() string {
	if h.PID == 0 {
		return "another process of this host"
	}
	return fmt.Sprintf("a push of %s by key %q (pid %d) since %s", h.App, h.Key, h.PID, h.Since.Format(time.RFC3339))
}

// errTaken is why nobody waits for an app's own place.
var errTaken = errTakenType{}

type errTakenType struct{}

func (errTakenType) Error() string { return "taken" }

// claim takes the app's place for a build and its deploy. A second push of the app is
// refused and told who has it: it would be built from what the first one replaces.
func (r *Receiver) claim(ctx context.Context, app string) (release func(), err error) {
	lock, err := r.Host.Ledger.Holder(app)
	if err != nil {
		return nil, fmt.Errorf("look at the deploy lock of %s: %w", app, err)
	}
	if lock != nil && lock.Request != "" && !r.Host.InsideDeploy(ctx, app) {
		return nil, api.Errorf(api.Locked, "", "%s has a deploy lock in place: %s", app, lock).WithHint("push again when it is over")
	}
	dir := filepath.Join(r.Host.Places.AppData(app), "building")
	trying, giveUp := context.WithCancelCause(ctx)
	defer giveUp(nil)
	release, err = r.hold(trying, dir, app, func() { giveUp(errTaken) })
	if errors.Is(err, errTaken) {
		return nil, api.Errorf(api.Locked, "", "%s is being built and deployed: %s", app, holderOf(dir)).WithHint("push again when it is over")
	}
	return release, err
}

// queue waits until no other app of the host is being built.
func (r *Receiver) queue(ctx context.Context, app string) (release func(), err error) {
	dir := filepath.Join(r.Host.Places.Data(), "building")
	return r.hold(ctx, dir, app, func() { r.say("Waiting for the host to finish %s", holderOf(dir)) })
}

// hold locks a folder and signs it.
func (r *Receiver) hold(ctx context.Context, dir, app string, waiting func()) (release func(), err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("make the place for builds: %w", err)
	}
	unlock, err := dirlock.Lock(ctx, dir, waiting)
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(holder{App: app, Key: r.By.Name, PID: os.Getpid(), Since: time.Now()})
	if err == nil {
		err = atomicfile.WriteFile(filepath.Join(dir, "holder.json"), text, 0o644)
	}
	if err != nil {
		unlock()
		return nil, fmt.Errorf("write who builds: %w", err)
	}
	return func() {
		_ = os.Remove(filepath.Join(dir, "holder.json")) // whoever comes next writes it anew
		unlock()
	}, nil
}

func holderOf(dir string) holder {
	var who holder
	if text, err := os.ReadFile(filepath.Join(dir, "holder.json")); err == nil {
		_ = json.Unmarshal(text, &who) // what cannot be read names nobody
	}
	return who
}
