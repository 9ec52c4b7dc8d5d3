package testkit

import (
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/moby/moby/client"
)

// Dockerd is a Docker Engine of a test's own. DOCKER_HOST names it for the rest of the test.
type Dockerd struct {
	Client *client.Client
	dir    string
	child  *child
}

// StartDockerd starts an engine for a test that runs Apart.
func StartDockerd(t *testing.T) *Dockerd {
	t.Helper()
	if os.Getenv(apartVariable) == "" {
		t.Fatal("an engine of the test's own is for a test that runs apart")
	}
	d := &Dockerd{dir: os.Getenv(apartVariable)}
	t.Setenv("DOCKER_HOST", "unix://"+d.path("sock"))
	var err error
	d.Client, err = client.New(client.FromEnv)
	must(t, "make an engine client", err)
	t.Cleanup(func() { _ = d.Client.Close() })
	d.Start(t)
	return d
}

func (d *Dockerd) path(name string) string { return filepath.Join(d.dir, name) }

// Start starts the engine again, with everything that it had.
func (d *Dockerd) Start(t testing.TB) {
	t.Helper()
	dockerd := exec.Command("dockerd", "--host", "unix://"+d.path("sock"), "--data-root", d.path("data"), "--exec-root", d.path("exec"), "--pidfile", d.path("pid"),
		"--bip", "172.28.0.1/24", "--log-level", "warn", "--config-file", d.path("none.json"))
	if err := os.WriteFile(d.path("none.json"), []byte("{}"), 0o644); err != nil {
		t.Fatal(err)
	}
	d.child = startChild(t, "dockerd", dockerd)
	for deadline := time.Now().Add(time.Minute); !answers(d.Client); time.Sleep(50 * time.Millisecond) {
		select {
		case <-d.child.exited:
			t.Fatalf("dockerd ended:\n%s", d.child.said)
		default:
		}
		if time.Now().After(deadline) {
			t.Fatalf("dockerd does not answer:\n%s", d.child.said)
		}
	}
}

// Stop ends the engine as its service manager would; its containers end with it.
func (d *Dockerd) Stop() { d.child.stop(30 * time.Second) }

// Kill ends the engine alone; its containers stay for the moment.
func (d *Dockerd) Kill() {
	_ = syscall.Kill(d.child.cmd.Process.Pid, syscall.SIGKILL)
	<-d.child.exited
}
