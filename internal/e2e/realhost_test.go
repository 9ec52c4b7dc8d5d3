package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/internal/testkit"
)

// insideVariable tells the test binary that it runs in a mount namespace of its own.
const insideVariable = "DOKKU_PUSH_TEST_REALHOST"

// TestRealHost makes a machine a host and pushes to it through Debian's sshd. It does so over
// overlays of /etc, /home, /var/lib, /var/log and /usr/local in a mount namespace of its
// own: the machine itself is not touched.
func TestRealHost(t *testing.T) {
	if ownMounts(t) {
		realHost(t)
		return
	}
	machineIsNoHost(t)
}

// ownMounts runs the calling test once more in a mount namespace of its own and tells
// whether this is that run. What it may write to is in the folder that insideVariable names.
func ownMounts(t *testing.T) bool {
	t.Helper()
	if os.Getenv(insideVariable) != "" {
		return true
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	testkit.Binaries(t)
	inside := exec.Command("unshare", "--mount", "--propagation", "private", "--", self, "-test.run=^"+t.Name()+"$", "-test.v")
	inside.Env = append(os.Environ(), insideVariable+"="+t.TempDir())
	out, err := inside.CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Fatalf("in the namespace: %v", err)
	}
	return false
}

// machineIsNoHost: nothing of what was done in the namespace happened to the machine.
func machineIsNoHost(t *testing.T) {
	t.Helper()
	for _, path := range []string{"/etc/dokku-push", "/etc/sudoers.d/dokku-push", "/etc/systemd/system/dokku-agent.service", "/home/dokku", "/var/lib/dokku",
		"/usr/local/bin/dokku-agent", "/usr/local/bin/dokku", "/etc/nginx/conf.d/dokku.conf"} {
		if _, err := os.Lstat(path); err == nil {
			t.Errorf("the machine itself has %s now", path)
		}
	}
	if passwd, err := os.ReadFile("/etc/passwd"); err != nil || bytes.Contains(passwd, []byte("\ndokku:")) {
		t.Errorf("the machine itself has a user dokku now (%v)", err)
	}
}

// realHost is the test inside the namespace.
func realHost(t *testing.T) {
	over(t, os.Getenv(insideVariable), "/etc", "/home", "/var/lib", "/var/log", "/usr/local")
	bin := testkit.Binaries(t)
	testkit.InstalledHost(t)

	first := agentDo(t, bin.Agent, "", "install", "--domain", "example.test")
	for _, want := range []string{"made the user dokku", "wrote /etc/dokku-push/host.json", "wrote /etc/sudoers.d/dokku-push", "wrote /etc/systemd/system/dokku-agent.service"} {
		if !strings.Contains(first, want) {
			t.Errorf("install does not say %q:\n%s", want, first)
		}
	}
	if second := agentDo(t, bin.Agent, "", "install", "--domain", "example.test"); !strings.Contains(second, "nothing changed") || strings.Contains(second, "wrote") {
		t.Errorf("a second install changed something:\n%s", second)
	}
	must(t, exec.Command("visudo", "--check", "--quiet"))
	must(t, exec.Command("systemd-analyze", "verify", "/etc/systemd/system/dokku-agent.service"))

	port := testkit.FreePort(t)
	startNginx(t, port)
	t.Cleanup(func() { // the table and the route are the machine's, not the namespace's
		agentDo(t, "/usr/local/bin/dokku-agent", `{"verb":"remove"}`, "root", "map")
	})
	key := testkit.NewKey(t)
	if said := agentDo(t, bin.Agent, key.Public+"\n", "keys", "add", "laptop"); !strings.Contains(said, key.Fingerprint) {
		t.Errorf("keys add says %q, want the fingerprint", said)
	}
	forced := regexp.MustCompile("^command=\"FINGERPRINT=SHA256:\\S+ NAME=\\\\\"laptop\\\\\" `cat /home/dokku/\\.sshcommand` \\$SSH_ORIGINAL_COMMAND\",no-agent-forwarding,no-user-rc,no-X11-forwarding,no-port-forwarding ssh-ed25519 ")
	if line, err := os.ReadFile("/home/dokku/.ssh/authorized_keys"); err != nil || !forced.Match(line) {
		t.Errorf("the key's line is not sshcommand's: %s (%v)", line, err)
	}
	sshd := testkit.SSHD(t, testkit.SSHDOptions{AuthorizedKeysFile: "/home/dokku/.ssh/authorized_keys", Config: []string{"Subsystem sftp internal-sftp", "StrictModes yes"}})
	pushThroughSSHD(t, bin, sshd, key, port)
	pushByGit(t, bin, sshd, key, port)
	arriveBySSHD(t, bin, sshd, key, port)
	buildIsHeld(t, sshd, key)
	noShell(t, sshd, key)
	byToken(t, bin, sshd, key)
	rootsPlugins(t, sshd, key)
	hostMade(t, bin, sshd, key)
	watches(t)
}

