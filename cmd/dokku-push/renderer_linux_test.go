package main

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/internal/testkit"
)

// TestRenderer: a terminal is drawn on only when there is one, and nobody said otherwise.
func TestRenderer(t *testing.T) {
	_, terminal := testkit.PTY(t, 80, 24)
	file, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for _, test := range []struct {
		what      string
		out       *os.File
		format    string
		variables map[string]string
		want      string
	}{
		{"a terminal", terminal, "auto", nil, "*report.terminal"},
		{"a file", file, "auto", nil, "*report.plain"},
		{"plain", terminal, "plain", nil, "*report.plain"},
		{"json", terminal, "json", nil, "*report.jsonLines"},
		{"NO_COLOR", terminal, "auto", map[string]string{"NO_COLOR": "1"}, "*report.plain"},
		{"CI", terminal, "auto", map[string]string{"CI": "true"}, "*report.plain"},
		{"a dumb terminal", terminal, "auto", map[string]string{"TERM": "dumb"}, "*report.plain"},
	} {
		for name, value := range map[string]string{"NO_COLOR": "", "CI": "", "TERM": "xterm"} {
			t.Setenv(name, value)
		}
		for name, value := range test.variables {
			t.Setenv(name, value)
		}
		renderer := (&client{logFormat: test.format, out: &bytes.Buffer{}, err: test.out}).renderer()
		if got := fmt.Sprintf("%T", renderer); got != test.want {
			t.Errorf("%s: %s, want %s", test.what, got, test.want)
		}
		renderer.Close()
	}
}

// TestRendererFollowsTheTerminal: the lines that move fit the window, also after somebody
// has made it another size.
func TestRendererFollowsTheTerminal(t *testing.T) {
	for name, value := range map[string]string{"NO_COLOR": "", "CI": "", "TERM": "xterm"} {
		t.Setenv(name, value)
	}
	screen, terminal := testkit.PTY(t, 70, 24)
	renderer := (&client{logFormat: "auto", out: &bytes.Buffer{}, err: terminal}).renderer()
	defer renderer.Close()
	lines := bufio.NewReader(screen)
	for _, columns := range []uint16{70, 30, 200} {
		testkit.Resize(t, terminal, columns, 24)
		renderer.Event(api.Event{Type: api.EventProgress, Progress: &api.Progress{Name: "a", Done: 1, Total: 2, Note: strings.Repeat("x", 150)}})
		line, err := lines.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		if at := strings.LastIndex(line, "\x1b[J"); at >= 0 {
			line = line[at+len("\x1b[J"):]
		}
		if got, want := len(strings.TrimRight(line, "\r\n")), min(int(columns)-1, 199); got > want || got < want-30 {
			t.Errorf("on %d columns a line has %d: %q", columns, got, line)
		}
	}
}
