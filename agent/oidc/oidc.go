// Package oidc lets a CI job in without a key of its own: it trades the token that the
// CI system signs for a job (OpenID Connect) for an ssh certificate of a few minutes,
// which may deploy the apps that the host's policy gives to the job's repository. What
// it keeps is in one folder: the policy, the key that signs certificates, the issuer's
// keys, and the ids of the tokens that were used.
package oidc

import (
	"context"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/internal/atomicfile"
	"github.com/dokku-push/dokku-push/internal/dirlock"
)

const op = "trade the job's token"

// Desk is where tokens are traded.
type Desk struct {
	Dir string // its folder, which nobody else reads
	// Program is the path of the file that names the program of forced commands.
	Program string
	HTTP    *http.Client     // to the issuer; nil: with the system's roots
	Now     func() time.Time // nil: time.Now
}

// At is the desk of a host.
func At(places agent.Places) *Desk {
	return &Desk{Dir: filepath.Join(places.Data(), "oidc"), Program: filepath.Join(places.Root, ".sshcommand")}
}

func (d *Desk) now() time.Time {
	if d.Now != nil {
		return d.Now()
	}
	return time.Now()
}

// most apps that one certificate is for: a monorepo's, and no more than fit into a
// certificate that sshd reads.
const mostApps = 50

// Exchange verifies a job's token, asks the policy about each of the apps, and signs a
// certificate. A token is used up by it. What is refused is an error of code Refused, and
// nothing was issued.
func (d *Desk) Exchange(ctx context.Context, request api.AuthRequest) (api.AuthAnswer, error) {
	public, err := clientKey(request.PublicKey)
	if err != nil {
		return api.AuthAnswer{}, err
	}
	if len(request.Apps) == 0 || len(request.Apps) > mostApps {
		return api.AuthAnswer{}, api.Errorf(api.Usage, op, "it names %d apps, and 1 to %d may be named", len(request.Apps), mostApps)
	}
	for _, app := range request.Apps {
		if !appName.MatchString(strings.TrimPrefix(app, api.ReviewGrant)) {
			return api.AuthAnswer{}, api.Errorf(api.Usage, op, "%.60q is no app name", app)
		}
	}
	policy, err := d.Policy()
	if err != nil {
		return api.AuthAnswer{}, err
	}
	if policy.Audience == "" {
		return api.AuthAnswer{}, refuse("this host has no audience, and takes no tokens").WithHint("on the host: dokku oidc:set audience dokku-push:HOSTNAME")
	}
	claims, err := d.verify(ctx, policy, request.Token)
	if err != nil {
		return api.AuthAnswer{}, err
	}
	for _, app := range request.Apps {
		if err := policy.allows(app, claims); err != nil {
			return api.AuthAnswer{}, err
		}
	}
	signer, err := d.authority()
	if err != nil {
		return api.AuthAnswer{}, err
	}
	if err := d.use(ctx, policy.issuer(), claims.ID, claims.ExpiresAt.Time); err != nil {
		return api.AuthAnswer{}, err
	}
	name := fmt.Sprintf("%s%s/%s", agent.JobPrefix, claims.Repository, claims.RunID)
	certificate, err := d.certify(signer, public, name, request.Apps, policy.lifetime())
	if err != nil {
		return api.AuthAnswer{}, err
	}
	return api.AuthAnswer{Certificate: strings.TrimSpace(string(ssh.MarshalAuthorizedKey(certificate))), Name: name, Apps: request.Apps,
		Expires: time.Unix(int64(certificate.ValidBefore), 0).UTC()}, nil
}

func refuse(format string, args ...any) *api.Error {
	return api.Errorf(api.Refused, op, format, args...)
}

// lock makes the folder and locks it against other processes of the desk.
func (d *Desk) lock(ctx context.Context) (release func(), err error) {
	if err := atomicfile.MkdirAll(d.Dir, 0o700); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	return dirlock.Lock(ctx, d.Dir, nil)
}
