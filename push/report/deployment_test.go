package report

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/dokku-push/dokku-push/api"
)

// TestDeployments: what GitHub's API is told of a deploy, by its own words.
func TestDeployments(t *testing.T) {
	live := api.Verdict{OK: true, Changed: true, Release: 42, Previous: 41, Run: "sha256:ab", URLs: []string{"https://shop.example.com"}}
	same, hook, sick, long := live, live, api.Verdict{Error: &api.Error{Code: api.Unhealthy, Message: "web.1 exited\nwith 7"}}, api.Verdict{Error: &api.Error{Code: api.BuildFailed, Message: strings.Repeat("é ", 200)}}
	same.Changed, hook.Error = false, &api.Error{Code: api.HookFailed, Message: "post-deploy"}
	undone := []AccountStep{{Name: "start", Status: api.StepUndone}}
	at := Deployed{Ref: "abcd", LogURL: "https://github.com/team/shop/actions/runs/7"}
	review, staging, removed, planned := at, at, at, at
	planned.Planned = true
	review.Review, staging.Environment, removed.Review, removed.Removed = "review-shop-x", "staging", "review-shop-x", true
	const head = `{"ref":"abcd","task":"deploy","environment":"production","description":"dokku-push: shop","transient_environment":false,"production_environment":true,"auto_merge":false,"required_contexts":[],`
	const log = `"log_url":"https://github.com/team/shop/actions/runs/7","auto_inactive":`
	for name, test := range map[string]struct {
		account             Account
		at                  Deployed
		environment         string
		deployment, present string
	}{
		"live": {Account{Verdict: &live, Request: "r1"}, at, "production", head + `"payload":{"app":"shop","version":"v42","image_digest":"sha256:ab","request":"r1"}}`,
			`{"state":"success","description":"v42 is live","environment":"production","environment_url":"https://shop.example.com",` + log + `true}`},
		"nothing to do": {Account{Verdict: &same}, at, "production", head + `"payload":{"app":"shop","version":"v42","image_digest":"sha256:ab"}}`,
			`{"state":"success","description":"v42 runs this already","environment":"production","environment_url":"https://shop.example.com",` + log + `true}`},
		"a hook after it": {Account{Verdict: &hook}, at, "production", head + `"payload":{"app":"shop","version":"v42","image_digest":"sha256:ab"}}`,
			`{"state":"success","description":"v42 is live, but: post-deploy","environment":"production","environment_url":"https://shop.example.com",` + log + `true}`},
		"undone": {Account{Verdict: &sick, Steps: undone}, staging, "staging", strings.NewReplacer(`"production",`, `"staging",`, "environment\":true", "environment\":false").Replace(head) + `"payload":{"app":"shop"}}`,
			`{"state":"failure","description":"unhealthy, undone: web.1 exited with 7","environment":"staging",` + log + `false}`},
		"a review app": {Account{Verdict: &live}, review, "review-shop-x", strings.NewReplacer(`"production",`, `"review-shop-x",`, `production_environment":true`, `production_environment":false`, `transient_environment":false`, `transient_environment":true`).Replace(head) +
			`"payload":{"app":"shop","version":"v42","image_digest":"sha256:ab"}}`, `{"state":"success","description":"v42 is live","environment":"review-shop-x","environment_url":"https://shop.example.com",` + log + `true}`},
		"removed":       {Account{}, removed, "review-shop-x", "", `{"state":"inactive","description":"review-shop-x is removed","environment":"review-shop-x",` + log + `false}`},
		"a plan":        {Account{Plan: &api.Plan{App: "shop"}}, at, "production", "", ""},
		"a failed plan": {Account{Verdict: &sick}, planned, "production", "", ""},
		"no commit":     {Account{Verdict: &live}, Deployed{}, "production", "", ""},
		"a build":       {Account{Verdict: &api.Verdict{OK: true, Built: "sha256:ab"}}, at, "production", "", ""},
	} {
		test.account.App = "shop"
		got := DeploymentValues([]Account{test.account}, test.at)
		want := []Value{{"environment", test.environment}, {"deployment", test.deployment}, {"deployment_status", test.present}}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	var status DeploymentStatus
	values := DeploymentValues([]Account{{App: "shop", Verdict: &long}}, at)
	if err := json.Unmarshal([]byte(values[2].Text), &status); err != nil || utf8.RuneCountInString(status.Description) != mostDescription || !strings.HasPrefix(status.Description, "build failed: é é") {
		t.Errorf("a long description: %v, %q", err, status.Description)
	}
	if values := DeploymentValues([]Account{{Verdict: &live}, {Verdict: &live}}, at); values[1].Text != "" || values[2].Text != "" {
		t.Errorf("of several apps: %q", values)
	}
	live.URLs = []string{"javascript:alert(1)"}
	if values := DeploymentValues([]Account{{App: "shop", Verdict: &live}}, at); strings.Contains(values[2].Text, "javascript") {
		t.Errorf("no web address is linked to: %s", values[2].Text)
	}
}

// TestCommentIsFound: however much a plan says, and whatever stands in it, the comment begins
// with one line by which the next one finds it, and is shorter than GitHub takes.
func TestCommentIsFound(t *testing.T) {
	const first = "<!-- dokku-push plan of shop in staging -->\n"
	for _, size := range []int{0, 100, maxComment - 700, maxComment - 500, maxComment - 300, maxComment - 200, maxComment - 100, maxComment, 2 * maxComment} {
		plan := api.Plan{App: "shop", Environment: "staging", Warnings: []string{strings.Repeat("é", size)}, Nginx: strings.Repeat("+x\n", size),
			Changes: []api.PlanChange{{Kind: "config", Name: "<!-- dokku-push plan of other -->", Action: api.Add}}}
		var text strings.Builder
		if err := PlanMarkdown(&text, plan); err != nil {
			t.Fatal(err)
		}
		if n := utf8.RuneCountInString(text.String()); !strings.HasPrefix(text.String(), first) || n >= maxComment {
			t.Errorf("with %d characters of warnings it has %d and begins %.60q", size, n, text.String())
		}
	}
	for _, evil := range append(evils, "--> <b>", "a\n-->") {
		plan := api.Plan{App: evil, Environment: evil, Warnings: []string{evil}, Decided: []string{evil}, Changes: []api.PlanChange{{Kind: evil, Name: evil, Before: evil, After: evil, Note: evil}},
			Runs: []api.PlannedRun{{Kind: evil, Name: evil, Command: evil}}, Steps: []api.PlannedStep{{Title: evil}}, Start: []string{evil}}
		var text strings.Builder
		if err := PlanMarkdown(&text, plan); err != nil {
			t.Fatal(err)
		}
		read, open := unfenced(text.String())
		if open || strings.Contains(read, "@t") || strings.Contains(read, "](http") || strings.Contains(read, "<b>") || strings.Contains(read, "\n# title") || strings.Count(read, "-->") != 1 || strings.ContainsAny(read, "\x1b\r") ||
			strings.Count(read, "</summary>") != strings.Count(read, "<summary>") {
			t.Errorf("%q is obeyed:\n%s", evil, text.String())
		}
	}
}

// TestOfflinePlan: what was compared with no host says so, and knows of no change.
func TestOfflinePlan(t *testing.T) {
	plan := api.Plan{App: "shop", Offline: true, Changes: []api.PlanChange{{Kind: "image", Action: api.Add, After: "sha256:abc"}}}
	accounts := []Account{{App: "shop", Plan: &plan, begun: time.Unix(0, 0), last: time.Unix(1, 0), Warnings: []string{"it comes from a fork"}}}
	for _, value := range Values(accounts) {
		if want, known := map[string]string{"image_digest": "sha256:abc", "changed": "", "url": ""}[value.Name]; known && want != value.Text {
			t.Errorf("output %s is %q", value.Name, value.Text)
		}
	}
	page := Summary(accounts, maxSummary)
	for _, want := range []string{"planned", "compared with no host", "it comes from a fork", "+ add image: sha256:abc"} {
		if !strings.Contains(page, want) {
			t.Errorf("the summary does not say %q:\n%s", want, page)
		}
	}
}
