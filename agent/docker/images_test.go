package docker

import (
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/api"
)

func TestImages(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	image, err := w.Image(ctx, w.repository+":v1")
	must(t, err)
	if len(image.DiffIDs) != 1 || image.Size == 0 {
		t.Errorf("it has the layers %v and %d bytes", image.DiffIDs, image.Size)
	}
	image.DiffIDs, image.Size = nil, 0
	want := agent.Image{ID: w.image, OS: "linux", Arch: "amd64", Entrypoint: []string{"/bin/sh", "-c"}, Cmd: []string{"echo base"},
		Env: []string{"PATH=/bin", "BASE=1"}, WorkingDir: "/tmp", User: "0", Exposed: []string{"5000/tcp"},
		Labels: map[string]string{"of": "base"}, Names: []string{w.repository + ":v1"}, Digests: []string{}}
	if diff := cmp.Diff(want, image); diff != "" {
		t.Error(diff)
	}
	for _, ref := range []string{w.repository + ":none", "sha256:" + strings.Repeat("0", 64)} {
		if _, err := w.Image(ctx, ref); !errors.Is(err, agent.ErrNotFound) {
			t.Errorf("%s gave %v", ref, err)
		}
	}
	must(t, w.Tag(ctx, w.image, w.repository+":b"))
	must(t, w.Tag(ctx, w.image, w.repository+":a"))
	must(t, w.Tag(ctx, w.image, w.repository+"x:a"))
	names, err := w.Names(ctx, w.repository)
	must(t, err)
	if diff := cmp.Diff([]string{w.repository + ":a", w.repository + ":b", w.repository + ":v1"}, names); diff != "" {
		t.Error(diff)
	}
	must(t, w.Untag(ctx, w.repository+"x:a"))
	must(t, w.Untag(ctx, w.repository+":none"))
	if err := w.Tag(ctx, "sha256:"+strings.Repeat("0", 64), w.repository+":c"); !errors.Is(err, agent.ErrNotFound) {
		t.Errorf("tagging nothing gave %v", err)
	}
}

// TestUntagUsed: names go although containers run, what they run on stays.
func TestUntagUsed(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	id := w.create(t, script("sleep 100"))
	must(t, w.Start(ctx, id))
	must(t, w.Untag(ctx, w.repository+":v1"))
	must(t, w.Untag(ctx, w.image))
	names, err := w.Names(ctx, w.repository)
	must(t, err)
	c, err := w.Inspect(ctx, id)
	must(t, err)
	if len(names) != 0 || !c.Running {
		t.Errorf("names %v, running %t", names, c.Running)
	}
	must(t, w.Remove(ctx, id))
	must(t, w.Untag(ctx, w.image))
	if _, err := w.Image(ctx, w.image); !errors.Is(err, agent.ErrNotFound) {
		t.Errorf("the image is still there: %v", err)
	}
}

// TestPull pulls by digest from a registry that wants a password.
func TestPull(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	store := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	server := httptest.NewServer(http.HandlerFunc(func(answer http.ResponseWriter, ask *http.Request) {
		user, password, _ := ask.BasicAuth()
		if ask.Method == http.MethodGet && (user != "me" || password != "secret") {
			answer.Header().Set("WWW-Authenticate", `Basic realm="test"`)
			answer.WriteHeader(http.StatusUnauthorized)
			return
		}
		store.ServeHTTP(answer, ask)
	}))
	defer server.Close()
	repository := strings.TrimPrefix(server.URL, "http://") + "/" + w.repository
	digest, err := w.built.Digest()
	must(t, err)
	ref, err := name.NewDigest(repository + "@" + digest.String())
	must(t, err)
	open := httptest.NewServer(store)
	defer open.Close()
	to, err := name.NewTag(strings.TrimPrefix(open.URL, "http://") + "/" + w.repository + ":v1")
	must(t, err)
	must(t, remote.Write(to, w.built))
	must(t, w.Untag(ctx, w.repository+":v1"))

	for _, auth := range []*api.RegistryAuth{nil, {Username: "me", Password: "wrong-one"}} {
		err := w.Pull(ctx, ref.String(), auth, nil)
		if err == nil || strings.Contains(err.Error(), "wrong-one") || strings.Count(err.Error(), "Error response") > 1 {
			t.Errorf("pulling with %v gave %v", auth, err)
		}
	}
	var told []string
	auth := &api.RegistryAuth{Username: "me", Password: "secret"}
	must(t, w.Pull(ctx, ref.String(), auth, func(p api.Progress) { told = append(told, p.Note) }))
	if !slices.Contains(told, "Pull complete") {
		t.Errorf("progress was %q", told)
	}
	image, err := w.Image(ctx, ref.String())
	must(t, err)
	if image.ID != w.image || !slices.Contains(image.Digests, ref.String()) {
		t.Errorf("pulled %s, %v", image.ID, image.Digests)
	}
	names, err := w.Names(ctx, repository)
	must(t, err)
	if diff := cmp.Diff([]string{ref.String()}, names); diff != "" {
		t.Error(diff)
	}
	must(t, w.Untag(ctx, ref.String()))
	if _, err := w.Image(ctx, w.image); !errors.Is(err, agent.ErrNotFound) {
		t.Errorf("the image is still there: %v", err)
	}
	absent := repository + "@sha256:" + strings.Repeat("0", 64)
	if err := w.Pull(ctx, absent, auth, nil); err == nil {
		t.Error("what is not there was pulled")
	}
}
