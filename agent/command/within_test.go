package command

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"

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
	for _, line := range []string{"tags:deploy shop other", "git:from-image shop team/other:1"} {
		if _, problem, err = doWithin(ctx, t, call, line); err == nil || api.AsError(err).Code != api.Locked || problem != "" {
			t.Errorf("%s says %q, %v", line, problem, err)
		}
	}
}
