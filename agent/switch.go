package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/dokku-push/dokku-push/api"
)

// switchUndo is everything that the switch changes, as it was.
type switchUndo struct {
	Kept    string            `json:"kept"` // where the former nginx file is kept
	Renames []rename          `json:"renames"`
	Files   map[string]string `json:"files"` // CONTAINER., IP., PORT. files as they were
}

type rename struct {
	ID   string `json:"id"`
	From string `json:"from"`
	To   string `json:"to"`
}

// planSwitch works out which container takes which name.
func (r *run) planSwitch(ctx context.Context) (any, error) {
	app := r.change.App
	undo := switchUndo{Kept: r.Places.Kept(app, r.change.Request), Files: map[string]string{}}
	all, err := r.Host.appContainers(ctx, app)
	if err != nil {
		return nil, err
	}
	taken := map[string]string{}
	for _, c := range all {
		taken[c.Name] = c.ID
	}
	retired := "." + strconv.FormatInt(time.Now().Unix(), 10)
	for _, i := range r.old {
		if i.Name == i.finalName(app) {
			undo.Renames = append(undo.Renames, rename{ID: i.ID, From: i.Name, To: freeName(taken, i.Name+retired)})
		}
	}
	for _, i := range r.fresh {
		undo.Renames = append(undo.Renames, rename{ID: i.ID, From: i.Name, To: i.finalName(app)})
	}
	files, err := processFiles(r.Places.App(app))
	if err != nil {
		return nil, err
	}
	undo.Files = files
	return undo, nil
}

func freeName(taken map[string]string, name string) string {
	for n := 1; ; n++ {
		candidate := name
		if n > 1 {
			candidate += "-" + strconv.Itoa(n)
		}
		if _, used := taken[candidate]; !used {
			taken[candidate] = ""
			return candidate
		}
	}
}

// switchTraffic is the one moment at which traffic moves. Where nginx has to learn
// something too, new addresses are answered first, then nginx reloads, then the
// former addresses go: at no time does nginx name an address that nobody serves.
func (r *run) switchTraffic(ctx context.Context) error {
	undo, err := decodeUndo[switchUndo](r.begun[len(r.begun)-1].undo)
	if err != nil {
		return err
	}
	if err := r.refresh(); err != nil {
		return err
	}
	app := r.change.App
	for _, i := range r.fresh {
		if err := r.connect(ctx, "attach-post-deploy", i); err != nil {
			return err
		}
	}
	serving, err := r.serving(ctx)
	if err != nil {
		return err
	}
	backends := backendsOf(serving)
	if len(r.settings.Domains) > 0 || len(backends) > 0 {
		if err := r.moveTraffic(ctx, backends, serving, undo.Kept); err != nil {
			return err
		}
	}
	for _, change := range undo.Renames {
		if err := ignoreNotFound(r.Containers.Rename(ctx, change.ID, change.To)); err != nil {
			return fmt.Errorf("rename the container %s: %w", change.From, err)
		}
	}
	for n := range r.fresh {
		r.fresh[n].Name = r.fresh[n].finalName(app)
	}
	if err := r.Host.writeProcessFiles(app, serving); err != nil {
		return err
	}
	port, ip := firstWeb(backends)
	// Part of the switch: whoever fails here has the switch taken back.
	return r.fire(ctx, api.ProxyFailed, "core-post-deploy", app, port, ip, tag)
}

// serving are the containers of the new release with the addresses that they have now:
// one that was restarted since it was looked at may have another's former one.
func (r *run) serving(ctx context.Context) ([]instance, error) {
	serving := slices.Concat(r.kept, r.fresh)
	for n := range serving {
		c, err := r.Containers.Inspect(ctx, serving[n].ID)
		if err != nil {
			return nil, fmt.Errorf("look at %s: %w", serving[n].label(), err)
		}
		serving[n].Address = c.Address
	}
	return serving, nil
}

// moveTraffic sends the app's addresses to its new containers.
func (r *run) moveTraffic(ctx context.Context, backends []Backend, serving []instance, kept string) error {
	app := r.change.App
	if !r.settings.proxied() {
		if err := r.Traffic.Point(ctx, app, backends, true); err != nil {
			return fmt.Errorf("switch the address map: %w", err)
		}
		return nil // there is no site, and none is made
	}
	out := &lines{say: upTo(mostSaid, func(line string) { r.say(templateTrigger, "%s", line) })}
	conf, err := r.Host.render(WithStreams(Nested(ctx, r.change.Request), Streams{Out: out, Err: out}), app, r.settings, r.ports, serving, r.env())
	out.flush()
	if err != nil {
		return err
	}
	live, readErr := os.ReadFile(r.Places.NginxConf(app))
	if readErr != nil || string(live) != string(conf) {
		if err := r.Proxy.Check(ctx, app, conf); err != nil {
			return err
		}
	}
	if err := r.Traffic.Point(ctx, app, backends, false); err != nil {
		return fmt.Errorf("switch the address map: %w", err)
	}
	port, ip := firstWeb(backends)
	reloaded, err := r.Proxy.Swap(ctx, app, conf, kept, func() error {
		return r.fire(addAct(ctx, r.siteAct(app)), api.ProxyFailed, "nginx-pre-reload", app, port, ip)
	})
	if err != nil {
		return err
	}
	if reloaded {
		r.say("nginx", "nginx has loaded %s's new configuration", app)
	}
	if err := r.Traffic.Point(ctx, app, backends, true); err != nil {
		return fmt.Errorf("switch the address map: %w", err)
	}
	return nil
}

