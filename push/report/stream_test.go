package report

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"

	"github.com/dokku-push/dokku-push/api"
)

// stream is what a push was told, as a file of testdata/streams has it: "events", and
// "error" where there was no verdict. "plain", "wide" and "narrow" are what is shown.
type stream struct {
	path    string
	archive *txtar.Archive
	events  []api.Event
	err     error
}

func streams(t *testing.T) (all []stream) {
	t.Helper()
	paths, err := filepath.Glob("testdata/streams/*.txtar")
	if err != nil || len(paths) < 6 {
		t.Fatalf("there are %d recorded streams (%v)", len(paths), err)
	}
	for _, path := range paths {
		archive, err := txtar.ParseFile(path)
		if err != nil {
			t.Fatal(err)
		}
		one := stream{path: path, archive: archive}
		for line := range bytes.Lines(one.file("events")) {
			var event api.Event
			decoder := json.NewDecoder(bytes.NewReader(line))
			decoder.DisallowUnknownFields()
			if err := decoder.Decode(&event); err != nil {
				t.Fatalf("%s: %v in %s", path, err, line)
			}
			one.events = append(one.events, event)
		}
		if text := one.file("error"); text != nil {
			var lost api.Error
			if err := json.Unmarshal(text, &lost); err != nil {
				t.Fatal(err)
			}
			one.err = &lost
		} else if verdict := one.events[len(one.events)-1].Verdict; verdict.Error != nil {
			one.err = verdict.Error
		}
		all = append(all, one)
	}
	return all
}

func (s stream) file(name string) []byte {
	for _, file := range s.archive.Files {
		if file.Name == name {
			return file.Data
		}
	}
	return nil
}

// shown is what a renderer and then Failure write for a stream, escapes made legible.
func shown(make func(out *bytes.Buffer) Renderer, events []api.Event, err error) string {
	var out bytes.Buffer
	renderer := make(&out)
	for _, event := range events {
		renderer.Event(event)
	}
	renderer.Close()
	if err != nil {
		Failure(&out, err)
	}
	return out.String()
}

func onPlain(out *bytes.Buffer) Renderer { return Plain(out) }

func onTerminal(width int) func(*bytes.Buffer) Renderer {
	return func(out *bytes.Buffer) Renderer { return motionless(out, fixed(width, 0)) }
}

// fixed is the size of a terminal that stays as it is.
func fixed(columns, lines int) Size { return func() (int, int) { return columns, lines } }

