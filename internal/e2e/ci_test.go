package e2e

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/dokku-push/dokku-push/internal/testkit"
)

// TestAction: a drop-in for dokku/github-action, with a key that has a passphrase, and with
// answers: outputs, summary, a result file.
func TestAction(t *testing.T) {
	t.Parallel()
	h := testkit.Serve(t, testkit.ServeOptions{})
	dir, app := testkit.CopyApp(t, "hello"), h.App(t, "action")
	declaring(t, dir, "secrets = [\"DATABASE_URL\"]\n")
	j := newJob(t, h, dir, app)
	j.inputs["ssh_private_key"] = locked(t, h.Key, "open sesame")
	j.inputs["ssh_passphrase"] = "open sesame"
	j.inputs["branch"], j.inputs["git_push_flags"], j.inputs["trace"] = "main", "--force", "true"
	j.env = []string{"DATABASE_URL=postgres://canary-of-ci/db"}
	first := j.run(t)
	want := map[string]string{"release_id": "1", "version": "v1", "changed": "true", "rolled_back": "false", "error_code": "", "failed_step": "", "previous_release_id": ""}
	for name, value := range want {
		if first.outputs[name] != value {
			t.Errorf("output %s is %q, want %q", name, first.outputs[name], value)
		}
	}
	if o := first.outputs; first.exit != 0 || !strings.HasPrefix(o["url"], "http://"+app+".") || !strings.HasPrefix(o["image_digest"], "sha256:") || o["duration_ms"] == "0" || o["bytes_sent"] == "0" {
		t.Fatalf("exit %d, outputs %v\n%s", first.exit, o, first.log)
	}
	answers(t, h, app, "/", "Hello")
	for _, part := range []string{"action-", "| Version | v1 |", first.outputs["image_digest"], first.outputs["url"], "```mermaid\ngantt", "Build " + app, "+ add config DATABASE_URL"} {
		if !strings.Contains(first.summary, part) {
			t.Errorf("the summary does not say %q:\n%s", part, first.summary)
		}
	}
	if commands := obeyed(t, first.log); len(commands) < 3 || slices.ContainsFunc(commands, func(c string) bool { return !strings.HasPrefix(c, "::add-mask::") }) {
		t.Errorf("commands in the log: %q", commands)
	}
	if masks := strings.Index(first.log, "::add-mask::postgres://canary-of-ci/db"); masks < 0 || masks > strings.Index(first.log, "----->") {
		t.Errorf("the secret is not masked before all else:\n%s", first.log)
	}
	var result struct {
		Apps []struct {
			App     string
			Verdict struct{ Release int }
		}
	}
	text, err := os.ReadFile(first.outputs["result_json"])
	if err != nil || json.Unmarshal(text, &result) != nil || len(result.Apps) != 1 || result.Apps[0].Verdict.Release != 1 {
		t.Errorf("the result is %s (%v)", text, err)
	}

	j.inputs["ssh_host_key"] = scanned(t, h.SSH)
	if second := j.run(t); second.exit != 0 || second.outputs["changed"] != "false" || second.outputs["version"] != "v1" {
		t.Errorf("unchanged: exit %d, outputs %v\n%s", second.exit, second.outputs, second.log)
	}
	testkit.Edit(t, dir, "www/cgi-bin/index.cgi", "Hello", "Hello again")
	j.inputs["plan_only"] = "true"
	if planned := j.run(t); planned.exit != 0 || planned.outputs["changed"] != "true" || planned.outputs["version"] != "" || !strings.Contains(planned.summary, "change image") {
		t.Errorf("plan: exit %d, outputs %v\n%s", planned.exit, planned.outputs, planned.log)
	} else {
		j.inputs["plan_only"], j.inputs["plan_file"] = "false", planned.outputs["plan"]
	}
	if third := j.run(t); third.exit != 0 || third.outputs["release_id"] != "2" || third.outputs["previous_release_id"] != "1" {
		t.Errorf("the plan carried out: exit %d, outputs %v\n%s", third.exit, third.outputs, third.log)
	}
	answers(t, h, app, "/", "Hello again")
}

