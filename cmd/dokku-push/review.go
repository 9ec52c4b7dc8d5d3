package main

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/pflag"

	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/manifest"
	"github.com/dokku-push/dokku-push/push"
	"github.com/dokku-push/dokku-push/push/ci"
	"github.com/dokku-push/dokku-push/push/report"
	"github.com/dokku-push/dokku-push/remote"
)

// reviewing is which review app is meant, and how it is spoken of.
type reviewing struct {
	name, branch, number, format string
	down                         bool // it was removed
}

func reviewFlags(c *client, flags *pflag.FlagSet) {
	flags.StringVar(&c.pull.name, "name", "", "name of the review app (else review-APP-BRANCH, shortened and told apart by a hash where it must be)")
	flags.StringVar(&c.pull.branch, "branch", "", "the branch that names it (else CI's variables say)")
	flags.StringVar(&c.pull.number, "pr", "", "the number of the pull request that names it, instead of a branch")
	flags.BoolVar(&c.dryRun, "dry-run", false, "up, gc: say what would be done, and do nothing")
	flags.StringVar(&c.pull.format, "format", "", "list: text or json")
}

// review carries out one of the commands about review apps.
func (c *client) review(ctx context.Context) error {
	what := ""
	if len(c.args) > 0 {
		what, c.args = c.args[0], c.args[1:]
	}
	acts := map[string]func(context.Context, string, *manifest.App) error{"up": c.reviewUp, "down": c.reviewDown, "gc": c.reviewGC, "list": c.reviewList}
	act, ok := acts[what]
	if !ok {
		return api.Errorf(api.Usage, "", "review takes up, down, gc or list, not %q", what).WithHint("dokku-push review up")
	}
	c.options.Dir = c.folder()
	o := quiet(c.options)
	o.Review = "review" // how the project reads, whatever its name will be
	project, err := push.Load(o)
	if err != nil && (what == "up" || c.options.App == "" || c.options.Host == "") {
		return c.noVerdict(err)
	}
	parent := c.options.App
	var app *manifest.App
	if project != nil {
		app = project.App
		if app.Block != "" || parent == "" {
			parent = firstText(app.Name, parent)
		}
		if parent == "" {
			parent = filepath.Base(project.Dir)
		}
	}
	if err := act(ctx, parent, app); err != nil {
		return c.noVerdict(err)
	}
	return nil
}

func (c *client) naming() ci.Naming {
	return ci.Naming{Name: c.pull.name, Branch: c.pull.branch, Number: c.pull.number}
}

// reviewUp makes the review app on the host and pushes to it. Of a fork's pull request it
// only says what it would be: its code meets no secret and no host.
func (c *client) reviewUp(ctx context.Context, parent string, app *manifest.App) error {
	name, of, err := c.naming().Of(parent, c.options.Getenv)
	if err != nil {
		return err
	}
	c.job.Review = name
	forked := ci.Forked(c.options.Getenv)
	if forked {
		c.options.Report(api.Event{Type: api.EventWarning, Time: time.Now(), Warning: "this pull request comes from a fork: it gets a plan, and no secrets; no host is asked"})
	}
	if forked || c.dryRun {
		return c.reviewPlan(parent, name, app)
	}
	words := []string{"review:create", parent, name, "--branch=" + of}
	if app.Review.TTL > 0 {
		words = append(words, "--ttl="+app.Review.TTL.String())
	}
	if app.Review.Max > 0 {
		words = append(words, fmt.Sprintf("--max=%d", app.Review.Max))
	}
	if app.Review.Domain != "" {
		words = append(words, "--domain="+app.Review.Domain)
	}
	for _, key := range app.Review.Inherit {
		words = append(words, "--inherit="+key)
	}
	if err := c.withHost(ctx, app, func(connection *push.Connection) error {
		_, err := c.reviewCommand(ctx, connection, words...)
		return err
	}); err != nil {
		return err
	}
	c.options.Review = name
	verdict, err := push.Push(ctx, c.options)
	if err != nil {
		return err
	}
	return c.verdict(verdict, name)
}

// reviewPlan looks at the project's files, and says what the review app would be.
func (c *client) reviewPlan(parent, name string, app *manifest.App) error {
	table := tabwriter.NewWriter(c.answer(), 0, 0, 2, ' ', 0)
	var said []string
	row := func(key, value string) {
		if value != "" {
			fmt.Fprintf(table, "%s:\t%s\n", key, value)
			said = append(said, key+" "+value)
		}
	}
	row("review app", name)
	row("of", parent)
	row("domain", map[bool]string{true: name + "." + app.Review.Domain}[app.Review.Domain != ""])
	row("expires after", map[bool]string{true: app.Review.TTL.String()}[app.Review.TTL > 0])
	row("takes over", strings.Join(app.Review.Inherit, ", "))
	row("is not given", strings.Join(app.Withheld, ", "))
	row("builder", app.Build.Builder)
	processes := slices.Clone(app.Procfile.Scaled())
	row("processes", strings.Join(processes, ", "))
	if err := table.Flush(); err != nil {
		return err
	}
	c.skipped("nothing is made or deployed; it would be: " + strings.Join(said, "; "))
	return nil
}

