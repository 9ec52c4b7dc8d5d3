package main

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/pflag"

	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/internal/redact"
	"github.com/dokku-push/dokku-push/manifest"
	"github.com/dokku-push/dokku-push/push"
	"github.com/dokku-push/dokku-push/push/ci"
	"github.com/dokku-push/dokku-push/push/report"
)

// story is what is told of the command while it runs, and written when it is over.
type story struct {
	accounts *report.Accounts
	github   *report.GitHub // nil: not in GitHub's CI
	redactor *redact.Redactor
	result   string          // --result
	outputs  string          // --outputs
	log      string          // --event-log
	plan     string          // file that ci writes a plan to
	comment  string          // file that ci writes it to as a pull request's comment
	revision string          // of a release that was not built here: of rollback and promote
	secrets  []redact.Secret // of the job itself
	lines    *os.File
}

func resultFlags(c *client, flags *pflag.FlagSet) {
	flags.StringVar(&c.story.result, "result", "", "write what became of it to this file, as JSON, also when it fails")
	flags.StringVar(&c.story.outputs, "outputs", "", "write version, url, image_digest … to this file, as DOKKU_PUSH_NAME=value lines (GitLab's dotenv report)")
	flags.StringVar(&c.story.log, "event-log", "", "write the events to this file, too, one JSON object a line")
}

// onGitHub says whether GitHub's runner reads what is written.
func (c *client) onGitHub() bool {
	return c.logFormat == "github" || c.logFormat == "auto" && c.runsOnGitHub()
}

// runsOnGitHub says whether a job of GitHub's runs this, whoever reads it.
func (c *client) runsOnGitHub() bool {
	actions, _ := c.options.Getenv("GITHUB_ACTIONS")
	return actions == "true"
}

// inCI says whether a CI system reads it.
func (c *client) inCI() bool {
	ci, _ := c.options.Getenv("CI")
	return c.onGitHub() || ci != "" && ci != "false"
}

