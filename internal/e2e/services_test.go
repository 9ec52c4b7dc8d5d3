package e2e

import (
	"fmt"
	"strings"
	"testing"

	"github.com/dokku-push/dokku-push/internal/testkit"
)

// TestServices: a database that dokku.hcl names is linked by its plugin's own command in
// the deploy, and unlinked when the deploy fails or the name is gone.
func TestServices(t *testing.T) {
	t.Parallel()
	h := testkit.Serve(t, testkit.ServeOptions{})
	dokku(t, h, 0, "plugin:install", pluginOf(t, "keeper"))
	app, store := h.App(t, "linked"), testkit.AppName(t, "store")
	t.Cleanup(func() { h.Dokku(t, "keeper:destroy", store, "--force") })
	dir := testkit.CopyApp(t, "hello")
	service := func(plugin, name string) string {
		return fmt.Sprintf("service %q {\n  plugin = %q\n}\n", name, plugin)
	}
	for _, test := range []struct{ hcl, says string }{
		{service("cellar", store), "the service " + store + " is one of the plugin cellar, which is not installed or not enabled"},
		{service("keeper", store), "keeper has no service " + store + ": Keeper service " + store + " does not exist"},
	} {
		declaring(t, dir, test.hcl)
		for _, word := range []string{"plan", "push"} {
			if r := h.Push(t, dir, word, "--app", app); r.Exit != 22 || !strings.Contains(r.Stderr, test.says) {
				t.Errorf("%s: exit %d\n%s", word, r.Exit, r.Stderr)
			}
		}
	}
	dokku(t, h, 0, "keeper:create", store)
	if plan := planned(t, h, dir, app); !strings.Contains(changes(plan), "add service keeper:"+store+" (link)") {
		t.Errorf("the plan is\n%s", changes(plan))
	}

	testkit.Edit(t, dir, "Procfile", "web:", "release: false\nweb:")
	if r := h.Push(t, dir, "--app", app); r.Exit != 23 {
		t.Fatalf("a failing release task: %+v", r)
	}
	if linked := dokku(t, h, 0, "keeper:links", store).Stdout + dokku(t, h, 0, "config:keys", app).Stdout; linked != "" {
		t.Errorf("a deploy that failed left the link: %q", linked)
	}
	testkit.Edit(t, dir, "Procfile", "release: false\n", "")
	push := pushed(t, h.Push(t, dir, "--app", app))
	url := strings.TrimSpace(dokku(t, h, 0, "keeper:info", store, "--url").Stdout)
	if env := docker(t, "inspect", "--format", `{{join .Config.Env "\n"}} {{.HostConfig.Links}}`, app+".web.1"); !strings.Contains(env, "KEEPER_URL="+url+"\n") || !strings.Contains(env, "/dokku.keeper."+store) {
		t.Errorf("the container has\n%s", env)
	}
	if strings.Contains(push.Stdout+push.Stderr, url) {
		t.Error("the push shows the service's password")
	}
	if again := planned(t, h, dir, app); !again.Empty() {
		t.Errorf("once it is linked the plan is\n%s", changes(again))
	}
	declaring(t, dir, "")
	pushed(t, h.Push(t, dir, "--app", app))
	if linked := dokku(t, h, 0, "keeper:links", store).Stdout + dokku(t, h, 0, "config:keys", app).Stdout; strings.Contains(linked, app) || strings.Contains(linked, "KEEPER") {
		t.Errorf("what dokku.hcl no longer names is linked: %q", linked)
	}
	dokku(t, h, 0, "keeper:destroy", store, "--force")
}
