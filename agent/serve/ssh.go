package serve

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/dokku-push/dokku-push/agent"
)

// SSH is the ssh server of an embedded host: public keys of an authorized_keys file,
// exec requests and nothing else. Each request is a process of its own, with the
// environment that OpenSSH and the forced command give it on a real host.
type SSH struct {
	HostKey ssh.Signer
	// Keys answers who a key belongs to; false refuses it.
	Keys func(key ssh.PublicKey) (Key, bool)
	// Argv is what the forced command runs.
	Argv []string
	Env  []string
}

// Key is one line of authorized_keys, or a certificate that one trusts.
type Key struct {
	Name, Fingerprint string
	Apps              string // that a certificate is for, with blanks between them
	Forced            string // the one command that it may call; empty: what is asked for
}

// Serve accepts connections until ctx ends, and then waits for the running ones.
func (s *SSH) Serve(ctx context.Context, listener net.Listener) error {
	config := &ssh.ServerConfig{
		MaxAuthTries: 20, // an ssh-agent may hold many keys
		PublicKeyCallback: func(_ ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
			known, ok := s.Keys(key)
			if !ok {
				return nil, errors.New("this key is not known here")
			}
			return &ssh.Permissions{Extensions: map[string]string{"name": known.Name, "fingerprint": known.Fingerprint, "apps": known.Apps, "forced": known.Forced}}, nil
		},
	}
	config.AddHostKey(s.HostKey)
	stop := context.AfterFunc(ctx, func() { listener.Close() })
	defer stop()
	var running sync.WaitGroup
	defer running.Wait()
	for {
		conn, err := listener.Accept()
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return fmt.Errorf("accept an ssh connection: %w", err)
		}
		running.Go(func() { s.connection(ctx, conn, config) })
	}
}

// connection serves one client until it leaves.
func (s *SSH) connection(ctx context.Context, conn net.Conn, config *ssh.ServerConfig) {
	host := ctx
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(30 * time.Second)) // for the handshake
	server, channels, requests, err := ssh.NewServerConn(conn, config)
	if err != nil {
		return // the client has been told
	}
	_ = conn.SetDeadline(time.Time{})
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	go answerRequests(requests)
	var running sync.WaitGroup
	for offered := range channels {
		if offered.ChannelType() != "session" {
			_ = offered.Reject(ssh.Prohibited, "this host forwards nothing")
			continue
		}
		channel, requests, err := offered.Accept()
		if err != nil {
			break
		}
		running.Go(func() { s.session(ctx, host, server, channel, requests) })
	}
	cancel()
	running.Wait()
}

// answerRequests says yes to keepalives and no to everything else.
func answerRequests(requests <-chan *ssh.Request) {
	for request := range requests {
		if request.WantReply {
			_ = request.Reply(request.Type == "keepalive@openssh.com", nil)
		}
	}
}

// session waits for its one exec request; "env", "pty-req" and the like are refused.
func (s *SSH) session(ctx, host context.Context, server *ssh.ServerConn, channel ssh.Channel, requests <-chan *ssh.Request) {
	defer channel.Close()
	for request := range requests {
		if request.Type != "exec" && request.Type != "shell" {
			if request.WantReply {
				_ = request.Reply(false, nil)
			}
			continue
		}
		var payload struct{ Command string }
		if request.Type == "exec" && ssh.Unmarshal(request.Payload, &payload) != nil {
			_ = request.Reply(false, nil)
			return
		}
		_ = request.Reply(true, nil)
		go answerRequests(requests)
		exit := s.exec(ctx, host, server, channel, payload.Command)
		_, _ = channel.SendRequest("exit-status", false, ssh.Marshal(struct{ Status uint32 }{uint32(exit)}))
		return
	}
}

// exec runs the forced command. When the client leaves, its process group is ended, as sshd's
// hang-up would; a deploy has a session of its own and is not in it. When the host ends,
// it is ended whether it minds a hang-up or not.
func (s *SSH) exec(ctx, host context.Context, server *ssh.ServerConn, channel ssh.Channel, command string) int {
	if forced := server.Permissions.Extensions["forced"]; forced != "" {
		command = forced
	}
	cmd := exec.Command(s.Argv[0], s.Argv[1:]...)
	cmd.Env = append(append([]string(nil), s.Env...),
		"SSH_ORIGINAL_COMMAND="+command, "NAME="+server.Permissions.Extensions["name"], agent.AppsVariable+"="+server.Permissions.Extensions["apps"],
		"FINGERPRINT="+server.Permissions.Extensions["fingerprint"], "USER=dokku",
		"SSH_CONNECTION="+connectionText(server))
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		fmt.Fprintln(channel.Stderr(), err)
		return 255
	}
	cmd.Stdout, cmd.Stderr = channel, channel.Stderr()
	cmd.WaitDelay = 2 * time.Second
	if err := cmd.Start(); err != nil {
		fmt.Fprintln(channel.Stderr(), err)
		return 255
	}
	stop := context.AfterFunc(ctx, func() { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGHUP) })
	defer stop()
	end := context.AfterFunc(host, func() { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) })
	defer end()
	go func() {
		_, _ = io.Copy(stdin, channel)
		stdin.Close()
	}()
	err = cmd.Wait()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signaled() {
			return 128 + int(status.Signal())
		}
		return exit.ExitCode()
	} else if err != nil && !errors.Is(err, exec.ErrWaitDelay) {
		fmt.Fprintln(channel.Stderr(), err)
		return 255
	}
	return 0
}

func connectionText(server *ssh.ServerConn) string {
	from, to := server.RemoteAddr().String(), server.LocalAddr().String()
	fromHost, fromPort, _ := net.SplitHostPort(from)
	toHost, toPort, _ := net.SplitHostPort(to)
	return fromHost + " " + fromPort + " " + toHost + " " + toPort
}

// Detach starts the program that carries out a change in a session of its own: it
// outlives the channel, the client and the connection. The change is written to its
// standard input and to nothing else.
func Detach(argv, env []string, change []byte) error {
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer null.Close()
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Env, cmd.Stdout, cmd.Stderr, cmd.Dir = env, null, null, "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return fmt.Errorf("start the deploy process: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start the deploy process: %w", err)
	}
	_, err = stdin.Write(change)
	if err = errors.Join(err, stdin.Close()); err != nil {
		return fmt.Errorf("hand the change to the deploy process: %w", err)
	}
	// It may well end before this process does, and must not stay as a zombie then: whoever
	// follows its journal asks whether it is alive.
	go func() { _ = cmd.Wait() }()
	return nil
}
