package main

import (
	"context"
	"encoding/json"
	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/internal/atomicfile"
	"github.com/dokku-push/dokku-push/push"
	"github.com/dokku-push/dokku-push/push/report"
)

// plan shows what a push would change, and writes it to a file for a later push --plan.
func (c *client) plan(ctx context.Context) error {
	c.options.Dir = c.folder()
	prepared, err := push.Prepare(ctx, c.options)
	if err != nil {
		return err
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
	if c.asJSON || c.logFormat == "json" {
		_, err = c.out.Write(text)
	} else {
		err = report.Plan(c.out, plan)
	}
	if err == nil && c.detailed && !plan.Empty() {
		return &exitError{code: exitOf(api.Differences)}
	}
	return err
}

// exitOf is the exit code of a Code.
func exitOf(code api.Code) int { return api.Exit(&api.Error{Code: code}) }
