package report

import (
	"fmt"
	"io"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/manifest"
)

// GitHub writes the lines that Plain writes, as GitHub's runner reads a log: warnings and
// failures are annotations, and what others print (a build, an app, a plugin) stands in
// groups in which the runner obeys nothing.
//
// The runner takes a line for a command when "::" is the first in it after spaces, or when
// "##[" is anywhere. Neither leaves here but for a command of ours.
type GitHub struct {
	out       *guarded
	plain     *plain
	dir       string // of the project
	workspace string // of the repository; empty: not known
	mu        sync.Mutex
	warned    int
	step      string // that runs, by its title
}

// annotations is how many of a kind GitHub shows of one step.
const annotations = 10

// NewGitHub starts it. dir and workspace are the project's folder and GITHUB_WORKSPACE, both
// absolute, for annotations name files by them.
func NewGitHub(out io.Writer, dir, workspace string) *GitHub {
	g := &GitHub{out: &guarded{out: out}, dir: dir, workspace: workspace}
	g.plain = Plain(g.out).(*plain)
	return g
}

// Mask has the runner hide values, line by line. It must come before anything that could
// show one. Short ones would hide half of the log, and are left.
func (g *GitHub) Mask(values ...string) {
	const shortest = 4
	seen := map[string]bool{}
	for _, value := range values {
		for line := range strings.Lines(value) {
			line = strings.TrimRight(line, "\r\n")
			if len(strings.TrimSpace(line)) < shortest || strings.HasPrefix(line, "-----") || seen[line] { // the frame of a key is no secret
				continue
			}
			seen[line] = true
			g.out.command("::add-mask::" + data(line))
		}
	}
}

// Event shows an event.
func (g *GitHub) Event(event api.Event) {
	switch {
	case event.Output != nil:
		g.plain.touch()
		g.out.foreign(g.title(event), before(event.App, line(event)))
	case event.Warning != "":
		g.plain.touch()
		g.warning(before(event.App, event.Warning))
	default:
		g.title(event)
		g.out.close()
		if event.App == "" {
			g.plain.Event(event)
		} else if text := line(event); text != "" {
			fmt.Fprintln(g.out, before(event.App, text))
		}
	}
}

func before(app, text string) string {
	if app == "" {
		return text
	}
	return app + " | " + strings.ReplaceAll(text, "\n", "\n"+app+" | ")
}

// placed is how a diagnostic says where it is.
var placed = regexp.MustCompile(`^([^\s:|]+):(\d+)(?::(\d+))?: `)

// warning writes a warning as an annotation, as long as they are shown.
func (g *GitHub) warning(text string) {
	g.mu.Lock()
	g.warned++
	many := g.warned > annotations
	g.mu.Unlock()
	g.out.close()
	if many {
		fmt.Fprintln(g.out, " !     "+clean(text))
		return
	}
	place := ""
	if found := placed.FindStringSubmatch(text); found != nil {
		place = "file=" + property(fileIn(g.workspace, g.dir, found[1])) + ",line=" + found[2]
		if found[3] != "" {
			place += ",col=" + found[3]
		}
		place += ","
	}
	g.out.command("::warning " + place + "title=dokku-push::" + data(Legible(text)))
}

// Failure tells why it failed: the cause as an annotation, with the line that it is about
// and what to do, and then what the container had to say. Mistakes in files are an
// annotation each. app is whose failure it is; empty: there is one app.
func (g *GitHub) Failure(err error, app string) {
	g.out.close()
	problem := api.AsError(err)
	if found := asMistakes(problem); len(found) > 0 {
		var text strings.Builder
		_ = DiagnosticsGitHub(&text, found, g.dir, g.workspace) // a Builder takes everything
		for command := range strings.Lines(text.String()) {
			g.out.command(strings.TrimSuffix(command, "\n"))
		}
		return
	}
	place := ""
	if at := problem.Place; at != nil {
		place = "file=" + property(Legible(fileIn(g.workspace, g.dir, at.File)))
		if at.Line > 0 {
			place += fmt.Sprintf(",line=%d", at.Line)
		}
		if at.Column > 0 {
			place += fmt.Sprintf(",col=%d", at.Column)
		}
		place += ","
	}
	title := "dokku-push: " + strings.ReplaceAll(string(problem.Code), "_", " ")
	if app != "" {
		title = "dokku-push: " + app + ": " + strings.ReplaceAll(string(problem.Code), "_", " ")
	}
	message := lines(problem.Error())
	if problem.Hint != "" {
		message += "\n" + lines(problem.Hint)
	}
	g.out.command("::error " + place + "title=" + property(Legible(title)) + "::" + data(message))
	var text strings.Builder
	Failure(&text, problem)
	_, _ = io.WriteString(g.out, text.String()) // a log that nobody reads any more
}

// asMistakes are the mistakes in files that an error is about.
func asMistakes(problem *api.Error) (found manifest.Diagnostics) {
	all, _ := problem.Cause.(manifest.Diagnostics)
	for _, d := range all {
		if d.Severity == manifest.Mistake {
			found = append(found, d)
		}
	}
	return found
}

// lines are several lines of text, each legible.
func lines(text string) string {
	var shown []string
	for one := range strings.SplitSeq(text, "\n") {
		shown = append(shown, Legible(one))
	}
	return strings.Join(shown, "\n")
}

// Write writes text that is no event, and in which the runner finds no command.
func (g *GitHub) Write(text []byte) (int, error) { return g.out.Write(text) }

// Close ends it.
func (g *GitHub) Close() {
	g.plain.Close()
	g.out.close()
}

// touch tells that something was written: no heartbeat is needed yet.
func (p *plain) touch() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.last = time.Now()
}

// title is the step that runs, after an event.
func (g *GitHub) title(event api.Event) string {
	g.mu.Lock()
	defer g.mu.Unlock()
	if event.Step != nil && event.Step.Status == api.StepStarted {
		g.step = event.Step.Title
	}
	return g.step
}
