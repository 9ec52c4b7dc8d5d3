package command

import (
	"bufio"
	"context"
	"fmt"
	"strings"

	"github.com/dokku-push/dokku-push/api"
)

// appsCommands are the rows of this noun.
func appsCommands() []Command {
	rows := []Command{
		{"apps:create", "<app>", "Create a new app", appsCreate},
		{"apps:destroy", "<app> [--force]", "Permanently destroy an app", appsDestroy},
		{"apps:exists", "<app>", "Check if an app exists", appsExists},
		{"apps:list", "", "List your apps", appsList},
	}
	return append(rows, appsMoreCommands()...)
}

func appsCreate(ctx context.Context, call *Call) error {
	name := call.App
	if name == "" && len(call.Args) > 0 {
		name = call.Args[0]
	}
	if name == "" {
		return api.Errorf(api.Usage, "", "Please specify an app to run the command on")
	}
	if err := call.Host.MayName(ctx, call.By, name); err != nil {
		return err
	}
	if err := call.Host.Create(ctx, name); err != nil {
		return err
	}
	call.say("Creating %s...", name)
	return nil
}

func appsList(ctx context.Context, call *Call) error {
	apps, err := call.visibleApps(ctx)
	if err != nil {
		return err
	}
	if !call.Quiet {
		fmt.Fprintln(call.Out, "=====> My Apps")
	}
	if len(apps) == 0 { // which is no failure
		call.warn("You haven't deployed any applications yet")
	}
	for _, app := range apps {
		fmt.Fprintln(call.Out, app)
	}
	return nil
}

// visibleApps lists the apps that the caller may see.
func (c *Call) visibleApps(ctx context.Context) ([]string, error) {
	apps, err := c.Host.Settings.Apps()
	if err != nil {
		return nil, fmt.Errorf("list the apps: %w", err)
	}
	return c.Host.Visible(ctx, c.By, apps)
}

func appsExists(ctx context.Context, call *Call) error {
	_, err := call.app(ctx)
	return err
}

func appsDestroy(ctx context.Context, call *Call) error {
	force := call.flag("--force", "-f") || call.Force
	app, err := call.app(ctx)
	if err != nil {
		return err
	}
	if !force {
		fmt.Fprintf(call.Err, " !     WARNING: Potentially Destructive Action\n !     This command will destroy %s (including all add-ons).\n !     To proceed, type \"%s\"\n\n> ", app, app)
		answer, err := bufio.NewReader(call.In).ReadString('\n')
		if strings.TrimSpace(answer) != app {
			return api.Errorf(api.Usage, "", "Confirmation did not match %s. Aborted.", app)
		}
		if err != nil && answer == "" {
			return fmt.Errorf("read the confirmation: %w", err)
		}
	}
	call.say("Destroying %s (including all add-ons)", app)
	return call.Host.Destroy(ctx, app, call.By)
}
