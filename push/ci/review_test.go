package ci

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dokku-push/dokku-push/manifest"
)

// TestForkedAnywhere: also where a system would give a fork's job the secrets; what cannot
// be read there counts as a fork's.
func TestForkedAnywhere(t *testing.T) {
	event := func(text string) string {
		file := filepath.Join(t.TempDir(), "event.json")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	fork := event(`{"pull_request":{"head":{"repo":{"full_name":"mallory/shop","fork":true}},"base":{"repo":{"full_name":"team/shop"}}}}`)
	own := event(`{"pull_request":{"head":{"repo":{"full_name":"team/shop","fork":true}},"base":{"repo":{"full_name":"team/shop"}}}}`)
	for _, test := range []struct {
		want  bool
		pairs []string
	}{
		{true, []string{"GITHUB_EVENT_NAME", "pull_request", "GITHUB_EVENT_PATH", fork}},
		{true, []string{"GITHUB_EVENT_NAME", "pull_request_review", "GITHUB_EVENT_PATH", fork}},
		{false, []string{"GITHUB_EVENT_NAME", "pull_request", "GITHUB_EVENT_PATH", own}},
		{false, []string{"GITHUB_EVENT_NAME", "pull_request", "GITHUB_EVENT_PATH", event("not json")}}, // which has no secrets
		{true, []string{"GITHUB_EVENT_NAME", "pull_request", "GITHUB_EVENT_PATH", event(`{"pull_request":{"head":{"repo":null},"base":{"repo":{"full_name":"team/shop"}}}}`)}},
		{true, []string{"GITHUB_EVENT_NAME", "workflow_run", "GITHUB_EVENT_PATH", event(`{"workflow_run":{"event":"pull_request","head_repository":{"full_name":"mallory/shop"}},"repository":{"full_name":"team/shop"}}`)}},
		{false, []string{"GITHUB_EVENT_NAME", "workflow_run", "GITHUB_EVENT_PATH", event(`{"workflow_run":{"event":"pull_request","head_repository":{"full_name":"team/shop"}},"repository":{"full_name":"team/shop"}}`)}},
		{false, []string{"GITHUB_EVENT_NAME", "workflow_run", "GITHUB_EVENT_PATH", event(`{"workflow_run":{"event":"push","head_repository":{"full_name":"team/shop"}},"repository":{"full_name":"team/shop"}}`)}},
		{true, []string{"GITHUB_EVENT_NAME", "workflow_run"}},
		{true, []string{"GITHUB_EVENT_NAME", "pull_request_target", "GITHUB_EVENT_PATH", fork}},
		{false, []string{"GITHUB_EVENT_NAME", "pull_request_target", "GITHUB_EVENT_PATH", own}},
		{true, []string{"GITHUB_EVENT_NAME", "pull_request_target", "GITHUB_EVENT_PATH", event("{}")}},
		{true, []string{"GITHUB_EVENT_NAME", "pull_request_target"}},
		{false, []string{"GITHUB_EVENT_NAME", "push", "GITHUB_EVENT_PATH", fork}},
		{true, []string{"CI_MERGE_REQUEST_SOURCE_PROJECT_ID", "2", "CI_MERGE_REQUEST_PROJECT_ID", "1"}},
		{false, []string{"CI_MERGE_REQUEST_SOURCE_PROJECT_ID", "1", "CI_MERGE_REQUEST_PROJECT_ID", "1"}},
		{false, nil},
	} {
		if got := Forked(variables(test.pairs)); got != test.want {
			t.Errorf("%q: a fork's: %t", test.pairs, got)
		}
	}
}

// TestPlain: what somebody else's files may read holds nothing that could be secret.
func TestPlain(t *testing.T) {
	ask := Plain(func(name string) (string, bool) { return "canary", true })
	for _, name := range []string{"DATABASE_URL", "GITHUB_TOKEN", "ACTIONS_RUNTIME_TOKEN", "ACTIONS_ID_TOKEN_REQUEST_TOKEN", "CI_JOB_TOKEN", "DOKKU_SSH_KEY", "INPUT_SSH_PRIVATE_KEY", "SSH_AUTH_SOCK", "AWS_SECRET_ACCESS_KEY"} {
		if value, ok := ask(name); ok || value != "" {
			t.Errorf("%s is %q", name, value)
		}
	}
	for _, name := range []string{"GITHUB_SHA", "GITHUB_OUTPUT", "HOME", "CI"} {
		if value, _ := ask(name); value != "canary" {
			t.Errorf("%s is %q", name, value)
		}
	}
}

func variables(pairs []string) func(string) (string, bool) {
	values := map[string]string{}
	for i := 0; i+1 < len(pairs); i += 2 {
		values[pairs[i]] = pairs[i+1]
	}
	return func(name string) (string, bool) { value, ok := values[name]; return value, ok }
}

// TestReviewNames: a name is one that an app may have, is the same each time, and no two
// branches have the same.
func TestReviewNames(t *testing.T) {
	if got := ReviewName("shop", "pr-12"); got != "review-shop-pr-12" {
		t.Errorf("of a pull request: %s", got)
	}
	seen := map[string]string{}
	long := strings.Repeat("a-very-long-branch-", 8)
	for _, branch := range []string{"topic", "Topic", "feature/x", "feature-x", "feature_x", "feature//x", "ümläut", "-", "...", long, long + "2", long[:45], strings.ToUpper(long)} {
		name := ReviewName("shop", branch)
		if err := manifest.AppName(name); err != nil || len(name) > longestName || name != ReviewName("shop", branch) || seen[name] != "" {
			t.Errorf("%q and %q are called %q: %v", branch, seen[name], name, err)
		}
		seen[name] = branch
	}
	for want, pairs := range map[string][]string{"7": {"CI_MERGE_REQUEST_IID", "7"}, "9": {"BUILDKITE_PULL_REQUEST", "false", "DRONE_PULL_REQUEST", "9"}, "": {"TRAVIS_PULL_REQUEST", "false"}} {
		if got := Request(variables(pairs)); got != want {
			t.Errorf("%q: request %q", pairs, got)
		}
	}
}
