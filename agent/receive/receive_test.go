package receive

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/agent/state"
	"github.com/dokku-push/dokku-push/api"
)

// world is a host with the app "shop", whose core's part in receive-app is App, and a
// builder that looks at what it is given.
type world struct {
	*Receiver
	t        *testing.T
	out, err bytes.Buffer
	waits    func() // called when a push is told to wait
	fired    []string
	ships    []string
	refuses  string // a trigger that fails
	builds   []Source
	trees    []string         // each build's files
	look     func(dir string) // called by each build
	deploys  []agent.Change
	fail     error // of the next deploy
}

func newWorld(t *testing.T) *world {
	t.Helper()
	dir := t.TempDir()
	files := &state.Store{Places: agent.Places{Root: filepath.Join(dir, "root"), Lib: filepath.Join(dir, "lib")}}
	must(t, files.Create("shop"))
	w := &world{t: t}
	w.Receiver = &Receiver{Host: &agent.Host{Places: files.Places, Settings: files, Ledger: files, Walk: w}, Builder: w, By: agent.Caller{User: "dokku", Name: "alice"},
		Deploy: w.deploy, Out: io.MultiWriter(&w.out, listener(w.heard)), Err: &w.err}
	return w
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Trigger is the walk: the core's part in receive-app is this package's.
func (w *world) Trigger(ctx context.Context, name string, args []string, _ agent.Streams) error {
	w.fired = append(w.fired, strings.Join(append([]string{name}, args...), " "))
	if name == w.refuses {
		return errors.New("a plugin says no")
	}
	if name == "receive-app" {
		commit := ""
		if len(args) > 1 {
			commit = args[1]
		}
		return w.App(ctx, args[0], commit)
	}
	return nil
}

func (w *world) Ships(name string) []string {
	if slices.Contains(w.ships, name) {
		return []string{"plugin"}
	}
	return nil
}

func (w *world) Has(string) bool { return false }

// listener hears what a push is told.
type listener func(text string)

func (l listener) Write(text []byte) (int, error) {
	l(string(text))
	return len(text), nil
}

func (w *world) heard(text string) {
	if w.waits != nil && strings.Contains(text, "Waiting for") {
		w.waits()
	}
}

func (w *world) Build(_ context.Context, source Source, out io.Writer) (api.ReleaseDocument, error) {
	w.builds = append(w.builds, source)
	var names []string
	err := filepath.WalkDir(source.Dir, func(path string, entry os.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			name, _ := filepath.Rel(source.Dir, path)
			names = append(names, name)
		}
		return err
	})
	w.trees = append(w.trees, strings.Join(names, " "))
	if w.look != nil {
		w.look(source.Dir)
	}
	fmt.Fprintln(out, "built")
	return api.ReleaseDocument{Image: api.Image{ID: "sha256:1"}}, err
}

func (w *world) deploy(_ context.Context, change agent.Change) error {
	w.deploys = append(w.deploys, change)
	fail := w.fail
	w.fail = nil
	return fail
}

// commit writes files into a repository elsewhere and brings the commit into the app's.
func (w *world) commit(files map[string]string) string {
	w.t.Helper()
	dir := w.t.TempDir()
	command(w.t, dir, "git", "init", "--quiet", "--initial-branch=master")
	for name, text := range files {
		must(w.t, os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755))
		if to, isLink := strings.CutPrefix(text, "link:"); isLink {
			must(w.t, os.Symlink(to, filepath.Join(dir, name)))
			continue
		}
		must(w.t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644))
	}
	command(w.t, dir, "git", "add", "--all")
	command(w.t, dir, "git", "commit", "--quiet", "--allow-empty", "--message", "a commit")
	must(w.t, Initialize(w.t.Context(), w.Host.Places, "shop"))
	command(w.t, dir, "git", "push", "--quiet", "--force", "--no-verify", "--receive-pack=git -c core.hooksPath=/dev/null receive-pack", w.Host.Places.App("shop"), "master:refs/pushed/master")
	return command(w.t, dir, "git", "rev-parse", "HEAD")
}

