package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/dokku-push/dokku-push/internal/testkit"
)

// scheduled is the talkative app with a worker and a command that runs every minute.
func scheduled(t *testing.T) string {
	t.Helper()
	dir := talkative(t)
	procfile, err := os.ReadFile(filepath.Join(dir, "Procfile"))
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"Procfile": string(procfile) + "worker: exec sleep 1000\n",
		"app.json": `{"healthchecks":{"web":[{"path":"/","content":"Hello","attempts":10,"wait":1}]},
			"cron":[{"command":"echo cron of $COLOUR","schedule":"* * * * *","concurrency_policy":"forbid"},{"command":"false","schedule":"0 0 1 1 *"}]}`,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// with runs a command with a standard input.
func with(t *testing.T, h *testkit.Host, input string, args ...string) testkit.Result {
	t.Helper()
	cmd := h.DokkuCommand(t, args...)
	cmd.Stdin = strings.NewReader(input)
	return testkit.Run(t, cmd)
}

// TestCommandsOnApp drives what plugins and their users call, on one app that runs.
func TestCommandsOnApp(t *testing.T) {
	t.Parallel()
	h := testkit.Serve(t, testkit.ServeOptions{})
	dir, app := scheduled(t), h.App(t, "cmds")
	pushed(t, h.Push(t, dir, "--app", app))
	dokku(t, h, 0, "config:set", "--no-restart", app, "COLOUR=blue")
	dokku(t, h, 0, "checks:set", app, "default-wait", "1") // the worker's uptime
	dokku(t, h, 0, "ps:scale", app, "worker=1")

	t.Run("options", func(t *testing.T) { appOptions(t, h, dir, app) })
	t.Run("restart one type", func(t *testing.T) {
		before := status(t, h, dir, app)
		dokku(t, h, 0, "ps:restart", app, "worker")
		after := status(t, h, dir, app)
		if container(t, before, "web", 1).ID != container(t, after, "web", 1).ID || container(t, before, "worker", 1).ID == container(t, after, "worker", 1).ID {
			t.Errorf("before %+v\nafter %+v", before.Containers, after.Containers)
		}
		if r := dokku(t, h, 1, "ps:restart", app, "clock"); !strings.Contains(r.Stderr, `no process of the type "clock"`) {
			t.Errorf("restarting what is not there: %+v", r)
		}
	})
	t.Run("checks", func(t *testing.T) {
		out := dokku(t, h, 0, "checks:run", app, "web").Stdout
		if !strings.Contains(out, "-----> Running healthchecks of web.1 (") || !strings.Contains(out, "ready (attempt 1 of 10)") || strings.Contains(out, "worker.1") {
			t.Errorf("checks:run prints %q", out)
		}
		dokku(t, h, 0, "enter", app, "web.1", "rm", "/www/cgi-bin/index.cgi")
		if r := dokku(t, h, 1, "checks:run", app, "web"); !strings.Contains(r.Stdout, "attempt 10 of 10") || !strings.Contains(r.Stderr, "1 of 1 containers of "+app+" are not healthy") {
			t.Errorf("checks:run of a sick app: %+v", r)
		}
		dokku(t, h, 0, "ps:restart", app, "web")
	})
	t.Run("enter and run", func(t *testing.T) { enterAndRun(t, h, app) })
	t.Run("cleanup", func(t *testing.T) { cleaned(t, h, app) })
	t.Run("lock", func(t *testing.T) {
		refuses(t, h, 1, "Deploy lock does not exist", "apps:locked", app)
		dokku(t, h, 0, "apps:lock", app)
		before := status(t, h, dir, app).Hash
		if r := h.Push(t, dir, "--app", app, "--force"); r.Exit == 0 {
			t.Errorf("a push to a locked app: %+v", r)
		}
		if r := h.Dokku(t, "ps:restart", app); r.Exit != 1 || !strings.Contains(r.Stderr, "is locked") {
			t.Errorf("a restart of a locked app: %+v", r)
		}
		if after := status(t, h, dir, app).Hash; before != after {
			t.Error("a locked app has changed")
		}
		prints(t, h, "Deploy lock exists\n", "apps:locked", app)
		dokku(t, h, 0, "apps:unlock", app)
		dokku(t, h, 0, "ps:restart", app, "worker")
	})
	t.Run("restore", func(t *testing.T) {
		docker(t, "kill", app+".web.1")
		dokku(t, h, 0, "ps:restore", app)
		answers(t, h, app, "/", "Hello")
		dokku(t, h, 0, "ps:retire", app)
		inspect := dokku(t, h, 0, "ps:inspect", app).Stdout
		if !strings.Contains(inspect, `"COLOUR"`) || strings.Contains(inspect, "blue") || !strings.Contains(inspect, `"Name": "`+app+`.web.1"`) {
			t.Errorf("ps:inspect prints %s", inspect)
		}
	})
	t.Run("reports and backup", func(t *testing.T) { reported(t, h, app) })
	t.Run("cron", func(t *testing.T) { onTheMinute(t, h, app) })
}

// appOptions: docker options, mounts and limits are in the next containers, and gone after.
func appOptions(t *testing.T, h *testkit.Host, dir, app string) {
	storage := filepath.Join(h.Root, "lib", "data", "storage", app)
	dokku(t, h, 0, "storage:ensure-directory", app)
	dokku(t, h, 0, "storage:mount", app, storage+":/data")
	dokku(t, h, 0, "docker-options:add", app, "deploy,run", quote("--label by=options"))
	dokku(t, h, 0, "docker-options:add", "--process", "worker", app, "deploy", "--label", "only=worker")
	dokku(t, h, 0, "resource:limit", "--memory", "64", "--cpu", "0.5", app)
	dokku(t, h, 0, "resource:limit", "--process-type", "worker", "--memory", "32m", app)
	dokku(t, h, 0, "resource:reserve", "--memory", "16m", app)
	dokku(t, h, 0, "logs:set", app, "max-size", "5m")
	dokku(t, h, 0, "ps:rebuild", app)
	form := `{{.HostConfig.Memory}} {{.HostConfig.NanoCpus}} {{.HostConfig.MemoryReservation}} {{index .Config.Labels "by"}} {{index .Config.Labels "only"}} {{.HostConfig.Binds}} {{index .HostConfig.LogConfig.Config "max-size"}}`
	if got, want := docker(t, "inspect", "--format", form, app+".web.1"), "67108864 500000000 16777216 options <no value> ["+storage+":/data] 5m"; got != want {
		t.Errorf("web has %q, want %q", got, want)
	}
	if got, want := docker(t, "inspect", "--format", form, app+".worker.1"), "33554432 500000000 16777216 options worker ["+storage+":/data] 5m"; got != want {
		t.Errorf("worker has %q, want %q", got, want)
	}
	dokku(t, h, 0, "run", app, "sh", "-c", quote("echo kept > /data/file"))
	if text, err := os.ReadFile(filepath.Join(storage, "file")); err != nil || string(text) != "kept\n" {
		t.Errorf("the storage holds %q, %v", text, err)
	}
	before := status(t, h, dir, app).Hash
	refuses(t, h, 1, "the host itself", "docker-options:add", app, "deploy", quote("-v /etc:/x"))
	refuses(t, h, 1, "a part of the host", "docker-options:add", app, "deploy", "--privileged")
	refuses(t, h, 1, "the host itself", "storage:mount", app, "/var/run/docker.sock:/x")
	refuses(t, h, 1, "is no number of CPUs", "resource:limit", "--cpu", "0", app)
	if after := status(t, h, dir, app).Hash; before != after {
		t.Error("refused options changed the app")
	}
	dokku(t, h, 0, "storage:unmount", app, storage+":/data")
	dokku(t, h, 0, "docker-options:clear", app)
	dokku(t, h, 0, "resource:limit-clear", app)
	dokku(t, h, 0, "resource:reserve-clear", app)
	dokku(t, h, 0, "logs:set", app, "max-size")
	dokku(t, h, 0, "ps:restart", app)
	if got, want := docker(t, "inspect", "--format", form, app+".web.1"), "0 0 0 <no value> <no value> <no value> <no value>"; got != want {
		t.Errorf("web has %q, want %q", got, want)
	}
}

func enterAndRun(t *testing.T, h *testkit.Host, app string) {
	if r := with(t, h, "some input\n", "enter", app, "web", "sh", "-c", quote("cat; echo $DYNO; exit 5")); r.Exit != 5 || r.Stdout != "some input\nweb.1\n" {
		t.Errorf("enter: %+v", r)
	}
	if r := with(t, h, "echo $DYNO in the shell\n", "enter", app, "worker.1"); r.Exit != 0 || r.Stdout != "worker.1 in the shell\n" {
		t.Errorf("enter without a command: %+v", r)
	}
	refuses(t, h, 1, "has no running container web.9", "enter", app, "web.9", "true")
	name := strings.TrimSpace(dokku(t, h, 0, "run:detached", "-e", "EXTRA=1", app, "sh", "-c", quote("echo detached $EXTRA; sleep 1000")).Stdout)
	if !strings.HasPrefix(name, app+".run.") {
		t.Errorf("run:detached prints %q", name)
	}
	if list := dokku(t, h, 0, "run:list", app).Stdout; !strings.Contains(list, name+" ") || !strings.Contains(list, " running ") {
		t.Errorf("run:list prints %s", list)
	}
	says(t, h, "detached 1\n", "run:logs", app, name) // once it has begun
	prints(t, h, "detached 1\n", "run:logs", app, name)
	refuses(t, h, 20, "has no run container", "run:stop", app, "run.0")
	prints(t, h, "-----> Stopping "+name+"\n", "run:stop", app, name)
	if left := docker(t, "ps", "-aq", "--filter", "label=com.dokku.app-name="+app, "--filter", "label=com.dokku.container-type=run"); left != "" {
		t.Errorf("containers of run are left: %s", left)
	}
}

// cleaned: cleanup removes what this app has left, and nothing of a service or of another.
func cleaned(t *testing.T, h *testkit.Host, app string) {
	image := docker(t, "inspect", "--format", "{{.Image}}", app+".web.1")
	host := docker(t, "inspect", "--format", `{{index .Config.Labels "com.dokku-push.host"}}`, app+".web.1")
	left := func(name string, labels ...string) string {
		args := []string{"run", "--name", app + name}
		for _, label := range append(labels, testkit.HostLabel+"="+host) { // so that the test's end removes it
			args = append(args, "--label", label)
		}
		docker(t, append(args, image, "sh", "-c", "echo failing; exit 3 & wait $!; true")...)
		return app + name
	}
	dead := left(".run.1", "com.dokku.app-name="+app, "com.dokku.container-type=run", "dokku")
	service := left(".service", "dokku=service", "com.dokku.app-name="+app)
	other := left(".other", "dokku", "com.dokku.app-name=not-"+app)
	dokku(t, h, 0, "ps:stop", app)
	said := dokku(t, h, 0, "cleanup").Stdout
	if !strings.Contains(said, "-----> Removed the container "+dead+"\n") || strings.Contains(said, service) || strings.Contains(said, other) {
		t.Errorf("cleanup prints %q", said)
	}
	names := docker(t, "ps", "-a", "--format", "{{.Names}}", "--filter", "name="+app)
	for name, stays := range map[string]bool{dead: false, service: true, other: true, app + ".web.1": true} {
		if strings.Contains(names+"\n", name+"\n") != stays {
			t.Errorf("after cleanup there are %q; %s stays: %t", names, name, stays)
		}
	}
	docker(t, "rm", service, other)
	dokku(t, h, 0, "ps:start", app)
}

func reported(t *testing.T, h *testkit.Host, app string) {
	out := dokku(t, h, 0, "report", app).Stdout
	for _, noun := range []string{"app", "checks", "cron", "docker options", "domains", "logs", "ps", "registry", "resource", "scheduler", "storage"} {
		if !strings.Contains(out, "=====> "+app+" "+noun+" information\n") {
			t.Errorf("report has no %s:\n%s", noun, out)
		}
	}
	saved := dokku(t, h, 0, "backup:export", app)
	other := h.App(t, "restored")
	dokku(t, h, 0, "apps:create", other)
	if r := with(t, h, saved.Stdout, "backup:import", other); r.Exit == 0 || !strings.Contains(r.Stderr, "belongs to the app") {
		t.Errorf("the domains of another app were imported: %+v", r)
	}
	dokku(t, h, 0, "config:unset", "--no-restart", app, "COLOUR")
	if r := with(t, h, saved.Stdout, "backup:import", "--no-restart", app); r.Exit != 0 {
		t.Errorf("backup:import: %+v", r)
	}
	prints(t, h, "blue\n", "config:get", app, "COLOUR")
	prints(t, h, "-----> Enabling dokku events logger\n", "events:on")
	dokku(t, h, 0, "config:set", "--no-restart", app, "SECRET=s3cr3t-value")
	if log := dokku(t, h, 0, "events").Stdout; !strings.Contains(log, "INVOKED: post-config-update( "+app+" set SECRET )") || strings.Contains(log, "s3cr3t") {
		t.Errorf("events prints %q", log)
	}
	dokku(t, h, 0, "events:off")
}

// onTheMinute: the watch starts what is due, in a container of the app.
func onTheMinute(t *testing.T, h *testkit.Host, app string) {
	list := dokku(t, h, 0, "cron:list", app).Stdout
	lines := strings.Split(list, "\n")
	if len(lines) != 4 || !strings.HasSuffix(lines[1], "echo cron of $COLOUR") {
		t.Fatalf("cron:list prints %q", list)
	}
	first, _, _ := strings.Cut(lines[1], " ")
	second, _, _ := strings.Cut(lines[2], " ")
	prints(t, h, "cron of blue\n", "cron:run", app, first)
	if r := h.Dokku(t, "cron:run", app, second); r.Exit != 1 {
		t.Errorf("cron:run of false: %+v", r)
	}
	for deadline := time.Now().Add(4 * time.Minute); ; time.Sleep(300 * time.Millisecond) {
		name := docker(t, "ps", "-a", "--format", "{{.Names}}", "--filter", "label=com.dokku.cron-id="+first, "--filter", "label=com.dokku.app-name="+app, "--filter", "status=exited")
		if name != "" {
			if said := docker(t, "logs", strings.Fields(name)[0]); said != "cron of blue" {
				t.Errorf("the cron container printed %q", said)
			}
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("nothing was started in its minute\n%s", h.Log())
		}
	}
}

// TestCommandsRegistry: a password goes over standard input into the docker config of the host's user.
func TestCommandsRegistry(t *testing.T) {
	t.Parallel()
	h := testkit.Serve(t, testkit.ServeOptions{})
	registry := testkit.Registry(t, testkit.RegistryOptions{User: "robot", Password: "pass word"})
	if r := with(t, h, "pass word\n", "registry:login", "--password-stdin", registry.Addr, "robot"); r.Exit != 0 || r.Stdout != "-----> Login Succeeded\n" {
		t.Errorf("login: %+v", r)
	}
	config := filepath.Join(filepath.Dir(h.Root), ".docker", "config.json")
	text, err := os.ReadFile(config)
	if err != nil || !strings.Contains(string(text), registry.Addr) {
		t.Errorf("%s: %v\n%s", config, err, text)
	}
	if info, err := os.Stat(config); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%s: %v, %v", config, info, err)
	}
	dokku(t, h, 0, "registry:logout", registry.Addr)
	if r := with(t, h, "wr0ng-s3cret\n", "registry:login", "--password-stdin", registry.Addr, "robot"); r.Exit != 1 || strings.Contains(r.Stdout+r.Stderr, "wr0ng-s3cret") {
		t.Errorf("login with a wrong password: %+v", r)
	}
}

