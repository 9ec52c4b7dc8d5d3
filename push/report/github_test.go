package report

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"golang.org/x/tools/txtar"

	"github.com/dokku-push/dokku-push/api"
)

var random = regexp.MustCompile(`dokku-push-[0-9a-f]{32}`)

// TestGitHubGolden: the recorded streams as GitHub is told of them: the log, the summary, and
// the outputs.
func TestGitHubGolden(t *testing.T) {
	for _, one := range streams(t) {
		name := strings.TrimSuffix(filepath.Base(one.path), ".txtar")
		t.Run(name, func(t *testing.T) {
			var log bytes.Buffer
			github := NewGitHub(&log, "/work/shop/app", "/work/shop")
			accounts := &Accounts{}
			for _, event := range one.events {
				Both(github, accounts).Event(event)
			}
			if problem := api.AsError(one.err); problem != nil {
				placed := *problem
				placed.Place = &api.Place{File: "Procfile", Line: 1}
				github.Failure(&placed, "")
			}
			github.Close()
			file := filepath.Join(t.TempDir(), "outputs")
			if err := AppendGitHubOutputs(file, Values(accounts.All())); err != nil {
				t.Fatal(err)
			}
			outputs, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			golden(t, filepath.Join("testdata", "github", name+".txtar"), txtar.Format(&txtar.Archive{Files: []txtar.File{
				{Name: "log", Data: random.ReplaceAll(log.Bytes(), []byte("TOKEN"))},
				{Name: "summary", Data: []byte(Summary(accounts.All(), maxSummary))},
				{Name: "outputs", Data: random.ReplaceAll(outputs, []byte("TOKEN"))},
			}}))
		})
	}
}

// TestGitHubKnowsTheSame: what Plain says, GitHub's log says, but for the form of warnings.
func TestGitHubKnowsTheSame(t *testing.T) {
	for _, one := range streams(t) {
		github := shown(func(out *bytes.Buffer) Renderer { return NewGitHub(out, "/w", "/w") }, one.events, nil)
		for line := range strings.Lines(shown(onPlain, one.events, nil)) {
			if text := strings.TrimPrefix(line, " !     "); !strings.Contains(github, line) && !strings.Contains(github, data(strings.TrimSpace(text))) {
				t.Errorf("%s: GitHub is not told %q", one.path, line)
			}
		}
	}
}

// evils are lines that a runner could take for a command, or a terminal for one.
var evils = []string{"::error::x", "  ::add-mask::abcd", "x ##[error]y", "##[add-mask]web", "#\x1b#[error]z", "\u00a0::warning::x", "\x1b[31m::error::x", "::endgroup::", "::stop-commands::mine",
	"a\n::error::b", "a\r\n::error::b", "::dokku-push-00000000000000000000000000000000::", "%0A::error::x", "</summary>@team #1 [x](http://evil.example) `", "```\n# title"}

// TestGitHubObeysNobody: whatever stands in an event, the runner finds commands of ours alone.
func TestGitHubObeysNobody(t *testing.T) {
	for _, evil := range evils {
		failed := &api.Error{Code: api.Unhealthy, Op: evil, Message: evil, Hint: evil, Failure: &api.Failure{Container: evil, LastLines: []string{evil}}, Place: &api.Place{File: evil, Line: 1}}
		events := []api.Event{
			{Type: api.EventStep, Step: &api.Step{Name: evil, Title: evil, Status: api.StepStarted}},
			{Type: api.EventOutput, Output: &api.Output{Source: evil, Text: evil}}, {Type: api.EventOutput, Output: &api.Output{Source: "", Text: evil}},
			{Type: api.EventWarning, Warning: evil},
			{Type: api.EventStep, Step: &api.Step{Name: evil, Title: evil, Status: api.StepFailed, Detail: evil}},
			{Type: api.EventProgress, Progress: &api.Progress{Name: evil, Done: 1, Total: 1, Note: evil}},
			{Type: api.EventPlan, Plan: &api.Plan{App: evil, Changes: []api.PlanChange{{Kind: evil, Name: evil, After: evil}}, Warnings: []string{evil}, Nginx: evil, Decided: []string{evil}}},
			{Type: api.EventVerdict, Verdict: &api.Verdict{Error: failed, URLs: []string{evil}}},
		}
		var out bytes.Buffer
		github, accounts := NewGitHub(&out, "/w", "/w"), &Accounts{}
		for _, event := range events {
			Both(github, accounts).Event(event)
		}
		github.Failure(failed, "")
		fmt.Fprintln(github, evil)
		github.Close()
		stopped := ""
		for line := range strings.Lines(out.String()) {
			line = strings.TrimSuffix(line, "\n")
			legacy, command := strings.Contains(line, "##["), strings.HasPrefix(strings.TrimSpace(line), "::")
			switch {
			case stopped != "":
				if line == "::"+stopped+"::" {
					stopped = ""
				}
			case strings.HasPrefix(line, "::stop-commands::dokku-push-"):
				stopped = strings.TrimPrefix(line, "::stop-commands::")
			case strings.HasPrefix(line, "::group::"), line == "::endgroup::", strings.HasPrefix(line, "::warning "), strings.HasPrefix(line, "::error "):
			case legacy || command:
				t.Errorf("%q makes the line %q", evil, line)
			}
		}
		if strings.ContainsAny(out.String(), "\x1b\r\x07") || stopped != "" {
			t.Errorf("%q: the log is %q", evil, out.String())
		}
		page := Summary(accounts.All(), maxSummary)
		read, open := unfenced(page)
		if open || strings.Contains(read, "</summary>@") || strings.Contains(read, "](http") || strings.Contains(page, "\x1b") || strings.Contains(read, "@t") || strings.Contains(read, "\n# title") {
			t.Errorf("%q is obeyed in the summary:\n%s", evil, page)
		}
	}
}

