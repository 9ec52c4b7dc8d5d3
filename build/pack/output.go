package pack

import (
	"fmt"
	"io"
	"regexp"
	"strings"
	"sync"

	"github.com/buildpacks/pack/pkg/logging"
)

// quiet are warnings of pack and of the lifecycle that say nothing about the app.
var quiet = []string{
	"Detected pack is running in a container",
	"deprecated usage of stack",
	"Exporting to docker daemon (building without --publish) and daemon uses containerd storage",
	"For more information, see https://github.com/buildpacks/pack/issues/2272",
	"Did not find SBOM", // one for each of six files
	"target distro name/version labels not found",
	"Builder is trusted but additional modules were added",
}

// escapes are the terminal's: what is printed goes to logs as well.
var escapes = regexp.MustCompile("\x1b\\[[0-9;?]*[A-Za-z]")

// story hands on what pack, the lifecycle and the buildpacks print, a line at a time.
type story struct {
	mu      sync.Mutex
	output  func(string)
	partial string
}

var _ logging.Logger = (*story)(nil)

func (s *story) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	lines := strings.Split(s.partial+string(p), "\n")
	s.partial = lines[len(lines)-1]
	for _, line := range lines[:len(lines)-1] {
		s.say(line)
	}
	return len(p), nil
}

// end shows a last line without a newline.
func (s *story) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.partial != "" {
		s.say(s.partial)
		s.partial = ""
	}
}

func (s *story) say(line string) {
	line = strings.TrimSuffix(line, "\r")
	if at := strings.LastIndex(line, "\r"); at >= 0 { // a progress bar: its last state
		line = line[at+1:]
	}
	line = strings.TrimRight(escapes.ReplaceAllString(line, ""), " ")
	for _, text := range quiet {
		if strings.Contains(line, text) {
			return
		}
	}
	s.output(line)
}

func (s *story) line(text string) { _, _ = io.WriteString(s, strings.TrimSuffix(text, "\n")+"\n") }

// Debug and Debugf are for who works on pack.
func (s *story) Debug(string)          {}
func (s *story) Debugf(string, ...any) {}

func (s *story) Info(text string)              { s.line(text) }
func (s *story) Infof(format string, a ...any) { s.line(fmt.Sprintf(format, a...)) }
func (s *story) Warn(text string)              { s.line("warning: " + text) }
func (s *story) Warnf(format string, a ...any) { s.line("warning: " + fmt.Sprintf(format, a...)) }
func (s *story) Error(text string)             { s.line("error: " + text) }
func (s *story) Errorf(format string, a ...any) {
	s.line("error: " + fmt.Sprintf(format, a...))
}

// Writer takes what runs in the build's container prints.
func (s *story) Writer() io.Writer { return s }

// IsVerbose is always false: the lifecycle's debug lines are not asked for.
func (s *story) IsVerbose() bool { return false }
