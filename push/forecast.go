package push

import (
	"context"
	"maps"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/manifest"
)

// Forecast builds the project and says what its release would consist of. No host is asked,
// so it is compared with nothing: each change adds, and what the host has besides is not
// known. Of secrets only the names count; none need be set.
func Forecast(ctx context.Context, o Options) (api.Plan, error) {
	project, err := Load(o)
	if err != nil {
		return api.Plan{}, err
	}
	defer project.Close()
	secrets := project.App.Secrets
	project.App.Secrets = nil
	system, arch := "linux", runtime.GOARCH
	if platforms := project.App.Image.Platforms; len(platforms) > 0 && !slices.Contains(platforms, system+"/"+arch) {
		parts := strings.Split(platforms[0], "/")
		system, arch = parts[0], parts[len(parts)-1]
	}
	image, err := Build(ctx, o, project, system, arch)
	if err != nil {
		return api.Plan{}, err
	}
	document, err := documentOf(o, project, image)
	if err != nil {
		return api.Plan{}, err
	}
	plan := api.Plan{App: project.Name, Offline: true, Environment: o.Environment, Decided: project.decided, Changes: parts(document, project.App.Procfile, slices.Concat(secrets, project.withheld))}
	return plan, nil
}

// parts are what a release consists of, a line each. Of config and secrets it is the names.
func parts(document api.ReleaseDocument, procfile *manifest.Procfile, secrets []string) (changes []api.PlanChange) {
	add := func(kind, name, after string) {
		changes = append(changes, api.PlanChange{Kind: kind, Name: name, Action: api.Add, After: after})
	}
	add("image", "", document.Image.ID)
	names := slices.Concat(slices.Collect(maps.Keys(document.Config)), secrets)
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		add("config", name, "")
	}
	if procfile != nil {
		for _, name := range procfile.Scaled() {
			command, _ := procfile.Command(name)
			add("procfile", name, command)
		}
		if command, ok := procfile.Command(manifest.Release); ok {
			add("procfile", manifest.Release, command)
		}
	}
	for _, file := range []struct{ kind, name, text string }{{"app_json", "", document.AppJSON}, {"checks", "CHECKS", document.Checks}, {"nginx_template", "", document.NginxTemplate}} {
		if file.text != "" {
			add(file.kind, file.name, "")
		}
	}
	if document.Declared != nil {
		declaredParts(*document.Declared, add)
	}
	slices.SortStableFunc(changes[1:], func(a, b api.PlanChange) int { return strings.Compare(a.Kind, b.Kind) })
	return changes
}

// declaredParts are what dokku.hcl declares. Of variables in docker's options it is the names.
func declaredParts(declared api.Declared, add func(kind, name, after string)) {
	for _, name := range slices.Sorted(maps.Keys(declared.Formation)) {
		process := declared.Formation[name]
		if process.Quantity != nil {
			add("formation", name, strconv.Itoa(*process.Quantity))
		}
		for _, limit := range []struct{ key, value string }{{"limit.memory", strconv.FormatInt(process.Memory, 10)}, {"limit.cpu", process.CPU},
			{"stop-timeout-seconds", strconv.Itoa(process.StopTimeout)}, {"max-parallel", strconv.Itoa(process.MaxParallel)}} {
			if limit.value != "" && limit.value != "0" { // in the words of the host's plan
				add("resources", name+"."+limit.key, limit.value)
			}
		}
	}
	for kind, values := range map[string]*[]string{"domains": declared.Domains, "ports": declared.Ports} {
		if values != nil {
			add(kind, "", strings.Join(*values, ", "))
		}
	}
	for _, one := range declared.Storage {
		add("storage", "", one)
	}
	for kind, values := range map[string]map[string]string{"checks": declared.Checks, "nginx": declared.Nginx} {
		for _, key := range slices.Sorted(maps.Keys(values)) {
			add(kind, key, values[key])
		}
	}
	for _, phase := range slices.Sorted(maps.Keys(declared.DockerOptions)) {
		options := strings.Join(declared.DockerOptions[phase], " ")
		add("docker_options", phase, manifest.HideValues(options, func(string, string) string { return "…" }))
	}
	for _, service := range declared.Services {
		if service.Link {
			add("service", service.Name, service.Plugin)
		}
	}
}

// distrust takes out of a project what would have its build meet a secret, or leave
// something behind that another one trusts.
func (p *Project) distrust(o Options) {
	p.withheld = slices.Clone(p.App.Secrets)
	if left := distrusted(p.App); len(left) > 0 {
		o.Report(api.Event{Type: api.EventWarning, Time: time.Now(), Warning: "not read, and not compared: " + strings.Join(left, ", ")})
	}
}

// distrusted changes the app, and returns the names of the secrets that it had.
func distrusted(app *manifest.App) []string {
	left := slices.Concat(app.Secrets, app.Build.Secrets)
	app.Secrets, app.Build.Secrets, app.Build.SSH, app.Build.Cache = nil, nil, nil, manifest.BuildCache{}
	slices.Sort(left)
	return slices.Compact(left)
}

// unseen tells whether a change is about a config key that was not read here: that it would
// be removed is not so.
func (p *Project) unseen(change api.PlanChange) bool {
	return change.Kind == "config" && slices.Contains(p.withheld, change.Name)
}
