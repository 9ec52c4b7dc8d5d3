package ci

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"strings"
	"unicode"

	"github.com/dokku-push/dokku-push/manifest"
	"github.com/dokku-push/dokku-push/remote"
)

// parseRemote reads a git remote of a Dokku host: ssh://[user@]host[:port]/app or
// [user@]host:app.
func parseRemote(text string) (host, app string, err error) {
	const hint = "write ssh://dokku@example.com:22/app"
	rest, isURL := strings.CutPrefix(text, "ssh://")
	separator := "/"
	if !isURL {
		if strings.Contains(text, "://") || strings.Contains(text, "::") {
			return "", "", usage("git_remote_url is no ssh remote", hint)
		}
		separator = ":"
		rest = text
	}
	at := strings.LastIndex(rest, separator)
	if isURL {
		at = strings.Index(rest, separator)
	}
	if at < 0 {
		return "", "", usage("git_remote_url names no app", hint)
	}
	host, app = rest[:at], strings.Trim(rest[at+1:], "/")
	if user, _, found := strings.Cut(host, "@"); found && strings.Contains(user, ":") {
		return "", "", usage("git_remote_url holds a password", "leave it out: the host knows a key, ssh_private_key")
	}
	target, err := remote.ParseTarget(host)
	if err != nil {
		return "", "", err
	}
	return target.String(), app, nil
}

// branchNames are where CI systems tell the branch, nearest first. On GitHub a pull request's
// own branch is meant, not the merge that nobody can name.
var branchNames = []string{"CIRCLE_BRANCH", "CI_BRANCH", "DRONE_COMMIT_BRANCH", "GITHUB_HEAD_REF", "GITHUB_REF_NAME", "CI_COMMIT_REF_NAME",
	"SEMAPHORE_GIT_BRANCH", "TRAVIS_BRANCH", "CI_COMMIT_BRANCH"}

// readSource reads the branch and the commit that the job is about.
func (j *Job) readSource(in *inputs) error {
	j.Branch, j.Commit = in.text("ci_branch_name"), in.text("ci_commit")
	if j.Branch != "" {
		if err := goodBranch(j.Branch); err != nil {
			return err
		}
	}
	if j.Commit != "" && ((len(j.Commit) != 40 && len(j.Commit) != 64) || strings.Trim(j.Commit, "0123456789abcdef") != "") {
		return usage("ci_commit is not a commit's whole id", "it is 40 hexadecimal digits, as git rev-parse HEAD prints them")
	}
	return nil
}

// goodBranch refuses what git itself would, and what a shell would run.
func goodBranch(name string) error {
	bad := strings.HasPrefix(name, "-") || strings.Contains(name, "..") || strings.Contains(name, "@{") || len(name) > 255 ||
		strings.ContainsFunc(name, func(c rune) bool {
			return unicode.IsControl(c) || unicode.IsSpace(c) || strings.ContainsRune("\\;$()`<>|&*?[]^~:\"'", c)
		})
	if bad {
		return usage("the branch's name has characters that no branch has", "name the review app itself: review_app_name")
	}
	return nil
}

// readReview names the review app.
func (j *Job) readReview(in *inputs) error {
	if j.Command != ReviewCreate && j.Command != ReviewDestroy {
		return nil
	}
	if j.App == "" {
		return usage("a review app is made of an app, and none is named", "set git_remote_url or app")
	}
	j.Review = in.text("review_app_name")
	if j.Review == "" {
		branch := j.Branch
		if branch == "" {
			branch = Branch(in.getenv)
		}
		if branch == "" {
			return usage("there is no branch to name the review app by", "set review_app_name or ci_branch_name")
		}
		if err := goodBranch(branch); err != nil {
			return err
		}
		j.Review = ReviewName(j.App, branch)
	}
	if err := manifest.AppName(j.Review); err != nil {
		return usage("the review app's name: %v", "", err)
	}
	if j.Review == j.App {
		return usage("the review app is called %s, as the app itself", "give it another review_app_name", j.App)
	}
	return nil
}

// Branch is the branch that CI's variables name; empty: none does.
func Branch(getenv func(string) (string, bool)) string {
	for _, name := range branchNames {
		if value, _ := getenv(name); value != "" {
			return value
		}
	}
	return ""
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

// requestNumbers are where CI systems tell the number of the pull or merge request.
var requestNumbers = []string{"CI_MERGE_REQUEST_IID", "CI_COMMIT_PULL_REQUEST", "DRONE_PULL_REQUEST", "BUILDKITE_PULL_REQUEST", "BITBUCKET_PR_ID", "TRAVIS_PULL_REQUEST"}

// Request is the number of the pull or merge request that CI's variables name; empty: none
// does.
func Request(getenv func(string) (string, bool)) string {
	for _, name := range requestNumbers {
		if value, _ := getenv(name); value != "" && strings.Trim(value, "0123456789") == "" {
			return value
		}
	}
	return ""
}

// Forked tells a job that is about another repository's pull or merge request, whose code
// must not meet a secret of this one: also where the system would give it some, as GitHub
// does for pull_request_target.
func Forked(getenv func(string) (string, bool)) bool {
	source, _ := getenv("CI_MERGE_REQUEST_SOURCE_PROJECT_ID")
	target, _ := getenv("CI_MERGE_REQUEST_PROJECT_ID")
	event, _ := getenv("GITHUB_EVENT_NAME")
	if event == "pull_request_target" {
		is, known := foreign(getenv)
		return is || !known
	}
	return source != "" && target != "" && source != target || forked(getenv)
}

// forked tells a pull request from another repository than its target, to whose jobs GitHub
// gives no secrets.
func forked(getenv func(string) (string, bool)) bool {
	if event, _ := getenv("GITHUB_EVENT_NAME"); event != "pull_request" {
		return false
	}
	is, _ := foreign(getenv)
	return is
}

// foreign reads GitHub's event: whether its pull request is of another repository, and
// whether it says so.
func foreign(getenv func(string) (string, bool)) (is, known bool) {
	path, _ := getenv("GITHUB_EVENT_PATH")
	text, err := os.ReadFile(path)
	if err != nil {
		return false, false
	}
	type side struct {
		Repo struct {
			Name string `json:"full_name"`
		} `json:"repo"`
	}
	var event struct {
		Pull struct{ Head, Base side } `json:"pull_request"`
	}
	if json.Unmarshal(text, &event) != nil || event.Pull.Base.Repo.Name == "" {
		return false, false
	}
	return event.Pull.Head.Repo.Name != event.Pull.Base.Repo.Name, true
}
