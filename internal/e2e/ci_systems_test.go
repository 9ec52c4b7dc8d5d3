package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	yaml "go.yaml.in/yaml/v3"

	"github.com/dokku-push/dokku-push/internal/testkit"
)

// TestActionRefusesOthers: a program that is not what its release says is not started, and an
// address that anybody could answer for is not asked.
func TestActionRefusesOthers(t *testing.T) {
	t.Parallel()
	bin := testkit.Binaries(t)
	for base, says := range map[string]string{
		released(t, bin) + "/broken": "is not what its release says", released(t, bin) + "/nowhere": "cannot download", "http://example.com": "no https URL",
	} {
		j := &actionJob{workspace: t.TempDir(), temp: t.TempDir(), inputs: map[string]string{"download_url": base}}
		out := j.run(t)
		if commands := obeyed(t, out.log); out.exit != 1 || len(commands) != 1 || !strings.HasPrefix(commands[0], "::error ") || !strings.Contains(commands[0], says) {
			t.Errorf("%s: exit %d\n%s", base, out.exit, out.log)
		}
		if left, _ := filepath.Glob(filepath.Join(j.temp, "dokku-push.*", "dokku-push")); len(left) != 0 {
			t.Errorf("%s: %v can be started", base, left)
		}
	}
}

// example is how a CI system's file is carried out: its scripts, and the variables it sets.
type example struct {
	name    string
	scripts []string // each a shell of its own
	env     map[string]string
	review  []string // that make a review app, and remove it
}

// examples reads the files for the other CI systems as these do.
func examples(t *testing.T) (all []example) {
	t.Helper()
	var woodpecker struct {
		Steps []struct {
			Environment map[string]any
			Commands    []string
		}
	}
	read(t, "examples/ci/woodpecker.yml", &woodpecker)
	all = append(all, example{name: "woodpecker", scripts: []string{strings.Join(woodpecker.Steps[0].Commands, "\n")}, env: texts(woodpecker.Steps[0].Environment)})
	var circle struct {
		Jobs map[string]struct {
			Environment map[string]any
			Steps       []any
		}
	}
	read(t, "examples/ci/circleci.yml", &circle)
	one := example{name: "circleci", env: texts(circle.Jobs["deploy"].Environment)}
	for _, step := range circle.Jobs["deploy"].Steps {
		if words, ok := step.(map[string]any); ok && words["run"] != nil {
			one.scripts = append(one.scripts, words["run"].(map[string]any)["command"].(string))
		}
	}
	all = append(all, one, gitlab(t))
	shell, err := os.ReadFile(filepath.Join(testkit.Root(t), "examples", "ci", "deploy.sh"))
	if err != nil {
		t.Fatal(err)
	}
	return append(all, example{name: "shell", scripts: []string{string(shell)}})
}

// texts are the variables that are given as they stand, not as the name of a secret.
func texts(values map[string]any) map[string]string {
	env := map[string]string{}
	for name, value := range values {
		if text, ok := value.(string); ok {
			env[name] = text
		}
	}
	return env
}

// gitlab is the component with its defaults, as GitLab fills it in.
func gitlab(t *testing.T) example {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(testkit.Root(t), ".gitlab", "dokku-push.yml"))
	if err != nil {
		t.Fatal(err)
	}
	head, body, found := strings.Cut(string(text), "\n---\n")
	var spec struct {
		Spec struct {
			Inputs map[string]struct{ Default *string }
		}
	}
	if err := yaml.Unmarshal([]byte(head), &spec); err != nil || !found {
		t.Fatalf("the component's header: %v", err)
	}
	for name, input := range spec.Spec.Inputs {
		value := ""
		if input.Default != nil {
			value = *input.Default
		}
		body = strings.ReplaceAll(body, "$[[ inputs."+name+" ]]", value)
	}
	if strings.Contains(body, "$[[") {
		t.Fatal("the component uses an input that it has not")
	}
	var jobs map[string]struct {
		Variables    map[string]any
		BeforeScript []string `yaml:"before_script"`
		Script       []string
		Resource     string `yaml:"resource_group"`
		Extends      string
		Environment  struct {
			Name, Action string
			OnStop       string `yaml:"on_stop"`
		}
	}
	if err := yaml.Unmarshal([]byte(body), &jobs); err != nil {
		t.Fatal(err)
	}
	deploy, base := jobs["dokku:deploy"], jobs[".dokku-push"]
	if deploy.Resource != "dokku-production" || deploy.Extends != ".dokku-push" {
		t.Errorf("the deploy is %+v", deploy)
	}
	review, stop := jobs["dokku:review"], jobs["dokku:review:stop"]
	if review.Environment.OnStop != "dokku:review:stop" || stop.Environment.Action != "stop" || stop.Environment.Name != review.Environment.Name || stop.Resource != review.Resource || stop.Extends != ".dokku-push" {
		t.Errorf("the review app's jobs are %+v, %+v", review, stop)
	}
	script := func(words []string) string {
		return "set -e\n" + strings.Join(slices.Concat(base.BeforeScript, words), "\n")
	}
	return example{name: "gitlab", scripts: []string{script(deploy.Script)}, env: texts(base.Variables), review: []string{script(review.Script), script(stop.Script)}}
}

