package e2e

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/internal/testkit"
)

// drifts asks for an app's drift and returns its findings as "code subject"; the exit code
// has to fit them.
func drifts(t *testing.T, h *testkit.Host, dir, app string) (codes []string, drift api.Drift) {
	t.Helper()
	asked := h.Push(t, dir, "drift", "--app", app, "--format", "json")
	if err := json.Unmarshal([]byte(asked.Stdout), &drift); err != nil {
		t.Fatalf("read the drift: %v: %+v", err, asked)
	}
	for _, f := range drift.Findings {
		codes = append(codes, f.Code+" "+f.Subject)
	}
	want := 0
	if len(codes) > 0 {
		want = 2
	}
	if asked.Exit != want {
		t.Fatalf("drift with %v: exit %d, want %d", codes, asked.Exit, want)
	}
	if strings.Contains(asked.Stdout, "s3cret") {
		t.Errorf("a value is told: %s", asked.Stdout)
	}
	return codes, drift
}

// drifted fails the test unless the app's drift is exactly this.
func drifted(t *testing.T, h *testkit.Host, dir, app string, want ...string) {
	t.Helper()
	got, drift := drifts(t, h, dir, app)
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("the drift is %v, want %v: %+v", got, want, drift.Findings)
	}
}

// driftsAfter fails the test unless the app's drift is exactly this after an act that the
// watch takes back: it may have done so before anybody looks.
func driftsAfter(t *testing.T, h *testkit.Host, dir, app string, act func(), want ...string) {
	t.Helper()
	slices.Sort(want)
	var got []string
	for range 5 {
		act()
		got, _ = drifts(t, h, dir, app)
		if slices.Sort(got); slices.Equal(got, want) {
			return
		}
	}
	t.Errorf("the drift is %v, want %v", got, want)
}

// TestDrift: nothing differs after a push; whatever is changed behind the agent's back is
// named with its code, and a restart mends it.
func TestDrift(t *testing.T) {
	t.Parallel()
	h := testkit.Serve(t, testkit.ServeOptions{})
	dir, app := testkit.CopyApp(t, "hello"), h.App(t, "drift")
	if none := h.Push(t, dir, "drift", "--app", app); none.Exit != 22 || !strings.Contains(none.Stderr, "does not exist") {
		t.Errorf("drift of an app that does not exist: %+v", none)
	}
	dokku(t, h, 0, "apps:create", app)
	drifted(t, h, dir, app)
	dokku(t, h, 0, "config:set", "--no-restart", app, "GOES=s3cret-away", "STAYS=1")
	pushed(t, h.Push(t, dir, "--app", app))
	drifted(t, h, dir, app)
	if text := h.Push(t, dir, "drift", "--app", app); text.Exit != 0 || text.Stdout != app+" runs v1 as it was released\n" {
		t.Errorf("drift of what was just pushed: %+v", text)
	}
	web := app + ".web.1"

	dokku(t, h, 0, "config:set", "--no-restart", app, "NEW=s3cret-new", "STAYS=s3cret-other")
	dokku(t, h, 0, "config:unset", "--no-restart", app, "GOES")
	drifted(t, h, dir, app, "D001 web.1", "D002 web.1", "D003 web.1")
	text := h.Push(t, dir, "drift", "--app", app)
	for _, want := range []string{"D001  web.1: NEW: not in its environment; expected: set -> dokku ps:restart " + app, "D002  web.1: STAYS: another value", "D003  web.1: GOES: "} {
		if !strings.Contains(text.Stdout, want) {
			t.Errorf("drift does not say %q: %+v", want, text)
		}
	}
	dokku(t, h, 0, "ps:restart", app)
	drifted(t, h, dir, app)

	site := filepath.Join(h.Root, "home", app, "nginx.conf")
	conf, err := os.ReadFile(site)
	if err != nil {
		t.Fatal(err)
	}
	put(t, site, string(conf)+"# by hand\n")
	drifted(t, h, dir, app, "D014 nginx.conf")
	dokku(t, h, 0, "ps:rebuild", app)
	drifted(t, h, dir, app)

	docker(t, "stop", "--time", "1", web)
	drifted(t, h, dir, app, "D006 web.1")
	dokku(t, h, 0, "ps:restart", app)
	drifted(t, h, dir, app)

	stray := app + "-stray"
	id := docker(t, "inspect", "--format", `{{index .Config.Labels "com.dokku-push.host"}}`, web)
	upcoming := app + ".web.1.upcoming-0123456789"
	driftsAfter(t, h, dir, app, func() {
		for _, name := range []string{stray, upcoming} {
			_ = exec.Command("docker", "rm", "--force", name).Run() // of the round before
			docker(t, "run", "--detach", "--name", name, "--label", "com.dokku.app-name="+app, "--label", "com.dokku-push.host="+id,
				"--label", "com.dokku.container-type=deploy", "--label", "com.dokku.dyno=web.1", "dokku/"+app+":latest")
		}
	}, "D010 "+stray, "D009 "+upcoming)
	docker(t, "rm", "--force", stray, upcoming)

	docker(t, "network", "disconnect", "bridge", web)
	if got, _ := drifts(t, h, dir, app); !slices.Contains(got, "D012 web.1") {
		t.Errorf("off its network: %v", got)
	}
	dokku(t, h, 0, "ps:restart", app)
	drifted(t, h, dir, app)
	if h.Traffic == "map" {
		driftsAfter(t, h, dir, app, func() { emptyMap(t, h) }, "D016 web.1")
	}

	dokku(t, h, 0, "ps:scale", app, "web=2")
	drifted(t, h, dir, app)
	docker(t, "rm", "--force", app+".web.2")
	drifted(t, h, dir, app, "D005 web.2")
	dokku(t, h, 0, "ps:scale", app, "web=1")
	drifted(t, h, dir, app)
	dokku(t, h, 0, "ps:stop", app)
	drifted(t, h, dir, app)
	dokku(t, h, 0, "--force", "apps:destroy", app)
	if gone := h.Push(t, dir, "drift", "--app", app); gone.Exit != 22 {
		t.Errorf("drift of a destroyed app: %+v", gone)
	}
	left := filepath.Join(h.Root, "lib", "config", "ps", app)
	if err := os.MkdirAll(left, 0o755); err != nil {
		t.Fatal(err)
	}
	drifted(t, h, dir, app, "D021 "+left)
}

