package triggers

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"
)

// TestTimeLimit: a hook that hangs, and takes no notice of being asked to end, is ended with
// all that it has started when its time is over; the failure says why.
func TestTimeLimit(t *testing.T) {
	limit := errors.New("its time is over")
	for _, script := range []string{"sleep 600", "sleep 600 & wait", "while :; do sleep 1; done"} {
		walk := walkOf(t, "a", script)
		ctx, cancel := context.WithTimeoutCause(context.Background(), time.Second, limit)
		began := time.Now()
		err := walk.Trigger(ctx, "act", nil, Streams{Out: io.Discard})
		cancel()
		if failure, ok := errors.AsType[*Failure](err); !ok || failure.Plugin != "a" || !strings.Contains(err.Error(), "was stopped in its trigger act: its time is over") {
			t.Errorf("%s: %v", script, err)
		}
		if took := time.Since(began); took > time.Minute {
			t.Errorf("%s: ended after %s", script, took)
		}
	}
}

// TestFlood: what a hook prints goes on as it comes; nothing of it is kept here, and a reader
// that has enough ends the hook and not the host.
func TestFlood(t *testing.T) {
	walk := walkOf(t, "a", "head -c 8000000 /dev/zero")
	count := counter(0)
	must(t, walk.Trigger(context.Background(), "act", nil, Streams{Out: &count}))
	if count != 8_000_000 {
		t.Errorf("%d bytes arrived", count)
	}
	err := walk.Trigger(context.Background(), "act", nil, Streams{Out: full{}})
	if failure, ok := errors.AsType[*Failure](err); !ok || failure.Plugin != "a" {
		t.Errorf("a reader that takes nothing: %v", err)
	}
}

type counter int

func (c *counter) Write(p []byte) (int, error) { *c += counter(len(p)); return len(p), nil }

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("no more") }
