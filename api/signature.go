package api

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// SignatureNamespace is the namespace (`ssh-keygen -Y sign -n`) of a signed Statement: a
// signature that was made for anything else counts nothing here.
const SignatureNamespace = "release@dokku-push"

// Statement is what a person or a CI job signs: that this image with this document may
// become a release of this app, until then. The bytes that are signed are Text's. It holds
// no value of config, only a commitment to the whole document.
type Statement struct {
	App   string `json:"app"`
	Image string `json:"image"` // config digest that was built
	// Document is the release document's Commitment; empty for a promotion.
	Document string `json:"document,omitempty"`
	// From is the release that is promoted: "staging v7".
	From     string `json:"from,omitempty"`
	Revision string `json:"revision,omitempty"` // commit id
	// Revised is when that commit was made, in UTC, to the second.
	Revised time.Time `json:"revised,omitzero"`
	Issued  time.Time `json:"issued"`  // UTC, to the second
	Expires time.Time `json:"expires"` // the release must begin before
	// AllowDowngrade says that it may be older than what runs.
	AllowDowngrade bool `json:"allow_downgrade,omitempty"`
}

// Text is the statement in its one form: JSON on one line, with a newline at its end.
func (s Statement) Text() (string, error) {
	for _, t := range []*time.Time{&s.Revised, &s.Issued, &s.Expires} {
		*t = t.UTC().Truncate(time.Second)
	}
	text, err := json.Marshal(s)
	if err != nil {
		return "", fmt.Errorf("write the statement: %w", err)
	}
	return string(text) + "\n", nil
}

// ParseStatement reads a statement's text, and refuses any form of it but Text's.
func ParseStatement(text string) (Statement, error) {
	var s Statement
	in := json.NewDecoder(bytes.NewReader([]byte(text)))
	in.DisallowUnknownFields()
	if err := in.Decode(&s); err != nil {
		return Statement{}, fmt.Errorf("read the statement: %w", err)
	}
	if again, err := s.Text(); err != nil || again != text {
		return Statement{}, errors.New("read the statement: it is not in its canonical form")
	}
	return s, nil
}

// Signed is a statement with its signature, as a request carries it.
type Signed struct {
	Statement string `json:"statement"` // Statement's text, byte for byte what was signed
	Signature string `json:"signature"` // as ssh-keygen -Y sign writes it
	// Nonce is 32 random bytes in hex, without which nobody can try out which document a
	// statement was made for. It stays between client and host.
	Nonce string `json:"nonce,omitempty"`
}

// Signature is what a release's record shows of how it was signed.
type Signature struct {
	Statement string `json:"statement"`
	Signature string `json:"signature"`
	Key       string `json:"key"` // fingerprint: SHA256:...
	// Signer is the key's name in the app's allowed signers.
	Signer string `json:"signer,omitempty"`
	// Verified says that the host asked for a signature and found the key allowed.
	Verified bool `json:"verified"`
}

// nonceBytes is the length of a Signed's nonce.
const nonceBytes = 32

// Commitment stands for a document in a statement: HMAC-SHA256 of its JSON, keyed with the
// nonce. The way that the layers take is left out, for it is not known before they are
// shipped; the image is named by its config digest. Everything else counts.
func (d ReleaseDocument) Commitment(nonce string) (string, error) {
	key, err := hex.DecodeString(nonce)
	if err != nil || len(key) != nonceBytes {
		return "", fmt.Errorf("the nonce is not %d bytes in hex", nonceBytes)
	}
	d.Image.Manifest, d.Image.Registry = "", ""
	// Once more through JSON, so that both sides see what has travelled.
	for range 2 {
		text, err := json.Marshal(d)
		if err != nil {
			return "", fmt.Errorf("write the document: %w", err)
		}
		d = ReleaseDocument{}
		if err := json.Unmarshal(text, &d); err != nil {
			return "", fmt.Errorf("read the document: %w", err)
		}
	}
	text, err := json.Marshal(d)
	if err != nil {
		return "", fmt.Errorf("write the document: %w", err)
	}
	sum := hmac.New(sha256.New, key)
	sum.Write(text)
	return "hmac-sha256:" + hex.EncodeToString(sum.Sum(nil)), nil
}
