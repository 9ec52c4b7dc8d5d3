package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dokku-push/dokku-push/internal/testkit"
)

// TestOnFailure: the command of a failed check runs in the container that failed it, whose
// last lines the push shows; a url that leads to the host itself is not asked, and said so.
func TestOnFailure(t *testing.T) {
	t.Parallel()
	h := testkit.Serve(t, testkit.ServeOptions{})
	dir, app := testkit.CopyApp(t, "hello"), h.App(t, "tells")
	text := `{"healthchecks": {"web": [{"type": "startup", "name": "page", "path": "/nowhere", "attempts": 2, "wait": 1,
		"onFailure": {"command": ["sh", "-c", "echo told $DYNO > /proc/1/fd/1; sleep 1"], "url": "http://` + h.HTTP + `/told"}}]}}`
	if err := os.WriteFile(filepath.Join(dir, "app.json"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	r := h.Push(t, dir, "--app", app)
	if r.Exit != 24 {
		t.Fatalf("exit %d, want 24\n%s", r.Exit, r.Stderr)
	}
	for _, want := range []string{"page: attempt 2 of 2: status 404 Not Found", "page: the command of its onFailure was told", "told web.1",
		"page: the url of its onFailure failed: post to " + h.HTTP, "127.0.0.1 is this host's own"} {
		if !strings.Contains(r.Stderr, want) {
			t.Errorf("the push does not say %q:\n%s", want, r.Stderr)
		}
	}
}
