package manifest

import (
	"fmt"
	"strings"
)

// Severity tells a mistake from advice.
type Severity int

// The severities.
const (
	Mistake Severity = iota
	Advice
)

// String is the word that stands in JSON, too: mistake or advice.
func (s Severity) String() string {
	if s == Advice {
		return "advice"
	}
	return "mistake"
}

// MarshalText makes JSON carry the word.
func (s Severity) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (s *Severity) UnmarshalText(text []byte) error {
	switch string(text) {
	case "mistake":
		*s = Mistake
	case "advice":
		*s = Advice
	default:
		return fmt.Errorf("there is no severity %q", text)
	}
	return nil
}

// Diagnostic is one mistake in a file, with its place.
type Diagnostic struct {
	Severity Severity `json:"severity"`
	File     string   `json:"file"`             // relative to the project; for a flag or a variable its name
	Line     int      `json:"line,omitempty"`   // from 1; 0 when the whole file is meant
	Column   int      `json:"column,omitempty"` // from 1, in characters
	Source   string   `json:"source,omitempty"` // the line itself
	Message  string   `json:"message"`          // what is wrong
	Hint     string   `json:"hint,omitempty"`   // what to write instead
}

func (d Diagnostic) String() string {
	place := d.File
	if d.Line > 0 {
		place = fmt.Sprintf("%s:%d:%d", d.File, d.Line, max(d.Column, 1))
	}
	text := place + ": " + d.Message
	if d.Hint != "" {
		text += "; " + d.Hint
	}
	return text
}

// Diagnostics are all mistakes and advice found at once. As an error they are
// the mistakes, a line each.
type Diagnostics []Diagnostic

// Failed says whether one of them is a mistake.
func (ds Diagnostics) Failed() bool {
	for _, d := range ds {
		if d.Severity == Mistake {
			return true
		}
	}
	return false
}

func (ds Diagnostics) Error() string {
	var lines []string
	for _, d := range ds {
		if d.Severity == Mistake {
			lines = append(lines, d.String())
		}
	}
	return strings.Join(lines, "\n")
}
