package main

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"

	"github.com/spf13/pflag"
	"golang.org/x/term"

	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/push"
	"github.com/dokku-push/dokku-push/push/report"
)

func severalFlags(c *client, flags *pflag.FlagSet) {
	flags.BoolVar(&c.all, "all", false, "every app that dokku.hcl describes, some at a time; one that fails stops no other")
	flags.StringVar(&c.since, "changed-since", "", "every app of which a file has changed since this git commit, branch or tag (or only the one of --app)")
}

// several says whether the command is about several apps.
func (c *client) several() bool { return c.all || c.since != "" }

// members are the apps that the command is about.
func (c *client) members(ctx context.Context) ([]push.Member, error) {
	switch {
	case c.all && c.options.App != "":
		return nil, api.Errorf(api.Usage, "", "--all is for every app, and --app (or DOKKU_APP) names %s", c.options.App)
	case c.options.Plan != "":
		return nil, api.Errorf(api.Usage, "", "--plan is the plan of one app").WithHint("name it with --app")
	case c.options.Image != "":
		return nil, api.Errorf(api.Usage, "", "--image is the image of one app").WithHint("name it with --app")
	case c.output != "" || c.sbom != "" || c.layout != "":
		return nil, api.Errorf(api.Usage, "", "-o, --oci and --sbom are for one app").WithHint("name it with --app")
	}
	return push.Members(ctx, c.options, c.since)
}

// each does work for the members, shows them side by side, and says at the end what became
// of each. answer is what goes to stdout of one that did not fail.
func (c *client) each(ctx context.Context, work func(context.Context, push.Member, push.Options) (api.Verdict, error), answer func(push.Member, api.Verdict) []string) error {
	members, err := c.members(ctx)
	if err != nil {
		return err
	}
	renderer := c.tell(c.severalRenderer(members))
	options := c.options
	options.Report = renderer.Event
	verdicts := make(map[string]*api.Verdict, len(members))
	for _, member := range members {
		verdicts[member.Name] = &api.Verdict{}
	}
	outcomes := push.Each(ctx, options, members, func(ctx context.Context, member push.Member, o push.Options) error {
		verdict, err := work(ctx, member, o)
		if err != nil { // nobody else has told
			o.Report(api.Event{Type: api.EventVerdict, Verdict: &api.Verdict{Error: api.AsError(err)}})
			return err
		}
		*verdicts[member.Name] = verdict
		if verdict.Error != nil {
			return verdict.Error
		}
		return nil
	})
	renderer.Close()
	return c.outcomes(outcomes, verdicts, answer)
}

// pushEach deploys the members. The answer is their URLs.
func (c *client) pushEach(ctx context.Context) error {
	return c.each(ctx, func(ctx context.Context, _ push.Member, o push.Options) (api.Verdict, error) {
		return push.Push(ctx, o)
	}, func(_ push.Member, v api.Verdict) []string { return v.URLs })
}

// buildEach builds the members. The answer is a line each: the app and its image.
func (c *client) buildEach(ctx context.Context) error {
	return c.each(ctx, func(ctx context.Context, _ push.Member, o push.Options) (api.Verdict, error) {
		project, err := push.Load(o)
		if err != nil {
			return api.Verdict{}, err
		}
		defer project.Close()
		image, err := push.Build(ctx, o, project, "linux", runtime.GOARCH)
		if err != nil {
			return api.Verdict{}, err
		}
		built, err := c.called(image)
		if err != nil {
			return api.Verdict{}, err
		}
		verdict := api.Verdict{OK: true, Built: built}
		o.Report(api.Event{Type: api.EventVerdict, Verdict: &verdict})
		return verdict, nil
	}, func(m push.Member, v api.Verdict) []string { return []string{m.Name + " " + v.Built} })
}

