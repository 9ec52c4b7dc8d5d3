package provision

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/internal/atomicfile"
)

// remembered is what the last document named; nothing before the first.
func (h *Host) remembered() (names, error) {
	var former names
	text, err := os.ReadFile(h.Memory)
	if errors.Is(err, fs.ErrNotExist) {
		return former, nil
	}
	if err == nil {
		err = json.Unmarshal(text, &former)
	}
	if err != nil {
		return former, api.Errorf(api.Configuration, "read what was applied before", "%s: %w", h.Memory, err).
			WithHint("without the file nothing is removed that an earlier server block named")
	}
	return former, nil
}

// remember writes what a document names; a file that says so already stays.
func (h *Host) remember(now names) error {
	text, err := json.MarshalIndent(now, "", "  ")
	if err == nil {
		text = append(text, '\n')
		if former, readErr := os.ReadFile(h.Memory); readErr == nil && bytes.Equal(former, text) {
			return nil
		}
		err = atomicfile.WriteFile(h.Memory, text, 0o644)
	}
	if err != nil {
		return fmt.Errorf("remember what was applied: %w", err)
	}
	return nil
}

// lines says what a command prints line by line.
type lines struct {
	say  func(line string)
	part strings.Builder
}

func (l *lines) Write(p []byte) (int, error) {
	l.part.Write(p)
	text := l.part.String()
	end := strings.LastIndexByte(text, '\n')
	if end < 0 {
		return len(p), nil
	}
	for line := range strings.SplitSeq(text[:end], "\n") {
		l.say(line)
	}
	l.part.Reset()
	l.part.WriteString(text[end+1:])
	return len(p), nil
}

func (l *lines) flush() {
	if rest := l.part.String(); rest != "" {
		l.say(rest)
	}
	l.part.Reset()
}
