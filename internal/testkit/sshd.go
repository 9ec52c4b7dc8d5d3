package testkit

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
)

// Key is an ssh key pair without a passphrase.
type Key struct {
	File        string // private key, OpenSSH's form; File.pub beside it
	Public      string // authorized_keys form, without newline
	Fingerprint string // SHA256:...
}

// NewKey makes an ed25519 key pair in a folder of the test.
func NewKey(t testing.TB) Key {
	t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	must(t, "make an ssh key", err)
	block, err := ssh.MarshalPrivateKey(private, "dokku-push-test")
	must(t, "encode the ssh key", err)
	key := Key{File: filepath.Join(t.TempDir(), "id_ed25519")}
	signer, err := ssh.NewPublicKey(public)
	must(t, "encode the ssh key", err)
	key.Public = strings.TrimSpace(string(ssh.MarshalAuthorizedKey(signer)))
	key.Fingerprint = ssh.FingerprintSHA256(signer)
	must(t, "write the ssh key", os.WriteFile(key.File, pem.EncodeToMemory(block), 0o600))
	must(t, "write the ssh key", os.WriteFile(key.File+".pub", []byte(key.Public+"\n"), 0o644))
	return key
}

// SSHDOptions says whom an sshd lets in.
type SSHDOptions struct {
	// AuthorizedKeys is the text of the authorized_keys file for every user.
	AuthorizedKeys string
	// AuthorizedKeysFile is used instead when it is set; it may change later.
	AuthorizedKeysFile string
	Config             []string // further lines of sshd_config
}

// SSHServer is Debian's sshd on loopback.
type SSHServer struct {
	Addr    string // 127.0.0.1:PORT
	HostKey string // SHA256:...

	child *child
}

// SSHD starts Debian's sshd with a config and host key of its own. It starts
// commands as the users that it lets in, so the test has to run as root.
func SSHD(t testing.TB, options SSHDOptions) *SSHServer {
	t.Helper()
	program, err := exec.LookPath("/usr/sbin/sshd") // sshd insists on an absolute path
	must(t, "find sshd (Debian's openssh-server)", err)
	// Debian's sshd gives up its privileges into this folder, which its service makes at boot.
	must(t, "make /run/sshd", os.MkdirAll("/run/sshd", 0o755))
	dir := t.TempDir()
	host := NewKey(t)
	keys := options.AuthorizedKeysFile
	if keys == "" {
		keys = filepath.Join(dir, "authorized_keys")
		must(t, "write authorized_keys", os.WriteFile(keys, []byte(strings.TrimSpace(options.AuthorizedKeys)+"\n"), 0o644))
	}
	port := FreePort(t)
	lines := append([]string{
		fmt.Sprintf("Port %d", port),
		"ListenAddress 127.0.0.1",
		"HostKey " + host.File,
		"AuthorizedKeysFile " + keys,
		"StrictModes no", // the file lies under /tmp, which everybody may write to
		"PidFile none",
		"UsePAM yes", // as on Debian; without it an account without a password counts as locked
		"PasswordAuthentication no",
		"KbdInteractiveAuthentication no",
		"PermitRootLogin forced-commands-only",
		"LogLevel VERBOSE",
	}, options.Config...)
	config := filepath.Join(dir, "sshd_config")
	must(t, "write sshd_config", os.WriteFile(config, []byte(strings.Join(lines, "\n")+"\n"), 0o600))
	server := &SSHServer{Addr: loopback(port), HostKey: host.Fingerprint}
	server.child = startChild(t, "sshd", exec.Command(program, "-D", "-e", "-f", config))
	server.child.listening(t, server.Addr)
	return server
}

// Log is what sshd has said so far.
func (s *SSHServer) Log() string { return s.child.said.String() }
