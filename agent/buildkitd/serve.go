package buildkitd

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/dokku-push/dokku-push/agent/cgroup"
	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/internal/dirlock"
)

// Request is what the asker writes first.
type Request struct {
	Limits cgroup.Limits `json:"limits"`
	// Sweep asks for no daemon: what a killed one has left is taken away.
	Sweep bool `json:"sweep,omitempty"`
}

// Answer is what the asker reads: the first when the daemon answers, the second when it is
// gone.
type Answer struct {
	Address string `json:"address,omitempty"` // as BUILDKIT_HOST has it
	Killed  bool   `json:"killed,omitempty"`  // for want of memory, below the limit
}

const (
	leastMemory = 64 << 20         // a daemon alone wants nearly as much
	mostRequest = 4 << 10          // bytes
	answersIn   = 60 * time.Second // the daemon, after its start
	endsIn      = 10 * time.Second // after SIGTERM
)

// Serve is the side that is root. It reads a Request, runs the daemon until in ends or ctx
// does, and leaves nothing of it but its cache. Where it is killed itself, the daemon ends
// with it, and the next Serve takes away the rest.
func Serve(ctx context.Context, place Place, in io.Reader, out io.Writer) error {
	asked, err := readRequest(in)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(place.State, 0o700); err != nil {
		return fmt.Errorf("make the place for BuildKit: %w", err)
	}
	if asked.Sweep {
		return place.sweep(ctx)
	}
	release, err := dirlock.Lock(ctx, place.State, nil)
	if err != nil {
		return err
	}
	defer release()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	go func() { // ends with the process, or with in
		_, _ = io.Copy(io.Discard, in)
		stop()
	}()
	return place.serve(ctx, asked.Limits, json.NewEncoder(out))
}

// readRequest reads one line.
func readRequest(in io.Reader) (Request, error) {
	var line bytes.Buffer
	for one := make([]byte, 1); line.Len() < mostRequest; {
		n, err := in.Read(one)
		if n > 0 && one[0] == '\n' || errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return Request{}, fmt.Errorf("read what is asked: %w", err)
		}
		line.Write(one[:n])
	}
	var asked Request
	decoder := json.NewDecoder(&line)
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&asked); err != nil {
		return asked, api.Errorf(api.Refused, "read what is asked", "%w", err)
	}
	limits := asked.Limits
	if !asked.Sweep && limits.Memory < leastMemory || limits.Shares < 2 && limits.Shares != 0 || limits.Shares > 1<<18 || limits.CPUs < 0 {
		return asked, api.Errorf(api.Refused, "read what is asked", "these limits are none: %+v", limits)
	}
	return asked, nil
}

// sweep takes away what is left of a daemon whose keeper was killed. Beside one that runs
// there is nothing to do.
func (p Place) sweep(ctx context.Context) error {
	trying, giveUp := context.WithCancel(ctx)
	defer giveUp()
	release, err := dirlock.Lock(trying, p.State, giveUp)
	if err != nil {
		return ctx.Err()
	}
	defer release()
	if err := p.clear(); !errors.Is(err, syscall.EROFS) { // the watch service may write no control groups
		return err
	}
	return nil
}

// clear takes away the control group with all that runs in it, and the socket.
func (p Place) clear() error {
	tree, err := cgroup.Find()
	if err == nil {
		err = tree.Clear(p.Group)
	}
	return errors.Join(err, os.RemoveAll(p.Run))
}

// Left tells whether a killed daemon may have left something.
func (p Place) Left() bool {
	tree, err := cgroup.Find()
	return err == nil && tree.Exists(p.Group)
}

// serve runs the daemon. The caller has the lock.
func (p Place) serve(ctx context.Context, limits cgroup.Limits, answer *json.Encoder) (err error) {
	if err := p.Ready(); err != nil {
		return err
	}
	if err := p.clear(); err != nil {
		return err
	}
	tree, err := cgroup.Find()
	if err != nil {
		return err
	}
	group, err := tree.Make(p.Group, limits)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, group.Remove(), p.clear()) }()
	daemon, err := p.start(group)
	if err != nil {
		return err
	}
	defer daemon.end()
	if err := daemon.answers(ctx, p.socket()); err != nil {
		return err
	}
	if err := answer.Encode(Answer{Address: p.address()}); err != nil {
		return fmt.Errorf("answer: %w", err)
	}
	select {
	case <-ctx.Done():
	case <-daemon.gone:
	}
	daemon.end()
	if err := answer.Encode(Answer{Killed: group.Killed()}); err != nil && ctx.Err() == nil {
		return fmt.Errorf("answer: %w", err)
	}
	return nil
}

// daemon is one that runs.
type daemon struct {
	process *os.Process
	gone    chan struct{}
	said    string // the file with what it prints
}

// start starts the daemon: it dies with this process, and what it mounts is seen by nobody
// else and goes with it.
func (p Place) start(group *cgroup.Group) (*daemon, error) {
	program, err := p.program("buildkitd")
	if err != nil {
		return nil, err
	}
	binary, err := p.runtime()
	if err != nil {
		return nil, err
	}
	args, err := p.configure(group.Path(), adminConfig)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(p.Run, 0o755); err != nil {
		return nil, fmt.Errorf("make the place for BuildKit's socket: %w", err)
	}
	said, err := os.OpenFile(filepath.Join(p.State, "buildkitd.log"), os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open BuildKit's log: %w", err)
	}
	defer func() { _ = said.Close() }() // the daemon has its own
	command := exec.Command(program, append(args, "--oci-worker-binary", binary)...)
	command.Env = append(os.Environ(), "PATH="+strings.Join(p.Folder, ":"))
	command.Dir, command.Stdout, command.Stderr = p.State, said, said
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL, Unshareflags: syscall.CLONE_NEWNS}
	d := &daemon{gone: make(chan struct{}), said: said.Name()}
	started := make(chan error)
	go func() { // until the daemon has ended: the kernel takes its parent to be this thread
		runtime.LockOSThread()
		err := command.Start()
		started <- err
		if err == nil {
			_ = command.Wait() // how it ended says nothing that the build does not
			close(d.gone)
		}
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start BuildKit: %w", err)
	}
	d.process = command.Process
	if err := group.Enter(d.process.Pid); err != nil {
		d.end()
		return nil, err
	}
	return d, nil
}

// answers waits until somebody listens at the socket.
func (d *daemon) answers(ctx context.Context, socket string) error {
	ctx, stop := context.WithTimeout(ctx, answersIn)
	defer stop()
	for {
		connection, err := (&net.Dialer{}).DialContext(ctx, "unix", socket)
		if err == nil {
			return connection.Close()
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("BuildKit does not answer: %w", errors.Join(context.Cause(ctx), err))
		case <-d.gone:
			return fmt.Errorf("BuildKit has ended: %s", d.lastWords())
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// lastWords is the last line that the daemon printed.
func (d *daemon) lastWords() string {
	text, err := os.ReadFile(d.said)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return lines[len(lines)-1]
}

// end asks the daemon to end, and ends it.
func (d *daemon) end() {
	select {
	case <-d.gone:
		return
	default:
	}
	_ = d.process.Signal(syscall.SIGTERM) // one that has just gone is what was wanted
	select {
	case <-d.gone:
	case <-time.After(endsIn):
		_ = d.process.Kill()
		<-d.gone
	}
}
