package dockerfile

import (
	"context"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/validate"
	"github.com/moby/moby/client"

	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/build"
	"github.com/dokku-push/dokku-push/manifest"
)

func TestBuild(t *testing.T) {
	b := newBench(t, map[string]string{
		"Dockerfile": "FROM " + base + "\nRUN echo made by run > /made && echo hello from run\nCOPY app.txt /app.txt\n",
		"app.txt":    "one\n",
	})
	b.request.Revision = "0123456789012345678901234567890123456789"
	b.request.App.ProcfileText = "web: busybox httpd -f -p $PORT\n"
	b.request.App.AppJSONText = "{\"name\": \"x\"}\n"
	first := b.build()

	if !b.printed("hello from run") || !b.printed("RUN echo made by run") {
		t.Errorf("step and its output are missing:\n%s", strings.Join(b.lines, "\n"))
	}
	if err := validate.Image(first); err != nil {
		t.Errorf("the image is not valid: %v", err)
	}
	if name, err := first.ConfigName(); err != nil || name.String() != first.ID {
		t.Errorf("config digest %v, id %s, %v", name, first.ID, err)
	}
	inspected, err := b.docker.ImageInspect(context.Background(), ImageName(b.app))
	if err != nil || inspected.ID != first.ID {
		t.Errorf("the engine knows %s as %s, %v", first.ID, inspected.ID, err)
	}
	config, err := first.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		api.LabelBuilder: "dockerfile", api.LabelProcfile: b.request.App.ProcfileText,
		api.LabelAppJSON: b.request.App.AppJSONText, api.LabelRevision: b.request.Revision,
	}
	if diff := cmp.Diff(want, config.Config.Labels); diff != "" {
		t.Errorf("labels (-want +got):\n%s", diff)
	}
	if text, _ := file(t, first, "app.txt"); text != "one\n" {
		t.Errorf("app.txt is %q", text)
	}
	for _, tag := range inspected.RepoTags {
		if strings.HasPrefix(tag, "127.0.0.1") {
			t.Errorf("the tag %s was left behind", tag)
		}
	}
}

func TestBuildTwiceExportsOnce(t *testing.T) {
	b := newBench(t, map[string]string{
		"Dockerfile": "FROM " + base + "\nCOPY a.txt /a\nCOPY b.txt /b\n", "a.txt": "a", "b.txt": "b",
	})
	first := b.build()
	if err := os.RemoveAll(filepath.Join(b.cache, "blobs")); err != nil {
		t.Fatal(err)
	}
	second := b.build()
	if first.ID != second.ID {
		t.Errorf("two builds of one tree: %s and %s", first.ID, second.ID)
	}
	if blobs, _ := os.ReadDir(filepath.Join(b.cache, "blobs")); len(blobs) != 0 {
		t.Errorf("an unchanged build exported %d layers", len(blobs))
	}
	if diff := cmp.Diff(digests(t, first), digests(t, second)); diff != "" {
		t.Error(diff)
	}
	if !b.printed("CACHED") {
		t.Errorf("no step was cached:\n%s", strings.Join(b.lines, "\n"))
	}
	if err := validate.Image(second); err != nil {
		t.Errorf("evicted layers were not exported again: %v", err)
	}
}

func TestOneLineChangesOneLayer(t *testing.T) {
	b := newBench(t, map[string]string{
		"Dockerfile": "FROM " + base + "\nCOPY a.txt /a\nCOPY b.txt /b\n", "a.txt": "a", "b.txt": "b",
	})
	before := digests(t, b.build())
	blobs, _ := os.ReadDir(filepath.Join(b.cache, "blobs"))
	if len(blobs) != 3 {
		t.Errorf("%d blobs for 3 layers", len(blobs))
	}
	for _, blob := range blobs { // a layer that is taken again would be seen
		if err := os.Remove(filepath.Join(b.cache, "blobs", blob.Name())); err != nil {
			t.Fatal(err)
		}
	}
	b.write("b.txt", "changed")
	after := digests(t, b.build())
	if len(before) != 3 || len(after) != 3 || !cmp.Equal(before[:2], after[:2]) || before[2] == after[2] {
		t.Errorf("layers before %v, after %v", before, after)
	}
	blobs, _ = os.ReadDir(filepath.Join(b.cache, "blobs"))
	if len(blobs) != 1 || "sha256:"+blobs[0].Name() != after[2] {
		t.Errorf("the engine sent %v, only the last layer changed", blobs)
	}
}

