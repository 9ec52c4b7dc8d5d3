package e2e

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/internal/testkit"
)

// dynos asks the app until it has heard each of n containers, and returns who answered.
func dynos(t *testing.T, h *testkit.Host, app string, n int) map[string]bool {
	t.Helper()
	heard := map[string]bool{}
	for range 60 {
		code, body := h.Get(t, app, "/")
		_, name, found := strings.Cut(body, " from ")
		if code != 200 || !found {
			t.Fatalf("%s answers %d %q", app, code, body)
		}
		name, _, _ = strings.Cut(name, ",")
		if heard[name] = true; len(heard) > n {
			break
		}
	}
	return heard
}

// container finds one container of an app's state.
func container(t *testing.T, state api.AppState, process string, index int) api.Container {
	t.Helper()
	for _, c := range state.Containers {
		if c.Process == process && c.Index == index {
			return c
		}
	}
	t.Fatalf("there is no %s.%d: %+v", process, index, state.Containers)
	return api.Container{}
}

func TestCommandsPs(t *testing.T) {
	t.Parallel()
	h, dir, app := talking(t)
	first := status(t, h, dir, app)
	up := dokku(t, h, 0, "ps:scale", app, "web=2")
	if want := "-----> Scaling " + app + " processes: web=2\n"; !strings.HasPrefix(up.Stdout, want) {
		t.Errorf("ps:scale prints %q, want it to begin with %q", up.Stdout, want)
	}
	if heard := dynos(t, h, app, 2); !heard["web.1"] || !heard["web.2"] {
		t.Errorf("scaled to two, %v answer", heard)
	}
	second := status(t, h, dir, app)
	if container(t, first, "web", 1).ID != container(t, second, "web", 1).ID {
		t.Error("scaling up replaced the container that was there")
	}
	prints(t, h, "-----> Scaling for "+app+"\nproctype: qty\n--------: ---\nweb:  2\n", "ps:scale", app)
	dokku(t, h, 0, "ps:scale", app, "web=1")
	if heard := dynos(t, h, app, 1); len(heard) != 1 || !heard["web.1"] {
		t.Errorf("scaled back to one, %v answer", heard)
	}
	third := status(t, h, dir, app)
	if len(third.Containers) != 1 || container(t, first, "web", 1).ID != container(t, third, "web", 1).ID {
		t.Errorf("scaling down left %+v", third.Containers)
	}
	before := status(t, h, dir, app).Hash
	for _, word := range []string{"web=-1", "web=01", "web=+1", "web=1e9", "web=NaN", "web=1000000000", "web=", "web", "Web=1", "web=1001"} {
		refuses(t, h, 1, "", "ps:scale", app, word)
	}
	refuses(t, h, 1, "web is scaled twice", "ps:scale", app, "web=1", "web=2")
	if r := dokku(t, h, 1, "ps:scale", app, "worker=1"); !strings.Contains(r.Stderr, `no process type "worker"`) {
		t.Errorf("scaling what the Procfile has not: %+v", r)
	}
	if after := status(t, h, dir, app).Hash; before != after {
		t.Error("refused scales changed the app")
	}
	report := dokku(t, h, 0, "ps:report", app).Stdout
	for _, want := range []string{"=====> " + app + " ps information\n", "Deployed:                      true\n", "Processes:                     1\n",
		"Ps can scale:                  true\n", "Ps restart policy:             on-failure:10\n", "Running:                       true\n", "Status web 1:                  running (CID: "} {
		if !strings.Contains(report, want) {
			t.Errorf("ps:report does not print %q:\n%s", want, report)
		}
	}
	prints(t, h, "true\n", "ps:report", app, "--running")

	for _, word := range []string{"ps:restart", "ps:rebuild"} {
		dokku(t, h, 0, word, app)
		answers(t, h, app, "/", "Hello")
		if now := status(t, h, dir, app); container(t, now, "web", 1).ID == container(t, third, "web", 1).ID {
			t.Errorf("%s kept the former container", word)
		} else {
			third = now
		}
	}
	prints(t, h, "-----> Stopping "+app+"\n", "ps:stop", app)
	if code, _ := h.Get(t, app, "/"); code != 502 {
		t.Errorf("a stopped app answers %d, want 502", code)
	}
	prints(t, h, "false\n", "ps:report", app, "--running")
	dokku(t, h, 0, "ps:start", app)
	answers(t, h, app, "/", "Hello")
	prints(t, h, "true\n", "ps:report", app, "--running")
}

