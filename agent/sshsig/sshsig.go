// Package sshsig judges signatures that ssh keys have made (`ssh-keygen -Y sign`) by the
// lines of an allowed_signers file. It knows nothing of releases.
package sshsig

import (
	"bytes"
	"time"

	"github.com/hiddeco/sshsig"
	"golang.org/x/crypto/ssh"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/api"
)

const op = "verify the signature"

// Verifier implements agent.Signatures.
type Verifier struct{}

// Verify implements agent.Signatures.
func (Verifier) Verify(text, signature, namespace string, allowed []string, now time.Time) (agent.Signer, error) {
	var by agent.Signer
	made, err := sshsig.Unarmor([]byte(signature))
	if err != nil {
		return by, refuse("it is not what ssh-keygen -Y sign writes: %w", err)
	}
	if _, certificate := made.PublicKey.(*ssh.Certificate); certificate {
		return by, refuse("it was made with a certificate").WithHint("sign with a plain key: --sign=PATH")
	}
	by.Key = ssh.FingerprintSHA256(made.PublicKey)
	if made.Namespace != namespace {
		return by, refuse("it was made for %q, not for %s", made.Namespace, namespace)
	}
	if err := sshsig.Verify(bytes.NewReader([]byte(text)), made, made.PublicKey, made.HashAlgorithm, namespace); err != nil {
		return by, refuse("what was signed by %s was changed afterwards: %w", by.Key, err)
	}
	if allowed == nil {
		return by, nil
	}
	return judge(by, made.PublicKey, namespace, allowed, now)
}

// judge looks for a line that allows the key now. The reason of the last line with that key
// is the error's.
func judge(by agent.Signer, key ssh.PublicKey, namespace string, allowed []string, now time.Time) (agent.Signer, error) {
	var reason *api.Error
	for _, text := range allowed {
		line, err := Parse(text)
		if err != nil { // a file that a person has edited: nobody is let in by a guess
			return by, refuse("the app's allowed signers cannot be read: %.60q: %w", text, err).WithHint("signing:list shows them")
		}
		if !bytes.Equal(line.Key.Marshal(), key.Marshal()) {
			continue
		}
		switch {
		case !line.names(namespace):
			reason = refuse("%s (%s) may not sign for %s", line.Principals, by.Key, namespace)
		case !line.after.IsZero() && now.Before(line.after):
			reason = refuse("the key of %s (%s) is valid from %s on", line.Principals, by.Key, line.after.UTC().Format(time.RFC3339))
		case !line.before.IsZero() && !now.Before(line.before):
			reason = refuse("the key of %s (%s) was valid before %s: it has expired", line.Principals, by.Key, line.before.UTC().Format(time.RFC3339))
		default:
			by.Name = line.Principals
			return by, nil
		}
	}
	if reason == nil {
		reason = refuse("the key %s is not among the app's allowed signers", by.Key).
			WithHint("on the host: dokku signing:list APP shows who may sign, signing:add APP adds a line")
	}
	return by, reason
}

func refuse(format string, args ...any) *api.Error {
	return api.Errorf(api.Refused, op, format, args...)
}
