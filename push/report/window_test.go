package report

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dokku-push/dokku-push/api"
)

// building is a build of one step that prints much, beside one that goes well.
func building(lines int, end ...api.Event) []api.Event {
	say := func(text string) api.Event {
		return api.Event{Type: api.EventOutput, Output: &api.Output{Source: "build", Text: text}}
	}
	events := []api.Event{
		{Type: api.EventStep, Step: &api.Step{Name: "build", Title: "Build shop", Status: api.StepStarted}},
		say("a remark of the builder"), say("#1 [1/2] FROM x"), say("#1 DONE 0s"), say("#2 [2/2] RUN make"), say("#3 [other 1/1] RUN test"), say("#3 ok"),
	}
	for n := range lines {
		events = append(events, say(fmt.Sprintf("#2 line %d %s", n, strings.Repeat("x", 90))))
	}
	return append(append(events, say("#2 WARNING old")), end...)
}

// TestBuildWindow: a running build has a few lines of the screen; of one that went well its
// warnings stay; of one that failed, the failing step whole.
func TestBuildWindow(t *testing.T) {
	step := func(status api.StepStatus) api.Event {
		return api.Event{Type: api.EventStep, Step: &api.Step{Name: "build", Title: "Build shop", Status: status, Detail: "sha256:x"}}
	}
	say := func(text string) api.Event {
		return api.Event{Type: api.EventOutput, Output: &api.Output{Source: "build", Text: text}}
	}
	const head = "-----> Build shop\n       build: a remark of the builder\n"
	var out bytes.Buffer
	running := motionless(&out, fixed(60, 0))
	for _, event := range building(500) {
		running.Event(event)
	}
	shownNow := strings.Split(strings.TrimSuffix(screen(t, out.String()), "\n"), "\n")
	if len(shownNow) != 2+windowLines || !strings.HasPrefix(shownNow[2], "       build: #2 line 493 ") {
		t.Errorf("a running build has %d lines:\n%s", len(shownNow), strings.Join(shownNow, "\n"))
	}
	for _, line := range shownNow {
		if len(line) > 59 {
			t.Errorf("%q is wider than the terminal", line)
		}
	}
	on := func(events []api.Event) string { return screen(t, shown(onTerminal(60), events, nil)) }
	if diff := cmp.Diff(head+"       build: #2 WARNING old\n       done in 0s  sha256:x\n", on(building(500, step(api.StepDone)))); diff != "" {
		t.Errorf("a build that went well (-want +got):\n%s", diff)
	}
	for name, end := range map[string][]api.Event{"failed": {step(api.StepFailed)}, "no word of it": nil} {
		got := on(building(500, append([]api.Event{say("#2 ERROR: exit code: 2")}, end...)...))
		for n := range 500 {
			if !strings.Contains(got, fmt.Sprintf("build: #2 line %d x", n)) {
				t.Fatalf("%s: line %d is missing", name, n)
			}
		}
		if strings.Contains(got, "#3") || !strings.Contains(got, "#2 [2/2] RUN make") || !strings.Contains(got, "#2 ERROR: exit code: 2") {
			t.Errorf("%s:\n%s", name, got)
		}
	}
	if got := on(building(1, step(api.StepFailed))); !strings.Contains(got, "#3 ok") || !strings.Contains(got, "#2 line 0") {
		t.Errorf("no step says that it failed:\n%s", got)
	}
	if got := shown(onPlain, building(500, step(api.StepDone)), nil); strings.Count(got, "\n") < 507 {
		t.Errorf("plain lines are all lines:\n%s", got)
	}
}

// TestBuildWindowForgets: what is kept of a build has an end, and that is said.
func TestBuildWindowForgets(t *testing.T) {
	var w window
	long := strings.Repeat("x", 1<<20)
	for range 40 {
		w.takes(api.Event{Output: &api.Output{Source: "build", Text: "#1 " + long}})
	}
	if w.bytes > windowBytes || len(w.lines) > 16 {
		t.Errorf("%d bytes in %d lines are kept", w.bytes, len(w.lines))
	}
	if text := w.failed(); !strings.Contains(text[0], "too much to keep") {
		t.Errorf("%.80q", text[0])
	}
}
