package agent_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/api"
)

const registryName = "registry.example.com/team/shop:1"

// fromImage is a deploy of an image by its name.
func fromImage(request string, pull agent.PullWhen) agent.Change {
	return agent.Change{App: app, Request: request, Kind: agent.Tag, Image: registryName, Pull: pull, Author: "Ann <ann@example.com>", By: agent.Caller{Name: "alice"}}
}

// offered is an image of a registry, with a Procfile among its files.
func offered(w *world, id, procfile string) {
	w.remote[registryName] = agent.Image{ID: id, OS: "linux", Arch: "amd64", WorkingDir: "/srv"}
	w.files[id] = map[string]string{"/srv/Procfile": procfile}
}

// TestFromImage: an image is pulled, deployed by its digest with what its own files say, and
// asked for again nothing happens; a name that has moved is a new image only when it is pulled.
func TestFromImage(t *testing.T) {
	w := created(t)
	offered(w, "sha256:one", "web: one\n")
	w.process(0).run(func(h *agent.Host) {
		apply := func(change agent.Change) api.Verdict {
			t.Helper()
			verdict, err := h.Apply(context.Background(), change)
			must(t, err)
			return verdict
		}
		if verdict := apply(fromImage("request-1", agent.PullMissing)); !verdict.OK || !verdict.Changed || verdict.Built != "sha256:one" {
			t.Fatalf("%+v", verdict)
		}
		record, err := h.Ledger.Release(app, 1)
		must(t, err)
		if record.Image != registryName || record.Source.Author != "Ann <ann@example.com>" || record.Settings.Procfile != "web: one\n" || record.Kind != "tag" {
			t.Errorf("%+v", record)
		}
		offered(w, "sha256:two", "web: two\n")
		for _, again := range []agent.Change{fromImage("request-2", agent.PullMissing)} {
			if verdict := apply(again); !verdict.OK || verdict.Changed || verdict.Release != 1 {
				t.Errorf("once more: %+v", verdict)
			}
		}
		if verdict := apply(fromImage("request-3", agent.PullAlways)); !verdict.Changed || verdict.Built != "sha256:two" || verdict.Release != 2 {
			t.Errorf("pulled again: %+v", verdict)
		}
		if verdict := apply(fromImage("request-4", agent.PullAlways)); !verdict.OK || verdict.Changed || w.names[registryName] != "sha256:two" {
			t.Errorf("pulled again, and it is the same: %+v", verdict)
		}
	})
}

// TestFromImageUndone: a deploy that fails leaves no image and no name that was pulled.
func TestFromImageUndone(t *testing.T) {
	w := created(t)
	w.process(0).run(func(h *agent.Host) {
		apply := func(change agent.Change) api.Verdict {
			t.Helper()
			verdict, err := h.Apply(context.Background(), change)
			must(t, err)
			return verdict
		}
		offered(w, "sha256:one", "web: one\n")
		w.unhealthy = errors.New("sick")
		if verdict := apply(fromImage("request-1", agent.PullMissing)); verdict.OK || verdict.Error.Code != api.Unhealthy {
			t.Fatalf("%+v", verdict)
		}
		if len(w.images)+len(w.names) != 0 {
			t.Errorf("left: %v, %v", w.images, w.names)
		}
		w.unhealthy = nil
		if verdict := apply(fromImage("request-2", agent.PullMissing)); !verdict.OK {
			t.Fatalf("%+v", verdict)
		}
		offered(w, "sha256:two", "web: two\n")
		w.unhealthy = errors.New("sick")
		if verdict := apply(fromImage("request-3", agent.PullAlways)); verdict.OK || w.names[registryName] != "sha256:one" || w.images["sha256:two"].ID != "" {
			t.Errorf("%+v\n%v\n%v", verdict, w.names, w.images)
		}
		delete(w.remote, registryName)
		if verdict := apply(fromImage("request-4", agent.PullAlways)); verdict.OK || verdict.Error.Code != api.ShipFailed || strings.Count(verdict.Error.Error(), "pull") > 1 {
			t.Errorf("%+v", verdict)
		}
	})
}

// TestFromImageOfAnother: the image of an app that the caller may not see is as if it were
// not there.
func TestFromImageOfAnother(t *testing.T) {
	w := created(t)
	w.process(0).run(func(h *agent.Host) {
		must(t, h.Settings.Create("secret"))
		w.images["sha256:secret"] = agent.Image{ID: "sha256:secret", OS: "linux", Arch: "amd64"}
		w.names["dokku/secret:latest"] = "sha256:secret"
		asked := false
		w.plugin = func(_ context.Context, name string, streams agent.Streams) error {
			if name == "user-auth-app" {
				asked = true
				_, err := streams.Out.Write([]byte(app + "\n"))
				return err
			}
			return nil
		}
		for n, name := range []string{"dokku/secret:latest", "sha256:secret"} {
			verdict, err := h.Apply(context.Background(), agent.Change{App: app, Request: "request-secret-" + []string{"a", "b"}[n], Kind: agent.Tag, Image: name, Pull: agent.PullMissing})
			must(t, err)
			if verdict.OK || !strings.Contains(verdict.Error.Message, "there is no image") || !asked {
				t.Errorf("%s: %+v", name, verdict)
			}
		}
	})
}

