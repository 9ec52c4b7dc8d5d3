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
		{"domains:add-global", "<domain> [<domain> ...]", "Add global domain names", domainsAddGlobal},
		{"domains:clear", "<app>", "Clear all domains of an app", domainsClear},
		{"domains:clear-global", "", "Clear the global domain names", domainsClearGlobal},
		{"domains:disable", "<app>", "Turn the domains of an app off", domainsDisable},
		{"domains:enable", "<app>", "Turn the domains of an app on", domainsEnable},
		{"domains:remove", "<app> <domain> [<domain> ...]", "Remove domains from an app", domainsRemove},
		{"domains:remove-global", "<domain> [<domain> ...]", "Remove global domain names", domainsRemoveGlobal},
		{"domains:report", "[<app>|--global] [<flag>]", "Display a domains report for one or more apps", domainsReport},
		{"domains:reset", "<app>", "Reset the domains of an app to those of its name", domainsReset},
		{"domains:set", "<app> <domain> [<domain> ...]", "Set the domains of an app", domainsSet},
		{"domains:set-global", "<domain> [<domain> ...]", "Set the global domain names", domainsSetGlobal},
	}
}

// noVhost is the config key that turns an app's domains off.
const noVhost = "NO_VHOST"

func added(now, named []string) []string {
	for _, domain := range named {
		if !slices.Contains(now, domain) {
			now = append(now, domain)
		}
	}
	return now
}

func removed(now, named []string) []string {
	return slices.DeleteFunc(now, func(domain string) bool { return slices.Contains(named, domain) })
}

func replaced(_, named []string) []string { return added(nil, named) }

func domainsAdd(ctx context.Context, call *Call) error {
	return call.nameDomains(ctx, "add", "Added %s to %s", added)
}

func domainsRemove(ctx context.Context, call *Call) error {
	return call.nameDomains(ctx, "remove", "Removed %s from %s", removed)
}

func domainsSet(ctx context.Context, call *Call) error {
	return call.nameDomains(ctx, "set", "Set %s for %s", replaced)
}

