package e2e

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/moby/moby/client"

	"github.com/dokku-push/dokku-push/api"
)

// outcome looks at what became of a change: all of it, or nothing.
func (b *bench) outcome(t *testing.T, what string, before api.AppState, text, said, journal string) {
	t.Helper()
	if retired := b.Dokku(t, "ps:retire", b.app); retired.Exit != 0 { // recovers too
		t.Errorf("%s: the recovery: %s%s", what, retired.Stdout, retired.Stderr)
	}
	after := b.settled(t, b.app)
	b.learn(after, text)
	_, _, verdict := entries(journal)
	switch {
	case after.Current == before.Current:
		if after.Hash != before.Hash {
			t.Errorf("%s: it was undone, and the state is not as before:\n%+v\n%+v\n%s", what, before, after, said)
		}
		text = b.says(before)
		if journal != "" && (verdict == nil || verdict.OK) {
			t.Errorf("%s: it was undone, and its verdict is %+v", what, verdict)
		}
	case after.Current == before.Current+1:
		if verdict == nil || !verdict.OK || verdict.Release != after.Current {
			t.Errorf("%s: v%d is live, and its verdict is %+v", what, after.Current, verdict)
		}
	default:
		t.Errorf("%s: v%d was current, now v%d is", what, before.Current, after.Current)
	}
	answers(t, b.Host, b.app, "/", text)
	b.nothingLeft(t, what, after)
}

// firstOutcome is outcome for an app that there was not.
func (b *bench) firstOutcome(t *testing.T, what, journal, text string) {
	t.Helper()
	b.Dokku(t, "ps:retire", b.app)
	state := b.settled(t, b.app)
	_, _, verdict := entries(journal)
	if live := state.Current == 1; journal != "" && (verdict == nil || verdict.OK != live) {
		t.Errorf("first, %s: v%d is current, and the verdict is %+v", what, state.Current, verdict)
	}
	b.nothingLeft(t, "first, "+what, state)
	if state.Current == 0 {
		pushed(t, b.Push(t, b.dir, "--app", b.app))
	}
	answers(t, b.Host, b.app, "/", text)
	if gone := b.Dokku(t, "apps:destroy", b.app, "--force"); gone.Exit != 0 {
		t.Errorf("destroy %s: %s", b.app, gone.Stderr)
	}
}

// destroyOutcome: the app is whole, or it is gone once somebody has looked after it.
func (b *bench) destroyOutcome(t *testing.T, what, text string) {
	t.Helper()
	b.Dokku(t, "ps:retire", b.app) // recovers
	if exists := b.Dokku(t, "apps:exists", b.app); exists.Exit == 0 {
		state := b.settled(t, b.app)
		answers(t, b.Host, b.app, "/", text)
		b.nothingLeft(t, "destroy, "+what, state)
		if gone := b.Dokku(t, "apps:destroy", b.app, "--force"); gone.Exit != 0 {
			t.Errorf("destroy, %s: once more: %s", what, gone.Stderr)
		}
	}
	b.nothingLeft(t, "destroy, "+what, api.AppState{})
	if code, body := b.Get(t, b.app, "/"); code == 200 && strings.Contains(body, text) {
		t.Errorf("destroy, %s: it still answers", what)
	}
	for _, path := range []string{b.places().App(b.app), b.places().Env(b.app), b.places().NginxLoaded(b.app)} {
		if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("destroy, %s: %s is left (%v)", what, path, err)
		}
	}
}

// nothingLeft: the engine has the containers of the release and no other, and the tags of
// its releases; nobody holds the lock, no temporary file is left, and nginx likes its files.
func (b *bench) nothingLeft(t *testing.T, what string, state api.AppState) {
	t.Helper()
	var names []string
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(100 * time.Millisecond) {
		found, err := b.engine.ContainerList(context.Background(), client.ContainerListOptions{All: true, Filters: make(client.Filters).Add("label", "com.dokku.app-name="+b.app)})
		if err != nil {
			t.Fatal(err)
		}
		names = nil
		for _, c := range found.Items {
			names = append(names, strings.TrimPrefix(strings.Join(c.Names, ","), "/"))
		}
		if len(names) == len(state.Containers) || time.Now().After(deadline) {
			break
		}
	}
	if len(names) != len(state.Containers) || state.Current > 0 && len(names) == 0 {
		t.Errorf("%s: the release has %d containers, the engine %q", what, len(state.Containers), names)
	}
	b.imagesLeft(t, what, state)
	if state.Lock != nil || state.Unfinished != "" {
		t.Errorf("%s: the lock is held by %+v, unfinished is %q", what, state.Lock, state.Unfinished)
	}
	if valid := b.Dokku(t, "nginx:validate-config"); valid.Exit != 0 {
		t.Errorf("%s: nginx does not like its files: %s%s", what, valid.Stdout, valid.Stderr)
	}
	var temporary []string
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(100 * time.Millisecond) {
		if temporary = b.temporary(t); len(temporary) == 0 || time.Now().After(deadline) {
			break // one that is being written is gone the next time
		}
	}
	if len(temporary) > 0 {
		t.Errorf("%s: %q are left", what, temporary)
	}
}

// temporary lists the files that become others' when they are written whole.
func (b *bench) temporary(t *testing.T) (paths []string) {
	t.Helper()
	err := filepath.WalkDir(filepath.Join(b.Root, "lib"), func(path string, entry fs.DirEntry, err error) error {
		if err == nil && strings.Contains(entry.Name(), ".new-") {
			paths = append(paths, path)
		}
		return nil // what goes while one looks is no temporary file
	})
	if err != nil {
		t.Error(err)
	}
	return paths
}

// imagesLeft: every tag of the app is a release's, or the latest.
func (b *bench) imagesLeft(t *testing.T, what string, state api.AppState) {
	t.Helper()
	want := map[string]bool{}
	for _, release := range state.Releases {
		want[fmt.Sprintf("dokku/%s:v%d", b.app, release.Version)] = true
	}
	if state.Current > 0 {
		want["dokku/"+b.app+":latest"] = true
	}
	found, err := b.engine.ImageList(context.Background(), client.ImageListOptions{Filters: make(client.Filters).Add("reference", "dokku/"+b.app)})
	if err != nil {
		t.Fatal(err)
	}
	for _, image := range found.Items {
		for _, name := range image.RepoTags {
			if strings.HasPrefix(name, "dokku/"+b.app+":") && !want[name] {
				t.Errorf("%s: the tag %s is left", what, name)
			}
		}
	}
}