func command(t *testing.T, dir string, argv ...string) string {
	t.Helper()
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1", "GIT_AUTHOR_NAME=Ada", "GIT_AUTHOR_EMAIL=ada@example.com", "GIT_COMMITTER_NAME=Ada",
		"GIT_COMMITTER_EMAIL=ada@example.com", "GIT_ALLOW_PROTOCOL=file:git")
	out, err := cmd.Output()
	if err != nil {
		problem := ""
		if exit, ok := errors.AsType[*exec.ExitError](err); ok {
			problem = string(exit.Stderr)
		}
		t.Fatalf("%s: %v\n%s", strings.Join(argv, " "), err, problem)
	}
	return strings.TrimSpace(string(out))
}

// hook is a push of refs as git tells its hook.
func (w *world) hook(lines ...string) error {
	w.t.Helper()
	w.t.Setenv(receives, "shop")
	w.t.Setenv("GIT_DIR", ".")
	w.In = strings.NewReader(strings.Join(lines, "\n") + "\n")
	w.fired, w.builds, w.deploys = nil, nil, nil
	w.out.Reset()
	w.err.Reset()
	return w.Hook(w.t.Context(), "shop")
}

const none = "0000000000000000000000000000000000000000"

// TestHook: which ref of a push does what.
func TestHook(t *testing.T) {
	w := newWorld(t)
	c := w.commit(map[string]string{"Procfile": "web: x\n"})
	built := []string{"receive-app shop " + c, "deploy-source-set shop git-push " + c}
	for _, test := range []struct {
		name   string
		branch string // that is deployed, by settings
		ships  []string
		lines  []string
		fired  []string
		says   string
	}{
		{name: "master", lines: []string{none + " " + c + " refs/heads/master"}, fired: built},
		{name: "another, and nobody wants it", branch: "master", lines: []string{none + " " + c + " refs/heads/feature/one"}, says: "feature/one is not the deploy branch of shop, which is master"},
		{name: "another, and a plugin wants it", branch: "master", ships: []string{"receive-branch"}, lines: []string{none + " " + c + " refs/heads/feature"},
			fired: []string{"receive-branch shop " + c + " refs/heads/feature"}},
		{name: "a tag", ships: []string{"receive-branch"}, lines: []string{none + " " + c + " refs/tags/v1"}},
		{name: "another is deleted", branch: "master", ships: []string{"receive-branch"}, lines: []string{c + " " + none + " refs/heads/feature"}},
		{name: "a tag and the branch", lines: []string{none + " " + c + " refs/tags/v1", none + " " + c + " refs/heads/master"}, fired: built},
		{name: "a branch of the settings", branch: "production", lines: []string{none + " " + c + " refs/heads/production"}, fired: built},
		{name: "main of an app that says nothing", lines: []string{none + " " + c + " refs/heads/main"}, fired: built, says: "-----> Set main to DOKKU_DEPLOY_BRANCH."},
	} {
		t.Run(test.name, func(t *testing.T) {
			w.t, w.ships = t, test.ships
			w.set("git/deploy-branch", test.branch)
			if err := w.hook(test.lines...); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.fired, w.fired); diff != "" {
				t.Error(diff)
			}
			if said := w.out.String() + w.err.String(); !strings.Contains(said, test.says) {
				t.Errorf("it says %q", said)
			}
		})
	}
}

// set gives the app a property, or takes it.
func (w *world) set(name, value string) {
	w.t.Helper()
	_, _, err := w.Host.Settings.Change("shop", func(now *agent.Settings) error {
		now.Properties[name] = value
		if value == "" {
			delete(now.Properties, name)
		}
		return nil
	})
	must(w.t, err)
}

