package e2e

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dokku-push/dokku-push/agent/command"
	"github.com/dokku-push/dokku-push/api"
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

// page asks nginx for a domain's front page.
func page(t *testing.T, h *testkit.Host, domain string) (int, string) {
	t.Helper()
	request, err := http.NewRequest(http.MethodGet, "http://"+h.HTTP+"/", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Host, request.Close = domain, true
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(body)
}

// files is every file under a host's state, with its content; what only grows with
// requests, logs and locks, is left out.
func files(t *testing.T, dirs ...string) string {
	t.Helper()
	var all strings.Builder
	for _, dir := range dirs {
		err := filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
			if err != nil || strings.HasSuffix(path, ".lock") {
				return err
			}
			if strings.HasSuffix(path, "/lib/data/apps") {
				return filepath.SkipDir // locks, which the watch takes too
			}
			fmt.Fprintf(&all, "%s %s", path, entry.Type())
			if entry.Type().IsRegular() {
				text, err := os.ReadFile(path)
				if err != nil {
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

// state is the host's own files: what a refused command may not change.
func state(t *testing.T, h *testkit.Host) string {
	t.Helper()
	return files(t, filepath.Join(h.Root, "home"), filepath.Join(h.Root, "lib"))
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
	h := testkit.Serve(t, testkit.ServeOptions{})
	refuses(t, h, 1, "You haven't deployed any applications yet", "apps:list")
	app, other := h.App(t, "apps"), h.App(t, "zother")
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
	out, err := exec.Command("nft", "list", "ruleset").CombinedOutput()
	if err != nil {
		t.Fatalf("nft: %v\n%s", err, out)
	}
	_, rest, _ = strings.Cut(string(out), table+" {")
	rest, _, _ = strings.Cut(rest, "\n}")
	return strings.Count(rest, " : ")
}

// TestCommandsBadNames: names that no app may have (ALSO-REFUSE A) change nothing.
func TestCommandsBadNames(t *testing.T) {
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

func TestCommandsConfig(t *testing.T) {
	h := testkit.Serve(t, testkit.ServeOptions{})
	app := h.App(t, "config")
	dokku(t, h, 0, "apps:create", app)
	prints(t, h, "-----> Setting config vars\n       A:   1\n       BB:  two words\n", "config:set", app, "A=1", quote("BB=two words"))
	for _, value := range []string{"plain", "two words", `it's "quoted"`, "$(touch /tmp/x) `id` $HOME", "a=b=c", "", `back\slash`, "ünïcode", "--no-restart"} {
		dokku(t, h, 0, "config:set", app, quote("KEY="+value))
		prints(t, h, value+"\n", "config:get", app, "KEY")
	}
	for _, value := range []string{"two\nlines", "-----BEGIN KEY-----\nabc\n-----END KEY-----\n", "'\n\"$(id)\n"} {
		dokku(t, h, 0, "config:set", "--encoded", app, "KEY="+base64.StdEncoding.EncodeToString([]byte(value)))
		prints(t, h, value+"\n", "config:get", app, "KEY")
	}
	prints(t, h, "=====> "+app+` env vars
A:    1
BB:   two words
KEY:  '\n"$(id)\n
`, "config:show", app)
	prints(t, h, "-----> Unsetting KEY\n-----> Unsetting BB\n", "config:unset", app, "KEY", "BB")
	if r := dokku(t, h, 1, "config:get", app, "KEY"); r.Stdout != "" || r.Stderr != "" {
		t.Errorf("config:get of an unset key says something: %+v", r)
	}
	prints(t, h, "-----> Setting config vars\n       GLOBAL:  yes\n", "config:set", "--global", "GLOBAL=yes")
	prints(t, h, "yes\n", "config:get", "--global", "GLOBAL")
	prints(t, h, "=====> global env vars\nGLOBAL:  yes\n", "config:show", "--global")
	prints(t, h, "A:       1\nGLOBAL:  yes\n", "--quiet", "config:show", app, "--merged")
	before := state(t, h)
	refuses(t, h, 1, "At least one env pair must be given", "config:set", app)
	refuses(t, h, 1, "Invalid env pair: NOVALUE", "config:set", app, "NOVALUE")
	refuses(t, h, 1, "base64", "config:set", "--encoded", app, "KEY=not*base64")
	refuses(t, h, 1, "At least one key must be given", "config:unset", app)
	for _, key := range []string{"1A", "A-B", "A B", "A.B", "", "Ä"} {
		refuses(t, h, 1, "", "config:set", app, quote(key+"=x"))
	}
	same(t, "refused commands changed the host", before, state(t, h))
}

// TestCommandsConfigRestart: a new value reaches the app with a restart, and not before.
func TestCommandsConfigRestart(t *testing.T) {
	h, dir, app := talking(t)
	dokku(t, h, 0, "config:set", "--no-restart", app, "COLOUR=blue")
	answers(t, h, app, "/", "<>")
	dokku(t, h, 0, "ps:restart", app)
	answers(t, h, app, "/", "<blue>")
	set := dokku(t, h, 0, "config:set", app, quote("COLOUR=dark red"))
	answers(t, h, app, "/", "<dark red>")
	for _, want := range []string{"-----> Setting config vars\n", "-----> Restarting app " + app + "\n", "=====> Application deployed:\n       http://" + app + ".localhost"} {
		if !strings.Contains(set.Stdout, want) {
			t.Errorf("config:set does not print %q:\n%s", want, set.Stdout)
		}
	}
	dokku(t, h, 0, "config:unset", app, "COLOUR")
	answers(t, h, app, "/", "<>")
	if got := status(t, h, dir, app); len(got.Releases) != 4 || got.Releases[3].Run != got.Releases[0].Run {
		t.Errorf("the releases are %+v, want four of the same image", got.Releases)
	}
}

func TestCommandsDomains(t *testing.T) {
	h, _, app := talking(t)
	other := h.App(t, "other")
	dokku(t, h, 0, "apps:create", other)
	own, extra := app+".localhost", app+".example.com"
	prints(t, h, "-----> Added "+extra+" to "+app+"\n", "domains:add", app, extra)
	if code, body := page(t, h, extra); code != 200 || !strings.Contains(body, "Hello") {
		t.Errorf("the new domain answers %d %q", code, body)
	}
	prints(t, h, own+" "+extra+"\n", "domains:report", app, "--domains-app-vhosts")
	report := dokku(t, h, 0, "domains:report", app).Stdout
	for _, want := range []string{"=====> " + app + " domains information\n", "Domains app enabled:           true\n", "Domains app vhosts:            " + own + " " + extra + "\n", "Domains global vhosts:         localhost\n"} {
		if !strings.Contains(report, want) {
			t.Errorf("domains:report does not print %q:\n%s", want, report)
		}
	}
	before := state(t, h)
	refuses(t, h, 1, extra+" belongs to the app "+app, "domains:add", other, extra)
	refuses(t, h, 1, extra+" belongs to the app "+app, "domains:set", other, extra)
	refuses(t, h, 1, "Please specify a domain", "domains:add", app)
	refuses(t, h, 1, "valid flags: --domains-app-enabled", "domains:report", app, "--nonsense")
	for _, bad := range []string{"a;b", "a{b}", "a b.com", "$host", "it's.com", "*.*.com", "a.*.com", "-a.com", "a_b.com", "a..com", "10.0.0.1", strings.Repeat("a", 64) + ".com", "münchen.de", "a/b", "a.com."} {
		refuses(t, h, 1, "", "domains:add", app, quote(bad))
	}
	same(t, "refused domains changed the host", before, state(t, h))
	prints(t, h, "-----> Removed "+extra+" from "+app+"\n", "domains:remove", app, extra)
	if code, body := page(t, h, extra); code == 200 && strings.Contains(body, "Hello") {
		t.Errorf("the removed domain answers %q", body)
	}
	prints(t, h, "-----> Set "+extra+" for "+app+"\n", "domains:set", app, extra)
	if code, _ := page(t, h, extra); code != 200 {
		t.Errorf("the domain that was set answers %d", code)
	}

	// A site that nginx does not take leaves domains and site as they were.
	snippet := filepath.Join(h.Root, "home", app, "nginx.conf.d", "broken.conf")
	if err := os.MkdirAll(filepath.Dir(snippet), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(snippet, []byte("this is no directive;\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	before = state(t, h)
	refuses(t, h, 1, "", "domains:add", app, "second."+extra)
	same(t, "a failing nginx changed the host", before, state(t, h))
	if code, _ := page(t, h, extra); code != 200 {
		t.Errorf("after a failing nginx the domain answers %d", code)
	}
	if err := os.Remove(snippet); err != nil {
		t.Fatal(err)
	}
	dokku(t, h, 0, "domains:add", app, "second."+extra)
}

// dynos asks the app until it has heard each of n containers, and returns who answered.
func dynos(t *testing.T, h *testkit.Host, app string, n int) map[string]bool {
	t.Helper()
	heard := map[string]bool{}
	for range 60 {
		code, body := h.Get(t, app, "/")
		_, name, found := strings.Cut(body, " from ")
		if code != 200 || !found {
			t.Fatalf("%s answers %d %q", app, code, body)
		}
		name, _, _ = strings.Cut(name, ",")
		if heard[name] = true; len(heard) > n {
			break
		}
	}
	return heard
}

// container finds one container of an app's state.
func container(t *testing.T, state api.AppState, process string, index int) api.Container {
	t.Helper()
	for _, c := range state.Containers {
		if c.Process == process && c.Index == index {
			return c
		}
	}
	t.Fatalf("there is no %s.%d: %+v", process, index, state.Containers)
	return api.Container{}
}

func TestCommandsPs(t *testing.T) {
	h, dir, app := talking(t)
	first := status(t, h, dir, app)
	up := dokku(t, h, 0, "ps:scale", app, "web=2")
	if want := "-----> Scaling " + app + " processes: web=2\n"; !strings.HasPrefix(up.Stdout, want) {
		t.Errorf("ps:scale prints %q, want it to begin with %q", up.Stdout, want)
	}
	if heard := dynos(t, h, app, 2); !heard["web.1"] || !heard["web.2"] {
		t.Errorf("scaled to two, %v answer", heard)
	}
	second := status(t, h, dir, app)
	if container(t, first, "web", 1).ID != container(t, second, "web", 1).ID {
		t.Error("scaling up replaced the container that was there")
	}
	prints(t, h, "-----> Scaling for "+app+"\nproctype: qty\n--------: ---\nweb:  2\n", "ps:scale", app)
	dokku(t, h, 0, "ps:scale", app, "web=1")
	if heard := dynos(t, h, app, 1); len(heard) != 1 || !heard["web.1"] {
		t.Errorf("scaled back to one, %v answer", heard)
	}
	third := status(t, h, dir, app)
	if len(third.Containers) != 1 || container(t, first, "web", 1).ID != container(t, third, "web", 1).ID {
		t.Errorf("scaling down left %+v", third.Containers)
	}
	before := status(t, h, dir, app).Hash
	for _, word := range []string{"web=-1", "web=01", "web=+1", "web=1e9", "web=NaN", "web=1000000000", "web=", "web", "Web=1", "web=1001"} {
		refuses(t, h, 1, "", "ps:scale", app, word)
	}
	refuses(t, h, 1, "web is scaled twice", "ps:scale", app, "web=1", "web=2")
	if r := dokku(t, h, 1, "ps:scale", app, "worker=1"); !strings.Contains(r.Stderr, `no process type "worker"`) {
		t.Errorf("scaling what the Procfile has not: %+v", r)
	}
	if after := status(t, h, dir, app).Hash; before != after {
		t.Error("refused scales changed the app")
	}
	report := dokku(t, h, 0, "ps:report", app).Stdout
	for _, want := range []string{"=====> " + app + " ps information\n", "Deployed:                      true\n", "Processes:                     1\n",
		"Ps can scale:                  true\n", "Ps restart policy:             on-failure:10\n", "Running:                       true\n", "Status web 1:                  running (CID: "} {
		if !strings.Contains(report, want) {
			t.Errorf("ps:report does not print %q:\n%s", want, report)
		}
	}
	prints(t, h, "true\n", "ps:report", app, "--running")

	for _, word := range []string{"ps:restart", "ps:rebuild"} {
		dokku(t, h, 0, word, app)
		answers(t, h, app, "/", "Hello")
		if now := status(t, h, dir, app); container(t, now, "web", 1).ID == container(t, third, "web", 1).ID {
			t.Errorf("%s kept the former container", word)
		} else {
			third = now
		}
	}
	prints(t, h, "-----> Stopping "+app+"\n", "ps:stop", app)
	if code, _ := h.Get(t, app, "/"); code != 502 {
		t.Errorf("a stopped app answers %d, want 502", code)
	}
	prints(t, h, "false\n", "ps:report", app, "--running")
	dokku(t, h, 0, "ps:start", app)
	answers(t, h, app, "/", "Hello")
	prints(t, h, "true\n", "ps:report", app, "--running")
}

// TestCommandsScaleFormation: what app.json scales is not scaled by command.
func TestCommandsScaleFormation(t *testing.T) {
	h := testkit.Serve(t, testkit.ServeOptions{})
	dir, app := testkit.CopyApp(t, "goweb"), h.App(t, "formed")
	pushed(t, h.Push(t, dir, "--app", app))
	before := status(t, h, dir, app).Hash
	refuses(t, h, 1, "contains an app.json file with a formations key and cannot be manually scaled", "ps:scale", app, "web=2")
	prints(t, h, "false\n", "ps:report", app, "--ps-can-scale")
	if after := status(t, h, dir, app).Hash; before != after {
		t.Error("a refused scale changed the app")
	}
}

// clients counts processes of the host that serve a command.
func serving(t *testing.T, command string) (pids []string) {
	t.Helper()
	environs, err := filepath.Glob("/proc/[0-9]*/environ")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range environs {
		text, err := os.ReadFile(file)
		if err == nil && bytes.Contains(text, []byte("SSH_ORIGINAL_COMMAND="+command+"\x00")) {
			pids = append(pids, file)
		}
	}
	return pids
}

func TestCommandsLogs(t *testing.T) {
	h, dir, app := talking(t)
	dokku(t, h, 0, "ps:scale", app, "web=2")
	time.Sleep(time.Second)
	all := dokku(t, h, 0, "logs", app).Stdout
	for _, want := range []string{" app[web.1]: tick 1\n", " app[web.2]: tick 1\n"} {
		if !strings.Contains(all, want) {
			t.Errorf("logs do not hold %q:\n%s", want, all)
		}
	}
	one := dokku(t, h, 0, "logs", app, "-n", "2", "-p", "web.2").Stdout
	if strings.Count(one, "\n") != 2 || strings.Count(one, " app[web.2]: tick ") != 2 {
		t.Errorf("logs -n 2 -p web.2 printed %q", one)
	}
	if plain := dokku(t, h, 0, "logs", "-q", "--num", "1", "--ps", "web.1", app).Stdout; !strings.HasPrefix(plain, "tick ") || strings.Count(plain, "\n") != 1 {
		t.Errorf("logs -q --num 1 printed %q", plain)
	}
	refuses(t, h, 1, "-n wants a number", "logs", app, "-n", "x")
	empty := h.App(t, "empty")
	dokku(t, h, 0, "apps:create", empty)
	refuses(t, h, 1, "App "+empty+" has not been deployed", "logs", empty)

	follow := h.DokkuCommand(t, "logs", app, "-t", "-n", "1", "-p", "web.1")
	var said lockedBuffer
	follow.Stdout = &said
	if err := follow.Start(); err != nil {
		t.Fatal(err)
	}
	asked := "logs " + app + " -t -n 1 -p web.1"
	said.waitFor(t, "tick")
	for now := said.String(); ; time.Sleep(50 * time.Millisecond) {
		if strings.Count(said.String(), "tick") >= strings.Count(now, "tick")+3 {
			break // it streams
		}
	}
	if len(serving(t, asked)) == 0 {
		t.Fatal("nobody serves the logs: this tests nothing")
	}
	if err := follow.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = follow.Wait() // killed
	for deadline := time.Now().Add(10 * time.Second); len(serving(t, asked)) > 0; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("the client is gone and %v still serve it", serving(t, asked))
		}
	}
	if r := pushed(t, h.Push(t, dir, "logs", "--app", app)); !strings.Contains(r.Stdout, "tick") {
		t.Errorf("the client's logs print %q", r.Stdout)
	}
}

func TestCommandsRun(t *testing.T) {
	h, _, app := talking(t)
	dokku(t, h, 0, "config:set", "--no-restart", app, "COLOUR=blue")
	run := h.DokkuCommand(t, "run", app, "sh", "-c", quote("cat; echo to stderr >&2; exit 7"))
	run.Stdin = strings.NewReader("some\ninput\n")
	if r := testkit.Run(t, run); r.Exit != 7 || r.Stdout != "some\ninput\n" || r.Stderr != "to stderr\n" {
		t.Errorf("run: %+v", r)
	}
	prints(t, h, "blue one two  words\n", "run", "-e", quote("EXTRA=one"), "--env=MORE="+quote("two  words"), app, "sh", "-c", quote(`echo "$COLOUR $EXTRA $MORE"`))
	prints(t, h, "$HOME\n", "run", app, "echo", quote("$HOME"))
	refuses(t, h, 1, "No command specified", "run", app)
	refuses(t, h, 1, "unknown flag -x", "run", "-x", app, "true")
	if left := docker(t, "ps", "-aq", "--filter", "label=com.dokku.app-name="+app, "--filter", "label=com.dokku.container-type=run"); left != "" {
		t.Errorf("containers of run are left: %s", left)
	}
	empty := h.App(t, "empty")
	dokku(t, h, 0, "apps:create", empty)
	refuses(t, h, 1, "has not been deployed", "run", empty, "true")
}

func TestCommandsTags(t *testing.T) {
	h, dir, app := talking(t)
	prints(t, h, "=====> Added nice tag to dokku/"+app+"\n", "tags:create", app, "nice")
	list := dokku(t, h, 0, "tags", app).Stdout
	for _, want := range []string{"=====> Image tags for dokku/" + app + "\n", " latest ", " nice ", " v1 "} {
		if !strings.Contains(list, want) {
			t.Errorf("tags does not print %q:\n%s", want, list)
		}
	}
	testkit.Edit(t, dir, "www/cgi-bin/index.cgi", "Hello", "Hello again")
	pushed(t, h.Push(t, dir, "--app", app))
	answers(t, h, app, "/", "Hello again")
	dokku(t, h, 0, "tags:deploy", app, "nice")
	if _, body := h.Get(t, app, "/"); strings.Contains(body, "again") {
		t.Errorf("after tags:deploy of the first image the app answers %q", body)
	}
	now := status(t, h, dir, app)
	if last := now.Releases[len(now.Releases)-1]; len(now.Releases) != 3 || last.Kind != "tag" || last.Run != now.Releases[0].Run {
		t.Errorf("after tags:deploy the last release is %+v", last)
	}
	if latest := docker(t, "image", "inspect", "--format", "{{.Id}}", "dokku/"+app+":latest"); latest != now.Releases[0].Run {
		t.Errorf("latest is %s after tags:deploy, want %s", latest, now.Releases[0].Run)
	}
	for _, label := range []string{"latest", "v1", "v99"} {
		refuses(t, h, 1, "belongs to the releases", "tags:create", app, label)
		refuses(t, h, 1, "belongs to the releases", "tags:destroy", app, label)
	}
	for _, label := range []string{"-x", "a/b", "a:b", quote("a b"), quote("$(id)"), strings.Repeat("a", 129)} {
		refuses(t, h, 1, "is no image tag", "tags:create", app, label)
	}
	refuses(t, h, 1, "Please specify a tag", "tags:create", app)
	if r := h.Dokku(t, "tags:deploy", app, "unknown"); r.Exit == 0 {
		t.Errorf("tags:deploy of an unknown tag: %+v", r)
	}
	refuses(t, h, 20, "Tag unknown does not exist", "tags:destroy", app, "unknown")
	prints(t, h, "=====> Removed nice tag from dokku/"+app+"\n", "tags:destroy", app, "nice")
	if after := status(t, h, dir, app); after.Current != 3 || len(after.Releases) != 3 {
		t.Errorf("refused tags changed the releases: %+v", after.Releases)
	}
}

func TestCommandsOther(t *testing.T) {
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
	help := dokku(t, h, 0, "help").Stdout
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
