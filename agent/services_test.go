package agent_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/api"
)

// stores is a plugin that runs services, as far as an app sees it. Its links are a file of
// the world's: they outlive the process that made them, as a plugin's do.
type stores struct {
	*process
	names []string
	mute  bool // it does not say what is linked
	fails string
	asked *[]string
}

func (s stores) Installed(plugin string) bool { return plugin == "store" }

func (s stores) Has(command string) bool {
	return slices.Contains([]string{"store:link", "store:unlink", "store:exists"}, command) || command == "store:linked" && !s.mute
}

func (s stores) Run(ctx context.Context, argv []string, streams agent.Streams) error {
	*s.asked = append(*s.asked, strings.Join(argv, " "))
	refuse := func(why string) error {
		fmt.Fprintf(streams.Err, "a line before\n !     %s\n", why)
		return errors.New("exit code 1")
	}
	if s.fails != "" && strings.HasPrefix(strings.Join(argv, " "), s.fails) {
		return refuse("out of luck")
	}
	name := argv[1]
	if !slices.Contains(s.names, name) {
		return refuse("service " + name + " does not exist")
	}
	linked := s.linked()
	switch argv[0] {
	case "store:linked":
		if !slices.Contains(linked, name) {
			return refuse("not linked")
		}
	case "store:link":
		return s.disk("link "+name, func() error { return s.set(name, true) })
	case "store:unlink":
		return s.disk("unlink "+name, func() error { return s.set(name, false) })
	}
	return nil
}

// linked are the links: the app's own settings say so, as with --link.
func (s stores) linked() []string {
	now, err := s.Store.Read(app)
	if err != nil {
		return nil
	}
	return strings.Fields(now.Env["STORES"])
}

func (s stores) set(name string, link bool) error {
	_, _, err := s.Store.Change(app, func(now *agent.Settings) error {
		links := slices.DeleteFunc(strings.Fields(now.Env["STORES"]), func(n string) bool { return n == name })
		if link {
			links = append(links, name)
		}
		delete(now.Env, "STORES")
		if len(links) > 0 {
			now.Env["STORES"] = strings.Join(links, " ")
		}
		return nil
	})
	return err
}

// linking is a deploy of a document with services.
func linking(w *world, n int, names ...string) agent.Change {
	change := deploy(w, n)
	for _, name := range names {
		plugin, service, _ := strings.Cut(name, ":")
		change.Document.Declared.Services = append(change.Document.Declared.Services, api.Service{Plugin: plugin, Name: service, Link: true})
	}
	return change
}

// withStores applies a change in a process in which the plugin runs two stores.
func withStores(p *process, change agent.Change, alter func(*stores)) (verdict api.Verdict, asked []string) {
	plugin := stores{process: p, names: []string{"one", "two"}, asked: &asked}
	if alter != nil {
		alter(&plugin)
	}
	p.run(func(h *agent.Host) {
		h.Services = plugin
		verdict, _ = h.Apply(context.Background(), change)
	})
	return verdict, asked
}

func links(t *testing.T, w *world) string {
	t.Helper()
	now, err := w.process(0).Store.Read(app)
	must(t, err)
	return now.Env["STORES"]
}

// TestServicesFollow: what dokku.hcl names is linked before the containers start, stays,
// and is unlinked when it is no longer named.
func TestServicesFollow(t *testing.T) {
	for _, mute := range []bool{false, true} {
		w := created(t)
		quiet := func(s *stores) { s.mute = mute }
		for _, one := range []struct {
			n     int
			names []string
			want  string
		}{{1, []string{"store:one"}, "one"}, {2, []string{"store:one", "store:two"}, "one two"}, {3, []string{"store:two"}, "two"}, {4, nil, ""}} {
			verdict, asked := withStores(w.process(0), linking(w, one.n, one.names...), quiet)
			if !verdict.OK || links(t, w) != one.want {
				t.Fatalf("mute %t, %v: linked %q, want %q; %+v", mute, one.names, links(t, w), one.want, verdict.Error)
			}
			for _, line := range asked {
				if word, _, _ := strings.Cut(line, " "); word == "store:link" && !strings.HasSuffix(line, " --no-restart") {
					t.Errorf("%q would deploy inside of the deploy", line)
				}
			}
			if one.want == "" {
				continue
			}
			for _, c := range w.containers {
				if c.Labels["com.dokku.process-type"] == "web" && c.Running && c.Image == fmt.Sprint("sha256:image", one.n) && !slices.Contains(c.Env, "STORES="+one.want) {
					t.Errorf("%s started without what its services gave it: %q", c.Name, c.Env)
				}
			}
		}
	}
}

