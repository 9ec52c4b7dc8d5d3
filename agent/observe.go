package agent

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/dokku-push/dokku-push/api"
)

// State observes an app. It changes nothing.
func (h *Host) State(ctx context.Context, app string) (api.AppState, error) {
	state := api.AppState{App: app}
	settings, err := h.Settings.Read(app)
	if errors.Is(err, ErrNotFound) {
		state.Hash, err = h.StateHash(ctx, app)
		return state, err
	} else if err != nil {
		return state, fmt.Errorf("read the settings of %s: %w", app, err)
	}
	state.Exists, state.Scale = true, settings.Scale
	if state.Current, err = h.Ledger.Current(app); err != nil {
		return state, err
	}
	if state.Current != 0 {
		state.URLs = h.served(app, settings)
	}
	releases, err := h.Ledger.Releases(app)
	if err != nil {
		return state, err
	}
	for _, record := range releases {
		state.Releases = append(state.Releases, record.Release)
	}
	containers, err := h.appContainers(ctx, app)
	if err != nil {
		return state, err
	}
	for _, c := range containers {
		i, ok := instanceOf(c)
		if ok && c.Name == i.finalName(app) {
			state.Containers = append(state.Containers, api.Container{Name: c.Name, Process: i.Process, Index: i.Index, ID: c.ID, Image: c.Image, Status: c.Status})
		}
	}
	if state.Lock, err = h.Ledger.Holder(app); err != nil {
		return state, err
	}
	if state.Lock != nil && h.passing(app, state.Lock) {
		state.Lock = nil // it is free again before anybody has read of it
	}
	if err := h.attempts(app, &state); err != nil {
		return state, err
	}
	state.Hash, err = h.StateHash(ctx, app)
	return state, err
}

// attempts fills in the last request and the one that is not finished. One that only asked
// for the lock and did not get it, while another had it, does not stand before that one.
func (h *Host) attempts(app string, state *api.AppState) error {
	requests, err := h.Ledger.Requests(app)
	if err != nil {
		return err
	}
	var newest *api.Attempt
	for _, request := range slices.Backward(requests) {
		entries, err := h.Ledger.ReadJournal(app, request, 0)
		if err != nil {
			return err
		}
		if len(entries) == 0 || entries[0].Begin == nil {
			continue
		}
		attempt := &api.Attempt{Request: request, Document: entries[0].Begin.Digest, Started: entries[0].Time, Verdict: verdictOf(entries)}
		if newest == nil {
			newest = attempt
		}
		if neverBegan(entries) {
			continue
		}
		if state.Last == nil {
			state.Last = attempt
		}
		if attempt.Verdict != nil {
			return nil
		}
		state.Unfinished = request
	}
	if state.Last == nil {
		state.Last = newest
	}
	return nil
}

// neverBegan tells of a request that was refused the lock, or stopped while it waited for it.
func neverBegan(entries []Entry) bool {
	verdict := verdictOf(entries)
	if verdict == nil || verdict.Error == nil || verdict.Error.Code != api.Locked && verdict.Error.Code != api.Cancelled {
		return false
	}
	return !slices.ContainsFunc(entries, func(entry Entry) bool { return entry.Mark != nil })
}

// StateHash is the hash of an app's state (DESIGN 6): two equal hashes are the same state. The host's own
// settings are part of it, for a release takes them up: its containers get the host's config.
func (h *Host) StateHash(ctx context.Context, app string) (string, error) {
	sum := sha256.New()
	global, err := h.Settings.Read("--global")
	if err != nil {
		return "", fmt.Errorf("read the global settings: %w", err)
	}
	if err := json.NewEncoder(sum).Encode(global); err != nil {
		return "", fmt.Errorf("hash the global settings: %w", err)
	}
	if h.Settings.Has(app) {
		err = h.hashApp(ctx, sum, app)
	}
	return "sha256:" + hex.EncodeToString(sum.Sum(nil)), err
}

