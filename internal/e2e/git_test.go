package e2e

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/dokku-push/dokku-push/internal/testkit"
)

// checkout is a folder with a repository, and the host's key to push from it.
type checkout struct {
	t    *testing.T
	dir  string
	env  []string
	host string // ssh://dokku@host:port
}

// pushing makes a folder a repository whose remote is the host that answers at address.
func pushing(t *testing.T, dir, address, hostKey, key string) *checkout {
	t.Helper()
	name, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	ssh := strings.Join([]string{"ssh", "-F", "none", "-i", key, "-o", "IdentitiesOnly=yes", "-o", "IdentityAgent=none", "-o", "BatchMode=yes",
		"-o", "StrictHostKeyChecking=yes", "-o", "UserKnownHostsFile=" + testkit.KnownHosts(t, address, hostKey), "-o", "GlobalKnownHostsFile=none", "-o", "LogLevel=ERROR"}, " ")
	c := &checkout{t: t, dir: dir, host: "ssh://dokku@" + name + ":" + port + "/", env: append(os.Environ(), "GIT_SSH_COMMAND="+ssh, "GIT_CONFIG_GLOBAL=/dev/null",
		"GIT_CONFIG_NOSYSTEM=1", "GIT_TERMINAL_PROMPT=0", "GIT_AUTHOR_NAME=Ada", "GIT_AUTHOR_EMAIL=ada@example.com", "GIT_COMMITTER_NAME=Ada", "GIT_COMMITTER_EMAIL=ada@example.com")}
	c.git("init", "--quiet", "--initial-branch=main")
	c.commit("first")
	return c
}

// try runs git in the checkout.
func (c *checkout) try(args ...string) testkit.Result {
	c.t.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir, cmd.Env = c.dir, c.env
	return testkit.Run(c.t, cmd)
}

// git is try for what has to succeed.
func (c *checkout) git(args ...string) string {
	c.t.Helper()
	result := c.try(args...)
	if result.Exit != 0 {
		c.t.Fatalf("git %s: exit %d\n%s%s", strings.Join(args, " "), result.Exit, result.Stdout, result.Stderr)
	}
	return strings.TrimSpace(result.Stdout) + result.Stderr
}

func (c *checkout) commit(message string) {
	c.t.Helper()
	c.git("add", "--all")
	c.git("commit", "--quiet", "--allow-empty", "--message", message)
}

// gitHost is a host that can build, and a checkout of an app.
func gitHost(t *testing.T, app string) (*testkit.Host, *checkout) {
	t.Helper()
	h := testkit.Serve(t, testkit.ServeOptions{Env: []string{"PATH=" + filepath.Dir(testkit.Binaries(t).Client) + ":" + os.Getenv("PATH")}})
	return h, pushing(t, testkit.CopyApp(t, app), h.SSH, h.HostKey, h.Key)
}

// says replaces what the app says.
func (c *checkout) says(former, text string) {
	c.t.Helper()
	testkit.Edit(c.t, c.dir, "www/cgi-bin/index.cgi", former, text)
	c.commit(text)
}

// refused is a push that is rejected, and says why.
func (c *checkout) refused(why string, args ...string) testkit.Result {
	c.t.Helper()
	result := c.try(args...)
	if result.Exit == 0 || !strings.Contains(result.Stderr, why) {
		c.t.Errorf("git %s: exit %d, and it does not say %q:\n%s", strings.Join(args, " "), result.Exit, why, result.Stderr)
	}
	return result
}

