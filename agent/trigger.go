package agent

import (
	"context"
	"fmt"
	"time"
)

// triggerTimeout is how long the plugins have for one trigger when the host's
// configuration says nothing else. It is there for those that would never end.
const triggerTimeout = 10 * time.Minute

// trigger walks the plugins of a trigger. Who does not end in time is stopped; the error
// then says so, beside the name of the plugin.
func (h *Host) trigger(ctx context.Context, name string, args []string, streams Streams) error {
	most := triggerTimeout
	if h.Config.TriggerTimeout > 0 {
		most = time.Duration(h.Config.TriggerTimeout) * time.Second
	}
	ctx, cancel := context.WithTimeoutCause(ctx, most, fmt.Errorf("it did not end within %s (trigger_timeout in the host's host.json)", most))
	defer cancel()
	return h.Walk.Trigger(ctx, name, args, streams)
}