// TestHookRefuses: what is refused builds nothing and deploys nothing.
func TestHookRefuses(t *testing.T) {
	w := newWorld(t)
	c := w.commit(map[string]string{"Procfile": "web: x\n"})
	for _, test := range []struct {
		name, line string
		code       api.Code
		says       string
		given      func()
	}{
		{name: "the deploy branch goes", line: c + " " + none + " refs/heads/master", code: api.Refused, says: "cannot be deleted"},
		{name: "an option", line: none + " " + c + " refs/heads/--upload-pack=x", code: api.Refused, says: "cannot be the name of a branch"},
		{name: "a shell's word", line: none + " " + c + " refs/heads/a;$(id)", code: api.Refused, says: "cannot be the name of a branch"},
		{name: "no commit", line: none + " HEAD refs/heads/master", code: api.WrongProtocol, says: "OLD NEW REF"},
		{name: "locked", line: none + " " + c + " refs/heads/master", code: api.Locked, says: "shop is locked", given: func() { w.set("apps/locked", "true") }},
		{name: "signed only", line: none + " " + c + " refs/heads/master", code: api.Refused, says: "signed", given: func() { w.set(agent.SigningRequired, "true") }},
		{name: "a plugin", line: none + " " + c + " refs/heads/master", code: api.BuildFailed, says: "a plugin says no", given: func() { w.refuses = "receive-app" }},
		{name: "no builder", line: none + " " + c + " refs/heads/master", code: api.Precondition, says: "this host cannot build", given: func() { w.Builder = nil }},
	} {
		t.Run(test.name, func(t *testing.T) {
			w.t = t
			if test.given != nil {
				test.given()
			}
			err := w.hook(test.line)
			if problem := api.AsError(err); err == nil || !strings.Contains(problem.Error(), test.says) {
				t.Errorf("%v, want %q", err, test.says)
			}
			if len(w.builds)+len(w.deploys) > 0 {
				t.Errorf("built %d, deployed %d", len(w.builds), len(w.deploys))
			}
			w.set("apps/locked", "")
			w.set(agent.SigningRequired, "")
			w.refuses, w.Builder = "", w
		})
	}
	w.t = t
	t.Setenv(receives, "")
	if err := w.Hook(t.Context(), "shop"); api.AsError(err).Code != api.Refused {
		t.Errorf("a hook that nobody pushes to: %v", err)
	}
}

// TestBuild: what the builder and the deploy are given, and what stays.
func TestBuild(t *testing.T) {
	w := newWorld(t)
	c := w.commit(map[string]string{"Procfile": "web: x\n", "sub/file": "text", "own": "link:sub/file", "null": "link:/dev/null"})
	w.set("docker-options/_default_.build", "--build-arg A=1\n--no-cache")
	_, _, err := w.Host.Settings.Change("--global", func(now *agent.Settings) error { now.Env = map[string]string{"A": "global", "B": "global"}; return nil })
	must(t, err)
	_, _, err = w.Host.Settings.Change("shop", func(now *agent.Settings) error { now.Env = map[string]string{"A": "own"}; return nil })
	must(t, err)
	w.fail = &api.Error{Code: api.BlobsMissing, Missing: []string{"sha256:2"}}
	must(t, w.hook(none+" "+c+" refs/heads/master"))
	if len(w.builds) != 2 || len(w.deploys) != 2 {
		t.Fatalf("built %d times, deployed %d times", len(w.builds), len(w.deploys))
	}
	source := w.builds[1]
	source.Dir = ""
	from := api.Source{Revision: c, Branch: "master", Author: "Ada <ada@example.com>"}
	want := Source{App: "shop", From: from, Config: map[string]string{"A": "own", "B": "global"}, Options: []string{"--build-arg A=1", "--no-cache"}, Missing: []string{"sha256:2"}, By: w.By}
	if diff := cmp.Diff(want, source); diff != "" {
		t.Error(diff)
	}
	if w.trees[0] != "Procfile null own sub/file" {
		t.Errorf("the tree is %q", w.trees[0])
	}
	if diff := cmp.Diff(api.ReleaseDocument{Image: api.Image{ID: "sha256:1"}, Source: from}, w.deploys[1].Document); diff != "" {
		t.Error(diff)
	}
	if _, err := os.Stat(w.builds[0].Dir); err == nil {
		t.Error("the tree is still there")
	}
	if head, _, err := Head(t.Context(), w.Host, "shop"); err != nil || head != "" {
		t.Errorf("the hook has moved the branch itself, to %s (%v)", head, err)
	}
	_ = os.Unsetenv(receives)
	must(t, w.App(t.Context(), "shop", c)) // a plugin's own receive-app
	if head, _, err := Head(t.Context(), w.Host, "shop"); err != nil || head != c {
		t.Errorf("the branch is %q (%v), want %s", head, err, c)
	}
}

