package report

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dokku-push/dokku-push/api"
)

// tellSeveral plays the pushes of three apps side by side.
func tellSeveral(r Renderer) {
	step := func(app, title string, status api.StepStatus) {
		r.Event(api.Event{App: app, Step: &api.Step{Title: title, Status: status, DurationMS: 1200}})
	}
	step("web", "Build web", api.StepStarted)
	step("api", "Build api", api.StepStarted)
	r.Event(api.Event{App: "docs", Output: &api.Output{Source: "skipped", Text: "none of its files has changed since main"}})
	r.Event(api.Event{App: "web", Output: &api.Output{Source: "build", Text: "RUN make\x1b[2J"}})
	r.Event(api.Event{App: "api", Warning: "low disk"})
	r.Event(api.Event{App: "stranger", Warning: "not ours"})
	step("api", "Build api", api.StepFailed)
	r.Event(api.Event{App: "api", Verdict: &api.Verdict{Error: api.Errorf(api.BuildFailed, "build", "exit code 1\nmore")}})
	r.Event(api.Event{App: "api", Warning: "nothing is told after the end"})
	step("web", "Build web", api.StepDone)
	r.Event(api.Event{App: "web", Verdict: &api.Verdict{OK: true, Changed: true, Release: 3, URLs: []string{"http://web.localhost"}}})
}

func TestSeveralPlain(t *testing.T) {
	var out strings.Builder
	r := SeveralPlain(&out, []string{"web", "api", "docs"})
	tellSeveral(r)
	r.Close()
	want := `web  | -----> Build web
api  | -----> Build api
docs |        skipped: none of its files has changed since main
web  |        build: RUN make[2J
api  |  !     low disk
api  |  !     Build api: failed after 1.2s
web  |        done in 1.2s
`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestSeveralTerminal(t *testing.T) {
	var out strings.Builder
	r := SeveralTerminal(&out, fixed(44, 0), []string{"web", "api", "docs"})
	tellSeveral(r)
	frames := strings.Split(out.String(), "\x1b[J")
	want := "web   live  http://web.localhost\napi   failed  build: exit code 1\ndocs  skipped  none of its files has change\n"
	if got := frames[len(frames)-1]; got != want {
		t.Errorf("the last picture:\n%s", cmp.Diff(want, got))
	}
	if !strings.Contains(out.String(), " !     api: low disk\n") || strings.Contains(out.String(), "stranger") || strings.Contains(out.String(), "\x1b[2J") {
		t.Errorf("%q", out.String())
	}
	r.Close()
	if !strings.HasSuffix(out.String(), "\x1b[3A\x1b[J") {
		t.Errorf("the lines stay: %q", out.String())
	}
}

func TestTable(t *testing.T) {
	var out strings.Builder
	failed := api.Errorf(api.BuildFailed, "build", "exit code 1\nwith its output")
	err := Table(&out, []Result{
		{App: "web", Verdict: api.Verdict{OK: true, Changed: true, Release: 3, URLs: []string{"http://web.localhost"}}, Took: 4123 * time.Millisecond},
		{App: "same", Verdict: api.Verdict{OK: true, Release: 7}, Took: time.Second},
		{App: "hook", Verdict: api.Verdict{OK: true, Changed: true, Release: 2, Error: failed}, Err: failed, Took: time.Second},
		{App: "api", Err: failed, Took: time.Second},
		{App: "odd", Err: errors.New("plain"), Took: time.Second},
		{App: "docs", Skipped: "nothing changed"},
		{App: "image", Verdict: api.Verdict{OK: true, Built: "sha256:1"}, Took: time.Second},
	})
	var got strings.Builder
	for line := range strings.Lines(out.String()) {
		got.WriteString(strings.Join(strings.Fields(line), " ") + "\n")
	}
	want := `APP RESULT RELEASE TOOK
web live v3 4.1s http://web.localhost
same unchanged v7 1s
hook live v2 1s but: build: exit code 1
api failed - 1s build: exit code 1
odd failed - 1s plain
docs skipped - - nothing changed
image done - 1s sha256:1
`
	if diff := cmp.Diff(want, got.String()); diff != "" || err != nil {
		t.Errorf("%v, -want +got:\n%s", err, diff)
	}
}
