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
		if verdict := apply(fromImage("request-4", agent.PullAlways)); verdict.OK || verdict.Error.Code != api.ShipFailed {
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
