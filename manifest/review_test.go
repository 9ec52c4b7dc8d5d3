package manifest

import (
	"encoding/json"
	"strings"
	"testing"
)

// TestLoadForReview: what belongs to the app itself is not a review app's, unless an
// environment block says it; app.json's environments.review stands over the rest.
func TestLoadForReview(t *testing.T) {
	const hcl = `secrets = ["API_KEY", "SHARED"]
domains = ["shop.example.com"]
config {
  TEAM = "blue"
}
storage {
  mounts = ["/data:/data"]
}
docker_options {
  build  = ["--no-cache"]
  deploy = ["--shm-size 64m"]
}
service "db" {
  plugin = "postgres"
}
review {
  inherit = ["SHARED"]
}
`
	const appJSON = `{
  // kept
  "name": "shop", "addons": ["heroku-redis"],
  "env": {"A": "1", "B": {"value": "2"}},
  "formation": {"web": {"quantity": 3, "max_parallel": 2}},
  "scripts": {"postdeploy": "seed", "dokku": {"postdeploy": "tell"}},
  "environments": {"review": {
    "env": {"B": "3", "C": "4"},
    "formation": {"web": {"quantity": 1}},
    "scripts": {"pr-predestroy": "drop"},
    "cron": []
  }, "test": {"env": {"A": "test"}}}
}`
	files := map[string]string{"dokku.hcl": hcl, "app.json": appJSON, "Procfile": "web: x $PORT\n"}
	app, found := Load(project(files), Options{Review: true})
	if app == nil {
		t.Fatal(found)
	}
	same(t, strings.Join(app.Withheld, " "), "domains storage.mounts docker_options.deploy service.db.plugin secrets.API_KEY")
	same(t, strings.Join(app.Secrets, " "), "SHARED")
	if app.Domains != nil || app.Storage != nil || app.DockerOptions.Deploy != nil || len(app.DockerOptions.Build) != 1 || len(app.Services) != 0 || app.Config["TEAM"] != "blue" {
		t.Errorf("it is given %+v", app)
	}
	a := app.AppJSON
	if a.Env["A"].Value != "1" || a.Env["B"].Value != "3" || a.Env["C"].Value != "4" || *a.Formation["web"].Quantity != 1 || a.Formation["web"].MaxParallel != 2 ||
		a.Scripts.Predestroy != "drop" || a.Scripts.FirstDeploy != "seed" || a.Scripts.Postdeploy != "tell" || a.Environments != nil {
		t.Errorf("app.json is %+v", a)
	}
	var text map[string]any
	if err := json.Unmarshal([]byte(app.AppJSONText), &text); err != nil || text["name"] != "shop" || text["environments"] != nil {
		t.Errorf("%v\n%s", err, app.AppJSONText)
	}
	if plain, _ := Load(project(files), Options{}); plain.AppJSONText != appJSON || len(plain.Secrets) != 2 || plain.Domains == nil || plain.Withheld != nil {
		t.Errorf("a push of the app itself is given %+v", plain)
	}

	files["dokku.hcl"] = hcl + "environment \"review\" {\n  domains = [\"review.example.com\"]\n  storage {\n    mounts = [\"/scratch:/data\"]\n  }\n}\n"
	app, found = Load(project(files), Options{Review: true})
	if app == nil || app.Domains == nil || (*app.Domains)[0] != "review.example.com" || len(*app.Storage) != 1 || (*app.Storage)[0].Host != "/scratch" {
		t.Errorf("with an environment of its own: %+v, %v", app, found)
	}
	if _, found = Load(project(files), Options{Review: true, Environment: "none"}); !found.Failed() {
		t.Error("an environment that is not there was not refused")
	}
	files["app.json"] = `{"env": {"A": "1"}, "environments": {"review": {"env": {"A": {"generator": "random"}}}}}`
	if app, _ = Load(project(files), Options{Review: true}); app != nil {
		t.Error("a mistake in environments.review was not refused")
	}
}
