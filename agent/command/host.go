package command

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/api"
)

// hostCommands are the rows of what has no noun, and of small ones.
func hostCommands() []Command {
	return []Command{
		{"cleanup", "[<app>]", "Remove ended containers and nameless images of one app or of all", cleanup},
		{"delete", "<app> [--force]", "Permanently destroy an app, as apps:destroy", appsDestroy},
		{"plugins", "", "List the plugins, as plugin:list", pluginList},
		{"plugins-install", "", "Run the install trigger of all plugins", pluginsInstall},
		{"registry:login", "[--password-stdin] <server> <user>", "Log the host in to an image registry; the password is read from standard input", registryLogin},
		{"registry:logout", "<server>", "Log the host out of an image registry", registryLogout},
		{"registry:report", "[<app>] [<flag>]", "Display a registry report for one or more apps", registryReport},
		{"registry:set", "[--global|<app>] <key> [<value>]", "Set or clear a registry property of an app", registrySet},
		{"report", "[<app>] [--format stdout|json]", "Display all reports of one app or of all", report},
		{"scheduler:report", "[<app>] [<flag>]", "Display a scheduler report for one or more apps", schedulerReport},
		{"scheduler:set", "[--global|<app>] <key> [<value>]", "Set or clear a scheduler property of an app", schedulerSet},
	}
}

// pluginsInstall is plugin:install without a word, under its name of 2013.
func pluginsInstall(ctx context.Context, call *Call) error {
	if err := call.noMore(); err != nil {
		return err
	}
	return pluginInstall(ctx, call)
}

func cleanup(ctx context.Context, call *Call) error {
	call.flag("--global")
	apps, err := call.someApps(ctx)
	if err != nil {
		return err
	}
	var failures []error
	for _, app := range apps {
		cleaned, err := call.Host.Cleanup(ctx, app, call.By)
		for _, name := range cleaned.Containers {
			call.say("Removed the container %s", name)
		}
		for _, id := range cleaned.Images {
			call.say("Removed the image %s", short(id))
		}
		if err != nil {
			failures = append(failures, err)
		}
	}
	return errors.Join(failures...)
}

var (
	serverForm = regexp.MustCompile(`^(https?://)?[A-Za-z0-9][A-Za-z0-9.-]*(:[0-9]{1,5})?(/[A-Za-z0-9._/-]*)?$`)
	userForm   = regexp.MustCompile(`^[A-Za-z0-9_$][A-Za-z0-9_.@+$:|/-]{0,254}$`)
	shellForm  = regexp.MustCompile(`^(/[A-Za-z0-9._-]+)+$`)
)

// registryLogin hands a password to the docker program, which keeps it.
func registryLogin(ctx context.Context, call *Call) error {
	call.flag("--password-stdin", "--global") // it always is
	if len(call.Args) > 2 {
		return api.Errorf(api.Refused, "", "a password is no word of a command, where others can read it").
			WithHint("registry:login --password-stdin SERVER USER, and the password on standard input")
	}
	if len(call.Args) < 2 || !serverForm.MatchString(call.Args[0]) || !userForm.MatchString(call.Args[1]) {
		return api.Errorf(api.Usage, "", "Please specify a server and a user")
	}
	server, user := call.Args[0], call.Args[1]
	text, err := io.ReadAll(io.LimitReader(call.In, 64<<10))
	if err != nil {
		return fmt.Errorf("read the password: %w", err)
	}
	password := strings.TrimRight(string(text), "\r\n")
	if password == "" || strings.ContainsAny(password, "\r\n\x00") {
		return api.Errorf(api.Usage, "", "No password on standard input").WithHint("echo \"$PASSWORD\" | ssh … registry:login --password-stdin %s %s", server, user)
	}
	if err := call.Host.Registries.Login(ctx, server, user, password); err != nil {
		return err
	}
	call.say("Login Succeeded")
	return nil
}

func registryLogout(ctx context.Context, call *Call) error {
	if len(call.Args) != 1 || !serverForm.MatchString(call.Args[0]) {
		return api.Errorf(api.Usage, "", "Please specify a server")
	}
	if err := call.Host.Registries.Logout(ctx, call.Args[0]); err != nil {
		return err
	}
	call.say("Logout Succeeded")
	return nil
}

// form is the check that a value has a form.
func form(pattern *regexp.Regexp, what string) check {
	return func(value string) error {
		if !pattern.MatchString(value) {
			return api.Errorf(api.Usage, "", "%q is no %s", value, what)
		}
		return nil
	}
}