// TestGitLabInclude: what people copy includes the component by a name that GitLab finds, of
// the version that it installs, with no input that it lacks and each that it wants.
func TestGitLabInclude(t *testing.T) {
	var example struct {
		Include []struct {
			Remote string
			Inputs map[string]string
		}
	}
	read(t, "examples/ci/gitlab-ci.yml", &example)
	text, err := os.ReadFile(filepath.Join(testkit.Root(t), ".gitlab", "dokku-push.yml"))
	if err != nil || len(example.Include) != 1 {
		t.Fatalf("%v, %+v", err, example)
	}
	var head struct {
		Spec struct {
			Inputs map[string]struct{ Default *string }
		}
	}
	header, _, _ := strings.Cut(string(text), "\n---\n")
	if err := yaml.Unmarshal([]byte(header), &head); err != nil {
		t.Fatal(err)
	}
	one, inputs := example.Include[0], head.Spec.Inputs
	if want := "https://raw.githubusercontent.com/dokku-push/dokku-push/" + *inputs["version"].Default + "/.gitlab/dokku-push.yml"; one.Remote != want || !strings.Contains(string(text), want) {
		t.Errorf("%s is included, want %s", one.Remote, want)
	}
	for name, input := range inputs {
		if _, said := one.Inputs[name]; !said && input.Default == nil {
			t.Errorf("the input %s is not said", name)
		}
	}
	for name := range one.Inputs {
		if _, known := inputs[name]; !known {
			t.Errorf("there is no input %s", name)
		}
	}
	var action actionFile
	read(t, "action.yml", &action)
	version := action.Inputs["version"].Default // which the release workflow compares with its tag
	if *inputs["version"].Default != version {
		t.Errorf("the component installs %s, and the action %s", *inputs["version"].Default, version)
	}
	files, err := filepath.Glob(filepath.Join(testkit.Root(t), "examples", "ci", "*"))
	if err != nil || len(files) == 0 {
		t.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, named := range regexp.MustCompile(`dokku-push(?:@|/|/releases/download/)(v\d+\.\d+\.\d+)`).FindAllStringSubmatch(string(text), -1) {
			if named[1] != version {
				t.Errorf("%s names %s, and the action installs %s", file, named[1], version)
			}
		}
	}
}

// TestCISystems: what the examples for the other CI systems say deploys, by the names that
// ci-docker-image has taught people.
func TestCISystems(t *testing.T) {
	t.Parallel()
	h := testkit.Serve(t, testkit.ServeOptions{})
	key, err := os.ReadFile(h.Key)
	if err != nil {
		t.Fatal(err)
	}
	base := released(t, h.Bin) + "/v0.1.0"
	for _, one := range examples(t) {
		t.Run(one.name, func(t *testing.T) {
			t.Parallel()
			dir, app, home := testkit.CopyApp(t, "hello"), h.App(t, one.name), t.TempDir()
			env := map[string]string{"PATH": os.Getenv("PATH"), "HOME": home, "CI": "true"}
			for name, value := range one.env {
				env[name] = value
			}
			remote := "ssh://dokku@" + h.SSH + "/" + app
			for name, value := range map[string]string{"PLUGIN_GIT_REMOTE_URL": remote, "PLUGIN_SSH_HOST_KEY": h.HostKey, "PLUGIN_SSH_PRIVATE_KEY": string(key)} {
				if _, ofTheFile := one.env[name]; ofTheFile || one.name == "woodpecker" {
					env[name] = value
				} else {
					env[strings.TrimPrefix(name, "PLUGIN_")] = value
				}
			}
			env["DOKKU_PUSH_BASE"] = base
			carryOut := func(script string) {
				t.Helper()
				cmd := exec.Command("bash", "-e", "-c", script)
				cmd.Dir = dir
				for name, value := range env {
					cmd.Env = append(cmd.Env, name+"="+value)
				}
				if r := testkit.Run(t, cmd); r.Exit != 0 {
					t.Fatalf("exit %d\n%s%s", r.Exit, r.Stdout, r.Stderr)
				}
			}
			for _, script := range one.scripts {
				carryOut(script)
			}
			answers(t, h, app, "/", "Hello")
			if one.name != "gitlab" {
				return
			}
			text, err := os.ReadFile(filepath.Join(dir, "deploy.env"))
			if err != nil || !strings.Contains(string(text), "DOKKU_PUSH_VERSION=v1\n") || !strings.Contains(string(text), "DOKKU_PUSH_URL=http://"+app+".") {
				t.Errorf("the dotenv report is %q (%v)", text, err)
			}
			env["CI_COMMIT_REF_NAME"] = "topic"
			carryOut(one.review[0])
			text, err = os.ReadFile(filepath.Join(dir, "review.env"))
			if err != nil || !strings.Contains(string(text), "DOKKU_PUSH_URL=http://review-"+app+"-topic.") {
				t.Errorf("the review app's report is %q (%v)", text, err)
			}
			answers(t, h, "review-"+app+"-topic", "/", "Hello")
			dir = t.TempDir() // nothing is checked out
			carryOut(one.review[1])
			if h.Dokku(t, "apps:exists", "review-"+app+"-topic").Exit == 0 {
				t.Error("the review app is still there")
			}
		})
	}
}
