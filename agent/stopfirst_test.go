package agent_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/api"
)

// TestChecksDisabled: a process type whose checks are disabled never runs twice: its old
// containers stop before the new ones start; a deploy that fails after that brings them back.
func TestChecksDisabled(t *testing.T) {
	for _, fails := range []bool{false, true} {
		w := deployed(t)
		change := deploy(w, 2)
		change.Document.Declared.Checks = map[string]string{"disabled": "web"}
		if fails {
			w.unhealthy = errors.New("not well")
		}
		before := observed(t, w)
		worker := w.process(0)
		var verdict api.Verdict
		var err error
		worker.run(func(h *agent.Host) { verdict, err = h.Apply(context.Background(), change) })
		must(t, err)
		stop, start := slices.Index(worker.acts, "stop"), slices.Index(worker.acts, "start")
		if stop < 0 || start < 0 {
			t.Fatalf("acts %v", worker.acts)
		}
		// The release task's container starts by run: the first start is the new web's.
		if stop > start {
			t.Errorf("the new container started before the old one was stopped: %v", worker.acts)
		}
		if verdict.OK == fails {
			t.Errorf("verdict %+v", verdict)
		}
		if diff := cmp.Diff(before, observed(t, w)); fails && diff != "" {
			t.Errorf("after the failure it is not as before:\n%s", diff)
		}
	}
}
