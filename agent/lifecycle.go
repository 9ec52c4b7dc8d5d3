package agent

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/manifest"
)

// NoSuchApp is the error for an app that does not exist, and for one that the caller
// may not see: nobody is to tell the two apart.
func NoSuchApp(app string) *api.Error {
	return &api.Error{Code: api.NotFound, Message: fmt.Sprintf("App %s does not exist", app),
		Hint: "apps:list shows the apps; apps:create makes one"}
}

// Exists returns nil for an app that exists, NotFound for one that does not.
func (h *Host) Exists(app string) error {
	if !h.Settings.Has(app) {
		return NoSuchApp(app)
	}
	return nil
}

// Create makes an app with its default domains and fires post-create
// (PLUGIN-CONTRACT 4.1). A failing plugin fails the command; the app stays, as in
// Dokku.
func (h *Host) Create(ctx context.Context, app string) error {
	if err := h.claim(app); err != nil {
		return err
	}
	return h.furnish(ctx, app)
}

// furnish gives an app that was claimed its domains, and tells plugins.
func (h *Host) furnish(ctx context.Context, app string) error {
	domains, err := h.DefaultDomains(ctx, app)
	if err != nil {
		return errors.Join(err, h.Settings.Destroy(app))
	}
	if err := h.begin(app, func(now *Settings) { now.Domains = domains }); err != nil {
		return err
	}
	return h.fire(ctx, "post-create", app)
}

// claim makes the folder of an app that was not there, or only half.
func (h *Host) claim(app string) error {
	if err := manifest.AppName(app); err != nil {
		return api.Errorf(api.Precondition, "create the app", "%w", err)
	}
	if entry, err := os.Lstat(h.Places.App(app)); err != nil {
		if err := h.Settings.Create(app); err != nil {
			return fmt.Errorf("create the app %s: %w", app, err)
		}
	} else if !entry.IsDir() || h.Exists(app) != nil {
		return api.Errorf(api.Precondition, "create the app", "%s is a name that the host needs itself", app)
	} else if half, err := h.halfCreated(app); err != nil {
		return err
	} else if !half {
		return api.Errorf(api.Precondition, "create the app", "Name is already taken")
	}
	return nil
}

// begin gives a claimed app its first settings; what fails takes it away again.
func (h *Host) begin(app string, first func(now *Settings)) error {
	_, _, err := h.Settings.Change(app, func(now *Settings) error {
		*now = now.clone()
		first(now)
		now.Properties["apps/created-at"] = strconv.FormatInt(time.Now().Unix(), 10)
		return nil
	})
	if err != nil {
		return errors.Join(fmt.Errorf("create the app %s: %w", app, err), h.Settings.Destroy(app))
	}
	return nil
}

// halfCreated tells an app whose creation was cut off: it has its folder and nothing else.
// Who creates it or deploys it the next time goes on with that.
func (h *Host) halfCreated(app string) (bool, error) {
	settings, err := h.Settings.Read(app)
	if err != nil {
		return false, fmt.Errorf("read the settings of %s: %w", app, err)
	}
	versions, err := h.Ledger.Versions(app)
	if err != nil {
		return false, fmt.Errorf("read the releases of %s: %w", app, err)
	}
	return len(versions)+len(settings.Env)+len(settings.Domains)+len(settings.Properties) == 0, nil
}

// fire walks a trigger for a command: what it prints goes where the command prints.
func (h *Host) fire(ctx context.Context, name string, args ...string) error {
	if err := h.trigger(ctx, name, args, StreamsOf(ctx)); err != nil {
		return api.Errorf(api.Unclassified, "run the trigger "+name, "%w", err)
	}
	return nil
}

type streamsKey struct{}

// WithStreams says where triggers of commands print.
func WithStreams(ctx context.Context, streams Streams) context.Context {
	return context.WithValue(ctx, streamsKey{}, streams)
}

// StreamsOf returns what WithStreams said; nothing by default.
func StreamsOf(ctx context.Context) Streams {
	streams, _ := ctx.Value(streamsKey{}).(Streams)
	return Streams{Out: streams.Out, Err: streams.Err}
}

