package remote

import (
	"context"
	"errors"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"

	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/internal/redact"
)

// TestNames: whoever said the keys by other names than this program's flags is told by those
// what to do, and by no flag, variable or file that he has never seen.
func TestNames(t *testing.T) {
	user, hostKey, other := newKey(t), newKey(t), newKey(t)
	server := startServer(t, []ssh.Signer{hostKey.signer}, user.public)
	const passphrase = "correct horse"
	locked := redact.Secret(user.text(t, passphrase))
	for name, c := range map[string]struct {
		change func(o *Options)
		known  testKey
		words  []string
	}{
		"wrong pin":  {func(o *Options) { o.HostKey = other.sum() }, hostKey, []string{"change THE-HOST-KEY"}},
		"changed":    {func(o *Options) { o.HostKey = "" }, other, []string{"change THE-HOST-KEY"}},
		"unknown":    {func(o *Options) { o.HostKey, o.KnownHosts = "", []string{"/nonexistent"} }, hostKey, []string{"give " + hostKey.sum() + " to THE-HOST-KEY"}},
		"no key":     {func(o *Options) { o.Key = "" }, hostKey, []string{"is for THE-KEY to say"}},
		"nonsense":   {func(o *Options) { o.Key = "nonsense" }, hostKey, []string{"THE-KEY is no private key"}},
		"passphrase": {func(o *Options) { o.Key = locked }, hostKey, []string{"use the ssh key THE-KEY", "correct THE-PASSPHRASE"}},
		"not unlocked": {func(o *Options) {
			o.Key = locked
			o.Passphrase = func(string) (string, error) {
				return "", (&api.Error{Code: api.Refused, Message: "nobody is there"}).WithHint("what to do")
			}
		}, hostKey, []string{"nobody is there", "what to do"}},
		"no such words": {func(o *Options) {
			o.Key, o.Passphrase = locked, func(string) (string, error) { return "", errors.New("plain") }
		}, hostKey, []string{"plain"}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := newHome(t)
			dir.write(t, "known_hosts", knownhosts.Normalize(server.addr)+" "+c.known.line()+"\n")
			o := dir.options(server.addr)
			o.Key, o.HostKey, o.Names = redact.Secret(user.text(t, "")), hostKey.sum(), Names{Key: "THE-KEY", Passphrase: "THE-PASSPHRASE", HostKey: "THE-HOST-KEY"}
			o.Passphrase = func(string) (string, error) { return "wrong", nil }
			c.change(&o)
			conn, err := Dial(context.Background(), o)
			if err == nil {
				conn.Close()
				t.Fatal("it was let in")
			}
			refused(t, err, api.AsError(err).Code, c.words...)
			if said := err.Error() + api.AsError(err).Hint; strings.Contains(said, "DOKKU_") || strings.Contains(said, "--host-key") || strings.Contains(said, "ssh-keygen -f") {
				t.Errorf("it speaks of what was never said: %s", said)
			}
		})
	}
}
