package agent

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/dokku-push/dokku-push/api"
)

// Plan works out what a release would change, by the same code that Apply works
// with, and changes nothing: no container, no file of an app, no traffic. Plugins are
// asked for domains alone (nginx-hostname), which is a question.
func (h *Host) Plan(ctx context.Context, app string, request api.PlanRequest) (api.Plan, error) {
	plan := api.Plan{App: app}
	r := &run{Host: h, change: Change{App: app, Kind: Deploy, Signed: request.Signed}, document: request.Document, planning: true}
	var before api.AppState
	err := h.attempts(app, &before) // first: who ends while this looks has changed what it sees
	if err != nil {
		return plan, err
	}
	plan.Busy = before.Unfinished
	if plan.State, err = h.StateHash(ctx, app); err != nil {
		return plan, err
	}
	if plan.Document, err = h.Settings.Fingerprint(DocumentDigest(request.Document)); err != nil {
		return plan, err
	}
	if err := r.readFiles(); err != nil {
		return plan, err
	}
	plan.Exists = true
	if err := r.look(); errors.Is(err, ErrNotFound) {
		plan.Exists = false
		if err := r.lookAhead(ctx); err != nil {
			return plan, err
		}
	} else if err != nil {
		return plan, err
	}
	outlook, err := r.outlook(ctx, request.Exposed)
	if err != nil {
		return plan, err
	}
	if r.current != nil {
		plan.Current = r.current.Version
	}
	plan.URLs = h.served(app, outlook.after)
	if outlook.same {
		return plan, nil
	}
	if err := r.arrives(); err != nil {
		if plan.Refused = api.AsError(err); plan.Refused.Code != api.Refused {
			return plan, err
		}
	}
	plan.Next = r.version
	return plan, r.fill(ctx, &plan, outlook)
}

// lookAhead is look for an app that the release would create.
func (r *run) lookAhead(ctx context.Context) error {
	global, err := r.Settings.Read("--global")
	if err != nil {
		return fmt.Errorf("read the global settings: %w", err)
	}
	domains, err := r.Host.DefaultDomains(ctx, r.change.App)
	if err != nil {
		return err
	}
	r.global, r.version, r.firstEver = global.Env, 1, true
	r.settings = Settings{Domains: domains}.clone()
	return nil
}

// outlook is what a release would make of an app.
type outlook struct {
	before, after Settings
	running       []instance
	services      serviceLinks
	same          bool // all of it is so already
}

// outlook compares what is with what the change leads to. exposed are the image's
// ports where the engine does not have it yet.
func (r *run) outlook(ctx context.Context, exposed []string) (outlook, error) {
	o := outlook{before: r.settings.clone()}
	image, err := r.Images.Image(ctx, r.document.Image.ID)
	switch {
	case err == nil:
		r.image = image
	case errors.Is(err, ErrNotFound):
		r.image = Image{ID: r.document.Image.ID, Exposed: exposed}
	default:
		return o, fmt.Errorf("look for the image: %w", err)
	}
	if r.current != nil {
		if err := r.keepFiles(o.before); err != nil {
			return o, err
		}
	}
	if o.after, err = r.target(ctx, o.before); err != nil {
		return o, err
	}
	if err := r.checkDomains(o.before, o.after); err != nil {
		return o, err
	}
	if o.running, err = r.Host.instances(ctx, r.change.App); err != nil {
		return o, err
	}
	if o.services, err = r.lookAtServices(ctx); err != nil {
		return o, err
	}
	o.same = r.current != nil && o.services.empty() && r.current.Built == r.document.Image.ID && r.current.Document.Checks == r.document.Checks && len(settingsChanges(o.before, o.after, nil)) == 0 &&
		maps.Equal(counted(o.running), wanted(o.after.Scale))
	return o, nil
}

