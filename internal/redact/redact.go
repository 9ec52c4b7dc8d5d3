// Package redact keeps secrets out of what people and logs see: a string that
// does not print itself, and a filter for text that may quote one. It neither
// encrypts nor stores anything.
package redact

import (
	"encoding/base64"
	"fmt"
	"io"
	"sort"
	"strings"
)

// Mask stands where a secret was.
const Mask = "[secret]"

// Secret is a value that prints as Mask in every verb of fmt and in JSON. The
// empty Secret prints as nothing, so that "not set" can be told from "set".
// It must not be the key of a map: encoding/json writes keys of kind string raw.
type Secret string

// Reveal returns the value itself. Every call is a place to look at in review.
func (s Secret) Reveal() string { return string(s) }

func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return Mask
}

// GoString is what %#v prints.
func (s Secret) GoString() string { return fmt.Sprintf("redact.Secret(%q)", s.String()) }

// Format answers every verb, so that %x or %q give nothing away either.
func (s Secret) Format(f fmt.State, verb rune) {
	text := s.String()
	switch {
	case verb == 'v' && f.Flag('#'):
		text = s.GoString()
	case verb == 'q':
		text = fmt.Sprintf("%q", text)
	}
	_, _ = io.WriteString(f, text) // fmt has no way to hear of an error
}

// MarshalText is what encoders of JSON, XML and logs write.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// shortest is the length below which a value is not looked for in text: the
// mask would hide half of every line and say more than the value.
const shortest = 4

// Redactor replaces the secrets it knows in text. The zero value knows none.
type Redactor struct {
	replace *strings.Replacer
}

// New returns a Redactor for these secrets, for each long line of one that has
// several, and for their base64 forms. Values under four bytes are left alone.
func New(secrets ...Secret) *Redactor {
	seen := map[string]bool{}
	var values []string
	add := func(value string) {
		if len(value) >= shortest && !seen[value] {
			seen[value] = true
			values = append(values, value)
		}
	}
	for _, secret := range secrets {
		value := secret.Reveal()
		add(value)
		if len(value) >= shortest {
			add(base64.StdEncoding.EncodeToString([]byte(value)))
			add(base64.RawURLEncoding.EncodeToString([]byte(value)))
		}
		for line := range strings.Lines(value) {
			if line = strings.TrimSpace(line); len(line) >= 2*shortest {
				add(line)
			}
		}
	}
	// The longest first: a secret that begins with another is hidden whole.
	sort.Slice(values, func(i, j int) bool { return len(values[i]) > len(values[j]) })
	pairs := make([]string, 0, 2*len(values))
	for _, value := range values {
		pairs = append(pairs, value, Mask)
	}
	return &Redactor{replace: strings.NewReplacer(pairs...)}
}

// Text returns text with every known secret replaced by Mask.
func (r *Redactor) Text(text string) string {
	if r == nil || r.replace == nil {
		return text
	}
	return r.replace.Replace(text)
}
