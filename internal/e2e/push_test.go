package e2e

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/internal/testkit"
)

// status asks the host what it knows of an app.
func status(t *testing.T, h *testkit.Host, dir, app string) api.AppState {
	t.Helper()
	asked := h.Push(t, dir, "status", "--app", app, "--log-format", "json")
	if asked.Exit != 0 {
		t.Fatalf("status: exit %d\n%s%s", asked.Exit, asked.Stdout, asked.Stderr)
	}
	var state api.AppState
	if err := json.Unmarshal([]byte(asked.Stdout), &state); err != nil {
		t.Fatalf("read the status: %v\n%s", err, asked.Stdout)
	}
	return state
}

// pushed fails the test unless a push went well.
func pushed(t *testing.T, r testkit.Result) testkit.Result {
	t.Helper()
	if r.Exit != 0 {
		t.Fatalf("push: exit %d\nstdout: %s\nstderr: %s", r.Exit, r.Stdout, r.Stderr)
	}
	return r
}

// answers fails the test unless the app's page holds the text.
func answers(t *testing.T, h *testkit.Host, app, path, want string) {
	t.Helper()
	code, body := h.Get(t, app, path)
	for n := 0; code == 502 && n < 300; n++ {
		t.Logf("502 at %s", time.Now())
		time.Sleep(100 * time.Millisecond)
		code, body = h.Get(t, app, path)
	}
	if code != 200 || !strings.Contains(body, want) {
		t.Fatalf("GET %s of %s: %d %q, want %q in it", path, app, code, body, want)
	}
}

var onTheWire = regexp.MustCompile(`(\d+) layers sent, (\d+) already there, .*?(\d+) bytes\)? on the wire`)

// wire reads what a push said it sent.
func wire(t *testing.T, r testkit.Result) (layers, bytes int) {
	t.Helper()
	found := onTheWire.FindStringSubmatch(r.Stderr)
	if found == nil {
		t.Fatalf("the push does not say what it sent:\n%s", r.Stderr)
	}
	layers, _ = strconv.Atoi(found[1])
	bytes, _ = strconv.Atoi(found[3])
	return layers, bytes
}

// TestApps pushes each of the sample apps that work, changes it and pushes again.
func TestApps(t *testing.T) {
	t.Parallel()
	h := testkit.Serve(t, testkit.ServeOptions{})
	for _, test := range []struct {
		name, file, former, text string
		first, second            string
		processes                []string
	}{
		{name: "hello", file: "www/cgi-bin/index.cgi", former: "Hello", text: "Hello again", first: "Hello", second: "Hello again", processes: []string{"web"}},
		{name: "goweb", file: "main.go", former: "Hello from goweb", text: "Hello twice from goweb",
			first: "Hello from goweb, marker predeployed", second: "Hello twice from goweb, marker predeployed", processes: []string{"web", "worker"}},
		{name: "pyweb", file: "app.py", former: "Hello from pyweb", text: "Hello twice from pyweb", first: "Hello from pyweb", second: "Hello twice from pyweb", processes: []string{"web"}},
		{name: "site", file: "public/index.html", former: "Hello from", text: "Hello from the second", first: "Hello from", second: "Hello from the second", processes: []string{"web"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := testkit.CopyApp(t, test.name)
			app := h.App(t, test.name)
			first := pushed(t, h.Push(t, dir, "--app", app))
			answers(t, h, app, "/", test.first)
			if want := "http://" + app + ".localhost"; !strings.HasPrefix(first.Stdout, want) {
				t.Errorf("stdout %q, want the app's URL %s…", first.Stdout, want)
			}
			testkit.Edit(t, dir, test.file, test.former, test.text)
			second := pushed(t, h.Push(t, dir, "--app", app))
			answers(t, h, app, "/", test.second)
			layers, bytes := wire(t, second)
			t.Logf("%s: the changed push sent %d layers, %d bytes, and took %s", test.name, layers, bytes, second.Took)
			if layers == 0 {
				t.Errorf("a changed tree sent no layer")
			}
			state := status(t, h, dir, app)
			if len(state.Releases) != 2 || state.Current != 2 {
				t.Errorf("releases %d, current v%d, want v1 and v2 with v2 current", len(state.Releases), state.Current)
			}
			var names []string
			for _, c := range state.Containers {
				names = append(names, c.Process)
			}
			if fmt.Sprint(names) != fmt.Sprint(test.processes) {
				t.Errorf("processes %v, want %v", names, test.processes)
			}
		})
	}
}

