package command

import (
	"strings"
	"testing"

	"github.com/dokku-push/dokku-push/api"
)

// TestGit: the commands that a repository has.
func TestGit(t *testing.T) {
	h, _ := newHost(t)
	prints(t, h, "git:set shop deploy-branch production", "=====> Setting deploy-branch to production\n")
	prints(t, h, "git:set --global keep-git-dir true", "=====> Setting keep-git-dir to true\n")
	prints(t, h, "git:report shop --git-computed-deploy-branch", "production\n")
	prints(t, h, "git:report shop --git-global-deploy-branch", "master\n")
	prints(t, h, "git:report shop --git-computed-keep-git-dir", "true\n")
	prints(t, h, "git:report shop --git-sha", "\n")
	refuses(t, h, "git:status shop", api.Precondition, "has no git repository")
	prints(t, h, "git:initialize shop", "-----> Initializing git repository for shop\n")
	prints(t, h, "git:status shop", "")
	prints(t, h, "git:set shop deploy-branch", "=====> Unsetting deploy-branch\n")
	for line, message := range map[string]string{
		"git:set shop deploy-branch --upload-pack=x": "cannot be the name of a branch",
		"git:set shop deploy-branch a..b":            "cannot be the name of a branch",
		"git:set shop deploy-branch 'a;id'":          "cannot be the name of a branch",
		"git:set shop keep-git-dir 1":                "true or false",
		"git:set shop rev-env-var X":                 "Invalid property",
		"git:initialize shop more":                   "unexpected argument",
	} {
		refuses(t, h, line, api.Usage, message)
	}
	out, _, err := do(t, Call{Host: h, In: strings.NewReader("")}, "git:sync shop /etc")
	if api.AsError(err).Code != api.Usage || !strings.Contains(err.Error(), "no repository that can be fetched") {
		t.Errorf("%v %q", err, out)
	}
}
