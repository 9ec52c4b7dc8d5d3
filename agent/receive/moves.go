package receive

import (
	"context"
	"os"
	"slices"
	"strings"

	"github.com/dokku-push/dokku-push/api"
)

// refVariable names the ref that is being received to whoever builds it, and formerVariable
// what the pusher takes it to be.
const (
	refVariable    = "DOKKU_PUSH_REF"
	formerVariable = "DOKKU_PUSH_FORMER"
)

// movable refuses what git would refuse after its hook, when the deploy is done: a branch that
// is no commit, or whose name stands in the way of another one's.
func movable(ctx context.Context, repository string, updates []update) error {
	listed, err := git(ctx, "--git-dir="+repository, "for-each-ref", "--format=%(refname)")
	if err != nil {
		return err
	}
	names := strings.Fields(listed)
	for _, one := range updates {
		names = slices.DeleteFunc(names, func(name string) bool { return name == one.ref })
	}
	for n, one := range updates {
		name, isBranch := one.branch()
		if one.removes() || !isBranch {
			continue
		}
		if kind, err := git(ctx, "--git-dir="+repository, "cat-file", "-t", one.commit); err != nil || kind != "commit" {
			return api.Errorf(api.Refused, "", "what was pushed to %s is a %s, and a branch is a commit", name, kind).
				WithHint("of a tag with a message: git push REMOTE 'TAG^{}:%s'", one.ref)
		}
		others := slices.Clone(names)
		for m, other := range updates {
			if m != n && !other.removes() {
				others = append(others, other.ref)
			}
		}
		for _, other := range others {
			if strings.HasPrefix(other, one.ref+"/") || strings.HasPrefix(one.ref, other+"/") {
				return api.Errorf(api.Refused, "", "there cannot be %s while there is %s", one.ref, other).WithHint("git push REMOTE :%s deletes that", other)
			}
		}
	}
	return nil
}

// pushes tells whether what is built of an app comes by a push to its branch, which git moves
// itself when its hook agrees.
func pushes(app, branch string) bool {
	return os.Getenv(receives) == app && os.Getenv(refVariable) == "refs/heads/"+branch
}

// unmoved refuses to deploy for a push whose branch somebody else has moved since it began:
// git would refuse it afterwards.
func unmoved(ctx context.Context, repository, branch string) error {
	ref, former := "refs/heads/"+branch, os.Getenv(formerVariable)
	if now := resolve(ctx, repository, ref); now != former && (now != "" || strings.Trim(former, "0") != "") {
		return api.Errorf(api.Locked, "", "%s has moved since this push began: another one was faster", branch).WithHint("look at what is there with git fetch, and push again")
	}
	return nil
}
