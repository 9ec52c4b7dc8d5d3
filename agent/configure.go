package agent

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"sort"
	"strings"

	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/manifest"
)

// readFiles takes Procfile, app.json and nginx.conf.sigil as the document has them.
func (r *run) readFiles() error {
	r.procfileText, r.appJSONText, r.templateText = r.document.Procfile, r.document.AppJSON, r.document.NginxTemplate
	return r.parseFiles()
}

// parseFiles reads Procfile and app.json once more on the host: what a client
// sends is not trusted to be valid.
func (r *run) parseFiles() error {
	var mistakes manifest.Diagnostics
	r.procfile, r.appJSON = nil, &manifest.AppJSON{}
	if r.procfileText != "" {
		procfile, found := manifest.ParseProcfile("Procfile", []byte(r.procfileText))
		r.procfile, mistakes = procfile, append(mistakes, found...)
	}
	if r.appJSONText != "" {
		appJSON, found := manifest.ParseAppJSON("app.json", []byte(r.appJSONText))
		mistakes = append(mistakes, found...)
		if appJSON != nil {
			r.appJSON = appJSON
		}
	}
	if r.document.Checks != "" && r.appJSON.Healthchecks["web"] == nil {
		checks, found := manifest.ParseChecks("CHECKS", []byte(r.document.Checks))
		mistakes = append(mistakes, found...)
		r.appJSON.Healthchecks = cloned(r.appJSON.Healthchecks)
		r.appJSON.Healthchecks["web"] = checks
	}
	if err := checkDeclared(r.document); err != nil {
		return err
	}
	if err := r.mayMount(); err != nil {
		return err
	}
	if mistakes.Failed() {
		return api.Errorf(api.InvalidManifest, "read the release document", "%w", mistakes)
	}
	return nil
}

// settingsUndo is what the settings were and what they became.
type settingsUndo struct {
	Before Settings `json:"before"`
	After  Settings `json:"after"`
}

// planSettings works out the settings of the new release without writing them.
func (r *run) planSettings(ctx context.Context) (any, error) {
	before, err := r.Settings.Read(r.change.App)
	if err != nil {
		return nil, fmt.Errorf("read the settings: %w", err)
	}
	after, err := r.target(ctx, before)
	if err != nil {
		return nil, err
	}
	after.Properties["ps/restore"] = "true" // what this change starts runs again after a reboot, whatever fails behind the commit
	if r.ports, err = r.Host.portMaps(after); err != nil {
		return nil, err
	}
	if err := r.checkDomains(before, after); err != nil {
		return nil, err
	}
	if r.change.Kind == Rollback {
		r.warnOfOldConfig(before.Env, after.Env)
	}
	r.settings = after
	return settingsUndo{Before: before, After: after}, nil
}

