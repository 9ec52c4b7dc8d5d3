package command

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/api"
)

// runMoreCommands are the rows of containers that run apart from a call, and enter.
func runMoreCommands() []Command {
	return []Command{
		{"enter", "<app> [<proc>[.<n>]] [--container-id ID] [<cmd>]", "Run a command, or a shell, in a running container of an app", enter},
		{"run:detached", "[-e KEY=VALUE ...] <app> <cmd>", "Run a command in a new container and leave it to itself", runDetached},
		{"run:list", "<app>", "List the containers of run and of cron", runList},
		{"run:logs", "<app> [<container>] [-n NUM] [-t]", "Show the output of a container of run", runLogs},
		{"run:stop", "<app> [<container>]", "Stop a container of run, or all of an app", runStop},
	}
}

// runEnv takes the flags of run off the arguments.
func (c *Call) runEnv() (map[string]string, error) {
	env := map[string]string{}
	for len(c.Args) > 0 && strings.HasPrefix(c.Args[0], "-") {
		word := c.Args[0]
		key, value, inline := strings.Cut(strings.TrimPrefix(word, "--env="), "=")
		switch {
		case word == "--no-tty" || word == "--force-tty": // there is no terminal on either side of a channel
			c.Args = c.Args[1:]
			continue
		case strings.HasPrefix(word, "--env=") && inline:
			c.Args = c.Args[1:]
		case (word == "-e" || word == "--env") && len(c.Args) > 1:
			if key, value, inline = strings.Cut(c.Args[1], "="); !inline {
				return nil, api.Errorf(api.Usage, "", "Invalid env pair: %s", c.Args[1])
			}
			c.Args = c.Args[2:]
		default:
			return nil, api.Errorf(api.Usage, "", "unknown flag %s", word)
		}
		env[key] = value
	}
	return env, nil
}

func runDetached(ctx context.Context, call *Call) error {
	env, err := call.runEnv()
	if err != nil {
		return err
	}
	app, err := call.app(ctx)
	if err != nil {
		return err
	}
	if len(call.Args) == 0 {
		return api.Errorf(api.Usage, "", "No command specified")
	}
	name, err := call.Host.RunDetached(ctx, app, agent.Once{Command: call.Args, Env: env, Gone: true}, call.Err)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(call.Out, name)
	return err
}

func runList(ctx context.Context, call *Call) error {
	app, err := call.app(ctx)
	if err != nil {
		return err
	}
	containers, err := call.Host.OnceContainers(ctx, app)
	if err != nil {
		return err
	}
	call.heading("%s run containers", app)
	fmt.Fprintf(call.Out, "%-40s %-14s %-10s %s\n", "NAME", "CONTAINER ID", "STATUS", "STARTED")
	for _, c := range containers {
		started := ""
		if !c.Started.IsZero() {
			started = c.Started.UTC().Format(time.RFC3339)
		}
		fmt.Fprintf(call.Out, "%-40s %-14.12s %-10s %s\n", c.Name, c.ID, c.Status, started)
	}
	return nil
}

// onceNamed finds the container of run that a command names; none is all.
func (c *Call) onceNamed(ctx context.Context) ([]agent.Container, error) {
	name, given, err := c.option("--container")
	if err != nil {
		return nil, err
	}
	app, err := c.app(ctx)
	if err != nil {
		return nil, err
	}
	if !given && len(c.Args) > 0 {
		name, c.Args = c.Args[0], c.Args[1:]
	}
	if err := c.noMore(); err != nil {
		return nil, err
	}
	all, err := c.Host.OnceContainers(ctx, app)
	if err != nil || name == "" {
		return all, err
	}
	found := slices.DeleteFunc(all, func(one agent.Container) bool {
		return one.Name != name && one.Name != app+"."+name && (len(name) < 12 || !strings.HasPrefix(one.ID, name))
	})
	if len(found) == 0 {
		return nil, &api.Error{Code: api.NotFound, Message: fmt.Sprintf("%s has no run container %s", app, name), Hint: "run:list " + app + " lists them"}
	}
	return found, nil
}

func runStop(ctx context.Context, call *Call) error {
	found, err := call.onceNamed(ctx)
	if err != nil {
		return err
	}
	for _, c := range found {
		call.say("Stopping %s", c.Name)
		if err := call.Host.Containers.Stop(ctx, c.ID, 10*time.Second); err != nil {
			return err
		}
		if err := call.Host.Containers.Remove(ctx, c.ID); err != nil {
			return err
		}
	}
	return nil
}

