package e2e

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dokku-push/dokku-push/internal/testkit"
	"github.com/dokku-push/dokku-push/triggers"
)

// conformance is a host with a plugin that ships every trigger of the catalogue and
// writes down how each was called.
type conformance struct {
	*testkit.Host
	t          *testing.T
	app, other string // other is what the app is cloned and renamed to
	log, fail  string // a trigger whose name is a file in the folder fail fails
	plugin     string // the folder of the recording plugin
	printed    strings.Builder
	failed     map[string]bool // triggers that were made to fail, and had their effect
}

// record is one call of a trigger.
type record struct {
	trigger string
	input   string // read's exit code: 1 is the end of the input, over 128 nobody closed it
	args    []string
	asked   bool // by a plugin, not by the agent
}

const recorderText = `#!/usr/bin/env bash
IFS=$'\x1f'
trigger=${0##*/}
read -r -t 60 -N 1 _
printf '%%s\t%%s\t%%s\t%%s\t%%s\n' "$trigger" "$?" "${ASKED_BY_PLUGIN:-agent}" "$#" "$*" >> %[1]q
%[3]s
[[ ! -e %[2]q/$trigger || $* == *cnb-* ]] || exit 9 # that app is deployed meanwhile
exit 0
`

func newConformance(t *testing.T, engine string) *conformance {
	h := testkit.Serve(t, testkit.ServeOptions{Env: []string{"DOCKER_HOST=" + engine}})
	dir := t.TempDir()
	c := &conformance{Host: h, t: t, app: h.App(t, "conform"), other: h.App(t, "copied"), log: filepath.Join(dir, "log"), fail: filepath.Join(dir, "fail"),
		plugin: filepath.Join(h.Root, "lib/plugins/available/00_recorder"), failed: map[string]bool{}}
	for _, folder := range []string{c.fail, c.plugin} {
		if err := os.MkdirAll(folder, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, trigger := range triggers.All() {
		says := "echo \"<<$trigger>>\""
		switch {
		case trigger.Name == "user-auth-app":
			says = `shift 2; for app; do echo "$app"; done`
		case trigger.Stdout != triggers.Shown && trigger.Stdout != triggers.Ignored:
			says = ":"
		}
		file := trigger.Name
		if file == "commands help" {
			file, says = "commands", `[[ $1 == help ]] || exit 10; echo "    recorder, Says <<commands help>>"`
		}
		if err := os.WriteFile(filepath.Join(c.plugin, file), fmt.Appendf(nil, recorderText, c.log, c.fail, says), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(c.plugin, filepath.Join(h.Root, "lib/plugins/enabled/00_recorder")); err != nil {
		t.Fatal(err)
	}
	return c
}

// do runs one of Dokku's commands, which must go well.
func (c *conformance) do(args ...string) {
	c.t.Helper()
	r := dokku(c.t, c.Host, 0, args...)
	c.printed.WriteString(r.Stdout + r.Stderr)
}

// both runs a command first with a trigger that fails, and looks at the effect that
// the catalogue gives it, then once more.
func (c *conformance) both(trigger string, args ...string) {
	c.t.Helper()
	c.failing(trigger, args...)
	c.do(args...)
}

// failing runs a command with a trigger that fails.
func (c *conformance) failing(trigger string, args ...string) {
	c.t.Helper()
	known, _ := triggers.Lookup(trigger)
	put(c.t, filepath.Join(c.fail, trigger), "")
	defer os.Remove(filepath.Join(c.fail, trigger))
	r := c.Dokku(c.t, args...)
	c.printed.WriteString(r.Stdout + r.Stderr)
	switch {
	case known.Failure == triggers.Ends && r.Exit == 0, known.Failure != triggers.Ends && r.Exit != 0:
		c.t.Errorf("dokku %s with a failing %s (%s): exit %d\n%s%s", strings.Join(args, " "), trigger, known.Failure, r.Exit, r.Stdout, r.Stderr)
	case !strings.Contains(r.Stdout+r.Stderr, trigger) && trigger != "user-auth":
		c.t.Errorf("dokku %s does not name the failing %s:\n%s%s", strings.Join(args, " "), trigger, r.Stdout, r.Stderr)
	default:
		c.failed[trigger] = true
	}
}

// pushing is the client that deploys a folder, with the build side of the recording plugin.
func (c *conformance) pushing(dir, app string) *exec.Cmd {
	command := c.Command(c.t, dir, "--app", app, "--plugin-path", c.plugin)
	command.Env = append(command.Env, "TOKEN=not to be seen")
	return command
}

func (c *conformance) push(dir, app string) {
	c.t.Helper()
	r := pushed(c.t, testkit.Run(c.t, c.pushing(dir, app)))
	c.printed.WriteString(r.Stdout + r.Stderr)
}

// deploys is a first deploy, a second one whose former container cannot be retired, and
// what an app does once it runs.
func (c *conformance) deploys(engine *faultyEngine) {
	dir := testkit.CopyApp(c.t, "hello")
	put(c.t, filepath.Join(dir, "Procfile"), "web: exec busybox httpd -f -p \"$PORT\" -h /www\nworker: exec sleep 3600\n")
	put(c.t, filepath.Join(dir, "app.json"), `{"healthchecks": {"web": [{"type": "startup", "path": "/", "attempts": 10, "wait": 1}], "worker": [{"type": "startup", "uptime": 1}]}}`)
	put(c.t, filepath.Join(dir, "dokku.hcl"), "secrets = [\"TOKEN\"]\nconfig {\n  COLOUR = \"blue\"\n}\n")
	c.push(dir, c.app)
	former := docker(c.t, "inspect", "--format", "{{.Id}}", c.app+".web.1")
	engine.refusing(func(r *http.Request) bool {
		return strings.HasSuffix(r.URL.Path, "/containers/"+former+"/stop") || strings.HasSuffix(r.URL.Path, "/containers/"+former) && r.Method == http.MethodDelete
	})
	testkit.Edit(c.t, dir, "www/cgi-bin/index.cgi", "Hello", "Hello again")
	c.push(dir, c.app)
	c.until("retire-container-failed")
	engine.refusing(nil)
	c.do("ps:scale", c.app, "worker=1")
	c.both("tags-create", "tags:create", c.app, "kept")
	c.failing("scheduler-tags-create", "tags:create", c.app, "other")
	c.failing("scheduler-tags-destroy", "tags:destroy", c.app, "kept")
	c.failing("tags-destroy", "tags:destroy", c.app, "kept")
	c.both("docker-args-run", "run", c.app, "true")
	for _, trigger := range []string{"scheduler-run", "docker-args-process-run", "post-container-create"} {
		c.failing(trigger, "run", c.app, "true")
	}
	c.both("scheduler-logs-failed", "logs:failed", "--all")
	c.failing("scheduler-stop", "ps:stop", c.app)
	c.failing("post-stop", "ps:stop", c.app)
	c.both("pre-start", "ps:start", c.app)
	docker(c.t, "stop", "--time", "1", c.app+".worker.1")
	docker(c.t, "update", "--restart", "no", c.app+".worker.1")
	c.failing("pre-restore", "ps:restore", c.app)
	c.both("receive-app", "ps:rebuild", c.app)
}

// until waits for a trigger that a process fires after it has answered.
func (c *conformance) until(trigger string) {
	c.t.Helper()
	for deadline := time.Now().Add(3 * time.Minute); ; time.Sleep(50 * time.Millisecond) {
		if slices.ContainsFunc(c.records(), func(r record) bool { return r.trigger == trigger }) {
			return
		}
		if time.Now().After(deadline) {
			c.t.Errorf("%s was not fired within three minutes", trigger)
			return
		}
	}
}

// settings goes through the commands that change an app and start nothing.
func (c *conformance) settings() {
	app := c.app
	c.both("post-config-update", "config:set", "--no-restart", app, "SHAPE=round", "SIZE=big")
	c.do("config:unset", "--no-restart", app, "SIZE")
	c.do("config:set", "--global", "EVERYWHERE=yes")
	c.both("post-domains-update", "domains:add", app, "one.example.com", "two.example.com")
	c.do("domains:remove", app, "two.example.com")
	c.do("domains:set", app, "three.example.com")
	c.do("domains:clear", app)
	c.both("nginx-hostname", "domains:reset", app)
	c.both("pre-disable-vhost", "domains:disable", app)
	c.both("pre-enable-vhost", "domains:enable", app)
	chain, key := pair(c.t, app+".localhost", time.Now().AddDate(0, 1, 0))
	if r := sends(c.t, c.Host, archive(c.t, "server.crt", string(chain), "server.key", string(key)), "certs:add", app); r.Exit != 0 {
		c.t.Errorf("certs:add: %+v", r)
	} else {
		c.printed.WriteString(r.Stdout)
	}
	c.failing("post-certs-remove", "certs:remove", app)
	c.failing("post-certs-update", "certs:generate", app, app+".localhost")
	added, set := freePort(c.t), freePort(c.t)
	c.both("post-proxy-ports-update", "ports:add", app, "http:"+added+":5000")
	c.do("ports:remove", app, "http:"+added+":5000")
	c.do("ports:set", app, "http:"+set+":5000")
	c.do("ports:clear", app)
	c.both("nginx-pre-reload", "proxy:build-config", app)
	c.both("cron-entries", "cron:list", "--global")
	c.both("app-urls", "urls", app)
	c.do("url", app)
	c.both("report", "report", app)
	c.do("help")
}

// apps makes, copies, renames and destroys apps, and plugs a plugin in and out.
func (c *conformance) apps() {
	c.failing("post-create", "apps:create", c.other)
	c.both("pre-delete", "apps:destroy", c.other, "--force")
	c.failing("post-app-clone-setup", "apps:clone", "--skip-deploy", c.app, c.other)
	c.both("post-app-clone", "apps:clone", "--skip-deploy", c.app, c.other)
	c.do("apps:destroy", c.other, "--force")
	c.do("config:clear", "--no-restart", c.app)
	c.failing("post-app-rename-setup", "apps:rename", "--skip-deploy", c.app, c.other)
	c.do("apps:rename", "--skip-deploy", c.app, c.other)
	c.failing("post-app-rename", "apps:rename", "--skip-deploy", c.other, c.app)
	c.failing("post-delete", "apps:destroy", c.app, "--force")
	address := pluginRepository(c.t, "dokku-guest", map[string]string{"report": "true"})
	c.do("plugin:install", address)
	c.both("dependencies", "plugin:install-dependencies")
	c.both("install", "plugin:install")
	c.both("update", "plugin:update", "guest")
	c.both("uninstall", "plugin:uninstall", "guest")
}

// TestConformance: everything in the catalogue fires, with the arguments, the input, the
// output and the effect of a failure that it says.
func TestConformance(t *testing.T) {
	t.Parallel()
	engine := newFaultyEngine(t)
	c := newConformance(t, engine.address)
	dir, buildpacks := packApp(t, c.Host)
	built := make(chan testkit.Result, 1)
	go func() { built <- testkit.Run(t, c.pushing(dir, buildpacks)) }()
	c.deploys(engine)
	c.overGit()
	c.address()
	c.settings()
	c.askAll()
	c.apps()
	c.printed.WriteString(pushed(t, <-built).Stderr)
	c.both("user-auth", "apps:list")
	c.judge()
}
