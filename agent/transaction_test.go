package agent_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/api"
)

const app = "shop"

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// document is the n-th release: another image, config, Procfile, formation and properties.
func document(w *world, n int) api.ReleaseDocument {
	image := agent.Image{ID: fmt.Sprintf("sha256:image%d", n), OS: "linux", Arch: "amd64", Exposed: []string{fmt.Sprintf("500%d/tcp", n)}}
	doc := api.ReleaseDocument{
		Image:    api.Image{ID: image.ID, Manifest: fmt.Sprintf("sha256:manifest%d", n), Registry: "registry.example.com/shop"},
		Builder:  "dockerfile",
		Procfile: fmt.Sprintf("web: serve %d\nworker: work %d\nrelease: migrate %d\n", n, n, n),
		AppJSON:  fmt.Sprintf(`{"formation":{"web":{"quantity":%d},"worker":{"quantity":1}},"scripts":{"dokku":{"predeploy":"prepare %d"}}}`, n, n),
		Config:   map[string]string{"COLOUR": fmt.Sprint("colour", n), fmt.Sprint("ONLY_", n): "x"},
		Declared: &api.Declared{
			Checks: map[string]string{"wait-to-retire": fmt.Sprint(n)}, Nginx: map[string]string{fmt.Sprint("only-", n): "x"},
			Storage: []string{fmt.Sprintf("/data/%d:/data", n), "/data:/all"},
		},
	}
	w.remote[doc.Image.Registry+"@"+doc.Image.Manifest] = image
	return doc
}

func deploy(w *world, n int) agent.Change {
	return agent.Change{App: app, Request: fmt.Sprintf("request-%d", n), Kind: agent.Deploy, Document: document(w, n), By: agent.Caller{Name: "alice"}}
}

// created is a world with an app that was never deployed, deployed one with its first release.
func created(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	w.process(0).run(func(h *agent.Host) {
		_, _, err := h.Settings.Change("--global", func(now *agent.Settings) error {
			now.Env, now.Domains = map[string]string{"HOST": "1"}, []string{"example.com"}
			return nil
		})
		must(t, errors.Join(err, h.Create(context.Background(), app)))
	})
	return w
}

func deployed(t *testing.T) *world {
	t.Helper()
	w := created(t)
	w.process(0).run(func(h *agent.Host) {
		verdict, err := h.Apply(context.Background(), deploy(w, 1))
		if err != nil || !verdict.OK || verdict.Error != nil || verdict.Release != 1 {
			t.Errorf("the first deploy: %+v, %v", verdict, err)
		}
	})
	return w
}

// observed is everything there is but journals and locks: of a path its mode and text.
func observed(t *testing.T, w *world) map[string]string {
	t.Helper()
	seen := map[string]string{}
	must(t, filepath.WalkDir(w.dir, func(path string, entry fs.DirEntry, err error) error {
		name := strings.TrimPrefix(path, w.dir)
		if err != nil || entry.IsDir() || strings.Contains(name, "/journal/") || strings.HasPrefix(name, "/lib/data/apps/") || strings.HasSuffix(name, ".lock") {
			return err
		}
		text, err := os.ReadFile(path)
		info, statErr := entry.Info()
		seen[name] = fmt.Sprint(info.Mode(), " ", string(text))
		return errors.Join(err, statErr)
	}))
	for id, c := range w.containers {
		seen["container "+id] = fmt.Sprint(c.Name, c.Image, c.Status, c.Address, c.Env)
	}
	for name, id := range w.names {
		seen["image name "+name] = id
	}
	for id := range w.images {
		seen["image "+id] = ""
	}
	for index, backend := range w.points[app] {
		seen[fmt.Sprint("address ", index)] = fmt.Sprint(backend)
	}
	return seen
}

func journals(t *testing.T, w *world) string {
	t.Helper()
	paths, err := filepath.Glob(w.places().Journal(app, "*"))
	must(t, err)
	var all strings.Builder
	for _, path := range paths {
		text, err := os.ReadFile(path)
		must(t, err)
		all.Write(text)
	}
	return all.String()
}

func recoverApp(t *testing.T, w *world, dieAt int) (err error) {
	t.Helper()
	w.process(dieAt).run(func(h *agent.Host) { err = h.Recover(context.Background(), app) })
	return err
}

// verdictOf is what the journal of a request says became of it.
func verdictOf(t *testing.T, w *world, request string) *api.Verdict {
	t.Helper()
	entries, err := w.process(0).ReadJournal(app, request, 0)
	if errors.Is(err, agent.ErrNotFound) {
		return nil
	}
	must(t, err)
	var verdict *api.Verdict
	for _, entry := range entries {
		if entry.Event != nil && entry.Event.Verdict != nil {
			if verdict != nil && (verdict.Error == nil || verdict.Error.Code != api.UndoFailed) {
				t.Errorf("%s has two verdicts", request)
			}
			verdict = entry.Event.Verdict
		}
	}
	return verdict
}

