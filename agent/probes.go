package agent

import (
	"context"
	"fmt"
	"slices"

	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/manifest"
)

// Probes are what there is to check of an app's running containers: those of some process
// types, of single containers such as web.1, or of all when none is named. What is told
// never to be checked, by checks:disable or checks:skip, is not among them.
func (h *Host) Probes(ctx context.Context, app string, named ...string) ([]Probe, error) {
	settings, err := h.Settings.Read(app)
	if err != nil {
		return nil, fmt.Errorf("read the settings of %s: %w", app, err)
	}
	running, err := h.instances(ctx, app)
	if err != nil {
		return nil, err
	}
	appJSON := &manifest.AppJSON{}
	if settings.AppJSON != "" {
		read, mistakes := manifest.ParseAppJSON("app.json", []byte(settings.AppJSON))
		if mistakes.Failed() {
			return nil, api.Errorf(api.Precondition, "read app.json of the release", "%w", mistakes)
		}
		appJSON = read
	}
	r := &run{Host: h, change: Change{App: app}, settings: settings, appJSON: appJSON}
	var probes []Probe
	for _, i := range running {
		if len(named) > 0 && !slices.Contains(named, i.Process) && !slices.Contains(named, i.label()) {
			continue
		}
		if r.checksOff("disabled", i.Process) || r.checksOff("skipped", i.Process) {
			continue
		}
		probes = append(probes, r.probe(i))
	}
	if len(probes) == 0 {
		return nil, api.Errorf(api.Precondition, "", "App %s has no running container to check", app).
			WithHint("ps:report %s and checks:report %s tell why", app, app)
	}
	return probes, nil
}
