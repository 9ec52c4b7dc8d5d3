package keys

import (
	"bytes"
	"slices"
	"strings"

	"golang.org/x/crypto/ssh"
)

// Put appends whole lines, as they are, in place of any that have the same keys.
func (f File) Put(lines ...string) error {
	var publics []ssh.PublicKey
	for _, line := range lines {
		public, _, _, _, err := ssh.ParseAuthorizedKey([]byte(line))
		if err != nil {
			return err
		}
		publics = append(publics, public)
	}
	return f.change(func(before []byte) ([]byte, error) {
		kept := without(before, publics)
		if len(kept) > 0 && !bytes.HasSuffix(kept, []byte("\n")) {
			kept = append(kept, '\n')
		}
		return append(kept, strings.Join(lines, "")...), nil
	})
}

// Drop removes the lines of these keys, whatever their options; there may be none.
func (f File) Drop(publics ...ssh.PublicKey) error {
	return f.change(func(before []byte) ([]byte, error) { return without(before, publics), nil })
}

func without(text []byte, publics []ssh.PublicKey) []byte {
	var kept []byte
	for line := range bytes.Lines(text) {
		public, _, _, _, err := ssh.ParseAuthorizedKey(bytes.TrimSpace(line))
		if err != nil || !slices.ContainsFunc(publics, func(one ssh.PublicKey) bool { return bytes.Equal(one.Marshal(), public.Marshal()) }) {
			kept = append(kept, line...)
		}
	}
	return kept
}
