package remote

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/hiddeco/sshsig"
	"golang.org/x/crypto/ssh"

	"github.com/dokku-push/dokku-push/api"
)

// Sign signs a text as `ssh-keygen -Y sign` does, for a namespace: with the key that the
// host let us in with, or with that of a file, whose private half the ssh agent may have.
// What it returns is armored. The text is not sent anywhere.
func (c *Conn) Sign(ctx context.Context, text, namespace, file string) (string, error) {
	const op = "sign the release"
	signer, done, err := c.route.last().keys.signer(ctx, file)
	if err != nil {
		return "", err
	}
	defer done()
	if strings.Contains(signer.PublicKey().Type(), "-cert-") { // the agent's keys have a type of their own
		return "", api.Errorf(api.Configuration, op, "%s is a certificate", ssh.FingerprintSHA256(signer.PublicKey())).WithHint("name the key: --sign=PATH")
	}
	made, err := sshsig.Sign(strings.NewReader(text), signer, sshsig.HashSHA512, namespace)
	if err != nil {
		return "", api.Errorf(api.Configuration, op, "%w", err).WithHint("is the key in the ssh agent, or its file readable?")
	}
	return string(sshsig.Armor(made)), nil
}

// signer is the key to sign with: that of a file, or else the one that this keyring logged
// in with. The returned function ends the conversation with the agent.
func (k *keyring) signer(ctx context.Context, file string) (ssh.Signer, func(), error) {
	from := k
	if file != "" {
		if rest, ok := strings.CutPrefix(file, "~/"); ok {
			if home, err := os.UserHomeDir(); err == nil {
				file = filepath.Join(home, rest)
			}
		}
		from = &keyring{files: []keyFile{{path: file, named: true, must: true}}, only: true, socket: k.socket, ask: k.ask}
	}
	signers, done, err := from.offer(ctx)
	if err != nil {
		return nil, nil, err
	}
	k.mu.Lock()
	used := k.used
	k.mu.Unlock()
	for _, signer := range signers {
		if _, certificate := signer.PublicKey().(*ssh.Certificate); certificate && file != "" {
			continue // the key itself comes after it
		}
		if file != "" || used != nil && bytes.Equal(used.Marshal(), signer.PublicKey().Marshal()) {
			return signer, done, nil
		}
	}
	done()
	if file != "" {
		return nil, nil, api.Errorf(api.Configuration, "sign the release", "%s", strings.Join(from.left, ", ")).WithHint("--sign=PATH names a private key, or a public one whose other half the ssh agent has")
	}
	return nil, nil, api.Errorf(api.Configuration, "sign the release", "the key that opened the connection is no longer there").WithHint("name a key: --sign=PATH")
}

// noting remembers which of its keys a keyring was asked to sign with last: the host asks
// for one only after it has accepted it.
type noting struct {
	ssh.Signer
	keys *keyring
}

// SignWithAlgorithm lets an RSA key sign with SHA-2.
func (n noting) SignWithAlgorithm(rand io.Reader, data []byte, algorithm string) (*ssh.Signature, error) {
	n.keys.note(n.PublicKey())
	if better, ok := n.Signer.(ssh.AlgorithmSigner); ok {
		return better.SignWithAlgorithm(rand, data, algorithm)
	}
	return n.Signer.Sign(rand, data)
}

func (n noting) Sign(rand io.Reader, data []byte) (*ssh.Signature, error) {
	n.keys.note(n.PublicKey())
	return n.Signer.Sign(rand, data)
}

func (k *keyring) note(key ssh.PublicKey) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.used = key
}

// noted makes the keys of a keyring remember which of them was used.
func (k *keyring) noted(signers []ssh.Signer) []ssh.Signer {
	noted := make([]ssh.Signer, len(signers))
	for n, signer := range signers {
		noted[n] = noting{Signer: signer, keys: k}
	}
	return noted
}