// TestGitPush: git push creates the app, builds it on the host and deploys it in the same
// transaction as any push; one that fails is rejected and changes nothing; ps:rebuild
// builds from the repository.
func TestGitPush(t *testing.T) {
	t.Parallel()
	h, c := gitHost(t, "hello")
	app := h.App(t, "hello")
	said := c.git("push", c.host+app, "main")
	for _, want := range []string{"-----> Creating " + app, "remote: -----> Building " + app, "remote: -----> Build " + app + " with dockerfile", "remote: =====> Application deployed:", "main -> main"} {
		if !strings.Contains(said, want) {
			t.Errorf("the push does not say %q:\n%s", want, said)
		}
	}
	answers(t, h, app, "/", "Hello, world")

	dokku(t, h, 0, "config:set", "--no-restart", app, "COLOUR=blue")
	dokku(t, h, 0, "docker-options:add", app, "build", "--label by=options")
	bashPlugin(t, h, "painter", map[string]string{"post-extract": `source "$PLUGIN_AVAILABLE_PATH/config/functions"
config_get "$1" COLOUR >"$2/www/colour"
[[ $DOKKU_ROOT = */home ]]; dokku apps:exists "$1"`})
	c.says("Hello, world", "Hello, git")
	c.git("push", c.host+app, "main")
	answers(t, h, app, "/", "Hello, git")
	answers(t, h, app, "/colour", "blue") // a plugin on the host asks the host
	if label := docker(t, "image", "inspect", "--format", `{{index .Config.Labels "by"}}`, "dokku/"+app+":latest"); label != "options" {
		t.Errorf("the label is %q", label)
	}
	live := c.git("rev-parse", "HEAD")
	prints(t, h, live+"\n", "git:report", app, "--git-sha")
	prints(t, h, live+"\n", "config:get", app, "GIT_REV")

	testkit.Edit(t, c.dir, "Procfile", "web: exec", "web: exit 7;")
	c.commit("it does not start")
	before := status(t, h, c.dir, app).Hash
	failed := c.refused("pre-receive hook declined", "push", c.host+app, "main")
	if !strings.Contains(failed.Stderr, "exit code 7") {
		t.Errorf("the push does not say why:\n%s", failed.Stderr)
	}
	answers(t, h, app, "/", "Hello, git")
	if after := status(t, h, c.dir, app).Hash; after != before {
		t.Errorf("a push that failed has changed the host: %s, %s", before, after)
	}
	if heads := c.git("ls-remote", c.host+app, "refs/heads/main"); !strings.HasPrefix(heads, live) {
		t.Errorf("the branch has moved: %s", heads)
	}

	c.git("reset", "--quiet", "--hard", "HEAD~2")
	c.refused("non-fast-forward", "push", c.host+app, "main")
	c.git("push", "--force", c.host+app, "main")
	answers(t, h, app, "/", "Hello, world")
	rebuilt := dokku(t, h, 0, "ps:rebuild", app)
	if !strings.Contains(rebuilt.Stdout, "-----> Build "+app+" with dockerfile") {
		t.Errorf("ps:rebuild does not build:\n%s", rebuilt.Stdout)
	}
}

// TestGitFetch: what is in the repository can be fetched, with the plugins' triggers around
// it; branches and tags that nobody deploys come in without a deploy.
func TestGitFetch(t *testing.T) {
	t.Parallel()
	h, c := gitHost(t, "hello")
	app, log := h.App(t, "hello"), filepath.Join(t.TempDir(), "log")
	refuses(t, h, 20, "App "+app+" does not exist", "git-upload-pack", app)
	dokku(t, h, 0, "apps:create", app)
	dokku(t, h, 0, "git:initialize", app)
	dokku(t, h, 0, "git:set", app, "deploy-branch", "production")
	c.git("tag", "v1")
	skipped := c.git("push", c.host+app, "main", "v1")
	if !strings.Contains(skipped, "main is not the deploy branch of "+app+", which is production") || strings.Contains(skipped, "Building") {
		t.Errorf("a push of another branch says:\n%s", skipped)
	}
	plugin(t, h, "pulls", map[string]string{"git-pre-pull": `echo "pre $1" | tee -a ` + log, "git-post-pull": `echo "post $1" | tee -a ` + log})
	clone := filepath.Join(t.TempDir(), "clone")
	said := c.git("clone", "--quiet", c.host+app, clone, "--branch", "v1")
	if text, err := os.ReadFile(filepath.Join(clone, "Procfile")); err != nil || len(text) == 0 {
		t.Errorf("the clone has no Procfile: %v", err)
	}
	if !strings.Contains(said, "pre "+app) {
		t.Errorf("what the plugin prints is not shown: %s", said)
	}
	if got := strings.Join(recorded(t, log), ","); got != "pre "+app+",post "+app {
		t.Errorf("the triggers were %q", got)
	}
	archive := exec.Command("git", "archive", "--remote="+c.host+app, "main", "Procfile")
	archive.Dir, archive.Env = c.dir, c.env
	if out := testkit.Run(t, archive); out.Exit != 0 || !strings.Contains(out.Stdout, "web: exec") {
		t.Errorf("git archive: exit %d %s", out.Exit, out.Stderr)
	}
	copied := h.App(t, "copied")
	dokku(t, h, 0, "apps:clone", app, copied)
	if own, of := c.try("ls-remote", c.host+copied).Stdout, c.try("ls-remote", c.host+app).Stdout; own != of || own == "" {
		t.Errorf("the repository of the clone has\n%s, and not\n%s", own, of)
	}
	c.commit("second")
	shallow := &checkout{t: t, dir: filepath.Join(t.TempDir(), "shallow"), env: c.env, host: c.host}
	c.git("clone", "--quiet", "--depth=1", "file://"+c.dir, shallow.dir)
	shallow.git("push", c.host+app, "main:shallow")
	c.git("push", c.host+app, ":main", ":v1", ":shallow")
	if heads := c.try("ls-remote", c.host+app).Stdout; heads != "" {
		t.Errorf("there are still %s", heads)
	}
	refuses(t, h, 1, "git-hook is called by git push alone", "git-hook", app)
	c.refused("app name UPPER holds more than", "push", c.host+"UPPER", "main")
}

