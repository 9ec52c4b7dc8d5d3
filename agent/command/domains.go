package command

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/api"
)

// domainsCommands are the rows of this noun.
func domainsCommands() []Command {
	return []Command{
		{"domains:add", "<app> <domain> [<domain> ...]", "Add domains to an app", domainsAdd},
		{"domains:remove", "<app> <domain> [<domain> ...]", "Remove domains from an app", domainsRemove},
		{"domains:report", "[<app>] [<flag>]", "Display a domains report for one or more apps", domainsReport},
		{"domains:set", "<app> <domain> [<domain> ...]", "Set the domains of an app", domainsSet},
	}
}

func domainsAdd(ctx context.Context, call *Call) error {
	return changeDomains(ctx, call, "add", "Added %s to %s", func(now, named []string) []string {
		for _, domain := range named {
			if !slices.Contains(now, domain) {
				now = append(now, domain)
			}
		}
		return now
	})
}

func domainsRemove(ctx context.Context, call *Call) error {
	return changeDomains(ctx, call, "remove", "Removed %s from %s", func(now, named []string) []string {
		return slices.DeleteFunc(now, func(domain string) bool { return slices.Contains(named, domain) })
	})
}

func domainsSet(ctx context.Context, call *Call) error {
	return changeDomains(ctx, call, "set", "Set %s for %s", func(_, named []string) []string { return named })
}

// changeDomains writes the new list, tells the plugins and brings the site up to date. A
// domain that nginx would not take, or that another app owns, is refused before.
func changeDomains(ctx context.Context, call *Call, action, said string, change func(now, named []string) []string) error {
	app, err := call.app(ctx)
	if err != nil {
		return err
	}
	if len(call.Args) == 0 {
		return api.Errorf(api.Usage, "", "Please specify a domain")
	}
	if action != "remove" {
		if err := call.Host.FreeDomains(app, call.Args); err != nil {
			return err
		}
	}
	before, _, err := call.Host.Settings.Change(app, func(now *agent.Settings) error {
		now.Domains = change(slices.Clone(now.Domains), call.Args)
		return nil
	})
	if err != nil {
		return fmt.Errorf("write the domains of %s: %w", app, err)
	}
	if err := call.trigger(ctx, "post-domains-update", append([]string{app, action}, call.Args...)...); err != nil {
		return err
	}
	if err := call.Host.Serve(ctx, app, call.By); err != nil {
		_, _, undoErr := call.Host.Settings.Change(app, func(now *agent.Settings) error {
			now.Domains = before.Domains
			return nil
		})
		if undoErr != nil {
			return api.Errorf(api.UndoFailed, "put the domains back", "%v (because: %w)", undoErr, err)
		}
		return err
	}
	for _, domain := range call.Args {
		call.say(said, domain, app)
	}
	return nil
}

func domainsReport(ctx context.Context, call *Call) error {
	global, err := call.Host.Settings.Read("--global")
	if err != nil {
		return fmt.Errorf("read the global domains: %w", err)
	}
	return call.report(ctx, "domains", func(app string, settings agent.Settings) ([]reportLine, error) {
		return []reportLine{
			{"Domains app enabled", fmt.Sprint(len(settings.Domains) > 0)},
			{"Domains app vhosts", strings.Join(settings.Domains, " ")},
			{"Domains global enabled", fmt.Sprint(len(global.Domains) > 0)},
			{"Domains global vhosts", strings.Join(global.Domains, " ")},
		}, nil
	})
}