// TestFailingStep: what a step fails with decides the exit code, and all is as before.
func TestFailingStep(t *testing.T) {
	t.Parallel()
	base := deployed(t)
	before := observed(t, base)
	no := errors.New("no")
	refuse := func([]string) error { return no }
	for _, test := range []struct {
		name string
		exit int
		fail func(w *world)
	}{
		{"pull", 21, func(w *world) { w.fails["pull"] = no }},
		{"another image", 21, func(w *world) {
			doc := document(w, 2)
			w.remote[doc.Image.Registry+"@"+doc.Image.Manifest] = agent.Image{ID: "sha256:other", OS: "linux", Arch: "amd64"}
		}},
		{"architecture", 22, func(w *world) {
			doc := document(w, 2)
			w.remote[doc.Image.Registry+"@"+doc.Image.Manifest] = agent.Image{ID: doc.Image.ID, OS: "linux", Arch: "arm64"}
		}},
		{"core-post-extract", 23, func(w *world) { w.plugins["core-post-extract"] = refuse }},
		{"post-config-update", 23, func(w *world) { w.plugins["post-config-update"] = refuse }},
		{"predeploy", 23, func(w *world) { w.exits["prepare 2"] = 3 }},
		{"release task", 23, func(w *world) { w.exits["migrate 2"] = 3 }},
		{"post-release", 23, func(w *world) { w.plugins["post-release"] = refuse }},
		{"create", 23, func(w *world) { w.fails["create"] = no }},
		{"start", 24, func(w *world) { w.fails["start"] = no }},
		{"check", 24, func(w *world) { w.unhealthy = no }},
		{"check-deploy", 24, func(w *world) { w.plugins["check-deploy"] = refuse }},
		{"site", 1, func(w *world) { w.fails["check the site"] = no }},
		{"nginx-pre-reload", 25, func(w *world) { w.plugins["nginx-pre-reload"] = refuse }},
		{"core-post-deploy", 25, func(w *world) { w.plugins["core-post-deploy"] = refuse }},
		{"save", 1, func(w *world) { w.fails["save"] = no }},
		{"set current", 1, func(w *world) { w.fails["set current"] = no }},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := base.clone(t)
			change := deploy(w, 2)
			test.fail(w)
			w.process(0).run(func(h *agent.Host) {
				verdict, err := h.Apply(context.Background(), change)
				must(t, err)
				if verdict.OK || verdict.Error == nil || api.Exit(verdict.Error) != test.exit || verdict.Release != 1 {
					t.Errorf("exit %d, want %d: %+v", api.Exit(verdict.Error), test.exit, verdict)
				}
			})
			if diff := cmp.Diff(before, observed(t, w)); diff != "" {
				t.Errorf("not as before (-before +undone):\n%s", diff)
			}
		})
	}
}

// TestContainerExits: its exit ends the wait for its checks, and it has the last word.
func TestContainerExits(t *testing.T) {
	t.Parallel()
	w := deployed(t)
	before := observed(t, w)
	w.exited = &agent.Exit{Code: 3}
	w.process(0).run(func(h *agent.Host) {
		verdict, err := h.Apply(context.Background(), deploy(w, 2))
		must(t, err)
		if verdict.OK || api.Exit(verdict.Error) != 24 || !strings.Contains(verdict.Error.Message, "exited with code 3 before it was ready") {
			t.Fatalf("got %+v", verdict)
		}
		failure := verdict.Error.Failure
		if failure == nil || failure.ExitCode != 3 || failure.Running || !slices.Equal(failure.LastLines, []string{"one of 20 lines", "the last"}) {
			t.Errorf("it says %+v", failure)
		}
	})
	if diff := cmp.Diff(before, observed(t, w)); diff != "" {
		t.Errorf("not as before (-before +undone):\n%s", diff)
	}
}

// TestKilledAtItsLimit: the engine may never tell that the kernel killed a container for its
// memory; one with a limit that SIGKILL ended is named so, one without is not.
func TestKilledAtItsLimit(t *testing.T) {
	t.Parallel()
	base := deployed(t)
	for limit, want := range map[int64]bool{0: false, 32 << 20: true} {
		w := base.clone(t)
		w.exited, w.memory = &agent.Exit{Code: 137}, limit
		w.process(0).run(func(h *agent.Host) {
			verdict, err := h.Apply(context.Background(), deploy(w, 2))
			must(t, err)
			if verdict.Error == nil || verdict.Error.Failure == nil || verdict.Error.Failure.ExitCode != 137 || verdict.Error.Failure.OOMKilled != want {
				t.Errorf("with a limit of %d: %+v", limit, verdict.Error)
			}
		})
	}
}

