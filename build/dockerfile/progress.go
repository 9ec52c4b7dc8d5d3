package dockerfile

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	buildkit "github.com/moby/buildkit/client"
	"github.com/opencontainers/go-digest"
)

// progress tells a build as plain lines: each step once when it starts, what it
// prints, and how it ended. Lines of a step carry its number, since steps run
// side by side.
type progress struct {
	output func(string)
	steps  map[digest.Digest]*step
	failed *step // the first step that failed by itself
}

// step is one vertex of BuildKit's graph.
type step struct {
	number  int
	name    string // "[2/3] RUN make"
	shown   bool
	ended   bool
	partial map[int]string // what it printed on each stream after its last newline
	err     string
}

func newProgress(output func(string)) *progress {
	return &progress{output: output, steps: map[digest.Digest]*step{}}
}

func (p *progress) show(status *buildkit.SolveStatus) {
	for _, vertex := range status.Vertexes {
		p.showStep(vertex)
	}
	for _, log := range status.Logs {
		p.showLog(log)
	}
	for _, warning := range status.Warnings {
		p.output(fmt.Sprintf("#%d WARNING %s", p.step(warning.Vertex).number, warning.Short))
	}
	for _, vertex := range status.Vertexes { // the end comes after the last log
		p.showEnd(vertex)
	}
}

func (p *progress) step(id digest.Digest) *step {
	s := p.steps[id]
	if s == nil {
		s = &step{number: len(p.steps) + 1, name: id.String(), partial: map[int]string{}}
		p.steps[id] = s
	}
	return s
}

func (p *progress) showStep(vertex *buildkit.Vertex) {
	s := p.step(vertex.Digest)
	s.name = vertex.Name
	started := vertex.Started != nil || vertex.Cached || vertex.Error != ""
	if s.shown || !started || internal(vertex) {
		return
	}
	s.shown = true
	p.output(fmt.Sprintf("#%d %s", s.number, s.name))
}

// internal says whether a step is BuildKit's own housekeeping.
func internal(vertex *buildkit.Vertex) bool {
	return strings.HasPrefix(vertex.Name, "[internal] ") && vertex.Error == ""
}

func (p *progress) showEnd(vertex *buildkit.Vertex) {
	s := p.step(vertex.Digest)
	if s.ended || (vertex.Completed == nil && vertex.Error == "" && !vertex.Cached) {
		return
	}
	s.ended = true
	p.flush(s)
	switch {
	case vertex.Error != "":
		s.err = vertex.Error
		// A step that others' failure cancelled is not the culprit, nor a cache that is not there.
		if p.failed == nil && !strings.Contains(vertex.Error, "context canceled") && !strings.HasPrefix(vertex.Name, "importing cache manifest") {
			p.failed = s
		}
		p.output(fmt.Sprintf("#%d ERROR %s", s.number, vertex.Error))
	case !s.shown:
	case vertex.Cached:
		p.output(fmt.Sprintf("#%d CACHED", s.number))
	default:
		p.output(fmt.Sprintf("#%d DONE %s", s.number, took(vertex)))
	}
}

func took(vertex *buildkit.Vertex) string {
	if vertex.Started == nil || vertex.Completed == nil {
		return ""
	}
	return vertex.Completed.Sub(*vertex.Started).Round(10 * time.Millisecond).String()
}

func (p *progress) showLog(log *buildkit.VertexLog) {
	s := p.step(log.Vertex)
	lines := strings.Split(s.partial[log.Stream]+string(log.Data), "\n")
	s.partial[log.Stream] = lines[len(lines)-1]
	for _, line := range lines[:len(lines)-1] {
		p.output(fmt.Sprintf("#%d %s", s.number, strings.TrimSuffix(line, "\r")))
	}
}

// flush shows last lines without a newline.
func (p *progress) flush(s *step) {
	for _, stream := range slices.Sorted(maps.Keys(s.partial)) {
		if s.partial[stream] != "" {
			p.output(fmt.Sprintf("#%d %s", s.number, s.partial[stream]))
		}
	}
	clear(s.partial)
}

// end shows what steps printed that never ended.
func (p *progress) end() {
	for _, s := range p.steps {
		p.flush(s)
	}
}
