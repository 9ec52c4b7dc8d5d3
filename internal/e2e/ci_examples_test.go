package e2e

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/internal/testkit"
	"github.com/dokku-push/dokku-push/push/report"
)

// workflow is a file for GitHub's CI.
type workflow struct {
	Jobs map[string]struct {
		Steps []struct {
			ID, Uses, Run, If string
			With, Env         map[string]string
		}
	}
}

// TestGitHubExamples: the workflows give the action inputs that it has, and take outputs that
// it gives.
func TestGitHubExamples(t *testing.T) {
	var action actionFile
	read(t, "action.yml", &action)
	outputs := regexp.MustCompile(`steps\.(\w+)\.outputs\.(\w+)`)
	files, err := filepath.Glob(filepath.Join(testkit.Root(t), "examples", "ci", "github-*.yml"))
	if err != nil || len(files) < 3 {
		t.Fatalf("%q, %v", files, err)
	}
	for _, file := range files {
		name := filepath.Join("examples", "ci", filepath.Base(file))
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var w workflow
		read(t, name, &w)
		ours := map[string]bool{}
		for _, job := range w.Jobs {
			for _, step := range job.Steps {
				if !strings.HasPrefix(step.Uses, "dokku-push/dokku-push@") {
					continue
				}
				ours[step.ID] = true
				for input := range step.With {
					if _, known := action.Inputs[input]; !known {
						t.Errorf("%s: the action has no input %s", name, input)
					}
				}
			}
		}
		if len(ours) == 0 {
			t.Errorf("%s does not use the action", name)
		}
		for _, found := range outputs.FindAllStringSubmatch(string(text), -1) {
			if _, known := action.Outputs[found[2]]; !ours[found[1]] || !known {
				t.Errorf("%s takes %s, which nobody gives", name, found[0])
			}
		}
	}
}

// fakeGH is GitHub's program as far as the example uses it: it writes down what it was called
// with, what it was sent, and has ids.
const fakeGH = `#!/bin/sh
printf '%s\n' "$*" >> "$GH_LOG"
case "$*" in *"--input -"*) cat >> "$GH_LOG" ;; esac
case "$*" in
*comments*--jq*) printf '5\tanother one\n6\t<!-- dokku-push plan of other -->\n%s' "$GH_COMMENTS" ;;
*--jq*) echo 7 ;;
esac
`

// TestExampleComment: a plan takes the place of the comment that the one before has made, and
// of no other.
func TestExampleComment(t *testing.T) {
	var w workflow
	read(t, "examples/ci/github-plan.yml", &w)
	steps := w.Jobs["plan"].Steps
	step := steps[len(steps)-1]
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "gh"), []byte(fakeGH), 0o755); err != nil {
		t.Fatal(err)
	}
	plan := filepath.Join(dir, "plan.md")
	var text strings.Builder
	if err := report.PlanMarkdown(&text, api.Plan{App: "shop", Environment: "staging"}); err != nil {
		t.Fatal(err)
	}
	put(t, plan, text.String())
	for comments, want := range map[string]string{"": "api --silent repos/team/shop/issues/12/comments -F body=@" + plan, "7\t<!-- dokku-push plan of shop -->\n": "api --silent repos/team/shop/issues/12/comments -F body=@" + plan,
		"8\t<!-- dokku-push plan of shop in staging -->\n9\t<!-- dokku-push plan of shop in staging -->\n": "api --silent --method PATCH repos/team/shop/issues/comments/8 -F body=@" + plan} {
		log := filepath.Join(t.TempDir(), "log")
		cmd := exec.Command("bash", "--noprofile", "--norc", "-e", "-o", "pipefail", "-c", step.Run)
		cmd.Env = []string{"PATH=" + dir + ":" + os.Getenv("PATH"), "GITHUB_REPOSITORY=team/shop", "GH_LOG=" + log, "PR=12", "PLAN=" + plan, "GH_COMMENTS=" + comments}
		must(t, cmd)
		said, err := os.ReadFile(log)
		if calls := strings.Split(strings.TrimSpace(string(said)), "\n"); err != nil || len(calls) != 2 || calls[1] != want {
			t.Errorf("with the comments %q: %v, gh was called with\n%s\nwant\n%s", comments, err, said, want)
		}
	}
}

// TestExampleDeployments: what the action's outputs make of a review app's deployment is what
// GitHub's API is called with.
func TestExampleDeployments(t *testing.T) {
	var w workflow
	read(t, "examples/ci/github-review.yml", &w)
	steps := w.Jobs["review"].Steps
	step := steps[len(steps)-1]
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "gh"), []byte(fakeGH), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		outputs map[string]string
		calls   []string
	}{
		"made": {map[string]string{"environment": "review-shop-x", "deployment": `{"ref":"abcd","description":"it's $(id) \"made\""}`, "deployment_status": `{"state":"success"}`},
			[]string{"api repos/team/shop/deployments --input - --jq .id", `{"ref":"abcd","description":"it's $(id) \"made\""}`, "api --silent repos/team/shop/deployments/7/statuses --input -", `{"state":"success"}`}},
		"removed": {map[string]string{"environment": "review-shop-x", "deployment_status": `{"state":"inactive"}`},
			[]string{"api repos/team/shop/deployments?environment=review-shop-x --jq .[].id", "api --silent repos/team/shop/deployments/7/statuses --input -", `{"state":"inactive"}`}},
	} {
		log := filepath.Join(t.TempDir(), "log")
		cmd := exec.Command("bash", "--noprofile", "--norc", "-e", "-o", "pipefail", "-c", step.Run)
		cmd.Env = []string{"PATH=" + dir + ":" + os.Getenv("PATH"), "GITHUB_REPOSITORY=team/shop", "GH_LOG=" + log}
		for variable, value := range step.Env {
			output, is := strings.CutPrefix(strings.Trim(value, "${ }"), "steps.review.outputs.")
			if is {
				cmd.Env = append(cmd.Env, variable+"="+test.outputs[output])
			}
		}
		must(t, cmd)
		text, err := os.ReadFile(log)
		if got := strings.TrimSpace(string(text)); err != nil || got != strings.Join(test.calls, "\n") {
			t.Errorf("%s: %v, gh was called with\n%s\nwant\n%s", name, err, got, strings.Join(test.calls, "\n"))
		}
		var status report.DeploymentStatus
		if err := json.Unmarshal([]byte(test.outputs["deployment_status"]), &status); err != nil || status.State == "" {
			t.Errorf("%s: %v", name, err)
		}
	}
}
