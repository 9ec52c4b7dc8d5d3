package e2e

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/internal/testkit"
)

// bare runs the client in a folder without any host, and with further variables.
func bare(t *testing.T, dir string, env []string, args ...string) testkit.Result {
	t.Helper()
	cmd := exec.Command(testkit.Binaries(t).Client, args...)
	cmd.Dir = dir
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir()}, env...)
	return testkit.Run(t, cmd)
}

// fails fails the test unless a client exited as wanted, said all of the texts on
// stderr and nothing on stdout.
func fails(t *testing.T, what string, r testkit.Result, exit int, says ...string) {
	t.Helper()
	if r.Exit != exit || r.Stdout != "" {
		t.Errorf("%s: exit %d, want %d; stdout %q, stderr:\n%s", what, r.Exit, exit, r.Stdout, r.Stderr)
	}
	for _, text := range says {
		if !strings.Contains(r.Stderr, text) {
			t.Errorf("%s does not say %q:\n%s", what, text, r.Stderr)
		}
	}
}

func TestClientHelp(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"push", "-h"}, {"run", "--help"}, {"help", "status"}} {
		if r := bare(t, t.TempDir(), nil, args...); r.Exit != 0 || r.Stderr != "" || !strings.Contains(r.Stdout, "--host-key") || !strings.Contains(r.Stdout, "Usage: dokku-push ") {
			t.Errorf("%v: %+v", args, r)
		}
	}
	for _, args := range [][]string{{"help"}, {"--help"}} {
		r := bare(t, t.TempDir(), nil, args...)
		if r.Exit != 0 || r.Stderr != "" {
			t.Errorf("%v: exit %d\n%s", args, r.Exit, r.Stderr)
		}
		for _, command := range []string{"push", "plan", "check", "init", "config explain KEY", "build", "status", "releases", "rollback", "promote", "drift", "doctor", "logs", "run", "schema", "help", "version"} {
			if !strings.Contains(r.Stdout, "\n  "+command+" ") {
				t.Errorf("%v does not list the command %s:\n%s", args, command, r.Stdout)
			}
		}
		for _, row := range api.ExitCodes() {
			if !strings.Contains(r.Stdout, fmt.Sprintf("%d  %s\n", row.Exit, row.Meaning)) {
				t.Errorf("%v does not list exit code %d", args, row.Exit)
			}
		}
	}
	if r := bare(t, t.TempDir(), nil, "version"); r.Exit != 0 || !strings.Contains(r.Stdout, fmt.Sprintf("protocol %d", api.Protocol)) {
		t.Errorf("version: %+v", r)
	}
}

func TestClientUsage(t *testing.T) {
	t.Parallel()
	dir := testkit.CopyApp(t, "hello")
	fails(t, "an unknown flag", bare(t, dir, nil, "--nonsense"), 64, "nonsense", "dokku-push help")
	fails(t, "two folders", bare(t, dir, nil, "./one", "two"), 64, "one argument", "dokku-push help")
	fails(t, "two folders of push", bare(t, dir, nil, "push", "one", "two"), 64, "one argument")
	fails(t, "a command that is none", bare(t, dir, nil, "psuh"), 64, "no command", "did you mean push?")
	fails(t, "a flag of another command", bare(t, dir, nil, "status", "--plan", "x"), 64, "plan", "dokku-push help status")
	fails(t, "no such folder", bare(t, dir, nil, "./nowhere"), 64, "nowhere")
	fails(t, "no host", bare(t, dir, nil), 64, "no host", "--host", "DOKKU_HOST", "dokku.hcl")
	fails(t, "no host for status", bare(t, dir, nil, "status"), 64, "--host")
	fails(t, "a log format", bare(t, dir, nil, "--log-format", "xml"), 64, "auto, plain or json")
	fails(t, "a release", bare(t, dir, []string{"DOKKU_HOST=localhost"}, "rollback", "first"), 64, "dokku-push releases")
}

