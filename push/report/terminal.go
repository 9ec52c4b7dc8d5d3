package report

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/dokku-push/dokku-push/api"
)

// Terminal writes the lines that Plain writes, and keeps below them what moves: a line a
// layer while layers are on their way, a few lines of a build while its steps run (of a
// build that went well they do not stay), and what is waited for, since when.
func Terminal(out io.Writer, size Size) Renderer {
	t := motionless(out, size)
	t.stop, t.stopped = make(chan struct{}), make(chan struct{})
	go t.tick(time.Second)
	return t
}

// motionless is a terminal on which no clock goes.
func motionless(out io.Writer, size Size) *terminal {
	return &terminal{canvas: canvas{out: out, size: size}, layers: map[string]api.Progress{}, told: map[string]bool{}}
}

type terminal struct {
	mu      sync.Mutex
	canvas  canvas
	order   []string
	layers  map[string]api.Progress
	told    map[string]bool // layers whose end was told
	build   window
	busy    busy
	waiting bool // long enough to say so
	stop    chan struct{}
	stopped chan struct{}
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
	if event.Step != nil {
		t.busy.step(*event.Step)
		t.waiting = false
	}
	if event.Verdict != nil { // what is said of it next must not be drawn over
		t.order, t.layers, t.busy, t.waiting = nil, map[string]api.Progress{}, busy{}, false
		t.canvas.show("", nil)
	}
	if text == "" && event.Progress == nil && !inWindow {
		return
	}
	if text != "" {
		text += "\n"
	}
	t.canvas.show(text, t.moving())
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

// tick draws anew now and then: what is waited for, since when, in the window as it is.
func (t *terminal) tick(every time.Duration) {
	defer close(t.stopped)
	for {
		select {
		case <-t.stop:
			return
		case <-time.After(every):
		}
		t.mu.Lock()
		t.waiting = t.busy.current != "" && time.Since(t.busy.since) >= every
		if t.waiting || len(t.canvas.drawn) > 0 {
			t.canvas.show("", t.moving())
		}
		t.mu.Unlock()
	}
}

func notEmpty(text string) []string {
	if text == "" {
		return nil
	}
	return []string{text}
}

// moving are the lines that do not stay.
func (t *terminal) moving() []string {
	lines := t.build.last()
	for _, name := range t.order {
		lines = append(lines, bar(t.layers[name], t.canvas.columns()))
	}
	if t.waiting {
		lines = append(lines, clean(fmt.Sprintf("       … %s (%s)", t.busy.current, time.Since(t.busy.since).Truncate(time.Second))))
	}
	return lines
}

// bar is a layer on its way: a narrow terminal has no room for the bar itself, and at 40
// columns not for the word either.
func bar(p api.Progress, columns int) string {
	wide, part, word := min(20, max(0, columns-50)), 0.0, "layer "
	if wide == 0 {
		word = ""
	}
	if p.Total > 0 {
		part = min(1, float64(p.Done)/float64(p.Total))
	}
	drawn := ""
	if filled := int(float64(wide) * part); wide > 0 {
		drawn = "[" + strings.Repeat("=", filled) + strings.Repeat(" ", wide-filled) + "] "
	}
	return clean(strings.TrimRight(fmt.Sprintf("       %s%s %s%3d%% of %s  %s", word, p.Name, drawn, int(100*part), size(p.Total), p.Note), " "))
}

// size is a number of bytes that is read at a glance.
func size(bytes int64) string {
	amount, unit := float64(bytes), "bytes"
	for _, next := range []string{"kB", "MB", "GB", "TB"} {
		if amount < 1000 {
			break
		}
		amount, unit = amount/1000, next
	}
	if unit == "bytes" {
		return fmt.Sprintf("%d bytes", bytes)
	}
	return fmt.Sprintf("%.1f %s", amount, unit)
}

func (t *terminal) Close() {
	if t.stop != nil {
		close(t.stop)
		<-t.stopped
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.canvas.show("", nil)
	for _, text := range t.build.failed() { // nobody said how it ended
		fmt.Fprintln(t.canvas.out, text)
	}
}
