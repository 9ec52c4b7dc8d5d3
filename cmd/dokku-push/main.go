// Program dokku-push builds an app's image where it runs, ships what the host lacks,
// and has the host's dokku-agent deploy exactly that.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/build/hooks"
)

// version is set by the linker: -X main.version=…
var version = "dev"

func main() {
	ctx, cancel := context.WithCancelCause(context.Background())
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		received := <-signals
		signal.Stop(signals) // a second one ends the program at once
		if number, ok := received.(syscall.Signal); ok {
			cancel(&signalError{number})
		}
	}()
	os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// signalError is why everything stops: somebody asked for it.
type signalError struct{ signal syscall.Signal }

func (e *signalError) Error() string { return e.signal.String() }

// run is the program: stdout is the answer, stderr the story, the exit code one of
// api.ExitCodes.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	if env := os.Environ(); len(args) > 0 && args[0] == "shim" && hooks.Asked(env) { // a plugin's shell function asks
		return hooks.Answer(args[1:], env, hooks.Streams{In: stdin, Out: stdout, Err: stderr})
	}
	client, err := parse(args, stdin, stdout, stderr)
	if err != nil {
		unparsed(stderr, err)
		return api.Exit(err)
	}
	if err = client.do(ctx); err == nil {
		return 0
	}
	if exit, ok := errors.AsType[*exitError](err); ok {
		return exit.code
	}
	// What had something to undo says Cancelled; the rest just ends, as programs do.
	if stopped, ok := errors.AsType[*signalError](context.Cause(ctx)); ok && api.AsError(err).Code == api.Unclassified {
		return 128 + int(stopped.signal)
	}
	client.failure(err, "")
	return api.Exit(err)
}

// exitError is an exit code that needs no words: that of `run`.
type exitError struct{ code int }

func (e *exitError) Error() string { return fmt.Sprintf("exit code %d", e.code) }
