package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dokku-push/dokku-push/internal/testkit"
)

// foreignImage makes an image that has its own Procfile, app.json and nginx.conf.sigil, as a
// build elsewhere would, under a name of the engine.
func foreignImage(t *testing.T, app, name string) {
	t.Helper()
	dir := t.TempDir()
	for file, text := range map[string]string{
		"Procfile": "web: exec busybox httpd -f -p \"$PORT\" -h /srv\nqueue: while true; do echo at work; sleep 1; done\nrelease: echo released out of the image\n",
		"app.json": `{"formation": {"queue": {"quantity": 1}}, "env": {"COLOUR": {"value": "blue"}},
			"healthchecks": {"web": [{"type": "startup", "uptime": 1}], "queue": [{"type": "startup", "uptime": 1}]}}`,
		"nginx.conf.sigil": `upstream {{ .APP }}-5000 {
{{ range .DOKKU_APP_WEB_LISTENERS | split " " }}  server {{ . }};
{{ end }}}
server {
  listen {{ .NGINX_BIND_ADDRESS_IP4 }}:{{ .PROXY_PORT }};
  server_name {{ .NOSSL_SERVER_NAME }};
  add_header X-Site of-the-image;
  location / { proxy_pass http://{{ .APP }}-5000; proxy_set_header Host $host; }
}
`,
		"index.html": "Hello out of the image\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	container := docker(t, "create", testkit.Busybox(t))
	t.Cleanup(func() { _ = exec.Command("docker", "rm", "--force", container).Run() })
	docker(t, "cp", dir+"/.", container+":/srv")
	docker(t, "commit", "--change", "WORKDIR /srv", "--change", "LABEL test="+app, container, name)
	t.Cleanup(func() { _ = exec.Command("docker", "rmi", name).Run() })
}

// TestForeignImage: an image of the local engine is deployed as it is, and what runs is said by
// the files in its WORKDIR; the same image found in other ways is the same one.
func TestForeignImage(t *testing.T) {
	t.Parallel()
	h := testkit.Serve(t, testkit.ServeOptions{})
	registry := testkit.Registry(t, testkit.RegistryOptions{})
	empty, app := t.TempDir(), h.App(t, "foreign")
	name := registry.Addr + "/team/" + app + ":1"
	foreignImage(t, app, name)
	if plan := planned(t, h, empty, app, "--image", "docker-daemon:"+name); !strings.Contains(strings.Join(plan.Warnings, "\n"), "files of the image are read on the host") {
		t.Errorf("the plan does not say what it cannot know: %+v", plan)
	}
	first := pushed(t, h.Push(t, empty, "--app", app, "--image", "docker-daemon:"+name))
	for _, want := range []string{"docker-daemon:" + name + " is sha256:", "Procfile of the image: /srv/Procfile", "app.json of the image: /srv/app.json", "nginx.conf.sigil of the image", "released out of the image"} {
		if !strings.Contains(first.Stderr, want) {
			t.Errorf("the push does not say %q:\n%s", want, first.Stderr)
		}
	}
	code, body, header := h.Ask(t, app, "/")
	if code != 200 || body != "Hello out of the image\n" || header.Get("X-Site") != "of-the-image" {
		t.Errorf("%d %q, X-Site %q", code, body, header.Get("X-Site"))
	}
	before := status(t, h, empty, app)
	if container(t, before, "queue", 1).Status != "running" {
		t.Errorf("%+v", before.Containers)
	}
	if env := dokku(t, h, 0, "config:get", app, "COLOUR").Stdout; env != "blue\n" {
		t.Errorf("COLOUR is %q", env)
	}
	archive := filepath.Join(empty, "image.tar")
	docker(t, "save", "-o", archive, name)
	for way, said := range map[string]string{name: "the registry has no " + name + "; the local engine has", archive: ""} {
		again := pushed(t, h.Push(t, empty, "--app", app, "--image", way))
		if !strings.Contains(again.Stderr, "nothing to do") || !strings.Contains(again.Stderr, said) {
			t.Errorf("%s:\n%s", way, again.Stderr)
		}
	}
	if after := status(t, h, empty, app); after.Hash != before.Hash || len(after.Releases) != 1 {
		t.Errorf("%+v\nthen %+v", before, after)
	}
	if left := docker(t, "ps", "--all", "--quiet", "--filter", "name="+app+".extract"); left != "" {
		t.Errorf("the container that was read from is still there: %s", left)
	}
}

// TestDockerfiles: an ONBUILD base, a target among several stages, and a secret, deployed; and
// one that fails, which changes nothing and shows its output.
func TestDockerfiles(t *testing.T) {
	t.Parallel()
	h := testkit.Serve(t, testkit.ServeOptions{})
	dir, app := testkit.CopyApp(t, "hello"), h.App(t, "hello")
	const token = "the-token-of-the-build-5d81"
	onbuild := "dkp-onbuild-" + app
	container := docker(t, "create", testkit.Busybox(t))
	t.Cleanup(func() { _ = exec.Command("docker", "rm", "--force", container).Run() })
	docker(t, "commit", "--change", "ONBUILD COPY www /www", container, onbuild)
	t.Cleanup(func() { _ = exec.Command("docker", "rmi", onbuild).Run() })
	write := func(file, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	push := func() testkit.Result {
		t.Helper()
		command := h.Command(t, dir, "--app", app)
		command.Env = append(command.Env, "BUILD_TOKEN="+token)
		return testkit.Run(t, command)
	}
	write("dokku.hcl", "build {\n  secrets = [\"BUILD_TOKEN\"]\n  dockerfile {\n    target = \"run\"\n  }\n}\n")
	write("Dockerfile", "FROM "+onbuild+" AS run\n"+
		"RUN --mount=type=secret,id=BUILD_TOKEN cat /run/secrets/BUILD_TOKEN && wc -c < /run/secrets/BUILD_TOKEN > /www/length\n"+
		"FROM run AS test\nRUN exit 9\n")
	first := pushed(t, push())
	answers(t, h, app, "/", "Hello")
	answers(t, h, app, "/length", "27\n")
	image := docker(t, "image", "ls", "--quiet", "dokku/"+app+":latest")
	for _, all := range []string{first.Stdout + first.Stderr, docker(t, "history", "--no-trunc", image), docker(t, "inspect", image)} {
		if strings.Contains(all, token) {
			t.Errorf("the secret is shown:\n%s", all)
		}
	}
	before := status(t, h, dir, app)
	write("Dockerfile", "FROM "+onbuild+" AS run\nRUN echo on its way && echo the reason >&2 && exit 9\n")
	failed := push()
	after := status(t, h, dir, app)
	if failed.Exit != 20 || after.Hash != before.Hash {
		t.Errorf("exit %d, want 20\n%s", failed.Exit, failed.Stderr)
	}
	for _, want := range []string{"on its way", "the reason", "exit code: 9", "Dockerfile:2"} {
		if !strings.Contains(failed.Stderr, want) {
			t.Errorf("the failure does not say %q:\n%s", want, failed.Stderr)
		}
	}
}
