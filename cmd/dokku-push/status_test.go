package main

import (
	"strings"
	"testing"

	"github.com/dokku-push/dokku-push/api"
)

// TestOutcome: what was not undone is not called so.
func TestOutcome(t *testing.T) {
	for want, verdict := range map[string]*api.Verdict{
		"still running":               nil,
		"v3 is live":                  {OK: true, Changed: true, Release: 3},
		"v3 is live, but: ":           {OK: true, Changed: true, Release: 3, Error: api.Errorf(api.HookFailed, "", "no")},
		"failed, undone: ":            {Error: api.Errorf(api.Unhealthy, "", "no")},
		"failed, and needs a person:": {Error: api.Errorf(api.UndoFailed, "", "no")},
	} {
		if got := outcome(verdict); !strings.HasPrefix(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
