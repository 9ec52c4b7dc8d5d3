package oidc

import (
	"context"
	"crypto"
	"errors"
	"regexp"
	"slices"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/dokku-push/dokku-push/api"
)

const (
	mostToken = 16 << 10         // bytes of a token
	leeway    = 30 * time.Second // between the issuer's clock and ours
	mostLife  = time.Hour        // of a token: its id is remembered that long
)

// algorithms are the signatures that count.
func algorithms() []string { return []string{"RS256", "ES256"} }

// claims are what a job's token says.
type claims struct {
	jwt.RegisteredClaims
	Repository   string `json:"repository"`
	RepositoryID string `json:"repository_id"`
	Environment  string `json:"environment"`
	Ref          string `json:"ref"`
	RunID        string `json:"run_id"`
	Workflow     string `json:"job_workflow_ref"`
}

var (
	runID   = regexp.MustCompile(`^[0-9]{1,20}$`)
	tokenID = regexp.MustCompile(`^[\x21-\x7e]{1,256}$`)
)

// verify tells what a token says that the issuer has signed for this host and that is
// valid now. No key is looked for before the token claims to be of the issuer.
func (d *Desk) verify(ctx context.Context, policy Policy, token string) (*claims, error) {
	if token == "" || len(token) > mostToken {
		return nil, refuse("there is no token")
	}
	said := &claims{}
	unverified, _, err := jwt.NewParser().ParseUnverified(token, said)
	if err != nil {
		if errors.Is(err, jwt.ErrTokenUnverifiable) {
			return nil, refuse("the token is signed with an algorithm that does not count; RS256 and ES256 do")
		}
		return nil, refuse("it is no token")
	}
	algorithm, _ := unverified.Header["alg"].(string)
	if !slices.Contains(algorithms(), algorithm) {
		return nil, refuse("the token is signed with %q; only RS256 and ES256 count", algorithm)
	}
	if _, critical := unverified.Header["crit"]; critical {
		return nil, refuse("the token wants an extension that is not known here")
	}
	if said.Issuer != policy.issuer() {
		return nil, refuse("the token is of the issuer %q, which this host does not trust", said.Issuer)
	}
	kid, _ := unverified.Header["kid"].(string)
	if kid == "" {
		return nil, refuse("the token does not name the key that signed it")
	}
	key, err := d.key(ctx, policy, kid)
	if err != nil {
		return nil, err
	}
	return d.signed(policy, token, key)
}

// signed verifies the signature first and then what it is over.
func (d *Desk) signed(policy Policy, token string, key crypto.PublicKey) (*claims, error) {
	said := &claims{}
	parser := jwt.NewParser(jwt.WithValidMethods(algorithms()), jwt.WithIssuer(policy.issuer()), jwt.WithAudience(policy.Audience), jwt.WithExpirationRequired(),
		jwt.WithIssuedAt(), jwt.WithLeeway(leeway), jwt.WithTimeFunc(d.now))
	_, err := parser.ParseWithClaims(token, said, func(*jwt.Token) (any, error) { return key, nil })
	if err != nil {
		return nil, unsigned(err, said)
	}
	switch {
	case said.IssuedAt == nil || said.ExpiresAt.Sub(said.IssuedAt.Time) > mostLife:
		return nil, refuse("the token is valid for longer than %s, which no job's is", mostLife)
	case !tokenID.MatchString(said.ID):
		return nil, refuse("the token has no id (jti), by which it would be known again")
	case !repository.MatchString(said.Repository) || !repositoryID.MatchString(said.RepositoryID):
		return nil, refuse("the token does not say which repository the job is of")
	case !runID.MatchString(said.RunID):
		return nil, refuse("the token does not say which run the job is of")
	}
	return said, nil
}

// unsigned says in our words what the library has found.
func unsigned(err error, said *claims) *api.Error {
	switch {
	case errors.Is(err, jwt.ErrTokenSignatureInvalid), errors.Is(err, jwt.ErrTokenUnverifiable), errors.Is(err, jwt.ErrTokenMalformed):
		return refuse("the token's signature is not the issuer's")
	case errors.Is(err, jwt.ErrTokenExpired):
		return refuse("the token expired at %s", said.ExpiresAt.UTC().Format(time.RFC3339)).WithHint("ask for a new one: it lives a few minutes")
	case errors.Is(err, jwt.ErrTokenNotValidYet), errors.Is(err, jwt.ErrTokenUsedBeforeIssued):
		return refuse("the token is not valid yet").WithHint("is the host's clock right?")
	case errors.Is(err, jwt.ErrTokenInvalidAudience):
		return refuse("the token is for %q, not for this host", []string(said.Audience)).WithHint("dokku-push auth github --audience names what `dokku oidc:set audience` has on the host")
	}
	return refuse("the token does not count: %w", err)
}