func must(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(cmd.Args, " "), err, out)
	}
}

// over lays an overlay over each folder: what is written there is in dir.
func over(t *testing.T, dir string, folders ...string) {
	t.Helper()
	for _, folder := range folders {
		upper, work := filepath.Join(dir, "upper", folder), filepath.Join(dir, "work", folder)
		for _, path := range []string{upper, work} {
			if err := os.MkdirAll(path, 0o755); err != nil {
				t.Fatal(err)
			}
		}
		if err := syscall.Mount("overlay", folder, "overlay", 0, fmt.Sprintf("lowerdir=%s,upperdir=%s,workdir=%s", folder, upper, work)); err != nil {
			t.Fatalf("lay an overlay over %s: %v", folder, err)
		}
	}
}

// agentDo runs the agent as root and returns what it says.
func agentDo(t *testing.T, program, input string, args ...string) string {
	t.Helper()
	cmd := exec.Command(program, args...)
	cmd.Stdin = strings.NewReader(input)
	cmd.Env = append(os.Environ(), "DOKKU_ROOT=", "DOKKU_LIB_ROOT=")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("dokku-agent %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// startNginx starts the system's nginx with the namespace's /etc/nginx, on a port and with a pid
// file of the test's own.
func startNginx(t *testing.T, port int) {
	t.Helper()
	const pid = "/var/lib/nginx-of-the-test.pid" // in the namespace, where the dokku user can read it
	edit := func(path string, change func(text []byte) []byte) {
		text, err := os.ReadFile(path)
		if err == nil {
			err = os.WriteFile(path, change(text), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	_ = os.Remove("/etc/nginx/sites-enabled/default") // it listens on port 80
	edit("/etc/nginx/nginx.conf", func(text []byte) []byte {
		return bytes.Replace(text, []byte("/run/nginx.pid"), []byte(pid), 1)
	})
	edit("/etc/dokku-push/host.json", func(text []byte) []byte {
		var config agent.HostConfig
		if err := json.Unmarshal(text, &config); err != nil {
			t.Fatal(err)
		}
		config.Nginx.Port, config.Nginx.TLSPort, config.Nginx.Pid, config.Nginx.Bind = port, testkit.FreePort(t), pid, "127.0.0.1"
		text, err := json.Marshal(config)
		if err != nil {
			t.Fatal(err)
		}
		return text
	})
	nginx := exec.Command("/usr/sbin/nginx", "-c", "/etc/nginx/nginx.conf", "-g", "daemon off;")
	if err := nginx.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = nginx.Process.Signal(syscall.SIGTERM)
		_ = nginx.Wait()
	})
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		if text, err := os.ReadFile(pid); err == nil && len(text) > 1 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("nginx did not start")
		}
	}
}

// pushThroughSSHD is the whole story with the real parts: sshd, forced command, sudo helper, nginx.
func pushThroughSSHD(t *testing.T, bin testkit.Bin, sshd *testkit.SSHServer, key testkit.Key, port int) {
	app := testkit.AppName(t, "real")
	testkit.ForgetImages(t, app)
	dir := testkit.CopyApp(t, "hello")
	client := func(args ...string) testkit.Result {
		cmd := exec.Command(bin.Client, append(args, "--app", app)...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "CI=", "DOKKU_HOST=dokku@"+sshd.Addr, "DOKKU_SSH_HOST_KEY="+sshd.HostKey, "DOKKU_SSH_KEY_FILE="+key.File)
		return testkit.Run(t, cmd)
	}
	get := func() string {
		request, err := http.NewRequest(http.MethodGet, fmt.Sprintf("http://127.0.0.1:%d/", port), nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Host = app + ".example.test"
		answer, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		body, _ := io.ReadAll(answer.Body)
		return string(body)
	}
	t.Cleanup(func() {
		if gone := overSSH(t, sshd, key, nil, "apps:destroy", "--force", app); gone.Exit != 0 {
			t.Errorf("apps:destroy: %+v", gone)
		}
	})
	first := pushed(t, client())
	t.Logf("the first push took %s:\n%s", first.Took, first.Stderr)
	if body := get(); !strings.Contains(body, "Hello") {
		t.Errorf("the app answers %q", body)
	}
	testkit.Edit(t, dir, "www/cgi-bin/index.cgi", "Hello", "Hello again")
	second := pushed(t, client())
	t.Logf("the second push took %s", second.Took)
	if body := get(); !strings.Contains(body, "Hello again") {
		t.Errorf("after the second push the app answers %q", body)
	}
	inspected(t, client)
	local := exec.Command("/usr/local/bin/dokku", "apps:list") // root's own call becomes dokku's
	if out, err := local.CombinedOutput(); err != nil || !strings.Contains(string(out), app) {
		t.Errorf("dokku apps:list as root: %v\n%s", err, out)
	}
	foreign := exec.Command("find", "/home/dokku", "/var/lib/dokku", "-ignore_readdir_race", "!", "-user", "dokku")
	if out, err := foreign.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("not the dokku user's: %v\n%s", err, out)
	}
}

// overSSH runs the machine's ssh program with the key.
func overSSH(t *testing.T, sshd *testkit.SSHServer, key testkit.Key, options []string, words ...string) testkit.Result {
	t.Helper()
	cmd := sshCommand(t, sshd, key, options, words...)
	cmd.Stdin = strings.NewReader("echo a shell\n")
	return testkit.Run(t, cmd)
}

// sshCommand is that program, not yet started.
func sshCommand(t *testing.T, sshd *testkit.SSHServer, key testkit.Key, options []string, words ...string) *exec.Cmd {
	t.Helper()
	host, port, _ := strings.Cut(sshd.Addr, ":")
	args := append([]string{"-F", "none", "-p", port, "-i", key.File, "-o", "IdentitiesOnly=yes", "-o", "IdentityAgent=none", "-o", "BatchMode=yes",
		"-o", "StrictHostKeyChecking=yes", "-o", "UserKnownHostsFile=" + testkit.KnownHosts(t, sshd.Addr, sshd.HostKey), "-o", "GlobalKnownHostsFile=none", "-o", "LogLevel=ERROR"}, options...)
	return exec.Command("ssh", append(append(args, "dokku@"+host), words...)...)
}

// noShell: the key gives no shell and no docker, only the agent.
func noShell(t *testing.T, sshd *testkit.SSHServer, key testkit.Key) {
	for _, words := range [][]string{{"bash"}, {"sh", "-c", "id"}, {"docker", "ps"}, {"/bin/sh"}, {"apps:list;id"}, {"$(id)"}, {"`id`"}, {"apps:list", "&&", "id"}, {"scp", "-f", "/etc/passwd"}} {
		said := overSSH(t, sshd, key, nil, words...)
		if strings.Contains(said.Stdout, "uid=") || strings.Contains(said.Stdout, "a shell") || strings.Contains(said.Stdout, "CONTAINER ID") || strings.Contains(said.Stdout, "root:") {
			t.Errorf("%q got through:\n%s", words, said.Stdout)
		}
		if words[0] != "apps:list" && said.Exit == 0 {
			t.Errorf("%q: exit 0\n%s%s", words, said.Stdout, said.Stderr)
		}
	}
	if shell := overSSH(t, sshd, key, []string{"-T"}); strings.Contains(shell.Stdout, "a shell\n") || !strings.Contains(shell.Stdout, "Usage: dokku") {
		t.Errorf("without a command it is no help: %+v", shell)
	}
	if terminal := overSSH(t, sshd, key, []string{"-tt"}, "bash"); strings.Contains(terminal.Stdout, "a shell\r\na shell") || terminal.Exit == 0 {
		t.Errorf("with a terminal: %+v", terminal)
	}
	if sftp := overSSH(t, sshd, key, []string{"-s"}, "sftp"); sftp.Exit == 0 {
		t.Errorf("sftp: %+v", sftp)
	}
	if forward := overSSH(t, sshd, key, []string{"-o", "ExitOnForwardFailure=yes", "-W", sshd.Addr}); forward.Exit == 0 || strings.Contains(forward.Stdout, "SSH-2.0") {
		t.Errorf("a port was forwarded: %+v", forward)
	}
}

// watches: the service's program runs as the dokku user and ends when it is told to.
func watches(t *testing.T) {
	var said lockedBuffer
	watch := exec.Command("sudo", "-u", "dokku", "/usr/local/bin/dokku-agent", "watch")
	watch.Stderr = &said
	if err := watch.Start(); err != nil {
		t.Fatal(err)
	}
	said.waitFor(t, "watching")
	time.Sleep(500 * time.Millisecond)
	_ = watch.Process.Signal(syscall.SIGTERM)
	if err := watch.Wait(); err != nil {
		t.Errorf("watch: %v\n%s", err, said.String())
	}
	if text := strings.TrimSpace(said.String()); text != "dokku-agent: watching" {
		t.Errorf("watch complains:\n%s", text)
	}
}
