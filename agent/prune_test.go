package agent_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dokku-push/dokku-push/agent"
)

// history carries out changes one after the other, each of which must come through.
func history(t *testing.T, w *world, changes ...agent.Change) {
	t.Helper()
	for n, change := range changes {
		change.App, change.By = app, agent.Caller{Name: "alice"}
		if change.Request == "" {
			change.Request = fmt.Sprintf("request-%s-%d-%d", change.Kind, n, len(w.releases(t)))
		}
		w.process(0).run(func(h *agent.Host) {
			if verdict, err := h.Apply(context.Background(), change); err != nil || !verdict.OK || !verdict.Changed || verdict.Error != nil {
				t.Errorf("change %d: %+v, %v", n, verdict, err)
			}
		})
	}
}

// releases are the versions that have a record.
func (w *world) releases(t *testing.T) []int {
	t.Helper()
	versions, err := w.process(0).Versions(app)
	must(t, err)
	return versions
}

// kept are the tags of releases, in order of their versions' text, with the images that the
// engine holds of the app.
func kept(w *world) (tags, images string) {
	var found []string
	for _, name := range slices.Sorted(maps.Keys(w.names)) {
		if tag, ok := strings.CutPrefix(name, "dokku/"+app+":v"); ok {
			found = append(found, tag)
		}
	}
	return strings.Join(found, " "), strings.Join(slices.Sorted(maps.Keys(w.images)), " ")
}

// plain is a release document without anything that changes its image, of 100 MiB.
func plain(w *world, n int) agent.Change {
	doc := document(w, n)
	doc.AppJSON, doc.Procfile = "", "web: serve\n"
	ref := doc.Image.Registry + "@" + doc.Image.Manifest
	image := w.remote[ref]
	image.Size = 100 << 20
	w.remote[ref] = image
	return agent.Change{Kind: agent.Deploy, Document: doc}
}

// TestPrune: how many images of former releases stay.
func TestPrune(t *testing.T) {
	t.Parallel()
	config := agent.Change{Kind: agent.Config}
	for _, test := range []struct {
		name       string
		properties map[string]string
		global     map[string]string
		changes    func(w *world) []agent.Change
		tags       string
		images     int
	}{
		{"five", nil, nil, func(w *world) []agent.Change {
			return []agent.Change{plain(w, 1), plain(w, 2), plain(w, 3), plain(w, 4), plain(w, 5), plain(w, 6), plain(w, 7)}
		}, "3 4 5 6 7", 5},
		{"two", map[string]string{"ps/keep-releases": "2"}, nil, func(w *world) []agent.Change {
			return []agent.Change{plain(w, 1), plain(w, 2), plain(w, 3)}
		}, "2 3", 2},
		{"two on this host", nil, map[string]string{"ps/keep-releases": "2"}, func(w *world) []agent.Change {
			return []agent.Change{plain(w, 1), plain(w, 2), plain(w, 3)}
		}, "2 3", 2},
		{"one, and where a rollback goes", map[string]string{"ps/keep-releases": "1"}, nil, func(w *world) []agent.Change {
			return []agent.Change{plain(w, 1), plain(w, 2), plain(w, 3)}
		}, "2 3", 2},
		{"where a rollback goes is far", map[string]string{"ps/keep-releases": "2"}, nil, func(w *world) []agent.Change {
			return []agent.Change{plain(w, 1), plain(w, 2), config, config, config}
		}, "1 4 5", 2},
		{"by size", map[string]string{"ps/keep-bytes": "350m"}, nil, func(w *world) []agent.Change {
			return []agent.Change{plain(w, 1), plain(w, 2), plain(w, 3), plain(w, 4), plain(w, 5)}
		}, "3 4 5", 3},
		{"by size, shared images once", map[string]string{"ps/keep-bytes": "250m"}, nil, func(w *world) []agent.Change {
			return []agent.Change{plain(w, 1), plain(w, 2), config, plain(w, 3), config}
		}, "2 3 4 5", 2},
		{"by size and number", map[string]string{"ps/keep-bytes": "350m", "ps/keep-releases": "2"}, nil, func(w *world) []agent.Change {
			return []agent.Change{plain(w, 1), plain(w, 2), plain(w, 3), plain(w, 4)}
		}, "3 4", 2},
		{"too small for any", map[string]string{"ps/keep-bytes": "1m"}, nil, func(w *world) []agent.Change {
			return []agent.Change{plain(w, 1), plain(w, 2), plain(w, 3)}
		}, "2 3", 2},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := created(t)
			w.set(t, app, test.properties)
			w.set(t, "--global", test.global)
			changes := test.changes(w)
			history(t, w, changes...)
			tags, images := kept(w)
			if tags != test.tags || len(strings.Fields(images)) != test.images {
				t.Errorf("the releases %s have an image, want %s; of %d images: %s", tags, test.tags, test.images, images)
			}
			if records := w.releases(t); len(records) != len(changes) {
				t.Errorf("the records of %v are left", records)
			}
			history(t, w, agent.Change{Kind: agent.Rollback}) // to the last that was healthy, always
		})
	}
}

