package remote

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"

	"github.com/dokku-push/dokku-push/api"
)

// trust is the rule by which one host's key is accepted.
type trust struct {
	host      string // for messages
	address   string // host:port as known_hosts has it
	files     []string
	record    string // where AcceptNew writes
	pin       string // "SHA256:...", or empty
	pinType   string // the pinned key's type, where a whole key was pinned
	acceptNew bool
	pinnable  bool   // --host-key is about this host: not so for a jump host
	said      string // Names.HostKey, where it is about this host
}

// readPin sets the pin from "SHA256:..." or a public key line, with or without
// host names before it.
func (t *trust) readPin(text string) error {
	text = strings.TrimSpace(text)
	if text == "" {
		return nil
	}
	if sum, ok := strings.CutPrefix(text, "SHA256:"); ok {
		if len(strings.TrimRight(sum, "=")) != 43 || badIn(sum, "+/=") != "" {
			return api.Errorf(api.Configuration, "read the pinned host key", "%q is no SHA256 fingerprint", text).
				WithHint("it is SHA256: and 43 characters, as ssh-keygen -lf prints it")
		}
		t.pin = strings.TrimRight(text, "=")
		return nil
	}
	key, _, _, rest, err := ssh.ParseAuthorizedKey([]byte(text))
	if err != nil {
		_, _, key, _, rest, err = ssh.ParseKnownHosts([]byte(text))
	}
	if err != nil || len(bytes.TrimSpace(rest)) > 0 {
		return api.Errorf(api.Configuration, "read the pinned host key", "it is neither a fingerprint nor one public key").
			WithHint("write SHA256:... as ssh-keygen -lf prints it, or one line of ssh-keyscan")
	}
	t.pin, t.pinType = ssh.FingerprintSHA256(key), key.Type()
	return nil
}

// IsKnownHost tells a line of a known_hosts file, such as ssh-keyscan prints.
func IsKnownHost(line string) bool {
	_, _, _, _, _, err := ssh.ParseKnownHosts([]byte(line))
	return err == nil
}

// judge is trust for one attempt to connect, with known_hosts as it is now.
type judge struct {
	*trust
	check  ssh.HostKeyCallback
	known  []knownhosts.KnownKey
	rounds [][]string // host key algorithms to ask for, one handshake after another
	seen   []string   // keys that did not match the pin
	// accepted and refusal are what came of the last handshake.
	accepted ssh.PublicKey
	refusal  *api.Error
}

// load reads known_hosts. A line that cannot be read is an error: it might be
// the one that revokes the key.
func (t *trust) load() (*judge, error) {
	var files []string
	for _, file := range t.files {
		if _, err := os.Stat(file); err == nil {
			files = append(files, file)
		}
	}
	check, err := knownhosts.New(files...)
	if err != nil {
		return nil, api.Errorf(api.Configuration, "read the known hosts", "%w", err).WithHint("correct or remove that line")
	}
	j := &judge{trust: t, check: check}
	// A key that nobody has makes the database name the keys that it has.
	nobody, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	probe, err := ssh.NewPublicKey(nobody)
	if err != nil {
		return nil, err
	}
	for _, address := range []string{t.address, j.portless()} {
		if e, ok := errors.AsType[*knownhosts.KeyError](check(address, &net.TCPAddr{}, probe)); ok && len(j.known) == 0 {
			j.known = e.Want
		}
	}
	j.rounds, err = j.algorithms()
	return j, err
}

// portless is the host as known_hosts has it at the usual port. OpenSSH takes a key, or an
// authority's certificate, that is known there for a host of which nothing is known at its own.
func (j *judge) portless() string {
	host, _, err := net.SplitHostPort(j.address)
	if err != nil {
		return j.address
	}
	return net.JoinHostPort(host, strconv.Itoa(DefaultPort))
}

