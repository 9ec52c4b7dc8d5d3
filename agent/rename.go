package agent

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/dokku-push/dokku-push/api"
)

// Rename gives an app another name. Its files, settings, releases and image tags are copied
// to the new name and plugins move what they keep; deploy then brings up its containers
// under the new name, with an address and a site of their own, while those of the old name
// still serve; only then does the old app go. When anything fails before that, or is cut
// off, the new name goes again and the old app is as it was; afterwards there is no way
// back, and whoever finds it unfinished goes on. deploy is not called for an app that
// was never deployed or is stopped; nil leaves the app stopped.
func (h *Host) Rename(ctx context.Context, from, to string, by Caller, deploy func(ctx context.Context, change Change) error) error {
	if err := h.NewName(from, to); err != nil {
		return err
	}
	if h.InsideDeploy(ctx, from) {
		return api.Errorf(api.Precondition, "rename the app", "%s is being deployed", from)
	}
	c, err := newCopy(from, to, true)
	if err != nil {
		return err
	}
	err = h.withLock(ctx, from, by, 0, func(ctx context.Context) error {
		return h.makeCopy(ctx, c, by, func() error {
			if err := h.copyApp(ctx, from, to); err != nil {
				return err
			}
			if err := h.append(to, c.Request, copyEntryOf(markMoved, stateBegin, c)); err != nil {
				return err
			}
			if err := h.fire(ctx, "post-app-rename-setup", from, to); err != nil {
				return err
			}
			return h.deployRenamed(ctx, to, deploy)
		})
	})
	if err != nil {
		return err
	}
	if err := h.removeFormer(ctx, c); err != nil {
		return fmt.Errorf("%s is there; remove the old name: %w", to, err)
	}
	return h.toldRenamed(ctx, c)
}

// removeFormer is removeRenamed for who has no lock: plugins may want the app's own for
// what they do before it goes. Somebody else may go on with it meanwhile.
func (h *Host) removeFormer(ctx context.Context, c copying) error {
	if err := h.fire(ctx, "pre-delete", c.From, tag); err != nil {
		return err
	}
	if h.Exists(c.From) != nil {
		return nil
	}
	lock, err := h.othersLock(ctx, c.From)
	if err != nil {
		return err
	}
	if _, err = h.Ledger.ReadJournal(c.From, c.Request, 0); err == nil {
		err = h.removeRenamed(ctx, c, true)
	}
	return errors.Join(ignoreNotFound(err), lock.Unlock())
}

// removeRenamed removes the app whose copy is there, under that app's lock. It may have
// been begun before; asked: plugins were told that it is to go.
func (h *Host) removeRenamed(ctx context.Context, c copying, asked bool) error {
	entries, err := h.Ledger.ReadJournal(c.From, c.Request, 0)
	if err != nil {
		return fmt.Errorf("read the journal of %s: %w", c.Request, err)
	}
	begun, told := destroying(entries)
	if !begun && !asked {
		if err := h.fire(ctx, "pre-delete", c.From, tag); err != nil {
			return err
		}
	}
	if !begun {
		if err := h.append(c.From, c.Request, destroyMark(stateBegin)); err != nil {
			return err
		}
	}
	return h.destroy(ctx, c.From, func() error {
		if told {
			return nil
		}
		if err := h.append(c.From, c.Request, destroyMark(stateDone)); err != nil {
			return err
		}
		return h.fire(ctx, "post-delete", c.From, tag)
	})
}

// toldRenamed tells plugins that the app has its new name, which is the end of it.
func (h *Host) toldRenamed(ctx context.Context, c copying) error {
	if _, err := h.Ledger.ReadJournal(c.To, c.Request, 0); err != nil {
		return ignoreNotFound(err) // somebody else has
	}
	err := errors.Join(h.fire(ctx, "post-app-rename", c.From, c.To), h.fire(ctx, "cron-write"))
	return errors.Join(err, h.Ledger.RemoveJournal(c.To, c.Request))
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
