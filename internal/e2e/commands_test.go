package e2e

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dokku-push/dokku-push/agent/command"
	"github.com/dokku-push/dokku-push/internal/testkit"
)

// dokku runs a command over ssh and fails the test unless it exits as wanted.
func dokku(t *testing.T, h *testkit.Host, exit int, args ...string) testkit.Result {
	t.Helper()
	r := h.Dokku(t, args...)
	if r.Exit != exit {
		t.Fatalf("dokku %s: exit %d, want %d\nstdout: %s\nstderr: %s", strings.Join(args, " "), r.Exit, exit, r.Stdout, r.Stderr)
	}
	return r
}

// prints fails the test unless a command that went well printed exactly this.
func prints(t *testing.T, h *testkit.Host, want string, args ...string) {
	t.Helper()
	if r := dokku(t, h, 0, args...); r.Stdout != want {
		t.Errorf("dokku %s printed %q, want %q (stderr %q)", strings.Join(args, " "), r.Stdout, want, r.Stderr)
	}
}

// refuses fails the test unless a command is refused with the exit code and the text.
func refuses(t *testing.T, h *testkit.Host, exit int, says string, args ...string) {
	t.Helper()
	r := h.Dokku(t, args...)
	if r.Exit != exit || !strings.Contains(r.Stderr, says) || !strings.HasPrefix(r.Stderr, " !     ") {
		t.Errorf("dokku %s: exit %d, stdout %q, stderr %q; want exit %d and %q", strings.Join(args, " "), r.Exit, r.Stdout, r.Stderr, exit, says)
	}
}

// talkative is the app hello, which says its container and COLOUR, and prints lines.
func talkative(t *testing.T) string {
	t.Helper()
	dir := testkit.CopyApp(t, "hello")
	testkit.Edit(t, dir, "www/cgi-bin/index.cgi", `"$greeting"`, `"$greeting from $DYNO, <$COLOUR>"`)
	procfile := `web: (n=0; while sleep 0.2; do n=$((n+1)); echo "tick $n"; done) & exec busybox httpd -f -p "$PORT" -h /www` + "\n"
	if err := os.WriteFile(filepath.Join(dir, "Procfile"), []byte(procfile), 0o644); err != nil {
		t.Fatal(err)
	}
	return dir
}

// talking is a new host with the talkative app on it.
func talking(t *testing.T) (h *testkit.Host, dir, app string) {
	t.Helper()
	h = testkit.Serve(t, testkit.ServeOptions{})
	dir, app = talkative(t), h.App(t, "talk")
	pushed(t, h.Push(t, dir, "--app", app))
	return h, dir, app
}

// files is every file under a host's state, with its content; what only grows with
// requests, logs and locks, is left out.
func files(t *testing.T, dirs ...string) string {
	t.Helper()
	var all strings.Builder
	for _, dir := range dirs {
		err := filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) && path != dir {
				return nil // gone since its folder was read
			}
			if err != nil || strings.HasSuffix(path, ".lock") {
				return err
			}
			if strings.HasSuffix(path, "/lib/data/apps") {
				return filepath.SkipDir // locks, which the watch takes too
			}
			fmt.Fprintf(&all, "%s %s", path, entry.Type())
			if entry.Type().IsRegular() {
				text, err := os.ReadFile(path)
				if err != nil && !errors.Is(err, fs.ErrNotExist) {
					return err
				}
				fmt.Fprintf(&all, " %q", text)
			}
			all.WriteString("\n")
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return all.String()
}

// same fails the test where a refused act has changed files, and shows the lines.
func same(t *testing.T, what, before, after string) {
	t.Helper()
	if diff := cmp.Diff(strings.Split(before, "\n"), strings.Split(after, "\n")); diff != "" {
		t.Errorf("%s (-before +after):\n%s", what, diff)
	}
}

// state is the host's own files: what a refused command may not change. Retiring is what
// a host still does after its answer: it has written what it writes.
func state(t *testing.T, h *testkit.Host) string {
	t.Helper()
	const retire = `\"step\":\"retire\",\"state\":\"`
	read := func() string { return files(t, filepath.Join(h.Root, "home"), filepath.Join(h.Root, "lib")) }
	former := read()
	for deadline := time.Now().Add(2 * time.Minute); time.Now().Before(deadline); {
		time.Sleep(100 * time.Millisecond)
		now := read()
		if now == former && strings.Count(now, retire+"begin") == strings.Count(now, retire+"done") {
			return now
		}
		former = now
	}
	t.Fatalf("the files of the host do not settle:\n%s", former)
	return ""
}

