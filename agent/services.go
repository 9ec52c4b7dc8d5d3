package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/dokku-push/dokku-push/api"
)

// Services are what plugins run beside the apps, databases for example. Whatever is done
// with one is a command of its plugin: PLUGIN:link SERVICE APP and its like
// (PLUGIN-CONTRACT 7.1).
type Services interface {
	// Installed tells whether a plugin of this name is enabled and not the core's.
	Installed(plugin string) bool
	// Has tells whether the plugin has a file for the command "plugin:word". One that
	// answers all of its commands in one file has none.
	Has(command string) bool
	// Run runs a Dokku command for whoever this process works for. The error says how it ended.
	Run(ctx context.Context, argv []string, streams Streams) error
}

// serviceLinks is what a release changes of an app's links, and what its undo takes back.
type serviceLinks struct {
	Link   []api.Service `json:"link,omitempty"`
	Unlink []api.Service `json:"unlink,omitempty"`
}

func (l serviceLinks) empty() bool { return len(l.Link) == 0 && len(l.Unlink) == 0 }

// declaresServices tells whether the document, or that of the last release, names services.
func (r *run) declaresServices() bool {
	return r.change.Kind.ships() && (len(servicesIn(r.document)) > 0 || r.current != nil && len(servicesIn(r.current.Document)) > 0)
}

// servicesIn are the services that a document wants linked.
func servicesIn(document api.ReleaseDocument) []api.Service {
	if document.Declared == nil {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(document.Declared.Services), func(s api.Service) bool { return !s.Link })
}

// lookAtServices asks the plugins what is linked, and works out what is to be. A plugin or
// a service that is not there refuses the release before anything has changed.
func (r *run) lookAtServices(ctx context.Context) (links serviceLinks, err error) {
	if !r.declaresServices() {
		return links, nil
	}
	wanted := servicesIn(r.document)
	for _, service := range wanted {
		linked, err := r.linked(ctx, service)
		if err != nil {
			return links, err
		}
		if !linked {
			links.Link = append(links.Link, service)
		}
	}
	if r.current == nil {
		return links, nil
	}
	for _, service := range servicesIn(r.current.Document) {
		if slices.Contains(wanted, service) || !r.hasPlugin(service) {
			continue
		}
		if linked, err := r.linked(ctx, service); err == nil && linked { // one that is gone is not linked any more
			links.Unlink = append(links.Unlink, service)
		}
	}
	return links, nil
}

func (r *run) hasPlugin(service api.Service) bool {
	return r.Services != nil && r.Services.Installed(service.Plugin)
}

// linked asks whether the app is linked to a service, which has to be there. A plugin that
// does not say so is believed to have kept what the last release asked for.
func (r *run) linked(ctx context.Context, service api.Service) (bool, error) {
	const op = "look for the service"
	plugin := service.Plugin
	if !r.hasPlugin(service) {
		return false, api.Errorf(api.Precondition, op, "the service %s is one of the plugin %s, which is not installed or not enabled", service.Name, plugin).
			WithHint("as root on the host: dokku plugin:install URL --name %s", plugin)
	}
	exists := r.Host.Exists(r.change.App) == nil
	if asks := plugin + ":linked"; exists && r.Services.Has(asks) {
		if _, err := r.Host.serviceCommand(ctx, asks, service.Name, r.change.App); err == nil {
			return true, nil
		}
	} else if exists && r.current != nil && slices.Contains(servicesIn(r.current.Document), service) {
		return true, nil
	}
	if asks := plugin + ":exists"; r.Services.Has(asks) {
		if said, err := r.Host.serviceCommand(ctx, asks, service.Name); err != nil {
			return false, api.Errorf(api.Precondition, op, "%s has no service %s: %s", plugin, service.Name, because(said, err)).
				WithHint("dokku %s:create %s", plugin, service.Name)
		}
	}
	return false, nil
}

