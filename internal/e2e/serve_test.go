package e2e

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/dokku-push/dokku-push/internal/testkit"
)

// TestServedTwice: a second agent in the folder of a host that is served is refused, and
// the first one's apps go on answering.
func TestServedTwice(t *testing.T) {
	t.Parallel()
	h := testkit.Serve(t, testkit.ServeOptions{})
	app := h.App(t, "alone")
	pushed(t, h.Push(t, testkit.CopyApp(t, "hello"), "--app", app))
	second := testkit.Run(t, exec.Command(testkit.Binaries(t).Agent, "serve", "--root", h.Root))
	if second.Exit != 75 || second.Stdout != "" || !strings.Contains(second.Stderr, "another dokku-agent serves it") {
		t.Errorf("a second agent: %+v", second)
	}
	answers(t, h, app, "/", "Hello")
}
