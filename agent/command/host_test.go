package command

import (
	"archive/tar"
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/agent/nginx"
	"github.com/dokku-push/dokku-push/api"
)

func TestLocked(t *testing.T) {
	h, _ := newHost(t)
	refuses(t, h, "apps:locked shop", api.Unclassified, "Deploy lock does not exist")
	prints(t, h, "apps:lock shop", "-----> Deploy lock created\n")
	prints(t, h, "apps:locked shop", "Deploy lock exists\n")
	prints(t, h, "apps:report shop --app-locked", "true\n")
	out, problem, err := do(t, Call{Host: h}, "apps:unlock shop")
	if err != nil || out != "-----> Deploy lock removed.\n" || !strings.Contains(problem, "A deploy may be in progress.") {
		t.Errorf("%v, %q, %q", err, out, problem)
	}
	prints(t, h, "apps:report shop --app-locked", "false\n")
	for line, code := range map[string]api.Code{"apps:clone shop": api.Usage, "apps:rename shop a b": api.Usage, "apps:clone shop Upper": api.Precondition,
		"apps:rename shop ../x": api.Precondition, "apps:clone shop shop": api.Precondition, "apps:rename nobody x": api.NotFound} {
		refuses(t, h, line, code, "")
	}
}

// logins is a registry's client that keeps what it was told.
type logins struct{ said []string }

func (l *logins) Login(_ context.Context, server, user, password string) error {
	l.said = append(l.said, server, user, password)
	return nil
}

func (l *logins) Logout(_ context.Context, server string) error {
	l.said = append(l.said, server)
	return nil
}

func TestRegistryLogin(t *testing.T) {
	h, _ := newHost(t)
	l := &logins{}
	h.Registries = l
	out, problem, err := do(t, Call{Host: h, In: strings.NewReader("pass word\n")}, "registry:login --password-stdin registry.example:5000 robot$ci")
	if err != nil || strings.Contains(out+problem, "pass word") || !slices.Equal(l.said, []string{"registry.example:5000", "robot$ci", "pass word"}) {
		t.Errorf("%v, %q, %q, %q", err, out, problem, l.said)
	}
	prints(t, h, "registry:logout registry.example:5000", "-----> Logout Succeeded\n")
	refuses(t, h, "registry:login server user secret", api.Refused, "a password is no word")
	for _, line := range []string{"registry:login", "registry:login server", "registry:login --x y", "registry:login server -u", "registry:login 'a b' c", "registry:login server user", "registry:logout", "registry:logout -a"} {
		refuses(t, h, line, api.Usage, "")
	}
}

// archive is a tar of these files, in this order of name and text.
func archive(t *testing.T, files ...string) string {
	t.Helper()
	var text bytes.Buffer
	out := tar.NewWriter(&text)
	for n := 0; n < len(files); n += 2 {
		header := &tar.Header{Name: files[n], Mode: 0o600, Size: int64(len(files[n+1])), Typeflag: tar.TypeReg}
		if files[n+1] == "->" {
			header.Typeflag, header.Linkname, header.Size = tar.TypeSymlink, "/etc/passwd", 0
		}
		must(t, out.WriteHeader(header))
		if header.Size > 0 {
			_, err := io.WriteString(out, files[n+1])
			must(t, err)
		}
	}
	must(t, out.Close())
	return text.String()
}

