package report

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"
)

// longest is how much of one foreign line is shown, in bytes: a runner holds a line in
// memory before it shows it.
const longest = 8 << 10

// guarded is a log in which the runner obeys no line but those that command writes.
type guarded struct {
	mu    sync.Mutex
	out   io.Writer
	token string // that ends the group of foreign lines which is open; empty: none is
	rest  []byte // of a line that has not ended: half of one could be half of a command
}

// command writes a command of ours, outside any group.
func (g *guarded) command(text string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.end()
	fmt.Fprintln(g.out, text)
}

// foreign writes a line that somebody else made, in a group that title names.
func (g *guarded) foreign(title, text string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.token == "" {
		g.end()
		word, err := token()
		if err != nil {
			return // without a word that nobody knows nothing foreign is shown
		}
		g.token = word
		if title != "" {
			title += ": "
		}
		fmt.Fprintf(g.out, "::group::%s\n::stop-commands::%s\n", data(Legible(title+"output")), word)
	}
	if len(text) > longest {
		end := longest
		for !utf8.RuneStart(text[end]) {
			end--
		}
		text = fmt.Sprintf("%s … (%d more bytes)", text[:end], len(text)-end)
	}
	fmt.Fprintln(g.out, disarmed(clean(text)))
}

// close ends the group that is open.
func (g *guarded) close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.end()
}

// end ends the line and the group that are open.
func (g *guarded) end() {
	if len(g.rest) > 0 {
		fmt.Fprintln(g.out, disarmed(clean(string(g.rest))))
		g.rest = nil
	}
	if g.token != "" {
		fmt.Fprintf(g.out, "::%s::\n::endgroup::\n", g.token)
		g.token = ""
	}
}

// Inert is a stream of lines in which GitHub's runner finds no command. Close writes what
// the last one lacks an end of.
func Inert(out io.Writer) io.WriteCloser { return &guarded{out: out} }

// Write writes lines of our own, in which somebody else's words may be.
func (g *guarded) Write(text []byte) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.rest = append(g.rest, text...)
	end := bytes.LastIndexByte(g.rest, '\n') + 1
	if end == 0 && len(g.rest) < longest {
		return len(text), nil
	}
	if end == 0 {
		end = len(g.rest)
	}
	var safe bytes.Buffer
	for line := range bytes.Lines(g.rest[:end]) {
		safe.WriteString(disarmed(clean(string(bytes.TrimSuffix(line, []byte("\n"))))) + "\n")
	}
	g.rest = append([]byte(nil), g.rest[end:]...)
	if _, err := g.out.Write(safe.Bytes()); err != nil {
		return 0, err
	}
	return len(text), nil
}

// Close writes the line that was begun.
func (g *guarded) Close() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.end()
	return nil
}

// disarmed is a line without what a runner would take for a command.
func disarmed(text string) string {
	text = strings.ReplaceAll(text, "##[", "# #[")
	if at := strings.Index(text, "::"); at >= 0 && !strings.ContainsFunc(text[:at], func(c rune) bool { return unicode.IsLetter(c) || unicode.IsDigit(c) }) {
		text = text[:at] + ": " + text[at+1:]
	}
	return text
}
