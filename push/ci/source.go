package ci

import (
	"strings"
	"unicode"

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

// readReview reads what a job about a review app says of it.
func (j *Job) readReview(in *inputs) error {
	if j.Command != ReviewCreate && j.Command != ReviewDestroy {
		return nil
	}
	for name, said := range map[string]bool{"all": j.All, "changed_since": j.Since != "", "plan_file": j.PlanFile != ""} {
		if said {
			return usage("%s is not for a review app, and the command is %s", "leave it out", name, j.Command)
		}
	}
	j.Review = in.text("review_app_name")
	if j.Review == "" && j.App == "" {
		return nil // dokku.hcl names the app
	}
	_, _, err := Naming{Name: j.Review, Branch: j.Branch}.Of(firstOf(j.App, "app"), in.getenv)
	return err
}
