package agent

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/manifest"
)

// settingsChanges lists what differs between two settings, in the order in which people
// read it. fingerprint stands for the values of config; nil leaves them out. Where the
// sources came from does not count.
func settingsChanges(before, after Settings, fingerprint func(string) (string, error)) []api.PlanChange {
	var changes []api.PlanChange
	print := func(key, value string) string {
		if fingerprint == nil {
			return ""
		}
		text, err := fingerprint(key + "=" + value)
		if err != nil {
			return "?"
		}
		return text
	}
	changes = append(changes, mapChanges("config", without(before.Env, after.RevisionKey()), without(after.Env, after.RevisionKey()), print)...)
	changes = append(changes, mapChanges("formation", numbers(before.Scale), numbers(after.Scale), plain)...)
	changes = append(changes, listChanges("domains", before.Domains, after.Domains)...)
	changes = append(changes, listChanges("ports", before.Ports, after.Ports)...)
	changes = append(changes, propertyChanges(before.Properties, after.Properties, print)...)
	for _, file := range []struct{ kind, before, after string }{
		{"procfile", before.Procfile, after.Procfile}, {"app_json", before.AppJSON, after.AppJSON}, {"nginx_template", before.Template, after.Template},
	} {
		if file.before != file.after {
			changes = append(changes, api.PlanChange{Kind: file.kind, Action: actionOf(file.before != "", file.after != "")})
		}
	}
	return changes
}

func plain(_, value string) string { return value }

// without is a map less one key.
func without(m map[string]string, key string) map[string]string {
	m = cloned(m)
	delete(m, key)
	return m
}

func numbers(scale map[string]int) map[string]string {
	text := map[string]string{}
	for process, n := range scale {
		if n != 0 {
			text[process] = strconv.Itoa(n)
		}
	}
	return text
}

func actionOf(had, has bool) api.Action {
	switch {
	case !had:
		return api.Add
	case !has:
		return api.Remove
	}
	return api.Update
}

// mapChanges compares two maps; show tells how a value is shown.
func mapChanges(kind string, before, after map[string]string, show func(key, value string) string) []api.PlanChange {
	keys := maps.Clone(after)
	if keys == nil {
		keys = map[string]string{}
	}
	maps.Copy(keys, before)
	var changes []api.PlanChange
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		was, had := before[key]
		is, has := after[key]
		if had == has && was == is {
			continue
		}
		change := api.PlanChange{Kind: kind, Name: key, Action: actionOf(had, has)}
		if had {
			change.Before = show(key, was)
		}
		if has {
			change.After = show(key, is)
		}
		changes = append(changes, change)
	}
	return changes
}

// listChanges compares two lists whose order means nothing to a person; that it
// changed alone is one change.
func listChanges(kind string, before, after []string) []api.PlanChange {
	var changes []api.PlanChange
	for _, value := range before {
		if !slices.Contains(after, value) {
			changes = append(changes, api.PlanChange{Kind: kind, Name: value, Action: api.Remove})
		}
	}
	for _, value := range after {
		if !slices.Contains(before, value) {
			changes = append(changes, api.PlanChange{Kind: kind, Name: value, Action: api.Add})
		}
	}
	if len(changes) == 0 && !slices.Equal(before, after) {
		changes = append(changes, api.PlanChange{Kind: kind, Action: api.Update, Before: strings.Join(before, " "), After: strings.Join(after, " ")})
	}
	return changes
}

// kindOfPlugin is what people call the properties of a plugin.
var kindOfPlugin = map[string]string{"checks": "checks", "nginx": "nginx", "resource": "resources", "ps": "resources", "ports": "ports", "docker-options": "docker_options"}

