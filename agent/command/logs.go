package command

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"regexp"
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
	process := ""
	for n := 0; n < len(call.Args); n++ {
		word := call.Args[n]
		if (word == "-n" || word == "--num" || word == "-p" || word == "--ps") && n+1 < len(call.Args) {
			value := call.Args[n+1]
			call.Args = append(call.Args[:n:n], call.Args[n+2:]...)
			n--
			if word == "-p" || word == "--ps" {
				process = value
				continue
			}
			lines, err := strconv.Atoi(value)
			if err != nil || lines < 1 {
				return api.Errorf(api.Usage, "", "-n wants a number of lines, not %q", value)
			}
			options.Tail = lines
		}
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
	for _, c := range state.Containers {
		label := fmt.Sprintf("%s.%d", c.Process, c.Index)
		if process != "" && process != c.Process && process != label {
			continue
		}
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
