package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/api"
)

// psMoreCommands are the rows of ps that no deploy is part of.
func psMoreCommands() []Command {
	return []Command{
		{"ps:inspect", "<app>", "Show what the engine says of an app's containers, without the values of their config", psInspect},
		{"ps:restore", "[<app>]", "Start what ran before the host went down, of one app or of all", psRestore},
		{"ps:retire", "[--app <app>]", "Stop former containers whose time is over", psRetire},
		{"ps:set", "[--global|<app>] <key> [<value>]", "Set or clear a ps property of an app", psSet},
	}
}

// restartForm is what docker takes as a restart policy.
var restartForm = regexp.MustCompile(`^(no|always|unless-stopped|on-failure(:[0-9]{1,4})?)$`)

// imageSize is docker's way to write a size; a unit is asked for, for nobody keeps bytes.
var imageSize = regexp.MustCompile(`^[1-9][0-9]{0,9}[kmg]b?$`)

func psSet(ctx context.Context, call *Call) error {
	line := func(string) error { return nil }
	return call.set(ctx, "ps", map[string]check{
		"restart-policy": func(value string) error {
			if !restartForm.MatchString(value) {
				return api.Errorf(api.Usage, "", "Invalid restart-policy specified: %s", value).WithHint("no, always, unless-stopped, on-failure or on-failure:10")
			}
			return nil
		},
		"keep-releases": number(1, 1000), "keep-bytes": form(imageSize, "size of images, such as 500m or 10g"),
		"stop-timeout-seconds": number(0, aWeek), "start-cmd": line, "dockerfile-start-cmd": line,
		"procfile-path": func(string) error {
			return api.Errorf(api.Usage, "", "procfile-path has no effect here: this host has no source tree to find a Procfile in").
				WithHint("the client sends the Procfile of the folder that it pushes: dokku-push DIR names another one")
		},
	})
}

// inspected is a container in the words of docker inspect, as far as they are known here.
type inspected struct {
	ID           string `json:"Id"`
	Name         string
	Image        string
	RestartCount int
	State        struct {
		Status    string
		Running   bool
		ExitCode  int
		OOMKilled bool
		StartedAt time.Time
	}
	Config struct {
		Env    []string // names alone
		Labels map[string]string
	}
	NetworkSettings struct {
		IPAddress string
		Networks  []string
	}
}

func psInspect(ctx context.Context, call *Call) error {
	app, err := call.app(ctx)
	if err != nil {
		return err
	}
	containers, err := call.Host.AppContainers(ctx, app, "")
	if err != nil {
		return err
	}
	list := []inspected{}
	for _, c := range containers {
		one := inspected{ID: c.ID, Name: c.Name, Image: c.Image, RestartCount: c.Restarts}
		one.State.Status, one.State.Running, one.State.ExitCode, one.State.OOMKilled, one.State.StartedAt = c.Status, c.Running, c.ExitCode, c.OOMKilled, c.Started
		for _, pair := range c.Env {
			key, _, _ := strings.Cut(pair, "=")
			one.Config.Env = append(one.Config.Env, key)
		}
		one.Config.Labels, one.NetworkSettings.IPAddress, one.NetworkSettings.Networks = c.Labels, c.Address, c.Networks
		list = append(list, one)
	}
	out := json.NewEncoder(call.Out)
	out.SetIndent("", "    ")
	return out.Encode(list)
}

// someApps are the app that a command names, or all that the caller may see.
func (c *Call) someApps(ctx context.Context) ([]string, error) {
	if c.App == "" && len(c.Args) == 0 {
		return c.visibleApps(ctx)
	}
	app, err := c.app(ctx)
	return []string{app}, err
}

// psRestore starts every app that ran and was not stopped by a person. What runs already
// is left alone; one app that cannot start does not keep the others from it.
func psRestore(ctx context.Context, call *Call) error {
	if _, _, err := call.option("--parallel"); err != nil { // they are started one after the other, whatever it says
		return err
	}
	apps, err := call.someApps(ctx)
	if err != nil {
		return err
	}
	call.warned(call.trigger(ctx, "pre-restore", "docker-local"))
	var failures []error
	for _, app := range apps {
		if err := call.restore(ctx, app); err != nil {
			failures = append(failures, fmt.Errorf("restore %s: %w", app, err))
		}
	}
	return errors.Join(failures...)
}

// warned says what went wrong and keeps nothing from going on.
func (c *Call) warned(err error) {
	if err != nil {
		c.warn("%v", err)
	}
}

func (c *Call) restore(ctx context.Context, app string) error {
	settings, err := c.settings(app)
	if err != nil {
		return err
	}
	current, err := c.Host.Ledger.Current(app)
	if err != nil || current == 0 || settings.Properties["ps/restore"] == "false" {
		return err
	}
	running, wanted, err := c.running(ctx, app, settings)
	if err != nil || running >= wanted {
		return err
	}
	c.say("Restoring app %s", app)
	c.warned(c.trigger(ctx, "scheduler-pre-restore", "docker-local", app))
	if err := c.trigger(ctx, "pre-start", app); err != nil {
		return err
	}
	return c.apply(ctx, agent.Change{App: app, Kind: agent.Start})
}

// psRetire goes on with what a deploy has left to retire; a deploy that is at it itself is
// left alone.
func psRetire(ctx context.Context, call *Call) error {
	apps, err := call.someApps(ctx)
	if err != nil {
		return err
	}
	var failures []error
	for _, app := range slices.Compact(apps) {
		if err := call.Host.Recover(ctx, app); err != nil {
			failures = append(failures, fmt.Errorf("retire the former containers of %s: %w", app, err))
		}
	}
	return errors.Join(failures...)
}
