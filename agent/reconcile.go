package agent

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/dokku-push/dokku-push/api"
)

// mapped is a Traffic that can tell where it leads. Without it an app's own files say
// where its site leads.
type mapped interface {
	// Ensure puts back what is missing of the map itself, after a boot or a firewall's reload.
	Ensure(ctx context.Context) error
	// Leads tells where each app's addresses lead, in the order of the indexes.
	Leads(ctx context.Context) (map[string][]Backend, error)
	// Unpoint takes these backends of an app away, each only if it is still led to.
	Unpoint(ctx context.Context, app string, backends []Backend) error
}

// Reconcile makes traffic lead to where the containers are now, app by app: at boot, after
// an engine restart and whenever a container comes back with another address. What leads
// to a container that is no more goes first, for all apps, so that no app's address ever
// leads to another app. An app that is being deployed is otherwise left alone, for its
// deploy moves the traffic itself: busy names such apps, which are to be looked at again.
// No apps means all.
func (h *Host) Reconcile(ctx context.Context, apps ...string) (busy []string, err error) {
	if len(apps) == 0 {
		if apps, err = h.Settings.Apps(); err != nil {
			return nil, fmt.Errorf("list the apps: %w", err)
		}
	}
	leads, err := h.leads(ctx)
	if err != nil {
		return nil, err
	}
	var failures []error
	for _, app := range apps {
		failures = append(failures, h.letGo(ctx, app, leads))
	}
	for _, app := range apps {
		done, err := h.reconcileOne(ctx, app)
		if !done {
			busy = append(busy, app)
		}
		failures = append(failures, err)
	}
	return busy, errors.Join(failures...)
}

// leads tells where the apps' addresses lead; nil where there is no map.
func (h *Host) leads(ctx context.Context) (map[string][]Backend, error) {
	traffic, ok := h.Traffic.(mapped)
	if !ok {
		return nil, nil
	}
	leads, err := traffic.Leads(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the address map: %w", err)
	}
	return leads, nil
}

// letGo takes away what leads to no running container of the app. It asks for no lock: a
// deploy can only be about to point somewhere else. The map was read before the engine is
// asked, so that what a deploy has just pointed at is not mistaken for a leftover.
func (h *Host) letGo(ctx context.Context, app string, leads map[string][]Backend) error {
	if len(leads[app]) == 0 {
		return nil
	}
	all, err := h.appContainers(ctx, app)
	if err != nil {
		return err
	}
	gone := slices.DeleteFunc(slices.Clone(leads[app]), func(b Backend) bool {
		return slices.ContainsFunc(all, func(c Container) bool { return c.Running && c.Address == b.Address })
	})
	if len(gone) == 0 {
		return nil
	}
	if err := h.Traffic.(mapped).Unpoint(ctx, app, gone); err != nil {
		return fmt.Errorf("take what is no more of %s out of the address map: %w", app, err)
	}
	return nil
}

// LetAllGo empties the address map: nobody knows any more whose the containers'
// addresses are, for the engine is lost.
func (h *Host) LetAllGo(ctx context.Context) error {
	if err := h.Traffic.Sync(ctx, nil); err != nil {
		return fmt.Errorf("empty the address map: %w", err)
	}
	return nil
}

// Ensure puts back what is missing of the address map itself: until it is there, an app's
// address leads out of the machine.
func (h *Host) Ensure(ctx context.Context) error {
	if traffic, ok := h.Traffic.(mapped); ok {
		return traffic.Ensure(ctx)
	}
	return nil
}

func (h *Host) reconcileOne(ctx context.Context, app string) (done bool, err error) {
	if h.Exists(app) != nil {
		return true, nil // and a lock would leave its file
	}
	lock, _, err := h.Ledger.Lock(app, api.Lock{Key: "watch", PID: ownPID(), Since: time.Now()})
	if err != nil || lock == nil {
		return err != nil, err
	}
	if err := errors.Join(h.reconcileLocked(ctx, app), lock.Unlock()); err != nil {
		return true, fmt.Errorf("lead traffic to %s: %w", app, err)
	}
	return true, nil
}

// reconcileLocked is Reconcile of one app for one who holds its lock. It writes only
// what is not so already.
func (h *Host) reconcileLocked(ctx context.Context, app string) error {
	leads, err := h.leads(ctx)
	if err != nil {
		return err
	}
	if err := h.letGo(ctx, app, leads); err != nil {
		return err
	}
	running, err := h.instances(ctx, app)
	if err != nil {
		return err
	}
	backends := backendsOf(running)
	if leads == nil || !slices.Equal(leads[app], backends) {
		if err := h.Traffic.Point(ctx, app, backends, true); err != nil {
			return err
		}
	}
	return h.readdress(ctx, app, running)
}

// readdress writes the containers' addresses into the files that plugins read, if they are
// others. Where there is no map, the site leads where those files say, and is made anew.
func (h *Host) readdress(ctx context.Context, app string, running []instance) error {
	dir := h.Places.App(app)
	former, err := processFiles(dir)
	if err != nil {
		return err
	}
	files := maps.Clone(former)
	if _, ok := h.Traffic.(mapped); !ok {
		maps.DeleteFunc(files, func(name, _ string) bool { return strings.HasPrefix(name, "IP.web.") })
	}
	for _, i := range running {
		files["IP."+i.label()] = i.Address + "\n"
		if _, known := files["CONTAINER."+i.label()]; !known {
			files["CONTAINER."+i.label()] = i.ID + "\n"
		}
		if i.Port != 0 {
			files["PORT."+i.label()] = strconv.Itoa(i.Port) + "\n"
		}
	}
	if maps.EqualFunc(former, files, func(a, b string) bool { return strings.TrimSpace(a) == strings.TrimSpace(b) }) {
		return nil
	}
	if _, ok := h.Traffic.(mapped); !ok {
		if err := h.renewSite(ctx, app); err != nil {
			return err
		}
	}
	return putProcessFiles(dir, files)
}

