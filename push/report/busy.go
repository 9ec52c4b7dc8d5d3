package report

import (
	"slices"
	"time"

	"github.com/dokku-push/dokku-push/api"
)

// busy is what a push is at, or waits for.
type busy struct {
	open    []string // titles of the steps that have begun and not ended
	current string   // in words; empty before anything has begun
	since   time.Time
}

// step notes what goes on: a step that has begun and not ended, else what comes after the
// last one that has.
func (b *busy) step(step api.Step) {
	b.open = slices.DeleteFunc(b.open, func(title string) bool { return title == step.Title })
	if step.Status == api.StepStarted {
		b.open = append(b.open, step.Title)
	}
	now := "still busy after: " + step.Title
	if len(b.open) > 0 {
		now = "still at: " + b.open[len(b.open)-1]
	}
	if now != b.current {
		b.current, b.since = now, time.Now()
	}
}
