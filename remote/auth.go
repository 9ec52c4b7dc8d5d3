package remote

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"

	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/internal/redact"
)

// keyring is what one host is offered. It remembers keys that were unlocked, so
// that a second connection asks nobody again.
type keyring struct {
	files  []keyFile
	text   redact.Secret // of a key, DOKKU_SSH_KEY
	names  Names
	only   bool   // offer no key of the agent that is not among files
	socket string // of the agent; empty: none
	ask    func(keyfile string) (string, error)

	mu       sync.Mutex
	timer    *time.Timer // of the handshake that runs
	timeout  time.Duration
	unlocked map[string]ssh.Signer
	trouble  *api.Error    // why a key that the host accepted could not be used
	offered  []string      // keys that were offered, for messages
	left     []string      // keys that could not be, and why
	used     ssh.PublicKey // that the host asked for a signature of, last
}

// waitWith names the timer that must not run while a person types a passphrase.
func (k *keyring) waitWith(timer *time.Timer, timeout time.Duration) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.timer, k.timeout = timer, timeout
}

// keyFile is a private key, or a public one whose private half the agent has.
type keyFile struct {
	path  string
	named bool // by a flag or the configuration, not one of the default files
	must  bool // it is an error that it cannot be read
}

// textName stands for the key that came as text in messages and prompts.
func (n Names) textName() string {
	if n.Key != "" {
		return n.Key
	}
	return "DOKKU_SSH_KEY"
}

// identity is one key to offer.
type identity struct {
	signer ssh.Signer
	public ssh.PublicKey
	from   string
	named  bool
	locked bool
}

// offer collects the keys in the order in which they are tried. A host gives up
// after about six, so keys that were named go before whatever the agent has, and
// keys that need a passphrase come last. The returned function ends the
// conversation with the agent.
func (k *keyring) offer(ctx context.Context) ([]ssh.Signer, func(), error) {
	k.mu.Lock()
	k.trouble, k.offered, k.left = nil, nil, nil
	k.mu.Unlock()
	own, err := k.own()
	if err != nil {
		return nil, nil, err
	}
	held, done := k.held(ctx)
	var matched, named, defaults, locked []identity
	for _, id := range own {
		if i := find(held, id.public); i >= 0 {
			held[i].from = id.from + ", by the ssh agent"
			matched = append(matched, held[i])
			held = append(held[:i:i], held[i+1:]...)
			continue
		}
		switch {
		case id.signer == nil:
			k.leave("%s is only a public key, and the ssh agent does not have its other half", id.from)
		case id.locked:
			locked = append(locked, id)
		case id.named:
			named = append(named, id)
		default:
			defaults = append(defaults, id)
		}
	}
	if k.only {
		held = nil
	}
	var signers []ssh.Signer
	for _, group := range [][]identity{matched, named, held, defaults, locked} {
		for _, id := range group {
			signers = append(signers, id.signer)
			k.offered = append(k.offered, ssh.FingerprintSHA256(id.public)+" ("+id.from+")")
		}
	}
	return signers, done, nil
}

func find(ids []identity, key ssh.PublicKey) int {
	for i, id := range ids {
		if bytes.Equal(id.public.Marshal(), key.Marshal()) {
			return i
		}
	}
	return -1
}

// own reads the key that came as text and the key files.
func (k *keyring) own() ([]identity, error) {
	var ids []identity
	if k.text != "" {
		pem := strings.ReplaceAll(k.text.Reveal(), "\r\n", "\n") + "\n" // CI variables lose the last newline
		id, err := k.read(k.names.textName(), []byte(pem))
		if err != nil {
			return nil, api.Errorf(api.Configuration, "read the ssh key", "%s is no private key: %w", k.names.textName(), err).
				WithHint("it is the whole text of a private key file, lines and all")
		}
		id.named = true
		ids = append(ids, id)
	}
	for _, file := range k.files {
		text, err := os.ReadFile(file.path)
		if err == nil {
			var id identity
			if id, err = k.read(file.path, text); err == nil {
				id.named = file.named
				if certified, ok := k.certified(file.path, id); ok {
					ids = append(ids, certified)
				}
				ids = append(ids, id)
				continue
			}
		}
		if refused, ok := errors.AsType[*api.Error](err); ok && file.must {
			return nil, refused
		}
		if file.must {
			return nil, api.Errorf(api.Configuration, "read the ssh key", "%s: %w", file.path, err)
		}
		if file.named || !errors.Is(err, fs.ErrNotExist) {
			k.leave("%s: %v", file.path, err)
		}
	}
	return ids, nil
}

// read makes an identity of a private or public key's text.
func (k *keyring) read(name string, text []byte) (identity, error) {
	signer, err := ssh.ParsePrivateKey(text)
	if err == nil {
		return identity{signer: signer, public: signer.PublicKey(), from: name}, nil
	}
	missing, ok := errors.AsType[*ssh.PassphraseMissingError](err)
	if !ok {
		if public, _, _, _, notPublic := ssh.ParseAuthorizedKey(text); notPublic == nil && name != k.names.textName() {
			return identity{public: public, from: name}, nil
		}
		return identity{}, err
	}
	public := missing.PublicKey
	if public == nil { // the old formats keep it in a file of its own
		if line, err := os.ReadFile(name + ".pub"); err == nil {
			public, _, _, _, _ = ssh.ParseAuthorizedKey(line) // nil where it is not one
		}
	}
	if public == nil {
		signer, err := k.unlock(name, text)
		if err != nil {
			return identity{}, err
		}
		return identity{signer: signer, public: signer.PublicKey(), from: name}, nil
	}
	open := func() (ssh.Signer, error) { return k.unlock(name, text) }
	return identity{signer: &lockedKey{public: public, open: open}, public: public, from: name, locked: true}, nil
}

