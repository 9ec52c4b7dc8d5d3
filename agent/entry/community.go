package entry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/dokku-push/dokku-push/agent/command"
	"github.com/dokku-push/dokku-push/internal/run"
	"github.com/dokku-push/dokku-push/triggers"
)

// This file is what plugins add to the commands (PLUGIN-CONTRACT 2.7, 2.8).

// aliases are short names of Dokku's plugins; the command is rewritten.
func aliases() map[string]string {
	return map[string]string{
		"docker-local": "scheduler-docker-local", "dockerfile": "builder-dockerfile", "herokuish": "builder-herokuish", "k3s": "scheduler-k3s",
		"lambda": "builder-lambda", "nixpacks": "builder-nixpacks", "pack": "builder-pack", "rails": "builder-railpack",
	}
}

// unaliased is a command word with its plugin's full name.
func unaliased(word string) string {
	noun, rest, split := strings.Cut(word, ":")
	if full := aliases()[noun]; full != "" && split {
		return full + ":" + rest
	}
	return word
}

// community gives a command to the plugins: to the one that has a file for it, else to all
// that have a `commands` file. done tells whether one took it.
func (e *Entry) community(ctx context.Context, line line) (exit int, done bool) {
	if e.Plugins == nil {
		return 0, false
	}
	walk := e.Plugins()
	argv := append([]string{unaliased(line.word)}, line.rest...)
	streams := triggers.Streams{In: e.In, Out: e.Out, Err: e.Err}
	if plugin, file := walk.Subcommand(argv[0]); file != "" {
		return e.ended(walk.Execute(ctx, plugin, file, argv, streams)), true
	}
	handled, err := walk.Commands(ctx, argv, streams)
	if err != nil {
		return e.ended(err), true
	}
	return 0, handled
}

// ended is the exit code of a plugin's command. What failed has said so itself, unless it
// never ran.
func (e *Entry) ended(err error) int {
	if err == nil {
		return 0
	}
	failed, ok := errors.AsType[*triggers.Failure](err)
	if !ok {
		return e.fail(err)
	}
	if _, ran := errors.AsType[*run.ExitError](failed.Err); !ran {
		fmt.Fprintf(e.Err, " !     %v\n", failed)
	}
	return failed.Code
}

// help prints the core's commands and below them what plugins say of theirs.
func (e *Entry) help(ctx context.Context, line line, call *command.Call) int {
	all := slices.Contains(line.rest, "--all")
	if all && !slices.Contains(os.Args, "--all") && e.Plugins != nil {
		return e.again(ctx, "help", "--all")
	}
	if exit := e.row(ctx, "help", call); exit != 0 || e.Plugins == nil {
		return exit
	}
	var text bytes.Buffer
	if err := e.Plugins().Help(ctx, triggers.Streams{Out: &text, Err: e.Err}); err != nil {
		return e.fail(err)
	}
	lines := columns(text.String())
	if len(lines) == 0 {
		return 0
	}
	if !line.quiet {
		fmt.Fprint(e.Out, "\nCommunity plugin commands:\n\n")
	}
	for _, line := range lines {
		fmt.Fprintln(e.Out, line)
	}
	return 0
}

// again runs the call as a process of its own. Plugins look at the command line of the
// process that asks them for help, to know whether it wants all of it; over ssh the
// words are in no command line.
func (e *Entry) again(ctx context.Context, words ...string) int {
	self, err := os.Executable()
	if err != nil {
		return e.fail(fmt.Errorf("find the agent's program: %w", err))
	}
	command := run.Cmd{Argv: append([]string{self, "dokku"}, words...), Env: os.Environ(), Stdout: e.Out, Stderr: e.Err}
	err = command.Run(ctx)
	if ended, ok := errors.AsType[*run.ExitError](err); ok {
		return ended.Code
	}
	if err != nil {
		return e.fail(err)
	}
	return 0
}

// columns sorts lines of "    COMMAND, DESCRIPTION" and sets the descriptions in a column.
func columns(text string) []string {
	lines := slices.DeleteFunc(strings.Split(text, "\n"), func(line string) bool { return strings.TrimSpace(line) == "" })
	slices.Sort(lines)
	width := 0
	for _, line := range lines {
		command, _, _ := strings.Cut(line, ",")
		width = max(width, len(strings.TrimSpace(command)))
	}
	for n, line := range lines {
		command, description, _ := strings.Cut(line, ",")
		lines[n] = strings.TrimRight(fmt.Sprintf("    %-*s  %s", width, strings.TrimSpace(command), strings.TrimSpace(description)), " ")
	}
	return lines
}

// nounHelp prints the commands of one of the core's nouns, for NOUN:help and NOUN alone.
func (e *Entry) nounHelp(word string) bool {
	noun, asked := strings.CutSuffix(word, ":help")
	if !asked && strings.Contains(word, ":") {
		return false
	}
	var lines []string
	for _, row := range command.Table() {
		if strings.HasPrefix(row.Name, noun+":") || row.Name == noun {
			lines = append(lines, strings.TrimSpace(row.Name+" "+row.Usage)+","+row.Help)
		}
	}
	if len(lines) == 0 {
		return false
	}
	fmt.Fprintf(e.Out, "Usage: dokku %s[:COMMAND]\n\nCommands:\n", noun)
	for _, line := range columns(strings.Join(lines, "\n")) {
		fmt.Fprintln(e.Out, line)
	}
	return true
}