// keepFiles takes a file that the client did not change as the last release left it:
// core-post-extract may have edited it, or a foreign image have brought it.
func (r *run) keepFiles(before Settings) error {
	if r.document.Procfile == r.current.Document.Procfile {
		r.procfileText = before.Procfile
	}
	if r.document.AppJSON == r.current.Document.AppJSON {
		r.appJSONText = before.AppJSON
	}
	if r.document.Builder == "image" && r.document.NginxTemplate == r.current.Document.NginxTemplate {
		r.templateText = before.Template
	}
	return r.parseFiles()
}

// counted is how many containers each process type has.
func counted(running []instance) map[string]int {
	have := map[string]int{}
	for _, i := range running {
		have[i.Process]++
	}
	return have
}

// wanted is a scale without the types that have none.
func wanted(scale map[string]int) map[string]int {
	want := maps.Clone(scale)
	maps.DeleteFunc(want, func(_ string, n int) bool { return n == 0 })
	return want
}

// fill writes down everything that would change.
func (r *run) fill(ctx context.Context, plan *api.Plan, o outlook) error {
	if !plan.Exists {
		plan.Changes = append(plan.Changes, api.PlanChange{Kind: "app", Name: plan.App, Action: api.Add})
	}
	switch {
	case r.current == nil:
		plan.Changes = append(plan.Changes, api.PlanChange{Kind: "image", Action: api.Add, After: r.document.Image.ID})
	case r.current.Built != r.document.Image.ID:
		plan.Changes = append(plan.Changes, api.PlanChange{Kind: "image", Action: api.Update, Before: r.current.Built, After: r.document.Image.ID})
	}
	changes := settingsChanges(o.before, o.after, r.Settings.Fingerprint)
	secrets := r.document.Secrets
	for n := range changes {
		if changes[n].Kind == "config" && slices.Contains(secrets, changes[n].Name) {
			changes[n].Note = "secret"
		}
	}
	plan.Changes = append(plan.Changes, changes...)
	former := ""
	if r.current != nil {
		former = r.current.Document.Checks
	}
	if now := r.document.Checks; now != former {
		plan.Changes = append(plan.Changes, api.PlanChange{Kind: "checks", Name: "CHECKS", Action: actionOf(former != "", now != "")})
	}
	plan.Changes = append(plan.Changes, serviceChanges(o.services)...)
	for _, process := range slices.Sorted(maps.Keys(o.after.Scale)) {
		for index := 1; index <= o.after.Scale[process]; index++ {
			plan.Start = append(plan.Start, instance{Process: process, Index: index}.label())
		}
	}
	for _, i := range o.running {
		plan.Retire = append(plan.Retire, i.label())
	}
	slices.Sort(plan.Retire)
	for _, s := range steps() {
		if r.skips(s.name) {
			continue
		}
		plan.Steps = append(plan.Steps, api.PlannedStep{Name: s.name, Title: s.title, Undone: s.undo != nil && !s.commits})
	}
	plan.Runs = r.plannedRuns(o)
	plan.Warnings = r.plannedWarnings(ctx, o)
	var err error
	plan.Nginx, err = r.nginxDiff(ctx, o)
	return err
}

// nginxDiff shows how the app's nginx file would change. Addresses that nobody has
// yet are named by their container.
func (r *run) nginxDiff(ctx context.Context, o outlook) (string, error) {
	ports, err := r.Host.portMaps(o.after)
	if err != nil {
		return "", err
	}
	listeners, err := r.plannedListeners(ctx, o, webPort(ports))
	if err != nil {
		return "", err
	}
	env := cloned(r.global)
	maps.Copy(env, o.after.Env)
	if !o.after.proxied() || len(r.Walk.Ships(templateTrigger)) > 0 { // a plan asks no plugin
		return "", nil
	}
	site := r.Host.site(r.change.App, o.after, ports)
	site.Listeners, site.Deployed, site.Env = map[string][]string{"web": listeners}, len(listeners) > 0, env
	conf, err := r.Proxy.Render(ctx, site)
	if err != nil {
		return "", err
	}
	diff, err := r.Proxy.Diff(r.change.App, conf)
	if err != nil {
		return "", err
	}
	if o.before.Template != "" || o.after.Template != "" { // a template may print config: a plan never shows a value, the former ones' either
		former := r.global
		if r.current != nil {
			former = r.current.Settings.Env
		}
		diff = masked(diff, env, o.before.Env, former)
	}
	return diff, nil
}

