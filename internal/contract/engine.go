package contract

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/dokku-push/dokku-push/agent"
)

// EngineWorld is an engine with an image in it that has one name.
type EngineWorld struct {
	Images     agent.Images
	Containers agent.Containers
	Image      string // its id
	Repository string // its name is Repository:v1
	// Spec is a container of that name which goes on running and ends when it is told to.
	Spec func(name string) agent.ContainerSpec
	// Volume makes a volume; used: one that a container has from then on.
	Volume func(name string, used bool)
}

// Engine is what every agent.Images and agent.Containers must do.
func Engine(t *testing.T, w EngineWorld) {
	t.Run("names", w.names)
	t.Run("containers", w.containers)
	t.Run("used", w.used)
	t.Run("commit", w.commit)
	t.Run("volumes", w.volumes)
}

func (w EngineWorld) volumes(t *testing.T) {
	ctx, c, prefix := t.Context(), w.Containers, w.Repository+"-v"
	list := func(want ...string) {
		t.Helper()
		found, err := c.Volumes(ctx, prefix)
		must(t, err)
		if diff := cmp.Diff(want, found, cmpopts.EquateEmpty()); diff != "" {
			t.Error(diff)
		}
	}
	list()
	w.Volume(prefix+".b", false)
	w.Volume(prefix+".a", true)
	w.Volume("of-"+prefix, false)
	list(prefix+".a", prefix+".b")
	for range 2 { // the second time it is gone, or there as before
		must(t, c.RemoveVolume(ctx, prefix+".a"))
		must(t, c.RemoveVolume(ctx, prefix+".b"))
	}
	list(prefix + ".a")
	must(t, c.RemoveVolume(ctx, "of-"+prefix))
}

func (w EngineWorld) names(t *testing.T) {
	ctx := t.Context()
	image, err := w.Images.Image(ctx, w.Repository+":v1")
	must(t, err)
	if image.ID != w.Image || !slices.Equal(image.Names, []string{w.Repository + ":v1"}) {
		t.Fatalf("got %+v", image)
	}
	_, byName := w.Images.Image(ctx, w.Repository+":none")
	_, byID := w.Images.Image(ctx, none)
	absent(t, map[string]error{"image by name": byName, "image by id": byID, "tag": w.Images.Tag(ctx, none, w.Repository+":x")})
	must(t, w.Images.Tag(ctx, w.Image, w.Repository+":b"))
	must(t, w.Images.Tag(ctx, w.Image, w.Repository+":b"))
	must(t, w.Images.Tag(ctx, w.Image, w.Repository+":a"))
	must(t, w.Images.Tag(ctx, w.Image, w.Repository+"-other:a"))
	names, err := w.Images.Names(ctx, w.Repository)
	must(t, err)
	if diff := cmp.Diff([]string{w.Repository + ":a", w.Repository + ":b", w.Repository + ":v1"}, names); diff != "" {
		t.Error(diff)
	}
	for _, name := range []string{":a", ":a", ":b", "-other:a", ":none"} {
		must(t, w.Images.Untag(ctx, w.Repository+name))
	}
	image, err = w.Images.Image(ctx, w.Image)
	must(t, err)
	if !slices.Equal(image.Names, []string{w.Repository + ":v1"}) {
		t.Errorf("it has the names %q", image.Names)
	}
}

// none is an id that no image has.
const none = "sha256:0000000000000000000000000000000000000000000000000000000000000000"

