package command

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/api"
)

// reportLine is one line of a report: what Dokku calls it and its value.
type reportLine struct{ name, value string }

// flag is the flag that asks for the line alone: --domains-app-vhosts is "Domains app vhosts".
func (l reportLine) flag() string { return strings.ToLower(strings.ReplaceAll(l.name, " ", "-")) }

// report prints a noun's report for one app, for all or, with --global, for the host; or
// the one value that a flag asks for. --format json makes an object of each.
func (c *Call) report(ctx context.Context, noun string, lines func(app string, settings agent.Settings) ([]reportLine, error)) error {
	format, err := c.reportFormat()
	if err != nil {
		return err
	}
	global, flag := c.flag("--global"), ""
	if n := slices.IndexFunc(c.Args, func(word string) bool { return strings.HasPrefix(word, "--") }); n >= 0 {
		flag = strings.TrimPrefix(c.Args[n], "--")
		c.Args = slices.Delete(slices.Clone(c.Args), n, n+1)
	}
	if format == "json" && flag != "" {
		return api.Errorf(api.Usage, "", "--format json cannot be combined with --%s", flag)
	}
	apps := []string{"--global"}
	if !global {
		if apps, err = c.someApps(ctx); err != nil {
			return err
		}
	}
	for _, app := range apps {
		settings, err := c.settings(app)
		if err != nil {
			return err
		}
		rows, err := lines(app, settings)
		if err != nil {
			return err
		}
		if global {
			rows = slices.DeleteFunc(rows, func(row reportLine) bool { return !strings.Contains(row.flag(), "-global-") })
			if len(rows) == 0 {
				return api.Errorf(api.Usage, "", "%s has no global report", noun)
			}
		}
		if err := c.printReport(app, noun, flag, format, rows); err != nil {
			return err
		}
	}
	return nil
}

// reportFormat is json, stdout or, where nothing is said, empty.
func (c *Call) reportFormat() (string, error) {
	format, _, err := c.option("--format")
	if err == nil && format != "" && format != "json" && format != "stdout" {
		err = api.Errorf(api.Usage, "", "Invalid format specified, supported formats: json, stdout")
	}
	return format, err
}

func (c *Call) printReport(app, noun, flag, format string, rows []reportLine) error {
	switch {
	case format == "json":
		values := map[string]string{}
		for _, row := range rows {
			values[strings.TrimPrefix(row.flag(), strings.ReplaceAll(noun, " ", "-")+"-")] = row.value
		}
		return json.NewEncoder(c.Out).Encode(values)
	case flag != "":
		return c.reportOne(rows, flag)
	}
	if !c.Quiet {
		if app == "--global" {
			app = "Global"
		}
		fmt.Fprintf(c.Out, "=====> %s %s information\n", app, noun)
	}
	for _, row := range rows {
		fmt.Fprintf(c.Out, "       %-30s %s\n", row.name+":", row.value)
	}
	return nil
}

func (c *Call) reportOne(rows []reportLine, flag string) error {
	var known []string
	for _, row := range rows {
		if row.flag() == flag {
			_, err := fmt.Fprintln(c.Out, row.value)
			return err
		}
		known = append(known, "--"+row.flag())
	}
	return api.Errorf(api.Usage, "", "Invalid flag passed, valid flags: %s", strings.Join(known, ", "))
}
