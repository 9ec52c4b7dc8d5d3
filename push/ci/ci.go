// Package ci reads what a CI job asks for: the inputs of dokku/github-action by their names,
// and those of our own action. It carries nothing out.
//
// An input NAME is the variable INPUT_NAME, which action.yml sets, or PLUGIN_NAME, as Drone
// and Woodpecker do; some have been known without a prefix for long. An empty variable is one
// that was not set: that is how CI systems say so.
package ci

import (
	"encoding/base64"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/internal/redact"
	"github.com/dokku-push/dokku-push/manifest"
	"github.com/dokku-push/dokku-push/remote"
)

// The commands of a job.
const (
	Deploy        = "deploy"
	Plan          = "plan"
	Check         = "check"
	ReviewCreate  = "review-apps:create"
	ReviewDestroy = "review-apps:destroy"
)

// Job is what is asked for. What was not said is empty.
type Job struct {
	Command string
	Dir     string
	App     string // of git_remote_url, or app
	Host    string // [user@]host[:port], or the name of a host block
	Review  string // the review app's name, where it is said
	Branch  string
	Commit  string

	Key        redact.Secret
	Passphrase redact.Secret
	HostKey    string // one key, pinned
	KnownHosts string // lines of a known_hosts file, where there are several

	Image, Manifest, Environment, Builder, Platform string
	Registry, RegistryUser                          string
	RegistryPassword                                redact.Secret
	PlanFile, Sign, EventLog, Since                 string
	LockWait, Timeout                               time.Duration
	Strict, Trace, All, AcceptNew                   bool
	DryRun                                          bool // of a review app: only say what it would be

	// OIDC asks for the job's token to be traded for a certificate; Audience is what the
	// token is to be for, where that is not the host's name.
	OIDC     bool
	Audience string

	// Forked says that this is a pull request of somebody else's fork: it is planned and never
	// deployed, and meets no secret, also where CI would give the job some.
	Forked bool
	// Notes are what was said and means nothing here, in sentences.
	Notes []string
}

// SecretNames are the variables that hold the job's own secrets: whoever has read them takes
// them out of the environment that plugins and scripts inherit.
func SecretNames() (names []string) {
	for _, name := range []string{"SSH_PRIVATE_KEY", "SSH_PRIVATE_KEY_BASE64", "SSH_PASSPHRASE", "REGISTRY_PASSWORD"} {
		names = append(names, "INPUT_"+name, "PLUGIN_"+name, name)
	}
	return names
}

// Read reads a job. Its errors are of code api.Usage or api.Configuration.
func Read(getenv func(string) (string, bool)) (Job, error) {
	in := &inputs{getenv: getenv}
	job := Job{Dir: in.text("dir"), Image: firstOf(in.text("image"), in.text("deploy_docker_image")), Manifest: in.text("manifest"),
		Environment: in.text("environment"), Builder: in.text("builder"), Platform: in.text("platform"), Registry: in.text("registry"),
		RegistryUser: in.text("registry_username"), RegistryPassword: redact.Secret(in.text("registry_password")), PlanFile: in.text("plan_file"),
		Sign: in.text("sign"), EventLog: in.text("json_log"), Since: in.text("changed_since"), LockWait: in.duration("lock_wait"), Timeout: in.duration("timeout"),
		Strict: in.truth("strict"), Trace: in.truth("trace"), All: in.truth("all"), AcceptNew: in.truth("trust_on_first_use"), OIDC: in.truth("oidc"), Audience: in.text("oidc_audience"),
		Passphrase: redact.Secret(in.raw("ssh_passphrase"))}
	if debug, _ := getenv("RUNNER_DEBUG"); debug == "1" { // somebody has started the job again to see more
		job.Trace = true
	}
	if job.Sign == "false" {
		job.Sign = ""
	}
	for _, read := range []func(*inputs) error{job.readCommand, job.readTarget, job.readKeys, job.readSource, job.readBuild, job.readReview} {
		if err := read(in); err != nil {
			return job, err
		}
	}
	job.readFlags(in)
	job.Forked = Forked(getenv)
	return job, in.err
}

// readCommand finds out what is to be done.
func (j *Job) readCommand(in *inputs) error {
	j.Command = in.text("command")
	known := []string{Deploy, Plan, Check, ReviewCreate, ReviewDestroy}
	if bare, _ := in.getenv("COMMAND"); j.Command == "" && slices.Contains(known, bare) { // too common a name to be refused
		j.Command = bare
	}
	if j.Command == "" {
		j.Command = Deploy
	}
	if !slices.Contains(known, j.Command) {
		return usage("command is %s", "", j.Command).WithHint("it is one of %s", strings.Join(known, ", "))
	}
	if in.truth("plan_only") || in.truth("dry_run") {
		switch j.Command {
		case Deploy, Plan:
			j.Command = Plan
		case ReviewCreate:
			j.DryRun = true
		default:
			return usage("plan_only and dry_run are of the commands deploy and review-apps:create, not of %s", "", j.Command)
		}
	}
	return nil
}

// readTarget finds host and app. What is said by its own name wins over the URL.
func (j *Job) readTarget(in *inputs) error {
	if url := in.text("git_remote_url"); url != "" {
		var err error
		if j.Host, j.App, err = parseRemote(url); err != nil {
			return err
		}
	}
	j.Host, j.App = firstOf(in.text("host"), j.Host), firstOf(in.text("app"), j.App)
	if j.App == "" {
		return nil
	}
	if err := manifest.ExistingAppName(j.App); err != nil {
		return usage("the app's name: %v", "", err)
	}
	return nil
}

