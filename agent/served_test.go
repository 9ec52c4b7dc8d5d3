package agent_test

import (
	"context"
	"testing"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/api"
)

// TestNoAddressWithoutWeb: where no web container answers, no push, plan or status names an
// address that would say 502; url and urls do, as Dokku's.
func TestNoAddressWithoutWeb(t *testing.T) {
	t.Parallel()
	w := created(t)
	ctx := context.Background()
	w.process(0).run(func(h *agent.Host) {
		worker := deploy(w, 1)
		worker.Document.Procfile = "worker: work\n"
		again := worker
		again.Request = "request-again"
		for n, change := range []agent.Change{worker, again} {
			plan, err := h.Plan(ctx, app, api.PlanRequest{Document: change.Document})
			must(t, err)
			verdict, err := h.Apply(ctx, change)
			must(t, err)
			state, err := h.State(ctx, app)
			must(t, err)
			if !verdict.OK || verdict.Changed != (n == 0) || len(plan.URLs)+len(verdict.URLs)+len(state.URLs) > 0 {
				t.Errorf("push %d: %+v, planned %q, then %q", n, verdict, plan.URLs, state.URLs)
			}
		}
		if all, err := h.Addresses(ctx, app, "urls"); err != nil || len(all) == 0 {
			t.Errorf("urls: %q, %v", all, err)
		}
		verdict, err := h.Apply(ctx, deploy(w, 2))
		must(t, err)
		state, err := h.State(ctx, app)
		must(t, err)
		if !verdict.OK || len(verdict.URLs) == 0 || len(state.URLs) == 0 {
			t.Errorf("with web: %+v, then %q", verdict, state.URLs)
		}
	})
}
