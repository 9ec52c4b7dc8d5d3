package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// TestRenderer: a terminal is drawn on only when there is one, and nobody said otherwise.
func TestRenderer(t *testing.T) {
	terminal := pty(t)
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

// pty is a terminal that nobody looks at.
func pty(t *testing.T) *os.File {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { master.Close() })
	if err := unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	number, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	terminal, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { terminal.Close() })
	return terminal
}
