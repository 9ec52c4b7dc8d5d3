package report

import (
	"strings"
	"testing"

	"github.com/dokku-push/dokku-push/api"
)

// TestFailure: lines are announced where there are some.
func TestFailure(t *testing.T) {
	for _, c := range []struct {
		failure api.Failure
		want    string
	}{
		{api.Failure{Container: "web.1", ExitCode: 3, LastLines: []string{"bye"}}, " !     web.1: exit code 3, out of memory: false; its last lines:\n       | bye\n"},
		{api.Failure{Container: "web.1", ExitCode: 137, OOMKilled: true}, " !     web.1: exit code 137, out of memory: true; it printed nothing\n"},
		{api.Failure{Container: "web.1", Running: true}, " !     web.1: still running, out of memory: false; it printed nothing\n"},
	} {
		var out strings.Builder
		Failure(&out, &api.Error{Code: api.Unhealthy, Message: "no", Hint: "mend it", Failure: &c.failure})
		if want := " !     no\n" + c.want + " !     mend it\n"; out.String() != want {
			t.Errorf("%q, want %q", out.String(), want)
		}
	}
}