// algorithms asks for the kinds of key that can be accepted, so that a host with
// several keys shows the right one. The last round, for a known host that has no
// such key any more, only learns what it has instead.
func (j *judge) algorithms() ([][]string, error) {
	plain := slices.Concat(algorithmsOf(ssh.KeyAlgoED25519), ecdsaAlgorithms(), algorithmsOf(ssh.KeyAlgoRSA))
	switch {
	case j.pinType != "":
		return [][]string{algorithmsOf(j.pinType), plain}, nil
	case j.pin != "":
		return [][]string{algorithmsOf(ssh.KeyAlgoED25519), ecdsaAlgorithms(), algorithmsOf(ssh.KeyAlgoRSA)}, nil
	case len(j.known) == 0:
		return [][]string{plain}, nil
	}
	var wanted []string
	for _, known := range j.known {
		authority, err := isAuthority(known)
		if err != nil {
			return nil, err
		}
		for _, algorithm := range ssh.SupportedAlgorithms().HostKeys {
			if authority == strings.Contains(algorithm, "-cert-") && (authority || slices.Contains(algorithmsOf(known.Key.Type()), algorithm)) &&
				!slices.Contains(wanted, algorithm) {
				wanted = append(wanted, algorithm)
			}
		}
	}
	if len(wanted) == 0 {
		return [][]string{plain}, nil
	}
	return [][]string{wanted, plain}, nil
}

// algorithmsOf are the signature algorithms of a key type: an RSA key has two.
func algorithmsOf(keyType string) []string {
	if keyType == ssh.KeyAlgoRSA {
		return []string{ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256}
	}
	return []string{keyType}
}

func ecdsaAlgorithms() []string {
	return []string{ssh.KeyAlgoECDSA256, ssh.KeyAlgoECDSA384, ssh.KeyAlgoECDSA521}
}

// isAuthority reports whether a line of known_hosts names a certificate authority.
func isAuthority(known knownhosts.KnownKey) (bool, error) {
	text, err := os.ReadFile(known.Filename)
	if err != nil {
		return false, api.Errorf(api.Configuration, "read the known hosts", "%w", err)
	}
	lines := strings.Split(string(text), "\n")
	return known.Line <= len(lines) && strings.HasPrefix(strings.TrimSpace(lines[known.Line-1]), "@cert-authority"), nil
}

// certifiedOnly reports whether all that is known of a host are authorities.
func (j *judge) certifiedOnly(known []knownhosts.KnownKey) bool {
	for _, k := range known {
		if authority, err := isAuthority(k); err != nil || !authority {
			return false
		}
	}
	return true
}

// verify is the ssh.HostKeyCallback of one handshake. It is called again when keys
// are renewed within the connection: then only the same key will do.
func (j *judge) verify(_ string, _ net.Addr, key ssh.PublicKey) error {
	if j.accepted != nil {
		if bytes.Equal(j.accepted.Marshal(), key.Marshal()) {
			return nil
		}
		return j.refuse("the host changed its key from %s to %s within the connection", keyName(j.accepted), keyName(key))
	}
	if err := j.decide(key); err != nil {
		j.refusal = err
		return err
	}
	j.accepted = key
	return nil
}

func (j *judge) decide(key ssh.PublicKey) *api.Error {
	err := j.check(j.address, &net.TCPAddr{}, key)
	// Revoked wins over everything, a pin included.
	if revoked, ok := errors.AsType[*knownhosts.RevokedError](err); ok {
		return j.refuse("the host shows a key that %s:%d revokes: %s", revoked.Revoked.Filename, revoked.Revoked.Line, keyName(key)).
			WithHint("do not connect; ask whoever revoked the key")
	}
	if j.pin != "" {
		if ssh.FingerprintSHA256(key) == j.pin {
			return nil
		}
		j.seen = append(j.seen, keyName(key))
		return j.mismatch()
	}
	if err == nil {
		return nil
	}
	unmatched, ok := errors.AsType[*knownhosts.KeyError](err)
	if (!ok || len(unmatched.Want) == 0) && j.check(j.portless(), &net.TCPAddr{}, key) == nil {
		return nil
	}
	switch {
	case !ok:
		return j.refuse("the host's certificate is not accepted: %w", err).WithHint("renew the host's certificate, or its @cert-authority line in %s", j.record)
	case len(unmatched.Want) > 0 && j.certifiedOnly(unmatched.Want):
		return j.refuse("the host shows %s without a certificate, and %s:%d wants one of its authority", keyName(key), unmatched.Want[0].Filename, unmatched.Want[0].Line).
			WithHint("renew the host's certificate (HostCertificate in its sshd_config); else somebody is in between")
	case len(unmatched.Want) > 0:
		return j.changed(key, unmatched.Want)
	case j.acceptNew:
		return j.remember(key)
	}
	return j.unknown(key)
}

