package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/internal/testkit"
)

// slowStart makes an app that takes a while to be ready.
func slowStart(t *testing.T, dir string) {
	t.Helper()
	text := `{"healthchecks": {"web": [{"type": "startup", "uptime": 4}]}}`
	if err := os.WriteFile(filepath.Join(dir, "app.json"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestClientKilled: the client is killed in mid-deploy; the deploy goes on, status tells
// its outcome, and the same push again does not deploy twice.
func TestClientKilled(t *testing.T) {
	h := testkit.Serve(t, testkit.ServeOptions{})
	dir, app := testkit.CopyApp(t, "hello"), h.App(t, "killed")
	slowStart(t, dir)
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
	again := pushed(t, h.Push(t, dir, "--app", app)) // joins the running one
	after := status(t, h, dir, app)
	if len(after.Releases) != 1 || after.Releases[0].Request != running.Last.Request {
		t.Errorf("releases %+v, want the killed client's alone", after.Releases)
	}
	if text := h.Push(t, dir, "status", "--app", app).Stdout; !strings.Contains(text, "v1 is live") {
		t.Errorf("status does not tell the outcome:\n%s", text)
	}
	third := pushed(t, h.Push(t, dir, "--app", app))
	if !strings.Contains(third.Stderr, "nothing to do") {
		t.Errorf("a third push did not find everything done:\n%s\nthe second said:\n%s", third.Stderr, again.Stderr)
	}
	answers(t, h, app, "/", "Hello")
}

// TestTwoPushes: two pushes to one app at once: one is told who holds the lock, or waits;
// two apps at once go in parallel.
func TestTwoPushes(t *testing.T) {
	h := testkit.Serve(t, testkit.ServeOptions{})
	first, second := testkit.CopyApp(t, "hello"), testkit.CopyApp(t, "hello")
	app := h.App(t, "two")
	slowStart(t, first)
	slowStart(t, second)
	testkit.Edit(t, second, "www/cgi-bin/index.cgi", "Hello", "Hello again")
	client := h.Command(t, first, "--app", app)
	var story lockedBuffer
	client.Stderr = &story
	if err := client.Start(); err != nil {
		t.Fatal(err)
	}
	story.waitFor(t, "Check the containers")
	waiting := make(chan testkit.Result, 1)
	go func() { waiting <- h.Push(t, second, "--app", app, "--lock-wait", "1m") }()
	refused := h.Push(t, second, "--app", app)
	if refused.Exit != 75 || !strings.Contains(refused.Stderr, "deploy lock") || !strings.Contains(refused.Stderr, "pid") {
		t.Errorf("a second push: exit %d, want 75 and who holds the lock:\n%s", refused.Exit, refused.Stderr)
	}
	waited := pushed(t, <-waiting)
	if !strings.Contains(waited.Stderr, "waiting for") {
		t.Errorf("the waiting push does not say that it waits:\n%s", waited.Stderr)
	}
	if err := client.Wait(); err != nil {
		t.Errorf("the first push: %v\n%s", err, story.String())
	}
	answers(t, h, app, "/", "Hello again")

	apps := []string{h.App(t, "left"), h.App(t, "right")}
	dirs := []string{testkit.CopyApp(t, "hello"), testkit.CopyApp(t, "hello")}
	var wait sync.WaitGroup
	results := make([]testkit.Result, 2)
	for i := range apps {
		slowStart(t, dirs[i])
		wait.Go(func() { results[i] = h.Push(t, dirs[i], "--app", apps[i]) })
	}
	wait.Wait()
	var deploys []api.Release
	for i := range apps {
		pushed(t, results[i])
		deploys = append(deploys, status(t, h, dirs[i], apps[i]).Releases[0])
	}
	began := func(r api.Release) time.Time { // its steps follow one another, after any wait
		at := r.Finished
		for _, step := range r.Steps {
			at = at.Add(-time.Duration(step.DurationMS) * time.Millisecond)
		}
		return at
	}
	if one, other := deploys[0], deploys[1]; began(one).After(other.Finished) || began(other).After(one.Finished) {
		t.Errorf("one deploy went on from %s to %s, the other from %s to %s: they waited for each other", began(one), one.Finished, began(other), other.Finished)
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
	deadline := time.Now().Add(time.Minute)
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
	slowStart(t, first)
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
