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
		word, err := token()
		if err != nil {
			return // without a word that nobody knows nothing foreign is shown
		}
		g.token = word
		fmt.Fprintf(g.out, "::group::%s\n::stop-commands::%s\n", data(Legible(firstText(title, "Output")+": output")), word)
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

func (g *guarded) end() {
	if g.token != "" {
		fmt.Fprintf(g.out, "::%s::\n::endgroup::\n", g.token)
		g.token = ""
	}
}

// Inert is a stream of lines in which GitHub's runner finds no command.
func Inert(out io.Writer) io.Writer { return &guarded{out: out} }

// Write writes whole lines of our own, in which somebody else's words may be.
func (g *guarded) Write(text []byte) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	var safe bytes.Buffer
	for line := range bytes.Lines(text) {
		safe.WriteString(disarmed(string(line)))
	}
	if _, err := g.out.Write(safe.Bytes()); err != nil {
		return 0, err
	}
	return len(text), nil
}

// disarmed is a line without what a runner would take for a command.
func disarmed(text string) string {
	text = strings.ReplaceAll(text, "##[", "# #[")
	if at := strings.Index(text, "::"); at >= 0 && !strings.ContainsFunc(text[:at], func(c rune) bool { return unicode.IsLetter(c) || unicode.IsDigit(c) }) {
		text = text[:at] + ": " + text[at+1:]
	}
	return text
}
