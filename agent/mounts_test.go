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
	w.process(0).run(func(h *agent.Host) {
		must(t, h.Create(context.Background(), "other"))
		for source, refused := range map[string]bool{
			storage + "/shop": false, storage + "/shop/new": false, storage + "/nobodys": false, "/srv/dokku-push-test": false,
			storage + "/other": true, storage + "/other/deep": true, storage + "/shop/link": true, storage + "/shop/link/cron.d": true, away: true,
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
