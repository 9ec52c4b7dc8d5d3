package command

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dokku-push/dokku-push/agent"
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
	prints(t, h, "git:report shop --git-rev-env-var", "GIT_REV\n")
	prints(t, h, "git:set shop rev-env-var SOURCE_VERSION", "=====> Setting rev-env-var to SOURCE_VERSION\n")
	prints(t, h, "git:report shop --git-rev-env-var", "SOURCE_VERSION\n")
	prints(t, h, "git:set shop rev-env-var", "=====> Unsetting rev-env-var\n")
	prints(t, h, "git:report shop --git-rev-env-var", "\n")
	set(t, h, "shop", func(now *agent.Settings) {
		now.Properties["apps/deploy-source"], now.Properties["apps/deploy-source-metadata"] = "docker-image", "team/shop:1"
	})
	prints(t, h, "git:report shop --git-source-image", "team/shop:1\n")
	refuses(t, h, "git:status shop", api.Precondition, "has no git repository")
	prints(t, h, "git:initialize shop", "-----> Initializing git repository for shop\n")
	prints(t, h, "git:status shop", "")
	prints(t, h, "git:set shop deploy-branch", "=====> Unsetting deploy-branch\n")
	for line, message := range map[string]string{
		"git:set shop deploy-branch --upload-pack=x": "cannot be the name of a branch",
		"git:set shop deploy-branch a..b":            "cannot be the name of a branch",
		"git:set shop deploy-branch 'a;id'":          "cannot be the name of a branch",
		"git:set shop keep-git-dir 1":                "true or false",
		"git:set shop rev-env-var PATH":              "cannot be the config key of a commit",
		"git:set shop rev-env-var a-b":               "cannot be the config key of a commit",
		"git:set shop nothing X":                     "Invalid property",
		"git:set --global rev-env-var X":             "cannot be specified globally",
		"git:initialize shop more":                   "unexpected argument",
	} {
		refuses(t, h, line, api.Usage, message)
	}
	out, _, err := do(t, Call{Host: h, In: strings.NewReader("")}, "git:sync shop /etc")
	if api.AsError(err).Code != api.Usage || !strings.Contains(err.Error(), "no repository that can be fetched") {
		t.Errorf("%v %q", err, out)
	}
}

// TestGitHosts: what this host says to other git hosts; no password is ever shown.
func TestGitHosts(t *testing.T) {
	h, _ := newHost(t)
	netrc := filepath.Join(h.Places.Root, ".netrc")
	holds := func(want string) {
		t.Helper()
		if text, err := os.ReadFile(netrc); err != nil || string(text) != want {
			t.Errorf("%v: %q, want %q", err, text, want)
		}
	}
	prints(t, h, "git:auth github.com ada s3cret", "-----> Setting netrc auth entry for host github.com\n")
	holds("machine github.com login ada password s3cret\n")
	out, problem, err := do(t, Call{Host: h, In: strings.NewReader("-0ther\n")}, "git:auth github.com ada")
	if err != nil || strings.Contains(out+problem, "0ther") {
		t.Errorf("%v %q %q", err, out, problem)
	}
	holds("machine github.com login ada password -0ther\n")
	for line, message := range map[string]string{
		"git:auth":                            "usage: dokku git:auth",
		"git:auth github.com ada":             "Missing password",
		"git:auth github.com:22 ada s3cret":   "name the host alone",
		"git:auth -oX ada s3cret":             "no host",
		"git:auth github.com ada 's3 cret'":   "cannot be written into .netrc",
		"git:auth github.com ada s3cret more": "usage: dokku git:auth",
		"git:allow-host a;id":                 "no host",
		"git:allow-host":                      "usage: dokku git:allow-host",
		"git:public-key shop":                 "unexpected argument",
		"git:generate-deploy-key shop":        "unexpected argument",
	} {
		refuses(t, h, line, api.Usage, message)
		if _, problem, err := do(t, Call{Host: h}, line); strings.Contains(problem+err.Error(), "s3") {
			t.Errorf("%s shows the password: %v", line, err)
		}
	}
	holds("machine github.com login ada password -0ther\n")
	prints(t, h, "git:auth github.com", "-----> Removing netrc auth entry for host github.com\n")
	holds("")
	refuses(t, h, "git:public-key", api.Precondition, "There is no deploy key")
	prints(t, h, "git:generate-deploy-key", "-----> Generated deploy key\n")
	out, _, err = do(t, Call{Host: h}, "git:public-key")
	if err != nil || !strings.HasPrefix(out, "ssh-ed25519 ") {
		t.Errorf("%v %q", err, out)
	}
	refuses(t, h, "git:generate-deploy-key", api.Precondition, "there is a deploy key already")
}