func runLogs(ctx context.Context, call *Call) error {
	options := agent.LogOptions{Follow: call.flag("-t", "--tail")}
	lines, given, err := call.option("-n", "--num")
	if err != nil {
		return err
	}
	if given {
		if err := number(1, 1e9)(lines); err != nil {
			return err
		}
		_, _ = fmt.Sscan(lines, &options.Tail) // it is a number
	}
	found, err := call.onceNamed(ctx)
	if err != nil {
		return err
	}
	for _, c := range found {
		if err := call.Host.Containers.Logs(ctx, c.ID, options, call.Out); err != nil {
			return err
		}
	}
	return nil
}

// enter runs a command in a container that runs: the first of web, or the one named.
func enter(ctx context.Context, call *Call) error {
	id, given, err := call.option("--container-id")
	if err != nil {
		return err
	}
	app, err := call.app(ctx)
	if err != nil {
		return err
	}
	all, err := call.Host.AppContainers(ctx, app, "")
	if err != nil {
		return err
	}
	all = slices.DeleteFunc(all, func(c agent.Container) bool { return !c.Running })
	if len(all) == 0 {
		return api.Errorf(api.Precondition, "", "App %s has no running container", app)
	}
	target := all[0]
	if n := slices.IndexFunc(all, func(c agent.Container) bool { return agent.ProcessOf(c) == "web" }); n >= 0 {
		target = all[n]
	}
	switch {
	case given:
		n := slices.IndexFunc(all, func(c agent.Container) bool { return len(id) >= 12 && strings.HasPrefix(c.ID, id) })
		if n < 0 {
			return api.Errorf(api.Usage, "", "%s is no running container of %s", id, app)
		}
		target = all[n]
	case len(call.Args) > 0:
		n := slices.IndexFunc(all, func(c agent.Container) bool {
			return c.Name == app+"."+call.Args[0] || agent.ProcessOf(c) == call.Args[0]
		})
		if n >= 0 {
			target, call.Args = all[n], call.Args[1:]
		} else if strings.Contains(call.Args[0], ".") && !strings.ContainsAny(call.Args[0], "/ ") {
			return api.Errorf(api.Usage, "", "%s has no running container %s", app, call.Args[0])
		}
	}
	return call.enterOne(ctx, app, target)
}

func (c *Call) enterOne(ctx context.Context, app string, target agent.Container) error {
	command := c.Args
	if len(command) == 0 {
		shell, err := c.shell(app)
		if err != nil {
			return err
		}
		command = []string{shell}
	}
	exit, err := c.Host.Containers.Enter(ctx, target.ID, command, agent.Streams{In: c.In, Out: c.Out, Err: c.Err})
	if err != nil {
		return err
	}
	if exit != 0 {
		return &Exit{Code: exit}
	}
	return nil
}

// shell is the shell of an app's containers: scheduler:set shell, else /bin/sh.
func (c *Call) shell(app string) (string, error) {
	for _, scope := range []string{app, "--global"} {
		settings, err := c.settings(scope)
		if err != nil {
			return "", err
		}
		if shell := settings.Properties["scheduler/shell"]; shell != "" {
			return shell, nil
		}
	}
	return "/bin/sh", nil
}

// logsFailed shows what containers that ended by themselves had to say.
func logsFailed(ctx context.Context, call *Call) error {
	return call.failed(ctx, call.flag("--all"))
}

func (c *Call) failed(ctx context.Context, all bool) error {
	apps, err := c.visibleApps(ctx)
	if !all && err == nil {
		var app string
		app, err = c.app(ctx)
		apps = []string{app}
	}
	if err != nil {
		return err
	}
	found := false
	for _, app := range apps {
		if err := c.trigger(ctx, "scheduler-logs-failed", "docker-local", app); err != nil {
			return err
		}
		dead, err := c.Host.FailedContainers(ctx, app)
		if err != nil {
			return err
		}
		for _, container := range dead {
			found = true
			c.heading("%s (exit code %d, out of memory: %t)", container.Name, container.ExitCode, container.OOMKilled)
			if err := c.Host.Containers.Logs(ctx, container.ID, agent.LogOptions{Tail: 100}, c.Out); err != nil {
				return err
			}
		}
	}
	if !found {
		_, err = io.WriteString(c.Err, " !     No failed containers found\n")
	}
	return err
}