func (w EngineWorld) containers(t *testing.T) {
	ctx, c := t.Context(), w.Containers
	name := w.Repository + ".one"
	spec := w.Spec(name)
	spec.Labels = with(spec.Labels, "contract", w.Repository)
	id, err := c.Create(ctx, spec)
	must(t, err)
	if _, err := c.Create(ctx, spec); err == nil {
		t.Error("two containers have one name")
	}
	missing := w.Spec(w.Repository + ".two")
	missing.Image = none
	_, createErr := c.Create(ctx, missing)
	_, inspectErr := c.Inspect(ctx, missing.Name)
	absent(t, map[string]error{"create": createErr, "inspect": inspectErr, "start": c.Start(ctx, missing.Name), "rename": c.Rename(ctx, missing.Name, "x")})
	harmless(t, map[string]error{"stop": c.Stop(ctx, missing.Name, 0), "remove": c.Remove(ctx, missing.Name)})

	w.is(t, id, name, "created", false)
	must(t, c.Start(ctx, id))
	must(t, c.Start(ctx, id))
	w.is(t, name, name, "running", true)
	second := w.Spec(w.Repository + ".a")
	second.Labels = with(second.Labels, "contract", w.Repository)
	other, err := c.Create(ctx, second)
	must(t, err)
	if err := c.Rename(ctx, other, name); err == nil {
		t.Error("two containers have one name after a rename")
	}
	must(t, c.Rename(ctx, id, name+".old"))
	must(t, c.Rename(ctx, other, name))
	w.is(t, name+".old", name+".old", "running", true)
	all, err := c.List(ctx, map[string]string{"contract": w.Repository})
	must(t, err)
	if len(all) != 2 || all[0].ID != other || all[1].ID != id {
		t.Errorf("the list is %+v", all)
	}
	if nobody, err := c.List(ctx, map[string]string{"contract": w.Repository, "and": "more"}); err != nil || len(nobody) != 0 {
		t.Errorf("by two labels: %v, %v", nobody, err)
	}
	must(t, c.Stop(ctx, id, 0))
	must(t, c.Stop(ctx, id, time.Second))
	w.is(t, id, name+".old", "exited", false)
	must(t, c.Resume(ctx, id, "on-failure:10"))
	w.is(t, id, name+".old", "running", true)
	for range 2 {
		must(t, c.Remove(ctx, id))
		must(t, c.Remove(ctx, other))
	}
	_, err = c.Inspect(ctx, id)
	absent(t, map[string]error{"inspect": err})
}

// is wants a container to have this name and status.
func (w EngineWorld) is(t *testing.T, ref, name, status string, running bool) {
	t.Helper()
	c, err := w.Containers.Inspect(t.Context(), ref)
	must(t, err)
	if c.Name != name || c.Status != status || c.Running != running || (c.Address != "") != running || c.Image != w.Image {
		t.Errorf("want %s %s, running: %t; got %+v", name, status, running, c)
	}
}

// used: an image loses its last name, and stays for as long as a container of it runs.
func (w EngineWorld) used(t *testing.T) {
	ctx := t.Context()
	id, err := w.Containers.Create(ctx, w.Spec(w.Repository+".user"))
	must(t, err)
	must(t, w.Containers.Start(ctx, id))
	must(t, w.Images.Untag(ctx, w.Repository+":v1"))
	must(t, w.Images.Untag(ctx, w.Image))
	if names, err := w.Images.Names(ctx, w.Repository); err != nil || len(names) != 0 {
		t.Errorf("it still has the names %q, %v", names, err)
	}
	must(t, w.Images.Tag(ctx, w.Image, w.Repository+":v1"))
	must(t, w.Containers.Remove(ctx, id))
	if image, err := w.Images.Image(ctx, w.Image); err != nil || len(image.Names) != 1 {
		t.Errorf("after the container is gone: %+v, %v", image, err)
	}
}

func (w EngineWorld) commit(t *testing.T) {
	ctx := t.Context()
	id, err := w.Containers.Create(ctx, w.Spec(w.Repository+".phase"))
	must(t, err)
	label := map[string]string{"contract.commit": w.Repository}
	made, err := w.Containers.Commit(ctx, id, w.Image, label)
	must(t, err)
	nameless := func() []agent.Image {
		found, err := w.Images.Dangling(ctx, label)
		must(t, err)
		return found
	}
	if found := nameless(); len(found) != 1 || found[0].ID != made {
		t.Errorf("without a name: %v, want %s", found, made)
	}
	if made == w.Image {
		t.Error("a commit is the image itself")
	}
	must(t, w.Images.Tag(ctx, made, w.Repository+":made"))
	if found := nameless(); len(found) != 0 {
		t.Errorf("it has a name, and is listed as one without: %v", found)
	}
	must(t, w.Containers.Remove(ctx, id))
	must(t, w.Images.Untag(ctx, w.Repository+":made"))
	_, err = w.Images.Image(ctx, made)
	absent(t, map[string]error{"image": err})
	_, err = w.Images.Image(ctx, w.Image)
	must(t, err)
}

func with(labels map[string]string, key, value string) map[string]string {
	more := map[string]string{key: value}
	for key, value := range labels {
		more[key] = value
	}
	return more
}
