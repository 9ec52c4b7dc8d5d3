package push

import (
	"slices"
	"testing"

	"github.com/dokku-push/dokku-push/api"
)

// TestMoved: each part of a plan that somebody has looked at binds, be it that the state of
// the app is still the same.
func TestMoved(t *testing.T) {
	t.Parallel()
	plan := func(change func(*api.Plan)) api.Plan {
		p := api.Plan{App: "shop", Current: 1, Next: 2, State: "s", Document: "d", Nginx: "+ server", Changes: []api.PlanChange{
			{Kind: "config", Name: "A", Action: api.Update, Before: "1", After: "2"}}, Runs: []api.PlannedRun{{Kind: "trigger", Name: "pre-deploy", Plugins: []string{"a"}}}}
		change(&p)
		return p
	}
	seen := plan(func(*api.Plan) {})
	for name, test := range map[string]struct {
		change func(*api.Plan)
		want   []string
	}{
		"nothing":        {func(p *api.Plan) { p.Ship, p.Warnings = &api.PlannedShip{Layers: 1}, []string{"disk"} }, nil},
		"another app":    {func(p *api.Plan) { p.App = "other" }, []string{"the plan is for the app shop, this is other"}},
		"the state":      {func(p *api.Plan) { p.State = "t" }, []string{"the host has changed since the plan was made"}},
		"the document":   {func(p *api.Plan) { p.Document = "e" }, []string{"what is to be deployed has changed since the plan was made"}},
		"a release":      {func(p *api.Plan) { p.Current = 2 }, []string{"v2 is live now, not v1"}},
		"a value":        {func(p *api.Plan) { p.Changes[0].Before = "3" }, []string{"planned: change config A: 1 → 2; now: change config A: 3 → 2"}},
		"another change": {func(p *api.Plan) { p.Changes[0].Name = "B" }, []string{"not in the plan: change config B: 1 → 2", "no longer to do: change config A: 1 → 2"}},
		"a plugin":       {func(p *api.Plan) { p.Runs[0].Plugins = []string{"a", "b"} }, []string{"planned: trigger pre-deploy (a); now: trigger pre-deploy (a, b)"}},
		"a script": {func(p *api.Plan) {
			p.Runs = append(p.Runs, api.PlannedRun{Kind: "script", Name: "release", Command: "x"})
		}, []string{"not in the plan: script release: x"}},
		"nginx": {func(p *api.Plan) { p.Nginx = "+ other" }, []string{"the app's nginx file would become another one"}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := Moved(seen, plan(test.change)); !slices.Equal(got, test.want) {
				t.Errorf("moved %q, want %q", got, test.want)
			}
		})
	}
}
