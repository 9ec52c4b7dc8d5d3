package agent

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/dokku-push/dokku-push/api"
)

// How often a journal is looked at while something happens and while nothing does,
// how long a deploy process may take to begin, and after how much silence its life
// is doubted.
const (
	followBusy  = 10 * time.Millisecond
	followIdle  = 100 * time.Millisecond
	followBegin = 30 * time.Second
	followDoubt = 500 * time.Millisecond
)

// Follow hands on a request's events from its journal, the first skip of them left
// out, until the verdict. A deploy process that died is recovered on the way, so
// that a verdict always comes.
func (h *Host) Follow(ctx context.Context, app, request string, skip int, f func(api.Event) error) (api.Verdict, error) {
	var (
		offset   int
		lastNews = time.Now()
		begin    = &Begin{}
	)
	for {
		entries, err := h.Ledger.ReadJournal(app, request, offset)
		if err != nil && !errors.Is(err, ErrNotFound) && !errors.Is(err, fs.ErrNotExist) {
			return api.Verdict{}, fmt.Errorf("read the journal of %s: %w", request, err)
		}
		offset += len(entries)
		for _, entry := range entries {
			lastNews = time.Now()
			if entry.Begin != nil {
				begin = entry.Begin
			}
			if entry.Event == nil {
				continue
			}
			if skip--; skip < 0 {
				if err := f(*entry.Event); err != nil {
					return api.Verdict{}, err
				}
			}
			if entry.Event.Verdict != nil {
				return *verdictOf(entries), nil
			}
		}
		silence := time.Since(lastNews)
		if offset == 0 && silence > followBegin {
			return api.Verdict{}, api.Errorf(api.Unclassified, "start the deploy", "the deploy process did not begin within %s", followBegin).
				WithHint("is the host out of memory or processes?")
		}
		if offset > 0 && silence > followDoubt && !begin.lives() && begin.PID != ownPID() {
			if err := h.Recover(ctx, app); err != nil {
				return api.Verdict{}, err
			}
			lastNews = time.Now()
		}
		pause := followBusy
		if silence > followDoubt {
			pause = followIdle
		}
		select {
		case <-ctx.Done():
			return api.Verdict{}, context.Cause(ctx)
		case <-time.After(pause):
		}
	}
}

// RequestFor finds the request to look at: its id, or vN for the one that made a
// release.
func (h *Host) RequestFor(app, id string) (string, error) {
	var version int
	if n, err := fmt.Sscanf(id, "v%d", &version); err == nil && n == 1 && id == fmt.Sprintf("v%d", version) {
		releases, err := h.Ledger.Releases(app)
		if err != nil {
			return "", err
		}
		for _, record := range releases {
			if record.Version == version {
				return record.Request, nil
			}
		}
		return "", &api.Error{Code: api.NotFound, Message: fmt.Sprintf("%s has no release %s", app, id)}
	}
	requests, err := h.Ledger.Requests(app)
	if err != nil {
		return "", err
	}
	for _, request := range requests {
		if request == id {
			return id, nil
		}
	}
	return "", &api.Error{Code: api.NotFound, Message: fmt.Sprintf("%s knows no request %s", app, id)}
}

// Attach finds an unfinished request that asks for the same document: a client that
// lost everything it knew joins it instead of deploying twice.
func (h *Host) Attach(app, digest string) (request string, ok bool) {
	holder, err := h.Ledger.Holder(app)
	if err != nil || holder == nil || holder.Request == "" {
		return "", false
	}
	entries, err := h.Ledger.ReadJournal(app, holder.Request, 0)
	if err != nil || len(entries) == 0 || entries[0].Begin == nil || verdictOf(entries) != nil {
		return "", false
	}
	return holder.Request, entries[0].Begin.Kind == string(Deploy) && entries[0].Begin.Digest == digest
}

// Known tells whether a request has a journal, and whether it was for the same
// document.
func (h *Host) Known(app, request, digest string) (known, same bool, err error) {
	entries, err := h.Ledger.ReadJournal(app, request, 0)
	if errors.Is(err, ErrNotFound) || errors.Is(err, fs.ErrNotExist) {
		return false, false, nil
	}
	if err != nil {
		return false, false, fmt.Errorf("read the journal of %s: %w", request, err)
	}
	if len(entries) == 0 || entries[0].Begin == nil {
		return false, false, nil
	}
	return true, entries[0].Begin.Digest == digest, nil
}