// TestBackup: what was exported is what is imported, into another app too; what no app may
// have, or no backup holds, changes nothing.
func TestBackup(t *testing.T) {
	h, _ := newHost(t)
	h.Proxy = &nginx.Nginx{}
	set(t, h, "shop", func(now *agent.Settings) {
		now.Env, now.Ports, now.Scale = map[string]string{"SECRET": "a\n'b\""}, []string{"http:80:5000"}, map[string]int{"web": 2}
		now.Properties["docker-options/_default_.deploy"], now.Properties["ps/restore"] = "--init\n--shm-size 1g", "false"
	})
	saved, problem, err := do(t, Call{Host: h}, "backup:export shop")
	if err != nil || problem != "" {
		t.Fatalf("%v, %q", err, problem)
	}
	header, err := tar.NewReader(strings.NewReader(saved)).Next()
	if err != nil || header.Mode != 0o600 {
		t.Errorf("%v, %+v", err, header)
	}
	must(t, h.Settings.Create("other"))
	if _, _, err := do(t, Call{Host: h, In: strings.NewReader(saved)}, "backup:import other"); err != nil {
		t.Fatal(err)
	}
	was, err := h.Settings.Read("shop")
	must(t, err)
	is, err := h.Settings.Read("other")
	must(t, err)
	delete(was.Properties, "ps/restore")
	if diff := cmp.Diff(was, is); diff != "" {
		t.Errorf("after the import:\n%s", diff)
	}
	refuses(t, h, "backup:export shop /tmp/x.tar", api.Usage, "standard output")
	good := `{"version":1}`
	for _, bad := range []string{"", "no tar", archive(t, "ENV", "A=1\n"), archive(t, "settings.json", good), archive(t, "settings.json", good, "ENV", "A=1\n", "ENV", "B=1\n"),
		archive(t, "../../etc/cron.d/x", "* * * * *", "settings.json", good, "ENV", ""), archive(t, "settings.json", good, "ENV", "->"), archive(t, "settings.json", `{"version":2}`, "ENV", ""),
		archive(t, "settings.json", `{"version":1,"more":1}`, "ENV", ""), archive(t, "settings.json", good, "ENV", "1A=2\n"), archive(t, "settings.json", `{"version":1,"scale":{"web":-1}}`, "ENV", ""),
		archive(t, "settings.json", `{"version":1,"ports":["x"]}`, "ENV", ""), archive(t, "settings.json", `{"version":1,"domains":["a b;"]}`, "ENV", ""),
		archive(t, "settings.json", `{"version":1,"properties":{"../../x/y":"1"}}`, "ENV", ""), archive(t, "settings.json", `{"version":1,"properties":{"common/deployed":"true"}}`, "ENV", ""),
		archive(t, "settings.json", `{"version":1,"properties":{"docker-options/_default_.deploy":"-v /etc:/x"}}`, "ENV", ""),
		archive(t, "settings.json", `{"version":1,"properties":{"ps/restart-policy":"a\nb"}}`, "ENV", "")} {
		before, err := h.Settings.Read("shop")
		must(t, err)
		if _, _, err := do(t, Call{Host: h, In: strings.NewReader(bad)}, "backup:import shop"); err == nil {
			t.Errorf("imported %.200q", bad)
		}
		after, err := h.Settings.Read("shop")
		must(t, err)
		if diff := cmp.Diff(before, after); diff != "" {
			t.Errorf("a refused import changed:\n%s", diff)
		}
	}
}

func TestModes(t *testing.T) {
	h, _ := newHost(t)
	h.Places.Logs = t.TempDir()
	file := filepath.Join(h.Places.Root, ".dokkurc", "DOKKU_TRACE")
	prints(t, h, "trace:on", "-----> Enabling trace mode\n")
	if text, err := os.ReadFile(file); err != nil || string(text) != "export DOKKU_TRACE=1\n" {
		t.Errorf("%q, %v", text, err)
	}
	prints(t, h, "trace:off", "-----> Disabling trace mode\n")
	prints(t, h, "trace:off", "-----> Disabling trace mode\n")
	if _, err := os.Stat(file); err == nil {
		t.Error("the mode is still on")
	}
	refuses(t, h, "events", api.Precondition, "There are no events yet")
	prints(t, h, "events:on", "-----> Enabling dokku events logger\n")
	must(t, os.WriteFile(filepath.Join(h.Places.Logs, "events.log"), []byte(strings.Repeat("old\n", 50)+strings.Repeat("new\n", 100)), 0o644))
	prints(t, h, "events", strings.Repeat("new\n", 100))
	prints(t, h, "events:off", "-----> Disabling dokku events logger\n")
}

func TestCronCommands(t *testing.T) {
	h, _ := newHost(t)
	set(t, h, "shop", func(now *agent.Settings) {
		now.AppJSON = `{"cron":[{"command":"./task --all","schedule":"0 3 * * *"},{"command":"./other","schedule":"@daily","maintenance":true}]}`
	})
	out, _, err := do(t, Call{Host: h}, "cron:list shop")
	lines := strings.Split(out, "\n")
	if err != nil || len(lines) != 4 || !strings.HasSuffix(lines[1], " 0 3 * * *          false       ./task --all") || !strings.HasSuffix(lines[2], " @daily             true        ./other") {
		t.Errorf("%v, %q", err, out)
	}
	prints(t, h, "cron:report shop --cron-task-count", "2\n")
	prints(t, h, "cron:list --global --format json", "[]\n")
	refuses(t, h, "cron:run shop 0123", api.NotFound, "does not exist")
	refuses(t, h, "cron:run shop", api.Usage, "Please specify a Cron ID")
	refuses(t, h, "cron:list shop --format x", api.Usage, "Invalid format")
	deploy(t, h)
	id, _, _ := strings.Cut(lines[1], " ")
	prints(t, h, "cron:run shop "+id, "ran\n")
}

