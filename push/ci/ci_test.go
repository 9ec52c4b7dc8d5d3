package ci

import (
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dokku-push/dokku-push/api"
)

func reading(pairs ...string) (Job, error) {
	said := map[string]string{}
	for i := 0; i < len(pairs); i += 2 {
		said[pairs[i]] = pairs[i+1]
	}
	return Read(func(name string) (string, bool) { value, ok := said[name]; return value, ok })
}

// TestDropIn: every input of dokku/github-action, by each of its names.
func TestDropIn(t *testing.T) {
	commit := strings.Repeat("ab", 20)
	for _, prefix := range []string{"INPUT_", "PLUGIN_", ""} {
		job, err := reading(prefix+"GIT_REMOTE_URL", "ssh://dokku@example.com:2222/shop", prefix+"SSH_PRIVATE_KEY", "the\nkey\n", prefix+"SSH_PASSPHRASE", " open sesame",
			prefix+"SSH_HOST_KEY", "SHA256:x\n", prefix+"CI_BRANCH_NAME", "feature/x", prefix+"CI_COMMIT", commit, prefix+"DEPLOY_DOCKER_IMAGE", "example/shop:1",
			prefix+"GIT_PUSH_FLAGS", "--force -o x", "COMMAND", "deploy", "INPUT_BRANCH", "main", "INPUT_DEPLOY_USER_NAME", "Ada", "INPUT_DEPLOY_USER_EMAIL", "a@b", "INPUT_TRACE", "1")
		if err != nil {
			t.Fatal(err)
		}
		if job.Key.Reveal() != "the\nkey\n" || job.Passphrase.Reveal() != " open sesame" {
			t.Errorf("%q: key and passphrase are %q, %q", prefix, job.Key.Reveal(), job.Passphrase.Reveal())
		}
		job.Key, job.Passphrase = "", ""
		want := Job{Command: Deploy, App: "shop", Host: "dokku@example.com:2222", HostKey: "SHA256:x", Branch: "feature/x", Commit: commit, Image: "example/shop:1", Trace: true,
			Notes: []string{"git_push_flags: -o has no meaning here, for nothing is pushed with git", "git_push_flags: x has no meaning here, for nothing is pushed with git"}}
		if diff := cmp.Diff(want, job); diff != "" {
			t.Errorf("%q (-want +got):\n%s", prefix, diff)
		}
	}
}

// TestOurs: our own inputs.
func TestOurs(t *testing.T) {
	job, err := reading("INPUT_APP", "shop", "INPUT_HOST", "production", "INPUT_GIT_REMOTE_URL", "dokku@example.com:other", "INPUT_ENVIRONMENT", "staging", "INPUT_LOCK_WAIT", "90",
		"INPUT_TIMEOUT", "5m", "INPUT_BUILDER", "auto", "INPUT_STRICT", "TRUE", "INPUT_PLAN_ONLY", "true", "INPUT_SSH_PRIVATE_KEY_BASE64", base64.StdEncoding.EncodeToString([]byte("key")),
		"INPUT_SSH_HOST_KEY", "# comment\nhost ssh-ed25519 A\n\nhost ssh-rsa B\n", "INPUT_REGISTRY", "r.example/team/shop", "INPUT_REGISTRY_USERNAME", "ada", "INPUT_REGISTRY_PASSWORD", "pass", "INPUT_SIGN", "false")
	if err != nil {
		t.Fatal(err)
	}
	want := Job{Command: Plan, App: "shop", Host: "production", Environment: "staging", LockWait: 90 * time.Second, Timeout: 5 * time.Minute, Strict: true, Key: "key",
		KnownHosts: "host ssh-ed25519 A\nhost ssh-rsa B\n", Registry: "r.example/team/shop", RegistryUser: "ada", RegistryPassword: "pass"}
	if diff := cmp.Diff(want, job); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if job, err := reading("COMMAND", "make test", "TRACE", "yes"); err != nil || job.Command != Deploy {
		t.Errorf("variables of others: %+v, %v", job, err)
	}
}