func TestSaveGivesTheSameImage(t *testing.T) {
	b := newBench(t, map[string]string{"Dockerfile": "FROM " + base + "\nCOPY a.txt /a\n", "a.txt": "a"})
	built := b.build()
	s, err := openStore(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	e, err := connect(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer e.close()
	var manifests []string
	for range 2 {
		r, err := e.save(t.Context(), s, built.ID, ImageName(b.app), v1.Hash{})
		if err != nil {
			t.Fatal(err)
		}
		if digestOf(r.Config) != built.ID {
			t.Errorf("the saved config is %s", digestOf(r.Config))
		}
		manifests = append(manifests, string(r.Manifest))
		if err := os.RemoveAll(s.dir); err != nil {
			t.Fatal(err)
		}
		if s, err = openStore(s.dir); err != nil {
			t.Fatal(err)
		}
	}
	if manifests[0] != manifests[1] {
		t.Error("compressing twice gives two manifests")
	}
	r, err := e.save(t.Context(), s, built.ID, ImageName(b.app), v1.Hash{})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.putRecord(built.ID, r); err != nil {
		t.Fatal(err)
	}
	image, err := e.image(t.Context(), s, built.ID, ImageName(b.app))
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Image(image); err != nil {
		t.Error(err)
	}
}

// TestExport: an image that is known by its tag alone is the same one.
func TestExport(t *testing.T) {
	b := newBench(t, map[string]string{"Dockerfile": "FROM " + base + "\nCOPY a /a\n", "a": "1"})
	built := b.build()
	for _, cache := range []string{b.cache, t.TempDir()} { // every layer is known, none is
		again, err := Builder{CacheDir: cache}.Export(t.Context(), "", b.request)
		if err != nil || again.ID != built.ID {
			t.Fatalf("got %+v, %v, want %s", again, err, built.ID)
		}
		if want, err := built.Digest(); err != nil {
			t.Fatal(err)
		} else if got, err := again.Digest(); err != nil || got != want {
			t.Errorf("manifest %s, %v, want %s", got, err, want)
		}
	}
}

func TestPullGivesTheSameID(t *testing.T) {
	b := newBench(t, map[string]string{"Dockerfile": "FROM " + base + "\nCOPY a.txt /a\nCMD [\"cat\", \"/a\"]\n", "a.txt": "a"})
	built := b.build()
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	defer server.Close()
	repository := strings.TrimPrefix(server.URL, "http://") + "/app"
	ref, err := name.NewTag(repository + ":v1")
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(ref, built); err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	if _, err := b.docker.ImageRemove(ctx, ImageName(b.app), client.ImageRemoveOptions{Force: true, PruneChildren: true}); err != nil {
		t.Fatal(err)
	}
	digest, err := built.Digest()
	if err != nil {
		t.Fatal(err)
	}
	pulled := repository + "@" + digest.String()
	stream, err := b.docker.ImagePull(ctx, pulled, client.ImagePullOptions{})
	if err == nil {
		err = stream.Wait(ctx)
	}
	if err != nil {
		t.Fatal(err)
	}
	inspected, err := b.docker.ImageInspect(ctx, pulled)
	if err != nil || inspected.ID != built.ID {
		t.Errorf("pulled %s, built %s, %v", inspected.ID, built.ID, err)
	}
	if _, err := b.docker.ImageRemove(ctx, pulled, client.ImageRemoveOptions{Force: true, PruneChildren: true}); err != nil {
		t.Error(err)
	}
}

func TestFailingStep(t *testing.T) {
	b := newBench(t, map[string]string{
		"Dockerfile": "FROM " + base + "\n\nRUN echo out of the step && echo to stderr >&2 && exit 7\n",
	})
	b.fails("RUN echo out of the step", "exit code: 7", "Dockerfile:3")
	for _, want := range []string{"out of the step", "to stderr"} {
		if !b.printed(want) {
			t.Errorf("%q is missing in:\n%s", want, strings.Join(b.lines, "\n"))
		}
	}
}

func TestRefusals(t *testing.T) {
	b := newBench(t, nil)
	b.fails("there is no Dockerfile at Dockerfile")
	b.write("Dockerfile", "FROM "+base+"\nRUNN x\n")
	b.fails("RUNN")
	b.write("Dockerfile", "FROM "+base+" AS one\n")
	b.request.App.Build.Dockerfile.Target = "two"
	b.fails("two")
	b.request.App.Build.Dockerfile = manifest.DockerfileBuild{Path: "../Dockerfile"}
	b.fails("outside of the project")
	b.request.App.Build.Dockerfile = manifest.DockerfileBuild{}
	b.write("Dockerfile", "FROM "+base+"\n")
	b.request.Arch = "arm64"
	if e := b.fails(); !strings.Contains(e.Hint+e.Message, "linux/arm64") {
		t.Errorf("the platform is not named: %v; %s", e, e.Hint)
	}
}

func TestIgnoreArgsTarget(t *testing.T) {
	b := newBench(t, map[string]string{
		"Dockerfile":    "FROM " + base + " AS one\nARG WHO=nobody\nCOPY . /src/\nRUN echo $WHO > /who\nFROM one AS two\nRUN echo two > /two\n",
		".dockerignore": "*.log\nsecret\n!keep.log\n",
		"a.log":         "no", "keep.log": "yes", "secret/key": "no", "src.txt": "yes",
	})
	b.request.App.Build.Args = map[string]string{"WHO": "somebody"}
	b.request.App.Build.Dockerfile.Target = "one"
	image := b.build()
	for path, want := range map[string]bool{
		"src/a.log": false, "src/keep.log": true, "src/secret/key": false, "src/src.txt": true, "two": false,
	} {
		if _, ok := file(t, image, path); ok != want {
			t.Errorf("%s in the image: %v, want %v", path, ok, want)
		}
	}
	if who, _ := file(t, image, "who"); who != "somebody\n" {
		t.Errorf("WHO was %q", who)
	}
	b.write("docker/App", "FROM "+base+"\nCOPY . /src/\n")
	b.write("docker/App.dockerignore", "src.txt\n")
	b.request.App.Build.Dockerfile = manifest.DockerfileBuild{Path: "docker/App"}
	image = b.build()
	if _, ok := file(t, image, "src/src.txt"); ok {
		t.Error("App.dockerignore was not honoured")
	}
	if _, ok := file(t, image, "src/a.log"); !ok {
		t.Error(".dockerignore was honoured beside App.dockerignore")
	}
}

func TestEngineAway(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "Dockerfile"), []byte("FROM scratch\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	request := build.Request{Dir: dir, App: &manifest.App{}, Name: "x", OS: "linux", Arch: "amd64", Output: func(string) {}}
	_, err := Builder{DockerHost: "unix://" + dir + "/none.sock", CacheDir: dir}.Build(t.Context(), request)
	e := api.AsError(err)
	if e == nil || e.Code != api.BuildFailed || !strings.Contains(e.Hint, "start Docker") {
		t.Errorf("got %#v", err)
	}
}

func TestCancel(t *testing.T) {
	b := newBench(t, map[string]string{"Dockerfile": "FROM " + base + "\nRUN echo going && sleep 30\n"})
	ctx, cancel := context.WithCancel(t.Context())
	b.request.Output = func(line string) {
		if strings.HasSuffix(line, " going") {
			cancel()
		}
	}
	_, err := Builder{CacheDir: b.cache}.Build(ctx, b.request)
	if e := api.AsError(err); e == nil || e.Code != api.Cancelled {
		t.Errorf("got %#v", err)
	}
}
