package state

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/api"
)

// TestSweepGone: whichever of its last files a killed Destroy has left, they go; nothing of
// an app that exists, or of one whose lock somebody has, does.
func TestSweepGone(t *testing.T) {
	s := newStore(t)
	must(t, s.Create("lives"))
	_, _, err := s.Change("lives", func(now *agent.Settings) error { *now = full; return nil })
	must(t, err)
	held, _, err := s.Lock("held", api.Lock{Key: "alice", PID: os.Getpid(), Since: time.Now()})
	must(t, err)
	must(t, writeFile(filepath.Join(s.Places.AppData("more"), "settings.lock"), nil, 0o600))
	must(t, writeFile(filepath.Join(s.Places.AppData("more"), "journal", "x.jsonl"), nil, 0o600))
	before := tree(t, s)

	for app, left := range map[string][]string{
		"all":      {s.settingsLock("all"), s.Places.DeployLock("all"), s.holderFile("all")},
		"settings": {s.settingsLock("settings")},
		"deploy":   {s.Places.DeployLock("deploy"), s.holderFile("deploy")},
		"holder":   {s.holderFile("holder")},
		"last":     {s.Places.DeployLock("last")},
	} {
		for _, path := range left {
			must(t, writeFile(path, []byte(`{"key":"bob","pid":999999999}`), 0o600))
		}
		must(t, s.SweepGone())
		for _, folder := range []string{s.Places.AppData(app), filepath.Dir(s.Places.DeployLock(app))} {
			if _, err := os.Lstat(folder); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%s: %s is there (%v)", app, folder, err)
			}
		}
	}
	same(t, "everything else", before, tree(t, s))
	must(t, held.Unlock())
	must(t, s.SweepGone())
	if holder, err := s.Holder("held"); holder != nil || err != nil {
		t.Errorf("the lock of an app to be: %+v, %v", holder, err)
	}
}