// TestHookFails: what fails after the commit is reported and takes nothing back.
func TestHookFails(t *testing.T) {
	t.Parallel()
	w := deployed(t)
	w.plugins["post-deploy"] = func([]string) error { return errors.New("no") }
	w.process(0).run(func(h *agent.Host) {
		verdict, err := h.Apply(context.Background(), deploy(w, 2))
		must(t, err)
		if !verdict.OK || !verdict.Changed || verdict.Release != 2 || api.Exit(verdict.Error) != 26 {
			t.Errorf("got %+v", verdict)
		}
	})
	for _, c := range w.containers {
		if c.Image != "sha256:image2-after-shop/request-2/predeploy" {
			t.Errorf("%s runs %s", c.Name, c.Image)
		}
	}
}

// TestUndoFails: an undo that fails keeps no other from being done, and is done later.
func TestUndoFails(t *testing.T) {
	t.Parallel()
	base := deployed(t)
	before := observed(t, base)
	no := errors.New("no such luck")
	for _, failing := range []string{"restore the site", "untag", "remove release", "write the settings"} {
		t.Run(failing, func(t *testing.T) {
			w := base.clone(t)
			w.plugins["post-config-update"] = nil
			w.plugins["core-post-deploy"] = func([]string) error {
				w.mu.Lock()
				defer w.mu.Unlock()
				w.fails[failing] = no
				return errors.New("the plugin's own failure")
			}
			if failing == "remove release" {
				delete(w.plugins, "core-post-deploy")
				w.fails["set current"], w.fails[failing] = no, no
			}
			w.process(0).run(func(h *agent.Host) {
				verdict, err := h.Apply(context.Background(), deploy(w, 2))
				must(t, err)
				if verdict.OK || api.Exit(verdict.Error) != 29 || !strings.Contains(verdict.Error.Message, no.Error()) {
					t.Errorf("got %+v", verdict)
				}
			})
			undone(t, w, failing, before)
		})
	}
}

// undone: of all that the deploy did, only what the failing act would have put back is left.
func undone(t *testing.T, w *world, failing string, before map[string]string) {
	left := map[string]func(name string) bool{
		"restore the site": func(name string) bool {
			return strings.HasSuffix(name, "nginx.conf") || strings.Contains(name, "nginx-loaded")
		},
		"untag":          func(name string) bool { return strings.HasPrefix(name, "image ") },
		"remove release": func(name string) bool { return strings.HasSuffix(name, "/releases/v2.json") },
		"write the settings": func(name string) bool {
			return strings.HasPrefix(name, "/lib/config/") || strings.Contains(name, "/files/")
		},
	}[failing]
	now, differ := observed(t, w), 0
	for name := range maps.Keys(merged(before, now)) {
		if before[name] == now[name] {
			continue
		}
		if differ++; !left(name) {
			t.Errorf("%s was not undone: %q, before %q", name, now[name], before[name])
		}
	}
	if differ == 0 {
		t.Errorf("%s undid everything: the test tests nothing", failing)
	}
}

func merged(a, b map[string]string) map[string]string {
	all := map[string]string{}
	maps.Copy(all, a)
	maps.Copy(all, b)
	return all
}

// TestNestedStays: what a command has set while the deploy ran is no part of its undo.
func TestNestedStays(t *testing.T) {
	t.Parallel()
	w := deployed(t)
	w.plugins["post-config-update"] = func([]string) error {
		_, _, err := w.process(0).Change(app, func(now *agent.Settings) error {
			now.Env["BY_A_PLUGIN"] = "yes"
			if !slices.Contains(now.Domains, "new.example.com") { // it is told twice: what is set, what is unset
				now.Domains = append(now.Domains, "new.example.com")
			}
			return nil
		})
		return err
	}
	w.unhealthy = errors.New("no")
	w.process(0).run(func(h *agent.Host) {
		if verdict, err := h.Apply(context.Background(), deploy(w, 2)); err != nil || verdict.OK {
			t.Errorf("got %+v, %v", verdict, err)
		}
	})
	settings, err := w.process(0).Read(app)
	must(t, err)
	want := map[string]string{"COLOUR": "colour1", "ONLY_1": "x", "BY_A_PLUGIN": "yes"}
	if diff := cmp.Diff(want, settings.Env) + cmp.Diff([]string{"shop.example.com", "new.example.com"}, settings.Domains); diff != "" {
		t.Error(diff)
	}
}
