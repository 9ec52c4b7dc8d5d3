package main

import (
	"context"
	"encoding/json"
	"io"
	"os"
	"strings"

	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/internal/atomicfile"
	"github.com/dokku-push/dokku-push/push"
	"github.com/dokku-push/dokku-push/push/report"
)

// plan shows what a push would change, and writes it to a file for a later push --plan.
func (c *client) plan(ctx context.Context) error {
	c.options.Dir = c.folder()
	if c.several() {
		return c.planEach(ctx)
	}
	if _, err := c.planFormat(); err != nil {
		return err
	}
	if c.offline && c.output != "" {
		return c.noVerdict(api.Errorf(api.Usage, "", "-o keeps a plan that can be carried out, and --offline compares with no host"))
	}
	plan, err := c.planned(ctx, c.options)
	if err != nil {
		return c.noVerdict(err)
	}
	text, err := json.MarshalIndent(plan, "", "  ")
	if err != nil {
		return err
	}
	text = append(text, '\n')
	if c.output != "" {
		if err := atomicfile.WriteFile(c.output, text, 0o600); err != nil {
			return api.Errorf(api.Usage, "write the plan", "%w", err)
		}
	}
	if err := c.commented(plan); err != nil {
		return err
	}
	c.story.accounts.Event(api.Event{Type: api.EventPlan, Plan: &plan})
	shown, err := c.planText(plan)
	if err == nil {
		_, err = io.WriteString(c.answer(), shown)
	}
	if err == nil && c.detailed && !plan.Empty() {
		return &exitError{code: exitOf(api.Differences)}
	}
	return err
}

// commented writes a plan as a pull request's comment to where a CI job finds it.
func (c *client) commented(plan api.Plan) error {
	if c.story.comment == "" {
		return nil
	}
	var text strings.Builder
	err := report.PlanMarkdown(&text, plan)
	if err == nil {
		err = os.WriteFile(c.story.comment, []byte(text.String()), 0o600)
	}
	if err != nil {
		return api.Errorf(api.Configuration, "write the plan", "%w", err)
	}
	return nil
}

// planned is what a push would change, or, offline, what it would consist of.
func (c *client) planned(ctx context.Context, o push.Options) (api.Plan, error) {
	if c.offline {
		return push.Forecast(ctx, o)
	}
	prepared, err := push.Prepare(ctx, o)
	if err != nil {
		return api.Plan{}, err
	}
	defer prepared.Close()
	return prepared.Plan, nil
}

// planFormat is how a plan is shown: text, json or markdown.
func (c *client) planFormat() (string, error) {
	switch {
	case c.asJSON || c.format == "json":
		return "json", nil
	case c.format == "" && c.logFormat == "json" && !c.several():
		return "json", nil
	case c.format == "" || c.format == "text" || c.format == "markdown":
		return c.format, nil
	}
	return "", api.Errorf(api.Usage, "", "--format is text, json or markdown, not %q", c.format)
}

// planText is a plan as it was asked for.
func (c *client) planText(plan api.Plan) (string, error) {
	format, err := c.planFormat()
	if err != nil {
		return "", err
	}
	var text strings.Builder
	switch format {
	case "json":
		var document []byte
		if document, err = json.MarshalIndent(plan, "", "  "); err == nil {
			text.Write(append(document, '\n'))
		}
	case "markdown":
		err = report.PlanMarkdown(&text, plan)
	default:
		err = report.Plan(&text, plan)
	}
	return text.String(), err
}

// answer is stdout for text: on GitHub, without what its runner would take for a command.
func (c *client) answer() io.Writer {
	if c.story.github == nil || c.asJSON || c.format == "json" {
		return c.out
	}
	return report.Inert(c.out)
}

// exitOf is the exit code of a Code.
func exitOf(code api.Code) int { return api.Exit(&api.Error{Code: code}) }