// locked is a private key's text with a passphrase.
func locked(t *testing.T, file, passphrase string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	copied := filepath.Join(t.TempDir(), "key")
	if err == nil {
		err = os.WriteFile(copied, text, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	must(t, exec.Command("ssh-keygen", "-q", "-p", "-P", "", "-N", passphrase, "-f", copied))
	if text, err = os.ReadFile(copied); err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// scanned is what ssh-keyscan prints: several lines, with comments.
func scanned(t *testing.T, address string) string {
	t.Helper()
	host, port, _ := strings.Cut(address, ":")
	out, err := exec.Command("ssh-keyscan", "-T", "60", "-p", port, host).Output()
	if err != nil || len(out) == 0 {
		t.Fatalf("ssh-keyscan: %v", err)
	}
	return "# what ssh-keyscan says\n" + string(out) + strings.ReplaceAll(string(out), "127.0.0.1", "127.0.0.2")
}

// TestActionReviewApp: review-apps:create and :destroy make and remove what `review up` and
// `review down` do, named by the input or the pull request's branch: with none of the app's
// config but what dokku.hcl names. The app itself stays as it is, and so does any other that is
// no review app; an image may be deployed instead of the tree.
func TestActionReviewApp(t *testing.T) {
	t.Parallel()
	h := testkit.Serve(t, testkit.ServeOptions{})
	dir, app := testkit.CopyApp(t, "hello"), h.App(t, "base")
	declaring(t, dir, "review {\n  ttl = \"2h\"\n  inherit = [\"LOG_LEVEL\"]\n}\n")
	pushed(t, h.Push(t, dir, "--app", app))
	dokku(t, h, 0, "config:set", "--no-restart", app, "LOG_LEVEL=debug", "DATABASE_URL=canary-of-the-app")
	before := status(t, h, dir, app)
	testkit.Edit(t, dir, "www/cgi-bin/index.cgi", "Hello", "Hello from a branch")
	j := newJob(t, h, dir, app)
	j.once = true
	j.inputs["command"], j.inputs["ci_branch_name"] = "review-apps:create", "topic"
	review := "review-" + app + "-topic"
	out := j.run(t)
	if out.exit != 0 || out.outputs["review_app_name"] != review || !strings.HasPrefix(out.outputs["url"], "http://"+review+".") || out.outputs["environment"] != review {
		t.Fatalf("create: exit %d, outputs %v\n%s", out.exit, out.outputs, out.log)
	}
	answers(t, h, review, "/", "Hello from a branch")
	if env := dokku(t, h, 0, "config:show", review).Stdout; !strings.Contains(env, "LOG_LEVEL") || strings.Contains(env, "canary") {
		t.Errorf("the review app's config is\n%s", env)
	}
	if list := dokku(t, h, 0, "review:list", app).Stdout; !strings.Contains(list, review) || strings.Contains(list, "never") {
		t.Errorf("it does not go by itself:\n%s", list)
	}
	for output, parts := range map[string][]string{"deployment": {`"environment":"` + review + `"`, `"transient_environment":true`, `"production_environment":false`, `"ref":"abab`},
		"deployment_status": {`"state":"success"`, `"environment_url":"http://` + review + ".", `"log_url":"https://github.com/team/shop/actions/runs/7"`}} {
		for _, part := range parts {
			if !strings.Contains(out.outputs[output], part) {
				t.Errorf("output %s has no %s: %s", output, part, out.outputs[output])
			}
		}
	}
	j.inputs["command"] = "review-apps:destroy"
	for _, status := range []string{`"state":"inactive"`, `"state":"inactive"`} { // the second time there is nothing to do
		if out := j.run(t); out.exit != 0 || !strings.Contains(out.outputs["deployment_status"], status) || out.outputs["deployment"] != "" {
			t.Errorf("destroy: exit %d, outputs %v\n%s", out.exit, out.outputs, out.log)
		}
	}
	if exists := h.Dokku(t, "apps:exists", review); exists.Exit == 0 {
		t.Error("the review app is still there")
	}
	other := h.App(t, "other")
	dokku(t, h, 0, "apps:create", other)
	j.inputs["review_app_name"] = other
	for _, command := range []string{"review-apps:destroy", "review-apps:create"} {
		j.inputs["command"] = command
		if out := j.run(t); out.exit != 22 || !strings.Contains(out.log, "no review app") {
			t.Errorf("%s of an app that is none: exit %d\n%s", command, out.exit, out.log)
		}
	}
	if exists := h.Dokku(t, "apps:exists", other); exists.Exit != 0 {
		t.Error("an app that is no review app was destroyed")
	}
	if after := status(t, h, dir, app); after.Hash != before.Hash {
		t.Errorf("the app is not as before:\n%+v\n%+v", before, after)
	}
	j.inputs["command"], j.inputs["review_app_name"] = "deploy", ""
	j.inputs["deploy_docker_image"] = "docker-daemon:dokku/" + app + ":latest"
	if out := j.run(t); out.exit != 0 || out.outputs["version"] == "" {
		t.Errorf("an image: exit %d, outputs %v\n%s", out.exit, out.outputs, out.log)
	}
	answers(t, h, app, "/", "Hello")
}