// propertyChanges compares properties. print stands for the value of a variable that docker's
// options set, as it does for config's.
func propertyChanges(before, after map[string]string, print func(key, value string) string) []api.PlanChange {
	values := func(of map[string]string) map[string]string {
		of = cloned(of)
		maps.DeleteFunc(of, func(property, _ string) bool { return isList(property) })
		return of
	}
	changes := mapChanges("", values(before), values(after), plain)
	for n := range changes {
		plugin, key, _ := strings.Cut(changes[n].Name, "/")
		changes[n].Kind, changes[n].Name = kindOfPlugin[plugin], key
		if changes[n].Kind == "" {
			changes[n].Kind, changes[n].Name = "property", plugin+"/"+key
		}
		changes[n].Before, changes[n].After = strings.ReplaceAll(changes[n].Before, "\n", " "), strings.ReplaceAll(changes[n].After, "\n", " ")
	}
	for _, property := range []string{optionsBuild, optionsDeploy, optionsRun} {
		phase := property[strings.LastIndexByte(property, '.')+1:]
		for _, change := range listChanges("docker_options", linesOf(before[property]), linesOf(after[property])) {
			if mount, ok := strings.CutPrefix(change.Name, "-v "); ok {
				change.Kind, change.Name = "storage", mount
			} else {
				for _, text := range []*string{&change.Name, &change.Before, &change.After} {
					*text = manifest.HideValues(*text, print)
				}
			}
			change.Note = "for " + phase
			changes = append(changes, change)
		}
	}
	return changes
}

// plannedRuns lists the triggers that plugins ship and the app's scripts, in the order
// of DESIGN 6. What a script does outside its container no undo can take back.
func (r *run) plannedRuns(o outlook) []api.PlannedRun {
	var runs []api.PlannedRun
	triggers := func(names ...string) {
		for _, name := range names {
			if plugins := r.Walk.Ships(name); len(plugins) > 0 {
				runs = append(runs, api.PlannedRun{Kind: "trigger", Name: name, Plugins: plugins})
			}
		}
	}
	script := func(name, command string) {
		if command != "" {
			runs = append(runs, api.PlannedRun{Kind: "script", Name: name, Command: command, Final: true})
		}
	}
	if r.firstEver && o.before.Properties["apps/created-at"] == "" {
		triggers("post-create")
	}
	triggers("deployed-app-image-tag", "deployed-app-image-repo", "deployed-app-repository", "core-post-extract")
	if !maps.Equal(o.before.Env, o.after.Env) {
		triggers("post-config-update")
	}
	if !slices.Equal(o.before.Domains, o.after.Domains) {
		triggers("post-domains-update")
	}
	if !slices.Equal(o.before.Ports, o.after.Ports) {
		triggers("post-proxy-ports-update")
	}
	triggers("pre-release", "pre-release-"+buildOrDockerfile(r.builder()), "pre-release-builder")
	script("predeploy", r.appJSON.Scripts.Predeploy)
	triggers("post-release-"+buildOrDockerfile(r.builder()), "post-release-builder", "post-release", "pre-deploy")
	release, _ := r.procfile.Command("release")
	script("release", release)
	triggers("scheduler-deploy", "bind-external-ip", "docker-args-deploy", "docker-args-process-deploy", "post-container-create", "check-deploy", "nginx-pre-reload", "core-post-deploy", "post-deploy", "cron-write")
	script("postdeploy", r.appJSON.Scripts.Postdeploy)
	if o.before.Properties["app-json/heroku.postdeploy"] != "executed" {
		script("first postdeploy", r.appJSON.Scripts.FirstDeploy)
	}
	return runs
}

// certificateNote says what is wrong with an app's certificate, or will be soon.
func (h *Host) certificateNote(app string, now time.Time) string {
	text, err := os.ReadFile(filepath.Join(h.Places.TLS(app), "server.crt"))
	if err != nil {
		return "" // the usual app has none
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return "server.crt is no certificate"
	}
	certificate, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return "server.crt is no certificate"
	}
	left := certificate.NotAfter.Sub(now)
	switch {
	case left <= 0:
		return "it expired on " + certificate.NotAfter.Format(time.DateOnly)
	case left < soon:
		return fmt.Sprintf("it expires on %s, in %d days", certificate.NotAfter.Format(time.DateOnly), int(left.Hours()/24))
	}
	return ""
}

// soon is when an expiring certificate is worth a word.
const soon = 21 * 24 * time.Hour
