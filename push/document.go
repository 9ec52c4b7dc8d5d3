package push

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/build"
	"github.com/dokku-push/dokku-push/manifest"
)

// documentOf is the release document of a project and its image. Secrets are read from
// the environment here, and nowhere else.
func documentOf(o Options, project *Project, image *build.Image) (api.ReleaseDocument, error) {
	app := project.App
	document := api.ReleaseDocument{Image: api.Image{ID: image.ID}, Builder: app.Build.Builder, Source: project.Source,
		Procfile: app.ProcfileText, AppJSON: app.AppJSONText, Checks: app.ChecksText, NginxTemplate: app.NginxTemplate, Config: maps.Clone(app.Config), Declared: declaredOf(app)}
	var missing, open []string
	for _, name := range app.Secrets {
		value, ok := o.Getenv(name)
		if o.Review != "" && value == "" { // the host has taken it over from the app, if it has it
			continue
		}
		if !ok {
			missing = append(missing, name)
			continue
		}
		if manifest.IsPlaceholder(value) { // in CI, a secret that nobody has set is an empty variable
			open = append(open, name)
			continue
		}
		if document.Config == nil {
			document.Config = map[string]string{}
		}
		document.Config[name] = value
		document.Secrets = append(document.Secrets, name)
	}
	if len(missing) > 0 {
		return document, api.Errorf(api.Configuration, "read the secrets", "dokku.hcl names secrets that are not set here: %s", strings.Join(missing, ", ")).
			WithHint("set them in the environment of dokku-push (in CI: as masked variables); for git push, in the app's config (config:set)")
	}
	if len(open) > 0 {
		return document, api.Errorf(api.Configuration, "read the secrets", "dokku.hcl names secrets that are empty here or hold a placeholder: %s", strings.Join(open, ", ")).
			WithHint("give them their values; in CI, see that the secret exists and that the job may read it (a fork's may not)")
	}
	slices.Sort(document.Secrets)
	return document, nil
}

// declaredOf is what dokku.hcl says beside config; nil when it says nothing.
func declaredOf(app *manifest.App) *api.Declared {
	declared := api.Declared{Domains: app.Domains, Ports: app.Ports, Checks: checksOf(app.Checks), Nginx: app.Nginx}
	for name, process := range app.Formation {
		if declared.Formation == nil {
			declared.Formation = map[string]api.Process{}
		}
		declared.Formation[name] = api.Process{Quantity: process.Quantity, Memory: process.Memory, CPU: process.CPU,
			StopTimeout: wholeSeconds(process.StopTimeout), MaxParallel: process.MaxParallel}
	}
	if app.Storage != nil {
		for _, mount := range *app.Storage {
			text := mount.Host + ":" + mount.Container
			if mount.Options != "" {
				text += ":" + mount.Options
			}
			declared.Storage = append(declared.Storage, text)
		}
	}
	for phase, options := range map[string][]string{"build": app.DockerOptions.Build, "deploy": app.DockerOptions.Deploy, "run": app.DockerOptions.Run} {
		if len(options) == 0 {
			continue
		}
		if declared.DockerOptions == nil {
			declared.DockerOptions = map[string][]string{}
		}
		declared.DockerOptions[phase] = options
	}
	for _, service := range app.Services {
		declared.Services = append(declared.Services, api.Service{Plugin: service.Plugin, Name: service.Name, Link: service.Link})
	}
	said := declared.Formation != nil || declared.Domains != nil || declared.Ports != nil || len(declared.Checks) > 0 || declared.Storage != nil ||
		declared.DockerOptions != nil || len(declared.Nginx) > 0 || declared.Services != nil
	if !said {
		return nil
	}
	return &declared
}

// checksOf writes the checks block as the properties of checks:set.
func checksOf(checks manifest.Checks) map[string]string {
	properties := map[string]string{}
	for key, value := range map[string]string{
		"disabled": strings.Join(checks.Disabled, ","), "skipped": strings.Join(checks.Skipped, ","),
	} {
		if value != "" {
			properties[key] = value
		}
	}
	for key, value := range map[string]*time.Duration{"default-wait": checks.Wait, "wait-to-retire": checks.WaitToRetire} {
		if value != nil {
			properties[key] = strconv.Itoa(wholeSeconds(*value))
		}
	}
	if len(properties) == 0 {
		return nil
	}
	return properties
}

func wholeSeconds(d time.Duration) int { return int(d / time.Second) }
