package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dokku-push/dokku-push/internal/testkit"
)

// TestChecksDisabled: with checks disabled the old container is stopped first; a new one
// that cannot start brings the old one back, and it serves.
func TestChecksDisabled(t *testing.T) {
	t.Parallel()
	h := testkit.Serve(t, testkit.ServeOptions{})
	dir, app := testkit.CopyApp(t, "hello"), h.App(t, "hello")
	declaring(t, dir, "checks {\n  disabled = [\"web\"]\n}\n")
	pushed(t, h.Push(t, dir, "--app", app))
	answers(t, h, app, "/", "Hello")
	before := status(t, h, dir, app)
	testkit.Edit(t, dir, "www/cgi-bin/index.cgi", "Hello", "Hello again")
	second := pushed(t, h.Push(t, dir, "--app", app))
	if !strings.Contains(second.Stderr, "the old containers are stopped before the new ones start") {
		t.Errorf("the push does not say so:\n%s", second.Stderr)
	}
	answers(t, h, app, "/", "Hello again")
	// The engine itself cannot start it: with checks disabled nobody waits for a program to end.
	if err := os.Remove(filepath.Join(dir, "Procfile")); err != nil {
		t.Fatal(err)
	}
	testkit.Edit(t, dir, "Dockerfile", "COPY www /www", "COPY www /www\nENTRYPOINT [\"/no/such/program\"]")
	if third := h.Push(t, dir, "--app", app); third.Exit != 24 || !strings.Contains(third.Stderr, "/no/such/program") {
		t.Fatalf("exit %d, want 24\n%s", third.Exit, third.Stderr)
	}
	answers(t, h, app, "/", "Hello again")
	after := status(t, h, dir, app)
	if after.Current != 2 || len(after.Containers) != 1 || after.Containers[0].Status != "running" || before.Containers[0].ID == after.Containers[0].ID {
		t.Errorf("after the failure: %+v", after)
	}
	policy := docker(t, "inspect", "--format", "{{.HostConfig.RestartPolicy.Name}}:{{.HostConfig.RestartPolicy.MaximumRetryCount}}", after.Containers[0].ID)
	if strings.TrimSpace(policy) != "on-failure:10" {
		t.Errorf("the container that came back has the restart policy %s", policy)
	}
}
