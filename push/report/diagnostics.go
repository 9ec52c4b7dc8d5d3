package report

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf16"

	"github.com/dokku-push/dokku-push/manifest"
)

// DiagnosticStyle says how DiagnosticsText draws. The zero value is plain text whose
// lines are never cut.
type DiagnosticStyle struct {
	Color bool
	Width int // of the terminal, in columns; 0: of any width
}

// Color says whether text may be coloured: NO_COLOR forbids it, CLICOLOR_FORCE and
// FORCE_COLOR ask for it, and otherwise a terminal that can do more than TERM=dumb does.
func Color(terminal bool, getenv func(string) (string, bool)) bool {
	said := func(name string) bool {
		value, _ := getenv(name)
		return value != ""
	}
	forced := func(name string) bool {
		value, _ := getenv(name)
		return value != "" && value != "0"
	}
	term, _ := getenv("TERM")
	switch {
	case said("NO_COLOR"):
		return false
	case forced("CLICOLOR_FORCE"), forced("FORCE_COLOR"):
		return true
	}
	return terminal && term != "dumb"
}

// severity is what people and CI systems call a severity.
func severity(s manifest.Severity) string {
	if s == manifest.Advice {
		return "warning"
	}
	return "error"
}

// DiagnosticsText shows diagnostics to people: place and problem, the line with a caret
// below the column, and what to write instead; the last line counts them. Nothing at all
// is written when there are none. Nothing of a file reaches a terminal as a control.
func DiagnosticsText(out io.Writer, found manifest.Diagnostics, style DiagnosticStyle) error {
	var text strings.Builder
	count := map[string]int{}
	for _, d := range found {
		count[severity(d.Severity)]++
		diagnostic(&text, d, style)
	}
	if len(found) > 0 {
		text.WriteString(counted(count["error"], "error") + ", " + counted(count["warning"], "warning") + "\n")
	}
	_, err := io.WriteString(out, text.String())
	return err
}

func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// diagnostic writes one of them.
func diagnostic(text *strings.Builder, d manifest.Diagnostic, style DiagnosticStyle) {
	paint := func(code, word string) string {
		if !style.Color || word == "" {
			return word
		}
		return "\x1b[" + code + "m" + word + "\x1b[0m"
	}
	color := "1;31"
	if d.Severity == manifest.Advice {
		color = "1;33"
	}
	place := Legible(d.File)
	if d.Line > 0 {
		place = fmt.Sprintf("%s:%d:%d", place, d.Line, max(d.Column, 1))
	}
	fmt.Fprintf(text, "%s %s %s\n", paint("1", place+":"), paint(color, severity(d.Severity)+":"), Legible(d.Message))
	if d.Line > 0 && d.Source != "" {
		number := fmt.Sprintf("%5d", d.Line)
		gutter := strings.Repeat(" ", len(number))
		room := 0
		if style.Width > 0 {
			room = max(style.Width-len(number)-len(" | ")-1, 20)
		}
		line, caret := excerpt(d.Source, max(d.Column, 1)-1, room)
		fmt.Fprintf(text, "%s | %s\n%s | %s%s\n", number, line, gutter, strings.Repeat(" ", caret), paint(color, "^"))
	}
	if d.Hint != "" {
		fmt.Fprintf(text, "      = %s\n", Legible(d.Hint))
	}
}

// diagnosticsDocument is what check --format json prints.
type diagnosticsDocument struct {
	Diagnostics []diagnosticJSON `json:"diagnostics"`
	Valid       bool             `json:"valid"`
}

type diagnosticJSON struct {
	File     string `json:"file"`
	Line     int    `json:"line"`   // from 1; 0: the whole file
	Column   int    `json:"column"` // from 1, in characters
	Source   string `json:"source"`
	Severity string `json:"severity"` // error or warning
	Problem  string `json:"problem"`
	Hint     string `json:"hint"`
}

// DiagnosticsJSON writes one JSON document: every diagnostic, and whether what was read
// is valid, which it is without a mistake. What a terminal would obey is escaped.
func DiagnosticsJSON(out io.Writer, found manifest.Diagnostics) error {
	document := diagnosticsDocument{Diagnostics: []diagnosticJSON{}, Valid: !found.Failed()}
	for _, d := range found {
		document.Diagnostics = append(document.Diagnostics, diagnosticJSON{d.File, d.Line, d.Column, d.Source, severity(d.Severity), d.Message, d.Hint})
	}
	text, err := json.Marshal(document)
	if err != nil {
		return fmt.Errorf("write diagnostics: %w", err)
	}
	_, err = io.WriteString(out, escapeUnseen(string(text))+"\n")
	return err
}

// escapeUnseen replaces characters of a JSON text that do not print. All of them are
// inside strings, for JSON has none elsewhere but the spaces of indentation.
func escapeUnseen(text string) string {
	var escaped strings.Builder
	for _, c := range text {
		switch {
		case unicode.IsPrint(c):
			escaped.WriteRune(c)
		case c > 0xffff:
			high, low := utf16.EncodeRune(c)
			fmt.Fprintf(&escaped, `\u%04x\u%04x`, high, low)
		default:
			fmt.Fprintf(&escaped, `\u%04x`, c)
		}
	}
	return escaped.String()
}