// hashApp adds what is the app's own.
func (h *Host) hashApp(ctx context.Context, sum io.Writer, app string) error {
	folders := []string{h.Places.App(app), filepath.Join(h.Places.Lib, "config", app), filepath.Join(h.Places.AppData(app), "files")}
	properties, err := filepath.Glob(filepath.Join(h.Places.Lib, "config", "*", app))
	if err != nil {
		return err
	}
	for _, folder := range append(folders, properties...) {
		if err := hashTree(sum, folder); err != nil {
			return fmt.Errorf("hash the files of %s: %w", app, err)
		}
	}
	former, err := h.hashReleases(sum, app)
	if err != nil {
		return err
	}
	loaded, err := os.ReadFile(h.Places.NginxLoaded(app))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	fmt.Fprintf(sum, "loaded %x\n", sha256.Sum256(loaded))
	containers, err := h.appContainers(ctx, app)
	if err != nil {
		return err
	}
	for _, c := range containers {
		if retiring(app, c) {
			continue
		}
		env := slices.Sorted(slices.Values(c.Env))
		fmt.Fprintf(sum, "container %s %s %v %x\n", c.Name, c.Image, c.Running, sha256.Sum256([]byte(strings.Join(env, "\x00"))))
	}
	names, err := h.Images.Names(ctx, "dokku/"+app)
	if err != nil {
		return err
	}
	slices.Sort(names)
	for _, name := range names {
		if former[name] {
			continue // that it is pruned in a minute is no change of state, and makes no plan stale
		}
		image, err := h.Images.Image(ctx, name)
		if err != nil && !errors.Is(err, ErrNotFound) {
			return err
		}
		fmt.Fprintf(sum, "image %s %s\n", name, image.ID)
	}
	return nil
}

// hashReleases adds which releases there are and which is current. A record never
// changes once it is written, so that none has to be read. It returns the image names of
// former releases.
func (h *Host) hashReleases(sum io.Writer, app string) (former map[string]bool, err error) {
	versions, err := h.Ledger.Versions(app)
	if err != nil {
		return nil, err
	}
	current, err := h.Ledger.Current(app)
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(sum, "releases %v current %d\n", versions, current)
	former = map[string]bool{}
	for _, version := range versions {
		former[imageName(app, fmt.Sprintf("v%d", version))] = version != current
	}
	return former, nil
}

// retiring tells a former container, which waits for its last connections: that it goes
// in a minute is no change of state, and makes no plan stale.
func retiring(app string, c Container) bool {
	i, ok := instanceOf(c)
	since, found := strings.CutPrefix(c.Name, i.finalName(app)+".")
	return ok && found && since != "" && since[0] >= '0' && since[0] <= '9'
}

// ofRepository tells what belongs to the git repository that an app's folder is as well: what
// was pushed there is no state of the app before it is deployed.
func ofRepository(name string) bool {
	return slices.Contains([]string{"HEAD", "FETCH_HEAD", "ORIG_HEAD", "branches", "config", "description", "gc.log", "gc.pid", "hooks", "info", "logs", "objects",
		"packed-refs", "refs", "shallow", "worktrees"}, name)
}

// hashTree adds every file below a folder, by name, mode and content, but for its repository.
func hashTree(sum io.Writer, folder string) error {
	err := filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && filepath.Dir(path) == folder && ofRepository(entry.Name()) {
			if entry.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		gone := func(err error) error { // since its folder was read: the others are there
			if errors.Is(err, fs.ErrNotExist) && path != folder {
				return nil
			}
			return err
		}
		if err != nil || !entry.Type().IsRegular() {
			return gone(err)
		}
		info, err := entry.Info()
		if err != nil {
			return gone(err)
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return gone(err)
		}
		fmt.Fprintf(sum, "file %s %v %x\n", path, info.Mode(), sha256.Sum256(text))
		return nil
	})
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
