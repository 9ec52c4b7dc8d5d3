package command

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/api"
)

// logsCommands are the rows of this noun.
func logsCommands() []Command {
	return []Command{
		{"logs", "<app> [-h] [-t|--tail] [-n|--num NUM] [-q|--quiet] [-p|--ps PROCESS]", "Display recent log output", logs},
		{"logs:failed", "(<app>|--all)", "Show the output of containers that failed", logsFailed},
		{"logs:report", "[<app>] [<flag>]", "Display a logs report for one or more apps", logsReport},
		{"logs:set", "[--global|<app>] <key> [<value>]", "Set or clear a logs property of an app", logsSet},
	}
}

func logs(ctx context.Context, call *Call) error {
	options := agent.LogOptions{Follow: call.flag("-t", "--tail"), Tail: 100, Timestamps: true}
	plain := call.flag("-q", "--quiet")
	process, _, err := call.option("-p", "--ps")
	if err != nil {
		return err
	}
	if lines, given, err := call.option("-n", "--num"); err != nil {
		return err
	} else if n, wrong := strconv.Atoi(lines); given && (wrong != nil || n < 1) {
		return api.Errorf(api.Usage, "", "-n wants a number of lines, not %q", lines)
	} else if given {
		options.Tail = n
	}
	if n := slices.IndexFunc(call.Args, func(word string) bool { return strings.HasPrefix(word, "-") }); n >= 0 {
		return api.Errorf(api.Usage, "", "unknown flag %s", call.Args[n])
	}
	app, err := call.app(ctx)
	if err != nil {
		return err
	}
	state, err := call.Host.State(ctx, app)
	if err != nil {
		return err
	}
	if len(state.Containers) == 0 {
		return api.Errorf(api.Precondition, "", "App %s has not been deployed", app)
	}
	var (
		wait sync.WaitGroup
		lock sync.Mutex
		last error
	)
	shown := slices.DeleteFunc(state.Containers, func(c api.Container) bool {
		return process != "" && process != c.Process && process != labelOf(c)
	})
	if len(shown) == 0 {
		return api.Errorf(api.Precondition, "", "App %s has no container of the process %s", app, process)
	}
	for _, c := range shown {
		label := labelOf(c)
		wait.Go(func() {
			if err := call.tail(ctx, c.ID, label, options, plain, &lock); err != nil {
				lock.Lock()
				last = fmt.Errorf("read the output of %s: %w", label, err)
				lock.Unlock()
			}
		})
	}
	wait.Wait()
	return last
}

// labelOf is what people call a container: web.1.
func labelOf(c api.Container) string { return fmt.Sprintf("%s.%d", c.Process, c.Index) }

// tail copies one container's lines, each under its process, as
// "2026-11-21T07:00:00Z app[web.1]: text".
func (c *Call) tail(ctx context.Context, id, label string, options agent.LogOptions, plain bool, lock *sync.Mutex) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	reader, writer := io.Pipe()
	go func() { writer.CloseWithError(c.Host.Containers.Logs(ctx, id, options, writer)) }()
	defer reader.Close()
	lines := bufio.NewReader(reader)
	for {
		line, err := lines.ReadString('\n')
		if text := strings.TrimRight(line, "\r\n"); text != "" {
			when, rest, _ := strings.Cut(text, " ")
			if plain {
				text = rest
			} else {
				text = fmt.Sprintf("%s app[%s]: %s", when, label, rest)
			}
			lock.Lock()
			_, writeErr := fmt.Fprintln(c.Out, text)
			lock.Unlock()
			if writeErr != nil {
				return writeErr
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// logSize is docker's max-size.
var logSize = regexp.MustCompile(`^([1-9][0-9]{0,8}[bkmg]?|unlimited)$`)

func logsSet(ctx context.Context, call *Call) error {
	return call.set(ctx, "logs", map[string]check{"max-size": form(logSize, "size of a log, such as 10m or unlimited")})
}

func logsReport(ctx context.Context, call *Call) error {
	global, err := call.settings("--global")
	if err != nil {
		return err
	}
	return call.report(ctx, "logs", func(_ string, settings agent.Settings) ([]reportLine, error) {
		return computed("Logs", "max-size", "unlimited", settings, global, "logs/max-size"), nil
	})
}