// TestStreams: the golden pairs. DOKKU_PUSH_UPDATE=1 writes them anew.
func TestStreams(t *testing.T) {
	for _, one := range streams(t) {
		t.Run(strings.TrimSuffix(filepath.Base(one.path), ".txtar"), func(t *testing.T) {
			for name, make := range map[string]func(*bytes.Buffer) Renderer{"plain": onPlain, "wide": onTerminal(100), "narrow": onTerminal(40)} {
				got := strings.ReplaceAll(shown(make, one.events, one.err), "\x1b", "␛")
				if os.Getenv("DOKKU_PUSH_UPDATE") == "1" {
					one.archive.Files = slices.DeleteFunc(one.archive.Files, func(f txtar.File) bool { return f.Name == name })
					one.archive.Files = append(one.archive.Files, txtar.File{Name: name, Data: []byte(got)})
				}
				if diff := cmp.Diff(string(one.file(name)), got); diff != "" {
					t.Errorf("%s (-want +got):\n%s", name, diff)
				}
			}
			if os.Getenv("DOKKU_PUSH_UPDATE") == "1" {
				slices.SortFunc(one.archive.Files, func(a, b txtar.File) int { return strings.Compare(order(a.Name), order(b.Name)) })
				if err := os.WriteFile(one.path, txtar.Format(one.archive), 0o644); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

func order(name string) string {
	return strconv.Itoa(strings.Index("events error plain wide narrow", name)/6) + name
}

// TestJSONIsTheStream: a reader of JSON lines gets what the host said, byte for byte.
func TestJSONIsTheStream(t *testing.T) {
	for _, one := range streams(t) {
		got := shown(func(out *bytes.Buffer) Renderer { return JSON(out) }, one.events, nil)
		if diff := cmp.Diff(string(one.file("events")), got); diff != "" {
			t.Errorf("%s (-said +shown):\n%s", one.path, diff)
		}
	}
}

// TestJSONDatesEvents: an event without a time gets one, so that every line has it.
func TestJSONDatesEvents(t *testing.T) {
	var out bytes.Buffer
	JSON(&out).Event(api.Event{Type: api.EventProgress, Progress: &api.Progress{Name: "a"}})
	var event api.Event
	if err := json.Unmarshal(out.Bytes(), &event); err != nil || event.Time.IsZero() {
		t.Errorf("%v in %s", err, out.String())
	}
}

// TestProgressChangesNothing: without its progress events a stream says the same, but for
// the lines of the layers themselves.
func TestProgressChangesNothing(t *testing.T) {
	removed := 0
	for _, one := range streams(t) {
		without := slices.DeleteFunc(slices.Clone(one.events), func(e api.Event) bool { return e.Type == api.EventProgress })
		removed += len(one.events) - len(without)
		var want []string
		for line := range strings.Lines(shown(onPlain, one.events, one.err)) {
			if !strings.HasPrefix(line, "       layer ") {
				want = append(want, line)
			}
		}
		for name, make := range map[string]func(*bytes.Buffer) Renderer{"plain": onPlain, "terminal": onTerminal(80)} {
			if diff := cmp.Diff(staying(strings.Join(want, "")), staying(screen(t, shown(make, without, one.err)))); diff != "" {
				t.Errorf("%s, %s (-with +without):\n%s", one.path, name, diff)
			}
		}
	}
	if removed == 0 {
		t.Error("no stream has progress")
	}
}

// TestEveryRendererKnowsTheSame: what stays on a terminal is what plain lines say, whatever
// comes in whatever order.
func TestEveryRendererKnowsTheSame(t *testing.T) {
	for _, one := range streams(t) {
		same(t, one.path, one.events, one.err)
	}
	for seed := range uint64(200) {
		same(t, fmt.Sprintf("seed %d", seed), invented(rand.New(rand.NewPCG(seed, 1))), errors.New("over"))
	}
}

func same(t *testing.T, what string, events []api.Event, err error) {
	t.Helper()
	if diff := cmp.Diff(staying(shown(onPlain, events, err)), screen(t, shown(onTerminal(80), events, err))); diff != "" {
		t.Errorf("%s (-plain +terminal):\n%s", what, diff)
	}
}

// staying is a text without the steps of a build, which do not stay on a terminal.
func staying(text string) string {
	var lines []string
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "       build: #") {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "")
}

// invented is a stream without rhyme or reason.
func invented(random *rand.Rand) (events []api.Event) {
	for range 5 + random.IntN(30) {
		name := string(rune('a' + random.IntN(4)))
		switch random.IntN(6) {
		case 0:
			events = append(events, api.Event{Type: api.EventOutput, Output: &api.Output{Source: name, Text: strings.Repeat("x", random.IntN(70))}})
		case 1:
			status := []api.StepStatus{api.StepStarted, api.StepDone, api.StepFailed, api.StepUndone, "new"}[random.IntN(5)]
			events = append(events, api.Event{Type: api.EventStep, Step: &api.Step{Name: name, Title: "Step " + name, Status: status, DurationMS: random.Int64N(200)}})
		case 2:
			events = append(events, api.Event{Type: "of tomorrow"}, api.Event{Type: api.EventWarning, Warning: name})
		default:
			total := random.Int64N(4)
			events = append(events, api.Event{Type: api.EventProgress, Progress: &api.Progress{Name: name, Total: total, Done: random.Int64N(total + 1)}})
		}
	}
	return append(events, api.Event{Type: api.EventVerdict, Verdict: &api.Verdict{}})
}

// screen is what a terminal shows after it was told all of text: it knows how to go up and
// to erase what is below, which is all that may be asked of it.
func screen(t *testing.T, text string) string {
	t.Helper()
	var lines []string
	row := 0
	for text != "" {
		if sequence, isEscape := strings.CutPrefix(text, "\x1b["); isEscape {
			end := strings.IndexFunc(sequence, unicode.IsLetter)
			switch n, _ := strconv.Atoi(sequence[:end]); sequence[end] {
			case 'A':
				if row -= n; row < 0 {
					t.Fatal("it goes up above the first line")
				}
			case 'J':
				lines = lines[:row]
			default:
				t.Fatalf("an escape that no terminal was asked for: %q", sequence[:end+1])
			}
			text = sequence[end+1:]
			continue
		}
		line, rest, _ := strings.Cut(text, "\n")
		lines = append(lines[:row], line)
		row++
		text = rest
	}
	return strings.Join(append(lines, ""), "\n")
}

// TestMovingLinesFit: a line that is drawn anew is never as wide as the terminal, or going
// up would miss it, and is never cut within a character.
func TestMovingLinesFit(t *testing.T) {
	for _, width := range []int{0, 20, 40, 57, 58, 59, 60, 61, 62, 63, 80, 200} {
		got := shown(onTerminal(width), []api.Event{{Type: api.EventProgress, Progress: &api.Progress{
			Name: "sha256:0123456789ab", Done: 1 << 40, Total: 1 << 41, Note: "läuft weiter ab 12 MiB – größer als je zuvor"}}}, nil)
		line, _, _ := strings.Cut(got, "\n")
		if n := utf8.RuneCountInString(line); width > 0 && n >= width || n >= 200 {
			t.Errorf("on %d columns a moving line has %d: %q", width, n, line)
		}
		if !utf8.ValidString(line) {
			t.Errorf("on %d columns a character is cut: %q", width, line)
		}
	}
}

// TestNothingSteersATerminal: whatever an app, a plugin or a host says, only the renderer
// itself moves the cursor.
func TestNothingSteersATerminal(t *testing.T) {
	const evil = "a\x1b[2Jb\x1b]0;title\x07c\rd\be\u009b31mf\x7fg\x00h\ni"
	failed := &api.Error{Code: api.Unhealthy, Op: evil, Message: evil, Hint: evil, Failure: &api.Failure{Container: evil, LastLines: []string{evil}}}
	events := []api.Event{
		{Type: api.EventVersion, Version: &api.Version{Request: evil, App: evil}},
		{Type: api.EventStep, Step: &api.Step{Name: evil, Title: evil, Status: api.StepStarted}},
		{Type: api.EventStep, Step: &api.Step{Name: evil, Title: evil, Status: api.StepDone, Detail: evil, DurationMS: 100}},
		{Type: api.EventStep, Step: &api.Step{Name: evil, Title: evil, Status: api.StepFailed, Detail: evil}},
		{Type: api.EventStep, Step: &api.Step{Name: evil, Title: evil, Status: api.StepUndone, Detail: evil}},
		{Type: api.EventOutput, Output: &api.Output{Source: evil, Text: evil}},
		{Type: api.EventWarning, Warning: evil},
		{Type: api.EventProgress, Progress: &api.Progress{Name: evil, Done: 1, Total: 2, Note: evil}},
		{Type: api.EventProgress, Progress: &api.Progress{Name: evil, Done: 2, Total: 2, Note: evil}},
		{Type: api.EventPlan, Plan: &api.Plan{App: evil, Changes: []api.PlanChange{{Kind: evil, Name: evil, Action: api.Add, Before: evil, After: evil, Note: evil}}, Warnings: []string{evil}}},
		{Type: api.EventVerdict, Verdict: &api.Verdict{Error: failed}},
	}
	own := strings.NewReplacer("\x1b[1A\x1b[J", "")
	for name, make := range map[string]func(*bytes.Buffer) Renderer{"plain": onPlain, "terminal": onTerminal(200)} {
		for _, event := range events {
			got := own.Replace(shown(make, []api.Event{event}, nil))
			harmless(t, name+" "+string(event.Type), got)
		}
		harmless(t, name+" all", own.Replace(shown(make, events, failed)))
	}
	var out bytes.Buffer
	if err := Plan(&out, *events[9].Plan); err != nil {
		t.Fatal(err)
	}
	harmless(t, "a plan", out.String())
	tabbed := shown(onPlain, []api.Event{{Type: api.EventOutput, Output: &api.Output{Source: "web.1", Text: "a\tb — ü 漢"}}}, nil)
	if tabbed != "       web.1: a\tb — ü 漢\n" {
		t.Errorf("harmless text is changed: %q", tabbed)
	}
}

func harmless(t *testing.T, what, text string) {
	t.Helper()
	for i, c := range text {
		if c != '\n' && c != '\t' && unicode.IsControl(c) {
			t.Errorf("%s: %q in %q", what, c, text[max(0, i-20):min(len(text), i+20)])
			return
		}
	}
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "i") {
			t.Errorf("%s: a line of somebody else's making: %q", what, line)
		}
	}
}

// TestVerdictStays: what is said after the verdict, before Close, is not erased with a
// layer that never arrived.
func TestVerdictStays(t *testing.T) {
	var out bytes.Buffer
	renderer := Terminal(&out, fixed(80, 24))
	renderer.Event(api.Event{Type: api.EventProgress, Progress: &api.Progress{Name: "a", Done: 1, Total: 2}})
	renderer.Event(api.Event{Type: api.EventVerdict, Verdict: &api.Verdict{OK: true}})
	fmt.Fprintln(&out, "=====> shop v2 is live")
	renderer.Close()
	if got := screen(t, out.String()); got != "=====> shop v2 is live\n" {
		t.Errorf("the terminal shows %q", got)
	}
}
