package e2e

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	engine "github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"github.com/dokku-push/dokku-push/internal/testkit"
)

// neighbours are apps that answer with their own names, on one host with an engine of the
// test's own, and clients that ask them without a pause whatever happens.
type neighbours struct {
	t       *testing.T
	traffic string // map or reload
	engine  *testkit.Dockerd
	host    *testkit.Host
	url     atomic.Pointer[string]
	apps    []string
	answers map[string]*atomic.Int64 // with its own name, by app
	strange atomic.Pointer[string]   // the first answer of another app
}

func newNeighbours(t *testing.T, traffic string, bases ...string) *neighbours {
	n := &neighbours{t: t, traffic: traffic, engine: testkit.StartDockerd(t), answers: map[string]*atomic.Int64{}}
	n.serve(filepath.Join(t.TempDir(), "host"))
	for _, base := range bases {
		app, dir := n.host.App(t, base), testkit.CopyApp(t, "hello")
		testkit.Edit(t, dir, "www/cgi-bin/index.cgi", "Hello, world", "Hello from "+app)
		pushed(t, n.host.Push(t, dir, "--app", app))
		n.apps, n.answers[app] = append(n.apps, app), &atomic.Int64{}
	}
	return n
}

func (n *neighbours) serve(root string) {
	n.host = testkit.Serve(n.t, testkit.ServeOptions{Root: root, Args: []string{"--traffic", n.traffic}})
	url := "http://" + n.host.HTTP
	n.url.Store(&url)
}

// load asks every app until stop: nobody has to answer, but who answers is that app.
func (n *neighbours) load() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var wait sync.WaitGroup
	for _, app := range n.apps {
		for range 2 {
			wait.Go(func() {
				web := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
				for ; ctx.Err() == nil; time.Sleep(3 * time.Millisecond) {
					code, body := n.ask(web, app)
					switch own := strings.Contains(body, "Hello from "+app+"\n"); {
					case code == 200 && own:
						n.answers[app].Add(1)
					case strings.Contains(body, "Hello"), code == 200:
						said := fmt.Sprintf("%s: %s answered %d %q", time.Now().Format("15:04:05.000"), app, code, body)
						n.strange.CompareAndSwap(nil, &said)
					}
				}
			})
		}
	}
	return func() { cancel(); wait.Wait() }
}

// ask gets an app's page; 0 when nobody answers.
func (n *neighbours) ask(web *http.Client, app string) (code int, body string) {
	request, err := http.NewRequest(http.MethodGet, *n.url.Load()+"/", nil)
	if err != nil {
		panic(err)
	}
	request.Host = app + ".localhost"
	answer, err := web.Do(request)
	if err != nil {
		return 0, ""
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		return 0, ""
	}
	return answer.StatusCode, string(text)
}

// back waits until the apps answer again and says how long that took.
func (n *neighbours) back(what string, apps ...string) {
	n.t.Helper()
	begun := time.Now()
	for _, app := range apps {
		for former := n.answers[app].Load(); n.answers[app].Load() == former; time.Sleep(5 * time.Millisecond) {
			if time.Since(begun) > 3*time.Minute {
				n.t.Fatalf("%s: %s does not answer\n%s", what, app, n.host.Log())
			}
		}
	}
	var places []string
	for _, app := range n.apps {
		places = append(places, app+" "+n.address(app))
	}
	n.t.Logf("%s: all answer after another %d ms; %s", what, time.Since(begun).Milliseconds(), strings.Join(places, ", "))
	if strange := n.strange.Load(); strange != nil {
		n.t.Fatalf("%s: %s", what, *strange)
	}
}

// address is where an app's container is; empty when it does not run.
func (n *neighbours) address(app string) string {
	n.t.Helper()
	found, err := n.engine.Client.ContainerInspect(n.t.Context(), app+".web.1", client.ContainerInspectOptions{})
	if err != nil {
		n.t.Fatal(err)
	}
	if !found.Container.State.Running {
		return ""
	}
	return found.Container.NetworkSettings.Networks["bridge"].IPAddress.String()
}

