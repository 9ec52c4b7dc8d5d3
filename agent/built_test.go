package agent_test

import (
	"context"
	"testing"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/api"
)

// TestDestroyBuilt: an app that goes takes with it what the host's builds have left of it in
// the engine, and nothing of another app.
func TestDestroyBuilt(t *testing.T) {
	w := deployed(t)
	own, others := api.BuiltImage(app), api.BuiltImage(app+"x")
	w.names[own], w.names[others] = "sha256:built", "sha256:others"
	w.images["sha256:built"], w.images["sha256:others"] = agent.Image{ID: "sha256:built"}, agent.Image{ID: "sha256:others"}
	cache, running := api.BuildCache(app, "/a/tree", "build"), api.BuildCache(app, "/another", "launch")
	w.volumes = map[string]bool{cache: false, running: true, api.BuildCache(app+"-x", "/a/tree", "build"): false, api.BuildCaches(app) + "data.build": false}
	w.process(0).run(func(h *agent.Host) { must(t, h.Destroy(context.Background(), app, agent.Caller{Name: "alice"})) })
	if w.names[own] != "" || w.images["sha256:built"].ID != "" || w.names[others] == "" {
		t.Errorf("there are the names %v and the images %v", w.names, w.images)
	}
	if _, there := w.volumes[cache]; there || len(w.volumes) != 3 {
		t.Errorf("there are the volumes %v", w.volumes)
	}
}
