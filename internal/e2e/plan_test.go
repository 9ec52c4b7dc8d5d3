package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/jsonschema-go/jsonschema"

	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/internal/testkit"
	"github.com/dokku-push/dokku-push/push/report"
)

// declaring writes a dokku.hcl into a project.
func declaring(t *testing.T, dir, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, "dokku.hcl"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// planned runs plan --json and reads it.
func planned(t *testing.T, h *testkit.Host, dir, app string, more ...string) api.Plan {
	t.Helper()
	result := h.Push(t, dir, append([]string{"plan", "--json", "--app", app}, more...)...)
	var plan api.Plan
	if err := json.Unmarshal([]byte(result.Stdout), &plan); err != nil {
		t.Fatalf("plan: %v\n%s%s", err, result.Stdout, result.Stderr)
	}
	return plan
}

// changes lists a plan's changes as sentences.
func changes(plan api.Plan) string {
	var lines []string
	for _, change := range plan.Changes {
		lines = append(lines, change.String())
	}
	return strings.Join(lines, "\n")
}

const whole = `
config {
  COLOUR = "blue-is-a-value"
}
secrets = ["TOKEN"]
formation "web" {
  quantity     = 2
  memory       = "64m"
  cpu          = "0.5"
  stop_timeout = 3
}
checks {
  wait_to_retire = 1
}
docker_options {
  deploy = ["--label com.example.team=blue"]
}
nginx {
  client-max-body-size = "7m"
}
`

// withToken runs the client with a secret in its environment.
func withToken(t *testing.T, h *testkit.Host, dir string, args ...string) testkit.Result {
	t.Helper()
	cmd := h.Command(t, dir, args...)
	cmd.Env = append(cmd.Env, "TOKEN=canary-secret")
	return testkit.Run(t, cmd)
}

// TestPlan: a plan says all that a push would change and changes nothing; applying it
// does just that; what dokku.hcl no longer says is removed.
func TestPlan(t *testing.T) {
	t.Parallel()
	h := testkit.Serve(t, testkit.ServeOptions{})
	dir, app := testkit.CopyApp(t, "hello"), h.App(t, "hello")
	volume := t.TempDir()
	declaring(t, dir, whole+`
domains = ["`+app+`-own.localhost"]
storage {
  mounts = ["`+volume+`:/data"]
}
`)
	before := status(t, h, dir, app)
	first := withToken(t, h, dir, "plan", "--detailed-exitcode", "--app", app)
	if first.Exit != 2 {
		t.Fatalf("exit %d, want 2\n%s%s", first.Exit, first.Stdout, first.Stderr)
	}
	for _, part := range []string{"+ add app " + app, "+ add image: sha256:", "+ add config COLOUR", "+ add config TOKEN", "(secret)", "+ add formation web: 2", "+ add domains " + app + "-own.localhost",
		"+ add storage " + volume + ":/data", "web.limit.memory: 67108864", "client-max-body-size: 7m", "start:  web.1 web.2", "server_name " + app + "-own.localhost", "client_max_body_size 7m"} {
		if !strings.Contains(first.Stdout, part) {
			t.Errorf("the plan does not say %q:\n%s", part, first.Stdout)
		}
	}
	for _, value := range []string{"blue-is-a-value", "canary-secret"} {
		if strings.Contains(first.Stdout+first.Stderr, value) {
			t.Errorf("the plan shows the value %s:\n%s", value, first.Stdout)
		}
	}
	dry := withToken(t, h, dir, "--dry-run", "--app", app)
	_, steps, _ := strings.Cut(dry.Stdout, "\nSteps on the host\n")
	steps, _, _ = strings.Cut(steps, "\n\n")
	if want := "  Check the host\n  Fetch the image  (undone"; dry.Exit != 0 || !strings.HasPrefix(steps, want) || !strings.HasSuffix(steps, "\n  Record the release") {
		t.Errorf("push --dry-run: exit %d, the steps are %q\n%s", dry.Exit, steps, dry.Stderr)
	}
	if after := status(t, h, dir, app); after.Exists || after.Hash != before.Hash {
		t.Fatalf("planning changed the host: %+v", after)
	}
	pushed(t, withToken(t, h, dir, "--app", app))
	answers(t, h, app+"-own", "/", "Hello")
	state := status(t, h, dir, app)
	if state.Scale["web"] != 2 || len(state.Containers) != 2 {
		t.Errorf("scale %v, %d containers", state.Scale, len(state.Containers))
	}
	inspected := docker(t, "inspect", "--format", "{{.HostConfig.Memory}} {{.HostConfig.NanoCpus}} {{index .Config.Labels \"com.example.team\"}} {{range .Mounts}}{{.Source}}:{{.Destination}}{{end}}", state.Containers[0].ID)
	if want := "67108864 500000000 blue " + volume + ":/data"; strings.TrimSpace(inspected) != want {
		t.Errorf("the container has %q, want %q", inspected, want)
	}
	if again := withToken(t, h, dir, "plan", "--detailed-exitcode", "--app", app); again.Exit != 0 || !strings.Contains(again.Stdout, "v1 runs this already") {
		t.Errorf("after the push the plan is not empty: %+v", again)
	}
	declaring(t, dir, "config {\n  COLOUR = \"red\"\n}\n")
	removal := planned(t, h, dir, app)
	for _, part := range []string{"change config COLOUR", "remove config TOKEN", "change formation web: 2 → 1", "remove domains " + app + "-own.localhost", "add domains " + app + ".localhost",
		"remove storage " + volume, "remove nginx client-max-body-size: 7m", "remove resources web.limit.memory", "remove docker options --label"} {
		if !strings.Contains(changes(removal), part) {
			t.Errorf("the plan does not say %q:\n%s", part, changes(removal))
		}
	}
	pushed(t, h.Push(t, dir, "--app", app))
	answers(t, h, app, "/", "Hello")
	if got := h.Dokku(t, "config:show", app); strings.Contains(got.Stdout, "TOKEN") || !strings.Contains(got.Stdout, "red") {
		t.Errorf("config after the removal:\n%s", got.Stdout)
	}
	if last := planned(t, h, dir, app); !last.Empty() {
		t.Errorf("after the removal the plan is not empty: %s", changes(last))
	}
}

// TestBoundPlan: a push is bound to the plan that was looked at.
func TestBoundPlan(t *testing.T) {
	t.Parallel()
	h := testkit.Serve(t, testkit.ServeOptions{})
	dir, app := testkit.CopyApp(t, "hello"), h.App(t, "hello")
	file := filepath.Join(t.TempDir(), "plan.json")
	if result := h.Push(t, dir, "plan", "-o", file, "--app", app); result.Exit != 0 {
		t.Fatalf("plan: %+v", result)
	}
	pushed(t, h.Push(t, dir, "--plan", file, "--app", app))
	refused := func(why string) {
		t.Helper()
		result := h.Push(t, dir, "--plan", file, "--app", app)
		if result.Exit != 28 || !strings.Contains(result.Stderr, why) {
			t.Errorf("exit %d, want 28 and %q:\n%s", result.Exit, why, result.Stderr)
		}
	}
	refused("v1 is live now, not v0")
	testkit.Edit(t, dir, "www/cgi-bin/index.cgi", "Hello", "Hello again")
	if result := h.Push(t, dir, "plan", "-o", file, "--app", app); result.Exit != 0 {
		t.Fatalf("plan: %+v", result)
	}
	if set := h.Dokku(t, "config:set", "--no-restart", app, "COLOUR=blue"); set.Exit != 0 {
		t.Fatalf("config:set: %+v", set)
	}
	refused("the host has changed since the plan was made")
	if result := h.Push(t, dir, "plan", "-o", file, "--app", app); result.Exit != 0 {
		t.Fatalf("plan: %+v", result)
	}
	testkit.Edit(t, dir, "www/cgi-bin/index.cgi", "Hello again", "Hello once more")
	refused("what is to be deployed has changed")
	if state := status(t, h, dir, app); state.Current != 1 {
		t.Errorf("v%d is current, want v1", state.Current)
	}
}

// TestMovedTag: --image deploys what a tag names now, by its digest, and a tag that
// moved in the registry shows as a changed digest.
func TestMovedTag(t *testing.T) {
	t.Parallel()
	h := testkit.Serve(t, testkit.ServeOptions{})
	registry := testkit.Registry(t, testkit.RegistryOptions{})
	dir, app := testkit.CopyApp(t, "hello"), h.App(t, "hello")
	reference := registry.Addr + "/team/hello:stable"
	empty := t.TempDir()
	tag := func() string {
		t.Helper()
		archive := filepath.Join(t.TempDir(), "image.tar")
		built := h.Push(t, dir, "build", "-o", archive, "--app", app)
		if built.Exit != 0 {
			t.Fatalf("build: %+v", built)
		}
		image, err := tarball.ImageFromPath(archive, nil)
		if err != nil {
			t.Fatal(err)
		}
		to, err := name.ParseReference(reference, name.Insecure)
		if err != nil {
			t.Fatal(err)
		}
		if err := remote.Write(to, image); err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(built.Stdout)
	}
	first := tag()
	if plan := planned(t, h, empty, app, "--image", reference); !strings.Contains(changes(plan), "add image: "+first) {
		t.Fatalf("the plan of the first image:\n%s", changes(plan))
	}
	pushed(t, h.Push(t, empty, "--app", app, "--image", reference))
	answers(t, h, app, "/", "Hello")
	if plan := planned(t, h, empty, app, "--image", reference); !plan.Empty() {
		t.Errorf("the tag has not moved, and the plan is:\n%s", changes(plan))
	}
	testkit.Edit(t, dir, "www/cgi-bin/index.cgi", "Hello", "Hello again")
	second := tag()
	if plan := planned(t, h, empty, app, "--image", reference); !strings.Contains(changes(plan), "change image: "+first+" → "+second) {
		t.Errorf("the tag has moved, and the plan is:\n%s", changes(plan))
	}
	pushed(t, h.Push(t, empty, "--app", app, "--image", reference))
	answers(t, h, app, "/", "Hello again")
}

// TestJSONFitsItsSchema: what the programs print as JSON in real use is what the
// generated schemas describe.
func TestJSONFitsItsSchema(t *testing.T) {
	t.Parallel()
	h := testkit.Serve(t, testkit.ServeOptions{})
	dir, app := testkit.CopyApp(t, "goweb"), h.App(t, "goweb")
	fits := func(schema, text string) {
		t.Helper()
		described, err := report.Schema(schema)
		if err != nil {
			t.Fatal(err)
		}
		var parsed jsonschema.Schema
		if err := json.Unmarshal(described, &parsed); err != nil {
			t.Fatal(err)
		}
		judge, err := parsed.Resolve(nil)
		if err != nil {
			t.Fatal(err)
		}
		var value any
		if err := json.Unmarshal([]byte(text), &value); err != nil {
			t.Fatalf("%s: %v: %s", schema, err, text)
		}
		if err := judge.Validate(value); err != nil {
			t.Errorf("%s: %v: %s", schema, err, text)
		}
	}
	fits("plan", h.Push(t, dir, "plan", "--json", "--app", app).Stdout)
	events := 0
	for line := range strings.Lines(pushed(t, h.Push(t, dir, "--log-format", "json", "--app", app)).Stdout) {
		fits("event", line)
		events++
	}
	if events < 20 {
		t.Errorf("the push printed %d events", events)
	}
	failing := h.Push(t, testkit.CopyApp(t, "sick"), "--log-format", "json", "--app", app)
	if failing.Exit != 24 {
		t.Errorf("the failing push: exit %d, want 24", failing.Exit)
	}
	for line := range strings.Lines(failing.Stdout) {
		fits("event", line)
	}
	fits("status", h.Push(t, dir, "status", "--log-format", "json", "--app", app).Stdout)
	fits("releases", h.Push(t, dir, "releases", "--log-format", "json", "--app", app).Stdout)
	fits("drift", h.Push(t, dir, "drift", "--format", "json", "--app", app).Stdout)
	fits("doctor", h.Push(t, dir, "doctor", "--format", "json", "--app", app).Stdout)
	fits("check", h.Push(t, dir, "check", "--format", "json", "--app", app).Stdout)
	fits("explanation", h.Push(t, dir, "config", "explain", "app", "--format", "json", "--app", app).Stdout)
}
