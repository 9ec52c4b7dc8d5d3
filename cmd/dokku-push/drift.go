package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/push/report"
)

// drift says what differs between the app's release and what runs on the host.
func (c *client) drift(ctx context.Context) error {
	asJSON, err := c.wantsJSON()
	if err != nil {
		return err
	}
	connection, app, err := c.connect(ctx)
	if err != nil {
		return err
	}
	defer connection.Conn.Close()
	drift, err := connection.Drift(ctx, app)
	if err != nil {
		return err
	}
	if asJSON {
		err = json.NewEncoder(c.out).Encode(drift)
	} else {
		err = c.printDrift(drift)
	}
	if err == nil && len(drift.Findings) > 0 {
		return &exitError{code: api.Exit(&api.Error{Code: api.Differences})}
	}
	return err
}

func (c *client) printDrift(drift api.Drift) error {
	var text strings.Builder
	for _, f := range drift.Findings {
		line := fmt.Sprintf("%-8s%s  %s: %s", f.Severity, f.Code, f.Subject, f.Found)
		if f.Expected != "" {
			line += "; expected: " + f.Expected
		}
		fmt.Fprintln(&text, report.Legible(withHint(line, f.Hint)))
	}
	switch {
	case len(drift.Findings) > 0:
	case drift.Release == 0:
		fmt.Fprintf(&text, "%s was never deployed, and nothing of it runs\n", drift.App)
	default:
		fmt.Fprintf(&text, "%s runs v%d as it was released\n", drift.App, drift.Release)
	}
	_, err := fmt.Fprint(c.answer(), text.String())
	return err
}

func withHint(line, hint string) string {
	if hint == "" {
		return line
	}
	return line + " -> " + hint
}

// wantsJSON reads --format for commands whose answer is text or one JSON document.
func (c *client) wantsJSON() (bool, error) {
	switch c.format {
	case "":
		return c.logFormat == "json", nil
	case "text", "json":
		return c.format == "json", nil
	}
	return false, api.Errorf(api.Usage, "", "--format is text or json, not %q", c.format)
}