// unfenced is what of a page is no code block, and whether it ends within one.
func unfenced(page string) (text string, open bool) {
	fence := ""
	for line := range strings.Lines(page) {
		line = strings.TrimSuffix(line, "\n")
		switch ticks := line[:len(line)-len(strings.TrimLeft(line, "`"))]; {
		case fence == "" && len(ticks) >= 3:
			fence = ticks
		case fence != "" && line == fence:
			fence = ""
		case fence == "":
			text += line + "\n"
		}
	}
	return text, fence != ""
}

// TestMarkdownFits: a page is never longer than GitHub takes, and every fence is closed.
func TestMarkdownFits(t *testing.T) {
	big := api.Plan{App: "shop", Nginx: strings.Repeat("+\tline ü\n", 400_000), Warnings: []string{strings.Repeat("w", 70_000)}}
	for i := range 20_000 {
		big.Changes = append(big.Changes, api.PlanChange{Kind: "config", Name: fmt.Sprint("NAME_", i, " ```"), Action: api.Add})
	}
	var out bytes.Buffer
	if err := PlanMarkdown(&out, big); err != nil {
		t.Fatal(err)
	}
	long := &api.Error{Code: api.Unhealthy, Message: strings.Repeat("m", 5000), Failure: &api.Failure{LastLines: []string{strings.Repeat("l", 10<<20), "last"}}}
	account := Account{App: "shop", Plan: &big, Verdict: &api.Verdict{Error: long}, begun: time.Unix(0, 0), last: time.Unix(9, 0)}
	for i := range 3000 {
		account.Steps = append(account.Steps, AccountStep{Title: fmt.Sprint("step ", i), Status: api.StepDone})
	}
	for what, page := range map[string]struct {
		text string
		most int
	}{"a comment": {out.String(), maxComment}, "a summary": {Summary([]Account{account, account, account}, maxSummary), maxSummary}, "little room": {Summary([]Account{account}, 4000), 4000}} {
		if n := utf8.RuneCountInString(page.text); n > page.most || n == 0 || !strings.Contains(page.text, "more") {
			t.Errorf("%s has %d characters, want at most %d", what, n, page.most)
		}
		_, open := unfenced(page.text)
		if open || strings.Count(page.text, "<details>") != strings.Count(page.text, "</details>") {
			t.Errorf("%s ends within a block", what)
		}
	}
	file := filepath.Join(t.TempDir(), "summary")
	for range 3 {
		if err := AppendSummary(file, []Account{account}); err != nil {
			t.Fatal(err)
		}
	}
	if info, err := os.Stat(file); err != nil || info.Size() > maxSummary {
		t.Errorf("the summary of one step has %d bytes (%v)", info.Size(), err)
	}
}

