package e2e

import (
	"encoding/base64"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/internal/testkit"
	"github.com/dokku-push/dokku-push/push"
)

// inputTests names, for each of the action's inputs, a test that fails without it.
var inputTests = map[string]string{
	"git_remote_url": "TestAction", "ssh_private_key": "TestAction", "ssh_passphrase": "TestAction", "ssh_host_key": "TestAction", "plan_only": "TestAction", "plan_file": "TestAction",
	"download_url": "TestActionRefusesOthers", "version": "TestActionRefusesInputs", "json_log": "TestActionSecrets", "lock_wait": "TestActionCancelled", "command": "TestActionReviewApp",
	"review_app_name": "TestActionReviewApp", "deploy_docker_image": "TestActionReviewApp", "ci_branch_name": "TestActionReviewApp",
	"oidc": "TestActionOIDC", "oidc_audience": "TestActionOIDC",
	"ssh_private_key_base64": "TestActionPlans", "app": "TestActionPlans", "host": "TestActionPlans", "dir": "TestActionPlans", "manifest": "TestActionPlans", "environment": "TestActionPlans",
	"builder": "TestActionPlans", "trust_on_first_use": "TestActionPlans", "dry_run": "TestActionPlans", "trace": "TestActionPlans", "git_push_flags": "TestActionPlans", "branch": "TestActionPlans",
	"all": "TestActionPlans", "changed_since": "TestActionPlans", "image": "TestActionPlans", "deploy_user_name": "TestActionPlans", "deploy_user_email": "TestActionPlans",
	"registry": "TestActionRegistry", "registry_username": "TestActionRegistry", "registry_password": "TestActionRegistry", "sign": "TestActionRegistry",
	"push_mode": "TestActionRefusesInputs", "ci_commit": "TestActionRefusesInputs", "platform": "TestActionRefusesInputs", "strict": "TestActionRefusesInputs", "timeout": "TestActionTimeout",
}

// TestActionInputsAreTested: each input reaches the program as a variable, and has a test.
func TestActionInputsAreTested(t *testing.T) {
	var action actionFile
	read(t, "action.yml", &action)
	files, err := filepath.Glob("*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	var sources strings.Builder
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		sources.Write(text)
	}
	handed := map[string]bool{"version": true, "download_url": true} // of the step that installs
	for _, step := range action.Runs.Steps {
		for name, value := range step.Env {
			if input, is := strings.CutPrefix(name, "INPUT_"); is {
				input = strings.ToLower(input)
				handed[input] = true
				if value != "${{ inputs."+input+" }}" {
					t.Errorf("%s is %s", name, value)
				}
			}
		}
	}
	for name := range action.Inputs {
		if test := inputTests[name]; !handed[name] || test == "" || !strings.Contains(sources.String(), "func "+test+"(t *testing.T)") {
			t.Errorf("the input %s: handed on: %t, test: %q", name, handed[name], test)
		}
	}
	for name := range inputTests {
		if _, known := action.Inputs[name]; !known {
			t.Errorf("there is no input %s", name)
		}
	}
}

