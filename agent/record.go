package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/dokku-push/dokku-push/api"
)

// recordUndo names the release that is about to become current.
type recordUndo struct {
	Version int `json:"version"`
	Former  int `json:"former"` // 0: none
}

func (r *run) planRecord(context.Context) (any, error) {
	undo := recordUndo{Version: r.version}
	if r.current != nil {
		undo.Former = r.current.Version
	}
	return undo, nil
}

// record writes vN and makes it current. That one rename is the commit: before it,
// everything is undone; after it, nothing is.
func (r *run) record(ctx context.Context) error {
	c := r.change
	settings, err := r.Settings.Read(c.App)
	if err != nil {
		return fmt.Errorf("read the settings: %w", err)
	}
	ports := make([]string, len(r.ports))
	for n, port := range r.ports {
		ports[n] = port.String()
	}
	record := Record{Release: api.Release{
		Version: r.version, Request: c.Request, Kind: string(c.Kind), Built: r.built, Run: r.image.ID, Changed: r.changedBy,
		Manifest: r.document.Image.Manifest, Builder: r.document.Builder, Source: r.document.Source,
		By: c.By.Name, Fingerprint: c.By.Fingerprint, Started: r.started, Finished: time.Now(), Steps: r.times, Hooks: r.takeHooks(), HooksPending: true,
		Formation: settings.Scale, Domains: settings.Domains, Ports: ports, Healthy: true,
	}, Settings: settings, Document: r.document}
	if c.Kind == Rollback {
		record.RollbackOf = r.from.Version
	}
	if c.Kind == Tag {
		record.Image = c.Image
	}
	if c.Kind == Promote {
		record.PromotedFrom = promotedFrom(c.From, r.from.Version)
	}
	record.Signature, record.Nonce = r.signs()
	if err := r.Ledger.Save(c.App, record); err != nil {
		return fmt.Errorf("record the release: %w", err)
	}
	if err := r.Ledger.SetCurrent(c.App, r.version); err != nil {
		return fmt.Errorf("make the release current: %w", err)
	}
	r.recorded = &record
	return nil
}

// errStillCurrent says that a release which is to be undone is the current one.
var errStillCurrent = errors.New("the new release is the current one, and the former one cannot be made it")

// undoRecord removes the record of a release that is not to be. It may have become the
// current one all the same: that it is could not be synced, and who asked was told of a failure.
func undoRecord(_ context.Context, h *Host, app string, data json.RawMessage) error {
	undo, err := decodeUndo[recordUndo](data)
	if err != nil {
		return err
	}
	current, err := h.Ledger.Current(app)
	if err != nil {
		return err
	}
	if current == undo.Version {
		if err := h.Ledger.SetCurrent(app, undo.Former); err != nil {
			return fmt.Errorf("%w: %w", errStillCurrent, err)
		}
	}
	return h.Ledger.RemoveRelease(app, undo.Version)
}

// after is step 10: what comes after the commit. Nothing here is undone; the first
// failure is reported, and the rest still runs.
func (r *run) after(ctx context.Context) *api.Error {
	app := r.change.App
	var failures []error
	// Before the verdict, so that no moment is left in which a dead process forgets them.
	if err := r.mark(markRetire, stateBegin, retireMark{Containers: r.old}); err != nil {
		r.warn("should this process die, the former containers stay until the next deploy: %v", err)
	}
	if err := r.followSite(ctx); err != nil {
		failures = append(failures, err)
	}
	if err := r.Host.markDeployed(app); err != nil {
		failures = append(failures, err)
	}
	if r.sent() {
		if err := r.Blobs.Drop(app, r.document.Image.Manifest); err != nil {
			r.warn("the received layers could not be removed: %v", err)
		}
	}
	port, ip := firstWeb(backendsOf(append(append([]instance(nil), r.kept...), r.fresh...)))
	if err := r.fire(ctx, api.HookFailed, "post-deploy", app, port, ip, tag); err != nil {
		failures = append(failures, err)
	}
	if err := r.fire(ctx, api.HookFailed, "cron-write"); err != nil {
		failures = append(failures, err)
	}
	scripts := r.appJSON.Scripts
	if scripts.Postdeploy != "" && !r.skips("release") {
		if _, err := r.script(ctx, "postdeploy", scripts.Postdeploy, false); err != nil {
			failures = append(failures, err)
		}
	}
	if scripts.FirstDeploy != "" && r.settings.Properties["app-json/heroku.postdeploy"] != "executed" {
		if err := r.firstDeploy(ctx, scripts.FirstDeploy); err != nil {
			failures = append(failures, err)
		}
	}
	if err := r.address(ctx); err != nil {
		failures = append(failures, err)
	}
	if err := r.Ledger.SaveHooks(app, r.version, r.takeHooks()); err != nil {
		failures = append(failures, fmt.Errorf("record what became of the hooks: %w", err))
	}
	if len(failures) == 0 {
		return nil
	}
	for _, failure := range failures[1:] {
		r.warn("%v", failure)
	}
	first := api.AsError(failures[0])
	return &api.Error{Code: api.HookFailed, Op: first.Op, Message: first.Message, Failure: first.Failure,
		Hint: "release v" + strconv.Itoa(r.version) + " is live; only what runs after a deploy failed"}
}