// TestCommandsClone: a copy has its own domain and containers; a refused one leaves nothing.
func TestCommandsClone(t *testing.T) {
	t.Parallel()
	h, dir, app := talking(t)
	copied := h.App(t, "copy")
	dokku(t, h, 0, "config:set", "--no-restart", app, "COLOUR=green")
	dokku(t, h, 0, "docker-options:add", app, "deploy", quote("--label by=options"))
	dokku(t, h, 0, "domains:add", app, app+".example.com")
	plugin(t, h, "copies", map[string]string{"post-app-clone-setup": `echo "setup $1 $2" >>"$DOKKU_ROOT/$2/CLONED"`, "post-app-clone": `echo "done $1 $2" >>"$DOKKU_ROOT/$2/CLONED"`})
	before := settled(t, h, dir, app)
	dokku(t, h, 0, "apps:clone", app, copied)
	answers(t, h, copied, "/", "<green>")
	answers(t, h, app, "/", "Hello")
	if by := docker(t, "inspect", "--format", `{{index .Config.Labels "by"}}`, copied+".web.1"); by != "options" {
		t.Errorf("the copy has no docker options: %q", by)
	}
	prints(t, h, copied+".localhost\n", "domains:report", copied, "--domains-app-vhosts")
	if text, err := os.ReadFile(filepath.Join(h.Root, "home", copied, "CLONED")); err != nil || string(text) != "setup "+app+" "+copied+"\ndone "+app+" "+copied+"\n" {
		t.Errorf("the plugin has seen %q, %v", text, err)
	}
	refuses(t, h, 1, "Name is already taken", "apps:clone", app, copied)
	dokku(t, h, 0, "apps:clone", "--ignore-existing", app, copied)
	plugin(t, h, "copies", map[string]string{"post-app-clone-setup": "exit 3"})
	third := h.App(t, "third")
	if r := h.Dokku(t, "apps:clone", app, third); r.Exit != 1 {
		t.Errorf("a plugin's refusal: %+v", r)
	}
	refuses(t, h, 20, "does not exist", "apps:exists", third)
	disable(t, h, "copies")
	dokku(t, h, 0, "apps:clone", "--skip-deploy", app, third)
	prints(t, h, "false\n", "ps:report", third, "--deployed")
	prints(t, h, "green\n", "config:get", third, "COLOUR")
	if after := settled(t, h, dir, app); before != after {
		t.Error("clones changed the app that they are of")
	}
}