// DefaultDomains are the app's name under each global domain, or what the
// nginx-hostname trigger says instead (PLUGIN-CONTRACT 4.1).
func (h *Host) DefaultDomains(ctx context.Context, app string) ([]string, error) {
	global, err := h.Settings.Read("--global")
	if err != nil {
		return nil, fmt.Errorf("read the global domains: %w", err)
	}
	var domains []string
	for _, vhost := range global.Domains {
		var answer limitedBuffer
		if err := h.trigger(ctx, "nginx-hostname", []string{app, app, vhost}, Streams{Out: &answer, Err: StreamsOf(ctx).Err}); err != nil {
			return nil, api.Errorf(api.Unclassified, "run the trigger nginx-hostname", "%w", err)
		}
		domain := strings.TrimSpace(answer.String())
		if domain == "" {
			if domain = app; !strings.Contains(app, ".") {
				domain += "." + vhost
			}
		}
		if !slices.Contains(domains, domain) {
			domains = append(domains, domain)
		}
	}
	return domains, nil
}

func (h *Host) removeContainers(ctx context.Context, app string) error {
	all, err := h.Containers.List(ctx, map[string]string{labelApp: app, labelHost: h.ID()})
	if err != nil {
		return fmt.Errorf("list the containers: %w", err)
	}
	for _, c := range all {
		if err := ignoreNotFound(h.Containers.Stop(ctx, c.ID, 10*time.Second)); err != nil {
			return fmt.Errorf("stop %s: %w", c.Name, err)
		}
		if err := ignoreNotFound(h.Containers.Remove(ctx, c.ID)); err != nil {
			return fmt.Errorf("remove %s: %w", c.Name, err)
		}
	}
	return nil
}

// removeImages lets all names go that an app has in the engine, and what only they have kept.
func (h *Host) removeImages(ctx context.Context, app string) error {
	names, err := h.Images.Names(ctx, "dokku/"+app)
	if err != nil {
		return fmt.Errorf("list the images: %w", err)
	}
	for _, name := range names {
		image, err := h.Images.Image(ctx, name)
		if errors.Is(err, ErrNotFound) {
			continue
		} else if err != nil {
			return fmt.Errorf("look at the image %s: %w", name, err)
		}
		if len(image.Names) == 1 { // the name that it is found by goes last, or who is cut off here leaves it
			for _, ref := range image.Digests {
				if err := ignoreNotFound(h.Images.Untag(ctx, ref)); err != nil {
					return fmt.Errorf("remove the reference %s: %w", ref, err)
				}
			}
		}
		if err := ignoreNotFound(h.Images.Untag(ctx, name)); err != nil {
			return fmt.Errorf("remove the image %s: %w", name, err)
		}
		if err := h.dropImage(ctx, app, image.ID); err != nil {
			return err
		}
	}
	built := api.BuiltImage(app)
	if err := ignoreNotFound(h.Images.Untag(ctx, built)); err != nil {
		return fmt.Errorf("remove the image %s: %w", built, err)
	}
	return h.removeCaches(ctx, app)
}

// removeCaches lets the volumes go that buildpacks have kept on this host for an app's next build.
func (h *Host) removeCaches(ctx context.Context, app string) error {
	volumes, err := h.Containers.Volumes(ctx, api.BuildCaches(app))
	if err != nil {
		return fmt.Errorf("list the caches of builds: %w", err)
	}
	for _, volume := range volumes {
		if !api.IsBuildCache(app, volume) {
			continue
		}
		if err := h.Containers.RemoveVolume(ctx, volume); err != nil {
			return fmt.Errorf("remove the cache of builds %s: %w", volume, err)
		}
	}
	return nil
}

// Serve brings an app's nginx site up to its settings: after its domains, ports
// or certificates changed.
func (h *Host) Serve(ctx context.Context, app string, by Caller) error {
	if h.siteFollows(ctx, app) {
		return nil
	}
	return h.withLock(ctx, app, by, time.Minute, func(ctx context.Context) error { return h.renewSite(ctx, app) })
}
