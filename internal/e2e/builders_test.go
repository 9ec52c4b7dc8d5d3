package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dokku-push/dokku-push/internal/testkit"
)

// everyBuilder is a dokku.hcl with an environment for each way to build the one tree.
const everyBuilder = `environment "dockerfile" {
  build { builder = "dockerfile" }
}
environment "pack" {
  build {
    builder = "pack"
    pack { builder = %q }
  }
}
environment "static" {
  build {
    builder = "static"
    static {
      base = "base" # an OCI layout folder that the test writes
      make = "cp -R www greeting.txt $OUT/"
    }
  }
}
`

// TestBuilders: one tree, built by each builder, is an app that answers the same; what one
// of them has built is so, too, when it comes as an image, to a folder with nothing in it.
func TestBuilders(t *testing.T) {
	t.Parallel()
	h := testkit.Serve(t, testkit.ServeOptions{})
	dir, packApp := packApp(t, h)
	put(t, dir+"/dokku.hcl", fmt.Sprintf(everyBuilder, testkit.Buildpacks(t).Builder))
	if err := os.CopyFS(dir+"/base", os.DirFS(testkit.BaseLayout(t))); err != nil {
		t.Fatal(err)
	}
	put(t, dir+"/.slugignore", "base\n")
	put(t, dir+"/Dockerfile", "FROM "+testkit.Busybox(t)+"\nWORKDIR /app\nCOPY www www\nCOPY greeting.txt ./\n")
	put(t, dir+"/Procfile", "web: exec busybox httpd -f -p \"$PORT\" -h www\nworker: cat greeting.txt; exec sleep 3600\nrelease: echo \"released with $(cat greeting.txt)\"\n")
	put(t, dir+"/app.json", `{"formation": {"worker": {"quantity": 1}}, "healthchecks": {
		"web": [{"type": "startup", "path": "/", "content": "Hello", "attempts": 10, "wait": 1, "timeout": 2}], "worker": [{"type": "startup", "uptime": 1}]}}`)
	put(t, dir+"/www/cgi-bin/index.cgi", "#!/bin/sh\nprintf 'Content-Type: text/plain\\r\\n\\r\\n'\nexec cat ../../greeting.txt\n")

	deployed := func(builder, dir, app string, args ...string) {
		t.Helper()
		r := pushed(t, h.Push(t, dir, append([]string{"--app", app}, args...)...))
		t.Logf("%s: the push took %s", builder, r.Took)
		if !strings.Contains(r.Stderr, "released with Hello, buildpacks") {
			t.Errorf("%s: no release task has run:\n%s", builder, r.Stderr)
		}
		if code, body := h.Get(t, app, "/"); code != 200 || body != "Hello, buildpacks\n" {
			t.Errorf("%s: %d %q", builder, code, body)
		}
		state := status(t, h, dir, app)
		if got := state.Releases[0].Builder; got != builder {
			t.Errorf("%s: the release says that %q built it", builder, got)
		}
		if worker := container(t, state, "worker", 1); worker.Status != "running" {
			t.Errorf("%s: worker %+v", builder, worker)
		}
		says(t, h, "Hello, buildpacks", "logs", app, "-p", "worker")
	}
	deployed("pack", dir, packApp, "--environment", "pack")
	for _, builder := range []string{"dockerfile", "static"} {
		deployed(builder, dir, h.App(t, builder), "--environment", builder)
	}

	layout := filepath.Join(t.TempDir(), "layout")
	pushed(t, h.Push(t, dir, "build", "--app", packApp, "--environment", "pack", "--oci", layout))
	deployed("image", t.TempDir(), h.App(t, "image"), "--image", layout)
}
