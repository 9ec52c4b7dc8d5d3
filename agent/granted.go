package agent

import (
	"context"
	"slices"
	"strings"

	"github.com/dokku-push/dokku-push/api"
)

// AppsVariable is how the forced command of a certificate says what it is for: apps, and
// apps behind api.ReviewGrant whose review apps are meant.
const AppsVariable = "DOKKU_PUSH_APPS"

// bounded refuses what a certificate for some apps is not for. Of Dokku's commands it may
// call those that look at an app it names or run something in it; that app Visible judges.
// A caller with a key of its own is not bounded.
func (h *Host) bounded(by Caller, app, command string) error {
	if by.Apps == "" {
		return nil
	}
	if app != "" {
		if len(h.among(by, []string{app})) > 0 {
			return nil
		}
		return api.Errorf(api.Refused, command, "Access denied to the app %s: the certificate of %s is for %s", app, by.Name, granted(by.Apps)).
			WithHint("dokku-push auth github names the apps that it is for; the host's policy must allow each")
	}
	switch command {
	case "version", "help", "logs", "run", "apps:exists", "apps:list", "apps:report", "ps:report", "urls":
		return nil
	case "review:create", "review:destroy", "review:gc", "review:list":
		if strings.Contains(by.Apps, api.ReviewGrant) {
			return nil
		}
	}
	return api.Errorf(api.Refused, command, "Access denied: the certificate of %s may deploy %s and nothing else", by.Name, granted(by.Apps)).
		WithHint("use a key of its own for other commands: dokku ssh-keys:add, on the host; for review apps: dokku oidc:add --review")
}

// granted says in words what a certificate is for.
func granted(apps string) string { return strings.ReplaceAll(apps, api.ReviewGrant, "review apps of ") }

// among are those of the apps that a certificate is for.
func (h *Host) among(by Caller, apps []string) []string {
	if by.Apps == "" {
		return apps
	}
	mine := strings.Fields(by.Apps)
	return slices.DeleteFunc(slices.Clone(apps), func(app string) bool {
		return !slices.Contains(mine, app) && !h.reviewsOf(mine, app)
	})
}

// reviewsOf tells whether an app is a review app of one of those that are named behind
// api.ReviewGrant.
func (h *Host) reviewsOf(grants []string, app string) bool {
	if !slices.ContainsFunc(grants, func(word string) bool { return strings.HasPrefix(word, api.ReviewGrant) }) {
		return false
	}
	settings, err := h.Settings.Read(app)
	if err != nil {
		return false // whose it is cannot be known
	}
	review, is := reviewOf(app, settings)
	return is && slices.Contains(grants, api.ReviewGrant+review.Parent)
}

// Reviewable returns those of the apps of which a caller may make review apps.
func (h *Host) Reviewable(ctx context.Context, by Caller, apps []string) ([]string, error) {
	if by.Apps != "" {
		mine := strings.Fields(by.Apps)
		apps = slices.DeleteFunc(slices.Clone(apps), func(app string) bool { return !slices.Contains(mine, api.ReviewGrant+app) })
	}
	return h.seen(ctx, by, apps)
}

// MayMakeReview refuses a review app's name that a caller may not use. Whose it is, if it is
// there, decides who may: MakeReview looks again.
func (h *Host) MayMakeReview(ctx context.Context, by Caller, name string) error {
	look := h.Visible
	if !h.Settings.Has(name) {
		look = h.seen
	}
	return mayName(ctx, look, by, name)
}

// MayBring refuses what leads out of a review app, where the caller's certificate is for
// review apps alone: the tree that it deploys is any branch's.
func (h *Host) MayBring(by Caller, app string, document api.ReleaseDocument) error {
	if by.Apps == "" || slices.Contains(strings.Fields(by.Apps), app) {
		return nil
	}
	var brought []string
	if d := document.Declared; d != nil {
		for _, one := range []struct {
			said bool
			what string
		}{{len(d.Storage) > 0, "storage"}, {len(d.DockerOptions) > 0, "docker options"}, {len(d.Services) > 0, "services"}} {
			if one.said {
				brought = append(brought, one.what)
			}
		}
	}
	switch {
	case document.NginxTemplate != "" && !h.templateOfParent(app, document.NginxTemplate):
		brought = append(brought, "an nginx.conf.sigil that is not the app's own")
	case document.NginxTemplate == "" && document.Builder == "image":
		brought = append(brought, "an image that was built elsewhere, in which there may be an nginx.conf.sigil")
	}
	if len(brought) == 0 {
		return nil
	}
	return api.Errorf(api.Refused, "deploy", "%s may not bring %s: the certificate of %s is for %s", app, strings.Join(brought, ", "), by.Name, granted(by.Apps)).
		WithHint("leave it out of what counts for review apps, or deploy this one with a key")
}

// templateOfParent tells whether a review app's nginx.conf.sigil is that of its parent.
func (h *Host) templateOfParent(app, template string) bool {
	settings, err := h.Settings.Read(app)
	if err != nil {
		return false
	}
	review, _ := reviewOf(app, settings)
	parent, err := h.Settings.Read(review.Parent)
	return err == nil && parent.Template == template
}

// JobPrefix begins the name of a CI job that came with a certificate; behind it are the
// repository and the run. No key in authorized_keys can have such a name.
const JobPrefix = "github:"

// sameKey tells whether two names stand for one key. The runs of a repository's CI count as
// one, though each has a certificate of its own.
func sameKey(a, b string) bool {
	repository := func(name string) string {
		if end := strings.LastIndex(name, "/"); strings.HasPrefix(name, JobPrefix) && end > 0 {
			return name[:end]
		}
		return name
	}
	return repository(a) == repository(b)
}
