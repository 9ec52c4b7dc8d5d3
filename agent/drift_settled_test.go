package agent_test

import (
	"testing"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/api"
)

// watched is a ledger by which the watch is at the app for the first few questions; then
// it goes.
type watched struct {
	agent.Ledger
	questions int
	goes      func()
}

func (w *watched) Holder(string) (*api.Lock, error) {
	if w.questions--; w.questions > 0 {
		return &api.Lock{Key: "watch"}, nil
	}
	if w.questions == 0 {
		w.goes()
	}
	return nil, nil
}

// TestDriftLooksAgain: what differs while the watch is at the app is not drift; what still
// differs when it has gone is.
func TestDriftLooksAgain(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ address, code string }{
		"the watch starts it again": {"elsewhere", ""},
		"the watch leaves it":       {"", api.DriftStopped},
	} {
		t.Run(name, func(t *testing.T) {
			w := deployed(t)
			former, err := w.find(app + ".web.1")
			must(t, err)
			if test.address != "" {
				test.address = former.Address
			}
			w.move(t, app+".web.1", "")
			var drift api.Drift
			w.process(0).run(func(h *agent.Host) {
				h.Ledger = &watched{Ledger: h.Ledger, questions: 5, goes: func() { w.move(t, app+".web.1", test.address) }}
				drift, err = h.Drift(t.Context(), app)
				must(t, err)
			})
			switch {
			case test.code == "" && len(drift.Findings) > 0:
				t.Errorf("found %+v, which the watch has mended", drift.Findings)
			case test.code != "" && (len(drift.Findings) == 0 || drift.Findings[0].Code != test.code):
				t.Errorf("found %+v, want %s", drift.Findings, test.code)
			}
		})
	}
}
