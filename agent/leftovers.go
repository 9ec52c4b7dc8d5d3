package agent

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/dokku-push/dokku-push/manifest"
)

// Leftover is something that is left of an app that does not exist.
type Leftover struct {
	App  string
	Kind string // file, container or image
	Name string // path, or the engine's name
}

// Leftovers finds what is left of apps that do not exist: files of the agent's and of
// Dokku's, containers of this host, and the images of those apps. What an app has
// stored (data/storage) outlives it on purpose and is none. Sorted by app.
func (h *Host) Leftovers(ctx context.Context) ([]Leftover, error) {
	apps, err := h.Settings.Apps()
	if err != nil {
		return nil, fmt.Errorf("list the apps: %w", err)
	}
	candidates := map[string]bool{}
	for _, place := range h.appPlaces() {
		paths, err := filepath.Glob(place.pattern)
		if err != nil {
			return nil, fmt.Errorf("look for files of removed apps: %w", err)
		}
		for _, path := range paths {
			candidates[place.app(path)] = true
		}
	}
	containers, err := h.Containers.List(ctx, map[string]string{labelHost: h.ID()})
	if err != nil {
		return nil, fmt.Errorf("list this host's containers: %w", err)
	}
	for _, c := range containers {
		candidates[c.Labels[labelApp]] = true
	}
	var left []Leftover
	for _, app := range slices.Sorted(maps.Keys(candidates)) {
		if slices.Contains(apps, app) || manifest.ExistingAppName(app) != nil {
			continue
		}
		more, err := h.leftoversOf(ctx, app)
		if err != nil {
			return nil, err
		}
		left = append(left, more...)
	}
	return left, nil
}

// appPlace is where something of each app is kept; app reads its name from a path.
type appPlace struct {
	pattern string
	app     func(path string) string
}

func (h *Host) appPlaces() []appPlace {
	parent := func(path string) string { return filepath.Base(filepath.Dir(path)) }
	places := []appPlace{
		{h.Places.AppData("*"), filepath.Base},
		{h.Places.Env("*"), parent},
		{filepath.Dir(h.Places.DeployLock("*")), filepath.Base},
		{h.Places.NginxLoaded("*"), func(path string) string { return strings.TrimSuffix(filepath.Base(path), ".conf") }},
	}
	for _, plugin := range PropertyPlugins() {
		places = append(places, appPlace{filepath.Dir(h.Places.Property(plugin, "*", "any")), filepath.Base})
	}
	return places
}

// leftoversOf is Leftovers for one name, which is no app's.
func (h *Host) leftoversOf(ctx context.Context, app string) ([]Leftover, error) {
	var left []Leftover
	for _, place := range h.appPlaces() {
		path := strings.Replace(place.pattern, "*", app, 1)
		info, err := os.Lstat(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		} else if err != nil {
			return nil, fmt.Errorf("look for files of the removed app %s: %w", app, err)
		}
		if info.IsDir() || filepath.Base(path) != app { // a property may have the name of an app
			left = append(left, Leftover{app, "file", path})
		}
	}
	all, err := h.Containers.List(ctx, map[string]string{labelApp: app})
	if err != nil {
		return nil, fmt.Errorf("list the containers of the removed app %s: %w", app, err)
	}
	others := false // another host on the same engine may have an app of this name
	for _, c := range all {
		switch c.Labels[labelHost] {
		case h.ID(), "":
			left = append(left, Leftover{app, "container", c.Name})
		default:
			others = true
		}
	}
	if others {
		return left, nil
	}
	names, err := h.Images.Names(ctx, "dokku/"+app)
	if err != nil {
		return nil, fmt.Errorf("list the images of the removed app %s: %w", app, err)
	}
	for _, name := range names {
		left = append(left, Leftover{app, "image", name})
	}
	return left, nil
}

// work is what an app's journals say is not over.
type work struct {
	running    string // a request whose process lives
	unfinished string // one that was cut off and waits for recovery
	retiring   bool   // a live process waits for old containers' last connections
}

// mostJournals is how many of the newest journals can be of any interest: a container
// is retired within minutes.
const mostJournals = 10

func (h *Host) openWork(app string) (work, error) {
	var found work
	requests, err := h.Ledger.Requests(app)
	if err != nil {
		return found, fmt.Errorf("list the journals of %s: %w", app, err)
	}
	for _, request := range requests[max(0, len(requests)-mostJournals):] {
		entries, err := h.Ledger.ReadJournal(app, request, 0)
		if errors.Is(err, ErrNotFound) {
			continue // it was removed in between
		} else if err != nil {
			return found, fmt.Errorf("read the journal of %s: %w", request, err)
		}
		if len(entries) == 0 || entries[0].Begin == nil {
			continue
		}
		lives := entries[0].Begin.lives()
		switch {
		case verdictOf(entries) == nil && lives:
			found.running = request
		case verdictOf(entries) == nil:
			found.unfinished = request
		case lives && retireOpen(entries):
			found.retiring = true
		}
	}
	return found, nil
}

// retireOpen tells whether old containers were to be retired and no end of it is noted.
func retireOpen(entries []Entry) (open bool) {
	for _, entry := range entries {
		if entry.Mark != nil && entry.Mark.Step == markRetire {
			open = entry.Mark.State != stateDone
		}
	}
	return open
}

// Unfinished names a request of the app that was cut off and waits for recovery; empty
// for none.
func (h *Host) Unfinished(app string) (request string, err error) {
	found, err := h.openWork(app)
	return found.unfinished, err
}
