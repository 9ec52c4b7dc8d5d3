package command

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/agent/store"
	"github.com/dokku-push/dokku-push/api"
)

// tagging is an engine with these image names.
type tagging struct {
	*engine
	names map[string]string
}

func (e tagging) Info(context.Context) (agent.EngineInfo, error) {
	return agent.EngineInfo{OS: "linux", Arch: "amd64"}, nil
}

func (e tagging) Image(_ context.Context, ref string) (agent.Image, error) {
	id, ok := e.names[ref]
	if !ok {
		return agent.Image{}, fmt.Errorf("image %s: %w", ref, agent.ErrNotFound)
	}
	return agent.Image{ID: id, Size: 1_250_000}, nil
}

func (e tagging) Names(context.Context, string) (names []string, err error) {
	for name := range e.names {
		names = append(names, name)
	}
	return names, nil
}

func taggingHost(t *testing.T) (*agent.Host, tagging, *store.Store) {
	t.Helper()
	h, e := newHost(t)
	all := tagging{e, map[string]string{}}
	blobs := &store.Store{Dir: filepath.Join(t.TempDir(), "blobs")}
	h.Containers, h.Images, h.Blobs = all, all, blobs
	return h, all, blobs
}

var errSubmitted = errors.New("submitted")

// submits is the change that a command asks for.
func submits(t *testing.T, h *agent.Host, in []byte, line string) agent.Change {
	t.Helper()
	var submitted agent.Change
	_, _, err := do(t, Call{Host: h, In: bytes.NewReader(in), Submit: func(_ context.Context, change agent.Change) error {
		submitted = change
		return errSubmitted
	}}, line)
	if !errors.Is(err, errSubmitted) {
		t.Fatalf("%s: %v", line, err)
	}
	submitted.Request = ""
	return submitted
}

func TestGitFromImage(t *testing.T) {
	h, _, _ := taggingHost(t)
	for line, want := range map[string]agent.Change{
		"git:from-image shop nginx:1":                                        {Image: "nginx:1", Pull: agent.PullMissing},
		"git:from-image --force shop nginx:1":                                {Image: "nginx:1", Pull: agent.PullAlways},
		"git:from-image shop example.com/a/b:1 Ann":                          {Image: "example.com/a/b:1", Pull: agent.PullMissing, Author: "Ann"},
		"git:from-image shop example.com/a/b:1 'Ann of Ascii' a@example.com": {Image: "example.com/a/b:1", Pull: agent.PullMissing, Author: "Ann of Ascii <a@example.com>"},
	} {
		want.App, want.Kind = "shop", agent.Tag
		if diff := cmp.Diff(want, submits(t, h, nil, line)); diff != "" {
			t.Errorf("%s:\n%s", line, diff)
		}
	}
	for line, want := range map[string]string{
		"git:from-image shop":                        "Please specify a docker image",
		"git:from-image shop ''":                     "Please specify a docker image",
		"git:from-image":                             "Please specify an app",
		"git:from-image shop -x":                     "is no image's name",
		"git:from-image shop 'a;id'":                 "is no image's name",
		"git:from-image shop a b c d":                "too many arguments",
		"git:from-image shop a 'b\nc'":               "is no name",
		"git:from-image shop a 'b <x>'":              "is no name",
		"git:from-image --build-dir /tmp shop nginx": "--build-dir is not taken",
		"git:load-image shop":                        "Please specify a docker image",
		"git:load-image shop ../x":                   "is no image's name",
	} {
		refuses(t, h, line, api.Usage, want)
	}
	refuses(t, h, "git:from-image nothing nginx", api.NotFound, "does not exist")
}

