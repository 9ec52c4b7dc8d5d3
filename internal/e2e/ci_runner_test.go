package e2e

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"

	yaml "go.yaml.in/yaml/v3"

	"github.com/dokku-push/dokku-push/internal/testkit"
)

// released serves the client as a release does: the program and its SHA256SUMS.
func released(t *testing.T, bin testkit.Bin) (url string) {
	t.Helper()
	text, err := os.ReadFile(bin.Client)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(text)
	name := "dokku-push_linux_" + runtime.GOARCH
	files := http.NewServeMux()
	files.HandleFunc("/v0.1.0/SHA256SUMS", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, "%064d  dokku-agent_linux_amd64\n%s  %s\n", 0, hex.EncodeToString(sum[:]), name)
	})
	files.HandleFunc("/v0.1.0/"+name, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(text) })
	files.HandleFunc("/broken/SHA256SUMS", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, "%s  %s\n", strings.Repeat("ab", 32), name)
	})
	files.HandleFunc("/broken/"+name, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(text) })
	server := httptest.NewServer(files)
	t.Cleanup(server.Close)
	return server.URL
}

// actionFile is action.yml.
type actionFile struct {
	Inputs  map[string]struct{ Default string }
	Outputs map[string]struct{ Value string }
	Runs    struct {
		Using string
		Steps []struct {
			ID, Shell, Run, Uses string
			Env                  map[string]string
		}
	}
}

func read(t *testing.T, file string, into any) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(testkit.Root(t), file))
	if err == nil {
		err = yaml.Unmarshal(text, into)
	}
	if err != nil {
		t.Fatalf("%s: %v", file, err)
	}
}

// actionJob is a job on a runner of GitHub's, as far as a composite action sees it.
type actionJob struct {
	inputs    map[string]string
	env       []string // of the job: secrets by name, and more
	workspace string
	temp      string
	begun     func(cmd *exec.Cmd, log *lockedBuffer) // of the step deploy
	event     string                                 // its name; empty: push
	payload   string                                 // of the event, JSON
	once      bool                                   // what the step install leaves is kept for the next run
	installed map[string]string
}

// outcome is what the job's step leaves.
type ciOutcome struct {
	exit    int
	log     string
	outputs map[string]string
	summary string
}

// newJob is a job about a folder, that knows host, app and key by the inputs of
// dokku/github-action.
func newJob(t *testing.T, h *testkit.Host, dir, app string) *actionJob {
	t.Helper()
	key, err := os.ReadFile(h.Key)
	if err != nil {
		t.Fatal(err)
	}
	return &actionJob{workspace: dir, temp: t.TempDir(), inputs: map[string]string{"git_remote_url": "ssh://dokku@" + h.SSH + "/" + app,
		"ssh_private_key": string(key), "ssh_host_key": h.HostKey, "download_url": released(t, h.Bin) + "/v0.1.0"}}
}

// expression is ${{ … }} in a value of action.yml.
var expression = regexp.MustCompile(`\$\{\{ *([a-z0-9_.]+) *\}\}`)

// run runs the action's steps, as the runner does.
func (j *actionJob) run(t *testing.T) ciOutcome {
	t.Helper()
	var action actionFile
	read(t, "action.yml", &action)
	for name := range j.inputs {
		if _, known := action.Inputs[name]; !known {
			t.Fatalf("the action has no input %s", name)
		}
	}
	steps := map[string]map[string]string{}
	evaluate := func(text string) string {
		return expression.ReplaceAllStringFunc(text, func(found string) string {
			name := expression.FindStringSubmatch(found)[1]
			words := strings.Split(name, ".")
			switch {
			case words[0] == "inputs" && len(words) == 2:
				if value, given := j.inputs[words[1]]; given {
					return value
				}
				input, known := action.Inputs[words[1]]
				if !known {
					t.Fatalf("the action uses the input %s, and has none", words[1])
				}
				return input.Default
			case name == "github.action_path":
				return testkit.Root(t)
			case len(words) == 4 && words[0] == "steps" && words[2] == "outputs":
				return steps[words[1]][words[3]]
			}
			t.Fatalf("the action uses %s", name)
			return ""
		})
	}
	summary := filepath.Join(j.temp, "summary.md")
	put(t, summary, "")
	out := ciOutcome{outputs: map[string]string{}}
	for _, step := range action.Runs.Steps {
		if step.ID == "install" && j.installed != nil {
			steps[step.ID] = j.installed
			continue
		}
		if strings.Contains(step.Run, "${{") || step.Shell != "bash" || step.Uses != "" {
			t.Fatalf("step %s: a script is bash, and no value stands in it", step.ID)
		}
		script, outputs := filepath.Join(j.temp, step.ID+".sh"), filepath.Join(j.temp, step.ID+".out")
		put(t, script, step.Run)
		put(t, outputs, "")
		cmd := exec.Command("bash", "--noprofile", "--norc", "-e", "-o", "pipefail", script)
		cmd.Dir = j.workspace
		cmd.Env = append(j.github(t, outputs, summary), j.env...)
		for name, value := range step.Env {
			cmd.Env = append(cmd.Env, name+"="+evaluate(value))
		}
		var log lockedBuffer
		cmd.Stdout, cmd.Stderr = &log, &log
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if j.begun != nil && step.ID == "deploy" {
			j.begun(cmd, &log)
		}
		_ = cmd.Wait() // the exit code says it
		out.exit, out.log = cmd.ProcessState.ExitCode(), out.log+log.String()
		steps[step.ID] = gitHubFile(t, outputs)
		if j.once && step.ID == "install" && out.exit == 0 {
			j.installed = steps[step.ID]
		}
		if out.exit != 0 {
			break
		}
	}
	for name, output := range action.Outputs {
		out.outputs[name] = evaluate(output.Value)
	}
	if text, err := os.ReadFile(summary); err == nil {
		out.summary = string(text)
	}
	return out
}

