package report

import (
	"regexp"
	"slices"
	"strings"

	"github.com/dokku-push/dokku-push/api"
)

const (
	windowLines = 8        // what a running build has of the screen
	windowBytes = 16 << 20 // what is kept of it in case it fails
)

// ofStep is a line of BuildKit's, which names its step: "#7 DONE 0.4s".
var ofStep = regexp.MustCompile(`^#[0-9]+ `)

// window is what a terminal shows of a build that runs: the last lines of its steps. Of a
// build that went well nothing stays but its warnings; of one that failed, all that the
// failing step said.
type window struct {
	lines   []string // without the indent
	bytes   int
	dropped bool // the first ones, for there were too many
}

// takes keeps an event that is a line of a build's step.
func (w *window) takes(event api.Event) bool {
	if event.Output == nil || event.Output.Source != "build" || !ofStep.MatchString(event.Output.Text) {
		return false
	}
	w.lines = append(w.lines, event.Output.Text)
	w.bytes += len(event.Output.Text)
	for w.bytes > windowBytes {
		w.bytes -= len(w.lines[0])
		w.lines, w.dropped = w.lines[1:], true
	}
	return true
}

// ends tells that a step of the push is over, or all of it, and with it the build: what
// stays of the window is returned, as lines of text.
func (w *window) ends(event api.Event) (text []string) {
	over := event.Step != nil && event.Step.Name == "build" && event.Step.Status != api.StepStarted || event.Verdict != nil
	if !over || len(w.lines) == 0 {
		return nil
	}
	if event.Step != nil && event.Step.Status == api.StepDone {
		return w.close(func(_, said string) bool { return strings.HasPrefix(said, "WARNING ") })
	}
	return w.failed()
}

// failed is what the failing steps said; where none says that it failed, all of it.
func (w *window) failed() []string {
	var bad []string
	for _, line := range w.lines {
		if step, said, _ := strings.Cut(line, " "); strings.HasPrefix(said, "ERROR") && !strings.Contains(said, "context canceled") { // by another's failure
			bad = append(bad, step)
		}
	}
	dropped := w.dropped
	text := w.close(func(step, _ string) bool { return len(bad) == 0 || slices.Contains(bad, step) })
	if dropped {
		text = append([]string{"       (what came before was too much to keep; without a terminal all of it is written)"}, text...)
	}
	return text
}

// close empties the window and returns its lines that are to stay.
func (w *window) close(stays func(step, said string) bool) (text []string) {
	for _, line := range w.lines {
		if step, said, _ := strings.Cut(line, " "); stays(step, said) {
			text = append(text, indented(line))
		}
	}
	*w = window{}
	return text
}

// last is what is on the screen.
func (w *window) last() (text []string) {
	for _, line := range w.lines[max(0, len(w.lines)-windowLines):] {
		text = append(text, indented(line))
	}
	return text
}

func indented(line string) string { return "       " + clean("build: "+line) }