// followSite makes the site once more where a trigger of the switch itself (nginx-pre-reload,
// core-post-deploy) has changed the settings that it is made of.
func (r *run) followSite(ctx context.Context) error {
	now, err := r.Settings.Read(r.change.App)
	if err != nil {
		return fmt.Errorf("read the settings: %w", err)
	}
	if sameSite(now, r.settings) {
		return nil
	}
	return r.Host.renewSite(Nested(ctx, r.change.Request), r.change.App)
}

// markDeployed says that the app runs, and is to run again after a restart.
func (h *Host) markDeployed(app string) error {
	_, _, err := h.Settings.Change(app, func(now *Settings) error {
		*now = now.clone()
		now.Properties["common/deployed"], now.Properties["ps/restore"] = "true", "true"
		return nil
	})
	if err != nil {
		return fmt.Errorf("mark %s as deployed: %w", app, err)
	}
	return nil
}

// firstDeploy runs scripts.postdeploy, once in the app's life: it is marked before
// it runs, so that a crash cannot make it run twice.
func (r *run) firstDeploy(ctx context.Context, script string) error {
	_, _, err := r.Settings.Change(r.change.App, func(now *Settings) error {
		*now = now.clone()
		now.Properties["app-json/heroku.postdeploy"] = "executed"
		return nil
	})
	if err != nil {
		return fmt.Errorf("mark scripts.postdeploy as run: %w", err)
	}
	_, err = r.script(ctx, "heroku.postdeploy", script, false)
	return err
}

// rollbackTarget finds the release to go back to.
func rollbackTarget(app string, releases []Record, current *Record, version int) (*Record, error) {
	if current == nil {
		return nil, api.Errorf(api.Precondition, "roll back", "%s has never been deployed", app)
	}
	if version == 0 {
		for n := len(releases) - 1; n >= 0; n-- {
			if releases[n].Version < current.Version && releases[n].Healthy && releases[n].Run != current.Run {
				return &releases[n], nil
			}
		}
		return nil, api.Errorf(api.Precondition, "roll back", "%s has no earlier release with another image", app).
			WithHint("`dokku-push releases` lists them; name one: rollback vN")
	}
	for n := range releases {
		if releases[n].Version == version {
			return &releases[n], nil
		}
	}
	return nil, &api.Error{Code: api.NotFound, Op: "roll back", Message: fmt.Sprintf("%s has no release v%d", app, version),
		Hint: "`dokku-push releases` lists them"}
}

// writeFile replaces a small file by rename. Folders are synced by the journal's
// next mark, which is what undo works from.
func writeFile(path string, text []byte, mode os.FileMode) error {
	temp, err := os.CreateTemp(filepath.Dir(path), fmt.Sprintf(".new-%d-", ownPID()))
	if err != nil {
		return err
	}
	_, err = temp.Write(text)
	err = errors.Join(err, temp.Chmod(mode), temp.Sync(), temp.Close())
	if err == nil {
		err = os.Rename(temp.Name(), path)
	}
	if err != nil {
		os.Remove(temp.Name())
	}
	return err
}