// readKeys reads the private key and the host's.
func (j *Job) readKeys(in *inputs) error {
	key := in.raw("ssh_private_key")
	if encoded := in.text("ssh_private_key_base64"); key == "" && encoded != "" {
		text, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(encoded), ""))
		if err != nil {
			return api.Errorf(api.Configuration, "read ssh_private_key_base64", "it is not base64").WithHint("base64 -w0 < the private key's file")
		}
		key = string(text)
	}
	j.Key = redact.Secret(key)
	if j.OIDC && key != "" {
		return usage("oidc is for jobs that have no key, and there is an ssh_private_key", "leave one of them out")
	}
	return j.readHostKey(in.raw("ssh_host_key"))
}

// readHostKey reads one key or fingerprint, or the lines that ssh-keyscan prints.
func (j *Job) readHostKey(text string) error {
	var lines []string
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			lines = append(lines, line)
		}
	}
	if len(lines) == 1 {
		j.HostKey = lines[0]
		return nil
	}
	for i, line := range lines {
		if !remote.IsKnownHost(line) {
			return usage("ssh_host_key has %d lines, and line %d is none that ssh-keyscan prints", "write SHA256:… alone, one public key, or all that ssh-keyscan prints", len(lines), i+1)
		}
		j.KnownHosts += line + "\n"
	}
	return nil
}

// readBuild checks what is said of building and sending.
func (j *Job) readBuild(in *inputs) error {
	if j.Builder == "auto" {
		j.Builder = ""
	}
	switch mode := in.text("push_mode"); {
	case mode != "" && mode != "ssh" && mode != "registry":
		return usage("push_mode is %s", "", mode).WithHint("it is ssh or registry")
	case mode == "ssh" && j.Registry != "":
		return usage("push_mode is ssh, and registry names %s", "", j.Registry).WithHint("leave one of them out")
	case mode == "registry" && j.Registry == "":
		j.Notes = append(j.Notes, "push_mode is registry: the one that dokku.hcl's image { registry } names counts")
	}
	if (j.RegistryUser == "") != (j.RegistryPassword == "") {
		return usage("registry_username and registry_password belong together", "")
	}
	if j.RegistryUser != "" && j.Registry == "" {
		return usage("registry_username is for the registry that the input registry names", "")
	}
	return nil
}

// harmless are options of git push that change nothing about a deploy.
var harmless = []string{"-f", "--force", "-v", "--verbose", "-q", "--quiet", "--progress", "--no-progress", "--no-verify", "--force-with-lease", "--atomic"}

// readFlags looks at inputs that are about git. Nothing is pushed with git here.
func (j *Job) readFlags(in *inputs) {
	for _, flag := range strings.Fields(in.text("git_push_flags")) {
		switch {
		case (flag == "-n" || flag == "--dry-run") && j.Command == Deploy:
			j.Command = Plan
		case !slices.Contains(harmless, flag):
			j.Notes = append(j.Notes, "git_push_flags: "+flag+" has no meaning here, for nothing is pushed with git")
		}
	}
	if branch := in.text("branch"); branch != "" && branch != "master" && branch != "main" {
		j.Notes = append(j.Notes, "branch: what is deployed is the tree that is checked out; the app's deploy-branch is not asked")
	}
}

func usage(format, hint string, args ...any) *api.Error {
	problem := api.Errorf(api.Usage, "read the job's inputs", format, args...)
	problem.Hint = hint
	return problem
}

func firstOf(values ...string) string {
	for _, value := range values {
		if value != "" {
			return value
		}
	}
	return ""
}

// inputs are the job's variables.
type inputs struct {
	getenv func(string) (string, bool)
	err    error // of the first that could not be read
}

// bare are the inputs that are known without a prefix: as ci-docker-image has them, which
// the Dokku action and its examples for other CI systems are made of.
var bare = []string{"git_remote_url", "ssh_private_key", "ssh_private_key_base64", "ssh_passphrase", "ssh_host_key", "ci_branch_name", "ci_commit",
	"review_app_name", "deploy_docker_image", "git_push_flags"}

// raw is an input as it stands.
func (in *inputs) raw(name string) string {
	upper := strings.ToUpper(name)
	names := []string{"INPUT_" + upper, "PLUGIN_" + upper}
	if slices.Contains(bare, name) {
		names = append(names, upper)
	}
	for _, name := range names {
		if value, ok := in.getenv(name); ok && strings.TrimSpace(value) != "" {
			return value
		}
	}
	return ""
}

func (in *inputs) text(name string) string { return strings.TrimSpace(in.raw(name)) }

func (in *inputs) truth(name string) bool {
	switch strings.ToLower(in.text(name)) {
	case "true", "1", "yes", "on":
		return true
	case "", "false", "0", "no", "off":
		return false
	}
	in.fail(usage("%s is %s", "it is true or false", name, in.text(name)))
	return false
}

// duration reads "5m", or a count of seconds.
func (in *inputs) duration(name string) time.Duration {
	text := in.text(name)
	if text == "" {
		return 0
	}
	if seconds, err := strconv.Atoi(text); err == nil && seconds >= 0 {
		return time.Duration(seconds) * time.Second
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 {
		in.fail(usage("%s is %s", "write 300, 90s or 5m", name, text))
	}
	return d
}

func (in *inputs) fail(err error) {
	if in.err == nil {
		in.err = err
	}
}
