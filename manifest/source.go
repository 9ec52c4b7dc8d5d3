package manifest

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	maxFile        = 1 << 20 // bytes of a Procfile, app.json or dokku.hcl
	maxDepth       = 32      // of blocks, objects, lists and parentheses within each other
	maxDiagnostics = 50      // of one severity and file that are shown; the others are counted
	maxSource      = 500     // characters of a line that a diagnostic carries
)

// source is a file that is being read, and what was found in it. Offsets are in
// bytes of text.
type source struct {
	file   string
	text   string
	found  Diagnostics
	count  [2]int         // by severity
	places map[string]int // where something stands that a later check may speak of
}

// newSource takes off a byte order mark and refuses what is no text. When it has
// found a mistake nothing else of the file can be read.
func newSource(file string, text []byte) *source {
	s := &source{file: file, places: map[string]int{}}
	if len(text) > maxFile {
		s.whole(Mistake, fmt.Sprintf("the file is larger than %d KiB", maxFile>>10), "keep large values out of it")
		return s
	}
	if rest, ok := bytes.CutPrefix(text, []byte("\ufeff")); ok {
		text = rest
		s.text = string(text)
		s.advice(0, "the file begins with a byte order mark", "save it as UTF-8 without one: other tools read the mark as a part of the first line")
	}
	s.text = string(text)
	if i := invalidUTF8(text); i >= 0 {
		s.mistake(i, "this byte is not UTF-8", "save the file as UTF-8")
	}
	if i := bytes.IndexByte(text, 0); i >= 0 {
		s.mistake(i, "there is a NUL byte in the file", "save it as UTF-8 text")
	}
	return s
}

// invalidUTF8 returns the offset of the first byte that is none, or -1.
func invalidUTF8(text []byte) int {
	for i := 0; i < len(text); {
		r, size := utf8.DecodeRune(text[i:])
		if r == utf8.RuneError && size == 1 {
			return i
		}
		i += size
	}
	return -1
}

func (s *source) mistake(offset int, message, hint string) { s.add(Mistake, offset, message, hint) }

func (s *source) advice(offset int, message, hint string) { s.add(Advice, offset, message, hint) }

// whole adds a diagnostic about the file as such.
func (s *source) whole(severity Severity, message, hint string) {
	s.count[severity]++
	s.found = append(s.found, Diagnostic{Severity: severity, File: s.file, Message: message, Hint: hint})
}

func (s *source) add(severity Severity, offset int, message, hint string) {
	s.count[severity]++
	if s.count[severity] > maxDiagnostics {
		return
	}
	line, column := s.position(offset)
	s.found = append(s.found, Diagnostic{
		Severity: severity, File: s.file, Line: line, Column: column,
		Source: clip(s.lineAt(offset), maxSource), Message: message, Hint: hint,
	})
}

// lineAt returns the line that an offset is in.
func (s *source) lineAt(offset int) string {
	start := strings.LastIndexByte(s.text[:min(offset, len(s.text))], '\n') + 1
	text, _, _ := strings.Cut(s.text[start:], "\n")
	return string([]rune(strings.TrimSuffix(text, "\r"))) // a byte that is not UTF-8 counts as one character
}

// position returns the line and the column of an offset, both from 1, the column in
// characters.
func (s *source) position(offset int) (line, column int) {
	before := s.text[:min(offset, len(s.text))]
	start := strings.LastIndexByte(before, '\n') + 1
	length := utf8.RuneCountInString(s.lineAt(offset))
	return 1 + strings.Count(before, "\n"), 1 + min(utf8.RuneCountInString(before[start:]), length)
}

func (s *source) failed() bool { return s.count[Mistake] > 0 }

// result returns what was found, in the file's order.
func (s *source) result() Diagnostics {
	found := slices.Clone(s.found)
	slices.SortStableFunc(found, func(a, b Diagnostic) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	for severity, what := range map[Severity]string{Mistake: "mistakes", Advice: "warnings"} {
		if more := s.count[severity] - maxDiagnostics; more > 0 {
			found = append(found, Diagnostic{Severity: severity, File: s.file, Message: fmt.Sprintf("%d more %s", more, what)})
		}
	}
	return found
}

// clip shortens text to so many characters.
func clip(text string, limit int) string {
	if utf8.RuneCountInString(text) <= limit {
		return text
	}
	return string([]rune(text)[:limit]) + "…"
}

// show returns a word of a file as it may stand in a message: one line, short,
// nothing in it that a terminal obeys.
func show(word string) string {
	word = clip(word, 60)
	plain := func(r rune) bool {
		return r < unicode.MaxASCII && (unicode.IsLetter(r) || unicode.IsDigit(r) || strings.ContainsRune("_-./", r))
	}
	if word == "" || strings.ContainsFunc(word, func(r rune) bool { return !plain(r) }) {
		return strconv.QuoteToASCII(word)
	}
	return word
}

// closest returns the candidate that word is most likely a misspelling of, or "".
func closest(word string, candidates []string) string {
	plain := strings.NewReplacer("_", "-")
	best, distance := "", 1+min(2, len(word)/2)
	for _, candidate := range candidates {
		if d := edits(plain.Replace(strings.ToLower(word)), plain.Replace(strings.ToLower(candidate))); d < distance {
			best, distance = candidate, d
		}
	}
	return best
}

// edits counts the letters to insert, take out or replace to make b of a. Words
// whose lengths differ much are far apart without counting.
func edits(a, b string) int {
	if diff := len(a) - len(b); diff > 2 || diff < -2 {
		return len(a) + len(b)
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replace := diagonal
			if a[i] != b[j] {
				replace++
			}
			diagonal = row[j+1]
			row[j+1] = min(replace, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

// didYouMean is the hint about a word that is not known.
func didYouMean(word string, known []string) string {
	if meant := closest(word, known); meant != "" {
		return "did you mean " + meant + "?"
	}
	if len(known) == 0 {
		return "take it out"
	}
	slices.Sort(known)
	return "known here: " + strings.Join(known, ", ")
}
