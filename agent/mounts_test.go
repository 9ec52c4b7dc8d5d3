package agent_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/api"
)

// TestForeignMounts: an app may mount its own storage, and neither another app's nor what
// a link leads to; a release document is judged like a command.
func TestForeignMounts(t *testing.T) {
	t.Parallel()
	w := deployed(t)
	storage, away := w.places().Storage(), filepath.Join(t.TempDir(), "away")
	must(t, os.MkdirAll(filepath.Join(storage, "shop"), 0o755))
	must(t, os.Symlink("/etc", filepath.Join(storage, "shop", "link")))
	must(t, os.Symlink("/etc", away))
	must(t, os.Symlink(t.TempDir(), filepath.Join(storage, "moved"))) // to another disk, by the admin
	w.process(0).run(func(h *agent.Host) {
		must(t, h.Create(context.Background(), "other"))
		for source, refused := range map[string]bool{
			storage + "/shop": false, storage + "/shop/new": false, storage + "/nobodys": false, storage + "/moved": false, storage + "/moved/new": false, "/srv/dokku-push-test": false,
			storage: true, filepath.Dir(storage): true, "/": true, storage + "/other": true, storage + "/other/deep": true, storage + "/shop/link": true, storage + "/shop/link/cron.d": true, away: true,
		} {
			if err := h.MayMount(app, source); (err != nil) != refused {
				t.Errorf("%s: %v", source, err)
			}
		}
		change := deploy(w, 2)
		change.Document.Declared.Storage = []string{away + ":/data"}
		verdict, err := h.Apply(context.Background(), change)
		must(t, err)
		if verdict.OK || verdict.Error.Code != api.Refused || !strings.Contains(verdict.Error.Message, "symbolic link") {
			t.Errorf("a document: %+v", verdict.Error)
		}
	})
}

// TestStorageBecomesALink: an app that lays a link in the place of a folder that it was
// allowed to mount gets nothing of the host by it: no deploy, no script and no command.
func TestStorageBecomesALink(t *testing.T) {
	t.Parallel()
	for _, phase := range []string{"deploy", "run"} {
		w := deployed(t)
		folder := filepath.Join(w.places().Storage(), app, "data")
		must(t, os.MkdirAll(filepath.Dir(folder), 0o755))
		must(t, os.Symlink("/etc", folder))
		w.process(0).run(func(h *agent.Host) {
			_, _, err := h.Settings.Change(app, func(now *agent.Settings) error {
				now.Properties["docker-options/_default_."+phase] = "-v " + folder + ":/data"
				return nil
			})
			must(t, err)
			if phase == "run" {
				_, err = h.RunOnce(context.Background(), app, []string{"true"}, nil, agent.Streams{})
			} else {
				var verdict api.Verdict
				verdict, err = h.Apply(context.Background(), deploy(w, 2))
				must(t, err)
				if verdict.Error != nil {
					err = verdict.Error
				}
			}
			if err == nil || api.AsError(err).Code != api.Refused || !strings.Contains(err.Error(), "symbolic link") {
				t.Errorf("%s: %v", phase, err)
			}
		})
	}
}
