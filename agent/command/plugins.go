package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/agent/plugin"
	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/triggers"
)

// pluginsCommands are the rows of this noun.
func pluginsCommands() []Command {
	return []Command{
		{"plugin", "", "Print what can be done with plugins", pluginHelp},
		{"plugin:disable", "<name>", "Disable an installed plugin", pluginDisable},
		{"plugin:enable", "<name>", "Enable a disabled plugin", pluginEnable},
		{"plugin:help", "", "Print what can be done with plugins", pluginHelp},
		{"plugin:install", "[--core | <url> [--committish <committish>] [--name <name>] [--skip-install-trigger]]",
			"Install a plugin, or run the install trigger of all", pluginInstall},
		{"plugin:install-dependencies", "[--core]", "Run the dependencies trigger of all plugins", pluginDependencies},
		{"plugin:installed", "<name>", "Tell by the exit code whether a plugin is installed", pluginInstalled},
		{"plugin:list", "[--format <text|json>]", "List the plugins", pluginList},
		{"plugin:trigger", "<trigger> [<args> ...]", "Fire a trigger of all plugins", pluginTrigger},
		{"plugin:uninstall", "<name>", "Uninstall a plugin", pluginUninstall},
		{"plugin:update", "[<name> [<committish>]]", "Update one plugin, or all that are not the core's", pluginUpdate},
	}
}

// plugins is the manager of the host's plugins.
func (c *Call) plugins() *plugin.Manager {
	return &plugin.Manager{Path: c.Host.Places.Plugins(), Fire: c.Host.Walk.Trigger, Out: c.Out, Err: c.Err}
}

// corePlugins is the manager of the core's.
func (c *Call) corePlugins() *plugin.Manager {
	path := c.Host.Places.CorePlugins()
	fire := func(ctx context.Context, trigger string, args []string, streams agent.Streams) error {
		walk := triggers.Walk{Path: path, Env: triggers.Environment()}
		return walk.Trigger(ctx, trigger, args, triggers.Streams{In: streams.In, Out: streams.Out, Err: streams.Err})
	}
	return &plugin.Manager{Path: path, Fire: fire, Out: c.Out, Err: c.Err}
}

// hooked lets a plugin's own exit code be the command's, as Dokku does.
func (c *Call) hooked(err error) error {
	code := plugin.Code(err)
	if code <= 1 {
		return err
	}
	for line := range strings.SplitSeq(err.Error(), "\n") {
		fmt.Fprintf(c.Err, " !     %s\n", line)
	}
	return &Exit{Code: code}
}

// takeValue takes a flag with its value out of the arguments; "" when it is not there.
func (c *Call) takeValue(flag string) (string, error) {
	for n, word := range c.Args {
		value, joined := strings.CutPrefix(word, flag+"=")
		rest := n + 1
		if word == flag && rest < len(c.Args) {
			value, joined, rest = c.Args[rest], true, rest+1
		}
		if word == flag && !joined || joined && value == "" {
			return "", api.Errorf(api.Usage, "", "%s wants a value", flag)
		}
		if joined {
			c.Args = append(c.Args[:n:n], c.Args[rest:]...)
			return value, nil
		}
	}
	return "", nil
}

// words refuses flags that nobody took, and any other number of words.
func (c *Call) words(least, most int, usage string) error {
	for _, word := range c.Args {
		if strings.HasPrefix(word, "-") {
			return api.Errorf(api.Usage, "", "%s is no flag of this command", word).WithHint("usage: dokku %s", usage)
		}
	}
	if len(c.Args) < least || len(c.Args) > most {
		return api.Errorf(api.Usage, "", "usage: dokku %s", usage)
	}
	return nil
}

func pluginInstall(ctx context.Context, call *Call) error {
	core, skip := call.flag("--core"), call.flag("--skip-install-trigger")
	committish, err := call.takeValue("--committish")
	name, problem := call.takeValue("--name")
	if err := errors.Join(err, problem); err != nil {
		return err
	}
	if err := call.words(0, 1, "plugin:install [--core | <url> [--committish <committish>] [--name <name>]]"); err != nil {
		return err
	}
	switch {
	case len(call.Args) == 0 && (committish != "" || name != ""):
		return api.Errorf(api.Usage, "", "Please specify the plugin's URL")
	case len(call.Args) == 0 && core:
		return call.hooked(call.corePlugins().InstallAll(ctx))
	case len(call.Args) == 0:
		return call.hooked(call.plugins().InstallAll(ctx))
	case core:
		return api.Errorf(api.Usage, "", "A plugin of the core comes with the agent and is not installed")
	}
	return call.hooked(call.plugins().Install(ctx, plugin.Wanted{URL: call.Args[0], Committish: committish, Name: name, SkipTrigger: skip}))
}

