package ci

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/manifest"
)

// Naming is what a review app may be named by; without any of it CI's variables say.
type Naming struct {
	Name   string // as it is to be called
	Branch string
	Number string // of a pull or merge request
}

const opName = "name the review app"

// Of names the review app of an app. of is what the name was made of: whoever asks again
// with another finds it taken.
func (n Naming) Of(app string, getenv func(string) (string, bool)) (name, of string, err error) {
	switch {
	case n.Name != "":
		name, of = n.Name, n.Name // whatever the branch: it was said whose it is
	case n.Number != "":
		if strings.Trim(n.Number, "0123456789") != "" {
			return "", "", api.Errorf(api.Usage, "", "--pr is the number of a pull request, not %q", n.Number)
		}
		of = "pr-" + n.Number
	case n.Branch != "":
		of = n.Branch
	case Branch(getenv) != "":
		of = Branch(getenv)
	case Request(getenv) != "":
		of = "pr-" + Request(getenv)
	default:
		return "", "", api.Errorf(api.Usage, opName, "there is no branch to name it by").WithHint("use --branch, --pr or --name; in a CI job, review_app_name or ci_branch_name")
	}
	of = strings.TrimPrefix(of, "refs/heads/") // a branch in full, as GITHUB_REF has it
	if noBranch(of) {
		return "", "", api.Errorf(api.Usage, opName, "%q is no branch", of).WithHint("use --name")
	}
	if name == "" {
		name = ReviewName(app, of)
	}
	if err := manifest.AppName(name); err != nil {
		return "", "", api.Errorf(api.Usage, opName, "%w", err).WithHint("use --name")
	}
	if name == app {
		return "", "", api.Errorf(api.Usage, opName, "it is called %s, as the app itself", name).WithHint("use another name")
	}
	return name, of, nil
}

// noBranch tells that git has no branch of a name, or that it is the name of something else:
// a pull request's merge, which is another one with each push.
func noBranch(name string) bool {
	return name == "" || strings.HasPrefix(name, "-") || strings.HasPrefix(name, "refs/") || strings.Contains(name, "..") || strings.Contains(name, "@{") || strings.Contains(name, "\\") || len(name) > 255 ||
		strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r == 0x7f })
}

// longestName is how long the name of a review app may be: it is a label of its domain.
const longestName = 45

// ReviewName is review-APP-BRANCH as an app may be called. Where something had to be left
// out, a part of a hash keeps two branches apart.
func ReviewName(app, branch string) string {
	plain := strings.Map(func(c rune) rune {
		if c >= 'a' && c <= 'z' || c >= '0' && c <= '9' {
			return c
		}
		return '-'
	}, strings.ToLower(branch))
	for strings.Contains(plain, "--") {
		plain = strings.ReplaceAll(plain, "--", "-")
	}
	name := strings.Trim("review-"+app+"-"+strings.Trim(plain, "-"), "-")
	if len(name) <= longestName && plain == branch {
		return name
	}
	sum := sha256.Sum256([]byte(app + "\x00" + branch))
	end := "-" + hex.EncodeToString(sum[:4])
	return strings.TrimRight(name[:min(len(name), longestName-len(end))], "-.") + end
}

// branchNames are where CI systems tell the branch, nearest first. A pull request's own branch
// is meant: the others of these names are, in such a job, the branch that it is to go into
// (Drone, Woodpecker, Travis, Semaphore), which all have in common, or a merge (GitHub).
func branchNames() []string {
	return []string{"GITHUB_HEAD_REF", "DRONE_SOURCE_BRANCH", "CI_COMMIT_SOURCE_BRANCH", "TRAVIS_PULL_REQUEST_BRANCH", "SEMAPHORE_GIT_PR_BRANCH",
		"CIRCLE_BRANCH", "CI_BRANCH", "DRONE_COMMIT_BRANCH", "GITHUB_REF_NAME", "CI_COMMIT_REF_NAME", "SEMAPHORE_GIT_BRANCH", "TRAVIS_BRANCH", "CI_COMMIT_BRANCH"}
}

// Branch is the branch that CI's variables name; empty: none does.
func Branch(getenv func(string) (string, bool)) string {
	for _, name := range branchNames() {
		if value, _ := getenv(name); value != "" {
			return value
		}
	}
	return ""
}

// requestNumbers are where CI systems tell the number of the pull or merge request.
func requestNumbers() []string {
	return []string{"CI_MERGE_REQUEST_IID", "CI_COMMIT_PULL_REQUEST", "DRONE_PULL_REQUEST", "BUILDKITE_PULL_REQUEST", "BITBUCKET_PR_ID", "TRAVIS_PULL_REQUEST"}
}

// Request is the number of the pull or merge request that CI's variables name; empty: none
// does.
func Request(getenv func(string) (string, bool)) string {
	for _, name := range requestNumbers() {
		if value, _ := getenv(name); value != "" && strings.Trim(value, "0123456789") == "" {
			return value
		}
	}
	return ""
}
