package command

import (
	"context"
	"fmt"
	"strings"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/agent/cron"
	"github.com/dokku-push/dokku-push/api"
)

// cronCommands are the rows of this noun.
func cronCommands() []Command {
	return []Command{
		{"cron:list", "[--global|<app>] [--format stdout|json]", "List the scheduled commands of an app, or those of the plugins", cronList},
		{"cron:report", "[<app>] [<flag>]", "Display a cron report for one or more apps", cronReport},
		{"cron:run", "[--detach] <app> <cron-id>", "Run a scheduled command now", cronRun},
		{"cron:set", "<app> maintenance [true|false]", "Keep the scheduled commands of an app from running", cronSet},
	}
}

func cronList(ctx context.Context, call *Call) error {
	format, _, err := call.option("--format")
	if err != nil {
		return err
	}
	if format != "" && format != "json" && format != "stdout" {
		return api.Errorf(api.Usage, "", "Invalid format: %s", format).WithHint("stdout or json")
	}
	app, err := call.scope(ctx)
	if err == nil {
		err = call.noMore()
	}
	if err != nil {
		return err
	}
	entries, err := call.cronEntries(ctx, app)
	if err != nil {
		return err
	}
	if format == "json" {
		text, err := asJSON(append([]cron.Entry{}, entries...))
		if err == nil {
			_, err = fmt.Fprint(call.Out, text)
		}
		return err
	}
	fmt.Fprintf(call.Out, "%-18s %-18s %-11s %s\n", "ID", "Schedule", "Maintenance", "Command")
	for _, entry := range entries {
		fmt.Fprintf(call.Out, "%-18s %-18s %-11t %s\n", entry.ID, entry.Schedule, entry.Maintenance, entry.Command)
	}
	return nil
}

// cronEntries are those of an app, or what plugins say for the host (the cron-entries
// trigger): those are for the host's own crontab and shown here alone.
func (c *Call) cronEntries(ctx context.Context, app string) ([]cron.Entry, error) {
	if app != "--global" {
		return cron.Entries(c.Host, app)
	}
	answer, err := c.Host.Ask(ctx, "cron-entries", "docker-local")
	if err != nil {
		return nil, err
	}
	var entries []cron.Entry
	for _, line := range linesOf(answer) {
		parts := strings.SplitN(line, ";", 3)
		if len(parts) < 2 {
			continue
		}
		if _, err := cron.Parse(parts[0]); err != nil {
			fmt.Fprintf(c.Err, " !     a plugin's cron entry is not read: %v\n", err)
			continue
		}
		entries = append(entries, cron.Entry{App: app, Schedule: parts[0], Command: parts[1]})
	}
	return entries, nil
}

func cronReport(ctx context.Context, call *Call) error {
	return call.report(ctx, "cron", func(app string, settings agent.Settings) ([]reportLine, error) {
		entries, err := cron.Entries(call.Host, app)
		if err != nil {
			return nil, err
		}
		maintenance := settings.Properties["cron/maintenance"]
		if maintenance == "" {
			maintenance = "false"
		}
		return []reportLine{{"Cron maintenance", maintenance}, {"Cron task count", fmt.Sprint(len(entries))}}, nil
	})
}

func cronSet(ctx context.Context, call *Call) error {
	return call.set(ctx, "cron", map[string]check{"maintenance": func(value string) error {
		if value != "true" && value != "false" {
			return api.Errorf(api.Usage, "", "maintenance is true or false, not %q", value)
		}
		return nil
	}})
}

// cronRun runs an entry here and now, with its output and exit code, or starts it as its
// time would.
func cronRun(ctx context.Context, call *Call) error {
	detach := call.flag("--detach")
	app, err := call.app(ctx)
	if err != nil {
		return err
	}
	if len(call.Args) != 1 {
		return api.Errorf(api.Usage, "", "Please specify a Cron ID").WithHint("cron:list %s shows them", app)
	}
	entry, err := cron.Find(call.Host, app, call.Args[0])
	if err != nil {
		return err
	}
	if detach {
		name, err := cron.Run(ctx, call.Host, entry)
		if err == nil && name == "" {
			err = api.Errorf(api.Precondition, "", "%s still runs, and its concurrency_policy is forbid", entry.ID)
		}
		if err == nil {
			_, err = fmt.Fprintln(call.Out, name)
		}
		return err
	}
	exit, err := call.Host.RunOnce(ctx, app, cron.Words(entry), nil, agent.Streams{Out: call.Out, Err: call.Err})
	if err != nil {
		return err
	}
	if exit != 0 {
		return &Exit{Code: exit}
	}
	return nil
}
