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
	"strconv"
	"strings"
	"time"

	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/manifest"
)

// The properties that are an app's own and not its copy's.
var ownProperties = []string{"apps/created-at", "apps/locked", "app-json/heroku.postdeploy", "common/deployed", "ps/restore",
	ReviewParent, ReviewBranch, ReviewExpires, ReviewGoing, ReviewKeys, ReviewMax, ReviewTTL}

// Clone makes the app to with the settings of from: its config, scale, ports, docker options
// and all other properties. It has domains of its own and no certificate. Plugins copy what
// they keep. If any of that fails, there is no app to. The change that would deploy from's
// release as to is returned; nil when from was never deployed.
func (h *Host) Clone(ctx context.Context, from, to string, by Caller) (deploy *Change, err error) {
	if err := h.NewName(from, to); err != nil {
		return nil, err
	}
	err = h.withLock(ctx, from, by, 0, func(ctx context.Context) error {
		if err := h.Create(ctx, to); err != nil {
			return errors.Join(err, h.discard(ctx, to))
		}
		if err := h.copySettings(from, to); err != nil {
			return errors.Join(err, h.discard(ctx, to))
		}
		for _, trigger := range []string{"post-app-clone-setup", "post-app-clone"} {
			if err := h.fire(ctx, trigger, from, to); err != nil {
				return errors.Join(err, h.discard(ctx, to))
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	current, err := h.currentRecord(from)
	if err != nil || current == nil {
		return nil, err
	}
	document := current.Document
	if document.Declared != nil { // the domains are from's
		declared := *document.Declared
		declared.Domains = nil
		document.Declared = &declared
	}
	if document.Image.ID == "" {
		document.Image.ID = current.Built
	}
	return &Change{App: to, Kind: Deploy, Document: document}, nil
}

// NewName refuses a name that an app cannot be copied to.
func (h *Host) NewName(from, to string) error {
	if err := h.Exists(from); err != nil {
		return err
	}
	if err := manifest.AppName(to); err != nil {
		return api.Errorf(api.Precondition, "name the app", "%w", err)
	}
	if h.Settings.Has(to) {
		return api.Errorf(api.Precondition, "name the app", "Name is already taken")
	}
	return nil
}

// discard removes an app that was only begun. Nothing of it ran.
func (h *Host) discard(ctx context.Context, app string) error {
	if !h.Settings.Has(app) {
		return nil
	}
	ctx = context.WithoutCancel(ctx)
	err := errors.Join(h.removeContainers(ctx, app), h.Proxy.Remove(ctx, app), h.Traffic.Forget(ctx, app), h.removeImages(ctx, app))
	return errors.Join(err, h.Settings.Destroy(app))
}

func (h *Host) copySettings(from, to string) error {
	source, err := h.Settings.Read(from)
	if err != nil {
		return fmt.Errorf("read the settings of %s: %w", from, err)
	}
	_, _, err = h.Settings.Change(to, func(now *Settings) error {
		domains, own := now.Domains, now.Properties
		*now = source.clone()
		now.Domains = domains
		for _, property := range ownProperties {
			delete(now.Properties, property)
		}
		maps.Copy(now.Properties, own)
		return nil
	})
	if err != nil {
		return fmt.Errorf("write the settings of %s: %w", to, err)
	}
	return nil
}

// Rename gives an app another name. Its files, settings, releases and image tags are copied
// to the new name and plugins move what they keep; deploy then brings up its containers
// under the new name, with an address and a site of their own, while those of the old name
// still serve; only then does the old app go. When anything fails before that, the new
// name goes again and the old app is as it was. deploy is not called for an app that
// was never deployed or is stopped; nil leaves the app stopped.
func (h *Host) Rename(ctx context.Context, from, to string, by Caller, deploy func(ctx context.Context, change Change) error) error {
	if err := h.NewName(from, to); err != nil {
		return err
	}
	if h.InsideDeploy(ctx, from) {
		return api.Errorf(api.Precondition, "rename the app", "%s is being deployed", from)
	}
	moved := false
	err := h.withLock(ctx, from, by, 0, func(ctx context.Context) error {
		if err := h.Create(ctx, to); err != nil {
			return errors.Join(err, h.discard(ctx, to))
		}
		err := h.copyApp(ctx, from, to)
		if err == nil {
			moved = true
			err = h.fire(ctx, "post-app-rename-setup", from, to)
		}
		if err == nil {
			err = h.deployRenamed(ctx, to, deploy)
		}
		if err == nil {
			return nil
		}
		if moved { // plugins take back what they have moved
			err = errors.Join(err, h.fire(context.WithoutCancel(ctx), "post-app-rename-setup", to, from))
		}
		return errors.Join(err, h.discard(ctx, to))
	})
	if err != nil {
		return err
	}
	if err := h.Destroy(ctx, from, by); err != nil {
		return fmt.Errorf("%s is there; remove the old name: %w", to, err)
	}
	return h.fire(ctx, "post-app-rename", from, to)
}

// deployRenamed starts what runs under the old name under the new one.
func (h *Host) deployRenamed(ctx context.Context, app string, deploy func(ctx context.Context, change Change) error) error {
	current, err := h.Ledger.Current(app)
	if err != nil || current == 0 || deploy == nil {
		return err
	}
	settings, err := h.Settings.Read(app)
	if err != nil {
		return fmt.Errorf("read the settings of %s: %w", app, err)
	}
	if settings.Properties["ps/restore"] == "false" {
		return nil
	}
	return deploy(ctx, Change{App: app, Kind: Start})
}

// copyApp copies everything that an app has, but for what its containers make anew.
func (h *Host) copyApp(ctx context.Context, from, to string) error {
	names, err := h.renamedDomains(ctx, from, to)
	if err != nil {
		return err
	}
	p := h.Places
	folders := [][2]string{{p.App(from), p.App(to)}, {filepath.Dir(p.ReleaseRecord(from, 1)), filepath.Dir(p.ReleaseRecord(to, 1))}}
	for _, plugin := range PropertyPlugins() {
		folders = append(folders, [2]string{filepath.Dir(p.Property(plugin, from, "any")), filepath.Dir(p.Property(plugin, to, "any"))})
	}
	for _, folder := range folders {
		if err := copyTree(folder[0], folder[1], madeByContainers); err != nil {
			return fmt.Errorf("copy the files of %s: %w", from, err)
		}
	}
	source, err := h.Settings.Read(from)
	if err != nil {
		return fmt.Errorf("read the settings of %s: %w", from, err)
	}
	_, _, err = h.Settings.Change(to, func(now *Settings) error {
		*now = source.clone()
		now.Domains = names
		now.Properties["apps/created-at"] = strconv.FormatInt(time.Now().Unix(), 10)
		return nil
	})
	if err != nil {
		return fmt.Errorf("write the settings of %s: %w", to, err)
	}
	return h.copyTags(ctx, from, to)
}

// renamedDomains are an app's domains, those that it had of its name under the new one.
func (h *Host) renamedDomains(ctx context.Context, from, to string) ([]string, error) {
	settings, err := h.Settings.Read(from)
	if err != nil {
		return nil, fmt.Errorf("read the domains of %s: %w", from, err)
	}
	usual, err := h.DefaultDomains(ctx, from)
	if err != nil {
		return nil, err
	}
	fresh, err := h.DefaultDomains(ctx, to)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, domain := range settings.Domains {
		if n := slices.Index(usual, domain); n >= 0 && n < len(fresh) {
			domain = fresh[n]
		}
		names = append(names, domain)
	}
	return names, nil
}

// copyTags names an app's images under another name too.
func (h *Host) copyTags(ctx context.Context, from, to string) error {
	tags, err := h.Tags(ctx, from)
	if err != nil {
		return err
	}
	for _, label := range slices.Sorted(maps.Keys(tags)) {
		if err := h.Images.Tag(ctx, tags[label].ID, imageName(to, label)); err != nil {
			return fmt.Errorf("tag the image %s: %w", imageName(to, label), err)
		}
	}
	return nil
}

// madeByContainers are the files of an app's folder that each deploy writes.
func madeByContainers(name string) bool {
	kind, _, _ := strings.Cut(name, ".")
	return name == "nginx.conf" || kind == "CONTAINER" || kind == "IP" || kind == "PORT"
}

// copyTree copies a folder's files, folders and links, with their modes; what skip names
// at its top is left out. A folder that is not there is empty.
func copyTree(from, to string, skip func(name string) bool) error {
	return filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		if path == from && errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		if skip(relative) {
			if entry.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		return copyEntry(path, filepath.Join(to, relative), entry)
	})
}

func copyEntry(from, to string, entry fs.DirEntry) error {
	info, err := entry.Info()
	if err != nil {
		return err
	}
	switch {
	case entry.IsDir():
		return os.MkdirAll(to, info.Mode().Perm())
	case entry.Type()&fs.ModeSymlink != 0:
		target, err := os.Readlink(from)
		if err != nil {
			return err
		}
		return os.Symlink(target, to)
	case !entry.Type().IsRegular():
		return nil // a socket or the like belongs to whoever made it
	}
	text, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return writeFile(to, text, info.Mode().Perm())
}
