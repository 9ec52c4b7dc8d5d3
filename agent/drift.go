package agent

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/dokku-push/dokku-push/api"
)

const opDrift = "look for drift"

// What is found is looked at again after a pause: what one look finds and the next does
// not was not drift but the watch at work. An app at which somebody always is, is judged
// by the last of so many looks.
const (
	driftPause = 150 * time.Millisecond
	driftLooks = 100
)

// pointing is a Traffic that can tell where it leads.
type pointing interface {
	// Pointed returns where the app's addresses lead: the backend that each index has.
	Pointed(ctx context.Context, app string) ([]Backend, error)
}

// observed is everything that drift is judged by. Nothing in it is changed.
type observed struct {
	app, host  string
	record     *Record // the current release; nil: the app was never deployed
	settings   Settings
	global     map[string]string
	containers []Container      // of the app, of this host or of nobody
	images     map[string]Image // of the containers, by id
	gone       bool             // the release's image is not in the engine
	latest     string           // image of dokku/APP:latest; empty: none
	networks   []string         // that network:set attaches containers to
	foreign    bool             // plugins or docker options may add variables of their own
	work       work
	conf       []byte // the live nginx file; nil: there is none
	loaded     []byte // as the agent has written it; nil: not known
	fresh      [][]byte
	pointed    []Backend // where the address map leads
	mapped     bool      // there is one, and it was read
}

// Drift compares an app's current release with what runs, and changes nothing. While a
// deploy of the app runs there is nothing to compare: that is an error of code Locked.
// Of an app that does not exist it tells what is left, or NotFound.
func (h *Host) Drift(ctx context.Context, app string) (api.Drift, error) {
	drift := api.Drift{App: app, Findings: []api.DriftFinding{}}
	missing := h.Exists(app)
	if missing != nil {
		if api.AsError(missing).Code != api.NotFound {
			return drift, missing
		}
		left, err := h.leftoversOf(ctx, app)
		if err != nil || len(left) == 0 {
			return drift, errors.Join(err, missing)
		}
		drift.Findings = leftoverDrift(left)
		return drift, nil
	}
	o, err := h.settled(ctx, app)
	if err != nil {
		return drift, err
	}
	if o.record != nil {
		drift.Release = o.record.Version
	}
	drift.Findings = append(drift.Findings, o.drift()...)
	return drift, nil
}

// settled looks until nothing is found, or twice the same with nobody at the app.
func (h *Host) settled(ctx context.Context, app string) (observed, error) {
	var former []api.DriftFinding
	for looks := 1; ; looks++ {
		o, quiet, err := h.lookQuietly(ctx, app)
		if err != nil {
			return o, err
		}
		found := o.drift()
		if len(found) == 0 || looks == driftLooks || quiet && looks > 1 && reflect.DeepEqual(found, former) {
			return o, nil
		}
		former = found
		select {
		case <-ctx.Done():
			return o, context.Cause(ctx)
		case <-time.After(driftPause):
		}
	}
}

// lookQuietly looks while no deploy of the app runs, and tells whether nobody else, such as
// the watch, was at the app.
func (h *Host) lookQuietly(ctx context.Context, app string) (o observed, quiet bool, err error) {
	if _, err = h.quiet(app); err != nil {
		return o, false, err
	}
	if o, err = h.look(ctx, app); err != nil {
		return o, false, err
	}
	quiet, err = h.quiet(app) // one may have begun meanwhile
	return o, quiet, err
}

// quiet tells whether nobody is at the app. It is an error while the app is being deployed,
// up to the deploy's verdict.
func (h *Host) quiet(app string) (bool, error) {
	holder, err := h.Ledger.Holder(app)
	if err != nil {
		return false, fmt.Errorf("look at the deploy lock of %s: %w", app, err)
	}
	if holder == nil || holder.Request == "" || h.passing(app, holder) {
		return holder == nil, nil
	}
	return false, api.Errorf(api.Locked, opDrift, "%s is being deployed: %s", app, describeLock(holder)).WithHint("ask again when it is done")
}

// look reads everything that drift is judged by.
func (h *Host) look(ctx context.Context, app string) (observed, error) {
	o := observed{app: app, host: h.ID(), images: map[string]Image{}, networks: h.declaredNetworks(app)}
	var err error
	if o.settings, err = h.Settings.Read(app); err != nil {
		return o, fmt.Errorf("read the settings of %s: %w", app, err)
	}
	global, err := h.Settings.Read("--global")
	if err != nil {
		return o, fmt.Errorf("read the global settings: %w", err)
	}
	o.global = global.Env
	if o.record, err = h.currentRecord(app); err != nil {
		return o, err
	}
	if o.work, err = h.openWork(app); err != nil {
		return o, err
	}
	if err := h.lookAtEngine(ctx, &o); err != nil {
		return o, err
	}
	if err := h.lookAtProxy(ctx, &o); err != nil {
		return o, err
	}
	o.foreign = o.settings.Properties[optionsDeploy] != ""
	for _, trigger := range []string{"docker-args-deploy", "docker-args-process-deploy"} {
		o.foreign = o.foreign || h.Walk.Has(trigger)
	}
	return o, nil
}