// warnOfOldConfig names every config key that a rollback changes: a secret that was
// revoked since must not come back unseen.
func (r *run) warnOfOldConfig(now, then map[string]string) {
	say := func(what string, keys []string) {
		if len(keys) > 0 {
			r.warn("the rollback to v%d %s: %s", r.from.Version, what, strings.Join(keys, ", "))
		}
	}
	var back, other, gone []string
	for _, key := range slices.Sorted(maps.Keys(then)) {
		value, has := now[key]
		switch {
		case !has:
			back = append(back, key)
		case value != then[key]:
			other = append(other, key)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(now)) {
		if _, had := then[key]; !had {
			gone = append(gone, key)
		}
	}
	say("BRINGS BACK config that was removed since", back)
	say("puts back the former value of config that was changed since", other)
	say("removes config that was set since", gone)
}

// target is what the change makes of an app's settings.
func (r *run) target(ctx context.Context, before Settings) (Settings, error) {
	after := before.clone()
	if r.change.Kind == Rollback {
		after.Env, after.Scale = maps.Clone(r.from.Settings.Env), maps.Clone(r.from.Settings.Scale)
	}
	after.Procfile, after.AppJSON, after.Template = r.procfileText, r.appJSONText, r.templateText
	if r.change.Kind.ships() {
		if err := r.declare(ctx, &after); err != nil {
			return after, err
		}
		if err := r.documentEnv(after.Env); err != nil {
			return after, err
		}
	}
	if err := r.formation(&after); err != nil {
		return after, err
	}
	r.detectPorts(&after)
	return after, nil
}

// declare brings in what dokku.hcl says, and takes out what it said in the last
// release and says no longer.
func (r *run) declare(ctx context.Context, after *Settings) error {
	now := declaredIn(r.document)
	if r.current != nil {
		former := declaredIn(r.current.Document)
		usual := after.Domains
		if former.domains != nil && now.domains == nil {
			var err error
			if usual, err = r.Host.DefaultDomains(ctx, r.change.App); err != nil {
				return err
			}
		}
		former.removeFrom(after, now, usual)
	}
	now.putInto(after)
	return nil
}

// checkDomains refuses a domain that no site can have, and one that another app has:
// no domain ever serves another app.
func (r *run) checkDomains(before, after Settings) error {
	var fresh []string
	for _, domain := range after.Domains {
		if !slices.Contains(before.Domains, domain) {
			fresh = append(fresh, domain)
		}
	}
	return r.Host.FreeDomains(r.change.App, fresh)
}

// FreeDomains refuses domains that no site can have or that another app has.
func (h *Host) FreeDomains(app string, domains []string) error {
	if len(domains) == 0 {
		return nil
	}
	for _, domain := range domains {
		if err := h.Proxy.Domain(domain); err != nil {
			return err
		}
	}
	apps, err := h.Settings.Apps()
	if err != nil {
		return fmt.Errorf("list the apps: %w", err)
	}
	for _, other := range apps {
		if other == app {
			continue
		}
		settings, err := h.Settings.Read(other)
		if err != nil {
			return fmt.Errorf("read the domains of %s: %w", other, err)
		}
		for _, domain := range domains {
			if slices.ContainsFunc(settings.Domains, func(taken string) bool { return strings.EqualFold(taken, domain) }) {
				return api.Errorf(api.Precondition, "take the domain", "%s belongs to the app %s", domain, other).
					WithHint("take it from there first: domains:remove %s %s", other, domain)
			}
		}
	}
	return nil
}

// documentEnv applies the commit's key and app.json's env.
func (r *run) documentEnv(env map[string]string) error {
	if key := r.settings.RevisionKey(); key != "" && r.document.Source.Revision != "" {
		env[key] = r.document.Source.Revision
	}
	var missing []string
	for _, key := range slices.Sorted(maps.Keys(r.appJSON.Env)) {
		declared := r.appJSON.Env[key]
		_, isSet := env[key]
		if !r.firstEver && !declared.Sync || isSet && !declared.Sync {
			continue
		}
		switch {
		case declared.Secret && !isSet:
			if r.planning {
				env[key] = "made when it is needed"
				continue
			}
			secret := make([]byte, 32)
			if _, err := rand.Read(secret); err != nil {
				return fmt.Errorf("make the secret %s: %w", key, err)
			}
			env[key] = hex.EncodeToString(secret)
		case declared.Value != "":
			env[key] = declared.Value
		case declared.Required && !isSet:
			missing = append(missing, key)
		}
	}
	if len(missing) > 0 {
		return api.Errorf(api.Precondition, "apply app.json's env", "required and not set: %s", strings.Join(missing, ", ")).
			WithHint("set them first: apps:create %s, then config:set --no-restart %s %s=…", r.change.App, r.change.App, missing[0])
	}
	return nil
}

// formation works out how many containers each process type has: app.json's
// formation, else what was scaled before, else one web and none of the others.
func (r *run) formation(after *Settings) error {
	types := r.procfile.Scaled()
	for name := range r.change.Scale {
		if !slices.Contains(types, name) {
			return api.Errorf(api.Precondition, "scale", "%s has no process type %q", r.change.App, name).
				WithHint("the Procfile has: %s", strings.Join(types, ", "))
		}
	}
	scale := map[string]int{}
	for _, name := range types {
		n, known := after.Scale[name]
		if !known && name == "web" {
			n = 1
		}
		_, above := declaredIn(r.document).scale[name] // dokku.hcl is over app.json
		if declared, ok := r.appJSON.Formation[name]; ok && declared.Quantity != nil && r.change.Kind != Rollback && !above {
			n = *declared.Quantity
		}
		if wanted, ok := r.change.Scale[name]; ok {
			n = wanted
		}
		scale[name] = n
	}
	after.Scale = scale
	return nil
}

// detectPorts records the port map that an image asks for by EXPOSE
// (PLUGIN-CONTRACT 6.3).
func (r *run) detectPorts(after *Settings) {
	var detected []string
	for _, exposed := range r.image.Exposed {
		port, protocol, _ := strings.Cut(exposed, "/")
		switch {
		case protocol == "udp":
			detected = append(detected, "udp:"+port+":"+port)
		case r.Config.Embedded: // it serves every app at its one port
			detected = append(detected, "http:80:"+port)
		case port == "443":
			detected = append(detected, "https:443:443")
		default:
			detected = append(detected, "http:"+port+":"+port)
		}
	}
	sort.Strings(detected)
	if len(detected) == 0 {
		detected = []string{usualPort}
	}
	if r.Host.hasTLS(r.change.App) {
		detected = withTwins(detected)
	}
	after.Properties["ports/map-detected"] = strings.Join(detected, "\n")
}

// applySettings writes them and tells the plugins what changed.
func (r *run) applySettings(ctx context.Context) error {
	undo, err := decodeUndo[settingsUndo](r.begun[len(r.begun)-1].undo)
	if err != nil {
		return err
	}
	_, _, err = r.Settings.Change(r.change.App, func(now *Settings) error {
		now.apply(undo.Before, undo.After)
		return nil
	})
	if err != nil {
		return fmt.Errorf("write the settings: %w", err)
	}
	return r.settingsHooks(ctx, undo.Before, undo.After)
}

// settingsHooks tells the plugins what changed: of a secret the name alone, of plain
// config the value too (PLUGIN-CONTRACT 4.1).
func (r *run) settingsHooks(ctx context.Context, before, after Settings) error {
	app := r.change.App
	var set, unset []string
	for _, key := range slices.Sorted(maps.Keys(after.Env)) {
		if former, had := before.Env[key]; had && former == after.Env[key] {
			continue
		}
		if r.secret(key) {
			set = append(set, key)
		} else {
			set = append(set, key+"="+after.Env[key])
		}
	}
	for _, key := range slices.Sorted(maps.Keys(before.Env)) {
		if _, still := after.Env[key]; !still {
			unset = append(unset, key)
		}
	}
	added, removed := lacking(before.Domains, after.Domains), lacking(after.Domains, before.Domains)
	for _, hook := range []struct {
		due  bool
		name string
		args []string
	}{
		{len(set) > 0, "post-config-update", append([]string{app, "set"}, set...)},
		{len(unset) > 0, "post-config-update", append([]string{app, "unset"}, unset...)},
		{len(added) > 0, "post-domains-update", append([]string{app, "add"}, added...)},
		{len(removed) > 0, "post-domains-update", append([]string{app, "remove"}, removed...)},
		{!slices.Equal(before.Ports, after.Ports) && len(after.Ports) > 0, "post-proxy-ports-update", []string{app, "set"}},
		{!slices.Equal(before.Ports, after.Ports) && len(after.Ports) == 0, "post-proxy-ports-update", []string{app, "clear"}},
	} {
		if !hook.due {
			continue
		}
		if err := r.fire(ctx, api.ReleaseFailed, hook.name, hook.args...); err != nil {
			return err
		}
	}
	return nil
}

// secret tells whether a config key came as a secret.
func (r *run) secret(key string) bool {
	return slices.Contains(r.document.Secrets, key) || r.appJSON != nil && r.appJSON.Env[key].Secret
}

// lacking are the values of a list that another has not.
func lacking(other, list []string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(value string) bool { return slices.Contains(other, value) })
}

