package command

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// Table returns every command, by name. Each noun's rows stand in its own file.
func Table() []Command {
	rows := slices.Concat(appsCommands(), backupCommands(), certsCommands(), checksCommands(), configCommands(), cronCommands(), dockerOptionsCommands(), resourceCommands(), storageCommands(), domainsCommands(), gitCommands(), gitImageCommands(), gitArchiveCommands(), hostCommands(), logsCommands(), modesCommands(), networkCommands(), nginxCommands(), portsCommands(), proxyCommands(), oidcCommands(), pluginsCommands(), psCommands(), reviewCommands(), runCommands(), signingCommands(), sshKeysCommands(), tagsCommands(), urlsCommands(), []Command{
		{"help", "", "Print the list of commands", help},
		{"version", "", "Print the version", version},
	})
	slices.SortFunc(rows, func(a, b Command) int { return strings.Compare(a.Name, b.Name) })
	return rows
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
