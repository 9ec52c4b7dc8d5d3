package docker

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/client"

	"github.com/dokku-push/dokku-push/agent"
)

// isTTY tells whether a container has a terminal: then its output is one stream.
func (e *Engine) isTTY(ctx context.Context, ref string) (bool, error) {
	found, err := e.api.ContainerInspect(ctx, ref, client.ContainerInspectOptions{})
	if err != nil {
		return false, err
	}
	return found.Container.Config != nil && found.Container.Config.Tty, nil
}

// split copies a container's output to where it belongs.
func split(tty bool, from io.Reader, streams agent.Streams) error {
	out, problems := streams.Out, streams.Err
	if out == nil {
		out = io.Discard
	}
	if problems == nil {
		problems = io.Discard
	}
	if tty {
		_, err := io.Copy(out, from)
		return err
	}
	_, err := stdcopy.StdCopy(out, problems, from)
	return err
}

// Logs writes what a container has printed on both its outputs to out. With Follow it
// returns when the container stops, or with ctx's error.
func (e *Engine) Logs(ctx context.Context, ref string, options agent.LogOptions, out io.Writer) error {
	tty, err := e.isTTY(ctx, ref)
	if err != nil {
		return wrap("read the logs of "+ref, err)
	}
	asked := client.ContainerLogsOptions{ShowStdout: true, ShowStderr: true, Follow: options.Follow, Timestamps: options.Timestamps, Tail: "all"}
	if options.Tail > 0 {
		asked.Tail = strconv.Itoa(options.Tail)
	}
	if !options.Since.IsZero() {
		asked.Since = options.Since.Format(time.RFC3339Nano)
	}
	logs, err := e.api.ContainerLogs(ctx, ref, asked)
	if err != nil {
		return wrap("read the logs of "+ref, err)
	}
	defer logs.Close()
	return wrap("read the logs of "+ref, split(tty, logs, agent.Streams{Out: out, Err: out}))
}

// Exec runs a command in a running container; its output goes to out.
func (e *Engine) Exec(ctx context.Context, ref string, command []string, out io.Writer) (int, error) {
	return e.Enter(ctx, ref, command, agent.Streams{Out: out, Err: out})
}

// Enter runs a command in a running container with the three streams and returns its exit
// code.
func (e *Engine) Enter(ctx context.Context, ref string, command []string, streams agent.Streams) (int, error) {
	doing := "run a command in the container " + ref
	created, err := e.api.ExecCreate(ctx, ref, client.ExecCreateOptions{Cmd: command, AttachStdin: streams.In != nil, AttachStdout: true, AttachStderr: true})
	if err != nil {
		return 0, wrap(doing, err)
	}
	attached, err := e.api.ExecAttach(ctx, created.ID, client.ExecAttachOptions{})
	if err != nil {
		return 0, wrap(doing, err)
	}
	err = e.copy(ctx, attached.HijackedResponse, false, streams)
	if err != nil {
		return 0, wrap(doing, err)
	}
	for { // the end of its output comes a moment before its exit code
		state, err := e.api.ExecInspect(ctx, created.ID, client.ExecInspectOptions{})
		if err != nil {
			return 0, wrap(doing, err)
		}
		if !state.Running {
			return state.ExitCode, nil
		}
		select {
		case <-ctx.Done():
			return 0, wrap(doing, context.Cause(ctx))
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// Run attaches to a container that was created, starts it, copies streams and returns
// its exit code. With a terminal, Out carries both outputs. When ctx ends the container is
// left as it is, for the caller to remove.
func (e *Engine) Run(ctx context.Context, ref string, streams agent.Streams) (int, error) {
	doing := "run the container " + ref
	tty, err := e.isTTY(ctx, ref)
	if err != nil {
		return 0, wrap(doing, err)
	}
	attached, err := e.api.ContainerAttach(ctx, ref, client.ContainerAttachOptions{Stream: true, Stdin: streams.In != nil, Stdout: true, Stderr: true})
	if err != nil {
		return 0, wrap(doing, err)
	}
	watchCtx, stopWatch := context.WithCancel(ctx)
	defer stopWatch()
	exit := e.Wait(watchCtx, ref)
	if err := e.Start(ctx, ref); err != nil {
		attached.Close()
		return 0, fmt.Errorf("%s: %w", doing, err)
	}
	if err := e.copy(ctx, attached.HijackedResponse, tty, streams); err != nil {
		return 0, wrap(doing, err)
	}
	end := <-exit // ends with ctx
	return end.Code, end.Err
}

// copy copies the streams of an attached container until its output ends, and closes
// the connection. Who reads In is left behind when In blocks; it writes nothing more.
func (e *Engine) copy(ctx context.Context, attached client.HijackedResponse, tty bool, streams agent.Streams) error {
	stop := context.AfterFunc(ctx, attached.Close)
	defer attached.Close()
	defer stop()
	if streams.In != nil {
		go func() {
			_, _ = io.Copy(attached.Conn, streams.In) // a program need not read its stdin to the end
			_ = attached.CloseWrite()
		}()
	}
	err := split(tty, attached.Reader, streams)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}
