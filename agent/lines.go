package agent

import (
	"bytes"
	"strings"
	"sync"
)

// lines hands on what is written to it a line at a time. Long lines are cut, so
// that no program fills the journal with one.
type lines struct {
	say  func(line string)
	mu   sync.Mutex
	rest []byte
}

const longestLine = 16 << 10

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.rest = append(l.rest, p...)
	for {
		end := bytes.IndexByte(l.rest, '\n')
		if end < 0 {
			if len(l.rest) < longestLine {
				return len(p), nil
			}
			end = longestLine - 1
		}
		l.say(strings.TrimRight(string(l.rest[:end]), "\r\n"))
		l.rest = l.rest[min(end+1, len(l.rest)):]
	}
}

// flush hands on a last line that had no end.
func (l *lines) flush() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.rest) > 0 {
		l.say(string(l.rest))
		l.rest = nil
	}
}

// limitedBuffer keeps the first 64 KiB of what is written to it: an answer of a
// trigger is never longer.
// The buffer is no embedded field: io.Copy would use its ReadFrom and pass the limit by.
type limitedBuffer struct{ kept bytes.Buffer }

func (b *limitedBuffer) Write(p []byte) (int, error) {
	room := 64<<10 - b.kept.Len()
	b.kept.Write(p[:max(0, min(room, len(p)))])
	return len(p), nil
}

func (b *limitedBuffer) String() string { return b.kept.String() }
