package command

import (
	"context"
	"fmt"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/agent/receive"
	"github.com/dokku-push/dokku-push/api"
)

// appsMoreCommands are the rows of apps that copy, rename, lock and tell.
func appsMoreCommands() []Command {
	return []Command{
		{"apps:clone", "[--skip-deploy] [--ignore-existing] <old-app> <new-app>", "Make a copy of an app", appsClone},
		{"apps:lock", "<app>", "Lock an app for deploys", appsLock},
		{"apps:locked", "<app>", "Check if an app is locked for deploys", appsLocked},
		{"apps:rename", "[--skip-deploy] <old-app> <new-app>", "Rename an app", appsRename},
		{"apps:report", "[<app>] [<flag>]", "Display a report of one or more apps", appsReport},
		{"apps:unlock", "<app>", "Unlock an app for deploys", appsUnlock},
	}
}

// twoApps reads the app there is and the name there is to be.
func (c *Call) twoApps(ctx context.Context) (from, to string, err error) {
	if from, err = c.app(ctx); err != nil {
		return "", "", err
	}
	if len(c.Args) != 1 {
		return "", "", api.Errorf(api.Usage, "", "Please specify a new app name")
	}
	to = c.Args[0]
	if err := c.Host.MayName(ctx, c.By, to); err != nil {
		return "", "", err
	}
	return from, to, nil
}

func appsClone(ctx context.Context, call *Call) error {
	skip, ignore := call.flag("--skip-deploy"), call.flag("--ignore-existing")
	from, to, err := call.twoApps(ctx)
	if err != nil {
		return err
	}
	if ignore && call.Host.Settings.Has(to) {
		fmt.Fprintf(call.Err, " !     Name is already taken\n")
		return nil
	}
	if err := call.Host.NewName(from, to); err != nil {
		return err
	}
	call.say("Cloning %s to %s", from, to)
	deploy, err := call.Host.Clone(ctx, from, to, call.By, func(ctx context.Context) error { return receive.Copy(ctx, call.Host.Places, from, to) })
	if err != nil || skip || deploy == nil {
		return err
	}
	return call.apply(ctx, *deploy)
}

func appsRename(ctx context.Context, call *Call) error {
	skip := call.flag("--skip-deploy")
	from, to, err := call.twoApps(ctx)
	if err != nil {
		return err
	}
	if err := call.Host.NewName(from, to); err != nil {
		return err
	}
	call.say("Renaming %s to %s", from, to)
	deploy := call.apply
	if skip {
		deploy = nil
	}
	return call.Host.Rename(ctx, from, to, call.By, deploy)
}

func appsLock(ctx context.Context, call *Call) error {
	app, err := call.app(ctx)
	if err == nil {
		err = call.change(app, func(now *agent.Settings) error { now.Properties["apps/locked"] = "true"; return nil })
	}
	if err != nil {
		return err
	}
	call.say("Deploy lock created")
	return nil
}

func appsUnlock(ctx context.Context, call *Call) error {
	app, err := call.app(ctx)
	if err == nil {
		err = call.change(app, func(now *agent.Settings) error { delete(now.Properties, "apps/locked"); return nil })
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(call.Err, " !     A deploy may be in progress.\n !     Removing the app lock will not stop in progress deploys.\n")
	call.say("Deploy lock removed.")
	return nil
}

func appsLocked(ctx context.Context, call *Call) error {
	app, err := call.app(ctx)
	if err != nil {
		return err
	}
	settings, err := call.settings(app)
	if err != nil {
		return err
	}
	if settings.Properties["apps/locked"] == "" {
		return api.Errorf(api.Unclassified, "", "Deploy lock does not exist")
	}
	if !call.Quiet {
		fmt.Fprintln(call.Out, "Deploy lock exists")
	}
	return nil
}

func appsReport(ctx context.Context, call *Call) error {
	return call.report(ctx, "app", func(app string, settings agent.Settings) ([]reportLine, error) {
		return []reportLine{
			{"App created at", settings.Properties["apps/created-at"]},
			{"App deploy source", settings.Properties["apps/deploy-source"]},
			{"App deploy source metadata", settings.Properties["apps/deploy-source-metadata"]},
			{"App dir", call.Host.Places.App(app)},
			{"App locked", fmt.Sprint(settings.Properties["apps/locked"] != "")},
		}, nil
	})
}
