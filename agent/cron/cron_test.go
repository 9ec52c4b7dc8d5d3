package cron

import (
	"context"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/agent/state"
	"github.com/dokku-push/dokku-push/api"
)

func TestDue(t *testing.T) {
	at := func(text string) time.Time {
		moment, err := time.Parse("2006-01-02 15:04", text)
		if err != nil {
			t.Fatal(err)
		}
		return moment
	}
	for _, c := range []struct{ schedule, yes, no string }{
		{"* * * * *", "2026-11-21 10:59", ""},
		{"0 3 * * *", "2026-11-21 03:00", "2026-11-21 03:01"},
		{"*/15 * * * *", "2026-11-21 10:45", "2026-11-21 10:46"},
		{"5/20 * * * *", "2026-11-21 10:25", "2026-11-21 10:20"},
		{"10-20/5 * * * *", "2026-11-21 10:15", "2026-11-21 10:25"},
		{"1,2 * * * *", "2026-11-21 10:02", "2026-11-21 10:03"},
		{"0 0 1 * *", "2026-12-01 00:00", "2026-12-02 00:00"},
		{"0 0 * * sat", "2026-11-21 00:00", "2026-11-22 00:00"},
		{"0 0 * * 7", "2026-11-22 00:00", "2026-11-21 00:00"},
		{"0 0 * * 0", "2026-11-22 00:00", "2026-11-23 00:00"},
		{"0 0 13 * 5", "2026-11-20 00:00", "2026-11-21 00:00"}, // a Friday or a 13th
		{"0 0 13 * 5", "2026-12-13 00:00", "2026-12-14 00:00"},
		{"0 0 * FEB *", "2026-02-03 00:00", "2026-03-03 00:00"},
		{"@daily", "2026-11-21 00:00", "2026-11-21 01:00"},
		{"@weekly", "2026-11-22 00:00", "2026-11-21 00:00"},
		{"@hourly", "2026-11-21 07:00", "2026-11-21 07:01"},
	} {
		schedule, err := Parse(c.schedule)
		if err != nil {
			t.Fatal(err)
		}
		if !schedule.Due(at(c.yes)) {
			t.Errorf("%s is not due at %s", c.schedule, c.yes)
		}
		if c.no != "" && schedule.Due(at(c.no)) {
			t.Errorf("%s is due at %s", c.schedule, c.no)
		}
	}
	for _, text := range []string{"", "* * * *", "* * * * * *", "60 * * * *", "* 24 * * *", "* * 0 * *", "* * * 13 *", "* * * * 8",
		"-1 * * * *", "+1 * * * *", "1-0 * * * *", "*/0 * * * *", "a * * * *", "1- * * * *", ", * * * *", "@often", "*/99 * * * *"} {
		if _, err := Parse(text); err == nil {
			t.Errorf("%q is taken for a schedule", text)
		}
	}
}

// engine keeps what was created.
type engine struct {
	agent.Containers
	agent.Images
	list []agent.Container
}

func (e *engine) List(context.Context, map[string]string) ([]agent.Container, error) {
	return slices.Clone(e.list), nil
}

func (e *engine) Image(_ context.Context, ref string) (agent.Image, error) {
	return agent.Image{ID: ref}, nil
}

func (e *engine) Create(_ context.Context, spec agent.ContainerSpec) (string, error) {
	e.list = append(e.list, agent.Container{ID: spec.Name, Name: spec.Name, Labels: spec.Labels, Env: spec.Cmd})
	return spec.Name, nil
}

func (e *engine) Start(_ context.Context, ref string) error {
	for n := range e.list {
		e.list[n].Running = e.list[n].Running || e.list[n].ID == ref
	}
	return nil
}

func (e *engine) Stop(context.Context, string, time.Duration) error { return nil }

func (e *engine) Remove(_ context.Context, ref string) error {
	e.list = slices.DeleteFunc(e.list, func(c agent.Container) bool { return c.ID == ref })
	return nil
}

type silent struct{ agent.Walk }

func (silent) Trigger(context.Context, string, []string, agent.Streams) error { return nil }

