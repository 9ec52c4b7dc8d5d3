package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dokku-push/dokku-push/internal/testkit"
)

// TestPromote: the digest that staging runs goes live under production's own settings,
// without a build and without a byte sent.
func TestPromote(t *testing.T) {
	t.Parallel()
	h := testkit.Serve(t, testkit.ServeOptions{})
	dir, staging, production := testkit.CopyApp(t, "goweb"), h.App(t, "staging"), h.App(t, "production")
	for _, app := range []string{staging, production} {
		if made := h.Dokku(t, "apps:create", app); made.Exit != 0 {
			t.Fatalf("apps:create: %+v", made)
		}
	}
	if set := h.Dokku(t, "config:set", production, "STAGE=production"); set.Exit != 0 {
		t.Fatalf("config:set: %+v", set)
	}
	declaring(t, dir, "config {\n  STAGE = \"staging\"\n}\n")
	built := h.Command(t, dir, "--app", staging)
	built.Env = append(built.Env, "GITHUB_SHA="+strings.Repeat("ab", 20))
	pushed(t, testkit.Run(t, built))
	refused := h.Push(t, t.TempDir(), "promote", production, staging)
	if refused.Exit != 22 || !strings.Contains(refused.Stderr, "has never been deployed") {
		t.Errorf("promote what was never deployed: %+v", refused)
	}
	outputs := filepath.Join(t.TempDir(), "outputs")
	promoted := pushed(t, h.Push(t, t.TempDir(), "promote", staging, production))
	if strings.Contains(promoted.Stderr, "Build") || strings.Contains(promoted.Stderr, "Ship") {
		t.Errorf("the promotion built or shipped:\n%s", promoted.Stderr)
	}
	answers(t, h, production, "/", "Hello from goweb")
	from, to := status(t, h, dir, staging), status(t, h, dir, production)
	if from.Releases[0].Run != to.Releases[0].Run || to.Releases[0].PromotedFrom != staging+" v1" {
		t.Errorf("staging runs %s, production %s, promoted from %q", from.Releases[0].Run, to.Releases[0].Run, to.Releases[0].PromotedFrom)
	}
	if got := h.Dokku(t, "config:get", production, "STAGE"); strings.TrimSpace(got.Stdout) != "production" {
		t.Errorf("STAGE of production is %q", got.Stdout)
	}
	inCI := h.Command(t, t.TempDir(), "promote", staging, production)
	inCI.Env = append(inCI.Env, "GITHUB_ACTIONS=true", "GITHUB_SHA="+strings.Repeat("cd", 20), "GITHUB_OUTPUT="+outputs)
	again := pushed(t, testkit.Run(t, inCI))
	if !strings.Contains(again.Stderr, "nothing to do") {
		t.Errorf("a second promotion did something:\n%s", again.Stderr)
	}
	if told := gitHubFile(t, outputs)["deployment"]; !strings.Contains(told, `"ref":"`+strings.Repeat("ab", 20)+`"`) {
		t.Errorf("the deployment is not of the commit that was built: %s", told)
	}
}

// TestNginxTemplate: nginx.conf.sigil of the project is what its site is made of; the plan
// shows it with config values hidden, and a rollback brings the former one back.
func TestNginxTemplate(t *testing.T) {
	t.Parallel()
	h := testkit.Serve(t, testkit.ServeOptions{})
	dir, app := testkit.CopyApp(t, "hello"), h.App(t, "hello")
	pushed(t, h.Push(t, dir, "--app", app))
	declaring(t, dir, "config {\n  TEAM = \"the-blue-team\"\n}\n")
	template := `upstream {{ .APP }}-5000 {
{{ range .DOKKU_APP_WEB_LISTENERS | split " " }}  server {{ . }};
{{ end }}}
server {
  listen {{ .NGINX_BIND_ADDRESS_IP4 }}:{{ .PROXY_PORT }};
  server_name {{ .NOSSL_SERVER_NAME }};
  add_header X-Team {{ var "TEAM" }};
  location / { proxy_pass http://{{ .APP }}-5000; proxy_set_header Host $host; }
}
`
	if err := os.WriteFile(filepath.Join(dir, "nginx.conf.sigil"), []byte(template), 0o600); err != nil {
		t.Fatal(err)
	}
	plan := planned(t, h, dir, app)
	if !strings.Contains(changes(plan), "add nginx template") || !strings.Contains(plan.Nginx, "+  add_header X-Team ****;") {
		t.Errorf("the plan says\n%s\n%s", changes(plan), plan.Nginx)
	}
	pushed(t, h.Push(t, dir, "--app", app))
	header := func() string {
		t.Helper()
		_, _, header := h.Ask(t, app, "/")
		return header.Get("X-Team")
	}
	if got := header(); got != "the-blue-team" {
		t.Errorf("X-Team is %q", got)
	}
	pushed(t, h.Push(t, dir, "rollback", "--app", app, "v1"))
	if got := header(); got != "" {
		t.Errorf("after the rollback X-Team is %q", got)
	}
}
