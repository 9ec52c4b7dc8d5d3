package remote

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"encoding/binary"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/dokku-push/dokku-push/api"
)

// testServer is an ssh server: exec requests only, and forwarding where allowed.
type testServer struct {
	addr     string
	hostKeys []ssh.Signer
	exec     func(command string, ch ssh.Channel) int

	mu       sync.Mutex
	conns    map[net.Conn]bool
	sessions int // open now
	peak     int
	limit    int // sessions at once; 0: no limit
	forward  bool
	logins   []string // user and fingerprint
	ptys     []string
	deaf     bool // global requests are not answered
}

// startServer serves on a free port until the test ends. authorized are the public
// keys that may log in.
func startServer(t *testing.T, hostKeys []ssh.Signer, authorized ...ssh.PublicKey) *testServer {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &testServer{addr: listener.Addr().String(), hostKeys: hostKeys, conns: map[net.Conn]bool{}}
	s.exec = func(command string, ch ssh.Channel) int {
		fmt.Fprintf(ch, "ran %s\n", command)
		return 0
	}
	config := &ssh.ServerConfig{MaxAuthTries: 6, PublicKeyCallback: func(meta ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
		for _, good := range authorized {
			if string(good.Marshal()) == string(key.Marshal()) {
				return &ssh.Permissions{Extensions: map[string]string{"login": meta.User() + " " + ssh.FingerprintSHA256(key)}}, nil
			}
		}
		return nil, fmt.Errorf("not authorized")
	}}
	for _, key := range hostKeys {
		config.AddHostKey(key)
	}
	var owned sync.WaitGroup
	owned.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			s.mu.Lock()
			s.conns[conn] = true
			s.mu.Unlock()
			owned.Go(func() { s.serve(conn, config) })
		}
	})
	t.Cleanup(func() {
		listener.Close()
		s.cut()
		owned.Wait()
	})
	return s
}

// cut drops every connection, as a network does.
func (s *testServer) cut() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for conn := range s.conns {
		conn.Close()
	}
}

func (s *testServer) serve(conn net.Conn, config *ssh.ServerConfig) {
	defer conn.Close()
	server, channels, requests, err := ssh.NewServerConn(conn, config)
	if err != nil {
		return
	}
	s.mu.Lock()
	s.logins = append(s.logins, server.Permissions.Extensions["login"])
	s.mu.Unlock()
	var owned sync.WaitGroup
	defer owned.Wait()
	owned.Go(func() {
		for r := range requests {
			s.mu.Lock()
			deaf := s.deaf
			s.mu.Unlock()
			if !deaf && r.WantReply {
				r.Reply(false, nil)
			}
		}
	})
	for incoming := range channels {
		switch incoming.ChannelType() {
		case "direct-tcpip":
			owned.Go(func() { s.tunnel(incoming) })
		case "session":
			s.mu.Lock()
			full := s.limit > 0 && s.sessions >= s.limit
			if !full {
				s.sessions++
				s.peak = max(s.peak, s.sessions)
			}
			s.mu.Unlock()
			if full {
				incoming.Reject(ssh.ConnectionFailed, "open failed")
				continue
			}
			owned.Go(func() { s.session(incoming) })
		default:
			incoming.Reject(ssh.UnknownChannelType, "no")
		}
	}
}

func (s *testServer) session(incoming ssh.NewChannel) {
	ch, requests, err := incoming.Accept()
	if err != nil {
		return
	}
	defer ch.Close()
	defer func() { // before the client hears that it ended
		s.mu.Lock()
		s.sessions--
		s.mu.Unlock()
	}()
	for r := range requests {
		switch r.Type {
		case "pty-req":
			s.mu.Lock()
			n := binary.BigEndian.Uint32(r.Payload)
			s.ptys = append(s.ptys, fmt.Sprintf("%s %dx%d", r.Payload[4:4+n], binary.BigEndian.Uint32(r.Payload[4+n:]), binary.BigEndian.Uint32(r.Payload[8+n:])))
			s.mu.Unlock()
			r.Reply(true, nil)
		case "exec":
			r.Reply(true, nil)
			go ssh.DiscardRequests(requests)
			code := s.exec(string(r.Payload[4:]), ch)
			if code >= 0 {
				ch.SendRequest("exit-status", false, binary.BigEndian.AppendUint32(nil, uint32(code)))
			}
			return
		default:
			r.Reply(false, nil)
		}
	}
}

func (s *testServer) tunnel(incoming ssh.NewChannel) {
	var to struct {
		Host       string
		Port       uint32
		Origin     string
		OriginPort uint32
	}
	if !s.forward || ssh.Unmarshal(incoming.ExtraData(), &to) != nil {
		incoming.Reject(ssh.Prohibited, "forwarding is off")
		return
	}
	conn, err := net.Dial("tcp", net.JoinHostPort(to.Host, strconv.Itoa(int(to.Port))))
	if err != nil {
		incoming.Reject(ssh.ConnectionFailed, err.Error())
		return
	}
	ch, requests, err := incoming.Accept()
	if err != nil {
		conn.Close()
		return
	}
	var owned sync.WaitGroup
	owned.Go(func() { ssh.DiscardRequests(requests) })
	owned.Go(func() { io.Copy(conn, ch); conn.Close() })
	io.Copy(ch, conn)
	ch.Close()
	owned.Wait()
}

