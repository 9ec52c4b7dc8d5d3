package e2e

import (
	"strings"
	"testing"

	"github.com/dokku-push/dokku-push/internal/testkit"
)

// TestOutOfMemory: an app that outgrows the limit a plugin gave it is named as such, and nothing stays.
func TestOutOfMemory(t *testing.T) {
	h := testkit.Serve(t, testkit.ServeOptions{})
	dir, app := testkit.CopyApp(t, "oom"), h.App(t, "oom")
	good := testkit.CopyApp(t, "hello")
	pushed(t, h.Push(t, good, "--app", app))
	before := settled(t, h, good, app)
	plugin(t, h, "limits", map[string]string{"docker-args-deploy": `printf ' --memory 32m --memory-swap 32m'`})
	failed := h.Push(t, dir, "--app", app)
	if failed.Exit != 24 {
		t.Fatalf("exit %d, want 24\n%s", failed.Exit, failed.Stderr)
	}
	for _, want := range []string{"web.1", "oom: loading everything", "exit code 137", "out of memory: true"} {
		if !strings.Contains(failed.Stderr, want) {
			t.Errorf("the push does not say %q:\n%s", want, failed.Stderr)
		}
	}
	if after := settled(t, h, good, app); after != before {
		t.Error("the state is not as before")
	}
	answers(t, h, app, "/", "Hello")
}