// shortestMasked is the length of a value from which on it is worth hiding.
const shortestMasked = 4

// masked is a text without the values of configs, whole or line by line: the longest first,
// for one may hold another.
func masked(text string, envs ...map[string]string) string {
	var values []string
	for _, env := range envs {
		for value := range maps.Values(env) {
			values = append(values, value)
			for line := range strings.Lines(value) {
				values = append(values, strings.TrimSpace(line))
			}
		}
	}
	slices.SortFunc(values, func(a, b string) int { return len(b) - len(a) })
	for _, value := range slices.Compact(values) {
		if len(value) >= shortestMasked {
			text = strings.ReplaceAll(text, value, "****")
		}
	}
	return text
}

// plannedListeners are what nginx would name: the stable addresses that web
// processes have already, and placeholders for the rest.
func (r *run) plannedListeners(ctx context.Context, o outlook, port int) ([]string, error) {
	known := map[int]string{}
	if r.Traffic.Name() == "map" {
		backends := backendsOf(o.running)
		for n := range backends {
			backends[n].Port = port
		}
		addresses, err := r.Traffic.Listeners(ctx, r.change.App, backends)
		if err != nil {
			return nil, fmt.Errorf("look up the addresses of %s: %w", r.change.App, err)
		}
		for n, backend := range backends {
			known[backend.Index] = addresses[n]
		}
	}
	var listeners []string
	for index := 1; index <= o.after.Scale["web"]; index++ {
		address, ok := known[index]
		if !ok {
			address = fmt.Sprintf("<web.%d>:%d", index, port)
		}
		listeners = append(listeners, address)
	}
	return listeners, nil
}

// plannedWarnings are what a person should know before the release.
func (r *run) plannedWarnings(ctx context.Context, o outlook) []string {
	var warnings []string
	warn := func(format string, args ...any) { warnings = append(warnings, fmt.Sprintf(format, args...)) }
	info, err := r.Containers.Info(ctx)
	if err != nil {
		warn("the engine does not say what it is: %v", err)
		return warnings
	}
	if most := formationMemory(o.after); info.Memory > 0 && most > info.Memory {
		warn("memory: the formation may use %d MiB, the host has %d MiB", most>>20, info.Memory>>20)
	}
	if note := r.Host.certificateNote(r.change.App, time.Now()); note != "" {
		warn("certificate: %s", note)
	}
	if r.Traffic.Name() == "reload" && len(o.running) > 0 {
		warn("traffic is switched by reloading nginx on this host: idle keep-alive connections are closed")
	}
	for process := range o.after.Scale {
		if r.changesOff(o.after, process) {
			warn("checks are disabled for %s: its old containers are stopped before the new ones start", process)
		}
	}
	slices.Sort(warnings)
	return warnings
}

// changesOff is checksOff for settings that are not the app's yet.
func (r *run) changesOff(settings Settings, process string) bool {
	return (&run{settings: settings}).checksOff("disabled", process)
}

// formationMemory is the sum of the memory limits of all containers, in bytes.
func formationMemory(settings Settings) (sum int64) {
	for process, n := range settings.Scale {
		limit, _ := limits(settings, process)
		sum += limit * int64(n)
	}
	return sum
}

// FreeBytes is what is left on the disk of a folder; 0 when it cannot be known.
func FreeBytes(dir string) int64 {
	var stat syscall.Statfs_t
	if err := syscall.Statfs(dir, &stat); err != nil {
		return 0
	}
	return int64(stat.Bavail) * int64(stat.Bsize)
}
