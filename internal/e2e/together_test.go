package e2e

import (
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dokku-push/dokku-push/internal/testkit"
)

// gated makes an app whose new containers are not ready before letIn, however long the test
// takes until then.
func gated(t *testing.T, dir string) {
	t.Helper()
	put(t, filepath.Join(dir, "app.json"), `{"healthchecks": {"web": [{"type": "startup", "path": "/open", "attempts": 1000, "wait": 1, "timeout": 2}]}}`)
}

// letIn makes the containers ready that an app has now.
func letIn(t *testing.T, app string) {
	t.Helper()
	for _, id := range strings.Fields(docker(t, "ps", "--quiet", "--filter", "label=com.dokku.app-name="+app)) {
		if out, err := exec.Command("docker", "exec", id, "touch", "/www/open").CombinedOutput(); err != nil {
			t.Logf("a container that goes: %v: %s", err, out)
		}
	}
}

// TestClientKilled: the client is killed in mid-deploy; the deploy goes on, status tells
// its outcome, and the same push again does not deploy twice.
func TestClientKilled(t *testing.T) {
	h := testkit.Serve(t, testkit.ServeOptions{})
	dir, app := testkit.CopyApp(t, "hello"), h.App(t, "killed")
	gated(t, dir)
	client := h.Command(t, dir, "--app", app)
	var story lockedBuffer
	client.Stderr = &story
	if err := client.Start(); err != nil {
		t.Fatal(err)
	}
	story.waitFor(t, "Check the containers")
	if err := client.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = client.Wait() // killed
	running := status(t, h, dir, app)
	if running.Last == nil || running.Last.Verdict != nil || running.Unfinished == "" {
		t.Fatalf("after the kill the request is not running: %+v", running.Last)
	}
	joins := h.Command(t, dir, "--app", app)
	var again lockedBuffer
	joins.Stderr = &again
	if err := joins.Start(); err != nil {
		t.Fatal(err)
	}
	again.waitFor(t, "Check the containers") // of the running one
	letIn(t, app)
	if err := joins.Wait(); err != nil {
		t.Errorf("the same push again: %v\n%s", err, again.String())
	}
	after := status(t, h, dir, app)
	if len(after.Releases) != 1 || after.Releases[0].Request != running.Last.Request {
		t.Errorf("releases %+v, want the killed client's alone", after.Releases)
	}
	if text := h.Push(t, dir, "status", "--app", app).Stdout; !strings.Contains(text, "v1 is live") {
		t.Errorf("status does not tell the outcome:\n%s", text)
	}
	third := pushed(t, h.Push(t, dir, "--app", app))
	if !strings.Contains(third.Stderr, "nothing to do") {
		t.Errorf("a third push did not find everything done:\n%s\nthe second said:\n%s", third.Stderr, again.String())
	}
	answers(t, h, app, "/", "Hello")
}

// TestTwoPushes: two pushes to one app at once: one is told who holds the lock, or waits;
// two apps at once go in parallel.
func TestTwoPushes(t *testing.T) {
	h := testkit.Serve(t, testkit.ServeOptions{})
	first, second := testkit.CopyApp(t, "hello"), testkit.CopyApp(t, "hello")
	app := h.App(t, "two")
	gated(t, first)
	testkit.Edit(t, second, "www/cgi-bin/index.cgi", "Hello", "Hello again")
	client := h.Command(t, first, "--app", app)
	var story lockedBuffer
	client.Stderr = &story
	if err := client.Start(); err != nil {
		t.Fatal(err)
	}
	story.waitFor(t, "Check the containers")
	waiting := h.Command(t, second, "--app", app, "--lock-wait", "5m")
	var waits lockedBuffer
	waiting.Stderr = &waits
	if err := waiting.Start(); err != nil {
		t.Fatal(err)
	}
	refused := h.Push(t, second, "--app", app)
	if refused.Exit != 75 || !strings.Contains(refused.Stderr, "deploy lock") || !strings.Contains(refused.Stderr, "pid") {
		t.Errorf("a second push: exit %d, want 75 and who holds the lock:\n%s", refused.Exit, refused.Stderr)
	}
	waits.waitFor(t, "waiting for")
	letIn(t, app)
	if err := waiting.Wait(); err != nil {
		t.Errorf("the waiting push: %v\n%s", err, waits.String())
	}
	if err := client.Wait(); err != nil {
		t.Errorf("the first push: %v\n%s", err, story.String())
	}
	answers(t, h, app, "/", "Hello again")

	// Both are at it before either can be done: neither waits for the other.
	apps := []string{h.App(t, "left"), h.App(t, "right")}
	var pushes []*exec.Cmd
	stories := make([]lockedBuffer, len(apps))
	for i := range apps {
		dir := testkit.CopyApp(t, "hello")
		gated(t, dir)
		push := h.Command(t, dir, "--app", apps[i])
		push.Stderr = &stories[i]
		if err := push.Start(); err != nil {
			t.Fatal(err)
		}
		pushes = append(pushes, push)
	}
	for i := range apps {
		stories[i].waitFor(t, "Check the containers")
	}
	for i := range apps {
		letIn(t, apps[i])
	}
	for i := range apps {
		if err := pushes[i].Wait(); err != nil {
			t.Errorf("%s: %v\n%s", apps[i], err, stories[i].String())
		}
	}
}

// lockedBuffer collects what a program says while a test reads it.
type lockedBuffer struct {
	mu   sync.Mutex
	text strings.Builder
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// waitFor waits until the text was said.
func (b *lockedBuffer) waitFor(t *testing.T, text string) {
	t.Helper()
	deadline := time.Now().Add(3 * time.Minute)
	for !strings.Contains(b.String(), text) {
		if time.Now().After(deadline) {
			t.Fatalf("%q was never said:\n%s", text, b.String())
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// TestNewestWins: a push with --newest-wins stops an older one of the same key that still
// runs, which is undone, and goes live itself.
func TestNewestWins(t *testing.T) {
	h := testkit.Serve(t, testkit.ServeOptions{})
	first, second := testkit.CopyApp(t, "hello"), testkit.CopyApp(t, "hello")
	app := h.App(t, "newest")
	gated(t, first)
	testkit.Edit(t, second, "www/cgi-bin/index.cgi", "Hello", "Hello again")
	client := h.Command(t, first, "--app", app)
	var story lockedBuffer
	client.Stderr = &story
	if err := client.Start(); err != nil {
		t.Fatal(err)
	}
	story.waitFor(t, "Check the containers")
	newer := pushed(t, h.Push(t, second, "--app", app, "--newest-wins"))
	if !strings.Contains(newer.Stderr, "this push is newer") {
		t.Errorf("the newer push does not say that it stops the older:\n%s", newer.Stderr)
	}
	if err := client.Wait(); err == nil || client.ProcessState.ExitCode() != 27 {
		t.Errorf("the older push: %v, want exit 27\n%s", err, story.String())
	}
	answers(t, h, app, "/", "Hello again")
	if state := status(t, h, second, app); len(state.Releases) != 1 {
		t.Errorf("%d releases, want the newer push's alone", len(state.Releases))
	}
}