// TestDriftQuiet: what is done by the agent's own commands is never drift, however traffic
// is switched.
func TestDriftQuiet(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ traffic, app, file, former, text string }{
		{"auto", "goweb", "main.go", "Hello from goweb", "Hello twice from goweb"}, // with a worker, and a predeploy script that changes the image
		{"reload", "hello", "www/cgi-bin/index.cgi", "Hello", "Hello again"},
	} {
		t.Run(test.traffic, func(t *testing.T) {
			h := testkit.Serve(t, testkit.ServeOptions{Args: []string{"--traffic", test.traffic}})
			dir, app := testkit.CopyApp(t, test.app), h.App(t, "quiet")
			pushed(t, h.Push(t, dir, "--app", app))
			drifted(t, h, dir, app)
			for _, args := range [][]string{{"config:set", app, "COLOUR=blue"}, {"domains:add", app, "extra.localhost"}, {"ps:stop", app}, {"ps:start", app}} {
				dokku(t, h, 0, args...)
				drifted(t, h, dir, app)
			}
			testkit.Edit(t, dir, test.file, test.former, test.text)
			pushed(t, h.Push(t, dir, "--app", app))
			drifted(t, h, dir, app)
			pushed(t, h.Push(t, dir, "rollback", "--app", app, "v1"))
			drifted(t, h, dir, app)
		})
	}
}

func put(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// emptyMap takes every element out of the host's address map, as a firewall's reload does.
func emptyMap(t *testing.T, h *testkit.Host) {
	t.Helper()
	var config struct {
		Map struct{ Table string } `json:"map"`
	}
	text, err := os.ReadFile(filepath.Join(h.Root, "lib", "data", "agent", "host.json"))
	if err == nil {
		err = json.Unmarshal(text, &config)
	}
	if err != nil {
		t.Fatal(err)
	}
	if r := testkit.Run(t, exec.Command("nft", "flush", "map", "ip", config.Map.Table, "up")); r.Exit != 0 {
		t.Fatalf("nft flush map: %+v", r)
	}
}

// TestDriftRefused: drift asks as apps:report does, and shows nothing to others.
func TestDriftRefused(t *testing.T) {
	t.Parallel()
	h := testkit.Serve(t, testkit.ServeOptions{})
	dir, app := testkit.CopyApp(t, "hello"), h.App(t, "drift")
	dokku(t, h, 0, "apps:create", app)
	plugin(t, h, "acl", map[string]string{"user-auth": `[ "$3" != apps:report ] && [ "$3" != apps:list ]`})
	for _, word := range []string{"drift", "doctor"} {
		if r := h.Push(t, dir, word, "--app", app); r.Exit != 77 || r.Stdout != "" {
			t.Errorf("a refused %s: %+v", word, r)
		}
	}
	plugin(t, h, "acl", map[string]string{"user-auth": "true", "user-auth-app": "true"}) // nobody may see any app
	if r := h.Push(t, dir, "drift", "--app", app); r.Exit != 77 {
		t.Errorf("drift of an app that this key may not see: %+v", r)
	}
}
