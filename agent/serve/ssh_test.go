package serve

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
)

func signer(t *testing.T, n byte) ssh.Signer {
	t.Helper()
	s, err := ssh.NewSignerFromKey(ed25519.NewKeyFromSeed(bytes.Repeat([]byte{n}, ed25519.SeedSize)))
	must(t, err)
	return s
}

// sshd serves a program to alice's key, which is signer 1.
func sshd(t *testing.T, argv ...string) (address string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	alice := signer(t, 1).PublicKey()
	server := &SSH{HostKey: signer(t, 9), Argv: argv, Env: []string{"PATH=/usr/bin:/bin", "MARK=x"}, Keys: func(key ssh.PublicKey) (Key, bool) {
		return Key{Name: "alice", Fingerprint: ssh.FingerprintSHA256(key)}, bytes.Equal(key.Marshal(), alice.Marshal())
	}}
	ctx, stop := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- server.Serve(ctx, listener) }()
	t.Cleanup(func() {
		stop()
		select {
		case err := <-served:
			must(t, err)
		case <-time.After(2 * time.Minute):
			t.Error("it does not end")
		}
	})
	return listener.Addr().String()
}

func dial(t *testing.T, address string, auth ...ssh.AuthMethod) (*ssh.Client, error) {
	t.Helper()
	client, err := ssh.Dial("tcp", address, &ssh.ClientConfig{User: "dokku", Auth: auth, HostKeyCallback: ssh.FixedHostKey(signer(t, 9).PublicKey()), Timeout: time.Minute})
	if err == nil {
		t.Cleanup(func() { client.Close() })
	}
	return client, err
}

func alice(t *testing.T, address string) *ssh.Client {
	t.Helper()
	client, err := dial(t, address, ssh.PublicKeys(signer(t, 1)))
	must(t, err)
	return client
}

func session(t *testing.T, client *ssh.Client) *ssh.Session {
	t.Helper()
	s, err := client.NewSession()
	must(t, err)
	return s
}

func TestKeys(t *testing.T) {
	address := sshd(t, "true")
	for name, auth := range map[string][]ssh.AuthMethod{
		"another key": {ssh.PublicKeys(signer(t, 2))},
		"no key":      nil,
		"a password":  {ssh.Password("secret"), ssh.KeyboardInteractive(func(string, string, []string, []bool) ([]string, error) { return nil, nil })},
	} {
		if _, err := dial(t, address, auth...); err == nil || !strings.Contains(err.Error(), "unable to authenticate") {
			t.Errorf("%s: %v", name, err)
		}
	}
	var many []ssh.Signer // as an agent with many keys offers them
	for n := range byte(12) {
		many = append(many, signer(t, 20+n))
	}
	if _, err := dial(t, address, ssh.PublicKeys(append(many, signer(t, 1))...)); err != nil {
		t.Errorf("the thirteenth key: %v", err)
	}
}

// TestExec: the program gets the environment of a forced command, the three streams and
// nothing of the client's line in its own.
func TestExec(t *testing.T) {
	client := alice(t, sshd(t, "/bin/sh", "-c", `echo "$#|$SSH_ORIGINAL_COMMAND|$NAME|$FINGERPRINT|$USER|$MARK|$LEAK|$HOME"; cat; echo problem >&2; exit 7`))
	s := session(t, client)
	var out, problem bytes.Buffer
	s.Stdin, s.Stdout, s.Stderr = strings.NewReader("input"), &out, &problem
	if err := s.Setenv("LEAK", "x"); err == nil {
		t.Error("the client may set variables")
	}
	err := s.Run("config:set a 'B=$(id)'; reboot")
	exit, ok := errors.AsType[*ssh.ExitError](err)
	if !ok || exit.ExitStatus() != 7 {
		t.Errorf("got %v", err)
	}
	want := "0|config:set a 'B=$(id)'; reboot|alice|" + ssh.FingerprintSHA256(signer(t, 1).PublicKey()) + "|dokku|x||\ninput"
	if out.String() != want || problem.String() != "problem\n" {
		t.Errorf("%q, %q; want %q", out.String(), problem.String(), want)
	}
}