// agentExec answers agent:http with the handler.
func agentExec(handler http.Handler) func(string, ssh.Channel) int {
	return func(command string, ch ssh.Channel) int {
		if command != api.AgentCommand {
			fmt.Fprintf(ch.Stderr(), "%s: not found\n", command)
			return 127
		}
		serveConn(pipeConn{ch, ch}, handler)
		return 0
	}
}

// serveConn serves HTTP on one connection and returns when it is over.
func serveConn(conn net.Conn, handler http.Handler) {
	ended := make(chan struct{})
	once := sync.OnceFunc(func() { close(ended) })
	server := &http.Server{Handler: handler, ConnState: func(_ net.Conn, state http.ConnState) {
		if state == http.StateClosed || state == http.StateHijacked {
			once()
		}
	}}
	server.Serve(&oneListener{conn: conn, ended: ended})
}

type oneListener struct {
	conn  net.Conn
	ended chan struct{}
}

func (l *oneListener) Accept() (net.Conn, error) {
	if conn := l.conn; conn != nil {
		l.conn = nil
		return conn, nil
	}
	<-l.ended
	return nil, io.EOF
}
func (l *oneListener) Close() error   { return nil }
func (l *oneListener) Addr() net.Addr { return channelAddr("test") }

// pipeConn is a net.Conn without deadlines over a reader and a writer.
type pipeConn struct {
	io.Reader
	io.WriteCloser
}

func (pipeConn) LocalAddr() net.Addr              { return channelAddr("test") }
func (pipeConn) RemoteAddr() net.Addr             { return channelAddr("test") }
func (pipeConn) SetDeadline(time.Time) error      { return nil }
func (pipeConn) SetReadDeadline(time.Time) error  { return nil }
func (pipeConn) SetWriteDeadline(time.Time) error { return nil }

// testKey is a key with the forms that tests need.
type testKey struct {
	private crypto.Signer
	signer  ssh.Signer
	public  ssh.PublicKey
}

func newKey(t *testing.T) testKey {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return keyOf(t, private)
}

func newRSA(t *testing.T) testKey {
	t.Helper()
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return keyOf(t, private)
}

func keyOf(t *testing.T, private crypto.Signer) testKey {
	t.Helper()
	signer, err := ssh.NewSignerFromSigner(private)
	if err != nil {
		t.Fatal(err)
	}
	return testKey{private, signer, signer.PublicKey()}
}

// text is the private key as a file has it.
func (k testKey) text(t *testing.T, passphrase string) string {
	t.Helper()
	var block *pem.Block
	var err error
	if passphrase == "" {
		block, err = ssh.MarshalPrivateKey(k.private, "test")
	} else {
		block, err = ssh.MarshalPrivateKeyWithPassphrase(k.private, "test", []byte(passphrase))
	}
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(block))
}

func (k testKey) line() string { return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(k.public))) }

func (k testKey) sum() string { return ssh.FingerprintSHA256(k.public) }

// home is a user's home folder for one test.
type home string

func newHome(t *testing.T) home {
	t.Helper()
	dir := home(t.TempDir())
	if err := os.Mkdir(dir.path(".ssh"), 0o700); err != nil {
		t.Fatal(err)
	}
	dir.write(t, "config", "")
	return dir
}

func (h home) path(parts ...string) string {
	return filepath.Join(append([]string{string(h)}, parts...)...)
}

// write writes a file under .ssh and returns its path.
func (h home) write(t *testing.T, name, text string) string {
	t.Helper()
	path := h.path(".ssh", name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// options are those of a user with this home, no ssh agent and no system files.
func (h home) options(target string) Options {
	return Options{Target: target, Home: string(h), ConfigFile: h.path(".ssh", "config"), KnownHosts: []string{h.path(".ssh", "known_hosts")},
		AgentSocket: "none", Timeout: time.Minute}
}

// dial connects or fails the test.
func dial(t *testing.T, o Options) *Conn {
	t.Helper()
	conn, err := Dial(context.Background(), o)
	if err != nil {
		t.Fatalf("%v\nhint: %s", err, api.AsError(err).Hint)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// refused expects an error of this code that holds all words in message or hint.
func refused(t *testing.T, err error, code api.Code, words ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want %s", code)
	}
	e := api.AsError(err)
	if e.Code != code {
		t.Errorf("code %s, want %s: %v", e.Code, code, err)
	}
	for _, word := range words {
		if !strings.Contains(err.Error()+"\n"+e.Hint, word) {
			t.Errorf("neither %q\nnor the hint %q\nholds %q", err, e.Hint, word)
		}
	}
}