func newHost(t *testing.T, appJSON string) (*agent.Host, *engine) {
	t.Helper()
	dir := t.TempDir()
	files := &state.Store{Places: agent.Places{Root: filepath.Join(dir, "root"), Lib: filepath.Join(dir, "lib")}}
	must(t, files.Create("shop"))
	_, _, err := files.Change("shop", func(now *agent.Settings) error { now.AppJSON = appJSON; return nil })
	must(t, err)
	must(t, files.Save("shop", agent.Record{Release: api.Release{Version: 1, Run: "sha256:image1"}}))
	must(t, files.SetCurrent("shop", 1))
	e := &engine{}
	return &agent.Host{Places: files.Places, Settings: files, Ledger: files, Walk: silent{}, Containers: e, Images: e}, e
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestPolicies: allow starts another, forbid none, replace ends the former one.
func TestPolicies(t *testing.T) {
	for policy, want := range map[string][]int{"allow": {1, 2, 3}, "forbid": {1, 1, 1}, "replace": {1, 1, 1}} {
		h, e := newHost(t, `{"cron":[{"command":"./task 'a b'","schedule":"* * * * *","concurrency_policy":"`+policy+`"}]}`)
		entries, err := Entries(h, "shop")
		must(t, err)
		former := ""
		for round, containers := range want {
			started, err := Run(context.Background(), h, entries[0])
			must(t, err)
			if len(e.list) != containers || (started == "") != (policy == "forbid" && round > 0) {
				t.Errorf("%s, round %d: %q and %d containers, want %d", policy, round, started, len(e.list), containers)
			}
			if policy == "replace" && e.list[0].Name == former {
				t.Errorf("replace kept %s", former)
			}
			former = e.list[0].Name
		}
		c := e.list[0]
		if diff := cmp.Diff([]string{"./task", "a b"}, c.Env); diff != "" || c.Labels["com.dokku.container-type"] != "cron" || c.Labels[labelID] != entries[0].ID {
			t.Errorf("%s: %v\n%s", policy, c.Labels, diff)
		}
	}
}

// TestTick: what is due starts once in its minute, and nothing else does.
func TestTick(t *testing.T) {
	h, e := newHost(t, `{"cron":[{"command":"now","schedule":"30 3 * * *"},{"command":"later","schedule":"31 3 * * *"},
		{"command":"never","schedule":"* * * * *","maintenance":true}]}`)
	at := time.Date(2026, 11, 21, 3, 30, 12, 0, time.UTC)
	for range 3 {
		must(t, Tick(context.Background(), h, at))
	}
	if len(e.list) != 1 || e.list[0].Env[0] != "now" {
		t.Fatalf("started %+v", e.list)
	}
	must(t, Tick(context.Background(), h, at.Add(time.Minute)))
	if len(e.list) != 2 || e.list[1].Env[0] != "later" {
		t.Errorf("started %+v", e.list)
	}
	_, _, err := h.Settings.Change("shop", func(now *agent.Settings) error { now.Properties["cron/maintenance"] = "true"; return nil })
	must(t, err)
	must(t, Tick(context.Background(), h, at.AddDate(0, 0, 1)))
	if len(e.list) != 2 {
		t.Errorf("an app in maintenance started %+v", e.list)
	}
	if files, err := filepath.Glob(filepath.Join(h.Places.Data(), "cron", "*")); err != nil || len(files) != 1 {
		t.Errorf("marks of minutes: %v, %v", files, err)
	}
}

func TestFind(t *testing.T) {
	h, _ := newHost(t, `{"cron":[{"command":"now","schedule":"30 3 * * *"}]}`)
	entries, err := Entries(h, "shop")
	must(t, err)
	if found, err := Find(h, "shop", entries[0].ID); err != nil || found != entries[0] {
		t.Errorf("%+v, %v", found, err)
	}
	if _, err := Find(h, "shop", "other"); err == nil || !strings.Contains(err.Error(), "does not exist") {
		t.Errorf("got %v", err)
	}
}