// TestCommandsScaleFormation: what app.json scales is not scaled by command.
func TestCommandsScaleFormation(t *testing.T) {
	t.Parallel()
	h := testkit.Serve(t, testkit.ServeOptions{})
	dir, app := testkit.CopyApp(t, "goweb"), h.App(t, "formed")
	pushed(t, h.Push(t, dir, "--app", app))
	before := status(t, h, dir, app).Hash
	refuses(t, h, 1, "contains an app.json file with a formations key and cannot be manually scaled", "ps:scale", app, "web=2")
	prints(t, h, "false\n", "ps:report", app, "--ps-can-scale")
	if after := status(t, h, dir, app).Hash; before != after {
		t.Error("a refused scale changed the app")
	}
}

// serving lists the processes of hosts that serve a command.
func serving(t *testing.T, command string) (pids []string) {
	t.Helper()
	environs, err := filepath.Glob("/proc/[0-9]*/environ")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range environs {
		text, err := os.ReadFile(file)
		if err == nil && bytes.Contains(text, []byte("SSH_ORIGINAL_COMMAND="+command+"\x00")) {
			pids = append(pids, file)
		}
	}
	return pids
}

func TestCommandsLogs(t *testing.T) {
	t.Parallel()
	h, dir, app := talking(t)
	dokku(t, h, 0, "ps:scale", app, "web=2")
	all := dokku(t, h, 0, "logs", app).Stdout
	for deadline := time.Now().Add(time.Minute); strings.Count(all, ": tick 2\n") < 2 && time.Now().Before(deadline); time.Sleep(200 * time.Millisecond) {
		all = dokku(t, h, 0, "logs", app).Stdout
	}
	for _, want := range []string{" app[web.1]: tick 1\n", " app[web.2]: tick 1\n"} {
		if !strings.Contains(all, want) {
			t.Errorf("logs do not hold %q:\n%s", want, all)
		}
	}
	one := dokku(t, h, 0, "logs", app, "-n", "2", "-p", "web.2").Stdout
	if strings.Count(one, "\n") != 2 || strings.Count(one, " app[web.2]: tick ") != 2 {
		t.Errorf("logs -n 2 -p web.2 printed %q", one)
	}
	if plain := dokku(t, h, 0, "logs", "-q", "--num", "1", "--ps", "web.1", app).Stdout; !strings.HasPrefix(plain, "tick ") || strings.Count(plain, "\n") != 1 {
		t.Errorf("logs -q --num 1 printed %q", plain)
	}
	refuses(t, h, 1, "-n wants a number", "logs", app, "-n", "x")
	empty := h.App(t, "empty")
	dokku(t, h, 0, "apps:create", empty)
	refuses(t, h, 1, "App "+empty+" has not been deployed", "logs", empty)

	follow := h.DokkuCommand(t, "logs", app, "-t", "-n", "1", "-p", "web.1")
	var said lockedBuffer
	follow.Stdout = &said
	if err := follow.Start(); err != nil {
		t.Fatal(err)
	}
	asked := "logs " + app + " -t -n 1 -p web.1"
	said.waitFor(t, "tick")
	for now := said.String(); ; time.Sleep(50 * time.Millisecond) {
		if strings.Count(said.String(), "tick") >= strings.Count(now, "tick")+3 {
			break // it streams
		}
	}
	if len(serving(t, asked)) == 0 {
		t.Fatal("nobody serves the logs: this tests nothing")
	}
	if err := follow.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = follow.Wait() // killed
	for deadline := time.Now().Add(2 * time.Minute); len(serving(t, asked)) > 0; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("the client is gone and %v still serve it", serving(t, asked))
		}
	}
	if r := pushed(t, h.Push(t, dir, "logs", "--app", app)); !strings.Contains(r.Stdout, "tick") {
		t.Errorf("the client's logs print %q", r.Stdout)
	}
}

