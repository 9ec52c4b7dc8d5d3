package command

import (
	"context"
	"strings"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/api"
)

// runCommands are the rows of this noun.
func runCommands() []Command {
	return []Command{
		{"run", "[-e KEY=VALUE ...] <app> <cmd>", "Run a command in a new container of the app's current release", runCommand},
	}
}

// runCommand runs a command in a new container of the current release. Its exit code is
// the command's own.
func runCommand(ctx context.Context, call *Call) error {
	env := map[string]string{}
	call.flag("--no-tty", "--force-tty") // there is no terminal on either side of a channel
	for len(call.Args) > 0 && strings.HasPrefix(call.Args[0], "-") {
		word := call.Args[0]
		key, value, inline := strings.Cut(strings.TrimPrefix(word, "--env="), "=")
		switch {
		case strings.HasPrefix(word, "--env=") && inline:
			call.Args = call.Args[1:]
		case (word == "-e" || word == "--env") && len(call.Args) > 1:
			if key, value, inline = strings.Cut(call.Args[1], "="); !inline {
				return api.Errorf(api.Usage, "", "Invalid env pair: %s", call.Args[1])
			}
			call.Args = call.Args[2:]
		default:
			return api.Errorf(api.Usage, "", "unknown flag %s", word)
		}
		env[key] = value
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
