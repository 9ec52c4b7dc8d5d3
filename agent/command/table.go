package command

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// Table returns every command, by name. Each noun's rows stand in its own file.
func Table() []Command {
	rows := slices.Concat(appsCommands(), backupCommands(), certsCommands(), checksCommands(), configCommands(), cronCommands(), dockerOptionsCommands(), resourceCommands(), storageCommands(), domainsCommands(), gitCommands(), gitImageCommands(), gitArchiveCommands(), gitHostsCommands(), hostCommands(), logsCommands(), modesCommands(), networkCommands(), nginxCommands(), portsCommands(), proxyCommands(), oidcCommands(), pluginsCommands(), psCommands(), reviewCommands(), runCommands(), signingCommands(), sshKeysCommands(), tagsCommands(), urlsCommands(), []Command{
		{"help", "", "Print the list of commands", help},
		{"version", "", "Print the version", version},
	})
	slices.SortFunc(rows, func(a, b Command) int { return strings.Compare(a.Name, b.Name) })
	return rows
}

// help lists every command with --all, else a line for each noun, as Dokku does: its verbs
// are what `NOUN:help` tells of.
func help(_ context.Context, call *Call) error {
	fmt.Fprint(call.Out, "Usage: dokku [--quiet|--trace|--force|--app <app>] COMMAND <app> [command-specific-options]\n\n")
	var left, right []string
	if call.flag("--all") {
		for _, row := range Table() {
			left, right = append(left, strings.TrimSpace(row.Name+" "+row.Usage)), append(right, row.Help)
		}
	} else {
		fmt.Fprint(call.Out, "`dokku COMMAND:help` shows what a command can do, `dokku help --all` all of them.\n\n")
		left, right = nouns()
	}
	width := 0
	for _, text := range left {
		width = max(width, len(text))
	}
	fmt.Fprint(call.Out, "Commands:\n\n")
	for n, text := range left {
		fmt.Fprintf(call.Out, "    %-*s  %s\n", min(width, 60), text, right[n])
	}
	return nil
}

// nouns are the commands without what stands behind a colon, and what each does or has.
func nouns() (names, about []string) {
	for _, row := range Table() {
		noun, verb, hasVerb := strings.Cut(row.Name, ":")
		switch last := len(names) - 1; {
		case strings.HasPrefix(noun, "git-"): // which git calls, and nobody types
		case !hasVerb:
			names, about = append(names, noun), append(about, row.Help)
		case last < 0 || names[last] != noun:
			names, about = append(names, noun), append(about, verb)
		case !slices.ContainsFunc(Table(), func(row Command) bool { return row.Name == noun }):
			about[last] += ", " + verb
		}
	}
	return names, about
}

func version(_ context.Context, call *Call) error {
	_, err := fmt.Fprintf(call.Out, "dokku version %s\n", call.Host.Version)
	return err
}
