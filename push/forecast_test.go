package push

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dokku-push/dokku-push/api"
)

// TestForecast: what a release would consist of, with the names of secrets and not their
// values, though none is set; and nobody is asked.
func TestForecast(t *testing.T) {
	agent := newAgent(t)
	o, events, _ := agent.shop(t, map[string]string{"Procfile": "web: ./server $PORT\nworker: ./work\nrelease: ./migrate\n",
		"dokku.hcl": "app = \"shop\"\nsecrets = [\"API_KEY\"]\nconfig {\n  TEAM = \"canary-blue\"\n}\ndomains = [\"shop.example.com\"]\nstorage {\n  mounts = [\"/srv/shop:/data\"]\n}\nformation \"web\" {\n  quantity = 2\n  memory = \"64m\"\n}\n" +
			"docker_options {\n  deploy = [\"--env TOKEN=canary-red\"]\n}\nservice \"db\" {\n  plugin = \"postgres\"\n  link = false\n}\n", "app.json": "{\"name\": \"shop\"}", "nginx.conf.sigil": "server {}"})
	o.Host = ""
	plan, err := Forecast(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, change := range plan.Changes[1:] {
		got = append(got, change.String())
	}
	want := []string{"add app json", "add config API_KEY", "add config TEAM", "add docker options deploy: --env TOKEN=…", "add domains: shop.example.com", "add formation web: 2", "add nginx template", "add procfile web: ./server $PORT", "add procfile worker: ./work", "add procfile release: ./migrate", "add resources web.limit.memory: 67108864", "add storage: /srv/shop:/data"}
	if diff := cmp.Diff(want, got); diff != "" || !plan.Offline || plan.App != "shop" || plan.Changes[0].Kind != "image" || !strings.HasPrefix(plan.Changes[0].After, "sha256:") {
		t.Errorf("%+v (-want +got):\n%s", plan, diff)
	}
	if text := events.story(); strings.Contains(strings.Join(text, " "), "connect") || agent.uploads != 0 {
		t.Errorf("somebody was asked: %q", text)
	}
}

// TestUntrusted: the tree of somebody who may not deploy is planned with nothing of the job's:
// it names neither host nor app, and what was not read does not seem to be removed.
func TestUntrusted(t *testing.T) {
	agent := newAgent(t)
	agent.plan.Changes = append(agent.plan.Changes, api.PlanChange{Kind: "config", Name: "API_KEY", Action: api.Remove}, api.PlanChange{Kind: "config", Name: "OLD", Action: api.Remove})
	o, events, _ := agent.shop(t, map[string]string{"Procfile": "web: ./server $PORT\n",
		"dokku.hcl": "app = \"other\"\nsecrets = [\"API_KEY\"]\nbuild {\n  secrets = [\"TOKEN\"]\n  ssh     = [\"default\"]\n  cache {\n    to = \"type=registry,ref=r.example/cache\"\n  }\n}\nhost \"evil\" {\n  address = \"dokku@192.0.2.1\"\n}\n"})
	o.Untrusted, o.App, o.Signing.Key = true, "shop", SignWithSSHKey
	project, err := Load(o)
	if err != nil {
		t.Fatal(err)
	}
	if app := project.App; len(app.Secrets)+len(app.Build.Secrets)+len(app.Build.SSH) != 0 || app.Build.Cache.To != "" {
		t.Errorf("the build is given %+v", app.Build)
	}
	prepared, err := Prepare(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer prepared.Close()
	named := func(name string) bool {
		return slices.ContainsFunc(prepared.Plan.Changes, func(c api.PlanChange) bool { return c.Name == name })
	}
	if named("API_KEY") || !named("OLD") || prepared.signed != nil || len(prepared.document.Secrets) != 0 {
		t.Errorf("the plan is %+v", prepared.Plan)
	}
	if told := slices.ContainsFunc(events.events, func(e api.Event) bool { return e.Warning == "not read, and not compared: API_KEY, TOKEN" }); !told {
		t.Errorf("nobody is told: %+v", events.events)
	}
	if _, err := prepared.Apply(t.Context()); api.Exit(err) != 77 || len(agent.ids) != 0 || agent.uploads != 0 {
		t.Errorf("it is deployed: %v", err)
	}
	if _, err := Push(t.Context(), o); api.Exit(err) != 77 {
		t.Errorf("it is pushed: %v", err)
	}
	o.App = ""
	if _, err := Prepare(t.Context(), o); api.Exit(err) != 64 || !strings.Contains(err.Error(), "not for this tree to say") {
		t.Errorf("it says whose plan: %v", err)
	}
	o.App, o.Host = "shop", "evil"
	if target, err := Target(o, project.App); err != nil || target.Target != "evil" {
		t.Errorf("it says where: %+v, %v", target, err)
	}
	o.Host = ""
	if _, err := Target(o, project.App); api.Exit(err) != 64 {
		t.Errorf("it says where: %v", err)
	}
}