// TestLinksOut: a tree with a link to something of the host's is refused before a build.
func TestLinksOut(t *testing.T) {
	canary := filepath.Join(t.TempDir(), "canary")
	must(t, os.WriteFile(canary, []byte("secret"), 0o600))
	for name, to := range map[string]string{"absolute": canary, "above": "../../../../../../../../../../../etc/passwd", "folder": "/etc"} {
		w := newWorld(t)
		c := w.commit(map[string]string{"Procfile": "link:" + to})
		if err := w.hook(none + " " + c + " refs/heads/master"); err == nil || !strings.Contains(err.Error(), "link out of the repository") || len(w.builds) > 0 {
			t.Errorf("%s: %v, %d builds", name, err, len(w.builds))
		}
	}
}

// TestOneAtATime: a second build of an app is refused and told whose the first is; one of
// another app waits.
func TestOneAtATime(t *testing.T) {
	w := newWorld(t)
	c := w.commit(map[string]string{"Procfile": "web: x\n"})
	done, err := w.claim(t.Context(), "shop")
	must(t, err)
	err = w.hook(none + " " + c + " refs/heads/master")
	if problem := api.AsError(err); problem.Code != api.Locked || !strings.Contains(problem.Error(), `a push of shop by key "alice" (pid `+strconv.Itoa(os.Getpid())) || len(w.builds) > 0 {
		t.Errorf("%v", err)
	}
	done()
	lock, _, err := w.Host.Ledger.Lock("shop", api.Lock{Key: "bob", PID: os.Getpid(), Request: "request-1"})
	must(t, err)
	if err := w.hook(none + " " + c + " refs/heads/master"); api.AsError(err).Code != api.Locked || !strings.Contains(err.Error(), `request request-1 by key "bob"`) {
		t.Errorf("while somebody deploys: %v", err)
	}
	must(t, lock.Unlock())
	other, err := w.queue(t.Context(), "other")
	must(t, err)
	w.waits = other
	must(t, w.hook(none+" "+c+" refs/heads/master"))
	if !strings.Contains(w.out.String(), `Waiting for the host to finish a push of other by key "alice"`) || len(w.builds) != 1 {
		t.Errorf("%d builds, and it says %q", len(w.builds), w.out.String())
	}
}

// TestRebuilds: when ps:rebuild builds from the repository.
func TestRebuilds(t *testing.T) {
	w := newWorld(t)
	c := w.commit(map[string]string{"Procfile": "web: x\n"})
	builds := func(want bool, what string) {
		t.Helper()
		if got, err := Builds(t.Context(), w.Host, "shop"); err != nil || got != want {
			t.Errorf("%s: %t, %v", what, got, err)
		}
	}
	builds(false, "never pushed")
	must(t, w.App(t.Context(), "shop", ""))
	if len(w.builds) != 0 {
		t.Errorf("of nothing it built %+v", w.builds)
	}
	must(t, w.App(t.Context(), "shop", c))
	builds(true, "never deployed")
	w.set("apps/deploy-source", "git-push")
	must(t, w.Host.Ledger.Save("shop", agent.Record{Release: api.Release{Version: 1}, Document: api.ReleaseDocument{Source: api.Source{Revision: c}}}))
	must(t, w.Host.Ledger.SetCurrent("shop", 1))
	builds(true, "pushed")
	must(t, w.Host.Ledger.Save("shop", agent.Record{Release: api.Release{Version: 2}, Document: api.ReleaseDocument{Source: api.Source{Revision: strings.Repeat("a", 40)}}}))
	must(t, w.Host.Ledger.SetCurrent("shop", 2))
	builds(false, "deployed by a client since")
	w.builds = nil
	must(t, w.App(t.Context(), "shop", ""))
	if len(w.builds) != 0 {
		t.Errorf("a rebuild of what came in another way built %+v", w.builds)
	}
	must(t, w.Host.Ledger.SetCurrent("shop", 1))
	must(t, w.App(t.Context(), "shop", ""))
	if len(w.builds) != 1 || w.builds[0].From.Revision != c {
		t.Errorf("receive-app without a commit built %+v", w.builds)
	}
	must(t, w.App(t.Context(), "shop", strings.Repeat("b", 40))) // another plugin's
	must(t, w.App(t.Context(), "nobody", ""))
	if len(w.builds) != 1 {
		t.Errorf("%d builds", len(w.builds))
	}

	next := w.commit(map[string]string{"Procfile": "web: next\n"})
	command(t, w.Host.Places.App("shop"), "git", "update-ref", "refs/heads/next", next)
	for version, source := range map[int]api.Source{3: {Revision: c, Branch: "master"}, 4: {Revision: strings.Repeat("a", 40), Branch: "master"}, 5: {Branch: "--x"}} {
		must(t, w.Host.Ledger.Save("shop", agent.Record{Release: api.Release{Version: version}, Document: api.ReleaseDocument{Source: source}}))
	}
	w.set("git/deploy-branch", "next")
	must(t, w.Host.Ledger.SetCurrent("shop", 4))
	builds(false, "deployed by a client, and then another deploy branch")
	must(t, w.Host.Ledger.SetCurrent("shop", 5))
	builds(false, "a branch that is none")
	must(t, w.Host.Ledger.SetCurrent("shop", 3))
	builds(true, "pushed, and then another deploy branch")
	w.builds = nil
	must(t, w.App(t.Context(), "shop", ""))
	if len(w.builds) != 1 || w.builds[0].From.Revision != next || w.builds[0].From.Branch != "next" {
		t.Errorf("a rebuild of the new deploy branch built %+v", w.builds)
	}
}

