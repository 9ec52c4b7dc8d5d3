package agent

import (
	"errors"
	"fmt"
	"time"

	"github.com/dokku-push/dokku-push/api"
)

// Signatures judges ssh signatures.
type Signatures interface {
	// Verify tells who has signed a text. allowed are the lines of an allowed_signers file,
	// one of which must allow the key at that time; nil: nobody is asked about the key. What
	// is refused is an error of code Refused that says why.
	Verify(text, signature, namespace string, allowed []string, now time.Time) (Signer, error)
}

// Signer is who made a signature.
type Signer struct {
	Key  string // fingerprint
	Name string // in the allowed signers; empty when nobody was asked
}

// The properties of the policy. Each is the app's own or, where it has none, the host's.
const (
	SigningRequired = "signing/required"        // true: what is not signed by an allowed key is refused
	AllowedSigners  = "signing/allowed-signers" // lines of an allowed_signers file
)

// SigningProperties are both: what no backup, clone or release document may bring.
func SigningProperties() []string { return []string{SigningRequired, AllowedSigners} }

// SigningPolicy is who may sign what an app runs.
type SigningPolicy struct {
	Required bool
	Allowed  []string // never nil
}

const opSigned = "verify the signature"

// PolicyFor reads an app's policy; one that does not exist yet has the host's. It fails
// where it cannot be read: nobody is let in by an error.
func (h *Host) PolicyFor(app string) (SigningPolicy, error) {
	own, err := h.Settings.Read(app)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return SigningPolicy{}, fmt.Errorf("read the signing policy of %s: %w", app, err)
	}
	global, err := h.Settings.Read("--global")
	if err != nil {
		return SigningPolicy{}, fmt.Errorf("read the host's signing policy: %w", err)
	}
	either := func(property string) string {
		if value := own.Properties[property]; value != "" {
			return value
		}
		return global.Properties[property]
	}
	return SigningPolicy{Required: either(SigningRequired) == "true", Allowed: append([]string{}, linesOf(either(AllowedSigners))...)}, nil
}

// arrives judges what a change brings to the app, before anything is changed. What runs
// there already, started anew with other settings, is no arrival.
func (r *run) arrives() error {
	if !r.change.Kind.ships() {
		return nil
	}
	policy, err := r.PolicyFor(r.change.App)
	if err != nil {
		return err
	}
	if r.change.Signed == nil {
		if policy.Required {
			return api.Errorf(api.Refused, opSigned, "%s takes only what an allowed key has signed, and this is not signed", r.change.App).
				WithHint("%s", signHint(r.change.Kind))
		}
		return nil
	}
	if r.Signatures == nil {
		return api.Errorf(api.Refused, opSigned, "this host cannot verify signatures")
	}
	allowed := policy.Allowed
	if !policy.Required {
		allowed = nil
	}
	now := time.Now()
	by, err := r.Signatures.Verify(r.change.Signed.Statement, r.change.Signed.Signature, api.SignatureNamespace, allowed, now)
	if err != nil {
		return err
	}
	statement, err := api.ParseStatement(r.change.Signed.Statement)
	if err != nil {
		return api.Errorf(api.Refused, opSigned, "%w", err)
	}
	if err := r.states(statement); err != nil {
		return err
	}
	if policy.Required {
		if err := r.timely(statement, now); err != nil {
			return err
		}
	}
	r.signature = &api.Signature{Statement: r.change.Signed.Statement, Signature: r.change.Signed.Signature, Key: by.Key, Signer: by.Name, Verified: policy.Required}
	r.nonce = r.change.Signed.Nonce
	return nil
}

// signHint says how what was refused may arrive.
func signHint(kind Kind) string {
	switch kind {
	case Tag:
		return "an image tag cannot be signed: go back to a signed release with `dokku-push rollback vN`, or push with --sign"
	case Promote:
		return "dokku-push promote --sign signs the promotion"
	}
	return "dokku-push --sign signs what it pushes; on the host, dokku signing:report APP shows the policy"
}