func (h *Host) lookAtEngine(ctx context.Context, o *observed) error {
	all, err := h.Containers.List(ctx, map[string]string{labelApp: o.app})
	if err != nil {
		return fmt.Errorf("list the containers of %s: %w", o.app, err)
	}
	for _, c := range all {
		if owner := c.Labels[labelHost]; owner != "" && owner != o.host {
			continue // another host's, on the same engine
		}
		o.containers = append(o.containers, c)
		if _, known := o.images[c.Image]; known {
			continue
		}
		image, err := h.Images.Image(ctx, c.Image)
		if err != nil && !errors.Is(err, ErrNotFound) {
			return fmt.Errorf("look at the image of %s: %w", c.Name, err)
		}
		o.images[c.Image] = image
	}
	if o.record == nil {
		return nil
	}
	if _, err := h.Images.Image(ctx, o.record.Run); errors.Is(err, ErrNotFound) {
		o.gone = true
	} else if err != nil {
		return fmt.Errorf("look at the release's image: %w", err)
	}
	latest, err := h.Images.Image(ctx, imageName(o.app, tag))
	if err != nil && !errors.Is(err, ErrNotFound) {
		return fmt.Errorf("look at the image %s: %w", imageName(o.app, tag), err)
	}
	o.latest = latest.ID
	return nil
}

// lookAtProxy reads the app's nginx file, makes it anew for comparison, and asks where
// the address map leads.
func (h *Host) lookAtProxy(ctx context.Context, o *observed) error {
	var err error
	if o.conf, err = readOptional(h.Places.NginxConf(o.app)); err != nil {
		return fmt.Errorf("read the nginx file of %s: %w", o.app, err)
	}
	if o.loaded, err = readOptional(h.Places.NginxLoaded(o.app)); err != nil {
		return fmt.Errorf("read what nginx has loaded for %s: %w", o.app, err)
	}
	running, err := h.instances(ctx, o.app)
	if err != nil {
		return err
	}
	o.fresh = h.freshSites(ctx, o, running)
	if traffic, ok := h.Traffic.(pointing); ok && o.record != nil {
		if o.pointed, err = traffic.Pointed(ctx, o.app); err != nil {
			return fmt.Errorf("read the address map: %w", err)
		}
		o.mapped = true
	}
	return nil
}

// freshSites are what the app's nginx file may look like when it is made anew: with the
// env of a deploy, and with that of a change of domains. There are none where a plugin
// edits the file, where containers are missing, or where it cannot be made at all.
func (h *Host) freshSites(ctx context.Context, o *observed, running []instance) [][]byte {
	if o.record == nil || h.Walk.Has("nginx-pre-reload") || len(running) != o.formationSize() {
		return nil
	}
	ports, err := h.portMaps(o.settings)
	if err != nil {
		return nil
	}
	var sites [][]byte
	for _, env := range []map[string]string{o.env(), o.settings.Env} {
		conf, err := h.render(ctx, o.app, o.settings, ports, running, env)
		if err != nil {
			return nil
		}
		sites = append(sites, conf)
	}
	return sites
}

// declaredNetworks are those that network:set attaches an app's containers to
// (PLUGIN-CONTRACT 5.8).
func (h *Host) declaredNetworks(app string) []string {
	var names []string
	for _, owner := range []string{"--global", app} {
		for _, key := range []string{"attach-post-create", "attach-post-deploy"} {
			text, err := os.ReadFile(h.Places.Property("network", owner, key))
			if err != nil {
				continue // not set
			}
			names = append(names, strings.FieldsFunc(string(text), func(r rune) bool { return r == ',' || r == '\n' || r == ' ' })...)
		}
	}
	return names
}

// env is what a container is to have: the app's config over the host's.
func (o observed) env() map[string]string {
	env := cloned(o.global)
	maps.Copy(env, o.settings.Env)
	return env
}

func (o observed) formationSize() int {
	size := 0
	for _, n := range o.record.Formation {
		size += n
	}
	return size
}

func readOptional(path string) ([]byte, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return slices.Concat([]byte{}, text), err // empty, but not nil
}