func TestCommandsRun(t *testing.T) {
	t.Parallel()
	h, _, app := talking(t)
	dokku(t, h, 0, "config:set", "--no-restart", app, "COLOUR=blue")
	run := h.DokkuCommand(t, "run", app, "sh", "-c", quote("cat; echo to stderr >&2; exit 7"))
	run.Stdin = strings.NewReader("some\ninput\n")
	if r := testkit.Run(t, run); r.Exit != 7 || r.Stdout != "some\ninput\n" || r.Stderr != "to stderr\n" {
		t.Errorf("run: %+v", r)
	}
	prints(t, h, "blue one two  words\n", "run", "-e", quote("EXTRA=one"), "--env=MORE="+quote("two  words"), app, "sh", "-c", quote(`echo "$COLOUR $EXTRA $MORE"`))
	prints(t, h, "$HOME\n", "run", app, "echo", quote("$HOME"))
	refuses(t, h, 1, "No command specified", "run", app)
	refuses(t, h, 1, "unknown flag -x", "run", "-x", app, "true")
	if left := docker(t, "ps", "-aq", "--filter", "label=com.dokku.app-name="+app, "--filter", "label=com.dokku.container-type=run"); left != "" {
		t.Errorf("containers of run are left: %s", left)
	}
	empty := h.App(t, "empty")
	dokku(t, h, 0, "apps:create", empty)
	refuses(t, h, 1, "has not been deployed", "run", empty, "true")
}

func TestCommandsTags(t *testing.T) {
	t.Parallel()
	h, dir, app := talking(t)
	prints(t, h, "=====> Added nice tag to dokku/"+app+"\n", "tags:create", app, "nice")
	list := dokku(t, h, 0, "tags", app).Stdout
	for _, want := range []string{"=====> Image tags for dokku/" + app + "\n", " latest ", " nice ", " v1 "} {
		if !strings.Contains(list, want) {
			t.Errorf("tags does not print %q:\n%s", want, list)
		}
	}
	testkit.Edit(t, dir, "www/cgi-bin/index.cgi", "Hello", "Hello again")
	pushed(t, h.Push(t, dir, "--app", app))
	answers(t, h, app, "/", "Hello again")
	dokku(t, h, 0, "tags:deploy", app, "nice")
	if _, body := h.Get(t, app, "/"); strings.Contains(body, "again") {
		t.Errorf("after tags:deploy of the first image the app answers %q", body)
	}
	now := status(t, h, dir, app)
	if last := now.Releases[len(now.Releases)-1]; len(now.Releases) != 3 || last.Kind != "tag" || last.Run != now.Releases[0].Run {
		t.Errorf("after tags:deploy the last release is %+v", last)
	}
	if latest := docker(t, "image", "inspect", "--format", "{{.Id}}", "dokku/"+app+":latest"); latest != now.Releases[0].Run {
		t.Errorf("latest is %s after tags:deploy, want %s", latest, now.Releases[0].Run)
	}
	for _, label := range []string{"latest", "v1", "v99"} {
		refuses(t, h, 1, "belongs to the releases", "tags:create", app, label)
		refuses(t, h, 1, "belongs to the releases", "tags:destroy", app, label)
	}
	for _, label := range []string{"-x", "a/b", "a:b", quote("a b"), quote("$(id)"), strings.Repeat("a", 129)} {
		refuses(t, h, 1, "is no image tag", "tags:create", app, label)
	}
	refuses(t, h, 1, "Please specify a tag", "tags:create", app)
	if r := h.Dokku(t, "tags:deploy", app, "unknown"); r.Exit == 0 {
		t.Errorf("tags:deploy of an unknown tag: %+v", r)
	}
	refuses(t, h, 20, "Tag unknown does not exist", "tags:destroy", app, "unknown")
	prints(t, h, "=====> Removed nice tag from dokku/"+app+"\n", "tags:destroy", app, "nice")
	if after := status(t, h, dir, app); after.Current != 3 || len(after.Releases) != 3 {
		t.Errorf("refused tags changed the releases: %+v", after.Releases)
	}
}
