package state

import (
	"errors"
	"io/fs"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/api"
)

// TestHooks: what became of a release's hooks is read with it, recorded once, and goes with it.
func TestHooks(t *testing.T) {
	s := newStore(t)
	save := func(version int, pending bool) {
		t.Helper()
		must(t, s.Save("app", agent.Record{Release: api.Release{Version: version, Request: "r", Hooks: []api.HookResult{{Name: "release", DurationMS: 5}}, HooksPending: pending}}))
	}
	read := func(version int, pending bool, want ...api.HookResult) {
		t.Helper()
		record, err := s.Release("app", version)
		must(t, err)
		if diff := cmp.Diff(append([]api.HookResult{{Name: "release", DurationMS: 5}}, want...), record.Hooks); diff != "" || record.HooksPending != pending {
			t.Errorf("v%d: pending %t (-want +got):\n%s", version, record.HooksPending, diff)
		}
	}
	after := api.HookResult{Name: "postdeploy", DurationMS: 7, Error: "it exited with code 3"}
	if err := s.SaveHooks("app", 1, nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("of a release that is not there: %v", err)
	}
	save(1, true)
	before, err := os.ReadFile(s.Places.ReleaseRecord("app", 1))
	must(t, err)
	read(1, true)
	must(t, s.SaveHooks("app", 1, []api.HookResult{after}))
	read(1, false, after)
	if err := s.SaveHooks("app", 1, nil); !errors.Is(err, fs.ErrExist) {
		t.Errorf("once more: %v", err)
	}
	read(1, false, after)
	if text, err := os.ReadFile(s.Places.ReleaseRecord("app", 1)); err != nil || string(text) != string(before) {
		t.Errorf("the record has changed: %s, %v", text, err)
	}
	if info, err := os.Stat(s.Places.ReleaseHooks("app", 1)); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	versions, err := s.Versions("app")
	must(t, err)
	same(t, "versions", []int{1}, versions)

	save(2, true)
	must(t, s.SaveHooks("app", 2, nil)) // none ran: that is known
	read(2, false)
	save(3, false) // by an agent that recorded none
	read(3, false)

	must(t, s.RemoveRelease("app", 1))
	if _, err := os.Stat(s.Places.ReleaseHooks("app", 1)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the removed release's are still there: %v", err)
	}
	save(1, true) // another one of that version
	read(1, true)
}