// TestCommandsRename: the app has all it had under its new name; one that fails half-way
// leaves it as it was.
func TestCommandsRename(t *testing.T) {
	t.Parallel()
	h := testkit.Serve(t, testkit.ServeOptions{Args: []string{"--traffic", "map"}})
	dir, app, renamed := talkative(t), h.App(t, "former"), h.App(t, "latter")
	pushed(t, h.Push(t, dir, "--app", app))
	dokku(t, h, 0, "config:set", app, "COLOUR=red")
	dokku(t, h, 0, "domains:add", app, "keeps.example.com")
	dokku(t, h, 0, "tags:create", app, "nice")
	elements, before := mapElements(t, h), settled(t, h, dir, app)

	plugin(t, h, "moves", map[string]string{"post-app-rename-setup": `echo "$1 $2" >>"$DOKKU_LIB_ROOT/moved"`, "check-deploy": "exit 9"})
	if r := h.Dokku(t, "apps:rename", app, renamed); r.Exit == 0 {
		t.Fatalf("a rename whose deploy fails: %+v", r)
	}
	moved := filepath.Join(h.Root, "lib", "moved")
	if text, err := os.ReadFile(moved); err != nil || string(text) != app+" "+renamed+"\n"+renamed+" "+app+"\n" {
		t.Errorf("the plugin has seen %q, %v", text, err)
	}
	refuses(t, h, 20, "does not exist", "apps:exists", renamed)
	if left := docker(t, "image", "ls", "-q", "dokku/"+renamed) + docker(t, "ps", "-aq", "--filter", "label=com.dokku.app-name="+renamed); left != "" {
		t.Errorf("a failed rename has left %s", left)
	}
	if after := settled(t, h, dir, app); before != after || mapElements(t, h) != elements {
		t.Error("a failed rename changed the app")
	}
	answers(t, h, app, "/", "<red>")

	plugin(t, h, "moves", map[string]string{"check-deploy": "exit 0"})
	dokku(t, h, 0, "apps:rename", app, renamed)
	answers(t, h, renamed, "/", "<red>")
	refuses(t, h, 20, "does not exist", "apps:exists", app)
	prints(t, h, renamed+".localhost keeps.example.com\n", "domains:report", renamed, "--domains-app-vhosts")
	if got := mapElements(t, h); got != elements {
		t.Errorf("the map has %d elements, want %d as before", got, elements)
	}
	now := status(t, h, dir, renamed)
	if len(now.Releases) < 2 || now.Releases[0].Version != 1 {
		t.Errorf("the releases are %+v", now.Releases)
	}
	if tags := dokku(t, h, 0, "tags", renamed).Stdout; !strings.Contains(tags, " nice ") || !strings.Contains(tags, " v1 ") {
		t.Errorf("the tags are\n%s", tags)
	}
	for line := range strings.Lines(files(t, filepath.Join(h.Root, "home"), filepath.Join(h.Root, "lib", "config"))) {
		if strings.Contains(line, "/"+app+"/") {
			t.Errorf("a file of the former name is left: %.200s", line)
		}
	}
	if left := docker(t, "image", "ls", "-q", "dokku/"+app) + docker(t, "ps", "-aq", "--filter", "label=com.dokku.app-name="+app); left != "" {
		t.Errorf("of the former name is left %s", left)
	}
	testkit.Edit(t, dir, "www/cgi-bin/index.cgi", "Hello", "Hello again")
	pushed(t, h.Push(t, dir, "--app", renamed))
	answers(t, h, renamed, "/", "Hello again")
}
