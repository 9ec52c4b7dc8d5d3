// Package report shows the events of a push: on a terminal, as plain lines, or as
// JSON lines. Every renderer is told the same; none knows more than another.
package report

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/dokku-push/dokku-push/api"
)

// Renderer shows events as they come. It may be called from several goroutines.
type Renderer interface {
	Event(event api.Event)
	// Close ends it: nothing is drawn afterwards.
	Close()
}

// heartbeat is how long plain lines may be silent: CI systems end a job that is.
const heartbeat = 10 * time.Second

// JSON writes every event as one JSON object a line.
func JSON(out io.Writer) Renderer { return &jsonLines{lines: json.NewEncoder(out)} }

type jsonLines struct {
	mu    sync.Mutex
	lines *json.Encoder
}

func (j *jsonLines) Event(event api.Event) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if event.Time.IsZero() {
		event.Time = time.Now()
	}
	_ = j.lines.Encode(event) // a reader that is gone reads nothing
}

func (j *jsonLines) Close() {}

// Plain writes one line a change, and one every ten seconds of silence.
func Plain(out io.Writer) Renderer {
	p := &plain{out: out, last: time.Now(), stop: make(chan struct{}), done: make(chan struct{}), seen: map[string]bool{}}
	go p.beat()
	return p
}

type plain struct {
	mu   sync.Mutex
	out  io.Writer
	last time.Time
	busy busy
	seen map[string]bool // layers whose end was told
	stop chan struct{}
	done chan struct{}
}

func (p *plain) Event(event api.Event) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if event.Step != nil {
		p.busy.step(*event.Step)
	}
	text := line(event)
	if event.Progress != nil {
		text = p.layer(*event.Progress)
	}
	if text == "" {
		return
	}
	p.last = time.Now()
	fmt.Fprintln(p.out, text)
}

// layer tells of a layer once, when it is done.
func (p *plain) layer(progress api.Progress) string {
	if progress.Done < progress.Total || p.seen[progress.Name] {
		return ""
	}
	p.seen[progress.Name] = true
	return "       " + layer(progress)
}

func layer(progress api.Progress) string {
	text := fmt.Sprintf("layer %s  %d bytes", progress.Name, progress.Total)
	if progress.Note != "" {
		text += "  " + progress.Note
	}
	return clean(text)
}

func (p *plain) beat() {
	defer close(p.done)
	for {
		select {
		case <-p.stop:
			return
		case <-time.After(heartbeat / 10):
		}
		p.mu.Lock()
		if silent := time.Since(p.last); silent >= heartbeat && p.busy.current != "" {
			fmt.Fprintf(p.out, "       … %s\n", clean(p.busy.current))
			p.last = time.Now()
		}
		p.mu.Unlock()
	}
}

func (p *plain) Close() {
	close(p.stop)
	<-p.done
}

// line is the one line that an event is worth; empty for none.
func line(event api.Event) string {
	switch {
	case event.Step != nil:
		return stepLine(*event.Step)
	case event.Output != nil:
		return "       " + clean(event.Output.Source+": "+event.Output.Text)
	case event.Warning != "":
		return " !     " + clean(event.Warning)
	case event.Plan != nil:
		return shortPlan(*event.Plan)
	}
	return ""
}

func stepLine(step api.Step) string {
	took := time.Duration(step.DurationMS) * time.Millisecond
	switch step.Status {
	case api.StepStarted:
		return "-----> " + clean(step.Title)
	case api.StepDone:
		if step.Detail == "" && took < 100*time.Millisecond {
			return ""
		}
		return strings.TrimRight(fmt.Sprintf("       done in %s  %s", took, clean(step.Detail)), " ")
	case api.StepFailed:
		return fmt.Sprintf(" !     %s: failed after %s", clean(step.Title), took)
	case api.StepUndone:
		return "       undone: " + clean(step.Title)
	}
	return ""
}

// clean keeps what an app prints from steering a terminal.
func clean(text string) string {
	return strings.Map(func(c rune) rune {
		if c == '\t' || !unicode.IsControl(c) {
			return c
		}
		return -1
	}, text)
}

// stateOf is how a container ended, before what it had to say.
func stateOf(f *api.Failure) string {
	state, said := fmt.Sprintf("exit code %d", f.ExitCode), "its last lines:"
	if f.Running {
		state = "still running"
	}
	if len(f.LastLines) == 0 {
		said = "it printed nothing"
	}
	return fmt.Sprintf("%s, out of memory: %t; %s", state, f.OOMKilled, said)
}

// Failure writes an error for people: what failed, what the container had to say, and
// what to do.
func Failure(out io.Writer, err error) {
	problem := api.AsError(err)
	for text := range strings.SplitSeq(problem.Error(), "\n") {
		fmt.Fprintf(out, " !     %s\n", clean(text))
	}
	if f := problem.Failure; f != nil {
		fmt.Fprintf(out, " !     %s: %s\n", clean(f.Container), stateOf(f))
		for _, text := range f.LastLines {
			fmt.Fprintf(out, "       | %s\n", clean(text))
		}
	}
	if problem.Hint != "" {
		fmt.Fprintf(out, " !     %s\n", clean(problem.Hint))
	}
}
