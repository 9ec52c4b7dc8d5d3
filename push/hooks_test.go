package push

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dokku-push/dokku-push/api"
)

// plugin gives a project a plugin with this script for a trigger.
func plugin(t *testing.T, dir, trigger, script string) {
	t.Helper()
	folder := filepath.Join(dir, ".dokku/plugins/mine")
	if err := os.MkdirAll(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, trigger), []byte("#!/bin/sh\nset -e\n"+script+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
}

// TestPushWithPlugins: what plugins make of the tree is what is planned and released; the
// project is left as it is, and nothing of the copy stays.
func TestPushWithPlugins(t *testing.T) {
	cache := t.TempDir()
	t.Setenv("XDG_CACHE_HOME", cache)
	agent := newAgent(t)
	o, events, _ := agent.shop(t, map[string]string{"Procfile": "web: ./server $PORT\n"})
	plugin(t, o.Dir, "post-extract", "echo 'worker: work' >>Procfile; echo extracted")
	plugin(t, o.Dir, "pre-receive-app", "echo \"received as $2\"")
	prepared, err := Prepare(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff("web: ./server $PORT\nworker: work\n", agent.planned[0].Document.Procfile); diff != "" {
		t.Errorf("the plan's request:\n%s", diff)
	}
	if want := "plugins: mine (post-extract, pre-receive-app)"; !slices.Contains(prepared.Plan.Decided, want) {
		t.Errorf("decided: %q", prepared.Plan.Decided)
	}
	if verdict, err := prepared.Apply(t.Context()); err != nil || !verdict.OK {
		t.Fatalf("verdict %+v, %v", verdict, err)
	}
	if err := prepared.Close(); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff("web: ./server $PORT\nworker: work\n", agent.released[0].Document.Procfile); diff != "" || agent.released[0].Document.Builder != "image" {
		t.Errorf("the release: %+v\n%s", agent.released[0].Document, diff)
	}
	want := []string{"connect started", "connect done", "plugins started", "output", "plugins done", "build started", "output", "output", "build done", "plan"}
	if diff := cmp.Diff(want, events.story()[:len(want)]); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	if text, err := os.ReadFile(filepath.Join(o.Dir, "Procfile")); err != nil || string(text) != "web: ./server $PORT\n" {
		t.Errorf("the project's Procfile: %q, %v", text, err)
	}
	copies, err := filepath.Glob(filepath.Join(cache, "dokku-push/hooks/*/*"))
	if err != nil || len(copies) > 0 {
		t.Errorf("left behind: %q, %v", copies, err)
	}

	o.NoProjectPlugins = true
	if _, err := Push(t.Context(), o); err != nil || agent.released[1].Document.Procfile != "web: ./server $PORT\n" {
		t.Errorf("distrusted plugins: %v, %+v", err, agent.released[1].Document)
	}
}

// TestPushRefusedByPlugin: a plugin that refuses ends the push before anything is sent, and
// a push that comes after begins anew.
func TestPushRefusedByPlugin(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	agent := newAgent(t)
	o, _, _ := agent.shop(t, map[string]string{"Procfile": "web: ./server $PORT\n"})
	plugin(t, o.Dir, "pre-receive-app", "echo 'not on a Friday'; exit 3")
	for range 2 {
		_, err := Push(t.Context(), o)
		if problem := api.AsError(err); api.Exit(err) != 20 || !strings.Contains(problem.Error(), "the plugin mine failed in its trigger pre-receive-app: exit code 3") {
			t.Errorf("%v", err)
		}
	}
	if agent.uploads != 0 || len(agent.planned) != 0 {
		t.Errorf("%d uploads, %d plans", agent.uploads, len(agent.planned))
	}
	plugin(t, o.Dir, "pre-receive-app", "sleep 600")
	ctx, cancel := context.WithCancel(t.Context())
	report := o.Report
	o.Report = func(event api.Event) {
		report(event)
		if event.Step != nil && event.Step.Name == "build" {
			cancel()
		}
	}
	if _, err := Push(ctx, o); err == nil || api.AsError(err).Code != api.Cancelled {
		t.Errorf("cancelled: %v", err)
	}
}