// refresh reads the config, the domains and the docker options once more: plugins may
// have called config:set, domains:add or docker-options:add from a trigger (DESIGN 6,
// Nested calls), and what they set is for this release.
func (r *run) refresh() error {
	now, err := r.Settings.Read(r.change.App)
	if err != nil {
		return fmt.Errorf("read the settings: %w", err)
	}
	r.settings.Env, r.settings.Domains = now.Env, now.Domains
	for _, property := range []string{optionsBuild, optionsDeploy, optionsRun} {
		setLines(r.settings.Properties, property, linesOf(now.Properties[property]))
	}
	r.settings.Ports = now.Ports
	for name, value := range now.Properties { // what a site is made of
		if plugin, _, _ := strings.Cut(name, "/"); slices.Contains([]string{"network", "nginx", "ports", "proxy"}, plugin) {
			r.settings.Properties[name] = value
		}
	}
	r.ports, err = r.Host.portMaps(r.settings)
	return err
}

// undoSettings takes back what this change set, and nothing that a nested
// command has set since.
func undoSettings(_ context.Context, h *Host, app string, data json.RawMessage) error {
	undo, err := decodeUndo[settingsUndo](data)
	if err != nil {
		return err
	}
	_, _, err = h.Settings.Change(app, func(now *Settings) error {
		now.apply(undo.After, undo.Before)
		return nil
	})
	if err != nil {
		return fmt.Errorf("put the settings back: %w", err)
	}
	return nil
}
