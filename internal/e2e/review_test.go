package e2e

import (
	"encoding/json"
	"errors"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/dokku-push/dokku-push/internal/testkit"
)

var reviews = flag.Int("reviews", 20, "how many review apps go up and down on a real host")

// TestReview: a review app goes up with what it may have of its parent and nothing else,
// again with more time, is bounded in number, and goes with all that it had.
func TestReview(t *testing.T) {
	t.Parallel()
	h := testkit.Serve(t, testkit.ServeOptions{})
	dir, app := testkit.CopyApp(t, "hello"), h.App(t, "hello")
	declaring(t, dir, "config {\n  TEAM = \"blue\"\n}\nsecrets = [\"API_KEY\", \"SHARED\"]\ndomains = [\"hello.example.com\"]\n"+
		"review {\n  ttl = \"2h\"\n  max = 2\n  inherit = [\"LOG_LEVEL\", \"SHARED\"]\n}\n")
	write(t, dir, "app.json", `{"scripts": {"pr-predestroy": "exit 7"}, "environments": {"review": {"env": {"SEED": "yes"}, "scripts": {"pr-predestroy": "echo goodbye from $TEAM"}}}}`)
	push := h.Command(t, dir, "--app", app)
	push.Env = append(push.Env, "API_KEY=canary-api", "SHARED=canary-shared")
	if out, err := push.CombinedOutput(); err != nil {
		t.Fatalf("push: %v\n%s", err, out)
	}
	dokku(t, h, 0, "config:set", "--no-restart", app, "LOG_LEVEL=debug", "DATABASE_URL=canary-database")

	review := "review-" + app + "-topic"
	up := h.Push(t, dir, "review", "up", "--app", app, "--branch", "topic")
	if up.Exit != 0 || !strings.Contains(up.Stdout, "http://"+review+".localhost") || !strings.Contains(up.Stderr, "secrets.API_KEY") || strings.Contains(up.Stderr+up.Stdout, "canary") {
		t.Fatalf("review up: %+v", up)
	}
	answers(t, h, review, "/", "Hello, world")
	env := dokku(t, h, 0, "config:show", review).Stdout
	for word, want := range map[string]bool{"LOG_LEVEL:": true, "canary-shared": true, "TEAM:": true, "SEED:": true, "DATABASE_URL": false, "API_KEY": false, "canary-database": false} {
		if strings.Contains(env, word) != want {
			t.Errorf("%s in the config of the review app: %t\n%s", word, !want, env)
		}
	}
	var list []struct{ Name, Parent, Branch, Expires string }
	told := h.Push(t, dir, "review", "list", "--app", app, "--format", "json")
	if err := json.Unmarshal([]byte(told.Stdout), &list); err != nil || len(list) != 1 || list[0].Name != review || list[0].Branch != "topic" || list[0].Expires == "" {
		t.Errorf("review list: %v, %+v", err, told)
	}
	again := h.Push(t, dir, "review", "up", "--app", app, "--branch", "topic")
	if again.Exit != 0 || !strings.Contains(again.Stderr, "nothing to do") {
		t.Errorf("review up again: %+v", again)
	}
	fails(t, "another branch by the same name", h.Push(t, dir, "review", "up", "--app", app, "--name", review), 22, `the review app of "topic"`)
	dokku(t, h, 0, "review:set", app, "max", "1")
	fails(t, "one too many", h.Push(t, dir, "review", "up", "--app", app, "--pr", "12"), 22, "may have 1", review)
	fails(t, "no review app", h.Push(t, dir, "review", "down", "--app", app+"-x", "--name", app), 22, "is no review app")
	if gc := h.Push(t, dir, "review", "gc", "--app", app); gc.Exit != 0 || gc.Stdout != "" {
		t.Errorf("gc before its time: %+v", gc)
	}
	for _, want := range []string{"goodbye from blue", "There is no review app"} {
		if down := h.Push(t, dir, "review", "down", "--app", app, "--branch", "topic"); down.Exit != 0 || !strings.Contains(down.Stderr, want) {
			t.Errorf("review down: %q is not in %+v", want, down)
		}
	}
	dokku(t, h, 0, "review:set", app, "max")
	traces(t, h, "review-"+app)
}

