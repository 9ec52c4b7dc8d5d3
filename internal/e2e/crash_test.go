package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/dokku-push/dokku-push/internal/testkit"
)

// TestDeployKilled: the deploy process itself is killed at several moments. Before the release is
// recorded everything is undone, and the former release never stops serving; nobody has to clean up.
func TestDeployKilled(t *testing.T) {
	h := testkit.Serve(t, testkit.ServeOptions{})
	for _, moment := range []string{"Fetch the image", "Apply the settings", "Start the containers", "Check the containers"} {
		t.Run(moment, func(t *testing.T) {
			dir, app := testkit.CopyApp(t, "hello"), h.App(t, "crash")
			pushed(t, h.Push(t, dir, "--app", app))
			before := settled(t, h, dir, app)
			ready, err := os.ReadFile(filepath.Join(dir, "app.json"))
			if err != nil {
				t.Fatal(err)
			}
			gated(t, dir)
			testkit.Edit(t, dir, "www/cgi-bin/index.cgi", "Hello", "Hello again")
			client := h.Command(t, dir, "--app", app)
			var story lockedBuffer
			client.Stderr = &story
			if err := client.Start(); err != nil {
				t.Fatal(err)
			}
			story.waitFor(t, "-----> "+moment)
			held := status(t, h, dir, app)
			if held.Lock == nil || held.Lock.PID == 0 {
				t.Fatalf("nobody holds the lock: %+v", held.Lock)
			}
			if err := syscall.Kill(held.Lock.PID, syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			answers(t, h, app, "/", "Hello, world")
			_ = client.Wait()
			if exit := client.ProcessState.ExitCode(); exit != 27 {
				t.Errorf("the client's exit code is %d, want 27: undone\n%s", exit, story.String())
			}
			if !strings.Contains(story.String(), "was killed; what it had begun is undone") {
				t.Errorf("the client is not told what became of it:\n%s", story.String())
			}
			if after := settled(t, h, dir, app); after != before {
				t.Errorf("the state is not as before")
			}
			answers(t, h, app, "/", "Hello, world")
			put(t, filepath.Join(dir, "app.json"), string(ready))
			pushed(t, h.Push(t, dir, "--app", app))
			answers(t, h, app, "/", "Hello again")
		})
	}
}

// settled is the app's state hash once old containers are retired.
func settled(t *testing.T, h *testkit.Host, dir, app string) string {
	t.Helper()
	former := ""
	for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(300 * time.Millisecond) {
		now := status(t, h, dir, app).Hash
		if now == former {
			return now
		}
		former = now
		if time.Now().After(deadline) {
			t.Fatalf("the state of %s does not settle", app)
		}
	}
}
