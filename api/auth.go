package api

import (
	"crypto/ed25519"
	"crypto/sha256"
	"time"
)

// AuthCommand is the one command that the door may call: a CI job's token for a
// certificate.
const AuthCommand = "auth:github"

// DoorName is what the door is called in authorized_keys.
const DoorName = "oidc-door"

// DoorKey is the key of the door, by which a job that has no key of its own asks for a
// certificate. Everybody has it: it proves nothing, and on a host that has opened its door
// the key may call AuthCommand and nothing else.
func DoorKey() ed25519.PrivateKey {
	seed := sha256.Sum256([]byte("dokku-push: the door that everybody may knock at"))
	return ed25519.NewKeyFromSeed(seed[:])
}

// ReviewGrant before an app's name stands for the right to make review apps of it, to deploy
// and to remove them, and to do nothing to the app itself. No app can be called so.
const ReviewGrant = "review:"

// AuthRequest is what AuthCommand reads on standard input.
type AuthRequest struct {
	Token     string   `json:"token"`      // the job's, of the issuer that the host trusts
	PublicKey string   `json:"public_key"` // that the certificate is to be for, ssh-ed25519
	Apps      []string `json:"apps"`       // that the job wants to deploy; behind ReviewGrant: whose review apps
}

// AuthAnswer is what AuthCommand prints: a certificate, or why there is none.
type AuthAnswer struct {
	Certificate string    `json:"certificate,omitempty"` // one line, as in a file -cert.pub
	Name        string    `json:"name,omitempty"`        // what the host calls the job
	Apps        []string  `json:"apps,omitempty"`
	Expires     time.Time `json:"expires,omitzero"`
	Error       *Error    `json:"error,omitempty"`
}
