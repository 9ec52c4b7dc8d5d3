package agent_test

import (
	"context"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/dokku-push/dokku-push/agent"
)

// aftermath is what happens between a fault and the recovery that comes through.
type aftermath string

const (
	killedAgain aftermath = "the recovery is killed"
	brokenTwice aftermath = "two recoveries are broken"
	rebooted    aftermath = "the machine goes down, and so does the recovery"
	together    aftermath = "two recover at once"
)

func aftermaths() []aftermath { return []aftermath{killedAgain, brokenTwice, rebooted, together} }

// befalls does it to a world, and returns what the last recovery says.
func (a aftermath) befalls(t *testing.T, w *world) error {
	t.Helper()
	switch a {
	case killedAgain:
		_ = recoverApp(t, w, 1+rand.IntN(12))
	case brokenTwice:
		for range 2 {
			modes := []mode{killedBefore, killedAfter, fails, lost, diskFull}
			p := w.process(0)
			p.fault = fault{at: 1 + rand.IntN(25), how: modes[rand.IntN(len(modes))]}
			p.run(func(h *agent.Host) { _ = h.Recover(context.Background(), app) })
		}
	case rebooted:
		w.reboot()
		_ = recoverApp(t, w, 1+rand.IntN(12))
		w.reboot()
		var err error
		w.process(0).run(func(h *agent.Host) { err = h.Mend(context.Background(), app, true) })
		if err != nil {
			return err
		}
	case together:
		var wait sync.WaitGroup
		for range 2 {
			wait.Go(func() { _ = recoverApp(t, w, 0) })
		}
		wait.Wait()
	}
	return recoverApp(t, w, 0)
}

// reboot is the engine and the map gone and back: nothing runs, and nothing leads anywhere.
func (w *world) reboot() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for id, c := range w.containers {
		if c.Running {
			c.Running, c.Status, c.Address = false, "exited", ""
			w.containers[id] = c
		}
	}
	clear(w.points)
}
