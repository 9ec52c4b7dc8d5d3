package command

import (
	"context"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/api"
)

// runCommands are the rows of this noun.
func runCommands() []Command {
	rows := []Command{
		{"run", "[-e KEY=VALUE ...] <app> <cmd>", "Run a command in a new container of the app's current release", runCommand},
	}
	return append(rows, runMoreCommands()...)
}

// runCommand runs a command in a new container of the current release. Its exit code is
// the command's own.
func runCommand(ctx context.Context, call *Call) error {
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
	exit, err := call.Host.RunOnce(ctx, app, call.Args, env, agent.Streams{In: call.In, Out: call.Out, Err: call.Err})
	if err != nil {
		return err
	}
	if exit != 0 {
		return &Exit{Code: exit}
	}
	return nil
}
