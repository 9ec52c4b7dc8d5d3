package ci

import (
	"encoding/base64"
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

// hostKeys are lines as ssh-keyscan prints them.
var hostKeys = [2]string{"example.com ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJoBWZ+jB6al7euL0utAUR42+48UMgp4ZzjM4TWZ4zFG", "[example.com]:2222 ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKd5r1DmCvuP47CkMBOKZC8e4KLuxBpkz1a29C3BwRnV"}

// TestHostKey: a fingerprint or a key is one line; several are those of ssh-keyscan, and what
// is none is named by its line and not by a file that nobody knows.
func TestHostKey(t *testing.T) {
	fingerprint := "SHA256:" + strings.Repeat("a", 43)
	for text, want := range map[string]string{fingerprint: "", hostKeys[0]: "", hostKeys[0] + "\r\n" + hostKeys[1]: "", fingerprint + "\n" + fingerprint: "line 1 is none",
		hostKeys[0] + "\n\n" + strings.TrimPrefix(hostKeys[1], "[example.com]:2222 "): "has 2 lines, and line 2 is none"} {
		job, err := reading("INPUT_SSH_HOST_KEY", text)
		switch {
		case want == "" && (err != nil || job.HostKey+job.KnownHosts == ""):
			t.Errorf("%q: %+v, %v", text, job, err)
		case want != "" && (api.Exit(err) != 64 || !strings.Contains(err.Error(), want)):
			t.Errorf("%q: %v", text, err)
		}
	}
}

// TestOurs: our own inputs.
func TestOurs(t *testing.T) {
	job, err := reading("INPUT_APP", "shop", "INPUT_HOST", "production", "INPUT_GIT_REMOTE_URL", "dokku@example.com:other", "INPUT_ENVIRONMENT", "staging", "INPUT_LOCK_WAIT", "90",
		"INPUT_TIMEOUT", "5m", "INPUT_BUILDER", "auto", "INPUT_STRICT", "TRUE", "INPUT_PLAN_ONLY", "true", "INPUT_SSH_PRIVATE_KEY_BASE64", base64.StdEncoding.EncodeToString([]byte("key")),
		"INPUT_SSH_HOST_KEY", "# comment\n"+hostKeys[0]+"\n\n"+hostKeys[1]+"\n", "INPUT_REGISTRY", "r.example/team/shop", "INPUT_REGISTRY_USERNAME", "ada", "INPUT_REGISTRY_PASSWORD", "pass", "INPUT_SIGN", "false")
	if err != nil {
		t.Fatal(err)
	}
	want := Job{Command: Plan, App: "shop", Host: "production", Environment: "staging", LockWait: 90 * time.Second, Timeout: 5 * time.Minute, Strict: true, Key: "key",
		KnownHosts: hostKeys[0] + "\n" + hostKeys[1] + "\n", Registry: "r.example/team/shop", RegistryUser: "ada", RegistryPassword: "pass"}
	if diff := cmp.Diff(want, job); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if job, err := reading("RUNNER_DEBUG", "1"); err != nil || !job.Trace {
		t.Errorf("with GitHub's debug logging: %+v, %v", job, err)
	}
	if job, err := reading("COMMAND", "make test", "TRACE", "yes"); err != nil || job.Command != Deploy || job.Trace {
		t.Errorf("variables of others: %+v, %v", job, err)
	}
}

// TestReviewJob: a job about a review app is about its parent; the name is that of the input,
// of the branch, and never the app's own.
func TestReviewJob(t *testing.T) {
	named := func(pairs ...string) string {
		t.Helper()
		job, err := reading(append(pairs, "INPUT_COMMAND", ReviewCreate, "INPUT_GIT_REMOTE_URL", "ssh://dokku@h/shop", "INPUT_DRY_RUN", "true")...)
		if err != nil || job.App != "shop" || !job.DryRun || job.Command != ReviewCreate {
			t.Fatalf("%+v, %v", job, err)
		}
		name, _, err := Naming{Name: job.Review, Branch: job.Branch}.Of(job.App, variables(pairs))
		if err != nil {
			t.Fatal(err)
		}
		return name
	}
	for want, pairs := range map[string][]string{
		"review-shop-topic": {"GITHUB_REF_NAME", "topic"}, "review-shop-head": {"GITHUB_REF_NAME", "12/merge", "GITHUB_HEAD_REF", "head"},
		"mine": {"INPUT_REVIEW_APP_NAME", "mine", "GITHUB_REF_NAME", "topic"}, "review-shop-said": {"INPUT_CI_BRANCH_NAME", "said", "GITHUB_REF_NAME", "topic"},
	} {
		if got := named(pairs...); got != want {
			t.Errorf("%q make %q, want %q", pairs, got, want)
		}
	}
	if job, err := reading("INPUT_COMMAND", ReviewDestroy, "GITHUB_REF_NAME", "topic"); err != nil || job.App != "" {
		t.Errorf("an app that dokku.hcl names: %+v, %v", job, err)
	}
}

// TestNaming: what a review app is named by, nearest first, and what is no name.
func TestNaming(t *testing.T) {
	ask := variables([]string{"GITHUB_HEAD_REF", "head", "CI_MERGE_REQUEST_IID", "7"})
	for _, test := range []struct {
		naming   Naming
		getenv   func(string) (string, bool)
		name, of string
	}{
		{Naming{Name: "mine", Branch: "b", Number: "1"}, ask, "mine", "mine"}, {Naming{Branch: "b", Number: "1"}, ask, "review-shop-pr-1", "pr-1"}, {Naming{Branch: "b"}, ask, "review-shop-b", "b"},
		{Naming{}, ask, "review-shop-head", "head"}, {Naming{}, variables([]string{"CI_MERGE_REQUEST_IID", "7"}), "review-shop-pr-7", "pr-7"},
		{Naming{}, variables(nil), "", ""}, {Naming{Name: "shop"}, ask, "", ""}, {Naming{Name: "Bad Name"}, ask, "", ""}, {Naming{Branch: "-x"}, ask, "", ""}, {Naming{Branch: "a b"}, ask, "", ""}, {Naming{Number: "x"}, ask, "", ""},
		{Naming{}, variables([]string{"CI_COMMIT_SOURCE_BRANCH", "topic", "CI_COMMIT_BRANCH", "main", "CI_COMMIT_PULL_REQUEST", "7"}), "review-shop-topic", "topic"}, // Woodpecker
		{Naming{}, variables([]string{"DRONE_SOURCE_BRANCH", "topic", "DRONE_COMMIT_BRANCH", "main"}), "review-shop-topic", "topic"},
		{Naming{}, variables([]string{"TRAVIS_PULL_REQUEST_BRANCH", "topic", "TRAVIS_BRANCH", "main"}), "review-shop-topic", "topic"}, {Naming{}, variables([]string{"TRAVIS_BRANCH", "main"}), "review-shop-main", "main"},
		{Naming{}, variables([]string{"SEMAPHORE_GIT_PR_BRANCH", "topic", "SEMAPHORE_GIT_BRANCH", "main"}), "review-shop-topic", "topic"},
		{Naming{Branch: "refs/heads/b"}, ask, "review-shop-b", "b"}, {Naming{Branch: "refs/pull/12/merge"}, ask, "", ""}, {Naming{Branch: "refs/heads/"}, ask, "", ""}, {Naming{Branch: "a..b"}, ask, "", ""}, {Naming{Branch: "a@{b"}, ask, "", ""}, {Naming{Branch: "a\\b"}, ask, "", ""},
	} {
		name, of, err := test.naming.Of("shop", test.getenv)
		if name != test.name || of != test.of || (err != nil) != (test.name == "") || err != nil && api.Exit(err) != 64 {
			t.Errorf("%+v: %q of %q, %v", test.naming, name, of, err)
		}
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
		append(remote, "INPUT_COMMAND", ReviewCreate, "INPUT_REVIEW_APP_NAME", "Bad Name"), append(remote, "INPUT_COMMAND", ReviewDestroy, "INPUT_REVIEW_APP_NAME", "x", "INPUT_ALL", "true"),
		append(remote, "INPUT_COMMAND", ReviewCreate, "INPUT_REVIEW_APP_NAME", "x", "INPUT_PLAN_FILE", "p"), append(remote, "INPUT_COMMAND", ReviewCreate, "INPUT_REVIEW_APP_NAME", "x", "INPUT_CHANGED_SINCE", "main"),
		{"INPUT_COMMAND", "check", "INPUT_PLAN_ONLY", "true"}, append(remote, "INPUT_COMMAND", ReviewDestroy, "INPUT_REVIEW_APP_NAME", "x", "INPUT_DRY_RUN", "true"), {"INPUT_OIDC", "true", "INPUT_SSH_PRIVATE_KEY", "k"},
		{"INPUT_OIDC", "perhaps"},
	} {
		if _, err := reading(pairs...); api.Exit(err) != 64 && api.Exit(err) != 78 {
			t.Errorf("%q: %v", pairs, err)
		}
	}
}
