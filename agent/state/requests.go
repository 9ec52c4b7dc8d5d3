package state

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/internal/atomicfile"
)

// isRequest tells whether a request id can be the name of a file.
func isRequest(request string) bool {
	return request != "" && len(request) <= 128 && !strings.ContainsAny(request, "/\x00\n. ")
}

// orderFile lists an app's requests in the order in which they began: the clock may
// have been set back since.
func (s *Store) orderFile(app string) string {
	return filepath.Join(filepath.Dir(s.Places.Journal(app, "any")), ".order")
}

// appendOrder puts a request at the end of the order. What a crash has left of a
// last line is cut off.
func (s *Store) appendOrder(app, request string) error {
	file, err := waitLock(s.orderFile(app))
	if err != nil {
		return err
	}
	text, err := os.ReadFile(file.Name())
	if err == nil {
		end := int64(bytes.LastIndexByte(text, '\n') + 1)
		err = file.Truncate(end)
		if err == nil {
			_, err = file.WriteAt([]byte(request+"\n"), end)
		}
		if err == nil {
			err = file.Sync()
		}
	}
	return errors.Join(err, file.Close())
}

// order reads the order; a request that began, was removed and began again is where
// it began last.
func (s *Store) order(app string) (map[string]int, error) {
	text, err := os.ReadFile(s.orderFile(app))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("list the requests: %w", err)
	}
	place := map[string]int{}
	n := 0
	for line := range strings.Lines(string(text)) {
		if request, whole := strings.CutSuffix(line, "\n"); whole {
			n++
			place[request] = n
		}
	}
	return place, nil
}

// Requests lists the app's requests that have a journal, in the order in which they
// began.
func (s *Store) Requests(app string) ([]string, error) {
	if !isApp(app) {
		return nil, noSuchApp(app)
	}
	entries, err := os.ReadDir(filepath.Dir(s.orderFile(app)))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list the requests: %w", err)
	}
	place, err := s.order(app)
	if err != nil {
		return nil, err
	}
	var requests []string
	for _, entry := range entries {
		request, ok := strings.CutSuffix(entry.Name(), ".jsonl")
		if ok && isRequest(request) && entry.Type().IsRegular() {
			requests = append(requests, request)
		}
	}
	// Those in no order, from a backup perhaps, come first, by name.
	slices.SortStableFunc(requests, func(a, b string) int { return place[a] - place[b] })
	return requests, nil
}

// ReadJournal returns the entries of a request, the first offset of them left out. A
// request without a journal is agent.ErrNotFound.
func (s *Store) ReadJournal(app, request string, offset int) ([]agent.Entry, error) {
	if !isApp(app) || !isRequest(request) {
		return nil, fmt.Errorf("request %q of %q: %w", request, app, agent.ErrNotFound)
	}
	text, err := os.ReadFile(s.Places.Journal(app, request))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("request %s of %s: %w", request, app, agent.ErrNotFound)
	}
	var entries []agent.Entry
	if err == nil {
		entries, _, err = parseJournal(text, offset)
	}
	if err != nil {
		return nil, fmt.Errorf("read the journal of %s: %w", request, err)
	}
	return entries, nil
}

// RemoveJournal removes a request's journal and all that was kept beside it.
func (s *Store) RemoveJournal(app, request string) error {
	if !isApp(app) || !isRequest(request) {
		return fmt.Errorf("request %q of %q: %w", request, app, agent.ErrNotFound)
	}
	dir := filepath.Dir(s.Places.Journal(app, request))
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("remove the journal of %s: %w", request, err)
	}
	for _, entry := range entries {
		// REQUEST.jsonl, REQUEST.jsonl.cancel, REQUEST.nginx.conf: no request has a dot.
		if strings.HasPrefix(entry.Name(), request+".") {
			if err := atomicfile.Remove(filepath.Join(dir, entry.Name())); err != nil {
				return fmt.Errorf("remove the journal of %s: %w", request, err)
			}
		}
	}
	return s.removeOrder(app, request)
}

// removeOrder takes a request out of the order.
func (s *Store) removeOrder(app, request string) error {
	lock, err := waitLock(s.orderFile(app))
	if err != nil {
		return err
	}
	text, err := os.ReadFile(lock.Name())
	if err == nil {
		var rest strings.Builder
		for line := range strings.Lines(string(text)) {
			if line != request+"\n" {
				rest.WriteString(line)
			}
		}
		err = atomicfile.WriteFile(lock.Name(), []byte(rest.String()), 0o600)
	}
	return errors.Join(err, lock.Close())
}