// begin prepares the story: what is secret is known before the first word is written.
func (c *client) begin() error {
	c.story.accounts = &report.Accounts{}
	c.options.Own = []string{c.output, c.story.result, c.story.outputs, c.story.log, c.story.comment}
	var secrets []redact.Secret
	if c.inCI() {
		o := c.options
		o.Dir = c.folder()
		secrets = append(push.Secrets(o), c.story.secrets...)
		c.story.redactor = redact.New(secrets...)
	}
	if c.onGitHub() {
		dir, err := filepath.Abs(c.folder())
		if err != nil {
			return err
		}
		workspace, _ := c.options.Getenv("GITHUB_WORKSPACE")
		c.story.github = report.NewGitHub(c.err, resolved(dir), resolved(workspace))
		values := make([]string, 0, len(secrets))
		for _, secret := range secrets {
			values = append(values, secret.Reveal())
		}
		c.story.github.Mask(values...)
		c.err = c.story.github // what else is written there steers no runner either
	}
	for _, path := range []string{c.story.result, c.story.outputs} { // rather now than after a deploy
		if info, err := os.Stat(filepath.Dir(path)); path != "" && (err != nil || !info.IsDir()) {
			return api.Errorf(api.Usage, "write what became of it", "there is no folder %s", filepath.Dir(path))
		}
	}
	if c.story.log != "" {
		file, err := os.OpenFile(c.story.log, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
		if err != nil {
			return api.Errorf(api.Usage, "write the events", "%w", err)
		}
		c.story.lines = file
	}
	return nil
}

// tell makes of a renderer the one that events are given to: secrets are taken out of them
// for whoever reads them, and they are kept for the end.
func (c *client) tell(shown report.Renderer) report.Renderer {
	all := []report.Renderer{shown, c.story.accounts}
	if c.story.lines != nil {
		all = append(all, report.JSON(c.story.lines))
	}
	return &redacted{Renderer: report.Both(all...), redactor: c.story.redactor}
}

// finish writes what the command amounts to, to wherever it was asked for. It returns err,
// or why that could not be written.
func (c *client) finish(err error) error {
	if c.story.accounts == nil {
		return err
	}
	if c.story.github != nil {
		defer c.story.github.Close()
	}
	accounts := c.story.accounts.All()
	if c.story.lines != nil {
		err = errors.Join(err, c.story.lines.Close())
	}
	if len(accounts) == 0 {
		return err
	}
	if len(accounts) == 1 && accounts[0].App == "" { // what failed before the host was asked has not said it
		accounts[0].App = c.about()
	}
	var problems []error
	values := report.Values(accounts)
	if c.story.result != "" {
		problems = append(problems, report.WriteResult(c.story.result, accounts))
	}
	if c.story.outputs != "" {
		problems = append(problems, report.WriteDotenv(c.story.outputs, append(slices.Clone(values), report.Value{Name: "review_app_name", Text: c.job.Review})))
	}
	if c.story.github != nil || c.runsOnGitHub() { // whatever form the log has
		if path, _ := c.options.Getenv("GITHUB_OUTPUT"); path != "" {
			deployed := report.DeploymentValues(accounts, c.deployed())
			problems = append(problems, report.AppendGitHubOutputs(path, slices.Concat(values, deployed, c.given())))
		}
		if path, _ := c.options.Getenv("GITHUB_STEP_SUMMARY"); path != "" {
			problems = append(problems, report.AppendSummary(path, accounts))
		}
	}
	if unwritten := errors.Join(problems...); unwritten != nil && err == nil {
		return unwritten
	}
	return err
}

// deployed is what the job knows of its deploy and the host does not.
func (c *client) deployed() report.Deployed {
	source := push.SourceOf(c.options.Dir, c.options.Getenv)
	ref := firstText(c.job.Commit, firstText(ci.Head(c.options.Getenv), source.Revision))
	if c.command.name == "rollback" || c.command.name == "promote" {
		ref = c.story.revision
	}
	return report.Deployed{Ref: ref, LogURL: source.RunURL,
		Environment: c.options.Environment, Review: c.job.Review, Removed: c.pull.down, Planned: c.planning()}
}

// planning tells that nothing was to be deployed, whatever came of it.
func (c *client) planning() bool {
	return c.dryRun || c.command.name == "plan" || c.command.name == "ci" && (c.job.Forked || c.job.Command == ci.Plan || c.job.Command == ci.Check)
}

// about is the app that a push or plan was about; empty: it is not known.
func (c *client) about() string {
	reviewing := c.command.name == "review" || c.command.name == "ci" && (c.job.Command == ci.ReviewCreate || c.job.Command == ci.ReviewDestroy)
	switch {
	case reviewing || c.job.Review != "":
		return c.job.Review // never the app that it is of
	case c.several() || !slices.Contains([]string{"push", "plan", "ci"}, c.command.name):
		return ""
	case c.options.App != "":
		return c.options.App
	}
	o := quiet(c.options)
	o.Dir = c.folder()
	if project, err := push.Load(o); err == nil {
		return project.Name
	}
	return ""
}

// given are the outputs that only the command line knows: where files are.
func (c *client) given() (values []report.Value) {
	for name, path := range map[string]string{"plan": c.planFile(), "plan_markdown": there(c.story.comment), "result_json": c.story.result, "review_app_name": c.job.Review} {
		if path == "" || name == "review_app_name" {
			values = append(values, report.Value{Name: name, Text: path})
			continue
		}
		if absolute, err := filepath.Abs(path); err == nil {
			values = append(values, report.Value{Name: name, Text: absolute})
		}
	}
	slices.SortFunc(values, func(a, b report.Value) int { return len(a.Name) - len(b.Name) })
	return values
}

// planFile is where plan has written its plan; empty: nowhere.
func (c *client) planFile() string {
	if c.command.name == "plan" {
		return there(c.output)
	}
	return there(c.story.plan)
}

// there is a path if there is such a file.
func there(path string) string {
	if _, err := os.Stat(path); path == "" || err != nil {
		return ""
	}
	return path
}

// failure says why it failed, or why one of several apps did: mistakes in files each with
// their line, on GitHub as annotations.
func (c *client) failure(err error, app string) {
	err = hidden(err, c.story.redactor)
	if c.story.github != nil {
		c.story.github.Failure(err, app)
		return
	}
	if mistakes, ok := errors.AsType[manifest.Diagnostics](err); ok && c.mistakes(mistakes) == nil {
		return
	}
	report.Failure(c.err, err)
}

// unparsed says why a command line was refused, before there is a client.
func unparsed(out io.Writer, err error) {
	if os.Getenv("GITHUB_ACTIONS") != "true" {
		report.Failure(out, err)
		return
	}
	github := report.NewGitHub(out, "", "")
	defer github.Close()
	github.Failure(err, "")
}

// redacted shows events without what is secret: an app may print what it was given.
type redacted struct {
	report.Renderer
	redactor *redact.Redactor
}

// Event shows an event.
func (r *redacted) Event(event api.Event) {
	if r.redactor != nil {
		event.Warning = r.redactor.Text(event.Warning)
		if event.Output != nil {
			event.Output = &api.Output{Source: event.Output.Source, Text: r.redactor.Text(event.Output.Text)}
		}
		if event.Step != nil {
			step := *event.Step
			step.Detail = r.redactor.Text(step.Detail)
			event.Step = &step
		}
		if event.Verdict != nil && event.Verdict.Error != nil {
			verdict := *event.Verdict
			verdict.Error = hiddenIn(verdict.Error, r.redactor)
			event.Verdict = &verdict
		}
	}
	r.Renderer.Event(event)
}

// hidden is an error without what is secret.
func hidden(err error, redactor *redact.Redactor) error {
	if redactor == nil || err == nil {
		return err
	}
	return hiddenIn(api.AsError(err), redactor)
}

func hiddenIn(problem *api.Error, redactor *redact.Redactor) *api.Error {
	shown := *problem
	shown.Message, shown.Hint = redactor.Text(shown.Message), redactor.Text(shown.Hint)
	if f := shown.Failure; f != nil {
		failure := *f
		failure.LastLines = slices.Clone(f.LastLines)
		for i, text := range failure.LastLines {
			failure.LastLines[i] = redactor.Text(text)
		}
		shown.Failure = &failure
	}
	return &shown
}
