package dockerfile

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/manifest"
)

// canary is a text that nothing else has: the engine's cache of former runs neither.
var canary = fmt.Sprintf("canary-%x", time.Now().UnixNano())

// TestSecrets: a step reads a secret, and prints it; nothing that outlives the step has it.
func TestSecrets(t *testing.T) {
	b := newBench(t, map[string]string{"Dockerfile": "FROM " + base + `
RUN --mount=type=secret,id=TOKEN test "$(cat /run/secrets/TOKEN)" = ` + strings.ToUpper(canary) + ` || cat /run/secrets/TOKEN && echo read > /done
RUN --mount=type=secret,id=KEY cat /run/secrets/KEY && test ! -e /run/secrets/TOKEN
`})
	secrets := map[string]string{"TOKEN": canary, "KEY": "-----BEGIN KEY-----\n" + canary + "-key\n-----END KEY-----\n"}
	b.getenv = func(name string) (string, bool) { value, ok := secrets[name]; return value, ok }
	b.request.App.Build.Secrets = []string{"TOKEN", "KEY"}
	image := b.build()
	if text, _ := file(t, image, "done"); text != "read\n" {
		t.Errorf("the step left %q", text)
	}
	clean(t, image, canary)
	if b.printed(canary) || !b.printed("[secret]") {
		t.Errorf("the build printed:\n%s", strings.Join(b.lines, "\n"))
	}
	history, err := b.docker.ImageHistory(context.Background(), image.ID)
	if err != nil {
		t.Fatal(err)
	}
	inspected, err := b.docker.ImageInspect(context.Background(), image.ID)
	if err != nil {
		t.Fatal(err)
	}
	if text := fmt.Sprintf("%+v %+v", history, inspected); strings.Contains(text, canary) {
		t.Error("the engine shows the secret with the image")
	}
	saved, err := b.docker.ImageSave(context.Background(), []string{ImageName(b.app)})
	if err != nil {
		t.Fatal(err)
	}
	all, err := io.ReadAll(saved)
	_ = saved.Close()
	if err != nil || bytes.Contains(all, []byte(canary)) || !bytes.Contains(all, []byte("read\n")) {
		t.Errorf("docker save gives %d bytes, and the secret is among them: %v", len(all), err)
	}
	err = filepath.WalkDir(b.cache, func(path string, entry os.DirEntry, err error) error {
		if err == nil && entry.Type().IsRegular() {
			if text, _ := os.ReadFile(path); bytes.Contains(text, []byte(canary)) {
				t.Errorf("the secret stands in %s", path)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	b.write("Dockerfile", "FROM "+base+"\nRUN --mount=type=secret,id=TOKEN cat /run/secrets/TOKEN /nowhere\n")
	if e := b.fails("exit code"); strings.Contains(fmt.Sprintf("%v %s %v", e, e.Hint, e.Cause), canary) || b.printed(canary) {
		t.Errorf("the failure shows the secret: %v", e)
	}
	delete(secrets, "KEY")
	_, err = b.try()
	if e := api.AsError(err); e == nil || e.Code != api.Configuration || !strings.Contains(e.Message, "KEY") || len(b.lines) > 0 {
		t.Errorf("a secret without a value: %v\n%s", err, strings.Join(b.lines, "\n"))
	}
}

// clean looks for a text in all of an image: manifest, config with history and labels,
// and every file of every layer.
func clean(t *testing.T, image v1.Image, text string) {
	t.Helper()
	manifest, err := image.RawManifest()
	if err != nil {
		t.Fatal(err)
	}
	config, err := image.RawConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(manifest, []byte(text)) || bytes.Contains(config, []byte(text)) {
		t.Errorf("%q stands in\n%s\n%s", text, manifest, config)
	}
	layers, err := image.Layers()
	if err != nil || len(layers) == 0 {
		t.Fatalf("%d layers, %v", len(layers), err)
	}
	for n, layer := range layers {
		content, err := layer.Uncompressed()
		if err != nil {
			t.Fatal(err)
		}
		all, err := io.ReadAll(content)
		_ = content.Close()
		if err != nil || bytes.Contains(all, []byte(text)) {
			t.Errorf("layer %d holds %q: %v", n, text, err)
		}
	}
}

// TestDirAndContext: the app's folder has the Dockerfile, the build sees the context.
func TestDirAndContext(t *testing.T) {
	b := newBench(t, map[string]string{
		"apps/web/Dockerfile": "FROM " + base + "\nCOPY apps/web/own.txt lib/shared.txt /\nCOPY . /all\n", "apps/web/own.txt": "own", "lib/shared.txt": "shared",
		"Dockerfile":    "FROM " + base + "\nRUN exit 1\n",
		".dockerignore": "**\n!apps/web/*.txt\n!lib\nlib/*.tmp\n", "lib/x.tmp": "no", "apps/other/y.txt": "no", "lib/plan.json": "no", "lib/deep/plan.json": "yes",
	})
	b.request.App.Build.Dir, b.request.Unseen = "apps/web", []string{"lib/plan.json"}
	image := b.build()
	for path, want := range map[string]bool{
		"own.txt": true, "shared.txt": true, "all/lib/x.tmp": false, "all/lib/plan.json": false, "all/lib/deep/plan.json": true, "all/apps/other/y.txt": false, "all/apps/web/own.txt": true, "all/apps/web/Dockerfile": false,
	} {
		if _, ok := file(t, image, path); ok != want {
			t.Errorf("%s in the image: %v, want %v", path, ok, want)
		}
	}
	b.write("apps/web/Dockerfile", "FROM "+base+"\nCOPY . /\n")
	b.request.App.Build.Context = "lib"
	image = b.build()
	if _, ok := file(t, image, "plan.json"); ok {
		t.Error("the plan is in the image of the folder that it is in")
	}
	if text, _ := file(t, image, "shared.txt"); text != "shared" {
		t.Errorf("shared.txt is %q", text)
	}
	b.request.App.Build.Dir = "../web"
	b.fails("outside of the project")
}

// TestFailingStepWhole: all that a failing step printed is shown, on both streams, up to
// the last line without an end.
func TestFailingStepWhole(t *testing.T) {
	b := newBench(t, map[string]string{
		"Dockerfile": "FROM " + base + "\nRUN n=0; while [ $n -lt 800 ]; do echo line $n of out; echo line $n of err >&2; n=$((n+1)); done; printf 'the last word'; exit 3\n",
	})
	b.fails("exit code: 3")
	all := strings.Join(b.lines, "\n") + "\n"
	for n := range 800 {
		for _, stream := range []string{"out", "err"} {
			if want := fmt.Sprintf(" line %d of %s\n", n, stream); !strings.Contains(all, want) {
				t.Fatalf("%q is missing", want)
			}
		}
	}
	if !strings.Contains(all, "the last word") {
		t.Error("the last word is missing")
	}
}

// TestCacheOfTheEngine: what the engine's BuildKit cannot write is refused before the
// build; what it can, it writes; a cache that is not there costs the build nothing but time.
func TestCacheOfTheEngine(t *testing.T) {
	b := newBench(t, map[string]string{"Dockerfile": "FROM " + base + "\nCOPY a /a\n", "a": "1"})
	for _, to := range []string{"127.0.0.1:1/team/cache", "type=registry,ref=127.0.0.1:1/team/cache", "type=local,dest=/tmp/x"} {
		b.request.App.Build.Cache = manifest.BuildCache{To: to}
		_, err := b.try()
		e := api.AsError(err)
		if e == nil || e.Code != api.Configuration || !strings.Contains(e.Hint, "BUILDKIT_HOST") || len(b.lines) > 0 {
			t.Errorf("%s: %v\n%s", to, err, strings.Join(b.lines, "\n"))
		}
	}
	for _, bad := range []string{"type=", "type=registry", "type=registry,ref"} {
		b.request.App.Build.Cache = manifest.BuildCache{To: bad}
		if _, err := b.try(); api.AsError(err) == nil || api.AsError(err).Code != api.InvalidManifest {
			t.Errorf("%s: %v", bad, err)
		}
	}
	b.request.App.Build.Cache = manifest.BuildCache{To: "type=inline", From: []string{"127.0.0.1:1/team/cache"}}
	image := b.build()
	config, err := image.RawConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	var parsed map[string]json.RawMessage
	if err := json.Unmarshal(config, &parsed); err != nil || parsed["moby.buildkit.cache.v0"] == nil {
		t.Errorf("the image has no inline cache: %v\n%s", err, config)
	}
	b.write("Dockerfile", "FROM "+base+"\nRUN exit 6\n")
	b.fails("RUN exit 6", "exit code: 6") // and not of the cache that is not there
}

// TestExportNamed: an image that another program has made, under its name.
func TestExportNamed(t *testing.T) {
	b := newBench(t, nil)
	image, err := Builder{CacheDir: b.cache}.ExportNamed(t.Context(), base, b.request)
	if err != nil {
		t.Fatal(err)
	}
	inspected, err := b.docker.ImageInspect(t.Context(), base)
	if err != nil || inspected.ID != image.ID {
		t.Errorf("%s, want %s, %v", image.ID, inspected.ID, err)
	}
	if _, err := (Builder{CacheDir: b.cache}).ExportNamed(t.Context(), "dkp-build-nothing:here", b.request); api.AsError(err).Code != api.BuildFailed || !strings.Contains(err.Error(), ErrNoImage.Error()) {
		t.Errorf("%v", err)
	}
}
