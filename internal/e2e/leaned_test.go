package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dokku-push/dokku-push/internal/testkit"
)

// TestLeanedOn: what the well-known plugins take for granted, each as one of them uses it:
// files out of the image, labels, property files, services that others hear of.
func TestLeanedOn(t *testing.T) {
	t.Parallel()
	h := testkit.Serve(t, testkit.ServeOptions{})
	dir, app := testkit.CopyApp(t, "hello"), h.App(t, "leaned")
	log := filepath.Join(t.TempDir(), "log")
	bashPlugin(t, h, "witness", map[string]string{
		"plugin.toml":    "[plugin]\ndescription = \"a witness\"\nversion = \"0.1.0\"\n[plugin.config]\n",
		"install":        "source \"$PLUGIN_CORE_AVAILABLE_PATH/common/property-functions\"\nfn-plugin-property-setup witness\n",
		"service-action": `echo "$*" >>` + log + "\n",
		"post-release-builder": `source "$PLUGIN_CORE_AVAILABLE_PATH/common/functions"
source "$PLUGIN_CORE_AVAILABLE_PATH/common/property-functions"
APP="$2" IMAGE="$3"
work="$(mktemp -d)"
copy_from_image "$IMAGE" /www/cgi-bin/index.cgi "$work/file"
head -n 1 "$work/file" >>` + log + `
if copy_from_image "$IMAGE" /www/nothing "$work/nothing"; then echo "copied nothing" >>` + log + `; fi
rm -rf "$work"
# as the plugins of the first years do: unquoted, and committed
# shellcheck disable=SC2086
id="$(docker run -d $DOKKU_GLOBAL_RUN_ARGS "$IMAGE" /bin/sh -c 'echo witnessed >/www/witness')"
[[ "$(docker wait "$id")" == 0 ]]
docker commit "$id" "$IMAGE" >/dev/null
docker inspect --format '{{json .Config.Labels}}' "$id" >>` + log + `
docker rm "$id" >/dev/null
fn-plugin-property-write witness "$APP" seen "one line"
fn-plugin-property-list-add witness "$APP" list a
fn-plugin-property-list-add witness "$APP" list b
`,
		"subcommands/announce": `plugn trigger service-action post-create witness tower "$2"` + "\n",
	})
	dokku(t, h, 0, "plugin:install")
	dokku(t, h, 0, "apps:create", app)
	dokku(t, h, 0, "docker-options:add", app, "deploy,run", "--label witness=both")
	dokku(t, h, 0, "docker-options:add", app, "build", "--build-arg WITNESS=1")
	pushed(t, h.Push(t, dir, "--app", app))
	answers(t, h, app, "/", "Hello")

	lines := recorded(t, log)
	if len(lines) != 2 || lines[0] != "#!/bin/sh" {
		t.Fatalf("the plugin noted %q", lines)
	}
	house := map[string]string{"org.label-schema.schema-version": "1.0", "org.label-schema.vendor": "dokku", "dokku": ""}
	labelled(t, "a plugin's own container", lines[1], house)
	house["com.dokku.app-name"], house["com.dokku.container-type"], house["com.dokku.process-type"], house["com.dokku.dyno"] = app, "deploy", "web", "web.1"
	house["witness"] = "both"
	labelled(t, "the app's container", docker(t, "inspect", "--format", "{{json .Config.Labels}}", app+".web.1"), house)
	if said := docker(t, "exec", app+".web.1", "cat", "/www/witness"); said != "witnessed" {
		t.Errorf("what a plugin committed does not run: %q", said)
	}
	if said := dokku(t, h, 0, "--quiet", "run", app, "cat", "/www/witness").Stdout; said != "witnessed\n" {
		t.Errorf("run has another image: %q", said)
	}

	properties := filepath.Join(h.Root, "lib", "config", "witness", app)
	for file, want := range map[string]string{"seen": "one line", "list": "a\nb"} {
		text, err := os.ReadFile(filepath.Join(properties, file))
		info, statErr := os.Stat(filepath.Join(properties, file))
		if err != nil || statErr != nil || strings.TrimSuffix(string(text), "\n") != want || info.Mode().Perm() != 0o600 {
			t.Errorf("the property %s is %q, %v, %v", file, text, info, err)
		}
	}
	dokku(t, h, 0, "witness:announce", app)
	if diff := cmp.Diff([]string{"post-create witness tower " + app}, recorded(t, log)); diff != "" {
		t.Error(diff)
	}
	dokku(t, h, 0, "docker-options:remove", app, "deploy", "--label witness=both")
	prints(t, h, "--label witness=both\n", "docker-options:report", app, "--docker-options-run")
	prints(t, h, "\n", "docker-options:report", app, "--docker-options-deploy")
	prints(t, h, "--build-arg WITNESS=1\n", "docker-options:report", app, "--docker-options-build")
}

// labelled: a container has these labels.
func labelled(t *testing.T, what, text string, want map[string]string) {
	t.Helper()
	var have map[string]string
	if err := json.Unmarshal([]byte(text), &have); err != nil {
		t.Fatalf("%s: %v\n%s", what, err, text)
	}
	for name, value := range want {
		if got, ok := have[name]; !ok || got != value {
			t.Errorf("%s has the label %s=%q (%t), want %q", what, name, got, ok, value)
		}
	}
}
