package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/dokku-push/dokku-push/internal/testkit"
)

// TestSeveralApps: one dokku.hcl, three apps. One that cannot be built stops no other; an
// app is named by its block; what no file of has changed is skipped; plan goes through all.
func TestSeveralApps(t *testing.T) {
	t.Parallel()
	h := testkit.Serve(t, testkit.ServeOptions{})
	dir := testkit.CopyApp(t, "site")
	one, two, bad := h.App(t, "one"), h.App(t, "two"), h.App(t, "bad")
	hcl := "build {\n  builder = \"static\"\n  static {\n    base = \"base\"\n    dest = \"/www\"\n  }\n}\n"
	for _, app := range []string{one, two, bad} {
		hcl += fmt.Sprintf("app %q {\n  build {\n    context = %q\n  }\n}\n", app, app)
		write(t, dir, app+"/Procfile", "web: exec busybox httpd -f -p \"$PORT\" -h /www\n")
		write(t, dir, app+"/index.html", "this is "+app+"\n")
	}
	write(t, dir, bad+"/.wh.index.html", "no image may hold it\n")
	write(t, dir, "dokku.hcl", hcl)
	fails(t, "no app named", h.Push(t, dir), 64, one, two, "--all")

	r := h.Push(t, dir, "--all")
	urls := strings.Fields(r.Stdout)
	if r.Exit != 20 || len(urls) != 2 || !strings.HasPrefix(urls[0], "http://"+one+".localhost") || !strings.HasPrefix(urls[1], "http://"+two+".localhost") {
		t.Fatalf("push --all: exit %d, stdout %q\n%s", r.Exit, r.Stdout, r.Stderr)
	}
	for app, want := range map[string]string{one: "live v1", two: "live v1", bad: "failed -"} {
		line := slices.IndexFunc(strings.Split(r.Stderr, "\n"), func(line string) bool {
			return strings.HasPrefix(strings.Join(strings.Fields(line), " "), app+" "+want+" ")
		})
		if line < 0 || !strings.Contains(r.Stderr, fmt.Sprintf("%s | -----> Build %s", app, app)) {
			t.Errorf("of %s the story is not told, or the table does not say %q:\n%s", app, want, r.Stderr)
		}
	}
	answers(t, h, one, "/", "this is "+one)
	answers(t, h, two, "/", "this is "+two)

	if err := os.Remove(filepath.Join(dir, bad, ".wh.index.html")); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"init", "-q"}, {"add", "."}, {"-c", "user.name=t", "-c", "user.email=t@example.com", "commit", "-q", "-m", "first"}} {
		if out, err := exec.Command("git", append([]string{"-C", dir}, args...)...).CombinedOutput(); err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, out)
		}
	}
	write(t, dir, two+"/index.html", "changed\n")
	changed := pushed(t, h.Push(t, dir, "--changed-since", "HEAD"))
	if !strings.Contains(changed.Stderr, one+" |        skipped: none of its files has changed since HEAD") || strings.Contains(changed.Stderr, "Build "+one) {
		t.Errorf("what is the same was not skipped:\n%s", changed.Stderr)
	}
	answers(t, h, two, "/", "changed")
	if plan := h.Push(t, dir, "plan", "--all", "--detailed-exitcode"); plan.Exit != 2 || !strings.Contains(plan.Stdout, bad+": ") || !strings.Contains(plan.Stdout, two+": ") {
		t.Errorf("plan --all: exit %d\n%s\n%s", plan.Exit, plan.Stdout, plan.Stderr)
	}
	if state := h.Push(t, dir, "status", "--app", two).Stdout; !strings.Contains(state, "v2") {
		t.Errorf("status of one of them:\n%s", state)
	}
}

// write writes a file of a tree.
func write(t *testing.T, dir, name, text string) {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
