package command

import (
	"context"
	"fmt"
	"strings"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/api"
)

// proxyCommands are the rows of this noun.
func proxyCommands() []Command {
	return []Command{
		{"proxy:build-config", "[--parallel count] [--all|<app>]", "Build the site of an app anew", proxyBuild},
		{"proxy:clear-config", "[--all|<app>]", "Take the site of an app away until it is built anew", proxyClear},
		{"proxy:disable", "[--parallel count] [--all|<app>]", "Disable the proxy of an app", proxyDisable},
		{"proxy:enable", "[--parallel count] [--all|<app>]", "Enable the proxy of an app", proxyEnable},
		{"proxy:report", "[<app>|--global] [<flag>]", "Display a proxy report for one or more apps", proxyReport},
		{"proxy:set", "[<app>|--global] <key> (<value>)", "Set or clear a proxy property of an app", proxySet},
	}
}

func proxyBuild(ctx context.Context, call *Call) error {
	return call.each(ctx, func(app string) error { return call.Host.Serve(ctx, app, call.By) })
}

func proxyClear(ctx context.Context, call *Call) error {
	return call.each(ctx, func(app string) error {
		call.say("Clearing proxy config for %s", app)
		return call.Host.ClearSite(ctx, app, call.By)
	})
}

func proxyDisable(ctx context.Context, call *Call) error {
	return call.turnProxy(ctx, "Disabling proxy for %s", "proxy is already disabled for %s", true)
}

func proxyEnable(ctx context.Context, call *Call) error {
	return call.turnProxy(ctx, "Enabling proxy for %s", "proxy is already enabled for %s", false)
}

func (c *Call) turnProxy(ctx context.Context, said, already string, disabled bool) error {
	return c.each(ctx, func(app string) error {
		settings, err := c.settings(app)
		if err != nil {
			return err
		}
		if (settings.Properties["proxy/disabled"] == "true") == disabled {
			c.say(already, app)
			return nil
		}
		c.say(said, app)
		return c.Host.ChangeSite(ctx, app, c.By, agent.SiteChange{Settings: func(now *agent.Settings) error {
			delete(now.Properties, "proxy/disabled")
			if disabled {
				now.Properties["proxy/disabled"] = "true"
			}
			return nil
		}})
	})
}

// proxySet knows one type, which an older form names without its key.
func proxySet(ctx context.Context, call *Call) error {
	app, err := call.scope(ctx)
	if err != nil {
		return err
	}
	if len(call.Args) == 1 && call.Args[0] == "nginx" {
		call.Args = []string{"type", "nginx"}
	}
	known := map[string]check{"proxy-port": aPort, "proxy-ssl-port": aPort, "type": func(value string) error {
		if value != "nginx" {
			return api.Errorf(api.Usage, "", "this host has the proxy nginx and no other")
		}
		return nil
	}}
	return call.setSite(ctx, app, "proxy", known)
}

// setSite is set for properties that an app's site is made of: it is brought up to them.
func (c *Call) setSite(ctx context.Context, app, plugin string, known map[string]check) error {
	key, value, err := c.property(known)
	if err != nil {
		return err
	}
	change := func(now *agent.Settings) error {
		delete(now.Properties, plugin+"/"+key)
		if value != "" {
			now.Properties[plugin+"/"+key] = value
		}
		return nil
	}
	switch {
	case plugin == "proxy" && key == "type": // it always is
	case app == "--global":
		err = c.change(app, change)
	default:
		err = c.Host.ChangeSite(ctx, app, c.By, agent.SiteChange{Settings: change})
	}
	if err != nil {
		return err
	}
	if value == "" {
		c.heading("Unsetting %s", key)
	} else {
		c.heading("Setting %s to %s", key, value)
	}
	return nil
}

// property reads the key and the value of a set command; no value unsets.
func (c *Call) property(known map[string]check) (key, value string, err error) {
	if len(c.Args) == 0 {
		return "", "", api.Errorf(api.Usage, "", "No property specified")
	}
	key, value = c.Args[0], strings.Join(c.Args[1:], " ")
	valid, ok := known[key]
	if !ok {
		return "", "", api.Errorf(api.Usage, "", "Invalid property specified, valid properties include: %s", strings.Join(sortedKeys(known), ", "))
	}
	if strings.ContainsAny(value, "\r\n\x00") {
		return "", "", api.Errorf(api.Usage, "", "the value of %s is one line of text", key)
	}
	if value != "" {
		err = valid(value)
	}
	return key, value, err
}

func proxyReport(ctx context.Context, call *Call) error {
	global, err := call.settings("--global")
	if err != nil {
		return err
	}
	return call.report(ctx, "proxy", func(_ string, settings agent.Settings) ([]reportLine, error) {
		rows := []reportLine{{"Proxy enabled", fmt.Sprint(settings.Properties["proxy/disabled"] != "true")},
			{"Proxy computed type", "nginx"}, {"Proxy global type", ""}, {"Proxy type", ""}}
		rows = append(rows, computed("Proxy", "proxy-port", "80", settings, global, "proxy/proxy-port")...)
		return append(rows, computed("Proxy", "proxy-ssl-port", "443", settings, global, "proxy/proxy-ssl-port")...), nil
	})
}