// serviceCommand runs a command of a service's plugin and returns its last words on
// stderr. What it prints on stdout may hold a password, and goes nowhere.
func (h *Host) serviceCommand(ctx context.Context, argv ...string) (said string, err error) {
	most := triggerTimeout
	if h.Config.TriggerTimeout > 0 {
		most = time.Duration(h.Config.TriggerTimeout) * time.Second
	}
	ctx, cancel := context.WithTimeoutCause(ctx, most, fmt.Errorf("it did not end within %s (trigger_timeout in the host's host.json)", most))
	defer cancel()
	var problems limitedBuffer
	err = h.Services.Run(ctx, argv, Streams{Err: &problems})
	if err != nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	lines := strings.Split(strings.TrimSpace(problems.String()), "\n")
	return strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(lines[len(lines)-1]), "!")), err
}

// because is a command's own reason, or how it ended when it gave none.
func because(said string, err error) string {
	if said != "" {
		return said
	}
	return err.Error()
}

// planServices notes what is about to be linked, for the undo.
func (r *run) planServices(ctx context.Context) (any, error) {
	links, err := r.lookAtServices(ctx)
	return links, err
}

// linkServices links and unlinks through the plugins' own commands. They write config and
// docker options of the app; the containers that start next have them.
func (r *run) linkServices(ctx context.Context) error {
	links, err := decodeUndo[serviceLinks](r.begun[len(r.begun)-1].undo)
	if err != nil || links.empty() {
		return err
	}
	for _, service := range links.Unlink {
		if err := r.Host.changeLink(ctx, "unlink", service, r.change.App); err != nil {
			return err
		}
		r.say("services", "unlinked %s:%s", service.Plugin, service.Name)
	}
	for _, service := range links.Link {
		if err := r.Host.changeLink(ctx, "link", service, r.change.App); err != nil {
			return err
		}
		r.say("services", "linked %s:%s", service.Plugin, service.Name)
	}
	if r.settings, err = r.Settings.Read(r.change.App); err != nil {
		return fmt.Errorf("read what the services' plugins have set: %w", err)
	}
	return nil
}

// changeLink runs PLUGIN:link or PLUGIN:unlink. The app does not restart for it.
func (h *Host) changeLink(ctx context.Context, word string, service api.Service, app string) error {
	said, err := h.serviceCommand(ctx, service.Plugin+":"+word, service.Name, app, "--no-restart")
	if err == nil {
		return nil
	}
	return api.Errorf(api.Precondition, word+" the service "+service.Name, "%s:%s failed: %s", service.Plugin, word, because(said, err)).
		WithHint("dokku %s:%s %s %s shows more", service.Plugin, word, service.Name, app)
}

// undoServices takes links back as far as it can be told that they were made: it asks, for
// the process that made them may have died in between. It may be called any number of times.
func undoServices(ctx context.Context, h *Host, app string, undo json.RawMessage) error {
	links, err := decodeUndo[serviceLinks](undo)
	if err != nil || links.empty() {
		return err
	}
	var failures []error
	back := func(word string, services []api.Service, wanted bool) {
		for _, service := range slices.Backward(services) {
			if h.Services == nil || !h.Services.Installed(service.Plugin) {
				continue // it went, and its links with it
			}
			if asks := service.Plugin + ":linked"; h.Services.Has(asks) {
				_, err := h.serviceCommand(ctx, asks, service.Name, app)
				if (err == nil) == wanted {
					continue
				}
			}
			failures = append(failures, h.changeLink(ctx, word, service, app))
		}
	}
	back("unlink", links.Link, false)
	back("link", links.Unlink, true)
	return errors.Join(failures...)
}

// serviceChanges are the links that a release would make and take away.
func serviceChanges(links serviceLinks) []api.PlanChange {
	var changes []api.PlanChange
	for _, service := range links.Link {
		changes = append(changes, api.PlanChange{Kind: "service", Name: service.Plugin + ":" + service.Name, Action: api.Add, Note: "link"})
	}
	for _, service := range links.Unlink {
		changes = append(changes, api.PlanChange{Kind: "service", Name: service.Plugin + ":" + service.Name, Action: api.Remove, Note: "unlink"})
	}
	return changes
}
