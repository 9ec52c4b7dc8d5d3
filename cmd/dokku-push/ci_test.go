package main

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/push/ci"
	"github.com/dokku-push/dokku-push/remote"
)

// TestJob: a job's inputs become options; a flag wins, and no secret of the job's stays in the
// environment that plugins inherit.
func TestJob(t *testing.T) {
	forget(t)
	temp := t.TempDir()
	for name, value := range map[string]string{"INPUT_GIT_REMOTE_URL": "ssh://dokku@example.com/shop", "INPUT_SSH_PRIVATE_KEY": "k", "SSH_PASSPHRASE": "open sesame", "INPUT_REGISTRY": "r.example/shop",
		"INPUT_REGISTRY_USERNAME": "ada", "INPUT_REGISTRY_PASSWORD": "canary", "INPUT_LOCK_WAIT": "5m", "INPUT_SSH_HOST_KEY": "a ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJoBWZ+jB6al7euL0utAUR42+48UMgp4ZzjM4TWZ4zFG\nb ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKd5r1DmCvuP47CkMBOKZC8e4KLuxBpkz1a29C3BwRnV", "INPUT_BUILDER": "static", "RUNNER_TEMP": temp,
		"HOME": temp, "DOCKER_CONFIG": "", "INPUT_CI_BRANCH_NAME": "topic"} {
		t.Setenv(name, value)
	}
	put := func(name, text string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(filepath.Join(temp, name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(temp, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	put(".docker/config.json", `{"auths":{"other.example":{"auth":"eA=="}},"credsStore":"desktop"}`)
	c, err := parse([]string{"ci", "--app", "flag"}, nil, nil, nil)
	if err == nil {
		err = c.readJob()
	}
	if err != nil {
		t.Fatal(err)
	}
	o := c.options
	if o.App != "flag" || o.Host != "dokku@example.com:22" || o.Remote.Key.Reveal() != "k" || o.LockWait.Minutes() != 5 || o.Variables["build.builder"].Value != "static" {
		t.Errorf("options %+v", o)
	}
	if n := o.Remote.Names; n.Key != "the input ssh_private_key" || n.Passphrase != "the input ssh_passphrase" || n.HostKey != "the input ssh_host_key" || o.Variables["build.builder"].Name != "the input builder" {
		t.Errorf("the inputs are called %+v, %+v", n, o.Variables["build.builder"])
	}
	if text, err := o.Remote.Passphrase("key"); text != "open sesame" || err != nil {
		t.Errorf("the passphrase is %q (%v)", text, err)
	}
	if branch, _ := o.Getenv("CI_BRANCH_NAME"); branch != "topic" {
		t.Errorf("the branch is %q", branch)
	}
	docker, err := os.ReadFile(filepath.Join(os.Getenv("DOCKER_CONFIG"), "config.json"))
	if err != nil || !strings.Contains(string(docker), `"r.example":{"auth":"YWRhOmNhbmFyeQ=="}`) || !strings.Contains(string(docker), "other.example") || strings.Contains(string(docker), "credsStore") {
		t.Errorf("Docker's configuration is %s (%v)", docker, err)
	}
	for _, entry := range os.Environ() {
		if strings.Contains(entry, "canary") || strings.Contains(entry, "open sesame") || strings.HasPrefix(entry, "INPUT_SSH_PRIVATE_KEY=") {
			t.Errorf("%s stays in the environment", entry)
		}
	}
	room := c.room
	if filepath.Dir(room) != temp {
		t.Errorf("keys and credentials are in %s, which no runner empties", room)
	}
	c.leave()
	if _, err := os.Stat(room); err == nil {
		t.Error("the job's folder stays")
	}
}

// TestLogin: what a job says of its registry is what is found for it, under Docker Hub's every
// name too, and whatever helper the runner has for it.
func TestLogin(t *testing.T) {
	for _, registry := range []string{"r.example/team/shop", "127.0.0.1:5000/shop", "docker.io/team/shop", "index.docker.io/team/shop", "ghcr.io/team/shop"} {
		dir := t.TempDir()
		config := `{"credsStore":"none-such","credHelpers":{"r.example":"none-such","127.0.0.1:5000":"none-such","https://index.docker.io/v1/":"none-such","ghcr.io":"none-such","other.example":"kept"}}`
		if err := os.WriteFile(filepath.Join(dir, "config.json"), []byte(config), 0o600); err != nil {
			t.Fatal(err)
		}
		t.Setenv("DOCKER_CONFIG", dir)
		c := &client{room: t.TempDir()}
		c.options.Getenv = os.LookupEnv
		if err := c.login(ci.Job{Registry: registry, RegistryUser: "ada", RegistryPassword: "pass"}); err != nil {
			t.Fatal(err)
		}
		got, err := remote.RegistryAuth(registry)
		if err != nil || got == nil || got.Username != "ada" || got.Password != "pass" {
			t.Errorf("%s: %t, %v", registry, got != nil, err)
		}
		if text, err := os.ReadFile(filepath.Join(c.room, "config.json")); err != nil || !strings.Contains(string(text), `"other.example":"kept"`) {
			t.Errorf("%s: %s, %v", registry, text, err)
		}
	}
}

// TestJobTells: whatever a job was about and wherever it ended, its outputs and its summary
// say so by the app's name; a deployment is told of deploys alone.
func TestJobTells(t *testing.T) {
	const broken, static = "no colon\n", "build {\n  builder = \"static\"\n  static {\n    base = \"scratch\"\n    dir  = \".\"\n  }\n}\n"
	for name, test := range map[string]struct {
		procfile        string
		inputs          []string
		exit            int
		outputs, absent []string
		summary         []string
	}{
		"a deploy":           {"web: x $PORT\n", nil, 69, []string{"error_code=unreachable", `"payload":{"app":"shop"}`, `"state":"failure"`}, nil, []string{"<code>shop</code>: failed", "exit 69"}},
		"named by dokku.hcl": {"web: x $PORT\n", []string{"INPUT_GIT_REMOTE_URL", "", "INPUT_HOST", "dokku@127.0.0.1:1"}, 69, []string{`"payload":{"app":"written"}`}, nil, []string{"<code>written</code>: failed"}},
		"a plan":             {"web: x $PORT\n", []string{"INPUT_PLAN_ONLY", "true"}, 69, []string{"error_code=unreachable"}, []string{"payload"}, []string{"<code>shop</code>: failed"}},
		"a check":            {broken, []string{"INPUT_COMMAND", "check"}, 65, []string{"error_code=invalid_manifest"}, []string{"payload"}, []string{"<code>shop</code>: failed", "Procfile:1"}},
		"logged as JSON":     {"web: x $PORT\n", []string{"DOKKU_LOG_FORMAT", "json"}, 69, []string{"error_code=unreachable"}, nil, []string{"<code>shop</code>: failed"}},
		"of several":         {"web: x $PORT\n", []string{"INPUT_GIT_REMOTE_URL", "", "INPUT_CHANGED_SINCE", "nowhere"}, 64, []string{"error_code=usage"}, []string{"payload"}, []string{"in no git repository"}},
		"a dry review": {"web: x $PORT\n", []string{"INPUT_COMMAND", "review-apps:create", "INPUT_DRY_RUN", "true", "INPUT_CI_BRANCH_NAME", "topic"}, 0, []string{"review_app_name=review-shop-topic"}, []string{"payload"},
			[]string{"<code>review-shop-topic</code>: skipped", "nothing is made or deployed", "of shop", "processes web"}},
		"a review":     {"web: x $PORT\n", []string{"INPUT_COMMAND", "review-apps:create", "INPUT_CI_BRANCH_NAME", "topic"}, 69, []string{`"payload":{"app":"review-shop-topic"}`, `"transient_environment":true`}, nil, []string{"<code>review-shop-topic</code>: failed"}},
		"a broken one": {broken, []string{"INPUT_COMMAND", "review-apps:create", "INPUT_CI_BRANCH_NAME", "topic"}, 65, []string{"error_code=invalid_manifest"}, []string{"payload"}, []string{"Procfile:1"}},
	} {
		t.Run(name, func(t *testing.T) {
			forget(t)
			dir, temp := t.TempDir(), t.TempDir()
			for file, text := range map[string]string{filepath.Join(dir, "Procfile"): test.procfile, filepath.Join(dir, "dokku.hcl"): "app = \"written\"\n" + static} {
				if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			outputs, summary := filepath.Join(temp, "outputs"), filepath.Join(temp, "summary")
			inputs := append([]string{"INPUT_GIT_REMOTE_URL", "ssh://dokku@127.0.0.1:1/shop", "GITHUB_ACTIONS", "true", "GITHUB_SHA", strings.Repeat("ab", 20), "GITHUB_OUTPUT", outputs, "GITHUB_STEP_SUMMARY", summary, "RUNNER_TEMP", temp}, test.inputs...)
			for i := 0; i < len(inputs); i += 2 {
				t.Setenv(inputs[i], inputs[i+1])
			}
			dotenv := filepath.Join(temp, "dotenv")
			got := at(t, dir, "ci", "--outputs", dotenv)
			lines, _ := os.ReadFile(dotenv)
			if name := "\nDOKKU_PUSH_REVIEW_APP_NAME=review-shop-topic\n"; strings.Contains(string(lines), name) != strings.Contains(strings.Join(test.summary, ""), "review-shop-topic") {
				t.Errorf("the dotenv report is\n%s", lines)
			}
			text, _ := os.ReadFile(outputs)
			page, _ := os.ReadFile(summary)
			values := regexp.MustCompile(`(?m)^(\w+)<<.*\n(.*)\n.*\n`).ReplaceAllString(string(text), "$1=$2\n")
			if got.exit != test.exit {
				t.Errorf("exit %d: %+v", got.exit, got)
			}
			for _, want := range test.outputs {
				if !strings.Contains(values, want) {
					t.Errorf("the outputs do not say %q:\n%s", want, values)
				}
			}
			for _, not := range test.absent {
				if strings.Contains(values, not) {
					t.Errorf("the outputs say %q:\n%s", not, values)
				}
			}
			for _, want := range test.summary {
				if !strings.Contains(string(page), want) {
					t.Errorf("the summary does not say %q:\n%s", want, page)
				}
			}
		})
	}
}

// TestResultAlways: whatever of these ends before the host has judged it writes its result.
func TestResultAlways(t *testing.T) {
	forget(t)
	for _, args := range [][]string{{"push"}, {"plan"}, {"rollback"}, {"promote", "staging", "shop"}, {"promote"}} {
		file := filepath.Join(t.TempDir(), "result")
		got := at(t, t.TempDir(), append(args, "--app", "shop", "--host", "dokku@127.0.0.1:1", "--result", file)...)
		if text, err := os.ReadFile(file); got.exit == 0 || err != nil || !strings.Contains(string(text), `"code": "`) {
			t.Errorf("%q: %+v\n%s (%v)", args, got, text, err)
		}
	}
}

// TestNowhereToWrite: where the result cannot be written nothing is begun.
func TestNowhereToWrite(t *testing.T) {
	forget(t)
	for _, flag := range []string{"--result", "--outputs", "--event-log"} {
		got := at(t, t.TempDir(), "push", "--app", "shop", "--host", "dokku@127.0.0.1:1", flag, "/nonexistent/file")
		if got.exit != 64 || strings.Contains(got.err, "Connect to") {
			t.Errorf("%s: %+v", flag, got)
		}
	}
}

// TestAnswersSteerNoRunner: what a project says of itself in an answer is no command to
// GitHub's runner, and as JSON it stays as it is.
func TestAnswersSteerNoRunner(t *testing.T) {
	forget(t)
	t.Setenv("GITHUB_ACTIONS", "true")
	dir, odd := t.TempDir(), "##[error]x"
	for name, text := range map[string]string{"dokku.hcl": "build {\n  dir = \"" + odd + "\"\n}\nconfig {\n  LEVEL = \"" + odd + "\"\n}\n", odd + "/Procfile": "web: x $PORT\n", odd + "/Dockerfile": "FROM scratch\n"} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, args := range [][]string{{"ci"}, {"check"}, {"config", "explain", "config.LEVEL"}} {
		t.Setenv("INPUT_COMMAND", "check")
		got := at(t, dir, append(args, "--app", "shop")...)
		if got.exit != 0 || strings.Contains(got.out, "##[") || !strings.Contains(got.out, "# #[error]x") {
			t.Errorf("%q: %+v", args, got)
		}
	}
	if got := at(t, dir, "config", "explain", "config.LEVEL", "--app", "shop", "--log-format", "json"); !strings.Contains(got.out, odd) {
		t.Errorf("as JSON: %+v", got)
	}
}

// TestLate: what was not done in the job's own time may be tried again, but for what needs a
// person, or is live.
func TestLate(t *testing.T) {
	c := &client{job: ci.Job{Timeout: time.Second}}
	over, cancel := context.WithCancelCause(t.Context())
	cancel(errTimeout)
	for code, want := range map[api.Code]int{api.Cancelled: 75, api.Unclassified: 75, api.UndoFailed: 29, api.HookFailed: 26} {
		if got := api.Exit(c.late(over, &api.Error{Code: code, Message: "m"})); got != want {
			t.Errorf("%s when the time is up: exit %d, want %d", code, got, want)
		}
		if got := c.late(t.Context(), &api.Error{Code: code}); api.AsError(got).Code != code {
			t.Errorf("%s in time is %v", code, got)
		}
	}
}

// TestForkedJob: a fork's pull request is built, without a key and without a host; what would
// run a command here is not, and its files read nothing that could be secret.
func TestForkedJob(t *testing.T) {
	forget(t)
	dir := t.TempDir()
	event := filepath.Join(dir, "event.json")
	for name, text := range map[string]string{event: `{"pull_request":{"head":{"repo":{"full_name":"a/b"}},"base":{"repo":{"full_name":"c/b"}}}}`,
		filepath.Join(dir, "Procfile"): "web: x $PORT\n", filepath.Join(dir, "dokku.hcl"): "build {\n  builder = \"static\"\n  static {\n    base = \"scratch\"\n    dir  = \".\"\n  }\n}\n"} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, value := range map[string]string{"INPUT_GIT_REMOTE_URL": "ssh://dokku@nowhere.invalid/shop", "GITHUB_EVENT_NAME": "pull_request", "GITHUB_EVENT_PATH": event, "GITHUB_ACTIONS": "true"} {
		t.Setenv(name, value)
	}
	got := at(t, dir, "ci")
	if got.exit != 0 || !strings.Contains(got.err, "::warning ") || !strings.Contains(got.err, "fork") || !strings.Contains(got.out, "compared with no host") || strings.Contains(got.err, "Connect") {
		t.Errorf("%+v", got)
	}
	t.Setenv("DATABASE_URL", "canary")
	made := filepath.Join(t.TempDir(), "made")
	for text, says := range map[string]string{"build {\n  builder = \"static\"\n  static {\n    base = \"scratch\"\n    make = \"touch " + made + "\"\n  }\n}\n": "runs a command on this machine",
		"domains = [env(\"DATABASE_URL\")]\n": "DATABASE_URL"} {
		if err := os.WriteFile(filepath.Join(dir, "dokku.hcl"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"pull_request", "pull_request_target"} {
			t.Setenv("GITHUB_EVENT_NAME", name)
			if got := at(t, dir, "ci"); got.exit == 0 || !strings.Contains(got.err, says) || strings.Contains(got.err+got.out, "canary") {
				t.Errorf("%s: %+v", name, got)
			}
		}
	}
	if _, err := os.Stat(made); err == nil {
		t.Error("a command of the fork's ran")
	}
	t.Setenv("INPUT_COMMAND", "nonsense")
	if got := at(t, dir, "ci"); got.exit != api.Exit(&api.Error{Code: api.Usage}) || strings.Count(got.err, "::error ") != 1 {
		t.Errorf("%+v", got)
	}
}