// TestMask: line by line, once, and nothing that is in every second word.
func TestMask(t *testing.T) {
	var out bytes.Buffer
	github := NewGitHub(&out, "", "")
	github.Mask("one\ntwo words\r\nabcd", "abc", "50%secret", "two words")
	github.Close()
	if got, want := out.String(), "::add-mask::two words\n::add-mask::abcd\n::add-mask::50%25secret\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// TestOutputsHoldTheirValues: a value ends nothing, and a dotenv file has plain ones alone.
func TestOutputsHoldTheirValues(t *testing.T) {
	dir := t.TempDir()
	values := []Value{{"url", "http://a.example"}, {"evil", "x\nEOF\nother=1\nevil2<<EOF"}}
	if err := errors.Join(AppendGitHubOutputs(filepath.Join(dir, "out"), values), WriteDotenv(filepath.Join(dir, "env"), values)); err != nil {
		t.Fatal(err)
	}
	text, _ := os.ReadFile(filepath.Join(dir, "out"))
	if tokens := random.FindAllString(string(text), -1); len(tokens) != 4 || tokens[0] != tokens[1] || tokens[1] == tokens[2] {
		t.Errorf("the delimiters are %q", tokens)
	}
	if text, _ := os.ReadFile(filepath.Join(dir, "env")); string(text) != "DOKKU_PUSH_URL=http://a.example\n" {
		t.Errorf("the dotenv file is %q", text)
	}
}

// TestPlanMarkdown: a plan as a comment.
func TestPlanMarkdown(t *testing.T) {
	plan := api.Plan{App: "shop", Environment: "staging", Current: 1, Next: 2, Start: []string{"web.1"}, Nginx: "@@ -1 +1 @@\n-server a;\n+server b;\n",
		Changes: []api.PlanChange{{Kind: "image", Action: api.Update, Before: "sha256:11", After: "sha256:22"}, {Kind: "config", Name: "A", Action: api.Add}, {Kind: "domains", Action: api.Remove, Before: "old.example.com"}},
		Runs:    []api.PlannedRun{{Kind: "script", Name: "release", Command: "echo ``` </details> @team", Final: true}}, Warnings: []string{"ask @team about #1"}}
	var out bytes.Buffer
	if err := PlanMarkdown(&out, plan); err != nil {
		t.Fatal(err)
	}
	golden(t, filepath.Join("testdata", "github", "plan.md"), out.Bytes())
}

// TestPlaced: a warning with a place is shown at it, and only so many are.
func TestPlaced(t *testing.T) {
	var out bytes.Buffer
	github := NewGitHub(&out, "/work/shop/app", "/work/shop")
	github.Event(api.Event{Warning: "Procfile:3:7: it is long"})
	for range 12 {
		github.Event(api.Event{Warning: "disk: 10 MiB are free"})
	}
	github.Close()
	if text := out.String(); !strings.HasPrefix(text, "::warning file=app/Procfile,line=3,col=7,title=dokku-push::") || strings.Count(text, "::warning") != annotations || strings.Count(text, " !     disk") != 3 {
		t.Errorf("the log is\n%s", text)
	}
}

// TestInertIsByLines: a command that comes in pieces is none either.
func TestInertIsByLines(t *testing.T) {
	const said = "a\n::error::x\nb ##[group]\n::warning::last"
	for size := 1; size < len(said); size++ {
		var out bytes.Buffer
		inert := Inert(&out)
		for text := said; text != ""; text = text[min(size, len(text)):] {
			if _, err := inert.Write([]byte(text[:min(size, len(text))])); err != nil {
				t.Fatal(err)
			}
		}
		if err := inert.Close(); err != nil || out.String() != "a\n: :error::x\nb # #[group]\n: :warning::last\n" {
			t.Fatalf("in pieces of %d it is %q (%v)", size, out.String(), err)
		}
	}
}

// TestGitHubSeveral: of several apps every line says whose it is, those of a plan too; a group
// that belongs to no step is called by what is in it.
func TestGitHubSeveral(t *testing.T) {
	var log bytes.Buffer
	github := NewGitHub(&log, "/w", "/w")
	github.Event(api.Event{App: "shop", Output: &api.Output{Source: "review", Text: "x"}})
	github.Event(api.Event{App: "shop", Plan: &api.Plan{App: "shop", Next: 1, Changes: []api.PlanChange{{Kind: "app", Name: "shop", Action: api.Add}}, Warnings: []string{"w"}}})
	github.Close()
	said := log.String()
	_, plan, _ := strings.Cut(said, "::endgroup::\n")
	if strings.Count(plan, "\n") != 3 || strings.Count(plan, "shop | ") != 3 || !strings.HasPrefix(said, "::group::output\n") {
		t.Errorf("it says\n%s", said)
	}
}

// TestSummaryWithoutRelease: what was removed is not live, and what was not done says why.
func TestSummaryWithoutRelease(t *testing.T) {
	page := Summary([]Account{{App: "gone", Verdict: &api.Verdict{OK: true, Changed: true}}, {App: "fork", Skipped: "it is a fork's"}}, maxSummary)
	for _, want := range []string{"<code>gone</code>: done\n", "<code>fork</code>: skipped\n", "it is a fork's"} {
		if !strings.Contains(page, want) {
			t.Errorf("the summary does not say %q:\n%s", want, page)
		}
	}
}
