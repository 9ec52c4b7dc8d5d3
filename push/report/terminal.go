package report

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"

	"github.com/dokku-push/dokku-push/api"
)

// Terminal writes the lines that Plain writes, and keeps one line a layer moving below
// them while layers are on their way, and a few lines of a build while its steps run: of a
// build that went well they do not stay. width is the terminal's, in columns.
func Terminal(out io.Writer, width int) Renderer {
	return &terminal{out: out, width: max(width, 40), layers: map[string]api.Progress{}, told: map[string]bool{}}
}

type terminal struct {
	mu     sync.Mutex
	out    io.Writer
	width  int
	order  []string
	layers map[string]api.Progress
	told   map[string]bool // layers whose end was told
	build  window
	drawn  int // lines below the text that are redrawn
}

func (t *terminal) Event(event api.Event) {
	t.mu.Lock()
	defer t.mu.Unlock()
	var text string
	inWindow := t.build.takes(event)
	switch {
	case inWindow:
	case event.Progress != nil:
		text = t.progress(*event.Progress)
	default:
		text = line(event)
	}
	text = strings.Join(append(t.build.ends(event), notEmpty(text)...), "\n")
	if event.Verdict != nil { // what is said of it next must not be drawn over
		t.order, t.layers = nil, map[string]api.Progress{}
		t.erase()
	}
	if text == "" && event.Progress == nil && !inWindow {
		return
	}
	t.erase()
	if text != "" {
		fmt.Fprintln(t.out, text)
	}
	t.draw()
}

// progress keeps a layer that moves; one that is done becomes a line of text, once.
func (t *terminal) progress(p api.Progress) string {
	if t.told[p.Name] {
		return ""
	}
	if _, known := t.layers[p.Name]; !known {
		t.order = append(t.order, p.Name)
	}
	t.layers[p.Name] = p
	if p.Done < p.Total {
		return ""
	}
	t.told[p.Name] = true
	delete(t.layers, p.Name)
	t.order = slices.DeleteFunc(t.order, func(name string) bool { return name == p.Name })
	return "       " + layer(p)
}

func (t *terminal) erase() {
	if t.drawn > 0 {
		fmt.Fprintf(t.out, "\x1b[%dA\x1b[J", t.drawn)
		t.drawn = 0
	}
}

func notEmpty(text string) []string {
	if text == "" {
		return nil
	}
	return []string{text}
}

func (t *terminal) draw() {
	for _, text := range t.build.last() {
		t.drawLine(text)
	}
	for _, name := range t.order {
		p := t.layers[name]
		const bar = 20
		filled := 0
		if p.Total > 0 {
			filled = int(bar * p.Done / p.Total)
		}
		t.drawLine(clean(fmt.Sprintf("       layer %s [%s%s] %d of %d bytes %s", name, strings.Repeat("=", filled), strings.Repeat(" ", bar-filled), p.Done, p.Total, p.Note)))
	}
}

// drawLine draws a line that is drawn anew: one that went on in the next row would be missed.
func (t *terminal) drawLine(text string) {
	text = strings.ReplaceAll(text, "\t", " ")
	if columns := []rune(text); len(columns) > t.width-1 {
		text = string(columns[:t.width-1])
	}
	fmt.Fprintln(t.out, text)
	t.drawn++
}

func (t *terminal) Close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.erase()
	for _, text := range t.build.failed() { // nobody said how it ended
		fmt.Fprintln(t.out, text)
	}
}
