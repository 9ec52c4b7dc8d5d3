package report

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/dokku-push/dokku-push/api"
)

// SeveralPlain writes what Plain writes for each of several apps, every line behind the
// name of its app.
func SeveralPlain(out io.Writer, apps []string) Renderer {
	s := &severalPlain{of: map[string]Renderer{}}
	width := 0
	for _, app := range apps {
		width = max(width, len(app))
	}
	for _, app := range apps {
		s.of[app] = Plain(&prefixed{mu: &s.mu, out: out, prefix: fmt.Sprintf("%-*s | ", width, app)})
	}
	return s
}

type severalPlain struct {
	mu   sync.Mutex // of the stream that they share
	apps sync.Mutex // of the map
	of   map[string]Renderer
}

func (s *severalPlain) Event(event api.Event) {
	s.apps.Lock()
	renderer, known := s.of[event.App]
	if event.Verdict != nil { // nothing goes on there any more
		delete(s.of, event.App)
	}
	s.apps.Unlock()
	if !known {
		return
	}
	renderer.Event(event)
	if event.Verdict != nil {
		renderer.Close()
	}
}

func (s *severalPlain) Close() {
	s.apps.Lock()
	defer s.apps.Unlock()
	for _, renderer := range s.of {
		renderer.Close()
	}
}

// prefixed writes whole lines, each behind its prefix.
type prefixed struct {
	mu     *sync.Mutex
	out    io.Writer
	prefix string
}

func (p *prefixed) Write(text []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var lines bytes.Buffer
	for line := range bytes.Lines(text) {
		lines.WriteString(p.prefix)
		lines.Write(line)
	}
	if _, err := p.out.Write(lines.Bytes()); err != nil {
		return 0, err
	}
	return len(text), nil
}

// SeveralTerminal keeps one line an app: where it is, and the last that was heard of it.
// Warnings are written above.
func SeveralTerminal(out io.Writer, size Size, apps []string) Renderer {
	s := &severalTerminal{canvas: canvas{out: out, size: size}, apps: apps, state: map[string]*progressLine{}}
	for _, app := range apps {
		s.state[app] = &progressLine{doing: "waiting"}
		s.name = max(s.name, len(app))
	}
	return s
}

// progressLine is what is shown of one app.
type progressLine struct {
	doing, last string
	ended       bool
}

type severalTerminal struct {
	mu     sync.Mutex
	canvas canvas
	name   int // columns of the longest name
	apps   []string
	state  map[string]*progressLine
}

func (s *severalTerminal) Event(event api.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	line, known := s.state[event.App]
	if !known || line.ended {
		return
	}
	text := ""
	if event.Warning != "" {
		text = fmt.Sprintf(" !     %s: %s\n", clean(event.App), clean(event.Warning))
	} else {
		line.take(event)
	}
	s.canvas.show(text, s.moving())
}

// take keeps what an event says.
func (l *progressLine) take(event api.Event) {
	switch {
	case event.Step != nil && event.Step.Status == api.StepStarted:
		l.doing, l.last = event.Step.Title, ""
	case event.Step != nil && event.Step.Status == api.StepUndone:
		l.last = "undone: " + event.Step.Title
	case event.Step != nil && event.Step.Status == api.StepFailed:
		l.last = "failed"
	case event.Output != nil && event.Output.Source == "skipped":
		l.doing, l.last, l.ended = "skipped", event.Output.Text, true
	case event.Output != nil:
		l.last = event.Output.Text
	case event.Progress != nil && event.Progress.Total > 0:
		l.last = fmt.Sprintf("layer %s %d%%", event.Progress.Name, 100*event.Progress.Done/event.Progress.Total)
	case event.Plan != nil:
		l.last = summary(*event.Plan)
	case event.Verdict != nil:
		l.ended = true
		l.doing, l.last = verdictWords(*event.Verdict)
	}
}

// verdictWords are what became of an app, in a word and a sentence.
func verdictWords(v api.Verdict) (state, note string) {
	first := ""
	if v.Error != nil {
		first, _, _ = strings.Cut(v.Error.Error(), "\n")
	}
	switch {
	case !v.OK && v.Error != nil:
		return "failed", first
	case v.Error != nil:
		return "live", "but: " + first
	case v.Release == 0:
		return "done", v.Built
	case v.Changed:
		return "live", strings.Join(v.URLs, " ")
	}
	return "unchanged", strings.Join(v.URLs, " ")
}

// moving are the lines of the apps.
func (s *severalTerminal) moving() (lines []string) {
	for _, app := range s.apps {
		line := s.state[app]
		lines = append(lines, clean(strings.TrimRight(fmt.Sprintf("%-*s  %s  %s", s.name, app, line.doing, line.last), " ")))
	}
	return lines
}

// Close leaves nothing: what became of the apps is for Table to say.
func (s *severalTerminal) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.canvas.show("", nil)
}

// Result is one line of Table.
type Result struct {
	App     string
	Verdict api.Verdict
	Err     error  // why there is no verdict, or the verdict's own
	Skipped string // why nothing was done
	Took    time.Duration
}

// Table says what became of each app.
func Table(out io.Writer, results []Result) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "APP\tRESULT\tRELEASE\tTOOK\t")
	for _, r := range results {
		state, note := verdictWords(r.Verdict)
		release, took := "-", r.Took.Round(100*time.Millisecond).String()
		switch {
		case r.Skipped != "":
			state, note, took = "skipped", r.Skipped, "-"
		case r.Err != nil && !r.Verdict.OK:
			state, note = verdictWords(api.Verdict{Error: api.AsError(r.Err)})
		case r.Verdict.Release != 0:
			release = fmt.Sprintf("v%d", r.Verdict.Release)
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", clean(r.App), state, release, took, clean(note))
	}
	return table.Flush()
}