// github is what the runner says to each step.
func (j *actionJob) github(t *testing.T, outputs, summary string) []string {
	t.Helper()
	event := filepath.Join(j.temp, "event.json")
	name, payload := "push", `{"ref": "refs/heads/main"}`
	if j.event != "" {
		name, payload = j.event, j.payload
	}
	put(t, event, payload)
	return []string{"PATH=" + os.Getenv("PATH"), "HOME=" + j.temp, "CI=true", "GITHUB_ACTIONS=true", "GITHUB_OUTPUT=" + outputs, "GITHUB_STEP_SUMMARY=" + summary,
		"GITHUB_WORKSPACE=" + j.workspace, "GITHUB_EVENT_PATH=" + event, "RUNNER_TEMP=" + j.temp, "GITHUB_EVENT_NAME=" + name, "GITHUB_REF=refs/heads/main",
		"GITHUB_REF_NAME=main", "GITHUB_SHA=" + strings.Repeat("ab", 20), "GITHUB_SERVER_URL=https://github.com", "GITHUB_REPOSITORY=team/shop", "GITHUB_RUN_ID=7",
		"DOCKER_HOST=" + os.Getenv("DOCKER_HOST")}
}

// gitHubFile reads name=value lines and values between delimiters.
func gitHubFile(t *testing.T, path string) map[string]string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]string{}
	rest := string(text)
	for rest != "" {
		var line string
		line, rest, _ = strings.Cut(rest, "\n")
		if name, end, several := strings.Cut(line, "<<"); several {
			value, after, closed := strings.Cut("\n"+rest, "\n"+end+"\n")
			if !closed {
				t.Fatalf("%s has no end:\n%s", name, text)
			}
			values[name], rest = strings.TrimPrefix(value, "\n"), after
			continue
		}
		if name, value, ok := strings.Cut(line, "="); ok {
			values[name] = value
		}
	}
	return values
}

// obeyed are the commands that GitHub's runner finds in a log, in order: its rules, with those
// of its older form, and what stop-commands does.
func obeyed(t *testing.T, log string) (commands []string) {
	t.Helper()
	stopped, groups := "", 0
	for line := range strings.Lines(log) {
		line = strings.TrimRight(line, "\r\n")
		command := ""
		if trimmed := strings.TrimSpace(line); strings.HasPrefix(trimmed, "::") && strings.Contains(trimmed[2:], "::") {
			command = trimmed
		} else if at := strings.Index(line, "##["); at >= 0 && strings.Contains(line[at:], "]") {
			command = line[at:]
		}
		switch {
		case command == "" || stopped != "" && command != "::"+stopped+"::":
		case stopped != "":
			stopped = ""
		case strings.HasPrefix(command, "::stop-commands::"):
			stopped = strings.TrimPrefix(command, "::stop-commands::")
		case strings.HasPrefix(command, "::group::"):
			groups++
		case command == "::endgroup::":
			groups--
		default:
			commands = append(commands, command)
		}
	}
	if stopped != "" || groups != 0 {
		t.Errorf("the log ends with commands stopped (%q) or %d groups open", stopped, groups)
	}
	return commands
}
