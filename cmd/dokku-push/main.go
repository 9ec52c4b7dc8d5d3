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
	"strings"
	"syscall"

	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/push/report"
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
	client, err := parse(args, stdin, stdout, stderr)
	if err == nil {
		err = client.do(ctx)
	}
	if err == nil {
		return 0
	}
	if exit, ok := errors.AsType[*exitError](err); ok {
		return exit.code
	}
	// What had something to undo says Cancelled; the rest just ends, as programs do.
	if stopped, ok := errors.AsType[*signalError](context.Cause(ctx)); ok && api.AsError(err).Code == api.Unclassified {
		return 128 + int(stopped.signal)
	}
	report.Failure(stderr, err)
	return api.Exit(err)
}

// exitError is an exit code that needs no words: that of `run`.
type exitError struct{ code int }

func (e *exitError) Error() string { return fmt.Sprintf("exit code %d", e.code) }

const helpText = `dokku-push builds an app here, ships what the host lacks, and deploys exactly that.

Usage: dokku-push [push] [flags] [DIR]      build DIR (default .), ship it, deploy it
       dokku-push plan [flags] [DIR]        what a push would change; -o FILE keeps it for push --plan FILE
       dokku-push config explain KEY        who decides a setting (domains, config.KEY, formation.web.quantity …), and who lost
       dokku-push build [flags] [DIR]       build only; -o FILE writes the image as docker load reads it
       dokku-push status [flags]            what runs, and what became of the last request
       dokku-push releases [flags]          the releases, oldest first
       dokku-push rollback [flags] [vN]     back to the last other image, or to vN, with its env and formation
       dokku-push logs [flags] [-- args]    the app's output; -t follows it
       dokku-push run [flags] -- COMMAND    a command in a new container of the current release
       dokku-push check [flags] [DIR]       what is wrong with Procfile, app.json and dokku.hcl, or what they mean
       dokku-push init [flags] [DIR]        write a first dokku.hcl and CI workflow from what is in DIR
       dokku-push drift [flags]             what differs between the release and what runs; exit 2 if anything does
       dokku-push doctor [flags]            is the host ready for deploys? exit 78 if not
       dokku-push help | version

Flags:
%s
Exit codes:
%s
Everything a flag says can be said by its variable (%s).
`

func help(flags string) string {
	var codes strings.Builder
	for _, row := range api.ExitCodes() {
		fmt.Fprintf(&codes, "  %3d  %s\n", row.Exit, row.Meaning)
	}
	return fmt.Sprintf(helpText, flags, codes.String(),
		"DOKKU_HOST, DOKKU_APP, DOKKU_SSH_KEY, DOKKU_SSH_KEY_FILE, DOKKU_SSH_HOST_KEY,\nDOKKU_SSH_ACCEPT_NEW_HOST_KEYS, DOKKU_MANIFEST, DOKKU_LOG_FORMAT")
}
