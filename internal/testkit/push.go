package testkit

import (
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"
)

// Result is how a program ended and what it said.
type Result struct {
	Exit           int // exit code; -1 when a signal ended it
	Stdout, Stderr string
	Took           time.Duration
}

// Command is the client in a folder, set up for this host and a home of its own,
// not yet started. A test that wants to kill it in the middle starts it itself.
func (h *Host) Command(t testing.TB, dir string, args ...string) *exec.Cmd {
	t.Helper()
	home := filepath.Join(filepath.Dir(h.Root), "client-home")
	must(t, "make the client's home", os.MkdirAll(home, 0o700))
	push := exec.Command(h.Bin.Client, args...)
	push.Dir = dir
	push.Env = append(cleanEnv(),
		"HOME="+home,
		"DOKKU_HOST=dokku@"+h.SSH,
		"DOKKU_SSH_HOST_KEY="+h.HostKey,
		"DOKKU_SSH_KEY_FILE="+h.Key)
	return push
}

// Push runs the client in a folder. Without args it pushes that folder.
func (h *Host) Push(t testing.TB, dir string, args ...string) Result {
	t.Helper()
	return Run(t, h.Command(t, dir, args...))
}

// Dokku runs a Dokku command over the host's key with the machine's ssh program.
func (h *Host) Dokku(t testing.TB, args ...string) Result {
	t.Helper()
	return Run(t, h.DokkuCommand(t, args...))
}

// DokkuCommand is that ssh program, not yet started: for a command that reads its
// standard input, or that a test ends itself.
func (h *Host) DokkuCommand(t testing.TB, args ...string) *exec.Cmd {
	t.Helper()
	address, port, err := net.SplitHostPort(h.SSH)
	must(t, "read the host's address", err)
	return exec.Command("ssh", append([]string{
		"-F", "none", "-T", "-p", port, "-i", h.Key,
		"-o", "IdentitiesOnly=yes", "-o", "IdentityAgent=none", "-o", "BatchMode=yes",
		"-o", "StrictHostKeyChecking=yes", "-o", "UserKnownHostsFile=" + KnownHosts(t, h.SSH, h.HostKey),
		"-o", "GlobalKnownHostsFile=none", "-o", "LogLevel=ERROR",
		"dokku@" + address, "--"}, args...)...)
}

// Run runs a command to its end.
func Run(t testing.TB, cmd *exec.Cmd) Result {
	t.Helper()
	var out, story strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &story
	start := time.Now()
	err := cmd.Run()
	if failed := (*exec.ExitError)(nil); err != nil && !errors.As(err, &failed) {
		t.Fatalf("run %s: %v", cmd.Path, err)
	}
	return Result{Exit: cmd.ProcessState.ExitCode(), Stdout: out.String(), Stderr: story.String(), Took: time.Since(start)}
}

// KnownHosts writes a known_hosts file for the server at address after checking
// that its key has the fingerprint.
func KnownHosts(t testing.TB, address, fingerprint string) (file string) {
	t.Helper()
	seen := errors.New("seen")
	var key ssh.PublicKey
	_, err := ssh.Dial("tcp", address, &ssh.ClientConfig{
		User:    "dokku",
		Timeout: 10 * time.Second,
		HostKeyCallback: func(_ string, _ net.Addr, offered ssh.PublicKey) error {
			key = offered
			return seen
		},
	})
	if !errors.Is(err, seen) {
		t.Fatalf("ask %s for its host key: %v", address, err)
	}
	if got := ssh.FingerprintSHA256(key); got != fingerprint {
		t.Fatalf("host key of %s is %s, want %s", address, got, fingerprint)
	}
	file = filepath.Join(t.TempDir(), "known_hosts")
	line := knownhosts.Line([]string{knownhosts.Normalize(address)}, key)
	must(t, "write known_hosts", os.WriteFile(file, []byte(line+"\n"), 0o600))
	return file
}