// TestUnchanged: an unchanged tree sends no layer, starts no container, says so and exits 0.
func TestUnchanged(t *testing.T) {
	t.Parallel()
	h := testkit.Serve(t, testkit.ServeOptions{})
	dir, app := testkit.CopyApp(t, "hello"), h.App(t, "hello")
	pushed(t, h.Push(t, dir, "--app", app))
	before := status(t, h, dir, app)
	again := pushed(t, h.Push(t, dir, "--app", app))
	after := status(t, h, dir, app)
	if strings.Contains(again.Stderr, "Ship to") || !strings.Contains(again.Stderr, "no layer to send") {
		t.Errorf("something was sent, or the push does not say that nothing was:\n%s", again.Stderr)
	}
	if !strings.Contains(again.Stderr, "nothing to do") {
		t.Errorf("the push does not say that there was nothing to do:\n%s", again.Stderr)
	}
	if before.Hash != after.Hash || before.Containers[0].ID != after.Containers[0].ID || len(after.Releases) != 1 {
		t.Errorf("the state changed: %+v\nthen %+v", before, after)
	}
}

// TestRollback: image, env and formation of the former release, without a build and without a byte sent.
func TestRollback(t *testing.T) {
	t.Parallel()
	h := testkit.Serve(t, testkit.ServeOptions{})
	dir, app := testkit.CopyApp(t, "hello"), h.App(t, "hello")
	pushed(t, h.Push(t, dir, "--app", app))
	testkit.Edit(t, dir, "www/cgi-bin/index.cgi", "Hello", "Hello again")
	pushed(t, h.Push(t, dir, "--app", app))
	if set := h.Dokku(t, "config:set", app, "COLOUR=blue"); set.Exit != 0 {
		t.Fatalf("config:set: %+v", set)
	}
	back := pushed(t, h.Push(t, dir, "rollback", "--app", app, "v1"))
	if !strings.Contains(back.Stderr, "removes config that was set since: COLOUR") {
		t.Errorf("the rollback does not say what it does to the config:\n%s", back.Stderr)
	}
	if _, body := h.Get(t, app, "/"); strings.Contains(body, "Hello again") {
		t.Errorf("after the rollback the app answers %q", body)
	}
	if strings.Contains(back.Stderr, "Build") {
		t.Errorf("the rollback built:\n%s", back.Stderr)
	}
	if got := h.Dokku(t, "config:get", app, "COLOUR"); got.Exit != 1 || got.Stdout != "" {
		t.Errorf("COLOUR was set after v1, and is %q after the rollback to it", got.Stdout)
	}
	state := status(t, h, dir, app)
	last := state.Releases[len(state.Releases)-1]
	if last.RollbackOf != 1 || last.Run != state.Releases[0].Run || state.Current != last.Version {
		t.Errorf("the last release is %+v, want one that goes back to v1", last)
	}
	list := pushed(t, h.Push(t, dir, "releases", "--app", app))
	for _, want := range []string{"v1", "v2", "rollback to v1"} {
		if !strings.Contains(list.Stdout, want) {
			t.Errorf("releases does not show %q:\n%s", want, list.Stdout)
		}
	}
	if none := h.Push(t, dir, "rollback", "--app", app, "v99"); none.Exit != 22 {
		t.Errorf("rollback to a release that does not exist: exit %d, want 22", none.Exit)
	}
}

// TestFailing: the failing apps leave the former release serving and everything as it was.
func TestFailing(t *testing.T) {
	t.Parallel()
	h := testkit.Serve(t, testkit.ServeOptions{})
	for _, test := range []struct {
		name string
		exit int
		says []string
	}{
		{"sick", 24, []string{"web.1", "sick: starting", "sick: listening", "still running", "out of memory: false", "500"}},
		{"badrelease", 23, []string{"release", "badrelease: table users is locked", "exit code 3"}},
		{"crash", 24, []string{"web.1", "crash: no configuration found, giving up", "exit code 7", "out of memory: false"}},
	} {
		for _, first := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s/first=%t", test.name, first), func(t *testing.T) {
				bad, app := testkit.CopyApp(t, test.name), h.App(t, test.name)
				good := testkit.CopyApp(t, "hello")
				if first {
					if made := h.Dokku(t, "apps:create", app); made.Exit != 0 {
						t.Fatalf("apps:create: %+v", made)
					}
				} else {
					pushed(t, h.Push(t, good, "--app", app))
				}
				before := status(t, h, good, app)
				failed := h.Push(t, bad, "--app", app)
				if failed.Exit != test.exit {
					t.Fatalf("exit %d, want %d\n%s", failed.Exit, test.exit, failed.Stderr)
				}
				for _, text := range test.says {
					if !strings.Contains(failed.Stderr, text) {
						t.Errorf("the push does not say %q:\n%s", text, failed.Stderr)
					}
				}
				after := status(t, h, good, app)
				if before.Hash != after.Hash {
					t.Errorf("the state is not as before:\n%+v\n%+v", before, after)
				}
				if !first {
					answers(t, h, app, "/", "Hello")
				}
			})
		}
	}
}
