package sshsig

import (
	"errors"
	"fmt"
	"path"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"
)

// Line is one line of an allowed_signers file (ssh-keygen(1)).
type Line struct {
	Principals string // the signer's names, comma separated
	Key        ssh.PublicKey
	namespaces []string
	after      time.Time // zero: from ever
	before     time.Time // zero: for ever
}

// Fingerprint is the line's key as people compare it.
func (l Line) Fingerprint() string { return ssh.FingerprintSHA256(l.Key) }

// Parse reads one line. Times without a Z are the machine's own.
func Parse(text string) (Line, error) {
	var line Line
	text = strings.TrimSpace(text)
	rest, ok := "", false
	if quoted, found := strings.CutPrefix(text, `"`); found {
		line.Principals, rest, ok = strings.Cut(quoted, `"`)
	} else if n := strings.IndexAny(text, " \t"); n > 0 {
		line.Principals, rest, ok = text[:n], text[n:], true
	}
	if !ok || strings.Trim(line.Principals, ", ") == "" {
		return Line{}, errors.New("it does not begin with the signer's name: NAME [options] KEYTYPE KEY")
	}
	key, _, options, _, err := ssh.ParseAuthorizedKey([]byte(strings.TrimSpace(rest)))
	if err != nil {
		return Line{}, fmt.Errorf("there is no public key behind %q: NAME [options] KEYTYPE KEY", line.Principals)
	}
	if _, certificate := key.(*ssh.Certificate); certificate || strings.HasPrefix(key.Type(), "ssh-dss") {
		return Line{}, fmt.Errorf("a key of the type %s cannot sign releases", key.Type())
	}
	line.Key = key
	for _, option := range options {
		if err := line.option(option); err != nil {
			return Line{}, err
		}
	}
	return line, nil
}

// option takes one of the line's options. One that would widen what the line allows and is
// not understood must not be passed over, nor one that would narrow it.
func (l *Line) option(option string) (err error) {
	name, value, _ := strings.Cut(option, "=")
	value = strings.Trim(value, `"`)
	switch strings.ToLower(name) {
	case "namespaces":
		l.namespaces = strings.Split(value, ",")
	case "valid-after":
		l.after, err = parseTime(value)
	case "valid-before":
		l.before, err = parseTime(value)
	case "cert-authority":
		err = errors.New("cert-authority is not supported: list the keys themselves")
	default:
		err = fmt.Errorf("%q is no option of an allowed signer", name)
	}
	return err
}

// parseTime reads YYYYMMDD[HHMM[SS]][Z].
func parseTime(text string) (time.Time, error) {
	digits, utc := strings.CutSuffix(strings.ToUpper(text), "Z")
	place := time.Local
	if utc {
		place = time.UTC
	}
	for _, layout := range []string{"20060102", "200601021504", "20060102150405"} {
		if len(layout) == len(digits) {
			return time.ParseInLocation(layout, digits, place)
		}
	}
	return time.Time{}, fmt.Errorf("%q is no time: YYYYMMDD, YYYYMMDDHHMM or YYYYMMDDHHMMSS, with a Z for UTC", text)
}

// names tells whether a line is for a namespace: its list has patterns, and one with a !
// that fits refuses.
func (l Line) names(namespace string) bool {
	if l.namespaces == nil {
		return true
	}
	found := false
	for _, pattern := range l.namespaces {
		pattern, not := strings.CutPrefix(strings.TrimSpace(pattern), "!")
		if fits, err := path.Match(pattern, namespace); err != nil || !fits {
			continue
		}
		if not {
			return false
		}
		found = true
	}
	return found
}