// states compares a statement with what is to become a release.
func (r *run) states(statement api.Statement) error {
	if statement.App != r.change.App {
		return api.Errorf(api.Refused, opSigned, "it was signed for the app %s, not for %s", statement.App, r.change.App)
	}
	image, from := r.document.Image.ID, ""
	if r.change.Kind == Promote {
		record, err := r.currentRecord(r.change.From)
		if err != nil {
			return fmt.Errorf("read the current release of %s: %w", r.change.From, err)
		}
		if record == nil {
			return api.Errorf(api.Precondition, "promote", "%s has never been deployed", r.change.From)
		}
		image, from = record.Built, promotedFrom(r.change.From, record.Version)
	}
	if statement.Image != image {
		return api.Errorf(api.Refused, opSigned, "another image was signed: %s, not %s", statement.Image, image)
	}
	if statement.From != from {
		return api.Errorf(api.Refused, opSigned, "it was signed for the promotion of %q, not of %q", statement.From, from)
	}
	if r.change.Kind == Promote {
		return nil
	}
	commitment, err := r.document.Commitment(r.change.Signed.Nonce)
	if err != nil {
		return api.Errorf(api.Refused, opSigned, "%w", err)
	}
	if statement.Document != commitment {
		return api.Errorf(api.Refused, opSigned, "another release document was signed: config, Procfile, app.json or dokku.hcl differ from it")
	}
	return nil
}

// timely refuses a statement that is not valid now, or is older than what runs.
func (r *run) timely(statement api.Statement, now time.Time) error {
	if !now.Before(statement.Expires) {
		return api.Errorf(api.Refused, opSigned, "the signature expired at %s", statement.Expires.Format(time.RFC3339)).WithHint("push again with --sign")
	}
	if statement.Issued.After(now.Add(clockSkew)) {
		return api.Errorf(api.Refused, opSigned, "it was signed at %s, and here it is %s", statement.Issued.Format(time.RFC3339), now.UTC().Format(time.RFC3339)).
			WithHint("one of the two clocks is wrong")
	}
	if statement.AllowDowngrade {
		return nil
	}
	current, err := r.currentRecord(r.change.App)
	if err != nil || current == nil {
		return err
	}
	older := func(what string, it, running time.Time) error {
		return api.Errorf(api.Refused, opSigned, "it is older than the running release v%d: %s %s, that of v%d %s", current.Version, what,
			it.UTC().Format(time.RFC3339), current.Version, running.UTC().Format(time.RFC3339)).
			WithHint("dokku-push --sign --allow-downgrade if that is meant, or dokku-push rollback")
	}
	if current.Signature == nil || !current.Signature.Verified {
		if statement.Issued.Add(clockSkew).Before(current.Started) {
			return older("its signature is of", statement.Issued, current.Started)
		}
		return nil
	}
	running, err := api.ParseStatement(current.Signature.Statement)
	if err != nil {
		return fmt.Errorf("read the signature of v%d: %w", current.Version, err)
	}
	if statement.Issued.Before(running.Issued) {
		return older("its signature is of", statement.Issued, running.Issued)
	}
	if !statement.Revised.IsZero() && statement.Revised.Before(running.Revised) {
		return older("its commit is of", statement.Revised, running.Revised)
	}
	return nil
}

// returns refuses to go back to a release that was never verified, where the policy asks
// for that. One that was stays good, whatever became of its key since.
func (r *run) returns() error {
	if r.change.Kind != Rollback || r.from.Signature != nil && r.from.Signature.Verified {
		return nil
	}
	policy, err := r.PolicyFor(r.change.App)
	if err != nil || !policy.Required {
		return err
	}
	return api.Errorf(api.Refused, opSigned, "%s takes only what an allowed key has signed, and v%d was never verified", r.change.App, r.from.Version).
		WithHint("`dokku-push releases` shows which were signed; name one of those: rollback vN")
}

// signs is the signature that the release's record has: what came with the change, or
// that of the release whose image runs again.
func (r *run) signs() (*api.Signature, string) {
	if r.change.Kind.ships() || r.from == nil {
		return r.signature, r.nonce
	}
	return r.from.Signature, r.from.Nonce
}

func promotedFrom(app string, version int) string { return fmt.Sprintf("%s v%d", app, version) }
