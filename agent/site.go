package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/dokku-push/dokku-push/api"
)

// SiteChange is a change of what an app's site is made of.
type SiteChange struct {
	Settings func(now *Settings) error // nil: they stay
	Files    []SiteFile
}

// SiteFile is a file of an app's folder as it is to be; Text nil removes it.
type SiteFile struct {
	Path string      `json:"path"`
	Text []byte      `json:"text,omitempty"`
	Mode fs.FileMode `json:"mode,omitempty"`
}

// siteUndo is what such a change takes back. It is on disk before anything changes, so
// that a process that dies in the middle is undone by the next command on the app.
type siteUndo struct {
	Before Settings   `json:"before"`
	After  Settings   `json:"after"`
	Files  []SiteFile `json:"files"`
}

// ChangeSite changes settings and files and brings the app's site up to them. Where nginx
// refuses, all is as it was, byte for byte, before it returns. Where the site is made
// anew afterwards, within a deploy or nginx-pre-reload, only the change is made.
func (h *Host) ChangeSite(ctx context.Context, app string, by Caller, change SiteChange) error {
	if err := h.Exists(app); err != nil {
		return err
	}
	if h.siteFollows(ctx, app) {
		_, _, err := h.Settings.Change(app, change.settings)
		if err != nil {
			return fmt.Errorf("write the settings of %s: %w", app, err)
		}
		return putSiteFiles(change.Files)
	}
	return h.withLock(ctx, app, by, time.Minute, func(ctx context.Context) error { return h.changeSite(ctx, app, change) })
}

func (c SiteChange) settings(now *Settings) error {
	*now = now.clone()
	if c.Settings == nil {
		return nil
	}
	return c.Settings(now)
}

func (h *Host) changeSite(ctx context.Context, app string, change SiteChange) error {
	undo := siteUndo{}
	for _, file := range change.Files {
		former, err := siteFileNow(file.Path)
		if err != nil {
			return err
		}
		undo.Files = append(undo.Files, former)
	}
	_, _, err := h.Settings.Change(app, func(now *Settings) error {
		before := now.clone()
		if err := change.settings(now); err != nil {
			return err
		}
		undo.Before, undo.After = siteSettings(before), siteSettings(*now)
		return h.writeSiteUndo(app, undo)
	})
	if err != nil {
		return errors.Join(err, h.dropSiteUndo(app))
	}
	err = putSiteFiles(change.Files)
	if err == nil {
		err = h.renewSiteKeeping(ctx, app, h.siteKept(app))
	}
	if err != nil {
		if back := h.undoSite(context.WithoutCancel(ctx), app); back != nil {
			return api.Errorf(api.UndoFailed, "put the site of "+app+" back", "%v (because: %w)", back, err).
				WithHint("mend the cause, then run `dokku-agent recover %s`", app)
		}
		return err
	}
	return h.dropSiteUndo(app)
}

// siteSettings are the settings that a site is made of: no secret is written down.
func siteSettings(s Settings) Settings {
	env := map[string]string{}
	if value, set := s.Env[noVhost]; set {
		env[noVhost] = value
	}
	return Settings{Env: env, Domains: s.Domains, Ports: s.Ports, Properties: s.Properties}
}

// sameSite tells whether two settings make the same site of the same containers.
func sameSite(a, b Settings) bool {
	properties := func(s Settings) map[string]string {
		kept := maps.Clone(s.Properties)
		maps.DeleteFunc(kept, func(name, _ string) bool {
			return !strings.HasPrefix(name, "nginx/") && !strings.HasPrefix(name, "proxy/") && !strings.HasPrefix(name, "ports/")
		})
		return kept
	}
	return a.Env[noVhost] == b.Env[noVhost] && slices.Equal(a.Domains, b.Domains) && slices.Equal(a.Ports, b.Ports) && maps.Equal(properties(a), properties(b))
}

