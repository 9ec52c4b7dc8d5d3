package command

import (
	"context"
	"encoding/base64"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/manifest"
)

// configCommands are the rows of this noun.
func configCommands() []Command {
	return []Command{
		{"config", "(<app>|--global)", "Show keys and values of an app or of the host", configShow},
		{"config:bundle", "[--merged] (<app>|--global)", "Write a tar with a file for each config var", configBundle},
		{"config:clear", "[--no-restart] (<app>|--global)", "Clear all config vars", configClear},
		{"config:export", "[--format FORMAT] [--merged] (<app>|--global)", "Export the config vars for a program to read", configExport},
		{"config:get", "[--quoted] (<app>|--global) KEY", "Display a global or app-specific config value", configGet},
		{"config:import", "[--no-restart] [--replace] [--format envfile|json] (<app>|--global)", "Set the config vars that standard input holds", configImport},
		{"config:keys", "[--merged] (<app>|--global)", "Show the keys of an app or of the host", configKeys},
		{"config:set", "[--no-restart] [--encoded] (<app>|--global) KEY1=VALUE1 [KEY2=VALUE2 ...]", "Set one or more config vars", configSet},
		{"config:show", "[--merged] (<app>|--global)", "Show keys and values of an app or of the host", configShow},
		{"config:unset", "[--no-restart] (<app>|--global) KEY1 [KEY2 ...]", "Unset one or more config vars", configUnset},
	}
}

// scope is the app a config command is for, or --global.
func (c *Call) scope(ctx context.Context) (string, error) {
	if c.flag("--global") {
		return "--global", nil
	}
	return c.app(ctx)
}

func configSet(ctx context.Context, call *Call) error {
	noRestart, encoded := call.flag("--no-restart"), call.flag("--encoded")
	app, err := call.scope(ctx)
	if err != nil {
		return err
	}
	set, err := pairs(call.Args, encoded)
	if err != nil {
		return err
	}
	_, _, err = call.Host.Settings.Change(app, func(now *agent.Settings) error {
		env := maps.Clone(now.Env)
		if env == nil {
			env = map[string]string{}
		}
		maps.Copy(env, set)
		now.Env = env
		return nil
	})
	if err != nil {
		return fmt.Errorf("write the config of %s: %w", app, err)
	}
	call.say("Setting config vars")
	call.printEnv(set, "       ")
	args := []string{app, "set"}
	for _, key := range slices.Sorted(maps.Keys(set)) {
		args = append(args, key+"="+set[key])
	}
	if err := call.trigger(ctx, "post-config-update", args...); err != nil {
		return err
	}
	return call.restartFor(ctx, app, noRestart)
}

// pairs reads KEY=VALUE words.
func pairs(words []string, encoded bool) (map[string]string, error) {
	if len(words) == 0 {
		return nil, api.Errorf(api.Usage, "", "At least one env pair must be given")
	}
	set := map[string]string{}
	for _, word := range words {
		key, value, ok := strings.Cut(word, "=")
		if !ok {
			return nil, api.Errorf(api.Usage, "", "Invalid env pair: %s", word)
		}
		if err := manifest.EnvKey(key); err != nil {
			return nil, api.Errorf(api.Usage, "", "%w", err)
		}
		if encoded {
			plain, err := base64.StdEncoding.DecodeString(value)
			if err != nil {
				return nil, api.Errorf(api.Usage, "", "the value of %s is not base64", key)
			}
			value = string(plain)
		}
		if strings.ContainsRune(value, 0) {
			return nil, api.Errorf(api.Usage, "", "the value of %s holds a NUL", key)
		}
		if len(value) > 128<<10 {
			return nil, api.Errorf(api.Usage, "", "the value of %s is longer than 128 KiB", key)
		}
		set[key] = value
	}
	return set, nil
}

func configUnset(ctx context.Context, call *Call) error {
	noRestart := call.flag("--no-restart")
	app, err := call.scope(ctx)
	if err != nil {
		return err
	}
	if len(call.Args) == 0 {
		return api.Errorf(api.Usage, "", "At least one key must be given")
	}
	_, _, err = call.Host.Settings.Change(app, func(now *agent.Settings) error {
		env := maps.Clone(now.Env)
		for _, key := range call.Args {
			delete(env, key)
		}
		now.Env = env
		return nil
	})
	if err != nil {
		return fmt.Errorf("write the config of %s: %w", app, err)
	}
	for _, key := range call.Args {
		call.say("Unsetting %s", key)
	}
	if err := call.trigger(ctx, "post-config-update", append([]string{app, "unset"}, call.Args...)...); err != nil {
		return err
	}
	return call.restartFor(ctx, app, noRestart)
}

// trigger fires a trigger of a command; its output is the command's.
func (c *Call) trigger(ctx context.Context, name string, args ...string) error {
	return c.Host.Fire(ctx, name, args...)
}

// restartFor deploys an app again after its config changed (PLUGIN-CONTRACT 5.4),
// unless it was told not to, was never deployed or was stopped.
func (c *Call) restartFor(ctx context.Context, app string, noRestart bool) error {
	if noRestart || app == "--global" {
		return nil
	}
	current, err := c.Host.Ledger.Current(app)
	if err != nil || current == 0 {
		return err
	}
	settings, err := c.Host.Settings.Read(app)
	if err != nil {
		return fmt.Errorf("read the settings of %s: %w", app, err)
	}
	if settings.Properties["ps/restore"] == "false" {
		return nil
	}
	c.say("Restarting app %s", app)
	return c.apply(ctx, agent.Change{App: app, Kind: agent.Config})
}

func configGet(ctx context.Context, call *Call) error {
	quoted := call.flag("--quoted")
	app, err := call.scope(ctx)
	if err != nil {
		return err
	}
	if len(call.Args) != 1 {
		return api.Errorf(api.Usage, "", "Expected: key")
	}
	settings, err := call.Host.Settings.Read(app)
	if err != nil {
		return fmt.Errorf("read the config of %s: %w", app, err)
	}
	value, ok := settings.Env[call.Args[0]]
	if !ok {
		return &Exit{Code: 1}
	}
	if quoted {
		value = singleQuoted(value)
	}
	_, err = fmt.Fprintln(call.Out, value)
	return err
}

func configShow(ctx context.Context, call *Call) error {
	merged := call.flag("--merged")
	app, err := call.scope(ctx)
	if err != nil {
		return err
	}
	env, err := call.env(app, merged)
	if err != nil {
		return err
	}
	if !call.Quiet {
		name := app
		if app == "--global" {
			name = "global"
		}
		fmt.Fprintf(call.Out, "=====> %s env vars\n", name)
	}
	call.printEnv(env, "")
	return nil
}

// printEnv prints KEY:  value lines, the values in one column. Plugins read them, so
// a value stays on its line (PLUGIN-CONTRACT 5.4).
func (c *Call) printEnv(env map[string]string, indent string) {
	width := 0
	for key := range env {
		width = max(width, len(key)+1)
	}
	for _, key := range slices.Sorted(maps.Keys(env)) {
		value := strings.ReplaceAll(env[key], "\n", `\n`)
		fmt.Fprintf(c.Out, "%s%-*s  %s\n", indent, width, key+":", value)
	}
}
