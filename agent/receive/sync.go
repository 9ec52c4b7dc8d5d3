package receive

import (
	"context"
	"fmt"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/api"
)

// BranchHead is a branch of an app's repository.
type BranchHead struct {
	Name, Commit string
	When         time.Time // of the commit
}

// Branches lists the branches of an app's repository by their names.
func Branches(ctx context.Context, host *agent.Host, app string) ([]BranchHead, error) {
	dir := host.Places.App(app)
	if !isRepository(dir) {
		return nil, api.Errorf(api.Precondition, "", "App %s has no git repository", app).WithHint("git push makes one, and so does git:initialize")
	}
	text, err := git(ctx, "--git-dir="+dir, "for-each-ref", "--format=%(objectname) %(committerdate:unix) %(refname:strip=2)", "refs/heads")
	if err != nil {
		return nil, err
	}
	var all []BranchHead
	for line := range strings.Lines(text) {
		words := strings.SplitN(strings.TrimSpace(line), " ", 3)
		if len(words) != 3 {
			continue
		}
		when, _ := strconv.ParseInt(words[1], 10, 64) // none: 1970
		all = append(all, BranchHead{Name: words[2], Commit: words[0], When: time.Unix(when, 0)})
	}
	return all, nil
}

// scpForm is git's short way to write an address over ssh: user@host:path.
var scpForm = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]*@[A-Za-z0-9][A-Za-z0-9.-]*:[^-].*$`)

// address refuses what a host does not fetch from: its own files, programs named as
// addresses, and words that git would take for options (ALSO-REFUSE 14).
func address(text string) error {
	if !strings.ContainsAny(text, " \t\r\n\x00") {
		if scpForm.MatchString(text) {
			return nil
		}
		parsed, err := url.Parse(text)
		if err == nil && parsed.Host != "" && !strings.HasPrefix(parsed.Hostname(), "-") {
			switch parsed.Scheme {
			case "https", "http", "git", "ssh":
				return nil
			}
		}
	}
	return api.Errorf(api.Usage, "", "%q is no repository that can be fetched", Shown(text)).WithHint("https://, http://, git://, ssh:// or user@host:path")
}

// Shown is an address without the password that may be in it.
func Shown(text string) string {
	parsed, err := url.Parse(text)
	if err != nil || parsed.User == nil {
		return text
	}
	return parsed.Redacted()
}

// Sync brings a commit of another repository to the app's deploy branch. ref is a branch, a
// tag or a commit of it; empty: what its HEAD is. build is asked, and told whether the branch
// has another commit, whether the caller goes on to build it (Receive): the branch moves when
// that went well, so that what fails is tried again the next time, and else now.
func Sync(ctx context.Context, host *agent.Host, app, from, ref string, build func(changed bool) bool) (commit string, builds bool, err error) {
	if err := address(from); err != nil {
		return "", false, err
	}
	if ref == "" {
		ref = "HEAD"
	}
	if !Branch.MatchString(ref) || strings.Contains(ref, "..") || strings.Contains(ref, "@{") {
		return "", false, api.Errorf(api.Usage, "", "%q is no branch, tag or commit", ref)
	}
	if err := Initialize(ctx, host.Places, app); err != nil {
		return "", false, err
	}
	dir := host.Places.App(app)
	before, branch, err := Head(ctx, host, app)
	if err != nil {
		return "", false, err
	}
	const fetched = "refs/dokku-push/fetched"
	if _, err := gitWith(ctx, fetching(host.Places), "--git-dir="+dir, "fetch", "--quiet", "--no-tags", "--force", "--end-of-options", from, "+"+ref+":"+fetched); err != nil {
		return "", false, err
	}
	if commit = resolve(ctx, dir, fetched); commit == "" {
		return "", false, api.Errorf(api.Precondition, "", "%s of %s is no commit", ref, Shown(from))
	}
	if builds = build(commit != before); !builds {
		if _, err := git(ctx, "--git-dir="+dir, "update-ref", "--end-of-options", "refs/heads/"+branch, commit); err != nil {
			return "", false, fmt.Errorf("move %s: %w", branch, err)
		}
	}
	return commit, builds, host.Fire(ctx, "deploy-source-set", app, sourceSync, Shown(from))
}

// Receive has plugins and the core build and deploy a commit of the app's repository.
func (r *Receiver) Receive(ctx context.Context, app, commit string) error {
	return r.receiving(ctx, "receive-app", app, commit)
}