// TestPruneFails: it changes no verdict, and is made up for after the next deploy; who
// wants a release back whose image is gone is told so, and nothing happens.
func TestPruneFails(t *testing.T) {
	t.Parallel()
	w := created(t)
	_, _, err := w.process(0).Change(app, func(now *agent.Settings) error {
		now.Properties["ps/keep-releases"] = "1"
		return nil
	})
	must(t, err)
	history(t, w, plain(w, 1), plain(w, 2))
	for _, failing := range []string{"untag", "list the image names", "look at an image"} {
		n := len(w.releases(t)) + 1
		change := plain(w, n)
		w.plugins["post-deploy"] = func([]string) error { // what comes before it needs the engine too
			w.mu.Lock()
			defer w.mu.Unlock()
			w.fails[failing] = errors.New("no such luck")
			return nil
		}
		history(t, w, change)
		delete(w.fails, failing)
		if tags, _ := kept(w); len(strings.Fields(tags)) < 3 {
			t.Errorf("%s fails: only %s are left, it was not even tried", failing, tags)
		}
	}
	delete(w.plugins, "post-deploy")
	history(t, w, plain(w, 6))
	pruned := hashNow(t, w)
	w.names["dokku/"+app+":v1"] = w.names["dokku/"+app+":v5"]
	if hashNow(t, w) != pruned {
		t.Error("that a former release is pruned makes plans stale")
	}
	delete(w.names, "dokku/"+app+":v1")
	if tags, images := kept(w); tags != "5 6" || images != "sha256:image5 sha256:image6" {
		t.Errorf("%s are left, of %s", tags, images)
	}
	before := observed(t, w)
	w.process(0).run(func(h *agent.Host) {
		verdict, err := h.Apply(context.Background(), agent.Change{App: app, Request: "request-back", Kind: agent.Rollback, Release: 2})
		if err != nil || verdict.OK || verdict.Error == nil || !strings.Contains(verdict.Error.Message, "no longer on this host") {
			t.Errorf("got %+v, %v", verdict, err)
		}
	})
	if diff := cmp.Diff(before, observed(t, w)); diff != "" {
		t.Errorf("not as before:\n%s", diff)
	}
}

// TestRollbackAlone: a rollback asks no registry: what it brings back is on the host, and so
// it works where nothing else is reached.
func TestRollbackAlone(t *testing.T) {
	t.Parallel()
	w := deployed(t)
	history(t, w, deploy(w, 2))
	clear(w.remote)
	w.fails["pull"] = errors.New("the network is down")
	w.process(0).run(func(h *agent.Host) {
		verdict, err := h.Apply(context.Background(), agent.Change{App: app, Request: "request-back", Kind: agent.Rollback, Release: 1})
		if err != nil || !verdict.OK || verdict.Release != 3 {
			t.Errorf("got %+v, %v", verdict, err)
		}
		verdict, err = h.Apply(context.Background(), deploy(w, 4))
		if err != nil || verdict.OK {
			t.Errorf("a deploy does without a registry: %+v, %v", verdict, err)
		}
	})
}
