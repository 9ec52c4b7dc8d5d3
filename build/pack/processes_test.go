package pack

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/dokku-push/dokku-push/manifest"
)

func processesIn(t *testing.T, label string) []process {
	t.Helper()
	found, err := processesOf(&v1.ConfigFile{Config: v1.Config{Labels: map[string]string{buildLabel: label}}})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestProcesses(t *testing.T) {
	found := processesIn(t, `{"processes": [
		{"type": "web", "command": ["node"], "args": ["server.js", "--fast"], "direct": true},
		{"type": "old", "command": "python app.py", "args": null, "direct": false},
		{"type": "shell", "command": ["bash", "-c", "exec a  \"$B\""], "args": []},
		{"type": "strict", "command": ["/bin/sh", "-ec"], "args": ["true"]},
		{"type": "lines", "command": ["sh", "-c", "a\nb"]}]}`)
	var lines []string
	for _, p := range found {
		lines = append(lines, p.line())
	}
	want := []string{"node server.js --fast", "python app.py", `exec a  "$B"`, "true", "/cnb/process/lines"}
	if diff := cmp.Diff(want, lines); diff != "" {
		t.Error(diff)
	}
	if _, err := processesOf(&v1.ConfigFile{}); err == nil {
		t.Error("an image without the label has processes")
	}
	var w words
	if err := json.Unmarshal([]byte(`{}`), &w); err == nil {
		t.Error("an object is a command")
	}
}

func TestCompare(t *testing.T) {
	found := processesIn(t, `{"processes": [{"type": "web", "command": ["sh", "-c", "serve  it"]}, {"type": "clock", "command": ["tick"]}, {"type": "worker", "command": ["work"]}]}`)
	procfile, problems := manifest.ParseProcfile("Procfile", []byte("web: serve it\nworker: work harder\nmail: send\n"))
	if problems.Failed() {
		t.Fatal(problems)
	}
	notes := strings.Join(compare(procfile, found), "\n")
	for _, want := range []string{"no buildpack made a process mail", `worker is "work harder" in the Procfile and "work" in the image`, "a process clock (tick)"} {
		if !strings.Contains(notes, want) {
			t.Errorf("%q is not told:\n%s", want, notes)
		}
	}
	if strings.Contains(notes, "web") || strings.Count(notes, "\n") != 2 {
		t.Errorf("told too much:\n%s", notes)
	}
}

func TestProcfileOf(t *testing.T) {
	found := processesIn(t, `{"processes": [{"type": "web", "command": ["serve"]}, {"type": "my_worker", "command": ["work"]}, {"type": "worker", "command": ["work"]}]}`)
	text, notes := procfileOf(found)
	if text != "web: serve\nworker: work\n" || len(notes) != 1 || !strings.Contains(notes[0], "my_worker") {
		t.Errorf("got %q, %q", text, notes)
	}
}