// TestActionPlans: what the inputs say of where, what and how, seen in plans; nothing is
// deployed by any of them.
func TestActionPlans(t *testing.T) {
	t.Parallel()
	h := testkit.Serve(t, testkit.ServeOptions{})
	key, err := os.ReadFile(h.Key)
	if err != nil {
		t.Fatal(err)
	}
	root, app, other := t.TempDir(), h.App(t, "inputs"), h.App(t, "other")
	for _, name := range []string{"one", "two"} {
		if err := os.CopyFS(filepath.Join(root, "apps", name), os.DirFS(testkit.CopyApp(t, "hello"))); err != nil {
			t.Fatal(err)
		}
	}
	put(t, filepath.Join(root, "apps", "one", "other.hcl"), "build {\n  builder = \"pack\"\n}\nconfig {\n  MAIN = \"1\"\n}\nenvironment \"staging\" {\n  config {\n    STAGING = \"1\"\n  }\n}\n")
	j := newJob(t, h, root, app)
	j.once = true
	common := j.inputs
	with := func(inputs map[string]string) ciOutcome {
		t.Helper()
		j.inputs = map[string]string{"download_url": common["download_url"]}
		for name, value := range inputs {
			j.inputs[name] = value
		}
		out := j.run(t)
		if out.exit != 0 || out.outputs["version"] != "" {
			t.Fatalf("%v: exit %d, outputs %v\n%s", inputs, out.exit, out.outputs, out.log)
		}
		return out
	}
	out := with(map[string]string{"app": app, "host": "dokku@" + h.SSH, "dir": "apps/one", "manifest": "other.hcl", "environment": "staging", "builder": "dockerfile", "dry_run": "true", "trace": "true",
		"ssh_private_key_base64": base64.StdEncoding.EncodeToString(key), "trust_on_first_use": "true", "branch": "topic", "deploy_user_name": "Ada", "deploy_user_email": "ada@example.com"})
	plan, err := push.ReadPlan(out.outputs["plan"])
	if err != nil {
		t.Fatal(err)
	}
	config := func(name string) bool {
		return slices.ContainsFunc(plan.Changes, func(c api.PlanChange) bool { return c.Kind == "config" && c.Name == name })
	}
	if plan.App != app || plan.Environment != "staging" || !config("MAIN") || !config("STAGING") || len(plan.Decided) == 0 || !strings.HasPrefix(plan.Decided[0], "dockerfile: ") {
		t.Errorf("the plan is %+v", plan)
	}
	if !strings.Contains(out.log, "command plan, host dokku@"+h.SSH) || !strings.Contains(out.log, "deploy-branch is not asked") {
		t.Errorf("trace and branch say nothing:\n%s", out.log)
	}
	if text, err := os.ReadFile(out.outputs["plan_markdown"]); err != nil || !strings.HasPrefix(string(text), "<!-- dokku-push plan of "+app+" in staging -->\n### Plan for ") {
		t.Errorf("the comment is %q (%v)", text, err)
	}
	put(t, filepath.Join(root, "dokku.hcl"), fmt.Sprintf("app %q {\n  build {\n    context = \"apps/one\"\n  }\n}\napp %q {\n  build {\n    context = \"apps/two\"\n  }\n}\n", app, other))
	git := func(args ...string) {
		must(t, exec.Command("git", append([]string{"-C", root, "-c", "user.name=Ada", "-c", "user.email=ada@example.com"}, args...)...))
	}
	git("init", "--quiet")
	git("add", "--all")
	git("commit", "--quiet", "--message", "one")
	reach := map[string]string{"host": "dokku@" + h.SSH, "ssh_private_key": common["ssh_private_key"], "ssh_host_key": common["ssh_host_key"], "plan_only": "true"}
	reach["all"] = "true"
	if out := with(reach); !strings.Contains(out.summary, "<code>"+app+"</code>: planned") || !strings.Contains(out.summary, "<code>"+other+"</code>: planned") {
		t.Errorf("all: the summary is\n%s", out.summary)
	}
	testkit.Edit(t, filepath.Join(root, "apps", "two"), "www/cgi-bin/index.cgi", "Hello", "Hello again")
	delete(reach, "all")
	reach["changed_since"] = "HEAD"
	if out := with(reach); strings.Contains(out.summary, "<code>"+app+"</code>: planned") || !strings.Contains(out.summary, "<code>"+other+"</code>: planned") {
		t.Errorf("changed_since: the summary is\n%s", out.summary)
	}
	image := "docker-daemon:dokku-push-test/busybox"
	out = with(map[string]string{"git_remote_url": common["git_remote_url"], "ssh_private_key": common["ssh_private_key"], "ssh_host_key": common["ssh_host_key"], "git_push_flags": "--dry-run -o ci.skip", "image": image, "dir": "apps/one"})
	if !strings.Contains(out.summary, "image: ") || !strings.Contains(out.log, "git_push_flags: ci.skip has no meaning") {
		t.Errorf("image and git_push_flags:\n%s\n%s", out.summary, out.log)
	}
	if exists := h.Dokku(t, "apps:exists", app); exists.Exit == 0 {
		t.Error("a plan made the app")
	}
}