// TestGitReview: a plugin makes an app of every other branch, as the example of receive-branch
// means to.
func TestGitReview(t *testing.T) {
	t.Parallel()
	h, c := gitHost(t, "hello")
	app := h.App(t, "hello")
	review := "feature." + app
	bashPlugin(t, h, "review", map[string]string{"receive-branch": `reference_app=$1
refname=$3
newrev=$2
APP=${refname/*\//}.$reference_app

if [[ ! -d "$DOKKU_ROOT/$APP" ]]; then
  REFERENCE_REPO="$DOKKU_ROOT/$reference_app"
  git clone --bare --shared --reference "$REFERENCE_REPO" "$REFERENCE_REPO" "$DOKKU_ROOT/$APP" >/dev/null
fi
plugn trigger receive-app "$APP" "$newrev"`})
	c.git("push", c.host+app, "main")
	c.git("checkout", "--quiet", "-b", "feature")
	c.says("Hello, world", "Hello, review")
	said := c.git("push", c.host+app, "feature")
	if !strings.Contains(said, "-----> Building "+review) {
		t.Errorf("the push says:\n%s", said)
	}
	answers(t, h, app, "/", "Hello, world")
	_, body := page(t, h, review)
	if !strings.Contains(body, "Hello, review") {
		t.Errorf("the review app says %q", body)
	}
	prints(t, h, c.git("rev-parse", "HEAD")+"\n", "git:report", review, "--git-sha")
	dokku(t, h, 0, "--force", "apps:destroy", review)
	if left := docker(t, "images", "--quiet", "dokku-push/"+review) + docker(t, "images", "--quiet", "dokku/"+review); left != "" {
		t.Errorf("the engine still has images of it: %s", left)
	}
}

// TestGitMeanwhile: while a push is being built a second one is refused and told whose the
// first is; and a push whose client is gone goes on to its end.
func TestGitMeanwhile(t *testing.T) {
	t.Parallel()
	h, c := gitHost(t, "hello")
	app, dir := h.App(t, "hello"), t.TempDir()
	wait, reached := filepath.Join(dir, "wait"), filepath.Join(dir, "reached")
	plugin(t, h, "slow", map[string]string{"pre-receive-app": "echo reached >" + reached + "; while [ -e " + wait + " ]; do sleep 0.05; done"})
	put(t, wait, "")
	first := exec.Command("git", "push", c.host+app, "main")
	first.Dir, first.Env, first.SysProcAttr = c.dir, c.env, &syscall.SysProcAttr{Setpgid: true}
	if err := first.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Remove(wait) })
	appears := func(what string, there func() bool) {
		t.Helper()
		for deadline := time.Now().Add(2 * time.Minute); !there(); time.Sleep(50 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatal(what)
			}
		}
	}
	appears("the plugin was not reached", func() bool { _, err := os.Stat(reached); return err == nil })
	c.refused(`is being built and deployed: a push of `+app+` by key "admin"`, "push", c.host+app, "main:main")

	_ = syscall.Kill(-first.Process.Pid, syscall.SIGKILL)
	_ = first.Wait()
	if err := os.Remove(wait); err != nil {
		t.Fatal(err)
	}
	commit := c.git("rev-parse", "HEAD")
	appears("the branch of the lost push has not moved", func() bool { return strings.HasPrefix(c.try("ls-remote", c.host+app, "main").Stdout, commit) })
	answers(t, h, app, "/", "Hello, world")
}