// planEach shows what a push of the members would change. As an event stream the plans
// are events; with --json they are documents one after the other.
func (c *client) planEach(ctx context.Context) error {
	var mu sync.Mutex
	plans := map[string]api.Plan{}
	different := false
	err := c.each(ctx, func(ctx context.Context, m push.Member, o push.Options) (api.Verdict, error) {
		plan, err := c.planned(ctx, o)
		if err != nil {
			return api.Verdict{}, err
		}
		o.Report(api.Event{Type: api.EventPlan, Plan: &plan})
		mu.Lock()
		plans[m.Name] = plan
		different = different || !plan.Empty()
		mu.Unlock()
		return api.Verdict{OK: true}, nil
	}, func(m push.Member, _ api.Verdict) []string {
		text, problem := c.planText(plans[m.Name])
		if problem != nil {
			return nil
		}
		if c.asJSON || c.format == "json" {
			text = strings.TrimSuffix(text, "\n")
		}
		return []string{text}
	})
	if err == nil && c.detailed && different {
		return &exitError{code: exitOf(api.Differences)}
	}
	return err
}

// outcomes prints the answers, what failed, and the table. The exit code is that of what
// failed, where all failures have the same.
func (c *client) outcomes(outcomes []push.Outcome, verdicts map[string]*api.Verdict, answer func(push.Member, api.Verdict) []string) error {
	var results []report.Result
	exit := 0
	for _, o := range outcomes {
		verdict := *verdicts[o.Name]
		results = append(results, report.Result{App: o.Name, Verdict: verdict, Err: o.Err, Skipped: o.Skipped, Took: o.Took})
		if o.Err != nil {
			exit = worse(exit, api.Exit(o.Err))
			if c.logFormat != "json" {
				if c.story.github == nil {
					fmt.Fprintf(c.err, " !     %s:\n", o.Name)
				}
				c.failure(o.Err, o.Name)
			}
		}
		if c.logFormat == "json" || o.Skipped != "" || o.Err != nil && !verdict.OK {
			continue
		}
		for _, line := range answer(o.Member, verdict) {
			fmt.Fprintln(c.answer(), line)
		}
	}
	if c.logFormat != "json" {
		if err := report.Table(c.err, results); err != nil {
			return err
		}
	}
	if exit != 0 {
		return &exitError{code: exit}
	}
	return nil
}

// worse is the exit code of two failures: one that needs a person before all others, no
// particular one where they are not of one kind.
func worse(a, b int) int {
	person := exitOf(api.UndoFailed)
	switch {
	case a == 0 || a == b || b == person:
		return b
	case a == person:
		return a
	}
	return exitOf(api.Unclassified)
}

// severalRenderer is renderer for several apps side by side.
func (c *client) severalRenderer(members []push.Member) report.Renderer {
	var names []string
	for _, member := range members {
		names = append(names, member.Name)
	}
	if c.logFormat == "json" {
		return report.JSON(c.out)
	}
	if c.story.github != nil {
		return open{c.story.github}
	}
	if size, ok := c.terminal(); ok {
		return report.SeveralTerminal(c.err, size, names)
	}
	return report.SeveralPlain(c.err, names)
}

// terminal is the size of the terminal that the story is told on, if it may be drawn on.
func (c *client) terminal() (size report.Size, ok bool) {
	file, isFile := c.err.(*os.File)
	if c.logFormat != "auto" || !isFile || os.Getenv("CI") != "" || os.Getenv("TERM") == "dumb" || os.Getenv("NO_COLOR") != "" {
		return nil, false
	}
	size = func() (columns, lines int) {
		columns, lines, _ = term.GetSize(int(file.Fd())) // 0, 0 where it cannot be known
		return columns, lines
	}
	return size, term.IsTerminal(int(file.Fd()))
}

// apps are the app blocks that check and config explain go through: that of --app, or all.
// One empty name: the file describes one app.
func (c *client) apps() ([]string, error) {
	if c.options.App != "" {
		return []string{c.options.App}, nil
	}
	blocks, err := push.Apps(c.options)
	if len(blocks) == 0 {
		blocks = []string{""}
	}
	return blocks, err
}
