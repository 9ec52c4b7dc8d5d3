package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dokku-push/dokku-push/internal/testkit"
)

// bashPlugin installs a plugin of bash files, and of others as they are.
func bashPlugin(t *testing.T, h *testkit.Host, name string, files map[string]string) {
	t.Helper()
	plugin(t, h, name, nil)
	dir := filepath.Join(h.Root, "lib", "plugins", "available", name)
	for file, text := range files {
		path := filepath.Join(dir, file)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(file, ".") {
			text = "#!/usr/bin/env bash\nset -eo pipefail\n[[ $DOKKU_TRACE ]] && set -x\n" + text
		}
		if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
}

// demo is a plugin as the well-known ones are written: it sources the core's functions, and
// has subcommands, a commands file and triggers.
var demo = map[string]string{
	"plugin.toml": "[plugin]\ndescription = \"a demo\"\nversion = \"0.1.0\"\n[plugin.config]\ntesting = \"true\"\n",
	"functions": `source "$PLUGIN_CORE_AVAILABLE_PATH/common/functions"
source "$PLUGIN_AVAILABLE_PATH/config/functions"
source "$PLUGIN_CORE_AVAILABLE_PATH/common/property-functions"
source "$PLUGIN_AVAILABLE_PATH/domains/functions"
source "$PLUGIN_AVAILABLE_PATH/docker-options/functions"
demo-app() {
  [[ $1 != demo:* ]] || shift
  local app="${1:-$DOKKU_APP_NAME}"
  verify_app_name "$app"
  echo "$app"
}
`,
	"subcommands/info": `source "$PLUGIN_AVAILABLE_PATH/demo/functions"
APP="$(demo-app "$@")"
dokku_log_info1 "Demo of $APP"
echo "argv: $*"
echo "colour: $(config_get "$APP" COLOUR || echo unset)"
echo "domains: $(get_app_domains "$APP" | xargs)"
if is_deployed "$APP"; then echo "deployed: yes"; else echo "deployed: no"; fi
echo "level: $(fn-plugin-property-get demo "$APP" level none)"
echo "ports: $(plugn trigger ports-get "$APP" | xargs)"
echo "scheduler: $(plugn trigger scheduler-detect "$APP")"
echo "rc: ${DEMO_RC:-unset}, config: $CONFIG_TESTING"
`,
	"subcommands/level": `source "$PLUGIN_AVAILABLE_PATH/demo/functions"
fn-plugin-property-write demo "$(demo-app "$@")" level "$3"
`,
	"subcommands/option": `source "$PLUGIN_AVAILABLE_PATH/demo/functions"
APP="$(demo-app "$@")"
phases=(deploy run)
add_passed_docker_option phases[@] "--env OPTION=given"
dokku config:set --no-restart "$APP" NESTED=yes >/dev/null
`,
	"subcommands/fail": `source "$PLUGIN_AVAILABLE_PATH/demo/functions"
DOKKU_FAIL_EXIT_CODE=7 dokku_log_fail "it does not work"
`,
	"subcommands/import": `echo "$(wc -c) bytes"` + "\n",
	"commands": `case "$1" in
  help | demo:help)
    if [[ $1 == demo:help || $(ps -o command= $PPID) == *"--all"* ]]; then
      echo "    demo:info <app>, Show what is known of an app"
    fi
    echo "    demo <app>, A demo"
    ;;
  demo:plain) echo "plainly: ${*:2}" ;;
  *) exit "$DOKKU_NOT_IMPLEMENTED_EXIT" ;;
esac
`,
	"pre-release-builder": `source "$PLUGIN_AVAILABLE_PATH/demo/functions"
APP="$2"
config_set --no-restart "$APP" "FROM_TRIGGER=two words" "TWICE=a=b"
config_set "$APP" RESTARTED=no # a second deploy must not begin inside of the first
local_phases="deploy"
add_passed_docker_option "$local_phases" "--label demo=yes"
`,
	"post-deploy": `source "$PLUGIN_AVAILABLE_PATH/demo/functions"
fn-plugin-property-write demo "$1" listeners "$(plugn trigger network-get-listeners "$1" web)"
`,
}

// TestCorePlugin: a plugin that is written for Dokku finds its core: functions, triggers,
// commands, help.
func TestCorePlugin(t *testing.T) {
	t.Parallel()
	h := testkit.Serve(t, testkit.ServeOptions{})
	bashPlugin(t, h, "demo", demo)
	dir, app := testkit.CopyApp(t, "hello"), h.App(t, "core")
	dokku(t, h, 0, "apps:create", app)
	info := func(deployed, colour, level, rc string) string {
		return "-----> Demo of " + app + "\nargv: demo:info " + app + "\ncolour: " + colour + "\ndomains: " + app + ".localhost\ndeployed: " + deployed +
			"\nlevel: " + level + "\nports: http:80:5000\nscheduler: docker-local\nrc: " + rc + ", config: true\n"
	}
	prints(t, h, info("no", "unset", "none", "unset"), "demo:info", app)
	dokku(t, h, 0, "config:set", app, "COLOUR=blue")
	dokku(t, h, 0, "demo:level", app, "high")
	rc := filepath.Join(h.Root, "home", ".dokkurc")
	if err := os.MkdirAll(rc, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(rc, "DEMO"), []byte("DEMO_RC=\"is $((1 + 1))\"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	prints(t, h, info("no", "blue", "high", "is 2"), "demo:info", app)
	dokku(t, h, 0, "--app", app, "demo:option") // and its own `dokku config:set APP` names the app once
	prints(t, h, "yes\n", "config:get", app, "NESTED")

	push := h.Push(t, dir, "--app", app)
	pushed(t, push)
	env := docker(t, "inspect", "--format", `{{join .Config.Env "\n"}} {{index .Config.Labels "demo"}}`, app+".web.1")
	for _, want := range []string{"FROM_TRIGGER=two words\n", "TWICE=a=b\n", "RESTARTED=no\n", "OPTION=given\n", "COLOUR=blue\n", " yes"} {
		if !strings.Contains(strings.ReplaceAll(env, " yes", "\n yes"), want) {
			t.Errorf("the container has not %q:\n%s", want, env)
		}
	}
	if releases := h.Push(t, dir, "releases", "--app", app); strings.Contains(releases.Stdout, "v2") {
		t.Errorf("a config_set inside of the deploy made a second release:\n%s", releases.Stdout)
	}
	prints(t, h, info("yes", "blue", "high", "is 2"), "demo:info", app)
	listeners, err := os.ReadFile(filepath.Join(h.Root, "lib/config/demo", app, "listeners"))
	if err != nil || !strings.Contains(string(listeners), ":") {
		t.Errorf("the plugin saw the listeners %q, %v", listeners, err)
	}
}

// TestCoreCommands: how the entry program gives commands to plugins (PLUGIN-CONTRACT 2.7, 2.8).
func TestCoreCommands(t *testing.T) {
	t.Parallel()
	h := testkit.Serve(t, testkit.ServeOptions{})
	bashPlugin(t, h, "demo", demo)
	refuses(t, h, 7, " !     it does not work", "demo:fail")
	refuses(t, h, 20, "App nobody does not exist", "demo:info", "nobody")
	refuses(t, h, 1, " !     `demo:nothing x' is not a dokku command.\n", "demo:nothing", "x")
	prints(t, h, "plainly: --quiet a b\n", "demo:plain", "--quiet", "a", "b")
	prints(t, h, "    demo:info <app>, Show what is known of an app\n    demo <app>, A demo\n", "demo:help")

	in := h.DokkuCommand(t, "demo:import")
	in.Stdin = strings.NewReader("a\x00\r\nb")
	if r := testkit.Run(t, in); r.Exit != 0 || strings.TrimSpace(r.Stdout) != "5 bytes" {
		t.Errorf("stdin did not arrive as it is: %+v", r)
	}
	help := dokku(t, h, 0, "help").Stdout
	if !strings.HasSuffix(help, "\nCommunity plugin commands:\n\n    demo <app>  A demo\n") {
		t.Errorf("help ends with:\n%s", help[max(0, len(help)-300):])
	}
	if all := dokku(t, h, 0, "help", "--all").Stdout; !strings.HasSuffix(all, "    demo <app>       A demo\n    demo:info <app>  Show what is known of an app\n") {
		t.Errorf("help --all ends with:\n%s", all[max(0, len(all)-300):])
	}
	if r := dokku(t, h, 0, "config:help"); !strings.Contains(r.Stdout, "config:set") || strings.Contains(r.Stdout, "apps:create") {
		t.Errorf("config:help printed %s", r.Stdout)
	}
	plugin(t, h, "strict", map[string]string{"commands": "exit 3"})
	dokku(t, h, 3, "demo:nothing")
}