// TestImageName: shell characters, flags, paths and other digests name no image (ALSO-REFUSE 15, 16).
func TestImageName(t *testing.T) {
	for _, good := range []string{"nginx", "nginx:1.25", "library/nginx", "registry.example.com:5000/team/app:v1", "localhost/x", "a/b__c:X@sha256:" + strings.Repeat("0a", 32)} {
		if err := agent.ImageName(good); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	bad := []string{"", "-x", "--platform=x", "a b", "a;b", "$(id)", "a\nb", "a@sha512:" + strings.Repeat("0", 128), "a@sha256:" + strings.Repeat("0A", 32), "/etc/passwd", "../x", "a//b", "A/B", "a:-x",
		"https://example.com/x", strings.Repeat("a", 256), "a:" + strings.Repeat("x", 129), "ä"}
	if n := slices.IndexFunc(bad, func(name string) bool { return agent.ImageName(name) == nil }); n >= 0 {
		t.Errorf("%q is taken", bad[n])
	}
}

// sentImages is a store that has received some images, by their manifests.
type sentImages struct {
	agent.Blobs
	world   *world
	dropped []string
}

type offer struct {
	agent.Pull
	world *world
}

func (s *sentImages) Tidy(string) error { return nil }

func (s *sentImages) Listen(context.Context, string) (agent.Pull, error) {
	return offer{world: s.world}, nil
}
func (s *sentImages) Drop(_, manifest string) error {
	s.dropped = append(s.dropped, manifest)
	return nil
}
func (offer) Ref(manifest string) string { return "here/" + manifest }
func (offer) Auth() api.RegistryAuth     { return api.RegistryAuth{} }
func (offer) Missing() []string          { return nil }
func (offer) Close() error               { return nil }

// TestSentImage: what came through the host's store is pulled out of it by its digest, and
// the store forgets it. Only a name of the app's own is given to it.
func TestSentImage(t *testing.T) {
	w := created(t)
	w.process(0).run(func(h *agent.Host) {
		blobs := &sentImages{world: w}
		h.Blobs = blobs
		send := func(request, name string) agent.Change {
			id := "sha256:" + request
			w.remote["here/manifest-"+request] = agent.Image{ID: id, OS: "linux", Arch: "amd64", Labels: map[string]string{api.LabelBuilder: "static", api.LabelProcfile: "web: " + request + "\n"}}
			change := fromImage("request-"+request, agent.PullSent)
			change.Image, change.Document.Image = name, api.Image{ID: id, Manifest: "manifest-" + request}
			return change
		}
		apply := func(change agent.Change) api.Verdict {
			t.Helper()
			verdict, err := h.Apply(context.Background(), change)
			must(t, err)
			return verdict
		}
		w.images["sha256:other"], w.names["team/shop:1"] = agent.Image{ID: "sha256:other"}, "sha256:other"
		if verdict := apply(send("loaded", "team/shop:1")); !verdict.OK || verdict.Built != "sha256:loaded" || w.names["team/shop:1"] != "sha256:other" {
			t.Fatalf("%+v, %v", verdict, w.names)
		}
		if verdict := apply(send("tagged", "dokku/shop:ci")); !verdict.OK || verdict.Built != "sha256:tagged" || w.names["dokku/shop:ci"] != "sha256:tagged" {
			t.Fatalf("%+v, %v", verdict, w.names)
		}
		if !slices.Equal(blobs.dropped, []string{"manifest-loaded", "manifest-tagged"}) {
			t.Errorf("dropped %q", blobs.dropped)
		}
		settings, err := h.Settings.Read(app)
		must(t, err)
		if settings.Procfile != "web: tagged\n" {
			t.Errorf("%q", settings.Procfile)
		}
		w.unhealthy = errors.New("sick")
		if verdict := apply(send("sick", "dokku/shop:ci")); verdict.OK || w.names["dokku/shop:ci"] != "sha256:tagged" || w.images["sha256:sick"].ID != "" {
			t.Errorf("%+v, %v", verdict, w.names)
		}
		w.unhealthy = nil
		again := send("tagged", "team/shop:1")
		again.Request = "request-tagged-again"
		if verdict := apply(again); !verdict.OK || verdict.Changed {
			t.Errorf("once more: %+v", verdict)
		}
	})
}

// TestTakes: nobody brings an image to an app that is locked or takes signed ones alone, and
// what dokku.hcl has declared outlives an image that comes by its name.
func TestTakes(t *testing.T) {
	w := created(t)
	offered(w, "sha256:one", "web: one\n")
	w.process(0).run(func(h *agent.Host) {
		pushed := deploy(w, 1)
		pushed.Document.Config = map[string]string{"COLOUR": "blue"}
		for _, change := range []agent.Change{pushed, fromImage("request-2", agent.PullMissing)} {
			verdict, err := h.Apply(context.Background(), change)
			must(t, err)
			if !verdict.OK {
				t.Fatalf("%+v", verdict)
			}
		}
		settings, err := h.Settings.Read(app)
		must(t, err)
		if settings.Env["COLOUR"] != "blue" {
			t.Errorf("the config is %v", settings.Env)
		}
		must(t, h.Takes(app))
		for property, want := range map[string]api.Code{"apps/locked": api.Locked, agent.SigningRequired: api.Refused} {
			change := func(value string) {
				_, _, err := h.Settings.Change(app, func(now *agent.Settings) error { now.Properties[property] = value; return nil })
				must(t, err)
			}
			change("true")
			if err := h.Takes(app); err == nil || api.AsError(err).Code != want {
				t.Errorf("%s: %v", property, err)
			}
			verdict, err := h.Apply(context.Background(), fromImage("request-"+string(want), agent.PullAlways))
			must(t, err)
			if verdict.OK || verdict.Error.Code != want {
				t.Errorf("%s: %+v", property, verdict)
			}
			change("")
		}
	})
}
