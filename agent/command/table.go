package command

import (
	"context"
	"fmt"
	"strings"
)

// Table returns every command, by name.
func Table() []Command {
	return []Command{
		{"apps:create", "<app>", "Create a new app", appsCreate},
		{"apps:destroy", "<app> [--force]", "Permanently destroy an app", appsDestroy},
		{"apps:exists", "<app>", "Check if an app exists", appsExists},
		{"apps:list", "", "List your apps", appsList},
		{"config:get", "(<app>|--global) KEY", "Display a global or app-specific config value", configGet},
		{"config:set", "[--no-restart] [--encoded] (<app>|--global) KEY1=VALUE1 [KEY2=VALUE2 ...]", "Set one or more config vars", configSet},
		{"config:show", "(<app>|--global)", "Show keys and values of an app or of the host", configShow},
		{"config:unset", "[--no-restart] (<app>|--global) KEY1 [KEY2 ...]", "Unset one or more config vars", configUnset},
		{"domains:add", "<app> <domain> [<domain> ...]", "Add domains to an app", domainsAdd},
		{"domains:remove", "<app> <domain> [<domain> ...]", "Remove domains from an app", domainsRemove},
		{"domains:report", "[<app>] [<flag>]", "Display a domains report for one or more apps", domainsReport},
		{"domains:set", "<app> <domain> [<domain> ...]", "Set the domains of an app", domainsSet},
		{"help", "", "Print the list of commands", help},
		{"logs", "<app> [-h] [-t|--tail] [-n|--num NUM] [-q|--quiet] [-p|--ps PROCESS]", "Display recent log output", logs},
		{"ps:rebuild", "<app>", "Rebuild an app from the image of its current release", psRebuild},
		{"ps:report", "[<app>] [<flag>]", "Display a process report for one or more apps", psReport},
		{"ps:restart", "<app>", "Restart an app", psRestart},
		{"ps:scale", "[--skip-deploy] <app> [<proc>=<count> ...]", "Get or set how many instances of a process run", psScale},
		{"ps:start", "<app>", "Start an app", psStart},
		{"ps:stop", "<app>", "Stop an app", psStop},
		{"run", "[-e KEY=VALUE ...] <app> <cmd>", "Run a command in a new container of the app's current release", runCommand},
		{"tags", "<app>", "List all app image tags", tagsList},
		{"tags:create", "<app> <tag>", "Add a tag to the running image", tagsCreate},
		{"tags:deploy", "<app> <tag>", "Deploy a tagged image", tagsDeploy},
		{"tags:destroy", "<app> <tag>", "Remove an image tag", tagsDestroy},
		{"url", "<app>", "Show the first URL of an app", url},
		{"urls", "<app>", "Show all URLs of an app", urls},
		{"version", "", "Print the version", version},
	}
}

func help(_ context.Context, call *Call) error {
	fmt.Fprint(call.Out, "Usage: dokku [--quiet|--trace|--force|--app <app>] COMMAND <app> [command-specific-options]\n\nCommands:\n\n")
	rows := Table()
	width := 0
	for _, row := range rows {
		width = max(width, len(row.Name)+1+len(row.Usage))
	}
	width = min(width, 60)
	for _, row := range rows {
		fmt.Fprintf(call.Out, "    %-*s  %s\n", width, strings.TrimSpace(row.Name+" "+row.Usage), row.Help)
	}
	return nil
}

func version(_ context.Context, call *Call) error {
	_, err := fmt.Fprintf(call.Out, "dokku version %s\n", call.Host.Version)
	return err
}
