package command

import (
	"context"
	"errors"
	"io"
	"testing"

	"github.com/dokku-push/dokku-push/agent"
)

// TestTriggersBefore: ps:rebuild is told to who receives apps, ps:start to datastores;
// release-and-deploy to nobody, for a plugin that receives apps ends with it.
func TestTriggersBefore(t *testing.T) {
	h, _ := newHost(t)
	deploy(t, h)
	told := new([]string)
	h.Walk = fired{told: told}
	refused := errors.New("no process is started here")
	call := func() Call {
		return Call{Host: h, Submit: func(context.Context, agent.Change) error { return refused }}
	}
	for line, want := range map[string][]string{"ps:rebuild shop": {"receive-app shop"}, "ps:start shop": {"pre-start shop"}, "ps:restart shop": nil} {
		*told = nil
		if _, _, err := do(t, call(), line); !errors.Is(err, refused) {
			t.Errorf("%s: %v", line, err)
		}
		tells(t, told, want...)
	}
	*told = nil
	again := call()
	again.Args, again.Out, again.Err = []string{"shop"}, io.Discard, io.Discard
	if err := ReleaseAndDeploy(context.Background(), &again); !errors.Is(err, refused) {
		t.Error(err)
	}
	tells(t, told)
}
