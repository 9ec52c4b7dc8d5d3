package docker

import (
	"context"
	"errors"
	"fmt"
	"maps"

	"github.com/moby/moby/client"

	"github.com/dokku-push/dokku-push/agent"
)

// Events calls f for each container start and die. It returns nil when ctx ends and
// an error when the engine is lost; to ask again is the caller's.
func (e *Engine) Events(ctx context.Context, f func(agent.ContainerEvent)) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	filters := client.Filters{}.Add("type", "container").Add("event", "start", "die")
	stream := e.api.Events(ctx, client.EventsListOptions{Filters: filters})
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