func (n *neighbours) docker(args ...string) {
	n.t.Helper()
	must(n.t, exec.Command("docker", args...))
}

// policy says whether the engine itself starts an app's container again.
func (n *neighbours) policy(app string, name engine.RestartPolicyMode) {
	n.t.Helper()
	update := client.ContainerUpdateOptions{RestartPolicy: &engine.RestartPolicy{Name: name}}
	if _, err := n.engine.Client.ContainerUpdate(n.t.Context(), app+".web.1", update); err != nil {
		n.t.Fatal(err)
	}
}

// swapped fails the test unless the two containers have each other's former addresses.
func (n *neighbours) swapped(left, right string, former [2]string) {
	n.t.Helper()
	if now := [2]string{n.address(left), n.address(right)}; now != [2]string{former[1], former[0]} {
		n.t.Errorf("the addresses were %v and are %v: this tested something else", former, now)
	}
}

// TestWatch: after a container's restart, an engine's restart, its death and a reboot every app
// serves its own release at its own domain, also where containers came back with each other's
// addresses; what did not come back is started, but for what was stopped; and at no time does a
// domain serve another app.
func TestWatch(t *testing.T) {
	if !testkit.Apart(t) {
		return
	}
	n := newNeighbours(t, "map", "left", "right", "quiet")
	left, right, quiet := n.apps[0], n.apps[1], n.apps[2]
	if stopped := n.host.Dokku(t, "ps:stop", quiet); stopped.Exit != 0 {
		t.Fatalf("ps:stop: %+v", stopped)
	}
	stop := n.load()
	defer stop()
	n.back("pushed", left, right)

	at := func() [2]string { return [2]string{n.address(left), n.address(right)} }
	n.docker("restart", "--time", "1", left+".web.1")
	n.back("one container restarted", left, right)
	former := at()
	n.docker("stop", "--time", "1", left+".web.1", right+".web.1")
	n.docker("start", right+".web.1", left+".web.1")
	n.back("containers swapped by hand", left, right)
	n.swapped(left, right, former)

	for _, boot := range []struct {
		what         string
		again        func()
		first, other string // the engine starts the first; the other does not come back by itself
	}{
		{"engine restarted", n.engine.Stop, left, right},
		{"engine killed", n.engine.Kill, right, left},
		{"power cut", n.powerCut, left, right},
	} {
		former = at()
		n.policy(boot.first, engine.RestartPolicyAlways)
		n.policy(boot.other, engine.RestartPolicyDisabled)
		boot.again()
		begun := time.Now()
		n.engine.Start(t)
		if boot.what == "power cut" {
			n.serve(n.host.Root)
		}
		n.back(fmt.Sprintf("%s, up after %s", boot.what, time.Since(begun).Round(time.Millisecond)), left, right)
		n.swapped(left, right, former)
		if address := n.address(quiet); address != "" {
			t.Errorf("%s: an app that was stopped runs at %s", boot.what, address)
		}
	}
	stop()
	if n.answers[quiet].Load() != 0 {
		t.Error("an app that was stopped has answered")
	}
	if log := n.host.Log(); strings.Contains(log, "panic") {
		t.Error(log)
	}
	n.recovers(left, right)
}

// TestWatchReload: where nginx names the containers themselves, the sites follow them. For as long
// as a reload takes a site may lead to where another app's container is: the map has no such moment.
func TestWatchReload(t *testing.T) {
	if !testkit.Apart(t) {
		return
	}
	n := newNeighbours(t, "reload", "left", "right")
	left, right := n.apps[0], n.apps[1]
	former := [2]string{n.address(left), n.address(right)}
	n.docker("stop", "--time", "1", left+".web.1", right+".web.1")
	n.settled("both stopped", left, 502, "")
	n.docker("start", right+".web.1", left+".web.1")
	n.swapped(left, right, former)
	n.settled("swapped by hand", left, 200, "Hello from "+left+"\n")
	n.settled("swapped by hand", right, 200, "Hello from "+right+"\n")
	n.policy(right, engine.RestartPolicyAlways)
	n.policy(left, engine.RestartPolicyDisabled)
	n.engine.Stop()
	n.engine.Start(t)
	n.settled("engine restarted", left, 200, "Hello from "+left+"\n")
	n.settled("engine restarted", right, 200, "Hello from "+right+"\n")
}

