package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/internal/redact"
	"github.com/dokku-push/dokku-push/manifest"
	"github.com/dokku-push/dokku-push/push"
	"github.com/dokku-push/dokku-push/push/ci"
	"github.com/dokku-push/dokku-push/remote"
)

// errTimeout is why a job's deploy is stopped by itself.
var errTimeout = errors.New("timeout")

// readJob takes what the CI job says over into the options, before anything is written.
func (c *client) readJob() error {
	job, err := ci.Read(c.options.Getenv)
	c.job = job
	for _, secret := range []redact.Secret{job.Key, job.Passphrase, job.RegistryPassword} {
		if secret != "" {
			c.story.secrets = append(c.story.secrets, secret)
		}
	}
	for _, name := range ci.SecretNames() { // plugins and the build inherit what is left
		if err := os.Unsetenv(name); err != nil {
			return err
		}
	}
	if err != nil {
		return err
	}
	if job.Forked { // from here on nothing that its files say meets a secret
		c.options.Getenv, c.options.Untrusted = ci.Plain(c.options.Getenv), true
	}
	c.take(job)
	temp, _ := c.options.Getenv("RUNNER_TEMP") // which GitHub's runner empties, should this program be killed
	if c.room, err = os.MkdirTemp(temp, "dokku-push-ci-"); err != nil {
		return fmt.Errorf("make a folder for the job: %w", err)
	}
	if job.KnownHosts != "" {
		file := filepath.Join(c.room, "known_hosts")
		if err := os.WriteFile(file, []byte(job.KnownHosts), 0o600); err != nil {
			return fmt.Errorf("write the known hosts: %w", err)
		}
		c.options.Remote.KnownHosts = []string{file}
	}
	if !job.Forked { // whose files could say what is read with it
		if err := c.login(job); err != nil {
			return err
		}
	}
	if runner, _ := c.options.Getenv("RUNNER_TEMP"); runner != "" && c.story.result == "" {
		c.story.result = filepath.Join(runner, "dokku-push-result-"+filepath.Base(c.room)+".json")
	}
	if runner, _ := c.options.Getenv("RUNNER_TEMP"); runner != "" && !c.several() {
		c.story.comment = filepath.Join(runner, "dokku-push-plan-"+filepath.Base(c.room)+".md")
	}
	return nil
}

// take puts the job's inputs into the options. A flag has been said by a person and wins.
func (c *client) take(job ci.Job) {
	o := &c.options
	for _, one := range []struct {
		into  *string
		value string
		key   string // dokku.hcl's, where it is one of its words
		input string // its name, for messages about such a word
	}{
		{&o.Host, job.Host, "host", "host"}, {&o.App, job.App, "app", "app"}, {&o.Environment, job.Environment, "", ""}, {&o.Manifest, job.Manifest, "", ""},
		{&o.Remote.HostKey, job.HostKey, "host.host_key", "ssh_host_key"}, {&o.Image, job.Image, "build.image", "image"}, {&o.Registry, job.Registry, "image.registry", "registry"},
		{&o.Signing.Key, signing(job.Sign), "", ""}, {&c.since, job.Since, "", ""}, {&c.story.log, job.EventLog, "", ""},
		{nil, job.Builder, "build.builder", "builder"}, {nil, job.Platform, "image.platforms", "platform"},
	} {
		if _, said := o.Flags[one.key]; said && one.key != "" || one.value == "" {
			continue
		}
		if one.into != nil {
			*one.into = one.value
		}
		if one.key != "" {
			o.Variables[one.key] = manifest.Given{Name: "the input " + one.input, Value: one.value}
		}
	}
	if len(c.args) == 0 && job.Dir != "" {
		c.args = []string{job.Dir}
	}
	c.all = c.all || job.All
	if o.LockWait == 0 {
		o.LockWait = job.LockWait
	}
	c.takeKeys(job)
	said, _ := o.Getenv("DOKKU_OIDC_AUDIENCE")
	c.audience = firstText(c.audience, firstText(job.Audience, said))
	o.Remote.AcceptNew = o.Remote.AcceptNew || job.AcceptNew
	ask := o.Getenv
	o.Getenv = func(name string) (string, bool) { // as if CI itself had said so
		switch {
		case name == "CI_BRANCH_NAME" && job.Branch != "":
			return job.Branch, true
		case name == "CI_COMMIT" && job.Commit != "":
			return job.Commit, true
		}
		return ask(name)
	}
}

