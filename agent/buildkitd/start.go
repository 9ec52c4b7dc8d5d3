package buildkitd

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/dokku-push/dokku-push/internal/run"
)

// Running is a daemon that runs for the caller, until Close.
type Running struct {
	Address string // as BUILDKIT_HOST has it

	hold   *io.PipeWriter // the daemon's life
	ended  chan error
	told   *json.Decoder
	output *io.PipeReader
}

// Start has argv, which calls Serve as root, run a daemon. The error says why there is none.
func Start(ctx context.Context, argv, env []string, request Request) (*Running, error) {
	asked, err := json.Marshal(request)
	if err != nil {
		return nil, fmt.Errorf("ask for BuildKit: %w", err)
	}
	in, hold := io.Pipe()
	output, out := io.Pipe()
	var problems bytes.Buffer
	r := &Running{hold: hold, ended: make(chan error, 1), told: json.NewDecoder(output), output: output}
	go func() { // until the program has ended, which Close and ctx bring about
		command := run.Cmd{Argv: argv, Env: env, Stdin: in, Stdout: out, Stderr: &problems, Limit: mostRequest, Grace: 2 * endsIn}
		err := command.Run(ctx)
		if err != nil {
			err = fmt.Errorf("%w: %s", err, strings.TrimSpace(problems.String()))
		}
		_ = out.CloseWithError(io.EOF)
		_ = in.Close()
		r.ended <- err
	}()
	stop := context.AfterFunc(ctx, func() { _ = hold.Close() }) // a signal may not reach a process of root's
	defer stop()
	_, err = hold.Write(append(asked, '\n'))
	var answer Answer
	if err == nil {
		err = r.told.Decode(&answer)
	}
	if err != nil || answer.Address == "" {
		_ = hold.Close()
		if err := <-r.ended; err != nil {
			return nil, err
		}
		return nil, errors.New("the root helper has started no BuildKit")
	}
	r.Address = answer.Address
	return r, nil
}

// Sweep has argv, which calls Serve as root, take away what a killed daemon has left.
func Sweep(ctx context.Context, argv, env []string) error {
	asked, err := json.Marshal(Request{Sweep: true})
	if err != nil {
		return fmt.Errorf("sweep BuildKit: %w", err)
	}
	var problems bytes.Buffer
	command := run.Cmd{Argv: argv, Env: env, Stdin: bytes.NewReader(append(asked, '\n')), Stderr: &problems, Limit: mostRequest}
	if err := command.Run(ctx); err != nil {
		return fmt.Errorf("sweep BuildKit: %w: %s", err, strings.TrimSpace(problems.String()))
	}
	return nil
}

// Close ends the daemon, waits until nothing is left of it, and tells whether the build ran
// out of memory.
func (r *Running) Close() (killed bool) {
	_ = r.hold.Close()
	late := time.AfterFunc(3*endsIn, func() { _ = r.output.Close() })
	defer late.Stop()
	var answer Answer
	if err := r.told.Decode(&answer); err != nil {
		return false // it was ended from outside: nothing is known
	}
	<-r.ended
	return answer.Killed
}
