package agent_test

import (
	"context"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/api"
)

// foreignDeploy is a release of an image that was built elsewhere, with these files.
func foreignDeploy(w *world, n int, files map[string]string) agent.Change {
	change := deploy(w, n)
	ref := change.Document.Image.Registry + "@" + change.Document.Image.Manifest
	image := w.remote[ref]
	image.WorkingDir = "/srv"
	w.remote[ref], w.files[image.ID] = image, files
	change.Document = api.ReleaseDocument{Image: change.Document.Image, Builder: "image"}
	return change
}

// TestForeignImage: what the document lacks comes out of the image, the WORKDIR first, and
// folders are not mixed.
func TestForeignImage(t *testing.T) {
	w := created(t)
	w.process(0).run(func(h *agent.Host) {
		apply := func(change agent.Change) (agent.Settings, api.Verdict) {
			t.Helper()
			verdict, err := h.Apply(context.Background(), change)
			must(t, err)
			settings, err := h.Settings.Read(app)
			must(t, err)
			for _, c := range w.containers {
				if strings.Contains(c.Name, ".extract.") {
					t.Errorf("the container %s was left", c.Name)
				}
			}
			return settings, verdict
		}
		files := map[string]string{"/srv/Procfile": "web: serve\nqueue: work\n", "/srv/nginx.conf.sigil": "# theirs\n",
			"/app/Procfile": "other: x\n", "/app/app.json": `{"formation":{"web":{"quantity":3}}}`}
		first := foreignDeploy(w, 1, files)
		settings, verdict := apply(first)
		if !verdict.OK || settings.Procfile != files["/srv/Procfile"] || settings.Template != "# theirs\n" || settings.AppJSON != "" ||
			!slices.Equal(slices.Sorted(maps.Keys(settings.Scale)), []string{"queue", "web"}) || settings.Scale["web"] != 1 {
			t.Fatalf("%+v\n%+v", verdict, settings)
		}
		plan, err := h.Plan(context.Background(), app, api.PlanRequest{Document: first.Document})
		if err != nil || !plan.Empty() {
			t.Errorf("the same once more: %+v, %v", plan, err)
		}
		first.Request = "request-again"
		if _, verdict := apply(first); !verdict.OK || verdict.Changed {
			t.Errorf("the same once more: %+v", verdict)
		}
		second := foreignDeploy(w, 2, map[string]string{"/app/Procfile": "web: serve\n", "/app/app.json": `{"formation":{"web":{"quantity":2}}}`})
		second.Document.Procfile = "web: mine\n"
		if settings, verdict := apply(second); !verdict.OK || settings.Procfile != "web: mine\n" || settings.Scale["web"] != 2 || settings.Template != "" {
			t.Errorf("%+v\n%+v", verdict, settings)
		}
		back := agent.Change{App: app, Request: "request-back", Kind: agent.Rollback, Release: 1}
		if settings, verdict := apply(back); !verdict.OK || settings.Procfile != files["/srv/Procfile"] || settings.Template != "# theirs\n" {
			t.Errorf("%+v\n%+v", verdict, settings)
		}
		before := settings
		for n, bad := range []map[string]string{{"/srv/Procfile": "\xff\xfe"}, {"/srv/Procfile": "no process\n"}, {"/srv/app.json": strings.Repeat(" ", 2<<20)}} {
			if settings, verdict := apply(foreignDeploy(w, 3+n, bad)); verdict.OK || settings.Procfile != before.Procfile {
				t.Errorf("file %d: %+v", n, verdict)
			}
		}
	})
}

// TestTagOfForeignImage: tags:deploy reads them too, and an image of ours has them as labels.
func TestTagOfForeignImage(t *testing.T) {
	w := created(t)
	w.process(0).run(func(h *agent.Host) {
		w.images["sha256:theirs"] = agent.Image{ID: "sha256:theirs", OS: "linux", Arch: "amd64"}
		w.images["sha256:ours"] = agent.Image{ID: "sha256:ours", OS: "linux", Arch: "amd64",
			Labels: map[string]string{api.LabelBuilder: "static", api.LabelProcfile: "web: ours\n", api.LabelNginx: "# ours\n"}}
		w.files["sha256:theirs"] = map[string]string{"/workspace/Procfile": "web: theirs\n"}
		w.files["sha256:ours"] = map[string]string{"/app/app.json": "{}"}
		for _, name := range []string{"theirs", "ours"} {
			w.names["dokku/shop:"+name] = "sha256:" + name
			verdict, err := h.Apply(context.Background(), agent.Change{App: app, Request: "request-" + name, Kind: agent.Tag, Image: "dokku/shop:" + name})
			must(t, err)
			settings, err := h.Settings.Read(app)
			must(t, err)
			template := ""
			if name == "ours" {
				template = "# ours\n"
			}
			if !verdict.OK || settings.Procfile != "web: "+name+"\n" || settings.AppJSON != "" || settings.Template != template {
				t.Errorf("%s: %+v\n%+v", name, verdict, settings)
			}
		}
	})
}
