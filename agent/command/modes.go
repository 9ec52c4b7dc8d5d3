package command

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/dokku-push/dokku-push/api"
)

// modesCommands are the rows of what is switched on and off for a whole host.
func modesCommands() []Command {
	return []Command{
		{"events", "[-t]", "Show the last triggers that were fired", events},
		{"events:off", "", "Disable the log of triggers", eventsOff},
		{"events:on", "", "Enable the log of triggers", eventsOn},
		{"trace:off", "", "Disable trace mode", traceOff},
		{"trace:on", "", "Enable trace mode", traceOn},
	}
}

func traceOn(_ context.Context, call *Call) error {
	return call.mode("DOKKU_TRACE", "trace mode", true)
}
func traceOff(_ context.Context, call *Call) error {
	return call.mode("DOKKU_TRACE", "trace mode", false)
}

func eventsOn(_ context.Context, call *Call) error {
	return call.mode("DOKKU_EVENTS", "dokku events logger", true)
}

func eventsOff(_ context.Context, call *Call) error {
	return call.mode("DOKKU_EVENTS", "dokku events logger", false)
}

// mode writes or removes the one file in .dokkurc that is a mode (PLUGIN-CONTRACT 2.1).
func (c *Call) mode(variable, what string, on bool) error {
	if err := c.noMore(); err != nil {
		return err
	}
	file := filepath.Join(c.Host.Places.Root, ".dokkurc", variable)
	var err error
	if on {
		if err = os.MkdirAll(filepath.Dir(file), 0o755); err == nil {
			err = os.WriteFile(file, []byte("export "+variable+"=1\n"), 0o644)
		}
		c.say("Enabling %s", what)
	} else {
		if err = os.Remove(file); errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
		c.say("Disabling %s", what)
	}
	if err != nil {
		return fmt.Errorf("change the %s: %w", what, err)
	}
	return nil
}

// The log's last lines that are shown, and how often it is looked at for more.
const (
	lastEvents = 100
	eventEvery = 200 * time.Millisecond
)

func events(ctx context.Context, call *Call) error {
	follow := call.flag("-t", "--tail")
	if err := call.noMore(); err != nil {
		return err
	}
	path := filepath.Join(call.Host.Places.Logs, "events.log")
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) && !follow {
		return api.Errorf(api.Precondition, "", "There are no events yet").WithHint("events:on makes a log of them")
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("read the events: %w", err)
	}
	lines := bytes.SplitAfter(text, []byte("\n"))
	for _, line := range lines[max(0, len(lines)-lastEvents-1):] {
		if _, err := call.Out.Write(line); err != nil {
			return err
		}
	}
	for offset := int64(len(text)); follow; {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(eventEvery):
		}
		n, err := copyFrom(call.Out, path, offset)
		if err != nil {
			return err
		}
		offset += n
	}
	return nil
}

// copyFrom writes what a file has from an offset on; one that is not there has nothing.
func copyFrom(out io.Writer, path string, offset int64) (int64, error) {
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	} else if err != nil {
		return 0, err
	}
	defer file.Close()
	if _, err := file.Seek(offset, io.SeekStart); err != nil {
		return 0, err
	}
	return io.Copy(out, file)
}