// takeKeys puts the keys into the options, and has messages speak of the inputs that said
// them, or that would have to.
func (c *client) takeKeys(job ci.Job) {
	o := &c.options.Remote
	const key, passphrase, hostKey = "the input ssh_private_key", "the input ssh_passphrase", "the input ssh_host_key"
	if job.Key != "" {
		o.Key, o.Names.Key = job.Key, key
		o.Passphrase = func(string) (string, error) {
			return "", api.Errorf(api.Refused, "", "the key has one, and %s is empty", passphrase).WithHint("give it to %s, or use a key without a passphrase", passphrase)
		}
	} else if c.onGitHub() && o.Key == "" && o.KeyFile == "" && !job.OIDC {
		o.Names.Key = key
	}
	if job.Passphrase != "" {
		o.Passphrase, o.Names.Passphrase = func(string) (string, error) { return job.Passphrase.Reveal(), nil }, passphrase
	}
	if job.HostKey != "" || job.KnownHosts != "" || c.onGitHub() && o.HostKey == "" {
		o.Names.HostKey = hostKey
	}
}

func signing(text string) string {
	if truth(text) {
		return push.SignWithSSHKey
	}
	return text
}

func firstText(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// login gives Docker's client the credentials of one registry, beside those it has, in a
// configuration of the job's own.
func (c *client) login(job ci.Job) error {
	if job.RegistryUser == "" {
		return nil
	}
	dir, _ := c.options.Getenv("DOCKER_CONFIG")
	if home, _ := c.options.Getenv("HOME"); dir == "" {
		dir = filepath.Join(home, ".docker")
	}
	config := map[string]any{}
	if text, err := os.ReadFile(filepath.Join(dir, "config.json")); err == nil {
		if err := json.Unmarshal(text, &config); err != nil {
			return api.Errorf(api.Configuration, "read Docker's config.json", "%w", err)
		}
	}
	auths, _ := config["auths"].(map[string]any)
	if auths == nil {
		auths = map[string]any{}
	}
	registry, err := remote.RegistryKey(job.Registry)
	if err != nil {
		return err
	}
	auths[registry] = map[string]string{"auth": base64.StdEncoding.EncodeToString([]byte(job.RegistryUser + ":" + job.RegistryPassword.Reveal()))}
	config["auths"] = auths
	delete(config, "credsStore") // it would be asked first, and so would a helper of the registry's own
	if helpers, ok := config["credHelpers"].(map[string]any); ok {
		delete(helpers, registry)
	}
	text, err := json.Marshal(config)
	if err != nil {
		return fmt.Errorf("write Docker's configuration: %w", err)
	}
	if err := os.WriteFile(filepath.Join(c.room, "config.json"), text, 0o600); err != nil {
		return fmt.Errorf("write Docker's configuration: %w", err)
	}
	return os.Setenv("DOCKER_CONFIG", c.room)
}

// ci carries out what a CI job asks for.
func (c *client) ci(ctx context.Context) error {
	job := c.job
	for _, note := range job.Notes {
		c.options.Report(api.Event{Type: api.EventWarning, Time: time.Now(), Warning: note})
	}
	if job.Trace {
		fmt.Fprintf(c.err, "command %s, host %s, app %s, folder %s, environment %s, result %s\n", job.Command, c.options.Host, c.options.App, c.folder(), c.options.Environment, c.story.result)
	}
	c.options.Dir = c.folder()
	if err := c.fit(job); err != nil {
		return c.noVerdict(err)
	}
	if job.Timeout > 0 {
		timed, cancel := context.WithTimeoutCause(ctx, job.Timeout, errTimeout)
		defer cancel()
		tell := c.options.Report
		c.options.Report = func(event api.Event) { // outputs and summary say what the exit code does
			if v := event.Verdict; v != nil && v.Error != nil {
				told := *v
				told.Error = api.AsError(c.late(timed, v.Error))
				event.Verdict = &told
			}
			tell(event)
		}
		return c.late(timed, c.work(timed, job))
	}
	return c.work(ctx, job)
}

// work does what the command says.
func (c *client) work(ctx context.Context, job ci.Job) error {
	switch {
	case job.Command == ci.Check:
		return c.checkJob()
	case job.Forked:
		return c.forked(ctx, job)
	}
	if err := c.certified(ctx, job); err != nil {
		return c.noVerdict(err)
	}
	switch job.Command {
	case ci.Plan:
		c.output = c.planPath(job)
		c.story.plan = c.output
		c.options.Own = append(c.options.Own, c.output)
		return c.plan(ctx)
	case ci.ReviewCreate, ci.ReviewDestroy:
		return c.reviewJob(ctx, job)
	}
	c.options.Plan = firstText(c.options.Plan, job.PlanFile)
	return c.push(ctx)
}

// reviewJob is `review up` or `review down`, for what a job says.
func (c *client) reviewJob(ctx context.Context, job ci.Job) error {
	what := map[string]string{ci.ReviewCreate: "up", ci.ReviewDestroy: "down"}[job.Command]
	c.args = append([]string{what}, c.args...)
	c.pull.name, c.pull.branch, c.dryRun = job.Review, job.Branch, job.DryRun
	c.job.Review = ""
	return c.review(ctx)
}

// forked is what becomes of a fork's pull request, whatever was asked for: what it would be,
// made of its files alone. With a key the host is asked what it would change. Nothing of it is
// ever deployed, and nothing is removed by the name of its branch.
func (c *client) forked(ctx context.Context, job ci.Job) error {
	tell := func(text string) {
		c.options.Report(api.Event{Type: api.EventWarning, Time: time.Now(), Warning: "this pull request comes from a fork: " + text})
	}
	if err := os.Unsetenv("ACTIONS_ID_TOKEN_REQUEST_TOKEN"); err != nil {
		return err
	}
	switch {
	case job.Command == ci.ReviewDestroy || job.Command == ci.ReviewCreate:
		return c.reviewJob(ctx, job)
	case c.options.Remote.Key == "" && c.options.Remote.KeyFile == "" || c.options.Host == "" || c.options.App == "":
		tell("it is given no secrets and is not deployed; it is built here, and no host is asked. What it would change there is known only to a job that has a key, and that is given host and app")
		c.offline = true
	default:
		tell("it is given no secrets and is not deployed; this is what it would change")
	}
	return c.plan(ctx)
}

// planPath is where a plan is kept for a later job.
func (c *client) planPath(job ci.Job) string {
	runner, _ := c.options.Getenv("RUNNER_TEMP")
	switch {
	case c.output != "" || job.PlanFile != "":
		return firstText(c.output, job.PlanFile)
	case runner != "" && !c.several():
		return filepath.Join(runner, "dokku-push-plan-"+filepath.Base(c.room)+".json")
	}
	return ""
}

// fit refuses a tree that is not the commit which the job speaks of, and with strict one
// that there is advice about.
func (c *client) fit(job ci.Job) error {
	if job.Commit != "" && job.Image == "" {
		head, err := exec.Command("git", "-C", c.options.Dir, "rev-parse", "--verify", "--quiet", "HEAD").Output()
		if at := strings.TrimSpace(string(head)); err == nil && at != job.Commit {
			return api.Errorf(api.Usage, "look at the tree", "ci_commit is %s, and %s is checked out", job.Commit, at).
				WithHint("check out that commit: what is deployed is the tree that is there")
		}
	}
	if !job.Strict {
		return nil
	}
	dir, err := filepath.Abs(c.options.Dir)
	if err != nil {
		return err
	}
	_, found, err := c.look(dir)
	if err != nil || len(found) == 0 {
		return err
	}
	found = slices.Clone(found)
	for i := range found {
		found[i].Severity = manifest.Mistake
	}
	return api.Errorf(api.InvalidManifest, "", "%w", found)
}

// checkJob is check, with what it found among the job's outputs and in its summary.
func (c *client) checkJob() error {
	found, err := c.checked()
	switch {
	case found.Failed():
		_ = c.noVerdict(api.Errorf(api.InvalidManifest, "", "%w", found)) // which was written already
	case err != nil:
		return c.noVerdict(err)
	}
	return err
}

// late says that the job's own time was up.
func (c *client) late(ctx context.Context, err error) error {
	if err == nil || !errors.Is(context.Cause(ctx), errTimeout) {
		return err
	}
	if code := api.AsError(err).Code; code == api.UndoFailed || code == api.HookFailed { // a second try mends neither
		return err
	}
	return api.Errorf(api.Locked, "deploy", "not done in %s: %w", c.job.Timeout, err).WithHint("dokku-push status tells what became of it; give it more time with the input timeout")
}