// nameDomains changes the list by the domains that are named.
func (c *Call) nameDomains(ctx context.Context, action, said string, change func(now, named []string) []string) error {
	app, err := c.app(ctx)
	if err != nil {
		return err
	}
	if len(c.Args) == 0 {
		return api.Errorf(api.Usage, "", "Please specify a domain")
	}
	if action != "remove" {
		if err := c.Host.FreeDomains(app, c.Args); err != nil {
			return err
		}
	}
	err = c.changeDomains(ctx, app, action, c.Args, func(now *agent.Settings) error {
		now.Domains = change(slices.Clone(now.Domains), c.Args)
		if action != "remove" && now.Env[noVhost] == "1" { // who names domains wants them
			now.Env[noVhost] = "0"
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, domain := range c.Args {
		c.say(said, domain, app)
	}
	return nil
}

// changeDomains brings the site up to the new list and tells the plugins. Where nginx
// refuses, the list is as it was.
func (c *Call) changeDomains(ctx context.Context, app, action string, named []string, change func(now *agent.Settings) error) error {
	if err := c.Host.ChangeSite(ctx, app, c.By, agent.SiteChange{Settings: change}); err != nil {
		return err
	}
	return c.tell(ctx, app, "post-domains-update", append([]string{app, action}, named...)...)
}

// tell fires a trigger about a site that has changed, and makes the site once more for
// what plugins changed then.
func (c *Call) tell(ctx context.Context, app, trigger string, args ...string) error {
	if err := c.trigger(ctx, trigger, args...); err != nil {
		return err
	}
	return c.Host.Serve(ctx, app, c.By)
}

// alone reads a command that takes an app and nothing else.
func (c *Call) alone(ctx context.Context) (string, error) {
	app, err := c.app(ctx)
	if err == nil {
		err = c.noMore()
	}
	return app, err
}

func domainsClear(ctx context.Context, call *Call) error {
	app, err := call.alone(ctx)
	if err != nil {
		return err
	}
	err = call.changeDomains(ctx, app, "clear", nil, func(now *agent.Settings) error { now.Domains = nil; return nil })
	if err == nil {
		call.say("Cleared domains in %s", app)
	}
	return err
}

func domainsReset(ctx context.Context, call *Call) error {
	app, err := call.alone(ctx)
	if err != nil {
		return err
	}
	usual, err := call.usualDomains(ctx, app)
	if err != nil {
		return err
	}
	err = call.changeDomains(ctx, app, "reset", usual, func(now *agent.Settings) error { now.Domains = usual; return nil })
	if err == nil {
		call.say("Reset domains in %s", app)
	}
	return err
}

// usualDomains are those of the app's name, if nobody has them.
func (c *Call) usualDomains(ctx context.Context, app string) ([]string, error) {
	usual, err := c.Host.DefaultDomains(ctx, app)
	if err == nil {
		err = c.Host.FreeDomains(app, usual)
	}
	return usual, err
}

func domainsDisable(ctx context.Context, call *Call) error {
	return call.turnDomains(ctx, "disable", "1", "Disabling domains for %s", func(string, []string) ([]string, error) { return nil, nil })
}

func domainsEnable(ctx context.Context, call *Call) error {
	return call.turnDomains(ctx, "enable", "0", "Enabling domains for %s", func(app string, now []string) ([]string, error) {
		if len(now) > 0 {
			return now, nil
		}
		return call.usualDomains(ctx, app)
	})
}

// turnDomains turns an app's domains on or off, which its config says too.
func (c *Call) turnDomains(ctx context.Context, action, noVhosts, said string, change func(app string, now []string) ([]string, error)) error {
	app, err := c.alone(ctx)
	if err != nil {
		return err
	}
	settings, err := c.settings(app)
	if err != nil {
		return err
	}
	domains, err := change(app, settings.Domains)
	if err != nil {
		return err
	}
	if err := c.trigger(ctx, "pre-"+action+"-vhost", app); err != nil {
		return err
	}
	if err := c.Host.ChangeSite(ctx, app, c.By, agent.SiteChange{Settings: func(now *agent.Settings) error {
		now.Env[noVhost], now.Domains = noVhosts, domains
		return nil
	}}); err != nil {
		return err
	}
	if err := c.trigger(ctx, "post-config-update", app, "set", noVhost+"="+noVhosts); err != nil {
		return err
	}
	if err := c.tell(ctx, app, "post-domains-update", app, action); err != nil {
		return err
	}
	c.say(said, app)
	return nil
}

func domainsAddGlobal(_ context.Context, call *Call) error {
	return call.nameGlobal("Added %s", added)
}

func domainsRemoveGlobal(_ context.Context, call *Call) error {
	return call.nameGlobal("Removed %s", removed)
}

func domainsSetGlobal(_ context.Context, call *Call) error {
	return call.nameGlobal("Set %s", replaced)
}

// nameGlobal changes the host's domains. Apps that there are keep theirs until they are
// reset.
func (c *Call) nameGlobal(said string, change func(now, named []string) []string) error {
	if len(c.Args) == 0 {
		return api.Errorf(api.Usage, "", "Please specify a domain")
	}
	for _, domain := range c.Args {
		if err := c.Host.Proxy.Domain(domain); err != nil {
			return err
		}
		if strings.Contains(domain, "*") {
			return api.Errorf(api.Usage, "", "%s: a global domain is what stands behind the app's name, without a star", domain)
		}
	}
	if err := c.change("--global", func(now *agent.Settings) error {
		now.Domains = change(slices.Clone(now.Domains), c.Args)
		return nil
	}); err != nil {
		return err
	}
	for _, domain := range c.Args {
		c.say(said, domain)
	}
	return nil
}

func domainsClearGlobal(_ context.Context, call *Call) error {
	if err := call.noMore(); err != nil {
		return err
	}
	if err := call.change("--global", func(now *agent.Settings) error { now.Domains = nil; return nil }); err != nil {
		return err
	}
	call.say("Cleared global domains")
	return nil
}

func domainsReport(ctx context.Context, call *Call) error {
	global, err := call.settings("--global")
	if err != nil {
		return err
	}
	return call.report(ctx, "domains", func(app string, settings agent.Settings) ([]reportLine, error) {
		return []reportLine{
			{"Domains app enabled", fmt.Sprint(len(settings.Domains) > 0 && settings.Env[noVhost] != "1")},
			{"Domains app vhosts", strings.Join(settings.Domains, " ")},
			{"Domains global enabled", fmt.Sprint(len(global.Domains) > 0)},
			{"Domains global vhosts", strings.Join(global.Domains, " ")},
		}, nil
	})
}