func (h *Host) siteUndoFile(app string) string {
	return filepath.Join(h.Places.AppData(app), "site.undo")
}

// siteKept is where the former nginx file is while a site changes.
func (h *Host) siteKept(app string) string {
	return filepath.Join(h.Places.AppData(app), "site.nginx.conf")
}

func (h *Host) writeSiteUndo(app string, undo siteUndo) error {
	text, err := json.Marshal(undo)
	if err == nil {
		err = os.MkdirAll(h.Places.AppData(app), 0o755)
	}
	if err == nil {
		err = h.dropSiteUndo(app) // what an earlier change kept is not this one's
	}
	if err == nil {
		err = writeFile(h.siteUndoFile(app), text, 0o600)
	}
	if err != nil {
		return fmt.Errorf("note how the site was: %w", err)
	}
	return nil
}

// dropSiteUndo says that a site is as it is to be. The note goes first: without it the
// rest means nothing.
func (h *Host) dropSiteUndo(app string) error {
	for _, path := range []string{h.siteUndoFile(app), h.siteKept(app), h.siteKept(app) + ".absent"} {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("forget how the site was: %w", err)
		}
	}
	return nil
}

// undoSite takes back a change of the site that was not finished, if there is one. It may
// be called any number of times.
func (h *Host) undoSite(ctx context.Context, app string) error {
	text, err := os.ReadFile(h.siteUndoFile(app))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	var undo siteUndo
	if err == nil {
		err = json.Unmarshal(text, &undo)
	}
	if err != nil {
		return fmt.Errorf("read how the site was: %w", err)
	}
	_, _, err = h.Settings.Change(app, func(now *Settings) error {
		now.apply(undo.After, undo.Before)
		return nil
	})
	if err == nil {
		err = putSiteFiles(undo.Files)
	}
	if err == nil {
		err = h.Proxy.Restore(ctx, app, h.siteKept(app))
	}
	if err == nil && undo.Before.proxied() != undo.After.proxied() {
		err = h.renewSite(ctx, app)
	}
	if err != nil {
		return fmt.Errorf("put the site back: %w", err)
	}
	return h.dropSiteUndo(app)
}

func siteFileNow(path string) (SiteFile, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return SiteFile{Path: path}, nil
	}
	var text []byte
	if err == nil {
		text, err = os.ReadFile(path)
	}
	if err != nil {
		return SiteFile{}, fmt.Errorf("read a file of the site: %w", err)
	}
	return SiteFile{Path: path, Text: slices.Concat([]byte{}, text), Mode: info.Mode().Perm()}, nil
}

func putSiteFiles(files []SiteFile) error {
	for _, file := range files {
		var err error
		if file.Text == nil {
			if err = os.Remove(file.Path); errors.Is(err, fs.ErrNotExist) {
				err = nil
			}
			_ = os.Remove(filepath.Dir(file.Path)) // with its last file; one that has others stays
		} else if err = os.MkdirAll(filepath.Dir(file.Path), 0o755); err == nil {
			err = writeFile(file.Path, file.Text, file.Mode)
		}
		if err != nil {
			return fmt.Errorf("write a file of the site: %w", err)
		}
	}
	return nil
}

// noVhost is the config key that turns an app's domains off.
const noVhost = "NO_VHOST"

// siteDomains are the domains that an app answers at: none while they are turned off.
func (s Settings) siteDomains() []string {
	if s.Env[noVhost] == "1" {
		return nil
	}
	return s.Domains
}

// proxied tells whether nginx serves the app.
func (s Settings) proxied() bool { return s.Properties["proxy/disabled"] != "true" }

// ClearSite takes an app's site away. The next change of it, or the next deploy, makes it anew.
func (h *Host) ClearSite(ctx context.Context, app string, by Caller) error {
	return h.withLock(ctx, app, by, time.Minute, func(ctx context.Context) error { return h.Proxy.Remove(ctx, app) })
}
