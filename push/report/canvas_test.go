package report

import (
	"bytes"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dokku-push/dokku-push/api"
)

// TestCanvasFollowsTheTerminal: what is erased is what is there, also when the terminal
// has broken the lines or has no room for all of them.
func TestCanvasFollowsTheTerminal(t *testing.T) {
	columns, rows := 80, 24
	var out bytes.Buffer
	c := canvas{out: &out, size: func() (int, int) { return columns, rows }}
	wrote := func() string { defer out.Reset(); return out.String() }
	wide := strings.Repeat("x", 70)
	c.show("stays\n", []string{wide, "short"})
	if got := wrote(); got != "stays\n"+wide+"\nshort\n" {
		t.Errorf("drawn first: %q", got)
	}
	columns = 30 // 70 columns are three lines now
	c.show("", []string{wide})
	if got := wrote(); got != "\x1b[4A\x1b[J"+wide[:29]+"\n" {
		t.Errorf("on a narrower terminal: %q", got)
	}
	columns = 200
	c.show("", []string{wide})
	if got := wrote(); got != "\x1b[1A\x1b[J"+wide+"\n" {
		t.Errorf("on a wider terminal: %q", got)
	}
	rows = 4
	c.show("", []string{"1", "2", "3", "4", "5"})
	if got := wrote(); got != "\x1b[1A\x1b[J3\n4\n5\n" {
		t.Errorf("on a low terminal: %q", got)
	}
	columns, rows = 0, 0 // nobody knows
	c.show("", []string{strings.Repeat("漢", 50)})
	if got := wrote(); got != "\x1b[3A\x1b[J"+strings.Repeat("漢", 39)+"\n" {
		t.Errorf("of an unknown size: %q", got)
	}
	c.show("", nil)
	if got := wrote(); got != "\x1b[1A\x1b[J" {
		t.Errorf("at the end: %q", got)
	}
	if c.show("", nil); out.Len() > 0 {
		t.Errorf("nothing to do, and %q is written", out.String())
	}
}

// TestBar: a layer on its way, as wide as there is room.
func TestBar(t *testing.T) {
	for columns, want := range map[int]string{
		100: "       layer abc [==========          ]  50% of 24.0 MB  resumed at 2 bytes",
		60:  "       layer abc [=====     ]  50% of 24.0 MB  resumed at 2 bytes",
		40:  "       abc  50% of 24.0 MB  resumed at 2 bytes",
	} {
		if got := bar(api.Progress{Name: "abc", Done: 12e6, Total: 24e6, Note: "resumed at 2 bytes"}, columns); got != want {
			t.Errorf("on %d columns: %q, want %q", columns, got, want)
		}
	}
	if got := bar(api.Progress{Name: "abc", Done: 9, Total: 0}, 40); got != "       abc   0% of 0 bytes" {
		t.Errorf("of a size that nobody knows: %q", got)
	}
}

