package agent

import (
	"context"
	"fmt"
	"time"
)

// queueWait is how long what a trigger has asked for waits for the deploy that it is in.
const queueWait = time.Hour

// Queue prepares a redeploy that a trigger of a deploy of the same app asks for. Once that
// deploy's release is current, it has used its settings: the change is to be started then,
// and waits for the lock (DESIGN 6, Nested calls). later tells that there is such a deploy,
// start that it is this one. There is none before the release is current, and none within a
// deploy that was asked for in this way itself: a plugin that asks in each would never be done.
func (h *Host) Queue(ctx context.Context, change *Change) (start, later bool, err error) {
	deploy := nestedIn(ctx)
	if !h.isLive(change.App, deploy) {
		return false, false, nil
	}
	requests, err := h.Ledger.Requests(change.App)
	if err != nil {
		return false, false, fmt.Errorf("list the journals of %s: %w", change.App, err)
	}
	for _, request := range requests {
		entries, err := h.Ledger.ReadJournal(change.App, request, 0)
		if err != nil || len(entries) == 0 || entries[0].Begin == nil {
			continue // it is another's, and was removed in between
		}
		switch begin := entries[0].Begin; {
		case request == deploy && begin.After != "":
			return false, false, nil
		case begin.After == deploy && verdictOf(entries) == nil && begin.lives():
			return false, true, nil
		}
	}
	change.After, change.LockWait = deploy, queueWait
	return true, true, nil
}