// TestServicesPlanned: a plan names the links, and is empty once they are there.
func TestServicesPlanned(t *testing.T) {
	w := deployed(t)
	plan := func(change agent.Change) (found []string) {
		w.process(0).run(func(h *agent.Host) {
			h.Services = stores{process: w.process(0), names: []string{"one", "two"}, asked: &[]string{}}
			plan, err := h.Plan(context.Background(), app, api.PlanRequest{Document: change.Document})
			must(t, err)
			for _, change := range plan.Changes {
				if change.Kind == "service" {
					found = append(found, change.String())
				}
			}
			for _, s := range plan.Steps {
				if s.Name == "services" {
					found = append(found, "step")
				}
			}
		})
		return found
	}
	if diff := cmp.Diff([]string{"add service store:one (link)", "step"}, plan(linking(w, 1, "store:one"))); diff != "" {
		t.Error(diff)
	}
	if verdict, _ := withStores(w.process(0), linking(w, 2, "store:one"), nil); !verdict.OK {
		t.Fatal(verdict.Error)
	}
	if again := plan(linking(w, 2, "store:one")); len(again) > 0 {
		t.Errorf("once it is linked: %q", again)
	}
	if diff := cmp.Diff([]string{"add service store:two (link)", "remove service store:one (unlink)", "step"}, plan(linking(w, 2, "store:two"))); diff != "" {
		t.Error(diff)
	}
	if gone := plan(deploy(w, 2)); !slices.Contains(gone, "remove service store:one (unlink)") {
		t.Errorf("no longer named: %q", gone)
	}
}

// TestServicesRefused: nothing has changed when a plugin or a service is missing.
func TestServicesRefused(t *testing.T) {
	w := deployed(t)
	before := observed(t, w)
	for name, want := range map[string]string{
		"other:one":   "the service one is one of the plugin other, which is not installed or not enabled",
		"store:three": "store has no service three: service three does not exist",
	} {
		change := linking(w, 2, name)
		change.Request = "request-" + strings.ReplaceAll(name, ":", "-")
		verdict, _ := withStores(w.process(0), change, nil)
		if verdict.OK || verdict.Error == nil || verdict.Error.Code != api.Precondition || !strings.Contains(verdict.Error.Message, want) || verdict.Error.Hint == "" {
			t.Errorf("%s: %+v", name, verdict.Error)
		}
		if diff := cmp.Diff(before, observed(t, w)); diff != "" {
			t.Errorf("%s changed:\n%s", name, diff)
		}
	}
	w.process(0).run(func(h *agent.Host) { // a host without plugins of that kind
		if _, err := h.Plan(context.Background(), app, api.PlanRequest{Document: linking(w, 2, "store:one").Document}); err == nil {
			t.Error("planned without the plugin")
		}
	})
}

// TestServicesUndone: whatever fails later takes the links back, and so does the next
// command after a process that was killed at any act.
func TestServicesUndone(t *testing.T) {
	first := created(t)
	if verdict, _ := withStores(first.process(0), linking(first, 1, "store:one"), nil); !verdict.OK {
		t.Fatal(verdict.Error)
	}
	next := func(w *world) agent.Change { return linking(w, 2, "store:two") }

	w := first.clone(t)
	before := observed(t, w)
	w.unhealthy = errors.New("sick")
	change := next(w)
	if verdict, _ := withStores(w.process(0), change, nil); verdict.OK || verdict.Error.Code != api.Unhealthy {
		t.Fatalf("%+v", verdict)
	}
	if diff := cmp.Diff(before, observed(t, w)); diff != "" {
		t.Errorf("an unhealthy release left:\n%s", diff)
	}

	w = first.clone(t)
	before = observed(t, w)
	change = next(w)
	verdict, _ := withStores(w.process(0), change, func(s *stores) { s.fails = "store:link two" })
	if verdict.OK || !strings.Contains(verdict.Error.Message, "store:link failed: out of luck") {
		t.Fatalf("%+v", verdict.Error)
	}
	if diff := cmp.Diff(before, observed(t, w)); diff != "" {
		t.Errorf("a link that fails left:\n%s", diff)
	}

	deaths := 0
	for dieAt := 1; ; dieAt++ {
		w := first.clone(t)
		p := w.process(dieAt)
		withStores(p, next(w), nil)
		if !p.dead {
			break
		}
		deaths++
		survivor := w.process(0)
		survivor.run(func(h *agent.Host) {
			h.Services = stores{process: survivor, names: []string{"one", "two"}, asked: &[]string{}}
			if err := h.Recover(context.Background(), app); err != nil {
				t.Errorf("killed at act %d (%s): %v", dieAt, p.acts[len(p.acts)-1], err)
			}
		})
		want := "one"
		if current, err := w.process(0).Store.Current(app); err == nil && current == 2 {
			want = "two"
		}
		if got := links(t, w); got != want {
			t.Errorf("killed at act %d (%s): linked to %q, want %q", dieAt, p.acts[len(p.acts)-1], got, want)
		}
	}
	if deaths < 20 {
		t.Errorf("only %d acts", deaths)
	}
}