// settled waits until the app answers so, once and for all.
func (n *neighbours) settled(what, app string, code int, body string) {
	n.t.Helper()
	web := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	begun, right := time.Now(), 0
	for ; right < 20; time.Sleep(20 * time.Millisecond) {
		gotCode, got := n.ask(web, app)
		if right++; gotCode != code || !strings.Contains(got, body) {
			right = 0
		}
		if time.Since(begun) > 3*time.Minute {
			n.t.Fatalf("%s: %s answers %d %q\n%s", what, app, gotCode, got, n.host.Log())
		}
	}
	n.t.Logf("%s: %s answers right after %s", what, app, time.Since(begun).Round(time.Millisecond)-20*20*time.Millisecond)
}

// powerCut is the end of everything but the disk, and of this test.
func (n *neighbours) powerCut() {
	testkit.PowerCut(n.t)
	n.host.Kill()
	n.engine.Kill()
}

var upstreamServer = regexp.MustCompile(`server (198\.1[89]\.[0-9.:]+);`)

// recovers: without the watch, recover does the same for the app that it is told, and the
// next command for its own: the stable address of each leads to its container.
func (n *neighbours) recovers(left, right string) {
	n.t.Helper()
	n.host.Stop()
	n.docker("stop", "--time", "1", left+".web.1", right+".web.1")
	n.docker("start", right+".web.1")
	home, lib := filepath.Join(n.host.Root, "home"), filepath.Join(n.host.Root, "lib")
	agent := func(args ...string) *exec.Cmd {
		cmd := exec.Command(n.host.Bin.Agent, args...)
		cmd.Env = append(os.Environ(), "DOKKU_ROOT="+home, "DOKKU_LIB_ROOT="+lib)
		return cmd
	}
	wants := func(app, want string) {
		n.t.Helper()
		conf, err := os.ReadFile(filepath.Join(home, app, "nginx.conf"))
		if err != nil {
			n.t.Fatal(err)
		}
		address := upstreamServer.FindSubmatch(conf)
		if address == nil {
			n.t.Fatalf("the site of %s names no address of the map:\n%s", app, conf)
		}
		got := ""
		web := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
		for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
			got = ""
			if answer, err := web.Get("http://" + string(address[1]) + "/"); err == nil {
				body, _ := io.ReadAll(answer.Body)
				answer.Body.Close()
				got = string(body)
			}
			if got == want {
				return
			}
		}
		n.t.Errorf("the address of %s answers %q, want %q", app, got, want)
	}
	must(n.t, agent("recover", left))
	wants(left, "Hello from "+left+"\n")
	wants(right, "")
	must(n.t, agent("dokku", "ps:stop", left))
	wants(left, "")
	// With the host its nginx has ended, so the command fails; but before that it saw to the app.
	_ = agent("dokku", "domains:add", right, "another.localhost").Run()
	wants(right, "Hello from "+right+"\n")
	gone := filepath.Join(lib, "data", "agent", "apps", "gone") // as a destroy leaves it that was killed at its last file
	if err := os.MkdirAll(gone, 0o755); err != nil {
		n.t.Fatal(err)
	}
	put(n.t, filepath.Join(gone, "settings.lock"), "")
	must(n.t, agent("recover"))
	if _, err := os.Lstat(gone); !errors.Is(err, fs.ErrNotExist) {
		n.t.Errorf("recover without an app leaves the lock of one that is gone: %v", err)
	}
}