// TestBackupOfAll: without an app it is all of them, made anew where they are gone; one can be
// taken out of it; what one of them may not have changes none.
func TestBackupOfAll(t *testing.T) {
	h, _ := newHost(t)
	h.Proxy = &nginx.Nginx{}
	must(t, h.Settings.Create("other"))
	set(t, h, "shop", func(now *agent.Settings) {
		now.Env, now.Domains = map[string]string{"A": "1"}, []string{"shop.example.com"}
	})
	set(t, h, "other", func(now *agent.Settings) { now.Env, now.Scale = map[string]string{"B": "2"}, map[string]int{"web": 3} })
	saved, problem, err := do(t, Call{Host: h}, "backup:export")
	if err != nil || problem != "" {
		t.Fatalf("%v, %q", err, problem)
	}
	of := func(app string) agent.Settings {
		t.Helper()
		settings, err := h.Settings.Read(app)
		must(t, err)
		delete(settings.Properties, "apps/created-at")
		return settings
	}
	shop, other := of("shop"), of("other")
	importing := func(text, line string) (string, error) {
		out, _, err := do(t, Call{Host: h, In: strings.NewReader(text)}, line)
		return out, err
	}

	must(t, h.Settings.Destroy("other"))
	set(t, h, "shop", func(now *agent.Settings) { now.Env["A"] = "changed" })
	out, err := importing(saved, "backup:import")
	if err != nil || out != "-----> Creating other...\n-----> Imported the settings of other\n-----> Imported the settings of shop\n" {
		t.Fatalf("%q, %v", out, err)
	}
	for app, want := range map[string]agent.Settings{"shop": shop, "other": other} {
		if diff := cmp.Diff(want, of(app)); diff != "" {
			t.Errorf("%s after the import:\n%s", app, diff)
		}
	}
	set(t, h, "shop", func(now *agent.Settings) { now.Env["A"] = "changed" })
	set(t, h, "other", func(now *agent.Settings) { now.Env["B"] = "changed" })
	if out, err = importing(saved, "backup:import shop"); err != nil || of("shop").Env["A"] != "1" || of("other").Env["B"] != "changed" {
		t.Errorf("one of them: %q, %v, %v", out, of("shop").Env, of("other").Env)
	}

	good := `{"version":1}`
	for _, bad := range []string{archive(t, "settings.json", good, "ENV", ""), archive(t, "shop/settings.json", good), archive(t, "settings.json", good, "ENV", "", "shop/settings.json", good, "shop/ENV", ""),
		archive(t, "new/settings.json", good, "new/ENV", "", "shop/settings.json", good, "shop/ENV", "->"), archive(t, "NO APP/settings.json", good, "NO APP/ENV", ""),
		archive(t, "../settings.json", good, "../ENV", ""), archive(t, "a/b/settings.json", good, "a/b/ENV", ""), archive(t, "/settings.json", good, "/ENV", ""),
		archive(t, "new/settings.json", `{"version":1,"domains":["x.example.com"]}`, "new/ENV", "", "shop/settings.json", `{"version":1,"domains":["x.example.com"]}`, "shop/ENV", "")} {
		if _, err := importing(bad, "backup:import"); err == nil || h.Exists("new") == nil {
			t.Errorf("imported %.200q", bad)
		}
	}
	if _, err := importing(archive(t, "new/settings.json", good, "new/ENV", ""), "backup:import shop"); err == nil {
		t.Error("another app's part was imported")
	}
	if diff := cmp.Diff(shop, of("shop")); diff != "" {
		t.Errorf("a refused import changed:\n%s", diff)
	}
}

// TestNobodySees: no command of an app tells anything of one that is not there.
func TestNobodySees(t *testing.T) {
	h, _ := newHost(t)
	for _, line := range []string{"apps:lock", "apps:unlock", "apps:locked", "apps:report", "checks:disable", "checks:run", "config:keys", "config:bundle", "config:clear", "cron:list", "cron:run",
		"docker-options:clear", "enter", "logs:failed", "logs:report", "logs:set", "ps:inspect", "ps:restore", "ps:retire", "ps:set", "report", "cleanup", "delete", "registry:set", "resource:limit", "run:list",
		"run:logs", "run:stop", "run:detached", "scheduler:set", "storage:list", "storage:mount", "backup:export", "backup:import"} {
		refuses(t, h, line+" nobody", api.NotFound, "App nobody does not exist")
	}
}
