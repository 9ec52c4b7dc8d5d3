package push

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"strconv"
	"time"

	"github.com/dokku-push/dokku-push/api"
)

// SignWithSSHKey is the value of Signing.Key for the key that ssh connects with.
const SignWithSSHKey = "ssh"

// signedFor is how long a signature counts where nothing else is said.
const signedFor = time.Hour

// Signing is how a release is signed. The zero value signs nothing.
type Signing struct {
	Key            string        // SignWithSSHKey, or a key file; empty: not at all
	For            time.Duration // how long the signature counts; 0: an hour
	AllowDowngrade bool          // the release may be older than what runs
}

// sign makes a signed statement; its times are filled in here. nonce is what opens its
// commitment to a document.
func (s Signing) sign(ctx context.Context, connection *Connection, statement api.Statement, nonce string) (*api.Signed, error) {
	key := s.Key
	if key == SignWithSSHKey {
		key = ""
	}
	statement.Issued, statement.AllowDowngrade = time.Now(), s.AllowDowngrade
	statement.Expires = statement.Issued.Add(max(s.For, 0))
	if s.For <= 0 {
		statement.Expires = statement.Issued.Add(signedFor)
	}
	text, err := statement.Text()
	if err != nil {
		return nil, err
	}
	signature, err := connection.Conn.Sign(ctx, text, api.SignatureNamespace, key)
	if err != nil {
		return nil, err
	}
	return &api.Signed{Statement: text, Signature: signature, Nonce: nonce}, nil
}

// check refuses what cannot be meant.
func (s Signing) check() error {
	if s.Key != "" || !s.AllowDowngrade && s.For == 0 {
		return nil
	}
	return api.Errorf(api.Usage, "", "--allow-downgrade and --sign-for are part of what is signed, and nothing is").WithHint("add --sign")
}

// sign signs the release that was prepared; nil where nobody asked for that.
func (p *Prepared) sign(ctx context.Context) (*api.Signed, error) {
	signing := p.options.Signing
	if signing.Key == "" {
		return nil, nil
	}
	random := make([]byte, 32)
	if _, err := rand.Read(random); err != nil {
		return nil, fmt.Errorf("make a nonce: %w", err)
	}
	nonce := hex.EncodeToString(random)
	commitment, err := p.document.Commitment(nonce)
	if err != nil {
		return nil, err
	}
	source := p.document.Source
	statement := api.Statement{App: p.Project.Name, Image: p.document.Image.ID, Document: commitment, Revision: source.Revision}
	if source.Revision != "" && !source.Dirty { // what was changed since is as old as this moment
		seconds, err := strconv.ParseInt(git(p.Project.Dir, "show", "--no-patch", "--format=%ct", source.Revision), 10, 64)
		if err == nil {
			statement.Revised = time.Unix(seconds, 0)
		}
	}
	return signing.sign(ctx, p.host, statement, nonce)
}

// Promote runs the image of the app from under the settings of the app to. A signed
// promotion names the release that it means; another one that went live meanwhile is refused.
func Promote(ctx context.Context, connection *Connection, o Options, from, to string) (api.Verdict, error) {
	if err := o.Signing.check(); err != nil {
		return api.Verdict{}, err
	}
	request := api.PromoteRequest{From: from, LockWait: int(o.LockWait.Seconds())}
	if o.Signing.Key != "" {
		state, err := connection.App(ctx, from)
		if err != nil {
			return api.Verdict{}, err
		}
		for _, release := range state.Releases {
			if release.Version != state.Current {
				continue
			}
			statement := api.Statement{App: to, Image: release.Built, From: fmt.Sprintf("%s v%d", from, release.Version), Revision: release.Source.Revision}
			if request.Signed, err = o.Signing.sign(ctx, connection, statement, ""); err != nil {
				return api.Verdict{}, err
			}
		}
	}
	id, err := api.NewRequest()
	if err != nil {
		return api.Verdict{}, err
	}
	return connection.Promote(ctx, to, id, request, o.Report)
}