func (j *judge) refuse(format string, args ...any) *api.Error {
	return api.Errorf(api.Refused, "check the key of "+j.host, format, args...)
}

// mismatch is the error for a host that has none but other keys than the pinned one.
func (j *judge) mismatch() *api.Error {
	said := "--host-key, DOKKU_SSH_HOST_KEY"
	if j.said != "" {
		said = j.said
	}
	return j.refuse("the host shows %s, but %s is pinned", strings.Join(j.seen, " and "), j.pin).
		WithHint("if the host's key was changed on purpose, change %s or host_key in dokku.hcl; else somebody is in between", said)
}

func (j *judge) changed(key ssh.PublicKey, want []knownhosts.KnownKey) *api.Error {
	var known []string
	for _, k := range want {
		known = append(known, fmt.Sprintf("%s in %s:%d", keyName(k.Key), k.Filename, k.Line))
	}
	refused := j.refuse("the host key has changed: it shows %s, known is %s", keyName(key), strings.Join(known, ", "))
	if j.said != "" {
		return refused.WithHint("if the host was set up anew, change %s; else somebody is in between", j.said)
	}
	return refused.
		WithHint("if the host was set up anew, remove the old line with ssh-keygen -f %s -R '%s' and accept the new key; else somebody is in between",
			want[0].Filename, knownhosts.Normalize(j.address))
}

func (j *judge) unknown(key ssh.PublicKey) *api.Error {
	fingerprint := ssh.FingerprintSHA256(key)
	host, port, err := net.SplitHostPort(j.host)
	if err != nil {
		host, port = j.host, "22"
	}
	scan := fmt.Sprintf("the output of `ssh-keyscan -p %s %s`", port, host)
	if !strings.EqualFold(j.host, j.address) { // HostKeyAlias
		scan += ", with " + knownhosts.Normalize(j.address) + " for the host's name,"
	}
	refused := j.refuse("the host key is not known: %s", keyName(key))
	compare := fmt.Sprintf("compare the fingerprint with the host's own (ssh-keygen -lf /etc/ssh/ssh_host_%s_key.pub on the host); then ", strings.ToLower(kind(key)))
	if j.said != "" {
		return refused.WithHint("%sgive %s to %s, or write it as host_key into dokku.hcl", compare, fingerprint, j.said)
	}
	record := j.record
	if record == "" {
		record = "a known_hosts file"
	}
	pin := ""
	if j.pinnable {
		pin = fmt.Sprintf("pass --host-key %s, or set DOKKU_SSH_HOST_KEY=%s, or ", fingerprint, fingerprint)
	}
	return refused.WithHint("%s%sadd %s to %s, or set DOKKU_SSH_ACCEPT_NEW_HOST_KEYS=1 to trust new hosts unseen", compare, pin, scan, record)
}

// remember appends the key to known_hosts with the host's name hashed.
func (j *judge) remember(key ssh.PublicKey) *api.Error {
	err := func() error {
		if j.record == "" {
			return errors.New("no known hosts file is configured")
		}
		if err := os.MkdirAll(filepath.Dir(j.record), 0o700); err != nil {
			return err
		}
		line := knownhosts.HashHostname(knownhosts.Normalize(j.address)) + " " + string(ssh.MarshalAuthorizedKey(key))
		if text, err := os.ReadFile(j.record); err == nil && len(text) > 0 && text[len(text)-1] != '\n' {
			line = "\n" + line
		}
		file, err := os.OpenFile(j.record, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			return err
		}
		_, err = file.WriteString(line)
		return errors.Join(err, file.Close())
	}()
	if err == nil {
		return nil
	}
	return j.refuse("the new host key %s cannot be recorded: %w", keyName(key), err).WithHint("pin it instead: --host-key %s", ssh.FingerprintSHA256(key))
}

// keyName is a key for people: its kind and fingerprint.
func keyName(key ssh.PublicKey) string { return kind(key) + " " + ssh.FingerprintSHA256(key) }

func kind(key ssh.PublicKey) string {
	switch t := key.Type(); {
	case t == ssh.KeyAlgoED25519:
		return "ED25519"
	case t == ssh.KeyAlgoRSA:
		return "RSA"
	case strings.HasPrefix(t, "ecdsa-sha2-"):
		return "ECDSA"
	default:
		return t
	}
}
