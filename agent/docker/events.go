package docker

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/moby/moby/client"

	"github.com/dokku-push/dokku-push/agent"
)

// overlap is how far back Events begins: what is looked at right after the call has no gap
// to what the events tell. An event may be told that was over already.
const overlap = time.Second

// Events calls f for each container start and die, from a moment before the call on. It
// returns nil when ctx ends and an error when the engine is lost; to ask again is the
// caller's.
func (e *Engine) Events(ctx context.Context, f func(agent.ContainerEvent)) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	filters := client.Filters{}.Add("type", "container").Add("event", "start", "die")
	from := time.Now().Add(-overlap)
	since := fmt.Sprintf("%d.%09d", from.Unix(), from.Nanosecond())
	stream := e.api.Events(ctx, client.EventsListOptions{Filters: filters, Since: since})
	for {
		select {
		case message := <-stream.Messages:
			labels := maps.Clone(message.Actor.Attributes)
			for _, own := range []string{"name", "image", "exitCode", "execDuration"} { // the engine's words among the labels
				delete(labels, own)
			}
			f(agent.ContainerEvent{Action: string(message.Action), ID: message.Actor.ID, Labels: labels})
		case err := <-stream.Err:
			if ctx.Err() != nil {
				return nil
			}
			if err == nil {
				err = errors.New("the stream has ended")
			}
			return fmt.Errorf("follow the engine's events: %w", err)
		}
	}
}
