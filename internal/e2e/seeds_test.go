package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dokku-push/dokku-push/internal/testkit"
)

// seeded is a host on which example scripts of Dokku's own documentation can be plugins.
type seeded struct {
	*testkit.Host
	t        *testing.T
	dir, app string
	log      string // what the programs were called with that the scripts call
}

// sweep removes the containers without a name that some examples leave of the app's images.
func (s *seeded) sweep() {
	all := strings.Fields(docker(s.t, "ps", "--all", "--quiet"))
	found, _ := exec.Command("docker", append([]string{"inspect", "--format", "{{.Id}} {{.Config.Image}}"}, all...)...).Output() // another test's may go meanwhile
	for line := range strings.Lines(string(found)) {
		if id, image, _ := strings.Cut(strings.TrimSpace(line), " "); strings.HasPrefix(image, "dokku/"+s.app+":") {
			_ = exec.Command("docker", "rm", "--force", id).Run()
		}
	}
}

// newSeeded has in its PATH what the examples expect on a host and what must not happen
// on this one, and the plugins that they call.
func newSeeded(t *testing.T) *seeded {
	t.Helper()
	bin, log := t.TempDir(), filepath.Join(t.TempDir(), "log")
	say := "#!/bin/sh\necho \"${0##*/} $*\" >> " + log + "\n"
	for name, script := range map[string]string{"curl": say, "sudo": say, "mail": say, "apt-get": say, "hostname": "#!/bin/sh\necho host.example.com\n"} {
		put(t, filepath.Join(bin, name), script)
		if err := os.Chmod(filepath.Join(bin, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	h := testkit.Serve(t, testkit.ServeOptions{Env: []string{"PATH=" + bin + ":" + os.Getenv("PATH")}})
	s := &seeded{Host: h, t: t, dir: testkit.CopyApp(t, "hello"), app: h.App(t, "seed"), log: log}
	t.Cleanup(s.sweep)
	command := strings.TrimPrefix(strings.Replace(say, "${0##*/} $*", "$*", 1), "#!/bin/sh\n")
	for name, file := range map[string]string{"postgres": "commands", "hg-build": "commands"} {
		plugin(t, h, name, map[string]string{file: "case $1 in " + name + "*) ;; *) exit 10 ;; esac\n" + command})
	}
	plugin(t, h, "haproxy", map[string]string{"functions": `haproxy-build-config() { echo "haproxy-build-config $1" >> ` + log + "; }"})
	// What the examples run in the app's image.
	for name, script := range map[string]string{"bin/bash": "exec /bin/sh \"$@\"", "bin/gulp": "echo gulp was here > /www/built.txt", "app/package.json": ""} {
		script = "#!/bin/sh\n" + script + "\n"
		if err := os.MkdirAll(filepath.Dir(filepath.Join(s.dir, "tools", name)), 0o755); err != nil {
			t.Fatal(err)
		}
		put(t, filepath.Join(s.dir, "tools", name), script)
		if err := os.Chmod(filepath.Join(s.dir, "tools", name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	testkit.Edit(t, s.dir, "Dockerfile", "COPY www /www", "COPY tools /\nCOPY www /www")
	return s
}

// install enables a plugin of some of the examples, as they are.
func (s *seeded) install(name string, scripts ...string) {
	s.t.Helper()
	for _, script := range scripts {
		text, err := os.ReadFile(filepath.Join("testdata", "seeds", script))
		if err != nil {
			s.t.Fatal(err)
		}
		plugin(s.t, s.Host, name, map[string]string{script: ""})
		file := filepath.Join(s.Root, "lib/plugins/available", name, script)
		if err := os.WriteFile(file, text, 0o755); err != nil {
			s.t.Fatal(err)
		}
	}
}

// has is the test of one example: what it does is in what was called or printed.
func (s *seeded) has(script, text string, wants ...string) {
	s.t.Helper()
	s.t.Run(script, func(t *testing.T) {
		for _, want := range wants {
			if !strings.Contains(text, want) {
				t.Errorf("%s has no effect: %q is not in\n%s", script, want, text)
			}
		}
	})
}

// called is what the programs were called with since the last time.
func (s *seeded) called() string { return strings.Join(recorded(s.t, s.log), "\n") }

// TestSeeds: the examples of the documentation that plugins were written after, installed
// letter for letter, have the effect that they were written for.
func TestSeeds(t *testing.T) {
	t.Parallel()
	s := newSeeded(t)
	s.install("seeds", "bind-external-ip", "check-deploy", "commands", "core-post-deploy", "dependencies", "docker-args-deploy", "docker-args-run", "install",
		"nginx-hostname", "nginx-pre-reload", "post-certs-remove", "post-certs-update", "post-create", "post-delete", "post-deploy",
		"post-domains-update", "post-proxy-ports-update", "post-release-dockerfile", "post-stop", "pre-delete", "pre-deploy", "pre-disable-vhost", "pre-enable-vhost",
		"pre-release-dockerfile", "receive-app", "retire-container-failed", "user-auth")
	app := s.app
	do := func(args ...string) string {
		t.Helper()
		r := dokku(t, s.Host, 0, args...)
		return r.Stdout + r.Stderr
	}
	do("plugin:install")
	host, _ := os.ReadFile(filepath.Join(s.Root, "home", "HOSTNAME"))
	s.has("install", string(host), "host.example.com\n")
	do("plugin:install-dependencies")
	s.has("dependencies", s.called(), "apt-get install --force-yes -qq -y nginx")
	s.has("commands", do("help"), "hello <app>", `Says "Hello <app>"`)
	s.has("commands", do("hello:help"), "Usage: dokku hello[:world] [<app>]")

	do("apps:create", app)
	s.has("post-create", s.called(), "postgres:create "+app+"\npostgres:link "+app+" "+app)
	letters := []byte(app)
	for i, j := 0, len(letters)-1; i < j; i, j = i+1, j-1 {
		letters[i], letters[j] = letters[j], letters[i]
	}
	s.has("nginx-hostname", do("domains:report", app), string(letters)+".localhost")
	first := pushed(t, s.Push(t, s.dir, "--app", app)).Stderr
	s.has("nginx-pre-reload", first, "test is successful")
	s.has("pre-deploy", first+docker(t, "exec", app+".web.1", "cat", "/www/built.txt"), "-----> Running gulp", "Building UI Complete", "gulp was here")
	called := s.called()
	s.has("core-post-deploy", called, "curl http://httpstat.us/200")
	s.has("post-deploy", called, "curl http://httpstat.us/200\ncurl http://httpstat.us/200")
	s.has("bind-external-ip", docker(t, "inspect", "--format", "{{len .HostConfig.PortBindings}} published", app+".web.1"), "0 published")
	if code, body := page(t, s.Host, string(letters)+".localhost"); code != 200 || !strings.Contains(body, "Hello") {
		t.Errorf("the reversed name answers %d %q", code, body)
	}

	do("config:set", "--no-restart", app, "DOKKU_DISABLE_DEPLOY=true")
	testkit.Edit(t, s.dir, "www/cgi-bin/index.cgi", "Hello", "Hello again")
	refused := s.Push(t, s.dir, "--app", app)
	s.has("check-deploy", refused.Stderr, "Deploys disabled, sorry.", "seeds failed in its trigger check-deploy")
	if refused.Exit != 24 {
		t.Errorf("a deploy that check-deploy refuses: exit %d", refused.Exit)
	}
	do("config:unset", "--no-restart", app, "DOKKU_DISABLE_DEPLOY")
	s.seedCommands(do)
}

// seedCommands are the examples of triggers that commands fire.
func (s *seeded) seedCommands(do func(args ...string) string) {
	app := s.app
	s.called()
	do("domains:add", app, "more.example.com")
	s.has("post-domains-update", s.called(), "sudo service haproxy reload")
	do("ports:add", app, "http:"+freePort(s.t)+":5000")
	s.has("post-proxy-ports-update", s.called(), "haproxy-build-config "+app)
	do("domains:disable", app) // these and the certificates' have nothing to do: they must come through
	do("domains:enable", app)
	do("certs:generate", app, "more.example.com")
	do("certs:remove", app)
	s.has("docker-args-run", do("run", app, "echo", "runs"), "runs")
	s.called()
	do("ps:rebuild", app)
	s.has("receive-app", s.called(), "hg-build "+app)
	do("ps:stop", app)
	s.has("post-stop", do("config:get", app, "MANUALLY_STOPPED"), "1\n")
	do("plugin:trigger", "retire-container-failed", app)
	s.has("retire-container-failed", s.called(), "mail -s "+app+" containers on host.example.com failed to retire ops@example.com")

	key := testkit.NewKey(s.t)
	add := s.DokkuCommand(s.t, "ssh-keys:add", "default")
	add.Stdin = strings.NewReader(key.Public + "\n")
	if r := testkit.Run(s.t, add); r.Exit != 0 {
		s.t.Fatalf("ssh-keys:add: %+v", r)
	}
	anybody := *s.Host
	anybody.Key = key.File
	refuses(s.t, &anybody, 1, "Access denied", "plugin:list")
	s.has("user-auth", dokku(s.t, &anybody, 0, "apps:list").Stdout, app)

	gulp := filepath.Join(s.Root, "home", app, "gulp")
	if err := os.MkdirAll(filepath.Join(gulp, "cached"), 0o755); err != nil {
		s.t.Fatal(err)
	}
	s.called()
	do("apps:destroy", app, "--force")
	s.has("post-delete", s.called(), "postgres:destroy "+app)
	s.t.Run("pre-delete", func(t *testing.T) {
		if _, err := os.Stat(gulp); err == nil {
			t.Error("the cache is still there")
		}
	})
}

// TestSeedsOfImages: three examples name the image that runs; four fail as they are written, and
// the command says so.
func TestSeedsOfImages(t *testing.T) {
	t.Parallel()
	s := newSeeded(t)
	app := s.app
	pushed(t, s.Push(t, s.dir, "--app", app))
	other := docker(t, "inspect", "--format", "{{.Image}}", app+".web.1")
	base := "derp.dkr.ecr.us-east-1.amazonaws.com/"
	for _, test := range []struct{ script, name string }{
		{"deployed-app-image-tag", "dokku/" + app + ":not-latest"}, {"deployed-app-image-repo", "dokkupaas/" + app + ":latest"},
		{"deployed-app-repository", base + "dokku/" + app + ":latest"},
	} {
		docker(t, "tag", other, test.name)
		t.Cleanup(func() { docker(t, "rmi", test.name) })
		s.install(test.script, test.script)
		testkit.Edit(t, s.dir, "www/cgi-bin/index.cgi", "Hello", "Hello again")
		pushed(t, s.Push(t, s.dir, "--app", app))
		runs := docker(t, "inspect", "--format", "{{.Image}}", app+".web.1")
		s.has(test.script, runs, other)
		disable(t, s.Host, test.script)
	}
	s.install("tags", "tags-create")
	if r := dokku(t, s.Host, 1, "tags:create", app, "mine"); !strings.Contains(r.Stderr, "the plugin tags failed in its trigger tags-create: exit code 127") {
		t.Errorf("a tags-create that calls what is not there: %+v", r)
	}
	disable(t, s.Host, "tags")
	s.install("noting", "post-config-update") // it does nothing, and its last line is a test that is false
	refuses(t, s.Host, 1, "the plugin noting failed in its trigger post-config-update: exit code 1", "config:set", "--no-restart", app, "A=b")
	disable(t, s.Host, "noting")
	s.install("blocking", "uninstall")
	if r := dokku(t, s.Host, 1, "plugin:uninstall", "haproxy"); !strings.Contains(r.Stderr, "blocking failed in its trigger uninstall") {
		t.Errorf("an uninstall trigger that ends with 1 for another plugin: %+v", r)
	}
	disable(t, s.Host, "blocking")
	s.install("updating", "update")
	if _, err := os.Stat("/root/dokku"); err != nil {
		if r := s.Dokku(t, "plugin:update"); r.Exit == 0 || !strings.Contains(r.Stderr, "updating failed in its trigger update") {
			t.Errorf("an update trigger whose folder is not there: %+v", r)
		}
	}
}