// docker runs the docker program and returns what it printed.
func docker(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.Command("docker", args...).CombinedOutput()
	if err != nil {
		t.Fatalf("docker %v: %v\n%s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

// quote makes one word of ssh's command line of a text.
func quote(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }

func TestCommandsApps(t *testing.T) {
	t.Parallel()
	h := testkit.Serve(t, testkit.ServeOptions{})
	prints(t, h, "=====> My Apps\n", "apps:list")
	app, other := h.App(t, "apps"), h.App(t, "zother")
	for _, word := range []string{"status", "releases"} {
		if r := h.Push(t, t.TempDir(), word, "--app", app); r.Exit != 22 || r.Stdout != "" || !strings.Contains(r.Stderr, "there is no app "+app+" on this host") {
			t.Errorf("%s of no app: %+v", word, r)
		}
	}
	prints(t, h, "-----> Creating "+app+"...\n", "apps:create", app)
	prints(t, h, "-----> Creating "+other+"...\n", "--app", other, "apps:create")
	refuses(t, h, 1, "Name is already taken", "apps:create", app)
	prints(t, h, "=====> My Apps\n"+app+"\n"+other+"\n", "apps:list")
	prints(t, h, app+"\n"+other+"\n", "--quiet", "apps:list")
	prints(t, h, "", "apps:exists", app)
	prints(t, h, "", "--app", app, "apps:exists")
	refuses(t, h, 20, "App nobody does not exist", "apps:exists", "nobody")
	for _, word := range []string{"config:show", "domains:add", "ps:scale", "ps:restart", "ps:stop", "ps:start", "ps:rebuild", "ps:report", "logs", "url", "urls", "tags", "run", "apps:destroy"} {
		refuses(t, h, 20, "App nobody does not exist", word, "nobody", "x=1")
	}
	for _, word := range []string{"apps:create", "apps:exists", "config:show", "ps:restart", "logs", "url", "run", "tags"} {
		refuses(t, h, 1, "Please specify an app to run the command on", word)
	}
	before := state(t, h)
	refuses(t, h, 1, "Confirmation did not match", "apps:destroy", app)
	wrong := h.DokkuCommand(t, "apps:destroy", app)
	wrong.Stdin = strings.NewReader(other + "\n")
	if r := testkit.Run(t, wrong); r.Exit != 1 || !strings.Contains(r.Stderr, "Aborted") {
		t.Errorf("destroy with another app's name as confirmation: %+v", r)
	}
	same(t, "a destroy that nobody confirmed changed the host", before, state(t, h))
	right := h.DokkuCommand(t, "apps:destroy", app)
	right.Stdin = strings.NewReader(app + "\n")
	if r := testkit.Run(t, right); r.Exit != 0 || r.Stdout != "-----> Destroying "+app+" (including all add-ons)\n" {
		t.Errorf("a confirmed destroy: %+v", r)
	}
	refuses(t, h, 20, "does not exist", "apps:exists", app)
	prints(t, h, other+"\n", "apps:list", "--quiet")
}

// TestCommandsDestroy: nothing of a destroyed app is left, in the engine, in files, in
// nginx or in the kernel's map.
func TestCommandsDestroy(t *testing.T) {
	t.Parallel()
	h := testkit.Serve(t, testkit.ServeOptions{Args: []string{"--traffic", "map"}})
	stays := h.App(t, "stays")
	good := testkit.CopyApp(t, "hello")
	pushed(t, h.Push(t, good, "--app", stays))
	elements := mapElements(t, h)
	dir, app := testkit.CopyApp(t, "goweb"), h.App(t, "gone")
	pushed(t, h.Push(t, dir, "--app", app))
	dokku(t, h, 0, "tags:create", app, "kept")
	if more := mapElements(t, h); more <= elements {
		t.Fatalf("the map has %d elements with the app and %d without: this tests nothing", more, elements)
	}
	dokku(t, h, 0, "apps:destroy", app, "--force")
	if left := docker(t, "ps", "-aq", "--filter", "label=com.dokku.app-name="+app); left != "" {
		t.Errorf("containers are left: %s", left)
	}
	if left := docker(t, "image", "ls", "-q", "dokku/"+app); left != "" {
		t.Errorf("images are left: %s", left)
	}
	for line := range strings.Lines(files(t, filepath.Join(h.Root, "home"), filepath.Join(h.Root, "lib"), filepath.Join(h.Root, "nginx"))) {
		if strings.Contains(line, app) && !strings.Contains(line, ".log ") {
			t.Errorf("a file is left, or names the app: %.300s", line)
		}
	}
	if left := mapElements(t, h); left != elements {
		t.Errorf("the map has %d elements, want %d as before", left, elements)
	}
	if code, body := h.Get(t, app, "/"); code == 200 {
		t.Errorf("the destroyed app answers %q", body)
	}
	answers(t, h, stays, "/", "Hello")
	pushed(t, h.Push(t, dir, "--app", app)) // the name is free again
	answers(t, h, app, "/", "Hello from goweb")
}

// mapElements counts the addresses of the host's kernel map.
func mapElements(t *testing.T, h *testkit.Host) int {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(h.Root, "lib/data/agent/host.json"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), `"table": "`)
	table, _, found := strings.Cut(rest, `"`)
	if !found {
		t.Fatalf("host.json names no table:\n%s", text)
	}
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(100 * time.Millisecond) {
		out, err := exec.Command("nft", "list", "table", "ip", table).CombinedOutput()
		if err == nil {
			return strings.Count(string(out), " : ")
		}
		if time.Now().After(deadline) { // before that others may have changed theirs while it was read
			t.Fatalf("nft: %v\n%s", err, out)
		}
	}
}

// TestCommandsBadNames: names that no app may have (ALSO-REFUSE A) change nothing.
func TestCommandsBadNames(t *testing.T) {
	t.Parallel()
	h := testkit.Serve(t, testkit.ServeOptions{})
	var names []string
	for _, c := range ";$`|&><(){}[]*?!#\\\"'~ \t\n\r_:/@%,=+^" {
		names = append(names, "a"+string(c)+"b")
	}
	names = append(names, "Upper", "aB", "-a", ".a", "a-", "a.", "a..b", "..", ".", "", strings.Repeat("a", 64),
		"\u0430pp", "a\u200bb", "a\u202eb", "a\xffb", "%61pp", "a/../b", "../a", "$(id)", "`id`",
		"--global", "global", "dokku", ".ssh", "tls", "VHOST")
	before := state(t, h)
	for _, name := range names {
		r := h.Dokku(t, "apps:create", quote(name))
		if r.Exit != 1 || r.Stdout != "" || !strings.HasPrefix(r.Stderr, " !     ") {
			t.Errorf("apps:create %q: %+v, want it refused", name, r)
		}
		same(t, fmt.Sprintf("apps:create %q changed the host", name), before, state(t, h))
	}
	dir := testkit.CopyApp(t, "hello")
	for _, name := range []string{"Upper", "a;b", "-a", "global"} {
		if r := h.Push(t, dir, "--app="+name); r.Exit == 0 {
			t.Errorf("a push to %q went well", name)
		}
		same(t, fmt.Sprintf("a push to %q changed the host", name), before, state(t, h))
	}
}

func TestCommandsOther(t *testing.T) {
	t.Parallel()
	h := testkit.Serve(t, testkit.ServeOptions{})
	app := h.App(t, "other")
	dokku(t, h, 0, "apps:create", app)
	dokku(t, h, 0, "domains:add", app, app+".example.com")
	url := dokku(t, h, 0, "url", app).Stdout
	if !strings.HasPrefix(url, "http://"+app+".localhost") || strings.Count(url, "\n") != 1 {
		t.Errorf("url printed %q", url)
	}
	urls := dokku(t, h, 0, "--app", app, "urls").Stdout
	if !strings.HasPrefix(urls, url) || !strings.Contains(urls, "http://"+app+".example.com") || strings.Count(urls, "\n") != 2 {
		t.Errorf("urls printed %q", urls)
	}
	if r := dokku(t, h, 0, "version"); !strings.HasPrefix(r.Stdout, "dokku version ") {
		t.Errorf("version printed %q", r.Stdout)
	}
	if help := dokku(t, h, 0, "help").Stdout; !strings.Contains(help, "    apps  ") || strings.Contains(help, "apps:create") {
		t.Errorf("help is no list of nouns:\n%s", help)
	}
	help := dokku(t, h, 0, "help", "--all").Stdout
	for _, row := range command.Table() {
		if !strings.Contains(help, "    "+row.Name+" ") || !strings.Contains(help, row.Help) {
			t.Errorf("help does not list %s:\n%s", row.Name, help)
		}
	}
	refuses(t, h, 1, " !     `nonsense with words' is not a dokku command.\n !     See `dokku help' for a list of available commands.\n", "nonsense", "with", "words")
	before := state(t, h)
	refuses(t, h, 1, "newline", "apps:list\napps:create", "second")
	refuses(t, h, 1, "newline", quote("apps:create\nx"))
	refuses(t, h, 1, "quote", "apps:create 'open")
	same(t, "refused command lines changed the host", before, state(t, h))
	for _, word := range []string{"/bin/sh", "sh", "docker ps", "agent:http more", "scp -t /", "git-upload-pack '/etc'"} {
		if r := h.Dokku(t, word); r.Exit == 0 || r.Stdout != "" {
			t.Errorf("%s over the key: %+v", word, r)
		}
	}
}