// registrySet says where tags:deploy looks for a tag that this host has no image of.
func registrySet(ctx context.Context, call *Call) error {
	known := map[string]check{
		"server": form(serverForm, "registry's address"),
		"image-repo": func(value string) error {
			if strings.ContainsAny(value, "@") || agent.ImageName(value+":tag") != nil {
				return api.Errorf(api.Usage, "", "%q is no repository", value).WithHint("a repository is named without its tag: team/app, or registry.example.com/team/app")
			}
			return nil
		},
	}
	for _, property := range []string{"image-repo-template", "push-on-release"} {
		known[property] = func(string) error {
			return api.Errorf(api.Usage, "", "%s has no effect here: this host pushes no images, and pulls one by the name that the client sends", property).
				WithHint("the client pushes to a registry before it deploys: image { registry = … } in dokku.hcl")
		}
	}
	return call.set(ctx, "registry", known)
}

func registryReport(ctx context.Context, call *Call) error {
	global, err := call.settings("--global")
	if err != nil {
		return err
	}
	return call.report(ctx, "registry", func(_ string, settings agent.Settings) ([]reportLine, error) {
		rows := computed("Registry", "image-repo-template", "", settings, global, "registry/image-repo-template")
		rows = append(rows, reportLine{"Registry image repo", settings.Properties["registry/image-repo"]}, reportLine{"Registry push on release", "false"})
		return append(rows, computed("Registry", "server", "", settings, global, "registry/server")...), nil
	})
}

func schedulerSet(ctx context.Context, call *Call) error {
	if len(call.Args) > 1 && slices.Contains(call.Args[:len(call.Args)-1], "selected") {
		if call.Args[len(call.Args)-1] != "docker-local" {
			return api.Errorf(api.Usage, "", "this host has the scheduler docker-local and no other")
		}
		call.heading("Setting selected to docker-local")
		return nil // it always is
	}
	return call.set(ctx, "scheduler", map[string]check{"shell": form(shellForm, "path of a shell")})
}

func schedulerReport(ctx context.Context, call *Call) error {
	global, err := call.settings("--global")
	if err != nil {
		return err
	}
	return call.report(ctx, "scheduler", func(_ string, settings agent.Settings) ([]reportLine, error) {
		rows := []reportLine{{"Scheduler computed selected", "docker-local"}, {"Scheduler global selected", "docker-local"}, {"Scheduler selected", ""}}
		return append(rows, computed("Scheduler", "shell", "/bin/sh", settings, global, "scheduler/shell")...), nil
	})
}

// report prints every noun's report, then those of the plugins; --format json makes one
// object of all of an app's.
func report(ctx context.Context, call *Call) error {
	format, err := call.reportFormat()
	if err != nil {
		return err
	}
	apps, err := call.someApps(ctx)
	if err != nil {
		return err
	}
	if err := call.noMore(); err != nil {
		return err
	}
	for _, app := range apps {
		if format == "json" {
			err = call.reportJSON(ctx, app)
		} else {
			err = call.reports(app, func(row Command, one *Call) error { return row.Do(ctx, one) })
			if err == nil {
				err = call.trigger(ctx, "report", app)
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// reports calls do with each noun's report and the call that asks for it.
func (c *Call) reports(app string, do func(row Command, one *Call) error) error {
	for _, row := range Table() {
		if !strings.HasSuffix(row.Name, ":report") {
			continue
		}
		one := *c
		one.App, one.Args = app, nil
		if err := do(row, &one); err != nil {
			return fmt.Errorf("%s: %w", row.Name, err)
		}
	}
	return nil
}

// reportJSON prints an object with each noun's report, as NOUN:report has it, the app's
// name as app, and what plugins print for people as plugins.
func (c *Call) reportJSON(ctx context.Context, app string) error {
	all := map[string]any{"app": app}
	err := c.reports(app, func(row Command, one *Call) error {
		var out bytes.Buffer
		one.Args, one.Out = []string{"--format", "json"}, &out
		err := row.Do(ctx, one)
		all[strings.TrimSuffix(row.Name, ":report")] = json.RawMessage(out.Bytes())
		return err
	})
	if err != nil {
		return err
	}
	said, err := c.Host.Ask(ctx, "report", app)
	if err != nil {
		return err
	}
	if said != "" {
		all["plugins"] = said
	}
	return json.NewEncoder(c.Out).Encode(all)
}