// renewSite makes an app's nginx site for its settings and for the containers that run now.
// An app that was never deployed has one when it has a port map: it answers 502, with what
// plugins include (PLUGIN-CONTRACT 6.6). One whose proxy is disabled has none.
func (h *Host) renewSite(ctx context.Context, app string) error {
	kept := filepath.Join(h.Places.AppData(app), "journal", "site.nginx.conf")
	err := h.renewSiteKeeping(ctx, app, kept)
	_ = os.Remove(kept) // at worst they stay until the next time
	_ = os.Remove(kept + ".absent")
	return err
}

// renewSiteKeeping is renewSite for one who still needs the former file.
func (h *Host) renewSiteKeeping(ctx context.Context, app, kept string) error {
	current, err := h.currentRecord(app)
	if err != nil {
		return err
	}
	settings, err := h.Settings.Read(app)
	if err != nil {
		return fmt.Errorf("read the settings of %s: %w", app, err)
	}
	if current == nil && len(settings.Ports) == 0 && settings.Properties["network/static-web-listener"] == "" {
		return h.dropUndeployed(ctx, app)
	}
	if !settings.proxied() {
		return h.Proxy.Remove(ctx, app)
	}
	ports, err := h.portMaps(settings)
	if err != nil {
		return err
	}
	running, err := h.instances(ctx, app)
	if err != nil {
		return err
	}
	conf, err := h.render(ctx, app, settings, ports, running, settings.Env)
	if err != nil {
		return err
	}
	if err := h.Proxy.Check(ctx, app, conf); err != nil {
		return err
	}
	port, ip := firstWeb(backendsOf(running))
	_, err = h.Proxy.Swap(ctx, app, conf, kept, func() error {
		return h.fire(addAct(ctx, h.siteAct(app)), "nginx-pre-reload", app, port, ip)
	})
	if err != nil || hasAct(ctx, remakesSite+app) {
		return err
	}
	// Once more if a plugin of nginx-pre-reload has changed what it is made of, and no more
	// often: one that does so each time would never end.
	if now, err := h.Settings.Read(app); err != nil || sameSite(settings, now) {
		return err
	}
	return h.renewSite(addAct(ctx, remakesSite+app), app)
}

// dropUndeployed takes the 502 site of an app away that has lost its port map. One that
// a plugin wrote for itself is the plugin's.
func (h *Host) dropUndeployed(ctx context.Context, app string) error {
	if _, err := os.Stat(h.Places.NginxLoaded(app)); err != nil {
		return nil
	}
	return h.Proxy.Remove(ctx, app)
}

// Mend is all that can be done for an app that something happened to: what a dead process
// left is finished or undone, with restore the containers that did not come back are
// started, and traffic leads to where they are. The watch does it at boot, after an engine
// restart and once a minute, `dokku-agent recover` when it is asked to.
func (h *Host) Mend(ctx context.Context, app string, restore bool) error {
	err := h.Recover(ctx, app)
	if restore {
		err = errors.Join(err, h.restore(ctx, app))
	}
	_, reconciled := h.Reconcile(ctx, app)
	return errors.Join(err, reconciled)
}

// mostStarts is how many containers of an app are started at the same time.
const mostStarts = 4

// restore starts the containers of an app's current release that do not run. An app that
// was stopped (ps:stop) stays so. One that is being deployed is its deploy's; whoever else
// is at the app, such as the watch that leads traffic, has gone in a moment.
func (h *Host) restore(ctx context.Context, app string) error {
	if h.Exists(app) != nil {
		return nil
	}
	err := h.withLock(ctx, app, Caller{Name: "watch"}, 0, func(ctx context.Context) error { return h.restoreLocked(ctx, app) })
	if err != nil && api.AsError(err).Code != api.Locked {
		return fmt.Errorf("start what did not come back of %s: %w", app, err)
	}
	return nil
}

func (h *Host) restoreLocked(ctx context.Context, app string) error {
	settings, err := h.Settings.Read(app)
	if err != nil {
		return err
	}
	current, err := h.currentRecord(app)
	if err != nil || current == nil || settings.Properties["ps/restore"] == "false" {
		return err
	}
	all, err := h.appContainers(ctx, app)
	if err != nil {
		return err
	}
	down := slices.DeleteFunc(all, func(c Container) bool {
		i, ok := instanceOf(c)
		return !ok || c.Running || c.Name != i.finalName(app)
	})
	if len(down) == 0 {
		return nil
	}
	told := h.beforeRestore(ctx, app)
	places := make(chan struct{}, mostStarts)
	failures := make([]error, len(down))
	var wait sync.WaitGroup
	for n, c := range down {
		wait.Go(func() {
			places <- struct{}{}
			defer func() { <-places }()
			failures[n] = ignoreNotFound(h.Containers.Start(ctx, c.ID))
		})
	}
	wait.Wait()
	return errors.Join(append(failures, told)...)
}

// beforeRestore lets plugins start what an app needs. One that fails keeps no app down.
func (h *Host) beforeRestore(ctx context.Context, app string) error {
	return errors.Join(h.fire(ctx, "pre-restore", scheduler, app), h.fire(ctx, "scheduler-pre-restore", scheduler, app), h.fire(ctx, "pre-start", app))
}