// skipped says why nothing was done, for those who read in CI what became of it.
func (c *client) skipped(why string) {
	if !c.inCI() {
		return
	}
	c.options.Report(api.Event{Type: api.EventOutput, Time: time.Now(), Output: &api.Output{Source: "skipped", Text: why}})
}

// reviewDown removes the review app; one that is not there is no failure.
func (c *client) reviewDown(ctx context.Context, parent string, app *manifest.App) error {
	if ci.Forked(c.options.Getenv) { // a branch of the same name may have one here
		c.options.Report(api.Event{Type: api.EventWarning, Time: time.Now(), Warning: "this pull request comes from a fork, which has no review app: there is nothing to remove"})
		c.skipped("a fork has no review app")
		return nil
	}
	name, _, err := c.naming().Of(parent, c.options.Getenv)
	if err != nil {
		return err
	}
	c.job.Review = name
	return c.withHost(ctx, app, func(connection *push.Connection) error {
		said, err := c.reviewCommand(ctx, connection, "review:destroy", name, "--parent="+parent)
		if c.pull.down = err == nil; c.pull.down {
			removed := !strings.Contains(said, "There is no review app")
			c.options.Report(api.Event{Type: api.EventVerdict, Time: time.Now(), Verdict: &api.Verdict{OK: true, Changed: removed}})
		}
		return err
	})
}

func (c *client) reviewGC(ctx context.Context, parent string, app *manifest.App) error {
	words := []string{"review:gc", parent}
	if c.dryRun {
		words = append(words, "--dry-run")
	}
	return c.reviewAnswer(ctx, app, words...)
}

func (c *client) reviewList(ctx context.Context, parent string, app *manifest.App) error {
	if !slices.Contains([]string{"", "text", "json"}, c.pull.format) {
		return api.Errorf(api.Usage, "", "--format is text or json, not %q", c.pull.format)
	}
	return c.reviewAnswer(ctx, app, "review:list", parent, "--format="+firstText(c.pull.format, "text"))
}

// withHost does something on the project's host.
func (c *client) withHost(ctx context.Context, app *manifest.App, do func(*push.Connection) error) error {
	target, err := push.Target(c.options, app)
	if err != nil {
		return err
	}
	connection, err := push.Connect(ctx, target)
	if err != nil {
		return err
	}
	defer connection.Conn.Close()
	return do(connection)
}

// reviewCommand runs one of the host's commands; what it says are events.
func (c *client) reviewCommand(ctx context.Context, connection *push.Connection, words ...string) (said string, err error) {
	var answer, problem strings.Builder
	exit, err := connection.Conn.Run(ctx, words, nil, &answer, &problem, remote.RunOptions{})
	for line := range strings.Lines(answer.String()) {
		c.options.Report(api.Event{Type: api.EventOutput, Time: time.Now(), Output: &api.Output{Source: words[0], Text: strings.TrimRight(line, "\r\n")}})
	}
	if err != nil {
		return "", err
	}
	if exit != 0 {
		return "", hostSaid(exit, problem.String())
	}
	for line := range strings.Lines(problem.String()) {
		c.options.Report(api.Event{Type: api.EventWarning, Time: time.Now(), Warning: strings.TrimLeft(strings.TrimSpace(line), "! ")})
	}
	return answer.String(), nil
}

// hostSaid is the host's refusal in its own words, with the exit code that it had.
func hostSaid(exit int, text string) error {
	const absent = 20 // as Dokku says that there is no such app; ours would be a build that failed
	code := api.Precondition
	for _, row := range api.ExitCodes() {
		if row.Exit == exit && row.Code != "" && exit != 1 { // which Dokku's commands say of everything
			code = row.Code
		}
	}
	if exit == absent {
		code = api.NotFound
	}
	var lines []string
	for line := range strings.Lines(text) {
		if line = strings.TrimLeft(strings.TrimSpace(line), "! "); line != "" {
			lines = append(lines, line)
		}
	}
	if len(lines) == 0 {
		lines = []string{fmt.Sprintf("the host ended it with exit code %d", exit)}
	}
	problem := api.Errorf(code, "", "%s", report.Legible(lines[0]))
	if len(lines) > 1 {
		problem = problem.WithHint("%s", report.Legible(strings.Join(lines[1:], " ")))
	}
	return problem
}

// reviewAnswer runs one of the host's commands whose output is the answer.
func (c *client) reviewAnswer(ctx context.Context, app *manifest.App, words ...string) error {
	out := c.answer()
	if c.pull.format == "json" {
		out = c.out
	}
	return c.withHost(ctx, app, func(connection *push.Connection) error {
		var problem strings.Builder
		exit, err := connection.Conn.Run(ctx, words, nil, out, &problem, remote.RunOptions{})
		if err == nil && exit != 0 {
			err = hostSaid(exit, problem.String())
		} else if err == nil && problem.Len() > 0 {
			fmt.Fprint(c.err, problem.String())
		}
		return err
	})
}