// TestActionRegistry: the image goes through a registry that wants a password, and the release
// is signed with the job's key.
func TestActionRegistry(t *testing.T) {
	t.Parallel()
	h := testkit.Serve(t, testkit.ServeOptions{})
	registry := testkit.Registry(t, testkit.RegistryOptions{User: "ada", Password: registryPassword})
	repository := registry.Addr + "/team/app"
	forgetPulled(t, repository)
	dir, app := testkit.CopyApp(t, "hello"), h.App(t, "pushed")
	j := newJob(t, h, dir, app)
	j.once = true
	j.inputs["push_mode"], j.inputs["registry"] = "registry", repository
	j.inputs["registry_username"], j.inputs["registry_password"] = "ada", "wrong-"+registryPassword
	if out := j.run(t); out.exit != 77 || out.outputs["failed_step"] != "ship" {
		t.Errorf("a wrong password: exit %d, outputs %v\n%s", out.exit, out.outputs, out.log)
	}
	j.inputs["registry_password"], j.inputs["sign"] = registryPassword, "true"
	out := j.run(t)
	if out.exit != 0 || registry.Requests("PUT", "/team/app/blobs/uploads/") == 0 {
		t.Fatalf("exit %d, outputs %v\n%s", out.exit, out.outputs, out.log)
	}
	answers(t, h, app, "/", "Hello")
	if list := h.Push(t, dir, "releases", "--app", app); !strings.Contains(list.Stdout, "SHA256:") {
		t.Errorf("the release is not signed:\n%s", list.Stdout)
	}
	if shown := strings.ReplaceAll(out.log, "::add-mask::"+registryPassword, ""); strings.Contains(shown+out.summary+h.Log(), registryPassword) {
		t.Error("the registry's password is shown")
	}
	if left, _ := filepath.Glob(filepath.Join(j.temp, "dokku-push-ci-*")); len(left) != 0 { // with the password
		t.Errorf("%q is left", left)
	}
}

// TestActionRefusesInputs: what cannot be meant is refused before a host is asked.
func TestActionRefusesInputs(t *testing.T) {
	t.Parallel()
	h := testkit.Serve(t, testkit.ServeOptions{})
	dir, app := testkit.CopyApp(t, "hello"), h.App(t, "refused")
	put(t, filepath.Join(dir, "Procfile"), "web: exec busybox httpd -f -p 5000 -h /www\n")
	must(t, exec.Command("git", "-C", dir, "init", "--quiet"))
	must(t, exec.Command("git", "-C", dir, "-c", "user.name=Ada", "-c", "user.email=ada@example.com", "commit", "--quiet", "--allow-empty", "--message", "one"))
	platform := map[string]string{"linux/amd64": "linux/arm64", "linux/arm64": "linux/amd64"}
	for _, test := range []struct {
		name, value, also string
		exit              int
		says              string
	}{
		{"version", "latest", "", 1, "the version is no vX.Y.Z"},
		{"push_mode", "ssh", "registry", 64, "push_mode is ssh, and registry names"},
		{"ci_commit", strings.Repeat("cd", 20), "", 64, "is checked out"},
		{"strict", "true", "", 65, "does not name $PORT"},
		{"platform", platform["linux/"+runtime.GOARCH], "", 78, "is what is needed here"},
	} {
		j := newJob(t, h, dir, app)
		j.inputs[test.name], j.inputs["plan_only"] = test.value, "true"
		if test.also != "" {
			j.inputs[test.also] = "registry.example.com/team/app"
		}
		if out := j.run(t); out.exit != test.exit || !strings.Contains(out.log, test.says) || !strings.Contains(out.log, "::error ") {
			t.Errorf("%s: exit %d, want %d with %q\n%s", test.name, out.exit, test.exit, test.says, out.log)
		}
	}
}

// TestActionTimeout: what is not done in the job's own time is undone.
func TestActionTimeout(t *testing.T) {
	t.Parallel()
	h := testkit.Serve(t, testkit.ServeOptions{})
	dir, app := testkit.CopyApp(t, "sick"), h.App(t, "late")
	testkit.Edit(t, dir, "app.json", `"attempts": 2`, `"attempts": 1000`)
	j := newJob(t, h, dir, app)
	j.inputs["timeout"] = "2"
	out := j.run(t)
	if out.exit != 75 || out.outputs["version"] != "" || out.outputs["error_code"] != "locked" || !strings.Contains(out.log, "not done in 2s") || !strings.Contains(out.summary, "(exit 75)") {
		t.Errorf("exit %d, outputs %v\n%s\n%s", out.exit, out.outputs, out.log, out.summary)
	}
	if after := status(t, h, dir, app); after.Current != 0 || after.Lock != nil || after.Unfinished != "" {
		t.Errorf("something is left of it: %+v\n%s", after, out.log)
	}
}
