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

// Diagnostic is one mistake in a file, with its place.
type Diagnostic struct {
	Severity Severity
	File     string // relative to the project
	Line     int    // from 1; 0 when the whole file is meant
	Column   int    // from 1, in characters
	Source   string // the line itself
	Message  string // what is wrong
	Hint     string // what to write instead
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