// render makes the app's nginx file for these containers.
func (h *Host) render(ctx context.Context, app string, settings Settings, ports []PortMap, serving []instance, env map[string]string) ([]byte, error) {
	backends := backendsOf(serving)
	upstream, err := h.Traffic.Listeners(ctx, app, backends)
	if err != nil {
		return nil, fmt.Errorf("give %s its addresses: %w", app, err)
	}
	listeners := map[string][]string{"web": upstream}
	for _, i := range serving {
		if i.Process != "web" && i.Address != "" {
			listeners[i.Process] = append(listeners[i.Process], i.Address)
		}
	}
	for _, list := range listeners {
		sort.Strings(list)
	}
	if static := settings.Properties["network/static-web-listener"]; static != "" {
		listeners["web"] = []string{static}
	}
	site := h.site(app, settings, ports)
	site.Listeners, site.Deployed, site.Env = listeners, len(listeners["web"]) > 0, env
	if err := h.template(ctx, &site); err != nil {
		return nil, err
	}
	conf, err := h.Proxy.Render(ctx, site)
	if err != nil {
		return nil, err
	}
	return conf, nil
}

// site is what an app's nginx file is made of, but for its containers.
func (h *Host) site(app string, settings Settings, ports []PortMap) Site {
	site := Site{App: app, Domains: settings.siteDomains(), Ports: ports, Template: settings.Template, Properties: settings.of("nginx")}
	moved := h.inherit(settings).of("proxy")
	for _, port := range ports { // proxy:set moves what no port map fixes
		if text := strconv.Itoa(port.Host); text == moved["proxy-port"] && port.Scheme == "http" {
			site.HTTPPort = port.Host
		} else if text == moved["proxy-ssl-port"] && port.Scheme == "https" {
			site.TLSPort = port.Host
		}
	}
	return site
}

// firstWeb is the port and address that triggers are told: the first web container's own.
func firstWeb(backends []Backend) (port, ip string) {
	if len(backends) == 0 {
		return "", ""
	}
	return strconv.Itoa(backends[0].Port), backends[0].Address
}

// undoSwitch is the switch backwards. Every part of it may be done already, or
// never have been done.
func undoSwitch(ctx context.Context, h *Host, app string, data json.RawMessage) error {
	undo, err := decodeUndo[switchUndo](data)
	if err != nil {
		return err
	}
	var failures []error
	try := func(what string, err error) {
		if err != nil {
			failures = append(failures, fmt.Errorf("%s: %w", what, err))
		}
	}
	var fresh []string // addresses of what is not to serve any more
	for _, change := range slices.Backward(undo.Renames) {
		c, err := h.Containers.Inspect(ctx, change.ID)
		if err == nil && change.To == c.Labels[labelApp]+"."+c.Labels[labelDyno] && c.Labels[labelProcess] == "web" && c.Address != "" {
			fresh = append(fresh, c.Address)
		}
		if err == nil && c.Name == change.To {
			err = h.Containers.Rename(ctx, change.ID, change.From)
		}
		try("rename "+change.To+" back", ignoreNotFound(err))
	}
	// Not where traffic led before: after a reboot another app's container may be there.
	running, lost := h.instances(ctx, app)
	point := func(exact bool) error {
		if lost != nil {
			return lost
		}
		return h.Traffic.Point(ctx, app, backendsOf(running), exact)
	}
	try("put the address map back", point(false))
	try("put the nginx file back", h.Proxy.Restore(ctx, app, undo.Kept))
	try("put the address map back", point(true))
	if len(failures) == 0 { // what was asked of the new containers meanwhile is answered before they go
		until := time.Now().Add(undoDrain)
		for _, address := range fresh {
			if _, err := h.Traffic.Drain(ctx, address, max(0, time.Until(until))); err != nil && ctx.Err() == nil {
				try("drain "+address, err)
			}
		}
	}
	try("put the container files back", putProcessFiles(h.Places.App(app), undo.Files))
	return errors.Join(failures...)
}

// undoDrain is how long the containers whose switch is taken back may go on answering.
const undoDrain = 10 * time.Second

// processFiles reads the CONTAINER.PROC.N, IP.PROC.N and PORT.PROC.N files of an app.
func processFiles(dir string) (map[string]string, error) {
	files := map[string]string{}
	for _, kind := range []string{"CONTAINER", "IP", "PORT"} {
		paths, err := filepath.Glob(filepath.Join(dir, kind+".*.*"))
		if err != nil {
			return nil, fmt.Errorf("list the container files: %w", err)
		}
		for _, path := range paths {
			text, err := os.ReadFile(path)
			if err != nil {
				return nil, fmt.Errorf("read a container file: %w", err)
			}
			files[filepath.Base(path)] = string(text)
		}
	}
	return files, nil
}

// writeProcessFiles tells plugins where the containers are (PLUGIN-CONTRACT 5.8).
func (h *Host) writeProcessFiles(app string, serving []instance) error {
	files := map[string]string{}
	for _, i := range serving {
		files["CONTAINER."+i.label()] = i.ID + "\n"
		files["IP."+i.label()] = i.Address + "\n"
		if i.Port != 0 {
			files["PORT."+i.label()] = strconv.Itoa(i.Port) + "\n"
		}
	}
	return putProcessFiles(h.Places.App(app), files)
}

// putProcessFiles makes the app's container files exactly these.
func putProcessFiles(dir string, files map[string]string) error {
	now, err := processFiles(dir)
	if err != nil {
		return err
	}
	for name := range now {
		if _, stays := files[name]; !stays {
			if err := os.Remove(filepath.Join(dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("remove a container file: %w", err)
			}
		}
	}
	for name, text := range files {
		if strings.TrimSpace(now[name]) == strings.TrimSpace(text) && now[name] != "" {
			continue
		}
		if err := writeFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			return fmt.Errorf("write a container file: %w", err)
		}
	}
	return nil
}