// TestGitProcfile: old repositories of Dokku's, with a Procfile and no word of this project,
// are built by buildpacks in the builder that the host's config names: one with a buildpack
// of its own, one in Go, one in Python.
func TestGitProcfile(t *testing.T) {
	t.Parallel()
	h := testkit.Serve(t, testkit.ServeOptions{Env: []string{"PATH=" + filepath.Dir(testkit.Binaries(t).Client) + ":" + os.Getenv("PATH")}})
	dir, app := packApp(t, h)
	for _, file := range []string{"dokku.hcl", "app.json"} {
		if err := os.Remove(filepath.Join(dir, file)); err != nil {
			t.Fatal(err)
		}
	}
	testkit.Edit(t, dir, "Procfile", "worker: ", "other: ")
	dokku(t, h, 0, "config:set", "--global", "DOKKU_CNB_BUILDER=dokku-push-test/cnb-builder:latest")
	dokku(t, h, 0, "apps:create", app)
	dokku(t, h, 0, "config:set", app, "BUILD_TOKEN=out-of-the-apps-own-config")
	c := pushing(t, dir, h.SSH, h.HostKey, h.Key)
	said := c.git("push", c.host+app, "main:master")
	if !strings.Contains(said, "BUILD_TOKEN has 26 characters") {
		t.Errorf("buildpacks do not see the app's config:\n%s", said)
	}
	answers(t, h, app, "/", "Hello, buildpacks")

	dokku(t, h, 0, "config:set", "--global", "DOKKU_CNB_BUILDER="+testkit.Languages(t).Builder)
	for sample, greeting := range map[string]string{"cnbgo": "Hello from Go, first", "cnbpython": "Hello from Python, first"} {
		dir, app := packed(t, h, sample)
		for _, file := range []string{"project.toml", "app.json"} {
			if err := os.Remove(filepath.Join(dir, file)); err != nil {
				t.Fatal(err)
			}
		}
		c := pushing(t, dir, h.SSH, h.HostKey, h.Key)
		c.git("push", c.host+app, "main:master")
		answers(t, h, app, "/", greeting)
	}
}

// pushByGit is git push through Debian's sshd and the forced command, as the dokku user.
func pushByGit(t *testing.T, bin testkit.Bin, sshd *testkit.SSHServer, key testkit.Key, port int) {
	app := testkit.AppName(t, "git")
	testkit.ForgetImages(t, app)
	t.Cleanup(func() { overSSH(t, sshd, key, nil, "apps:destroy", "--force", app) })
	c := pushing(t, testkit.CopyApp(t, "hello"), sshd.Addr, sshd.HostKey, key.File)
	c.refused("put dokku-push beside dokku-agent", "push", c.host+app, "main")
	must(t, exec.Command("install", "-m", "755", bin.Client, "/usr/local/bin/dokku-push"))
	c.commit("second")
	shallow := &checkout{t: t, dir: filepath.Join(t.TempDir(), "shallow"), env: c.env}
	c.git("clone", "--quiet", "--depth=1", "file://"+c.dir, shallow.dir)
	shallow.git("push", c.host+app, "main")
	c.says("Hello, world", "Hello, sshd")
	c.git("push", c.host+app, "main")
	if heads := c.git("ls-remote", c.host+app, "main"); !strings.HasPrefix(heads, c.git("rev-parse", "HEAD")) {
		t.Errorf("the branch is at %s", heads)
	}
	if packed := c.git("archive", "--remote="+c.host+app, "main", "Procfile"); !strings.Contains(packed, "web: exec") {
		t.Errorf("git archive brings %q", packed)
	}
	request, err := http.NewRequest(http.MethodGet, fmt.Sprintf("http://127.0.0.1:%d/", port), nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Host, request.Close = app+".example.test", true
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if body, err := io.ReadAll(answer.Body); err != nil || !strings.Contains(string(body), "Hello, sshd") {
		t.Errorf("the app answers %q (%v)", body, err)
	}
	foreign := exec.Command("find", "/home/dokku", "/var/lib/dokku", "-ignore_readdir_race", "!", "-user", "dokku")
	if out, err := foreign.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("not the dokku user's: %v\n%s", err, out)
	}
}

// overGit is a push to a branch that is not deployed, and a fetch.
func (c *conformance) overGit() {
	repository := pushing(c.t, testkit.CopyApp(c.t, "hello"), c.SSH, c.HostKey, c.Key)
	push := []string{"push", repository.host + c.app, "main:feature"}
	fetch := []string{"fetch", repository.host + c.app, "feature"}
	fails := func(trigger string, run func() testkit.Result) {
		put(c.t, filepath.Join(c.fail, trigger), "")
		defer os.Remove(filepath.Join(c.fail, trigger))
		if r := run(); r.Exit == 0 || !strings.Contains(r.Stderr, trigger) {
			c.t.Errorf("with a failing %s: exit %d\n%s", trigger, r.Exit, r.Stderr)
			return
		}
		c.failed[trigger] = true
	}
	fails("receive-branch", func() testkit.Result { return repository.try(push...) })
	c.printed.WriteString(repository.git(push...))
	fails("git-pre-pull", func() testkit.Result { return repository.try(fetch...) })
	fails("git-post-pull", func() testkit.Result { // git itself is content with what it got
		cmd := c.DokkuCommand(c.t, "git-upload-pack", c.app)
		cmd.Stdin = strings.NewReader("0000")
		return testkit.Run(c.t, cmd)
	})
	c.printed.WriteString(repository.git(fetch...))
}
