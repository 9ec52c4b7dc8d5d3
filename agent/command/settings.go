package command

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/api"
)

// change changes an app's settings, or the host's.
func (c *Call) change(app string, f func(now *agent.Settings) error) error {
	_, _, err := c.Host.Settings.Change(app, f)
	if err != nil {
		return fmt.Errorf("write the settings of %s: %w", app, err)
	}
	return nil
}

// settings reads an app's settings, or the host's.
func (c *Call) settings(app string) (agent.Settings, error) {
	settings, err := c.Host.Settings.Read(app)
	if err != nil {
		return settings, fmt.Errorf("read the settings of %s: %w", app, err)
	}
	return settings, nil
}

// option takes a flag with its value out of the arguments: --name VALUE or --name=VALUE.
// The last of several counts.
func (c *Call) option(names ...string) (value string, given bool, err error) {
	all, err := c.options(names...)
	if err != nil || len(all) == 0 {
		return "", false, err
	}
	return all[len(all)-1], true, nil
}

// options is option for a flag that may be given several times.
func (c *Call) options(names ...string) (values []string, err error) {
	var rest []string
	for n := 0; n < len(c.Args); n++ {
		name, value, inline := strings.Cut(c.Args[n], "=")
		switch {
		case !slices.Contains(names, name):
			rest = append(rest, c.Args[n])
			continue
		case inline:
		case n+1 < len(c.Args):
			n++
			value = c.Args[n]
		default:
			return nil, api.Errorf(api.Usage, "", "%s wants a value", name)
		}
		values = append(values, value)
	}
	c.Args = rest
	return values, nil
}

// noMore refuses words that a command does not take.
func (c *Call) noMore() error {
	if len(c.Args) > 0 {
		return api.Errorf(api.Usage, "", "unexpected argument: %s", c.Args[0])
	}
	return nil
}

// check tells whether a value can be a property's.
type check func(value string) error

// set is a noun's set command: one property of an app or of the host gets a value, or
// loses it when none is given.
func (c *Call) set(ctx context.Context, plugin string, known map[string]check) error {
	app, err := c.scope(ctx)
	if err != nil {
		return err
	}
	if len(c.Args) == 0 {
		return api.Errorf(api.Usage, "", "No property specified")
	}
	key, value := c.Args[0], strings.Join(c.Args[1:], " ")
	valid, ok := known[key]
	if !ok {
		return api.Errorf(api.Usage, "", "Invalid property specified, valid properties include: %s", strings.Join(slices.Sorted(maps.Keys(known)), ", "))
	}
	name := plugin + "/" + key
	if app == "--global" && !agent.Inherited(name) {
		return api.Errorf(api.Usage, "", "Property %s cannot be specified globally", key)
	}
	if strings.ContainsAny(value, "\r\n\x00") {
		return api.Errorf(api.Usage, "", "the value of %s is one line of text", key)
	}
	if value != "" {
		if err := valid(value); err != nil {
			return err
		}
	}
	if err := c.change(app, func(now *agent.Settings) error {
		if value == "" {
			delete(now.Properties, name)
		} else {
			now.Properties[name] = value
		}
		return nil
	}); err != nil {
		return err
	}
	if value == "" {
		c.heading("Unsetting %s", key)
	} else {
		c.heading("Setting %s to %s", key, value)
	}
	return nil
}

// heading prints a line of Dokku's second kind, unless it is to be quiet.
func (c *Call) heading(format string, args ...any) {
	if !c.Quiet {
		fmt.Fprintf(c.Out, "=====> "+format+"\n", args...)
	}
}

// line prints a line below a heading.
func (c *Call) line(format string, args ...any) {
	fmt.Fprintf(c.Out, "       "+format+"\n", args...)
}

// number is the check of a number of seconds or the like.
func number(least, most int) check {
	return func(value string) error {
		n, err := strconv.Atoi(value)
		if err != nil || strconv.Itoa(n) != value || n < least || n > most {
			return api.Errorf(api.Usage, "", "%q is no number from %d to %d", value, least, most)
		}
		return nil
	}
}

// computed are the three lines that a report has for a property which the host can set
// for all apps.
func computed(noun, key, otherwise string, app, global agent.Settings, name string) []reportLine {
	own, host := app.Properties[name], global.Properties[name]
	if host == "" {
		host = otherwise
	}
	all := own
	if all == "" {
		all = host
	}
	words := strings.ReplaceAll(key, "-", " ")
	return []reportLine{{noun + " computed " + words, all}, {noun + " global " + words, host}, {noun + " " + words, own}}
}
