package agent

import (
	"context"
	"fmt"
	"maps"

	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/manifest"
)

// The properties that are an app's own and not its copy's.
var ownProperties = []string{"apps/created-at", "apps/locked", "app-json/heroku.postdeploy", "common/deployed", "ps/restore",
	ReviewParent, ReviewBranch, ReviewExpires, ReviewGoing, ReviewKeys, ReviewMax, ReviewTTL}

// Clone makes the app to with the settings of from: its config, scale, ports, docker options
// and all other properties. It has domains of its own and no certificate. more copies what
// this package does not know of, and plugins copy what they keep. If any of that fails, or
// is cut off, there is no app to. The change that would deploy from's release as to is
// returned; nil when from was never deployed.
func (h *Host) Clone(ctx context.Context, from, to string, by Caller, more func(ctx context.Context) error) (deploy *Change, err error) {
	if err := h.NewName(from, to); err != nil {
		return nil, err
	}
	err = h.withLock(ctx, from, by, 0, func(ctx context.Context) error {
		c, err := newCopy(from, to, false)
		if err != nil {
			return err
		}
		return h.makeCopy(ctx, c, by, func() error {
			if err := h.copySettings(from, to); err != nil {
				return err
			}
			if err := more(ctx); err != nil {
				return err
			}
			if err := h.fire(ctx, "post-app-clone-setup", from, to); err != nil {
				return err
			}
			return h.fire(ctx, "post-app-clone", from, to)
		})
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
