// Package run starts programs in process groups of their own, so that a program
// can be ended together with everything it has started. It never involves a
// shell: what it runs is an argv.
//
// A program that Go starts inherits the signals that its parent ignores. Who
// has to survive a lost stdout therefore catches SIGPIPE with signal.Notify and
// never with signal.Ignore: a shell that inherits the latter spins in `yes | head`.
package run

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"reflect"
	"sync"
	"syscall"
	"time"

	"golang.org/x/term"
)

// defaultGrace is between SIGTERM and SIGKILL when nothing else is said.
const defaultGrace = 5 * time.Second

// Cmd is a program to run once. The zero value of all but Argv works.
type Cmd struct {
	Argv []string // the program, found on PATH when it has no slash, and its arguments
	Env  []string // K=V; the last of a name wins; nil: the caller's own environment
	Dir  string   // empty: the caller's own
	// Stdin that is an *os.File is handed over as it is, so that programs run one
	// after the other share its position; of any other reader the program gets
	// what could be read while it ran. Nil is empty. With a terminal the program stays
	// in the caller's process group: another group may not read it.
	Stdin io.Reader
	// Stdout and Stderr that are the same writer never write at the same time.
	Stdout, Stderr io.Writer
	// Limit is how many bytes each of Stdout and Stderr gets at most. What comes
	// after is read and dropped, so that the program does not stop. 0: no limit.
	Limit int64
	// Grace is between SIGTERM and SIGKILL when ctx ends, and how long output is
	// read from those that a program leaves behind. 0: five seconds.
	Grace time.Duration
}

// ExitError is a program that did not exit with 0.
type ExitError struct {
	Program string
	Code    int            // its exit code; 128 + the signal's number if one ended it
	Signal  syscall.Signal // 0: none
	Cause   error          // why it was ended: the cause of ctx; nil if it ended by itself
}

func (e *ExitError) Error() string {
	switch {
	case e.Cause != nil:
		return fmt.Sprintf("%s was stopped: %v", e.Program, e.Cause)
	case e.Signal != 0:
		return fmt.Sprintf("%s was ended by the signal %q", e.Program, e.Signal.String())
	}
	return fmt.Sprintf("%s exited with code %d", e.Program, e.Code)
}

// Unwrap gives the reason that it was ended for.
func (e *ExitError) Unwrap() error { return e.Cause }

// Run starts the program in its own process group (see Stdin) and waits for it and its
// output. When ctx ends the whole group gets SIGTERM and, after the grace, what is
// left of it SIGKILL; the error then wraps the cause of ctx. A program that ran
// and did not succeed is an *ExitError; any other error says that it could not be
// started or that its output could not be written.
//
// What a program leaves running in the background stays when it exits by itself;
// its output is read for the grace and no longer.
func (c *Cmd) Run(ctx context.Context) error {
	if len(c.Argv) == 0 {
		return errors.New("run a program: the argv is empty")
	}
	if ctx.Err() != nil {
		return fmt.Errorf("run %s: %w", c.Argv[0], context.Cause(ctx))
	}
	cmd, feed, err := c.prepare()
	if err != nil {
		return fmt.Errorf("run %s: %w", c.Argv[0], err)
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", c.Argv[0], err)
	}
	if feed != nil {
		// Its owner is the reader: a Read that blocks cannot be ended from here. The
		// pipe is closed by Wait, so it writes nothing once the program is gone.
		go feed()
	}
	exited := make(chan struct{})
	stopped := false
	var watch sync.WaitGroup
	watch.Go(func() {
		select {
		case <-exited:
		case <-ctx.Done():
			stopped = true
			whom := -cmd.Process.Pid
			if !cmd.SysProcAttr.Setpgid {
				whom = cmd.Process.Pid
			}
			end(whom, c.grace())
		}
	})
	err = cmd.Wait()
	close(exited)
	watch.Wait()
	if stopped {
		return exitError(c.Argv[0], cmd, context.Cause(ctx))
	}
	return c.outcome(cmd, err)
}

func (c *Cmd) grace() time.Duration {
	if c.Grace > 0 {
		return c.Grace
	}
	return defaultGrace
}

// prepare makes the exec.Cmd and, for a stdin that is no file, what feeds it.
func (c *Cmd) prepare() (cmd *exec.Cmd, feed func(), err error) {
	cmd = exec.Command(c.Argv[0], c.Argv[1:]...)
	cmd.Env, cmd.Dir = c.Env, c.Dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: !isTerminal(c.Stdin)}
	cmd.WaitDelay = c.grace()
	cmd.Stdout, cmd.Stderr = c.outputs()
	if c.Stdin == nil || isFile(c.Stdin) {
		cmd.Stdin = c.Stdin
		return cmd, nil, nil
	}
	pipe, err := cmd.StdinPipe()
	if err != nil {
		return nil, nil, err
	}
	return cmd, func() {
		_, _ = io.Copy(pipe, c.Stdin) // a program need not read its stdin to the end
		_ = pipe.Close()
	}, nil
}

// isFile tells what the kernel can hand over by itself.
func isFile(r io.Reader) bool {
	_, ok := r.(interface{ Fd() uintptr })
	return ok
}

func isTerminal(r io.Reader) bool {
	file, ok := r.(interface{ Fd() uintptr })
	return ok && term.IsTerminal(int(file.Fd()))
}

func (c *Cmd) outputs() (stdout, stderr io.Writer) {
	if c.Limit <= 0 {
		return c.Stdout, c.Stderr
	}
	if c.Stdout != nil {
		stdout = &limited{to: c.Stdout, room: c.Limit}
	}
	switch {
	case c.Stderr == nil:
	case same(c.Stdout, c.Stderr):
		stderr = stdout
	default:
		stderr = &limited{to: c.Stderr, room: c.Limit}
	}
	return stdout, stderr
}

func same(a, b io.Writer) bool {
	return a != nil && reflect.TypeOf(a) == reflect.TypeOf(b) && reflect.TypeOf(a).Comparable() && a == b
}

// limited passes on the first bytes and swallows the rest.
type limited struct {
	to   io.Writer
	room int64
}

func (l *limited) Write(p []byte) (int, error) {
	pass := p[:min(int64(len(p)), l.room)]
	l.room -= int64(len(pass))
	if len(pass) > 0 {
		if n, err := l.to.Write(pass); err != nil {
			return n, err
		}
	}
	return len(p), nil
}

// end ends a process, or a process group where whom is negative, and returns when nothing
// of it is left. A group outlives its leader: as long as it has a member its number is not
// given away.
func end(whom int, grace time.Duration) {
	_ = syscall.Kill(whom, syscall.SIGTERM) // one that is gone is what was wanted
	deadline := time.Now().Add(grace)
	for time.Now().Before(deadline) {
		if syscall.Kill(whom, 0) == syscall.ESRCH {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	_ = syscall.Kill(whom, syscall.SIGKILL)
}

// outcome is the error of a program that nobody has stopped.
func (c *Cmd) outcome(cmd *exec.Cmd, err error) error {
	if !cmd.ProcessState.Success() {
		return exitError(c.Argv[0], cmd, nil)
	}
	if err == nil || errors.Is(err, exec.ErrWaitDelay) {
		return nil // the latter: it has left somebody in the background that holds its output
	}
	return fmt.Errorf("pass on the output of %s: %w", c.Argv[0], err)
}

func exitError(program string, cmd *exec.Cmd, cause error) *ExitError {
	e := &ExitError{Program: program, Code: cmd.ProcessState.ExitCode(), Cause: cause}
	if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		e.Signal = status.Signal()
		e.Code = 128 + int(e.Signal)
	}
	return e
}