// TestRefusedRequests: exec requests and nothing else.
func TestRefusedRequests(t *testing.T) {
	address := sshd(t, "/bin/sh", "-c", `test -t 0 && echo terminal; echo "command: $SSH_ORIGINAL_COMMAND"`)
	client := alice(t, address)
	s := session(t, client)
	if err := s.RequestPty("xterm", 24, 80, nil); err == nil {
		t.Error("it gives a terminal")
	}
	if err := s.RequestSubsystem("sftp"); err == nil {
		t.Error("it has a subsystem")
	}
	for _, request := range []string{"auth-agent-req@openssh.com", "x11-req", "signal", "env", "nonsense"} {
		if ok, err := s.SendRequest(request, true, nil); ok || err != nil {
			t.Errorf("%s: %t, %v", request, ok, err)
		}
	}
	if out, err := s.Output("apps:list"); string(out) != "command: apps:list\n" || err != nil {
		t.Errorf("after all of that: %q, %v", out, err)
	}
	// A shell is the program without a command, as a forced command makes it.
	s = session(t, client)
	var out bytes.Buffer
	s.Stdout = &out
	must(t, s.Shell())
	must(t, s.Wait())
	if out.String() != "command: \n" {
		t.Errorf("a shell says %q", out.String())
	}
	// One request a session.
	s = session(t, client)
	must(t, s.Start("a"))
	if ok, err := s.SendRequest("exec", true, ssh.Marshal(struct{ Command string }{"b"})); ok && err == nil {
		t.Error("a second exec request in one session")
	}
	// A payload that is none is refused.
	channel, _, err := client.OpenChannel("session", nil)
	must(t, err)
	if ok, err := channel.SendRequest("exec", true, []byte{0, 0, 0, 9, 'x'}); ok && err == nil {
		t.Error("an exec request without a whole command")
	}
}

func TestNoForwarding(t *testing.T) {
	target, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer target.Close()
	client := alice(t, sshd(t, "true"))
	if conn, err := client.Dial("tcp", target.Addr().String()); err == nil {
		conn.Close()
		t.Error("it forwards to its own network")
	} else if !strings.Contains(err.Error(), "forwards nothing") {
		t.Error(err)
	}
	if _, err := client.Dial("unix", "/var/run/docker.sock"); err == nil {
		t.Error("it forwards to a socket")
	}
	if listener, err := client.Listen("tcp", "127.0.0.1:0"); err == nil {
		listener.Close()
		t.Error("it listens for the client")
	}
	if ok, _, err := client.SendRequest("keepalive@openssh.com", true, nil); !ok || err != nil {
		t.Errorf("a keepalive is answered with %t, %v", ok, err)
	}
}

// TestClientLeaves: the program and its children are told, as by sshd's hang-up.
func TestClientLeaves(t *testing.T) {
	file := filepath.Join(t.TempDir(), "pids")
	client := alice(t, sshd(t, "/bin/sh", "-c", "sleep 60 & echo $$ $! > "+file+".new; mv "+file+".new "+file+"; wait"))
	s := session(t, client)
	must(t, s.Start("x"))
	var pids []string
	for deadline := time.Now().Add(time.Minute); len(pids) == 0 && time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		text, _ := os.ReadFile(file)
		pids = strings.Fields(string(text))
	}
	if len(pids) != 2 {
		t.Fatal("it was not started")
	}
	client.Close()
	for _, text := range pids {
		pid, err := strconv.Atoi(text)
		must(t, err)
		for deadline := time.Now().Add(time.Minute); running(pid); time.Sleep(5 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("process %d still runs", pid)
			}
		}
	}
}

// running tells whether a process lives: one that only waits to be reaped does not.
func running(pid int) bool {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil || syscall.Kill(pid, 0) != nil {
		return false
	}
	_, state, _ := strings.Cut(string(text), ") ")
	return !strings.HasPrefix(state, "Z")
}

// TestManyAtOnce: each channel is a process of its own.
func TestManyAtOnce(t *testing.T) {
	client := alice(t, sshd(t, "/bin/sh", "-c", `read line; echo "$SSH_ORIGINAL_COMMAND $line"`))
	type one struct {
		in  io.WriteCloser
		out *bytes.Buffer
		*ssh.Session
	}
	var all []one
	for n := range 8 {
		s := one{Session: session(t, client), out: &bytes.Buffer{}}
		s.Stdout = s.out
		in, err := s.StdinPipe()
		must(t, err)
		s.in = in
		must(t, s.Start(strconv.Itoa(n)))
		all = append(all, s)
	}
	for n := len(all) - 1; n >= 0; n-- {
		_, err := io.WriteString(all[n].in, "go\n")
		must(t, errors.Join(err, all[n].Wait()))
		if want := strconv.Itoa(n) + " go\n"; all[n].out.String() != want {
			t.Errorf("%q, want %q", all[n].out.String(), want)
		}
	}
}
