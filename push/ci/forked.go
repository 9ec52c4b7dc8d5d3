package ci

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
)

// Forked tells a job that is about another repository's pull or merge request, whose code
// must not meet a secret of this one: also where the system would give it some, as GitHub
// does for pull_request_target and workflow_run. What cannot be known there counts as a fork's.
func Forked(getenv func(string) (string, bool)) bool {
	source, _ := getenv("CI_MERGE_REQUEST_SOURCE_PROJECT_ID")
	target, _ := getenv("CI_MERGE_REQUEST_PROJECT_ID")
	if source != "" && target != "" && source != target {
		return true
	}
	name, _ := getenv("GITHUB_EVENT_NAME")
	event, read := readEvent(getenv)
	switch name {
	case "pull_request", "pull_request_review", "pull_request_review_comment": // whose jobs are given no secrets
		return event.Pull.Base.Repo.Name != "" && event.Pull.Head.Repo.Name != event.Pull.Base.Repo.Name
	case "pull_request_target":
		return !read || event.Pull.Base.Repo.Name == "" || event.Pull.Head.Repo.Name != event.Pull.Base.Repo.Name
	case "workflow_run":
		return !read || event.Run.Event == "" || strings.HasPrefix(event.Run.Event, "pull_request") && event.Run.Head.Name != event.Repo.Name
	}
	return false
}

type repo struct {
	Name string `json:"full_name"`
}

// gitHubEvent is what is read of the file that $GITHUB_EVENT_PATH names.
type gitHubEvent struct {
	Pull struct {
		Head, Base struct {
			Repo repo   `json:"repo"`
			SHA  string `json:"sha"`
		}
	} `json:"pull_request"`
	Run struct {
		Event string `json:"event"`
		Head  repo   `json:"head_repository"`
	} `json:"workflow_run"`
	Repo repo `json:"repository"`
}

func readEvent(getenv func(string) (string, bool)) (event gitHubEvent, ok bool) {
	path, _ := getenv("GITHUB_EVENT_PATH")
	text, err := os.ReadFile(path)
	return event, err == nil && json.Unmarshal(text, &event) == nil
}

// Head is the commit at the head of the pull request that GitHub's job is about; empty:
// there is none. GITHUB_SHA is a merge there that is in no branch.
func Head(getenv func(string) (string, bool)) string {
	event, _ := readEvent(getenv)
	return event.Pull.Head.SHA
}

// plain are CI's and the machine's own variables, in which no secret stands.
func plain() []string {
	return append(branchNames(), append(requestNumbers(), "CI", "HOME", "PATH", "XDG_CACHE_HOME", "XDG_STATE_HOME", "XDG_CONFIG_HOME", "DOCKER_HOST", "DOCKER_CONFIG", "BUILDKIT_HOST", "SOURCE_DATE_EPOCH",
		"CI_COMMIT", "PLUGIN_CI_COMMIT", "CIRCLE_SHA1", "CI_COMMIT_ID", "DRONE_COMMIT_SHA", "CI_COMMIT_SHA", "SEMAPHORE_GIT_SHA", "TRAVIS_COMMIT", "CI_BRANCH_NAME", "PLUGIN_CI_BRANCH_NAME",
		"CI_JOB_URL", "CI_PIPELINE_URL", "CIRCLE_BUILD_URL", "BUILD_URL", "DRONE_BUILD_LINK", "GITLAB_CI", "CI_MERGE_REQUEST_SOURCE_PROJECT_ID", "CI_MERGE_REQUEST_PROJECT_ID",
		"GITHUB_ACTIONS", "GITHUB_ENV", "GITHUB_EVENT_NAME", "GITHUB_EVENT_PATH", "GITHUB_OUTPUT", "GITHUB_REF", "GITHUB_REPOSITORY", "GITHUB_RUN_ID", "GITHUB_SERVER_URL", "GITHUB_SHA",
		"GITHUB_STEP_SUMMARY", "GITHUB_WORKSPACE", "RUNNER_TEMP", "RUNNER_DEBUG")...)
}

// Plain is an environment without anything that could be secret: what somebody else's
// dokku.hcl may read.
func Plain(getenv func(string) (string, bool)) func(string) (string, bool) {
	known := plain()
	return func(name string) (string, bool) {
		if !slices.Contains(known, name) {
			return "", false
		}
		return getenv(name)
	}
}
