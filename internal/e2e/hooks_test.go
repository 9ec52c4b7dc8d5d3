package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dokku-push/dokku-push/internal/testkit"
)

// script writes a trigger of a plugin.
func script(t *testing.T, folder, trigger, text string) {
	t.Helper()
	if err := os.MkdirAll(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, trigger), []byte("#!/usr/bin/env bash\nset -eo pipefail\n"+text+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
}

// TestHooks: plugins of the project and of --plugin-path change what is built and
// deployed, with the core's functions answered by dokku-push itself; one that refuses
// leaves the app as it is.
func TestHooks(t *testing.T) {
	t.Parallel()
	h := testkit.Serve(t, testkit.ServeOptions{})
	dir, app := testkit.CopyApp(t, "hello"), h.App(t, "hello")
	own, other := filepath.Join(dir, ".dokku/plugins/own"), filepath.Join(t.TempDir(), "other")
	testkit.Edit(t, dir, "Dockerfile", "COPY www /www", "COPY www /www\nARG GREETING\nRUN echo \"$GREETING\" > /www/greeting")
	if err := os.WriteFile(filepath.Join(dir, "dokku.hcl"), []byte("config {\n  WHO = \"world\"\n}\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	script(t, own, "post-extract", `source "$PLUGIN_CORE_AVAILABLE_PATH/common/functions"
verify_app_name "$1"
pushd "$2" >/dev/null
echo 'release: echo released by a plugin' >>Procfile`)
	script(t, own, "pre-receive-app", `echo "$1 as $2" >"$3/www/was-here"`)
	script(t, own, "post-build-dockerfile", "source \"$PLUGIN_CORE_AVAILABLE_PATH/common/functions\"\ndokku_log_info1 \"plugins have built $1\"")
	script(t, other, "docker-args-build", `source "$PLUGIN_AVAILABLE_PATH/config/functions"
echo -n "$(cat) --build-arg 'GREETING=Hello, $(config_get "$1" WHO)' --label by=plugin"`)

	first := pushed(t, h.Push(t, dir, "--app", app, "--plugin-path", other))
	answers(t, h, app, "/was-here", app+" as dockerfile")
	answers(t, h, app, "/greeting", "Hello, world")
	for _, want := range []string{"released by a plugin", "-----> plugins have built " + app, "own (post-extract, pre-receive-app, post-build-dockerfile)"} {
		if !strings.Contains(first.Stderr, want) {
			t.Errorf("the push does not say %q:\n%s", want, first.Stderr)
		}
	}
	if label := docker(t, "image", "inspect", "--format", `{{index .Config.Labels "by"}}`, "dokku/"+app+":latest"); label != "plugin" {
		t.Errorf("the label is %q", label)
	}
	if _, err := os.Stat(filepath.Join(dir, "www/was-here")); err == nil {
		t.Error("the project was changed")
	}
	if again := pushed(t, h.Push(t, dir, "--app", app, "--plugin-path", other)); !strings.Contains(again.Stderr, "nothing to do") {
		t.Errorf("an unchanged push with the same plugins:\n%s", again.Stderr)
	}

	script(t, other, "pre-build", `echo 'not today' >&2; config_get "$2" WHO`)
	refused := h.Push(t, dir, "--app", app, "--plugin-path", other)
	if refused.Exit != 20 || !strings.Contains(refused.Stderr, "the plugin other failed in its trigger pre-build: exit code 127") || !strings.Contains(refused.Stderr, "not today") {
		t.Errorf("a plugin that fails: exit %d\n%s", refused.Exit, refused.Stderr)
	}
	answers(t, h, app, "/greeting", "Hello, world")
}
