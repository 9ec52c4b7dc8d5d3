package command

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/api"
)

// TestWithinDeploy: what a trigger of a deploy asks for in the same app starts no second one:
// settings are saved, as is said, and what is no setting is refused.
func TestWithinDeploy(t *testing.T) {
	h, _ := newHost(t)
	must(t, h.Ledger.Save("shop", agent.Record{Release: api.Release{Version: 1}}))
	must(t, h.Ledger.SetCurrent("shop", 1))
	lock, _, err := h.Ledger.Lock("shop", api.Lock{Request: "request-2", PID: os.Getpid()})
	must(t, err)
	defer func() { must(t, lock.Unlock()) }()
	call := Call{Host: h, Submit: func(context.Context, agent.Change) error { return errors.New("a second deploy") }}
	ctx := agent.Nested(context.Background(), "request-2")

	_, problem, err := doWithin(ctx, t, call, "ps:scale shop web=2")
	if err != nil || !strings.Contains(problem, "the settings are saved") {
		t.Errorf("ps:scale says %q, %v", problem, err)
	}
	settings, err := h.Settings.Read("shop")
	must(t, err)
	if settings.Scale["web"] != 2 {
		t.Errorf("the scale is %v", settings.Scale)
	}
	if _, problem, err = doWithin(ctx, t, call, "ps:scale --skip-deploy shop web=3"); err != nil || problem != "" {
		t.Errorf("ps:scale --skip-deploy says %q, %v", problem, err)
	}
	must(t, h.Ledger.Save("shop", agent.Record{Release: api.Release{Version: 2, Request: "request-2"}}))
	must(t, h.Ledger.SetCurrent("shop", 2))
	var changes []agent.Change
	call.Submit = func(_ context.Context, change agent.Change) error {
		changes = append(changes, change)
		journal, _, err := h.Ledger.Begin("shop", change.Request)
		must(t, err)
		begin := &agent.Begin{App: "shop", Request: change.Request, After: change.After, PID: os.Getppid()}
		must(t, journal.Write(agent.Entry{Time: time.Now(), Begin: begin}))
		return journal.Close()
	}
	for range 2 { // the second finds the first waiting
		if _, problem, err = doWithin(ctx, t, call, "ps:restart shop"); err != nil || !strings.Contains(problem, "deployed once more when that is over") {
			t.Errorf("once the release is current, ps:restart says %q, %v", problem, err)
		}
	}
	if len(changes) != 1 || changes[0].Kind != agent.Restart || changes[0].After != "request-2" || changes[0].LockWait < time.Minute {
		t.Fatalf("what waits is %+v", changes)
	}
	must(t, lock.Unlock())
	lock, _, err = h.Ledger.Lock("shop", api.Lock{Request: changes[0].Request, PID: os.Getpid()})
	must(t, err)
	must(t, h.Ledger.Save("shop", agent.Record{Release: api.Release{Version: 3, Request: changes[0].Request}}))
	must(t, h.Ledger.SetCurrent("shop", 3))
	ctx = agent.Nested(context.Background(), changes[0].Request)
	if _, problem, err = doWithin(ctx, t, call, "ps:restart shop"); err != nil || len(changes) != 1 || !strings.Contains(problem, "no second deploy is started") {
		t.Errorf("within what has waited, ps:restart says %q, %v", problem, err)
	}
	for _, line := range []string{"tags:deploy shop other", "git:from-image shop team/other:1"} {
		if _, problem, err = doWithin(ctx, t, call, line); err == nil || api.AsError(err).Code != api.Locked || problem != "" {
			t.Errorf("%s says %q, %v", line, problem, err)
		}
	}
}
