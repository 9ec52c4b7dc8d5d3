package e2e

import (
	"fmt"
	"html"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"unicode"

	"github.com/dokku-push/dokku-push/internal/testkit"
)

const (
	termColumns = 96
	termLines   = 30
)

// TestTerminal: a push on a terminal tells its steps with their times, keeps nothing that
// moved, and ends with version, time and URL; one that fails, with why. With
// DOKKU_PUSH_UPDATE=1 (make screenshots) the pictures in docs are made of it.
func TestTerminal(t *testing.T) {
	t.Parallel()
	update := os.Getenv("DOKKU_PUSH_UPDATE") == "1"
	h := testkit.Serve(t, testkit.ServeOptions{})
	dir, app := testkit.CopyApp(t, "hello"), h.App(t, "shop")
	if update { // a layer that takes a moment
		write(t, dir, "www/large", randomText(24<<20))
	}
	frames, exit := onTerminal(t, h.Command(t, dir, "--app", app))
	last := frames[len(frames)-1]
	for _, want := range []string{"-----> Connect to ", "-----> Build " + app, "-----> Plan for " + app, "       done in ", "=====> " + app + " v1 is live (", "deployed in ", "s in all)", "http://" + app + ".localhost"} {
		if !strings.Contains(strings.Join(last, "\n"), want) {
			t.Errorf("there is no %q", want)
		}
	}
	if text := strings.Join(last, "\n"); exit != 0 || strings.Contains(text, "build: #") || strings.Contains(text, "…") || strings.Contains(text, "% of ") {
		t.Errorf("exit %d, or what moved stays:\n%s", exit, text)
	}
	moved := false
	for _, frame := range frames {
		moved = moved || strings.Contains(strings.Join(frame, "\n"), "build: #")
	}
	if !moved {
		t.Errorf("nobody saw the build:\n%s", strings.Join(last, "\n"))
	}

	write(t, dir, "Procfile", "web: echo \"port $PORT, no DATABASE_URL\" >&2; exit 1\n")
	broken, exit := onTerminal(t, h.Command(t, dir, "--app", app))
	if text := strings.Join(broken[len(broken)-1], "\n"); exit == 0 || !strings.Contains(text, " !     check web.1: the container exited with code 1") || !strings.Contains(text, "       | port 5000, no DATABASE_URL") {
		t.Errorf("exit %d:\n%s", exit, text)
	}
	answers(t, h, app, "/", "Hello, world")
	if update {
		name := strings.NewReplacer(app, "shop")
		picture(t, "push", name, last)
		picture(t, "failed", name, broken[len(broken)-1])
		var moving [][]string
		for _, frame := range frames {
			if text := strings.Join(frame, "\n"); strings.Contains(text, "[=====") && strings.Contains(text, "% of 2") {
				moving = append(moving, frame)
			}
		}
		if len(moving) == 0 {
			t.Fatal("nobody saw a layer on its way")
		}
		picture(t, "layers", name, moving[len(moving)/2])
	}
}

// onTerminal runs a command on a terminal and returns what was to be seen, after each
// time that something was written, and its exit code.
func onTerminal(t *testing.T, command *exec.Cmd) (frames [][]string, exit int) {
	t.Helper()
	screen, terminal := testkit.PTY(t, termColumns, termLines)
	command.Stdout, command.Stderr = terminal, terminal
	command.Env = append(command.Env, "TERM=xterm")
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	terminal.Close()
	var seen display
	for buffer := make([]byte, 64<<10); ; {
		n, err := screen.Read(buffer)
		// However much was written before anybody read it: what was to be seen before each sequence.
		for i, text := range strings.Split(string(buffer[:n]), "\x1b") {
			if i > 0 {
				text = "\x1b" + text
			}
			seen.write(t, text)
			frames = append(frames, seen.lines())
		}
		if err != nil { // nobody writes any more
			break
		}
	}
	_ = command.Wait() // the exit code says it
	return frames, command.ProcessState.ExitCode()
}

// display is a terminal without an upper edge, that knows what dokku-push may ask of one:
// to go up, and to erase what is below.
type display struct {
	rows    [][]rune
	at      int
	column  int
	pending string // the beginning of a sequence, or of a character
}

func (d *display) write(t *testing.T, text string) {
	t.Helper()
	text, d.pending = d.pending+text, ""
	for text != "" {
		if sequence, is := strings.CutPrefix(text, "\x1b"); is {
			end := strings.IndexFunc(sequence, unicode.IsLetter)
			if end < 0 {
				d.pending = text
				return
			}
			switch n, _ := strconv.Atoi(strings.TrimPrefix(sequence[:end], "[")); sequence[end] {
			case 'A':
				d.at = max(0, d.at-n)
			case 'J':
				d.rows = d.rows[:min(len(d.rows), d.at)]
			default:
				t.Fatalf("an escape that no terminal was asked for: %q", sequence[:end+1])
			}
			text = sequence[end+1:]
			continue
		}
		c := []rune(text[:min(len(text), 4)])[0]
		if c == unicode.ReplacementChar && len(text) < 4 {
			d.pending = text
			return
		}
		text = text[len(string(c)):]
		d.put(c)
	}
}

func (d *display) put(c rune) {
	switch {
	case c == '\r':
		d.column = 0
		return
	case c == '\n':
		d.at++
		return
	case d.column == termColumns:
		d.at, d.column = d.at+1, 0
	}
	for len(d.rows) <= d.at {
		d.rows = append(d.rows, nil)
	}
	d.rows[d.at] = append(d.rows[d.at][:min(len(d.rows[d.at]), d.column)], c)
	d.column++
}

func (d *display) lines() (lines []string) {
	for _, row := range d.rows {
		lines = append(lines, string(row))
	}
	return lines
}

// picture writes a screen into docs as an SVG: the last lines of it.
func picture(t *testing.T, name string, names *strings.Replacer, lines []string) {
	t.Helper()
	const wide, high, edge = 8, 18, 16
	lines = append([]string{"$ dokku-push"}, lines...)
	lines = lines[max(0, len(lines)-2*termLines):]
	var svg strings.Builder
	fmt.Fprintf(&svg, "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" role=\"img\" aria-label=\"dokku-push on a terminal\">\n",
		termColumns*wide+2*edge, len(lines)*high+2*edge)
	svg.WriteString("<rect width=\"100%\" height=\"100%\" rx=\"8\" fill=\"#16181d\"/>\n")
	svg.WriteString("<g font-family=\"ui-monospace, Menlo, Consolas, 'DejaVu Sans Mono', monospace\" font-size=\"13\" fill=\"#d7dae0\">\n")
	for i, line := range lines {
		if line = strings.TrimRight(names.Replace(line), " "); line != "" {
			// Each line as wide as its columns, whatever the font.
			fmt.Fprintf(&svg, "<text x=\"%d\" y=\"%d\" textLength=\"%d\" xml:space=\"preserve\">%s</text>\n",
				edge, edge+(i+1)*high-4, len([]rune(line))*wide, html.EscapeString(line))
		}
	}
	svg.WriteString("</g>\n</svg>\n")
	path := filepath.Join("..", "..", "docs", "screenshots", name+".svg")
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(svg.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}

// randomText cannot be made smaller.
func randomText(bytes int64) string {
	var text strings.Builder
	source, err := os.Open("/dev/urandom")
	if err != nil {
		return ""
	}
	defer source.Close()
	_, _ = io.CopyN(&text, source, bytes)
	return text.String()
}