func pluginDependencies(ctx context.Context, call *Call) error {
	core := call.flag("--core")
	if err := call.words(0, 0, "plugin:install-dependencies [--core]"); err != nil {
		return err
	}
	if core {
		return call.hooked(call.corePlugins().Dependencies(ctx))
	}
	return call.hooked(call.plugins().Dependencies(ctx))
}

func pluginUpdate(ctx context.Context, call *Call) error {
	if err := call.words(0, 2, "plugin:update [<name> [<committish>]]"); err != nil {
		return err
	}
	words := append(call.Args, "", "")
	return call.hooked(call.plugins().Update(ctx, words[0], words[1]))
}

// onePlugin is a command on the one plugin that is named.
func onePlugin(ctx context.Context, call *Call, usage string, do func(*plugin.Manager, context.Context, string) error) error {
	if len(call.Args) == 0 {
		return api.Errorf(api.Usage, "", "Please specify a plugin to run the command on")
	}
	if len(call.Args) > 1 {
		return api.Errorf(api.Usage, "", "usage: dokku %s <name>", usage)
	}
	return call.hooked(do(call.plugins(), ctx, call.Args[0]))
}

func pluginUninstall(ctx context.Context, call *Call) error {
	return onePlugin(ctx, call, "plugin:uninstall", (*plugin.Manager).Uninstall)
}

func pluginEnable(ctx context.Context, call *Call) error {
	return onePlugin(ctx, call, "plugin:enable", (*plugin.Manager).Enable)
}

func pluginDisable(ctx context.Context, call *Call) error {
	return onePlugin(ctx, call, "plugin:disable", (*plugin.Manager).Disable)
}

func pluginInstalled(ctx context.Context, call *Call) error {
	return onePlugin(ctx, call, "plugin:installed", func(m *plugin.Manager, _ context.Context, name string) error {
		if !m.Installed(name) {
			return &Exit{Code: 1}
		}
		return nil
	})
}

func pluginList(ctx context.Context, call *Call) error {
	format, err := call.takeValue("--format")
	if err != nil {
		return err
	}
	if err := call.words(0, 0, "plugin:list [--format <text|json>]"); err != nil {
		return err
	}
	if format != "" && format != "text" && format != "json" {
		return api.Errorf(api.Usage, "", "Invalid format specified, supported formats: json, text")
	}
	list, err := call.plugins().List(ctx)
	if err != nil {
		return err
	}
	if format == "json" {
		call.plugins().Sources(ctx, list)
		text, err := json.Marshal(list)
		if err != nil {
			return fmt.Errorf("list the plugins: %w", err)
		}
		_, err = fmt.Fprintf(call.Out, "%s\n", text)
		return err
	}
	for _, one := range list {
		if _, err := fmt.Fprintln(call.Out, one.Line()); err != nil {
			return err
		}
	}
	return nil
}

func pluginTrigger(ctx context.Context, call *Call) error {
	if len(call.Args) == 0 {
		return api.Errorf(api.Usage, "", "Please specify a trigger")
	}
	return call.hooked(call.plugins().Trigger(ctx, call.Args[0], call.Args[1:], call.In))
}

func pluginHelp(_ context.Context, call *Call) error {
	return helpOf(call, "plugin[:COMMAND]", "Manage installed plugins", pluginsCommands())
}

// helpOf prints a noun's commands in the form of Dokku's help.
func helpOf(call *Call, usage, title string, rows []Command) error {
	fmt.Fprintf(call.Out, "Usage: dokku %s\n\n%s\n\nAdditional commands:\n", usage, title)
	for _, row := range rows {
		if !strings.Contains(row.Name, ":") || strings.HasSuffix(row.Name, ":help") {
			continue
		}
		if _, err := fmt.Fprintf(call.Out, "    %s, %s\n", strings.TrimSpace(row.Name+" "+row.Usage), row.Help); err != nil {
			return err
		}
	}
	return nil
}