// TestGitLoadImage: an archive that is refused submits nothing; one for an app that takes
// nothing is not even read.
func TestGitLoadImage(t *testing.T) {
	h, _, blobs := taggingHost(t)
	config := `{"os":"linux","architecture":"amd64","rootfs":{"type":"layers","diff_ids":["sha256:` + strings.Repeat("a", 64) + `"]}}`
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	for name, text := range map[string]string{"c.json": config, "l.tar": "layer", "manifest.json": `[{"Config":"c.json","RepoTags":["nginx:1"],"Layers":["l.tar"]}]`} {
		must(t, w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(text)), Typeflag: tar.TypeReg}))
		_, err := w.Write([]byte(text))
		must(t, err)
	}
	must(t, w.Close())
	change := submits(t, h, archive.Bytes(), "git:load-image shop nginx:1 Ann")
	layers, err := blobs.Layers("shop")
	if err != nil || len(layers) != 1 || change.Pull != agent.PullSent || change.Image != "nginx:1" || change.Author != "Ann" ||
		change.Document.Image.Manifest != layers[0].Manifest || change.Document.Image.ID == "" {
		t.Errorf("%+v\n%+v, %v", change, layers, err)
	}
	if _, _, err := do(t, Call{Host: h, In: strings.NewReader("no archive")}, "git:load-image shop nginx:1"); err == nil || api.AsError(err).Code != api.Refused {
		t.Errorf("no archive: %v", err)
	}
	set(t, h, "shop", func(now *agent.Settings) { now.Properties["apps/locked"] = "true" })
	unread := strings.NewReader("unread")
	if _, _, err := do(t, Call{Host: h, In: unread}, "git:load-image shop nginx:1"); err == nil || api.AsError(err).Code != api.Locked || unread.Len() != 6 {
		t.Errorf("an app that is locked: %v", err)
	}
}

// TestTags: the table and its JSON, and where a tag is looked for.
func TestTags(t *testing.T) {
	h, e, blobs := taggingHost(t)
	e.names["dokku/shop:v1"], e.names["dokku/shop:nice"] = "sha256:0123456789abcdef", "sha256:0123456789abcdef"
	table := "REPOSITORY                     TAG                  IMAGE ID        SIZE\n" +
		"dokku/shop                     nice                 0123456789ab    1.2MB\n" +
		"dokku/shop                     v1                   0123456789ab    1.2MB\n"
	for _, line := range []string{"tags shop", "tags:list shop", "tags shop --format stdout"} {
		prints(t, h, line, "=====> Image tags for dokku/shop\n"+table)
	}
	prints(t, h, "tags shop --format json", `[{"repository":"dokku/shop","tag":"nice","image_id":"sha256:0123456789abcdef","size":1250000},`+
		`{"repository":"dokku/shop","tag":"v1","image_id":"sha256:0123456789abcdef","size":1250000}]`+"\n")
	refuses(t, h, "tags shop --format yaml", api.Usage, "Invalid format")
	refuses(t, h, "tags shop more", api.Usage, "unexpected argument")

	if change := submits(t, h, nil, "tags:deploy shop nice"); change.Image != "dokku/shop:nice" || change.Pull != agent.PullNever {
		t.Errorf("%+v", change)
	}
	if change := submits(t, h, nil, "tags:deploy shop other"); change.Pull != agent.PullNever {
		t.Errorf("of nothing: %+v", change)
	}
	for _, value := range []string{"Team/Shop", "team/shop:1", "team/shop@sha256:" + strings.Repeat("0", 64), "a b", "-x"} {
		refuses(t, h, "registry:set shop image-repo '"+value+"'", api.Usage, "is no repository")
	}
	refuses(t, h, "registry:set shop server 'a b'", api.Usage, "is no registry's address")
	prints(t, h, "registry:set shop image-repo team/shop", "=====> Setting image-repo to team/shop\n")
	prints(t, h, "registry:set --global server https://registry.example.com/", "=====> Setting server to https://registry.example.com/\n")
	if change := submits(t, h, nil, "tags:deploy shop other"); change.Image != "registry.example.com/team/shop:other" || change.Pull != agent.PullMissing {
		t.Errorf("of a registry: %+v", change)
	}
	if _, err := blobs.Tagged("shop", "other"); !errors.Is(err, agent.ErrNotFound) {
		t.Errorf("%v", err)
	}
}
