package run

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func sh(script string) []string { return []string{"/bin/sh", "-c", script} }

func TestRun(t *testing.T) {
	for name, test := range map[string]struct {
		cmd      Cmd
		out, err string
		code     int
		signal   syscall.Signal
	}{
		"success":                 {cmd: Cmd{Argv: sh("echo out; echo err >&2")}, out: "out\n", err: "err\n"},
		"exit code":               {cmd: Cmd{Argv: sh("echo a; exit 10")}, out: "a\n", code: 10},
		"signal":                  {cmd: Cmd{Argv: sh("kill -USR1 $$")}, code: 128 + int(syscall.SIGUSR1), signal: syscall.SIGUSR1},
		"words stay words":        {cmd: Cmd{Argv: []string{"/bin/echo", "a  b", "$HOME", "`id`"}}, out: "a  b $HOME `id`\n"},
		"env":                     {cmd: Cmd{Argv: sh("echo $A-$HOME"), Env: []string{"A=1", "A=2"}}, out: "2-\n"},
		"dir":                     {cmd: Cmd{Argv: sh("pwd"), Dir: "/"}, out: "/\n"},
		"stdin":                   {cmd: Cmd{Argv: []string{"cat"}, Stdin: strings.NewReader("hello")}, out: "hello"},
		"stdin that nobody reads": {cmd: Cmd{Argv: sh("echo x"), Stdin: strings.NewReader(strings.Repeat("y", 1<<20))}, out: "x\n"},
		"no stdin":                {cmd: Cmd{Argv: sh("cat; echo end")}, out: "end\n"},
		"limit":                   {cmd: Cmd{Argv: sh("echo 12345; echo 67890 >&2; exit 3"), Limit: 3}, out: "123", err: "678", code: 3},
	} {
		t.Run(name, func(t *testing.T) {
			var out, problems bytes.Buffer
			test.cmd.Stdout, test.cmd.Stderr = &out, &problems
			err := test.cmd.Run(t.Context())
			if got := out.String() + "|" + problems.String(); got != test.out+"|"+test.err {
				t.Errorf("output %q, want %q", got, test.out+"|"+test.err)
			}
			var want *ExitError
			if test.code != 0 {
				want = &ExitError{Program: test.cmd.Argv[0], Code: test.code, Signal: test.signal}
			}
			got, _ := errors.AsType[*ExitError](err)
			if diff := cmp.Diff(want, got); diff != "" || (want == nil) != (err == nil) {
				t.Errorf("error %v: %s", err, diff)
			}
		})
	}
}

func TestCannotStart(t *testing.T) {
	err := (&Cmd{Argv: []string{"/does/not/exist"}}).Run(t.Context())
	if !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), "start /does/not/exist") {
		t.Errorf("got %v", err)
	}
	if err := (&Cmd{}).Run(t.Context()); err == nil {
		t.Error("an empty argv ran")
	}
}

// TestOneWriter: with the same writer for both, the limit counts both.
func TestOneWriter(t *testing.T) {
	var out bytes.Buffer
	cmd := Cmd{Argv: sh("echo 1234; echo 5678 >&2"), Stdout: &out, Stderr: &out, Limit: 7}
	if err := cmd.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if out.String() != "1234\n56" {
		t.Errorf("got %q", out.String())
	}
}

// TestBlockedStdin: a reader that never ends does not hold up a program that is done.
func TestBlockedStdin(t *testing.T) {
	in, feed := io.Pipe()
	defer feed.Close()
	start := time.Now()
	if err := (&Cmd{Argv: []string{"true"}, Stdin: in}).Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(start); took > 20*time.Second {
		t.Errorf("it took %v", took)
	}
}

// TestCancel: the whole group ends, those that ignore SIGTERM after the grace.
func TestCancel(t *testing.T) {
	for name, test := range map[string]struct {
		script string
		signal syscall.Signal
		least  time.Duration
	}{
		"obedient":            {"sleep 100 & echo $!; wait", syscall.SIGTERM, 0},
		"stubborn":            {"trap '' TERM; sleep 100 & echo $!; wait", syscall.SIGKILL, 200 * time.Millisecond},
		"stubborn grandchild": {"sh -c 'trap \"\" TERM; echo $$; exec sleep 100' & wait", syscall.SIGTERM, 200 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancelCause(t.Context())
			out := &firstLine{seen: func() { cancel(errors.New("enough")) }}
			start := time.Now()
			err := (&Cmd{Argv: sh(test.script), Stdout: out, Grace: 200 * time.Millisecond}).Run(ctx)
			exit, ok := errors.AsType[*ExitError](err)
			if !ok || exit.Signal != test.signal || exit.Code != 128+int(test.signal) || !errors.Is(err, context.Cause(ctx)) {
				t.Errorf("got %v (%+v)", err, exit)
			}
			if took := time.Since(start); took < test.least || took > 20*time.Second {
				t.Errorf("it took %v", took)
			}
			child, err := strconv.Atoi(strings.TrimSpace(out.String()))
			if err != nil {
				t.Fatal(err)
			}
			for wait := 0; alive(child); wait++ {
				if wait > 2000 {
					t.Fatalf("the grandchild %d still runs", child)
				}
				time.Sleep(10 * time.Millisecond)
			}
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := (&Cmd{Argv: []string{"true"}}).Run(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled context gave %v", err)
	}
}

// alive tells whether a process runs; one that is dead and not yet collected does not.
func alive(pid int) bool {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return false
	}
	_, state, _ := strings.Cut(string(text), ") ")
	return !strings.HasPrefix(state, "Z")
}

type firstLine struct {
	text bytes.Buffer
	seen func()
}

func (f *firstLine) String() string { return f.text.String() }

func (f *firstLine) Write(p []byte) (int, error) {
	defer f.seen()
	return f.text.Write(p)
}

// TestLeftBehind: who stays in the background is neither killed nor waited for.
func TestLeftBehind(t *testing.T) {
	var out bytes.Buffer
	start := time.Now()
	err := (&Cmd{Argv: sh("sleep 30 & echo $!"), Stdout: &out, Grace: time.Second}).Run(t.Context())
	if err != nil || time.Since(start) > 20*time.Second {
		t.Fatalf("%v after %v", err, time.Since(start))
	}
	child, err := strconv.Atoi(strings.TrimSpace(out.String()))
	if err != nil || !alive(child) {
		t.Fatalf("the child %q is gone (%v)", out.String(), err)
	}
	if err := syscall.Kill(child, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
}

// TestLostReader: a writer that fails ends the program by SIGPIPE, although this
// process catches that signal for itself.
func TestLostReader(t *testing.T) {
	caught := make(chan os.Signal, 1)
	signal.Notify(caught, syscall.SIGPIPE)
	defer signal.Stop(caught)
	err := (&Cmd{Argv: []string{"yes"}, Stdout: broken{}}).Run(t.Context())
	exit, ok := errors.AsType[*ExitError](err)
	if !ok || exit.Signal != syscall.SIGPIPE {
		t.Errorf("got %v", err)
	}
	if err := (&Cmd{Argv: []string{"echo", "x"}, Stdout: broken{}}).Run(t.Context()); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("output that was lost gave %v", err)
	}
}

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }
