package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dokku-push/dokku-push/internal/testkit"
)

// deployTriggers are those that a deploy fires (DESIGN 6).
var deployTriggers = [...]string{"user-auth", "user-auth-app", "deployed-app-image-tag", "deployed-app-image-repo", "deployed-app-repository",
	"core-post-extract", "post-config-update", "pre-release", "pre-release-dockerfile", "pre-release-buildpack", "pre-release-builder",
	"post-release-dockerfile", "post-release-buildpack", "post-release-builder", "post-release", "pre-deploy", "bind-external-ip",
	"docker-args-deploy", "docker-args-process-deploy", "post-container-create", "check-deploy", "nginx-pre-reload", "core-post-deploy",
	"post-deploy", "retire-container-failed"}

var variable = []struct {
	form *regexp.Regexp
	name string
}{
	{regexp.MustCompile(`\[[0-9a-f]{64}\]`), "[CID]"},
	{regexp.MustCompile(`\[\d+\.\d+\.\d+\.\d+\]`), "[IP]"},
	{regexp.MustCompile(`\[/tmp/[^]]*\]`), "[DIR]"},
}

// named replaces what differs from deploy to deploy.
func named(words, app string) string {
	for _, v := range variable {
		words = v.form.ReplaceAllString(words, v.name)
	}
	return strings.ReplaceAll(words, app, "APP")
}

// fired returns what a recorder has seen of a deploy, without the questions about who
// may do it, which must come first.
func fired(t *testing.T, h *testkit.Host, log, app string) []string {
	t.Helper()
	var order []string
	for n, line := range recorded(t, log) {
		words, env, _ := strings.Cut(line, " | ")
		asks := strings.HasPrefix(words, "user-auth")
		if n == 0 && !strings.HasPrefix(words, "user-auth [dokku] [admin]") {
			t.Errorf("the first trigger is %q, want user-auth", words)
		}
		want := h.Root + "/lib/plugins " + h.Root + "/home admin "
		if !asks {
			order = append(order, named(words, app))
			want += "request"
		}
		if env != want {
			t.Errorf("%s has %q in its environment, want %q", words, env, want)
		}
	}
	return order
}

// TestTriggersOrder: a deploy fires every trigger of DESIGN 6, in order, with its arguments.
func TestTriggersOrder(t *testing.T) {
	t.Parallel()
	h := testkit.Serve(t, testkit.ServeOptions{})
	log := filepath.Join(t.TempDir(), "log")
	scripts := map[string]string{}
	for _, trigger := range deployTriggers {
		scripts[trigger] = recorder(log)
	}
	scripts["user-auth-app"] += "\nshift 2; for app; do echo \"$app\"; done"
	plugin(t, h, "recorder", scripts)

	before := []string{"deployed-app-image-tag [APP]", "deployed-app-image-repo [APP]", "deployed-app-repository [APP]",
		"core-post-extract [APP] [DIR] []"}
	release := []string{"pre-release [APP]", "pre-release-dockerfile [APP] [latest]", "pre-release-builder [dockerfile] [APP] [dokku/APP:latest]"}
	released := []string{"post-release-dockerfile [APP] [latest]", "post-release-builder [dockerfile] [APP] [dokku/APP:latest]",
		"post-release [APP]", "pre-deploy [APP] [latest]"}
	web := []string{"docker-args-deploy [APP] [latest] [web] [1]", "docker-args-process-deploy [APP] [dockerfile] [latest] [web] [1]"}
	worker := []string{"docker-args-deploy [APP] [latest] [worker] [1]", "docker-args-process-deploy [APP] [dockerfile] [latest] [worker] [1]"}
	created := []string{"post-container-create [app] [CID] [APP] [deploy] [web]"}
	healthy := []string{"check-deploy [APP] [CID] [web] [5000] [IP] [1]"}
	switched := []string{"nginx-pre-reload [APP] [5000] [IP]", "core-post-deploy [APP] [5000] [IP] [latest]", "post-deploy [APP] [5000] [IP] [latest]"}
	script := []string{"docker-args-deploy [APP] [latest]"} // predeploy, release and postdeploy get plugins' options too
	join := func(parts ...[]string) (all []string) {
		for _, part := range parts {
			all = append(all, part...)
		}
		return all
	}

	hello, app := testkit.CopyApp(t, "hello"), h.App(t, "hello")
	plain := join(before, release, released, []string{"bind-external-ip [APP]"}, web, created, healthy, switched)
	for range 2 {
		pushed(t, h.Push(t, hello, "--app", app))
		if diff := cmp.Diff(plain, fired(t, h, log, app)); diff != "" {
			t.Errorf("hello: the triggers are not those of DESIGN 6 (-want +got):\n%s", diff)
		}
		answers(t, h, app, "/", "Hello")
		testkit.Edit(t, hello, "www/cgi-bin/index.cgi", "Hello", "Hello again")
	}

	goweb, second := testkit.CopyApp(t, "goweb"), h.App(t, "goweb")
	text := "config {\n  COLOUR = \"blue\"\n}\n"
	if err := os.WriteFile(filepath.Join(goweb, "dokku.hcl"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	pushed(t, h.Push(t, goweb, "--app", second))
	want := join(before, []string{"post-config-update [APP] [set] [COLOUR=blue]"}, release, script, released, script, []string{"bind-external-ip [APP]"}, web, worker,
		created, []string{"post-container-create [app] [CID] [APP] [deploy] [worker]"}, healthy, []string{"check-deploy [APP] [CID] [worker] [] [IP] [1]"}, switched, script)
	if diff := cmp.Diff(want, fired(t, h, log, second)); diff != "" {
		t.Errorf("goweb: the triggers are not those of DESIGN 6 (-want +got):\n%s", diff)
	}
	var hooks []string
	for _, hook := range status(t, h, goweb, second).Releases[0].Hooks {
		hooks = append(hooks, strings.TrimSpace(hook.Name+" "+hook.Error))
	}
	told := []string{"core-post-extract", "post-config-update", "pre-release", "pre-release-dockerfile", "pre-release-builder", "predeploy", "post-release-dockerfile",
		"post-release-builder", "post-release", "pre-deploy", "release", "post-container-create", "check-deploy", "nginx-pre-reload", "core-post-deploy", "post-deploy", "postdeploy"}
	if diff := cmp.Diff(told, hooks); diff != "" {
		t.Errorf("goweb: the hooks that the release tells of (-want +got):\n%s", diff)
	}
}

// TestTriggersDockerArgs: what docker-args-deploy says reaches the container.
func TestTriggersDockerArgs(t *testing.T) {
	t.Parallel()
	h := testkit.Serve(t, testkit.ServeOptions{})
	dir, app := testkit.CopyApp(t, "hello"), h.App(t, "args")
	volume := t.TempDir()
	plugin(t, h, "options", map[string]string{
		"docker-args-deploy":         "cat; echo ' --env EXTRA=1 --label x=y -v " + volume + ":/mnt'",
		"docker-args-process-deploy": "cat; echo \" --env 'WORDS=two words' --env CASH=\\$HOME\"",
		"docker-args-run":            "cat; echo ' --env EXTRA=run'",
	})
	pushed(t, h.Push(t, dir, "--app", app))
	var made []struct {
		Config struct {
			Env    []string
			Labels map[string]string
		}
		Mounts []struct{ Source, Destination string }
	}
	if err := json.Unmarshal([]byte(docker(t, "inspect", app+".web.1")), &made); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"EXTRA=1", "WORDS=two words", "CASH=$HOME"} {
		if !strings.Contains(strings.Join(made[0].Config.Env, "\n")+"\n", want+"\n") {
			t.Errorf("the container has not %q: %q", want, made[0].Config.Env)
		}
	}
	if made[0].Config.Labels["x"] != "y" || made[0].Config.Labels["com.dokku.app-name"] != app {
		t.Errorf("the container's labels are %v", made[0].Config.Labels)
	}
	if len(made[0].Mounts) != 1 || made[0].Mounts[0].Source != volume || made[0].Mounts[0].Destination != "/mnt" {
		t.Errorf("the container's mounts are %v", made[0].Mounts)
	}
	prints(t, h, "run\n", "run", app, "sh", "-c", quote("echo $EXTRA"))
}

// commits is a pre-deploy script that adds a file to the app's image, as plugins of the
// commit style do.
const commits = `id=$(docker create --label com.dokku.app-name="$1" "dokku/$1:latest" true) || exit 1
echo committed > "${TMPDIR:-/tmp}/$id"
docker cp "${TMPDIR:-/tmp}/$id" "$id:/www/committed.txt" && docker commit "$id" "dokku/$1:latest"
code=$?
docker rm "$id"
rm "${TMPDIR:-/tmp}/$id"
exit $code`

// TestTriggersCommit: a plugin's commit runs, and the record says so.
func TestTriggersCommit(t *testing.T) {
	t.Parallel()
	h := testkit.Serve(t, testkit.ServeOptions{})
	dir, app := testkit.CopyApp(t, "hello"), h.App(t, "commit")
	plugin(t, h, "injector", map[string]string{"pre-deploy": commits})
	pushed(t, h.Push(t, dir, "--app", app))
	answers(t, h, app, "/committed.txt", "committed")
	answers(t, h, app, "/", "Hello")
	first := status(t, h, dir, app)
	release := first.Releases[0]
	if release.Run == release.Built || fmt.Sprint(release.Changed) != "[injector]" {
		t.Errorf("built %s, run %s, changed by %v; want two digests and [injector]", release.Built, release.Run, release.Changed)
	}
	if image := docker(t, "inspect", "--format", "{{.Image}}", app+".web.1"); image != release.Run {
		t.Errorf("the container runs %s, the record says %s", image, release.Run)
	}
	again := pushed(t, h.Push(t, dir, "--app", app))
	if second := status(t, h, dir, app); !strings.Contains(again.Stderr, "nothing to do") || len(second.Releases) != 1 || first.Hash != second.Hash {
		t.Errorf("the same tree was deployed again:\n%s", again.Stderr)
	}
	testkit.Edit(t, dir, "www/cgi-bin/index.cgi", "Hello", "Hello again")
	plugin(t, h, "last", map[string]string{"check-deploy": "exit 9"})
	if r := h.Push(t, dir, "--app", app); r.Exit != 24 {
		t.Errorf("a failing check-deploy: exit %d, want 24\n%s", r.Exit, r.Stderr)
	}
	if after := status(t, h, dir, app); after.Hash != first.Hash {
		t.Errorf("the undone commit left something:\n%+v\n%+v", first, after)
	}
	if latest := docker(t, "image", "inspect", "--format", "{{.Id}}", "dokku/"+app+":latest"); latest != release.Run {
		t.Errorf("latest is %s after the undo, want %s", latest, release.Run)
	}
}

// TestTriggersFail: a plugin that fails before the release is recorded undoes it; one
// that fails after leaves it live.
func TestTriggersFail(t *testing.T) {
	t.Parallel()
	for _, traffic := range []string{"map", "reload"} {
		h := testkit.Serve(t, testkit.ServeOptions{Args: []string{"--traffic", traffic}})
		dir, app := testkit.CopyApp(t, "hello"), h.App(t, "fail")
		pushed(t, h.Push(t, dir, "--app", app))
		before := status(t, h, dir, app)
		testkit.Edit(t, dir, "www/cgi-bin/index.cgi", "Hello", "Hello again")
		for _, test := range []struct {
			trigger string
			exit    int
		}{
			{"deployed-app-image-tag", 22}, {"core-post-extract", 23}, {"pre-release", 23}, {"post-release-builder", 23}, {"pre-deploy", 23},
			{"docker-args-deploy", 22}, {"post-container-create", 24}, {"check-deploy", 24}, {"nginx-pre-reload", 25}, {"core-post-deploy", 25},
		} {
			t.Run(traffic+"/"+test.trigger, func(t *testing.T) {
				plugin(t, h, "failing", map[string]string{test.trigger: "echo the plugin says no; exit 9"})
				defer os.RemoveAll(filepath.Join(h.Root, "lib/plugins/available/failing"))
				r := h.Push(t, dir, "--app", app)
				if r.Exit != test.exit {
					t.Errorf("exit %d, want %d", r.Exit, test.exit)
				}
				for _, want := range []string{test.trigger, "failing", "exit code 9"} {
					if !strings.Contains(r.Stderr, want) {
						t.Errorf("the push does not say %q:\n%s", want, r.Stderr)
					}
				}
				if after := status(t, h, dir, app); before.Hash != after.Hash {
					t.Errorf("the state is not as before:\n%+v\n%+v", before, after)
				}
				if _, body := h.Get(t, app, "/"); !strings.Contains(body, "Hello") || strings.Contains(body, "again") {
					t.Errorf("the app answers %q, want the former release", body)
				}
			})
		}
		plugin(t, h, "failing", map[string]string{"post-deploy": "echo the plugin says no; exit 9"})
		if r := h.Push(t, dir, "--app", app); r.Exit != 26 || !strings.Contains(r.Stderr, "post-deploy") {
			t.Errorf("a failing post-deploy: exit %d, want 26\n%s", r.Exit, r.Stderr)
		}
		answers(t, h, app, "/", "Hello again")
		if after := status(t, h, dir, app); after.Current != 2 || len(after.Releases) != 2 {
			t.Errorf("after a failing post-deploy the releases are %+v, want v2 live", after.Releases)
		}
	}
}

// TestTriggersNested: a trigger may call dokku for the app that is being deployed: its
// settings stay, reach the containers, and nothing waits for the lock it stands under.
func TestTriggersNested(t *testing.T) {
	t.Parallel()
	bin := t.TempDir()
	if err := os.Symlink(testkit.Binaries(t).Agent, filepath.Join(bin, "dokku")); err != nil {
		t.Fatal(err)
	}
	h := testkit.Serve(t, testkit.ServeOptions{Env: []string{"PATH=" + bin + ":" + os.Getenv("PATH")}})
	dir, app := talkative(t), h.App(t, "nested")
	plugin(t, h, "nested", map[string]string{
		"post-create": `dokku config:set --no-restart "$1" CREATED=yes`,
		"pre-deploy": `dokku config:set --no-restart "$1" COLOUR=green && dokku config:set "$1" SECOND=yes &&
dokku ps:restart "$1" && dokku domains:add "$1" "$1.example.com"`,
		"post-deploy": `dokku config:set --no-restart "$1" AFTER=yes && dokku ps:restart "$1" && dokku url "$1" && dokku domains:add "$1" "late.$1.example.com"`,
		"post-stop":   `dokku domains:add "$1" "stopped.$1.example.com" && plugn trigger proxy-build-config "$1"`,
	})
	r := pushed(t, h.Push(t, dir, "--app", app))
	for key, value := range map[string]string{"CREATED": "yes", "COLOUR": "green", "SECOND": "yes", "AFTER": "yes"} {
		prints(t, h, value+"\n", "config:get", app, key)
	}
	answers(t, h, app, "/", "<green>")
	if code, body := page(t, h, app+".example.com"); code != 200 || !strings.Contains(body, "Hello") {
		t.Errorf("the domain that the plugin added answers %d %q", code, body)
	}
	if code, body := page(t, h, "late."+app+".example.com"); code != 200 || !strings.Contains(body, "Hello") {
		t.Errorf("the domain that post-deploy added answers %d %q", code, body)
	}
	// Those of pre-deploy made no release; the one of post-deploy is another deploy, which asks
	// for none itself, and has what the first one could not have.
	if !strings.Contains(r.Stderr, "it is deployed once more when that is over") {
		t.Errorf("the push does not say that it is deployed once more:\n%s", r.Stderr)
	}
	settled := func(version int) {
		t.Helper()
		deadline := time.Now().Add(4 * time.Minute)
		for state := status(t, h, dir, app); state.Current != version || state.Lock != nil; state = status(t, h, dir, app) {
			if time.Sleep(50 * time.Millisecond); time.Now().After(deadline) || state.Current > version {
				t.Fatalf("want v%d and nothing more: %+v", version, state)
			}
		}
	}
	settled(2)
	if env := docker(t, "inspect", "--format", "{{json .Config.Env}}", app+".web.1"); !strings.Contains(env, `"AFTER=yes"`) {
		t.Errorf("what post-deploy set is not in the container: %s", env)
	}
	testkit.Edit(t, dir, "www/cgi-bin/index.cgi", "Hello", "Hello again")
	pushed(t, h.Push(t, dir, "--app", app))
	answers(t, h, app, "/", "Hello again")
	prints(t, h, "green\n", "config:get", app, "COLOUR")
	settled(4)
	dokku(t, h, 0, "ps:set", app, "stop-timeout-seconds", "1")
	dokku(t, h, 0, "ps:stop", app)
	if said := dokku(t, h, 0, "nginx:show-config", app).Stdout; !strings.Contains(said, "stopped."+app+".example.com") {
		t.Errorf("the domain that post-stop added is not in the site:\n%s", said)
	}
}
