package main

import (
	"context"
	"encoding/json"
	"io"
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
	prepared, err := push.Prepare(ctx, c.options)
	if err != nil {
		return c.noVerdict(err)
	}
	defer prepared.Close()
	plan := prepared.Plan
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
