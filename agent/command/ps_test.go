package command

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/api"
)

// TestStart: what runs is left alone, and what never ran is no failure and stays as it is.
func TestStart(t *testing.T) {
	h, told := siteHost(t)
	var submitted []agent.Kind
	call := Call{Host: h, Submit: func(_ context.Context, change agent.Change) error {
		submitted = append(submitted, change.Kind)
		return errors.New("submitted")
	}}
	before, err := h.Settings.Read("shop")
	must(t, err)
	warns := func(line, want string) {
		t.Helper()
		out, problem, err := do(t, call, line)
		if out != "" || problem != " !     "+want+"\n" || err != nil || len(submitted) > 0 {
			t.Errorf("%s: %q, %q, %v; submitted %v", line, out, problem, err, submitted)
		}
	}
	for _, word := range []string{"ps:start", "ps:stop", "ps:restart"} {
		warns(word+" shop", "App shop has not been deployed")
	}
	after, err := h.Settings.Read("shop")
	must(t, err)
	if diff := cmp.Diff(before, after); diff != "" {
		t.Errorf("it changes:\n%s", diff)
	}
	tells(t, told)

	deploy(t, h)
	set(t, h, "shop", func(now *agent.Settings) { now.Scale = map[string]int{"web": 1, "worker": 1} })
	container := func(process, status string) agent.Container {
		return agent.Container{ID: process, Name: "shop." + process + ".1", Status: status, Running: status == "running",
			Labels: map[string]string{"com.dokku.process-type": process, "com.dokku.dyno": process + ".1"}}
	}
	h.Containers.(*engine).list = []agent.Container{container("web", "running"), container("worker", "running")}
	warns("ps:start shop", "App shop already running")
	if len(*told) == 0 || (*told)[0] != "pre-start shop" {
		t.Errorf("plugins were told %q", *told)
	}
	refuses(t, h, "logs shop -p nope", api.Precondition, "App shop has no container of the process nope")
	for _, list := range [][]agent.Container{{container("web", "running"), container("worker", "exited")}, {container("web", "running")}, nil} {
		h.Containers.(*engine).list = list
		if out, _, err := do(t, call, "ps:start shop"); err == nil || !strings.HasPrefix(out, "-----> Starting shop\n") || !slices.Equal(submitted, []agent.Kind{agent.Start}) {
			t.Errorf("with %d containers: %q, %v, submitted %v", len(list), out, err, submitted)
		}
		submitted = nil
	}
}

// TestNoApps: a list of none is no failure.
func TestNoApps(t *testing.T) {
	h, _ := newHost(t)
	prints(t, h, "apps:list", "=====> My Apps\nshop\n")
	must(t, h.Settings.Destroy("shop"))
	out, problem, err := do(t, Call{Host: h}, "apps:list")
	if out != "=====> My Apps\n" || problem != " !     You haven't deployed any applications yet\n" || err != nil {
		t.Errorf("%q, %q, %v", out, problem, err)
	}
}