// TestClientManifest: every mistake is told at once, with its place, and nothing is sent.
func TestClientManifest(t *testing.T) {
	t.Parallel()
	h := testkit.Serve(t, testkit.ServeOptions{})
	n := between(t, h.SSH)
	dir := testkit.CopyApp(t, "hello")
	for name, text := range map[string]string{
		"dokku.hcl": "app = \"hello\"\nnonsense = 1\nbuild {\n  builder = \"magic\"\n}\n",
		"Procfile":  "web: exec busybox httpd -f -p \"$PORT\" -h /www\nno colon here\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	r := testkit.Run(t, n.command(t, h, dir))
	fails(t, "a manifest with mistakes", r, 65, "dokku.hcl:2", "dokku.hcl:4", "Procfile:2", "nonsense", "magic")
	if up, _ := n.counted(); up != 0 {
		t.Errorf("%d bytes were sent", up)
	}
}

// TestClientRefused: hosts and keys that are not what they should be.
func TestClientRefused(t *testing.T) {
	t.Parallel()
	h := testkit.Serve(t, testkit.ServeOptions{})
	dir, app := testkit.CopyApp(t, "hello"), h.App(t, "refused")
	try := func(env []string, args ...string) testkit.Result {
		t.Helper()
		cmd := h.Command(t, dir, append(args, "--app", app)...)
		cmd.Env = append(cmd.Env, env...)
		return testkit.Run(t, cmd)
	}
	nobody := fmt.Sprintf("127.0.0.1:%d", testkit.FreePort(t))
	fails(t, "an unreachable host", try([]string{"DOKKU_HOST=dokku@" + nobody}), 69, "connect to dokku@"+nobody, "check that the host is up")
	unpinned := []string{"DOKKU_SSH_HOST_KEY="}
	fails(t, "an unknown host key", try(unpinned), 77, h.HostKey, "--host-key", "DOKKU_SSH_HOST_KEY", "ssh-keyscan", "known_hosts")
	other := testkit.NewKey(t)
	fails(t, "another pinned key", try([]string{"DOKKU_SSH_HOST_KEY=" + other.Fingerprint}), 77, h.HostKey, other.Fingerprint, "pinned")
	address, port, err := net.SplitHostPort(h.SSH)
	if err != nil {
		t.Fatal(err)
	}
	homeFile(t, h, ".ssh/known_hosts", fmt.Appendf(nil, "[%s]:%s %s\n", address, port, other.Public))
	fails(t, "a changed host key", try(unpinned), 77, h.HostKey, "has changed", other.Fingerprint, "ssh-keygen", "-R")
	fails(t, "a changed host key, new ones accepted", try(append(unpinned, "DOKKU_SSH_ACCEPT_NEW_HOST_KEYS=1")), 77, "has changed")
	fails(t, "a wrong key", try([]string{"DOKKU_SSH_KEY_FILE=" + other.File}), 77, other.File)
	if exists := h.Dokku(t, "apps:exists", app); exists.Exit == 0 {
		t.Error("a refused push made the app")
	}
	homeFile(t, h, ".ssh/known_hosts", nil)
	pushed(t, try(append(unpinned, "DOKKU_SSH_ACCEPT_NEW_HOST_KEYS=1")))
	pushed(t, try(unpinned)) // it was remembered
	answers(t, h, app, "/", "Hello")
}

// TestClientBuild: build needs neither a host nor, for a static site, an engine.
func TestClientBuild(t *testing.T) {
	t.Parallel()
	dir, app := testkit.CopyApp(t, "site"), testkit.AppName(t, "site")
	file := filepath.Join(t.TempDir(), "image.tar")
	noDocker := []string{"DOCKER_HOST=unix:///nowhere/docker.sock"}
	r := bare(t, dir, noDocker, "build", "--app", app, "-o", file)
	id := strings.TrimSuffix(r.Stdout, "\n")
	if r.Exit != 0 || !strings.HasPrefix(id, "sha256:") || len(id) != len("sha256:")+64 {
		t.Fatalf("build: exit %d, stdout %q\n%s", r.Exit, r.Stdout, r.Stderr)
	}
	t.Cleanup(func() { _ = exec.Command("docker", "rmi", "dokku/"+app+":latest").Run() })
	docker(t, "load", "-i", file)
	if got := docker(t, "image", "inspect", "--format", "{{.Id}}", "dokku/"+app+":latest"); strings.TrimSpace(got) != id {
		t.Errorf("docker load made %s of it, build said %s", got, id)
	}
	if again := bare(t, dir, noDocker, "build", "--app", app); again.Stdout != r.Stdout {
		t.Errorf("the same tree is %q the second time, %q the first", again.Stdout, r.Stdout)
	}
}

// TestClientOutput: what is on stdout and stderr, in both formats, and the commands that
// pass on an app's own output.
func TestClientOutput(t *testing.T) {
	t.Parallel()
	h := testkit.Serve(t, testkit.ServeOptions{})
	dir, app := talkative(t), h.App(t, "output")
	plain := pushed(t, h.Push(t, dir, "--app", app))
	if strings.Contains(plain.Stdout+plain.Stderr, "\x1b") || strings.Contains(plain.Stderr, "\r") {
		t.Errorf("plain output has escape sequences:\n%q", plain.Stderr)
	}
	for line := range strings.Lines(plain.Stdout) {
		if !strings.HasPrefix(line, "http://"+app+".localhost") {
			t.Errorf("stdout has %q, want URLs alone", line)
		}
	}
	testkit.Edit(t, dir, "www/cgi-bin/index.cgi", "Hello", "Hello again")
	list := events(t, pushed(t, h.Push(t, dir, "--app", app, "--log-format", "json")).Stdout)
	version, last := -1, len(list)-1
	for n, event := range list {
		if event.Time.IsZero() {
			t.Errorf("event %d has no time: %+v", n, event)
		}
		switch {
		case event.Version != nil:
			version = n
		case event.Verdict != nil && n != last:
			t.Errorf("event %d of %d is a verdict", n, last)
		case version < 0 && event.Step != nil && !strings.Contains(" connect build ship ", " "+event.Step.Name+" "):
			t.Errorf("the host's step %s comes before its version", event.Step.Name)
		}
	}
	if list[0].Step == nil || list[0].Step.Name != "connect" || version < 0 || list[version].Version.Protocol != api.Protocol || list[version].Version.App != app {
		t.Errorf("the first event is %+v, the version event %d", list[0], version)
	}
	if v := list[last].Verdict; v == nil || !v.OK || !v.Changed || v.Release != 2 || len(v.URLs) == 0 {
		t.Errorf("the last event is %+v, want the verdict on v2", list[last])
	}

	if r := h.Push(t, dir, "run", "--app", app, "--", "sh", "-c", "exit 3"); r.Exit != 3 {
		t.Errorf("run: exit %d, want 3\n%s", r.Exit, r.Stderr)
	}
	cmd := h.Command(t, dir, "run", "--app", app, "--", "sed", "s/^/got /")
	cmd.Stdin = strings.NewReader("one\ntwo words\n")
	if r := testkit.Run(t, cmd); r.Exit != 0 || r.Stdout != "got one\ngot two words\n" {
		t.Errorf("run with input: exit %d, stdout %q\n%s", r.Exit, r.Stdout, r.Stderr)
	}
	if r := h.Push(t, dir, "logs", "--app", app); r.Exit != 0 || !strings.Contains(r.Stdout, "tick 1") {
		t.Errorf("logs: exit %d, stdout %q\n%s", r.Exit, r.Stdout, r.Stderr)
	}
}

// TestClientFailureJSON: what fails is a verdict in JSON, last, with its code: a deploy
// with the container's story, and what ends before the host judges anything.
func TestClientFailureJSON(t *testing.T) {
	t.Parallel()
	h := testkit.Serve(t, testkit.ServeOptions{})
	dir, app := testkit.CopyApp(t, "crash"), h.App(t, "crash")
	nobody := fmt.Sprintf("127.0.0.1:%d", testkit.FreePort(t))
	for _, test := range []struct {
		args []string
		exit int
		code api.Code
	}{
		{nil, 24, api.Unhealthy},
		{[]string{"--host", nobody}, 69, api.Unreachable},
		{[]string{"./nowhere"}, 64, api.Usage},
	} {
		r := h.Push(t, dir, append(test.args, "--app", app, "--log-format", "json")...)
		list := events(t, r.Stdout)
		v := list[len(list)-1].Verdict
		if r.Exit != test.exit || v == nil || v.OK || v.Error == nil || v.Error.Code != test.code {
			t.Errorf("%v: exit %d, the last event is %+v; want exit %d, %s", test.args, r.Exit, list[len(list)-1], test.exit, test.code)
		} else if test.code == api.Unhealthy && v.Error.Failure == nil {
			t.Errorf("the verdict says nothing of the container: %+v", v.Error)
		}
		for _, event := range list[:len(list)-1] {
			if event.Verdict != nil {
				t.Errorf("%v: there is more than one verdict", test.args)
			}
		}
	}
}

// signalled starts a client, sends it a signal once it has said a text, and returns its
// exit code and story.
func signalled(t *testing.T, cmd *exec.Cmd, text string, signal syscall.Signal) (int, string) {
	t.Helper()
	var story lockedBuffer
	cmd.Stdout, cmd.Stderr = &story, &story
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Process.Kill() // if the text is never said
	story.waitFor(t, text)
	if err := cmd.Process.Signal(signal); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // the exit code says it
	return cmd.ProcessState.ExitCode(), story.String()
}

// TestClientInterrupted: ^C and TERM undo a deploy, and end what has nothing to undo.
func TestClientInterrupted(t *testing.T) {
	h := testkit.Serve(t, testkit.ServeOptions{})
	dir, app := talkative(t), h.App(t, "interrupted")
	pushed(t, h.Push(t, dir, "--app", app))
	before := status(t, h, dir, app)
	sick, slow := testkit.CopyApp(t, "sick"), testkit.CopyApp(t, "hello")
	testkit.Edit(t, sick, "app.json", `"attempts": 2`, `"attempts": 60`)
	testkit.Edit(t, slow, "Dockerfile", "COPY", "RUN : "+app+"; echo building; sleep 60\nCOPY") // in no cache
	for _, test := range []struct {
		what, dir, text string
		args            []string
		exits           [2]int // by SIGINT, by SIGTERM
	}{
		{"a check", sick, "Check the containers", nil, [2]int{27, 27}},
		{"a build", slow, "building\n", nil, [2]int{27, 27}},
		{"logs -t", dir, "tick 1", []string{"logs", "-t"}, [2]int{130, 143}},
		{"run", dir, "begun", []string{"run", "--", "sh", "-c", "echo begun; sleep 60"}, [2]int{130, 143}},
	} {
		for n, signal := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
			cmd := h.Command(t, test.dir, test.args...)
			cmd.Env = append(cmd.Env, "DOKKU_APP="+app)
			exit, story := signalled(t, cmd, test.text, signal)
			if exit != test.exits[n] {
				t.Errorf("%s: %s: exit %d, want %d\n%s", test.what, signal, exit, test.exits[n], story)
			}
			if after := status(t, h, dir, app); test.what == "a check" && (before.Hash != after.Hash || after.Unfinished != "") {
				t.Errorf("%s: %s: the state is not as before:\n%+v\n%+v", test.what, signal, before, after)
			}
		}
	}
	answers(t, h, app, "/", "Hello")
	deadline := time.Now().Add(2 * time.Minute)
	for left := ""; ; time.Sleep(100 * time.Millisecond) {
		if left = docker(t, "ps", "-a", "--filter", "label=com.dokku.app-name="+app, "--format", "{{.Names}}"); left == app+".web.1" {
			break
		} else if time.Now().After(deadline) {
			t.Fatalf("containers that were left behind: %q", left)
		}
	}
	if after := status(t, h, dir, app); before.Hash != after.Hash {
		t.Errorf("the state is not as before:\n%+v\n%+v", before, after)
	}
}

// TestClientInterruptedShip: ^C while layers are on their way, over ssh or to a registry.
func TestClientInterruptedShip(t *testing.T) {
	h := testkit.Serve(t, testkit.ServeOptions{})
	registry := testkit.Registry(t, testkit.RegistryOptions{})
	dir, app := big(t), h.App(t, "interrupted")
	ssh, blobs := between(t, h.SSH), between(t, registry.Addr)
	for _, test := range []struct {
		way  *network
		args []string
	}{
		{ssh, nil},
		{blobs, []string{"--registry", blobs.addr + "/team/app"}},
	} {
		cmd := ssh.command(t, h, dir, append(test.args, "--app", app)...)
		test.way.at(8<<20, func() {
			_ = cmd.Process.Signal(syscall.SIGINT)
			time.Sleep(2 * time.Second) // so that the upload does not end first
		})
		if r := testkit.Run(t, cmd); r.Exit != 27 || !strings.Contains(r.Stderr, "cancelled") {
			t.Errorf("%v: exit %d, want 27\n%s", test.args, r.Exit, r.Stderr)
		}
	}
	if exists := h.Dokku(t, "apps:exists", app); exists.Exit == 0 {
		t.Error("an upload made the app")
	}
}
