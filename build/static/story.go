package static

import (
	"context"
	"fmt"
	"io"
	"time"
)

// interval is how often packing says how far it is: one that ends sooner says nothing.
const interval = 2 * time.Second

// story tells how far packing is.
type story struct {
	output      func(string)
	total, done int64
	next        time.Time
}

func newStory(output func(string), files []file) *story {
	s := &story{output: output, next: time.Now().Add(interval)}
	for _, f := range files {
		s.total += f.size
	}
	return s
}

// read counts what is read, and ends with ctx in the middle of a large file.
func (s *story) read(ctx context.Context, from io.Reader) io.Reader {
	return readerFunc(func(p []byte) (int, error) {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		n, err := from.Read(p)
		s.done += int64(n)
		if now := time.Now(); now.After(s.next) {
			s.next = now.Add(interval)
			s.output(fmt.Sprintf("packed %d of %d MiB", s.done>>20, s.total>>20))
		}
		return n, err
	})
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }
