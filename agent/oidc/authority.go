package oidc

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/agent/keys"
	"github.com/dokku-push/dokku-push/api"
)

// Principal is whom the certificates are for: a line of authorized_keys that trusts the
// desk's key names it.
const Principal = "dokku-push-oidc"

// appsExtension names a certificate's apps for an embedded host. OpenSSH passes it over
// and runs the forced command, which says the same.
const appsExtension = "apps@dokku-push"

const restrictions = "no-agent-forwarding,no-user-rc,no-X11-forwarding,no-port-forwarding,no-pty"

func (d *Desk) authorityFile() string { return filepath.Join(d.Dir, "authority") }

// authority is the key that signs certificates, where the door was ever opened.
func (d *Desk) authority() (ssh.Signer, error) {
	if _, err := os.Stat(d.authorityFile()); errors.Is(err, fs.ErrNotExist) {
		return nil, refuse("this host issues no certificates").WithHint("on the host: dokku oidc:open")
	}
	return keys.LoadOrCreate(d.authorityFile())
}

// Open lets jobs in: authorized_keys gets the door, and trusts what the desk signs. The
// door's key is everybody's; what it may call is in its line, whatever is asked for.
func (d *Desk) Open(ctx context.Context, file keys.File) error {
	release, err := d.lock(ctx)
	if err != nil {
		return err
	}
	defer release()
	signer, err := keys.LoadOrCreate(d.authorityFile())
	if err != nil {
		return err
	}
	door, err := doorKey()
	if err != nil {
		return err
	}
	text := func(key ssh.PublicKey) string { return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key))) }
	return file.Put(
		fmt.Sprintf("command=\"SSH_ORIGINAL_COMMAND=%s FINGERPRINT=%s NAME=\\\"%s\\\" `cat %s` %s\",%s %s %s\n", api.AuthCommand, ssh.FingerprintSHA256(door), api.DoorName,
			file.Command, api.AuthCommand, restrictions, text(door), api.DoorName),
		fmt.Sprintf("cert-authority,principals=\"%s\",%s %s %s\n", Principal, restrictions, text(signer.PublicKey()), Principal))
}

// Close takes both lines out again: certificates that are still valid open nothing any more.
func (d *Desk) Close(ctx context.Context, file keys.File) error {
	release, err := d.lock(ctx)
	if err != nil {
		return err
	}
	defer release()
	door, err := doorKey()
	if err != nil {
		return err
	}
	gone := []ssh.PublicKey{door}
	if signer, err := d.authority(); err == nil {
		gone = append(gone, signer.PublicKey())
	}
	return file.Drop(gone...)
}

// IsOpen tells whether the door is in authorized_keys.
func (d *Desk) IsOpen(file keys.File) bool {
	door, err := doorKey()
	if err != nil {
		return false
	}
	_, open := file.Find(door)
	return open
}

func doorKey() (ssh.PublicKey, error) { return ssh.NewPublicKey(api.DoorKey().Public()) }

// IsDoor tells whether a key is the door's.
func IsDoor(key ssh.PublicKey) bool {
	door, err := doorKey()
	return err == nil && bytes.Equal(door.Marshal(), key.Marshal())
}

// clientKey reads the key that a certificate is to be for.
func clientKey(text string) (ssh.PublicKey, error) {
	public, _, options, rest, err := ssh.ParseAuthorizedKey([]byte(text))
	if err != nil || len(options) > 0 || len(bytes.TrimSpace(rest)) > 0 || public.Type() != ssh.KeyAlgoED25519 || IsDoor(public) {
		return nil, api.Errorf(api.Usage, op, "the key to certify is no ssh-ed25519 key")
	}
	return public, nil
}

// certify signs a certificate that may call the agent under a name, for some apps.
func (d *Desk) certify(signer ssh.Signer, public ssh.PublicKey, name string, apps []string, life time.Duration) (*ssh.Certificate, error) {
	var serial [8]byte
	if _, err := rand.Read(serial[:]); err != nil {
		return nil, err
	}
	now, all := d.now(), strings.Join(apps, " ")
	command := fmt.Sprintf("FINGERPRINT=%s NAME=\"%s\" %s=\"%s\" `cat %s` $SSH_ORIGINAL_COMMAND", ssh.FingerprintSHA256(public), name, agent.AppsVariable, all, d.Program)
	certificate := &ssh.Certificate{Key: public, Serial: binary.BigEndian.Uint64(serial[:]), CertType: ssh.UserCert, KeyId: name, ValidPrincipals: []string{Principal},
		ValidAfter: uint64(now.Unix()), ValidBefore: uint64(now.Add(life).Unix()),
		Permissions: ssh.Permissions{CriticalOptions: map[string]string{"force-command": command}, Extensions: map[string]string{appsExtension: all}}}
	if err := certificate.SignCert(rand.Reader, signer); err != nil {
		return nil, fmt.Errorf("sign the certificate: %w", err)
	}
	return certificate, nil
}

// Accepts judges a certificate as sshd does by the lines of Open, for an embedded host. It
// returns who it makes its owner.
func (d *Desk) Accepts(certificate *ssh.Certificate, file keys.File) (agent.Caller, bool) {
	signer, err := d.authority()
	if err != nil || !d.IsOpen(file) {
		return agent.Caller{}, false
	}
	checker := ssh.CertChecker{SupportedCriticalOptions: []string{"force-command"}, Clock: d.now,
		IsUserAuthority: func(key ssh.PublicKey) bool { return bytes.Equal(key.Marshal(), signer.PublicKey().Marshal()) }}
	apps := certificate.Extensions[appsExtension]
	if certificate.CertType != ssh.UserCert || apps == "" || !checker.IsUserAuthority(certificate.SignatureKey) || checker.CheckCert(Principal, certificate) != nil {
		return agent.Caller{}, false
	}
	return agent.Caller{Name: certificate.KeyId, Fingerprint: ssh.FingerprintSHA256(certificate.Key), Apps: apps}, true
}