// tries is how often a passphrase is asked for.
const tries = 3

// unlock decrypts a key and remembers it.
func (k *keyring) unlock(name string, text []byte) (ssh.Signer, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if signer := k.unlocked[name]; signer != nil {
		return signer, nil
	}
	fail := func(hint, format string, args ...any) (ssh.Signer, error) {
		k.trouble = api.Errorf(api.Refused, "use the ssh key "+name, format, args...)
		k.trouble.Hint = hint
		return nil, k.trouble
	}
	if k.ask == nil {
		return fail("add it to the ssh agent with ssh-add, or use a key without a passphrase: DOKKU_SSH_KEY_FILE or DOKKU_SSH_KEY",
			"it is protected by a passphrase, and there is no terminal to ask for it")
	}
	if k.timer != nil && k.timer.Stop() {
		defer k.timer.Reset(k.timeout)
	}
	var before *string
	for range tries {
		passphrase, err := k.ask(name)
		if err != nil {
			return fail(api.AsError(err).Hint, "ask for its passphrase: %w", err)
		}
		signer, err := ssh.ParsePrivateKeyWithPassphrase(text, []byte(passphrase))
		if err == nil {
			if k.unlocked == nil {
				k.unlocked = map[string]ssh.Signer{}
			}
			k.unlocked[name] = signer
			return signer, nil
		}
		if !errors.Is(err, x509.IncorrectPasswordError) {
			return fail("", "%w", err)
		}
		if before != nil && *before == passphrase {
			break // it comes from a variable: asking again changes nothing
		}
		before = &passphrase
	}
	if k.names.Passphrase != "" {
		return fail("correct "+k.names.Passphrase, "the passphrase is wrong")
	}
	return fail("", "the passphrase is wrong")
}

// held lists the agent's keys; an agent that does not answer has none.
func (k *keyring) held(ctx context.Context) ([]identity, func()) {
	nothing := func() {}
	if k.socket == "" {
		return nil, nothing
	}
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "unix", k.socket)
	if err != nil {
		k.leave("the ssh agent cannot be reached: %v", err)
		return nil, nothing
	}
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	done := func() { stop(); conn.Close() }
	signers, err := agent.NewClient(conn).Signers()
	if err != nil {
		k.leave("the ssh agent does not list its keys: %v", err)
	}
	var ids []identity
	for _, signer := range signers {
		from := "ssh agent"
		if key, ok := signer.PublicKey().(*agent.Key); ok && key.Comment != "" {
			from += ": " + printable(key.Comment)
		}
		ids = append(ids, identity{signer: signer, public: signer.PublicKey(), from: from})
	}
	return ids, done
}

func (k *keyring) leave(format string, args ...any) {
	k.left = append(k.left, fmt.Sprintf(format, args...))
}

// refused is the error for a host that takes none of the keys.
func (k *keyring) refused(target Target, cause error) *api.Error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.trouble != nil {
		return k.trouble
	}
	message := "the host took none of the keys " + strings.Join(k.offered, ", ")
	if len(k.offered) == 0 {
		message = "there is no key to offer"
	} else if strings.Contains(cause.Error(), "disconnect") {
		message += fmt.Sprintf(" (%v)", cause)
	}
	if len(k.left) > 0 {
		message += "; not offered: " + strings.Join(k.left, ", ")
	}
	err := api.Errorf(api.Refused, "log in as "+target.String(), "%s", message)
	err.Cause = cause
	here := "name the private key with DOKKU_SSH_KEY_FILE, DOKKU_SSH_KEY or IdentityFile, or add it to the ssh agent"
	if k.names.Key != "" {
		here = "the private key is for " + k.names.Key + " to say, which counts as not said while its secret is empty"
	}
	return err.WithHint("on the host, `dokku ssh-keys:add NAME` adds a public key; here, %s", here)
}

// lockedKey asks for its passphrase when it must sign, which is after the host
// said that it accepts the key.
type lockedKey struct {
	public ssh.PublicKey
	open   func() (ssh.Signer, error)
}

func (l *lockedKey) PublicKey() ssh.PublicKey { return l.public }

func (l *lockedKey) Sign(rand io.Reader, data []byte) (*ssh.Signature, error) {
	return l.SignWithAlgorithm(rand, data, "")
}

// SignWithAlgorithm lets an RSA key sign with SHA-2.
func (l *lockedKey) SignWithAlgorithm(rand io.Reader, data []byte, algorithm string) (*ssh.Signature, error) {
	signer, err := l.open()
	if err != nil {
		return nil, err
	}
	if better, ok := signer.(ssh.AlgorithmSigner); ok {
		return better.SignWithAlgorithm(rand, data, algorithm)
	}
	return signer.Sign(rand, data)
}
