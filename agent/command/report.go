package command

import (
	"context"
	"fmt"
	"strings"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/api"
)

// reportLine is one line of a report: what Dokku calls it and its value.
type reportLine struct{ name, value string }

// report prints a noun's report for one app or for all, or the one value that a flag
// asks for: --domains-app-vhosts is the line "Domains app vhosts".
func (c *Call) report(ctx context.Context, noun string, lines func(app string, settings agent.Settings) ([]reportLine, error)) error {
	flag := ""
	for n, word := range c.Args {
		if strings.HasPrefix(word, "--") {
			flag = strings.TrimPrefix(word, "--")
			c.Args = append(c.Args[:n:n], c.Args[n+1:]...)
			break
		}
	}
	var apps []string
	if c.App != "" || len(c.Args) > 0 {
		app, err := c.app(ctx)
		if err != nil {
			return err
		}
		apps = []string{app}
	} else {
		all, err := c.visibleApps(ctx)
		if err != nil {
			return err
		}
		apps = all
	}
	for _, app := range apps {
		settings, err := c.Host.Settings.Read(app)
		if err != nil {
			return fmt.Errorf("read the settings of %s: %w", app, err)
		}
		rows, err := lines(app, settings)
		if err != nil {
			return err
		}
		if flag != "" {
			if err := c.reportOne(rows, flag); err != nil {
				return err
			}
			continue
		}
		if !c.Quiet {
			fmt.Fprintf(c.Out, "=====> %s %s information\n", app, noun)
		}
		for _, row := range rows {
			fmt.Fprintf(c.Out, "       %-30s %s\n", row.name+":", row.value)
		}
	}
	return nil
}

func (c *Call) reportOne(rows []reportLine, flag string) error {
	var known []string
	for _, row := range rows {
		name := strings.ToLower(strings.ReplaceAll(row.name, " ", "-"))
		if name == flag {
			_, err := fmt.Fprintln(c.Out, row.value)
			return err
		}
		known = append(known, "--"+name)
	}
	return api.Errorf(api.Usage, "", "Invalid flag passed, valid flags: %s", strings.Join(known, ", "))
}