// traces wants nothing on the host, nor of it on the engine, that is called so.
func traces(t *testing.T, h *testkit.Host, name string) {
	t.Helper()
	err := filepath.WalkDir(h.Root, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist) && path != h.Root:
			return nil // gone since its folder was read
		case err != nil || entry.Type()&fs.ModeSymlink != 0:
			return err
		case strings.Contains(entry.Name(), name):
			t.Errorf("there still is %s", path)
		case entry.Type().IsRegular() && !strings.Contains(path, "/logs/"):
			text, err := os.ReadFile(path)
			if err == nil && strings.Contains(string(text), name) {
				t.Errorf("%s still speaks of it", path)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"ps", "-a", "--format", "{{.Names}}"}, {"images", "--format", "{{.Repository}}:{{.Tag}}"}} {
		for line := range strings.Lines(docker(t, args...)) {
			if strings.Contains(line, name) {
				t.Errorf("docker %s: there still is %s", args[0], line)
			}
		}
	}
}

// TestReviewExpires: the host's watch removes a review app whose time is over.
func TestReviewExpires(t *testing.T) {
	t.Parallel()
	root := filepath.Join(t.TempDir(), "host")
	h := testkit.Serve(t, testkit.ServeOptions{Root: root})
	app := h.App(t, "expires")
	dokku(t, h, 0, "apps:create", app)
	dokku(t, h, 0, "review:create", app, app+"-kept", "--ttl=1h")
	dokku(t, h, 0, "review:create", app, app+"-gone", "--ttl=1s")
	for deadline := time.Now().Add(2 * time.Minute); !strings.Contains(dokku(t, h, 0, "review:gc", "--dry-run").Stdout, app+"-gone"); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("its time is never over")
		}
	}
	h.Stop()
	h = testkit.Serve(t, testkit.ServeOptions{Root: root}) // the first round of the watch is at once, the next in a minute
	var list string
	for deadline := time.Now().Add(4 * time.Minute); ; time.Sleep(50 * time.Millisecond) {
		if list = dokku(t, h, 0, "apps:list").Stdout; !strings.Contains(list, app+"-gone") {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the watch has not removed it:\n%s", list)
		}
	}
	if !strings.Contains(list, app+"-kept") || !strings.Contains(list, app+"\n") {
		t.Errorf("the watch has removed more than that:\n%s", list)
	}
}

// TestReviewOfAFork: a fork's pull request gets a plan; no host is asked, though one is named
// and a key is there.
func TestReviewOfAFork(t *testing.T) {
	t.Parallel()
	h := testkit.Serve(t, testkit.ServeOptions{})
	dir, app := testkit.CopyApp(t, "hello"), h.App(t, "hello")
	dokku(t, h, 0, "apps:create", app)
	declaring(t, dir, "secrets = [\"API_KEY\"]\nreview {\n  inherit = [\"LOG_LEVEL\"]\n}\n")
	event := filepath.Join(t.TempDir(), "event.json")
	text := `{"pull_request":{"head":{"repo":{"full_name":"mallory/hello","fork":true}},"base":{"repo":{"full_name":"team/hello"}}}}`
	if err := os.WriteFile(event, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"pull_request", "pull_request_target"} {
		up := h.Command(t, dir, "review", "up", "--app", app)
		up.Env = append(up.Env, "GITHUB_EVENT_NAME="+name, "GITHUB_EVENT_PATH="+event, "GITHUB_HEAD_REF=patch", "API_KEY=canary")
		out, err := up.CombinedOutput()
		if said := string(out); err != nil || !strings.Contains(said, "comes from a fork") || !strings.Contains(said, "review-"+app+"-patch") || !strings.Contains(said, "secrets.API_KEY") ||
			strings.Contains(said, "canary") || strings.Contains(said, "Connect") {
			t.Errorf("%s of a fork: %v\n%s", name, err, said)
		}
	}
	dokku(t, h, 0, "review:create", app, "review-"+app+"-patch", "--branch=patch") // of the team's own branch
	down := h.Command(t, dir, "review", "down", "--app", app)
	down.Env = append(down.Env, "GITHUB_EVENT_NAME=pull_request_target", "GITHUB_EVENT_PATH="+event, "GITHUB_HEAD_REF=patch")
	if out, err := down.CombinedOutput(); err != nil || !strings.Contains(string(out), "there is nothing to remove") {
		t.Errorf("review down of a fork: %v\n%s", err, out)
	}
	dokku(t, h, 0, "review:destroy", "review-"+app+"-patch", "--parent="+app)
	if list := dokku(t, h, 0, "review:list").Stdout; strings.Count(list, "\n") != 1 {
		t.Errorf("a fork has a review app:\n%s", list)
	}
}
