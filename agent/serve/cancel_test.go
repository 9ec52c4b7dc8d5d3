package serve

import (
	"errors"
	"io/fs"
	"os"
	"testing"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/api"
)

// TestCancelOfAnother: who may deploy an app may stop their own deploys of it, and nobody
// else's.
func TestCancelOfAnother(t *testing.T) {
	w := newWire(t)
	for request, by := range map[string]string{"request-of-alice": "alice", "request-of-bob": "bob"} {
		j, _, err := w.Host.Ledger.Begin("shop", request)
		must(t, err)
		must(t, j.Write(agent.Entry{Begin: &agent.Begin{App: "shop", Request: request, Kind: string(agent.Deploy), By: agent.Caller{Name: by}}}))
		must(t, j.Close())
	}
	asked := func(request string) error {
		_, err := os.Stat(w.Host.Places.Journal("shop", request) + ".cancel")
		return err
	}
	status, body := w.ask(t, "DELETE", "/v1/apps/shop/releases/request-of-bob", nil)
	refused(t, status, body, 403, api.Refused, `the deploy of key "bob", and this is "alice"`)
	if err := asked("request-of-bob"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("bob's deploy was asked to stop: %v", err)
	}
	must(t, w.Host.CancelBy(w.By, "shop", "request-of-alice"))
	must(t, asked("request-of-alice"))
}
