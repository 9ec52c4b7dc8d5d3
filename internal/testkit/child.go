package testkit

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// child is a program that runs beside a test, in a process group of its own.
type child struct {
	name   string
	cmd    *exec.Cmd
	exited chan struct{} // closed when it has ended
	said   *capture
}

// startChild starts cmd and ends it, with all of its group, when the test ends.
// What it says goes to the test's log if the test fails; said keeps it either way.
func startChild(t testing.TB, name string, cmd *exec.Cmd) *child {
	t.Helper()
	c := &child{name: name, cmd: cmd, exited: make(chan struct{}), said: &capture{}}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if cmd.Stdout == nil {
		cmd.Stdout = c.said
	}
	cmd.Stderr = c.said
	cmd.WaitDelay = time.Second
	must(t, "start "+name, cmd.Start())
	go func() {
		defer close(c.exited)
		_ = cmd.Wait()
	}()
	t.Cleanup(func() {
		c.stop(10 * time.Second)
		if t.Failed() {
			t.Logf("%s said:\n%s", name, c.said.String())
		}
	})
	return c
}

// stop asks the program to end, and kills its group when it has not after grace.
func (c *child) stop(grace time.Duration) {
	_ = c.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-c.exited:
	case <-time.After(grace):
	}
	c.kill()
}

// kill ends the program with all of its group, and gives it no chance to tidy up.
func (c *child) kill() {
	_ = syscall.Kill(-c.cmd.Process.Pid, syscall.SIGKILL)
	<-c.exited
}

// listening waits until the program accepts connections at address.
func (c *child) listening(t testing.TB, address string) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for time.Now().Before(deadline) {
		connection, err := net.DialTimeout("tcp", address, time.Second)
		if err == nil {
			_ = connection.Close()
			return
		}
		select {
		case <-c.exited:
			t.Fatalf("%s ended instead of listening:\n%s", c.name, c.said.String())
		case <-time.After(20 * time.Millisecond):
		}
	}
	t.Fatalf("%s does not listen on %s:\n%s", c.name, address, c.said.String())
}

// endStrays kills what was started out of the test's folder dir in a session of
// its own, as a deploy is: processes with dir in their command line.
func endStrays(dir string) {
	files, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, file := range files {
		line, err := os.ReadFile(file)
		pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		if err != nil || pid == os.Getpid() || !strings.Contains(string(line), dir) {
			continue
		}
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
}

// capture keeps what is written to it, from several goroutines.
type capture struct {
	mu   sync.Mutex
	text strings.Builder
}

func (c *capture) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.text.Write(p)
}

func (c *capture) String() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.text.String()
}

// loopback is 127.0.0.1:PORT.
func loopback(port int) string { return fmt.Sprintf("127.0.0.1:%d", port) }