// TestReviewName: an app's name of the branch, and never the app's own.
func TestReviewName(t *testing.T) {
	named := func(pairs ...string) string {
		t.Helper()
		job, err := reading(append(pairs, "INPUT_COMMAND", ReviewCreate, "INPUT_GIT_REMOTE_URL", "ssh://dokku@h/shop")...)
		if err != nil {
			t.Fatal(err)
		}
		return job.Review
	}
	if got := named("GITHUB_REF_NAME", "topic"); got != "review-shop-topic" {
		t.Errorf("a plain branch makes %q", got)
	}
	if got := named("GITHUB_REF_NAME", "12/merge", "GITHUB_HEAD_REF", "topic"); got != "review-shop-topic" {
		t.Errorf("a pull request makes %q", got)
	}
	if got := named("INPUT_REVIEW_APP_NAME", "mine", "GITHUB_REF_NAME", "topic"); got != "mine" {
		t.Errorf("a name that was said makes %q", got)
	}
	seen := map[string]string{}
	for _, branch := range []string{"a/b", "a-b", "A-B", "a_b", strings.Repeat("x", 60), strings.Repeat("x", 61), "ünïcode", "a--b"} {
		name := named("GITHUB_REF_NAME", branch)
		if former := seen[name]; former != "" || len(name) > longestName {
			t.Errorf("%q and %q are both called %q", former, branch, name)
		}
		seen[name] = branch
	}
}

// TestRefuses: what cannot be meant.
func TestRefuses(t *testing.T) {
	remote := []string{"INPUT_GIT_REMOTE_URL", "ssh://dokku@h/shop"}
	for _, pairs := range [][]string{
		{"INPUT_COMMAND", "destroy"}, {"INPUT_TRACE", "maybe"}, {"INPUT_LOCK_WAIT", "soon"}, {"INPUT_TIMEOUT", "-1s"},
		{"INPUT_GIT_REMOTE_URL", "https://example.com/app"}, {"INPUT_GIT_REMOTE_URL", "ext::sh -c x"}, {"INPUT_GIT_REMOTE_URL", "ssh://dokku:pass@h/app"},
		{"INPUT_GIT_REMOTE_URL", "ssh://-oProxyCommand=x/app"}, {"INPUT_GIT_REMOTE_URL", "ssh://h"}, {"INPUT_GIT_REMOTE_URL", "ssh://h/a;b"}, {"INPUT_GIT_REMOTE_URL", "ssh://h/../b"},
		{"INPUT_CI_COMMIT", "main"}, {"INPUT_CI_BRANCH_NAME", "--upload-pack=x"}, {"INPUT_CI_BRANCH_NAME", "a..b"}, {"INPUT_CI_BRANCH_NAME", "a$(id)"}, {"INPUT_CI_BRANCH_NAME", "a\x1bb"},
		{"INPUT_PUSH_MODE", "ftp"}, {"INPUT_PUSH_MODE", "ssh", "INPUT_REGISTRY", "r/x"}, {"INPUT_REGISTRY_USERNAME", "ada"}, {"INPUT_SSH_PRIVATE_KEY_BASE64", "!"},
		append(remote, "INPUT_COMMAND", ReviewCreate), append(remote, "INPUT_COMMAND", ReviewDestroy, "INPUT_REVIEW_APP_NAME", "shop"),
		append(remote, "INPUT_COMMAND", ReviewCreate, "INPUT_REVIEW_APP_NAME", "Bad Name"), {"INPUT_COMMAND", ReviewCreate, "INPUT_REVIEW_APP_NAME", "x"},
		{"INPUT_COMMAND", "check", "INPUT_PLAN_ONLY", "true"},
	} {
		if _, err := reading(pairs...); api.Exit(err) != 64 && api.Exit(err) != 78 {
			t.Errorf("%q: %v", pairs, err)
		}
	}
}

// TestForked: a pull request of somebody else's repository is known by its event.
func TestForked(t *testing.T) {
	for text, want := range map[string]bool{
		`{"pull_request":{"head":{"repo":{"full_name":"mallory/shop"}},"base":{"repo":{"full_name":"team/shop"}}}}`: true,
		`{"pull_request":{"head":{"repo":{"full_name":"team/shop"}},"base":{"repo":{"full_name":"team/shop"}}}}`:    false,
		`{"pull_request":{"head":{"repo":null},"base":{"repo":{"full_name":"team/shop"}}}}`:                         true,
		`not json`: false,
	} {
		file := filepath.Join(t.TempDir(), "event.json")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if job, err := reading("GITHUB_EVENT_NAME", "pull_request", "GITHUB_EVENT_PATH", file); err != nil || job.Forked != want {
			t.Errorf("%s: forked is %t (%v)", text, job.Forked, err)
		}
	}
}