// daemon serves the repositories below a folder by git's own protocol.
func daemon(t *testing.T, base string) (address string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	port := listener.Addr().(*net.TCPAddr).Port
	must(t, listener.Close())
	serving := exec.Command("git", "daemon", "--reuseaddr", "--export-all", "--listen=127.0.0.1", "--port="+strconv.Itoa(port), "--base-path="+base, base)
	serving.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // git starts another program, which does the work
	must(t, serving.Start())
	t.Cleanup(func() { _ = syscall.Kill(-serving.Process.Pid, syscall.SIGKILL); _ = serving.Wait() })
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port)); err == nil {
			_ = conn.Close()
			return fmt.Sprintf("git://127.0.0.1:%d", port)
		} else if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}

// TestSubmodules: they are part of the tree, and none of them is fetched from the host's own
// files.
func TestSubmodules(t *testing.T) {
	w := newWorld(t)
	base := t.TempDir()
	library := filepath.Join(base, "library")
	must(t, os.Mkdir(library, 0o755))
	command(t, library, "git", "init", "--quiet")
	must(t, os.WriteFile(filepath.Join(library, "code"), []byte("code"), 0o644))
	command(t, library, "git", "add", "code")
	command(t, library, "git", "commit", "--quiet", "--message", "a library")
	commit := command(t, library, "git", "rev-parse", "HEAD")
	address := daemon(t, base)
	with := func(url string) string {
		dir := t.TempDir()
		command(t, dir, "git", "init", "--quiet", "--initial-branch=master")
		must(t, os.WriteFile(filepath.Join(dir, ".gitmodules"), []byte("[submodule \"lib\"]\n\tpath = lib\n\turl = "+url+"\n"), 0o644))
		command(t, dir, "git", "add", ".gitmodules")
		command(t, dir, "git", "update-index", "--add", "--cacheinfo", "160000,"+commit+",lib")
		command(t, dir, "git", "commit", "--quiet", "--message", "with a library")
		must(t, Initialize(t.Context(), w.Host.Places, "shop"))
		command(t, dir, "git", "push", "--quiet", "--force", "--receive-pack=git -c core.hooksPath=/dev/null receive-pack", w.Host.Places.App("shop"), "master:refs/pushed/master")
		return command(t, dir, "git", "rev-parse", "HEAD")
	}
	must(t, w.hook(none+" "+with(address+"/library")+" refs/heads/master"))
	if len(w.trees) != 1 || w.trees[0] != ".gitmodules lib/code" {
		t.Errorf("the trees are %q", w.trees)
	}
	for _, url := range []string{library, "file://" + library, "ext::sh -c id"} {
		if err := w.hook(none + " " + with(url) + " refs/heads/master"); err == nil || len(w.builds) > 0 || !strings.Contains(err.Error(), "submodules") {
			t.Errorf("%s: %v, %d builds", url, err, len(w.builds))
		}
	}
}

// TestAppName: git quotes the app, and a URL puts a slash before it.
func TestAppName(t *testing.T) {
	for argument, want := range map[string]string{"'shop'": "shop", "'/shop'": "shop", "/shop/": "shop", "shop": "shop", "'../shop'": "../shop"} {
		if got := AppName(argument); got != want {
			t.Errorf("%s: %s, want %s", argument, got, want)
		}
	}
}