// TestScreenFits: all that moves at once, a build's lines, layers and what is waited for, on
// a narrow, a usual and a wide terminal; a wide character counts as the two columns it has.
func TestScreenFits(t *testing.T) {
	say := func(text string) api.Event {
		return api.Event{Type: api.EventOutput, Output: &api.Output{Source: "build", Text: text}}
	}
	layer := func(name, note string, done int64) api.Event {
		return api.Event{Type: api.EventProgress, Progress: &api.Progress{Name: name, Done: done, Total: 24e6, Note: note}}
	}
	for width, want := range map[int]string{
		40: "-----> Build 商店 with dockerfile\n" +
			"       build: #7 COPY 資料 /資料 🚀🚀🚀\n" +
			"       build: #8 RUN ❤️❤️❤️❤️❤️❤️❤️❤️❤️\n" +
			"       aaaaaaaaaaaa   0% of 24.0 MB\n" +
			"       bbbbbbbbbbbb  75% of 24.0 MB  re\n" +
			"       … still at: Build 商店 with dock\n",
		80: "-----> Build 商店 with dockerfile\n" +
			"       build: #7 COPY 資料 /資料 🚀🚀🚀 一二三四五六七八九十一二三四五六七八九\n" +
			"       build: #8 RUN ❤️❤️❤️❤️❤️❤️❤️❤️❤️❤️❤️❤️❤️❤️❤️❤️❤️❤️❤️❤️❤️❤️❤️❤️❤️❤️❤️❤️❤️\n" +
			"       layer aaaaaaaaaaaa [                    ]   0% of 24.0 MB\n" +
			"       layer bbbbbbbbbbbb [===============     ]  75% of 24.0 MB  resumed at 二\n" +
			"       … still at: Build 商店 with dockerfile (1m15s)\n",
		200: "-----> Build 商店 with dockerfile\n" +
			"       build: #7 COPY 資料 /資料 🚀🚀🚀 一二三四五六七八九十一二三四五六七八九十一二三四五六七八九十\n" +
			"       build: #8 RUN " + strings.Repeat("❤️", 40) + "\n" +
			"       layer aaaaaaaaaaaa [                    ]   0% of 24.0 MB\n" +
			"       layer bbbbbbbbbbbb [===============     ]  75% of 24.0 MB  resumed at 二 bytes\n" +
			"       … still at: Build 商店 with dockerfile (1m15s)\n",
	} {
		synctest.Test(t, func(t *testing.T) {
			var out bytes.Buffer
			terminal := motionless(&out, fixed(width, 24))
			terminal.Event(started("Build 商店 with dockerfile"))
			time.Sleep(75 * time.Second)
			terminal.waiting = true
			for _, event := range []api.Event{say("#7 COPY 資料 /資料 🚀🚀🚀 " + strings.Repeat("一二三四五六七八九十", 3)), say("#8 RUN " + strings.Repeat("❤️", 40)),
				layer("aaaaaaaaaaaa", "", 1), layer("bbbbbbbbbbbb", "resumed at 二 bytes", 18e6)} {
				terminal.Event(event)
			}
			got := screen(t, out.String())
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("on %d columns (-want +got):\n%s", width, diff)
			}
			if terminal.Close(); screen(t, out.String()) != "-----> Build 商店 with dockerfile\n       build: #7 COPY 資料 /資料 🚀🚀🚀 "+strings.Repeat("一二三四五六七八九十", 3)+"\n       build: #8 RUN "+strings.Repeat("❤️", 40)+"\n" {
				t.Errorf("on %d columns what stays is\n%s", width, screen(t, out.String()))
			}
		})
	}
}

// TestTerminalWaits: what goes on for long is said, with the time, below all else; the
// next step takes it away, and so does the end.
func TestTerminalWaits(t *testing.T) {
	var out bytes.Buffer
	terminal := motionless(&out, fixed(60, 24))
	terminal.stop, terminal.stopped = make(chan struct{}), make(chan struct{})
	step := func(status api.StepStatus) {
		terminal.Event(api.Event{Type: api.EventStep, Step: &api.Step{Name: "check", Title: "Check web.1", Status: status, Detail: "healthy"}})
	}
	step(api.StepStarted)
	terminal.Event(api.Event{Type: api.EventProgress, Progress: &api.Progress{Name: "a", Done: 1, Total: 2}})
	terminal.busy.since = terminal.busy.since.Add(-70 * time.Second)
	go terminal.tick(time.Millisecond)
	shown := func() string {
		terminal.mu.Lock()
		defer terminal.mu.Unlock()
		return screen(t, out.String())
	}
	for begun := time.Now(); !strings.Contains(shown(), "…"); time.Sleep(time.Millisecond) {
		if time.Since(begun) > time.Minute {
			t.Fatalf("nothing is said:\n%s", shown())
		}
	}
	lines := strings.Split(shown(), "\n")
	if len(lines) != 4 || lines[0] != "-----> Check web.1" || !strings.HasPrefix(lines[1], "       layer a ") || !strings.HasPrefix(lines[2], "       … still at: Check web.1 (1m1") {
		t.Errorf("it shows\n%s", shown())
	}
	step(api.StepDone)
	terminal.Close()
	if got := shown(); got != "-----> Check web.1\n       done in 0s  healthy\n" {
		t.Errorf("in the end it shows\n%s", got)
	}
}
