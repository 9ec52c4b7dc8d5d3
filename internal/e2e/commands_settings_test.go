package e2e

import (
	"encoding/base64"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dokku-push/dokku-push/internal/testkit"
)

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

func TestCommandsConfig(t *testing.T) {
	t.Parallel()
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
	t.Parallel()
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
	t.Parallel()
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
