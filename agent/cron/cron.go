package cron

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/manifest"
)

// The labels of a container that cron has started (PLUGIN-CONTRACT 6.2).
const (
	labelID     = "com.dokku.cron-id"
	labelPolicy = "com.dokku.concurrency-policy"
)

// Entry is one command of an app and its times.
type Entry struct {
	ID          string `json:"id"`
	App         string `json:"app"`
	Command     string `json:"command"`
	Schedule    string `json:"schedule"`
	Concurrency string `json:"concurrency_policy"` // allow, forbid or replace
	Maintenance bool   `json:"maintenance"`        // it is not to run
}

// Entries are those of an app's current release, in app.json's order.
func Entries(h *agent.Host, app string) ([]Entry, error) {
	settings, err := h.Settings.Read(app)
	if err != nil {
		return nil, fmt.Errorf("read the settings of %s: %w", app, err)
	}
	if settings.AppJSON == "" {
		return nil, nil
	}
	appJSON, mistakes := manifest.ParseAppJSON("app.json", []byte(settings.AppJSON))
	if appJSON == nil {
		return nil, api.Errorf(api.Precondition, "read app.json of "+app, "%w", mistakes)
	}
	var entries []Entry
	for _, one := range appJSON.Cron {
		entry := Entry{App: app, Command: one.Command, Schedule: one.Schedule, Concurrency: one.Concurrency,
			Maintenance: one.Maintenance || settings.Properties["cron/maintenance"] == "true"}
		entry.ID = id(entry)
		entries = append(entries, entry)
	}
	return entries, nil
}

// id is the same for the same command at the same times of the same app.
func id(entry Entry) string {
	sum := sha256.Sum256([]byte(entry.App + "\x00" + entry.Schedule + "\x00" + entry.Command))
	return hex.EncodeToString(sum[:8])
}

// Find returns an app's entry by its id.
func Find(h *agent.Host, app, id string) (Entry, error) {
	entries, err := Entries(h, app)
	if err != nil {
		return Entry{}, err
	}
	for _, entry := range entries {
		if entry.ID == id {
			return entry, nil
		}
	}
	return Entry{}, &api.Error{Code: api.NotFound, Message: fmt.Sprintf("Cron task %s of %s does not exist", id, app), Hint: "cron:list " + app + " lists them"}
}

// Run starts an entry in a new container and leaves it to itself. Its policy decides when
// one still runs: forbid starts none, and replace stops that one first. The last
// container that has ended stays, for its output; those before it go. started is
// empty when none was.
func Run(ctx context.Context, h *agent.Host, entry Entry) (started string, err error) {
	all, err := h.OnceContainers(ctx, entry.App)
	if err != nil {
		return "", err
	}
	mine := slices.DeleteFunc(all, func(c agent.Container) bool { return c.Labels[labelID] != entry.ID })
	for _, c := range mine {
		switch {
		case !c.Running:
		case entry.Concurrency == "forbid":
			return "", nil
		case entry.Concurrency == "replace":
			if err := h.Containers.Stop(ctx, c.ID, 10*time.Second); err != nil {
				return "", fmt.Errorf("stop the former %s: %w", c.Name, err)
			}
		default:
			continue
		}
		if err := h.Containers.Remove(ctx, c.ID); err != nil {
			return "", fmt.Errorf("remove the former %s: %w", c.Name, err)
		}
	}
	return h.RunDetached(ctx, entry.App, agent.Once{Command: Words(entry), Type: "cron",
		Name: entry.ID + "." + strconv.FormatInt(time.Now().UnixNano(), 36), Labels: map[string]string{labelID: entry.ID, labelPolicy: entry.Concurrency}}, io.Discard)
}

// Words are what a container runs for an entry: its words where a shell has nothing to do,
// so that images without one work, else the container's own shell.
func Words(entry Entry) []string {
	command, err := agent.SplitWords(entry.Command)
	if err != nil || strings.ContainsAny(entry.Command, "$*?[]{}~") {
		return []string{"/bin/sh", "-c", entry.Command}
	}
	return command
}

// Tick starts every entry of every app that is due in the minute of at. Of several
// processes that call it for one minute, one does. It returns what could not be started.
func Tick(ctx context.Context, h *agent.Host, at time.Time) error {
	apps, err := h.Settings.Apps()
	if err != nil {
		return fmt.Errorf("list the apps: %w", err)
	}
	var entries []Entry
	var failures []error
	for _, app := range apps {
		of, err := due(h, app, at)
		entries, failures = append(entries, of...), append(failures, err)
	}
	if len(entries) == 0 {
		return errors.Join(failures...) // a minute with nothing to do leaves no mark
	}
	if first, err := claim(h.Places, at); err != nil || !first {
		return errors.Join(append(failures, err)...)
	}
	for _, entry := range entries {
		if _, err := Run(ctx, h, entry); err != nil {
			failures = append(failures, fmt.Errorf("cron %s of %s: %w", entry.ID, entry.App, err))
		}
	}
	return errors.Join(failures...)
}

// due lists an app's entries of a minute.
func due(h *agent.Host, app string, at time.Time) ([]Entry, error) {
	entries, err := Entries(h, app)
	if err != nil {
		return nil, err
	}
	var list []Entry
	var failures []error
	for _, entry := range entries {
		schedule, err := Parse(entry.Schedule)
		if err != nil {
			failures = append(failures, fmt.Errorf("cron %s of %s: %w", entry.ID, app, err))
			continue
		}
		if !entry.Maintenance && schedule.Due(at) {
			list = append(list, entry)
		}
	}
	return list, errors.Join(failures...)
}

// claim tells the first that asks for a minute from all others. The files of minutes that
// are over go.
func claim(places agent.Places, at time.Time) (first bool, err error) {
	folder := filepath.Join(places.Data(), "cron")
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return false, fmt.Errorf("mark the minute: %w", err)
	}
	name := at.UTC().Format("200601021504")
	file, err := os.OpenFile(filepath.Join(folder, name), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("mark the minute: %w", err)
	}
	former, err := os.ReadDir(folder)
	for _, entry := range former {
		if entry.Name() < name {
			_ = os.Remove(filepath.Join(folder, entry.Name())) // at worst it goes the next time
		}
	}
	return true, errors.Join(err, file.Close())
}
