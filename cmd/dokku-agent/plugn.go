package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/agent/install"
	"github.com/dokku-push/dokku-push/agent/plugin"
	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/triggers"
)

// names are the further names of the program: plugins call them (PLUGIN-CONTRACT 5.9).
func names() []string { return append([]string{filepath.Base(install.Link)}, install.Names()...) }

// byName runs what the name stands for that the program was called by.
func (p *program) byName() (code int, known bool) {
	args := p.self[1:]
	switch filepath.Base(p.self[0]) {
	case "dokku":
		return p.dokku(args), true
	case "plugn":
		return p.plugn(args), true
	case "pluginhook":
		return p.pluginhook(args), true
	case "sshcommand":
		return p.sshcommand(args), true
	case "sigil":
		return p.sigil(args), true
	}
	return 0, false
}

const plugnUsage = `Usage: plugn COMMAND

    config export NAME | get NAME KEY [DEFAULT] | set NAME KEY VALUE
    disable NAME
    enable NAME
    init
    install URL [NAME]
    list
    source
    trigger NAME [ARGUMENT ...]
    uninstall NAME
    update NAME [COMMITTISH]
    version

PLUGIN_PATH says where the plugins are.
`

// plugn is the plugin manager's own program, without Dokku's triggers around it
// (PLUGIN-CONTRACT 1.5).
func (p *program) plugn(args []string) int {
	word := append(args, "help")[0]
	switch word {
	case "help", "--help", "-h":
		fmt.Fprint(p.out, plugnUsage)
		return 0
	case "version", "--version", "-v":
		fmt.Fprintf(p.out, "plugn: %s\n", version)
		return 0
	}
	path := os.Getenv("PLUGIN_PATH")
	if path == "" {
		fmt.Fprintln(p.err, "!! PLUGIN_PATH is not set in environment")
		return 2
	}
	manager := &plugin.Manager{Path: path, Out: p.out, Err: p.err}
	rest := args[1:]
	do, least, most := p.plugnCommand(manager, word)
	if do == nil {
		fmt.Fprintf(p.err, "plugn: there is no command %q\n%s", word, plugnUsage)
		return 2
	}
	if len(rest) < least || most >= 0 && len(rest) > most {
		fmt.Fprint(p.err, plugnUsage)
		return 2
	}
	return p.hooked("plugn", do(p.ctx, rest))
}

// plugnCommand finds a command and how many arguments it takes.
func (p *program) plugnCommand(m *plugin.Manager, word string) (do func(context.Context, []string) error, least, most int) {
	at := func(args []string, n int) string {
		if n < len(args) {
			return args[n]
		}
		return ""
	}
	switch word {
	case "trigger":
		return p.trigger, 1, -1
	case "list":
		return func(ctx context.Context, _ []string) error { return p.plugnList(ctx, m) }, 0, 0
	case "install":
		return func(ctx context.Context, args []string) error {
			return m.Fetch(ctx, plugin.Wanted{URL: args[0], Name: at(args, 1)})
		}, 1, 2
	case "update":
		return func(ctx context.Context, args []string) error { return m.Pull(ctx, args[0], at(args, 1)) }, 1, 2
	case "enable":
		return func(ctx context.Context, args []string) error { return m.Enable(ctx, args[0]) }, 1, 1
	case "disable":
		return func(ctx context.Context, args []string) error { return m.Disable(ctx, args[0]) }, 1, 1
	case "uninstall":
		return func(ctx context.Context, args []string) error { return m.Remove(ctx, args[0]) }, 1, 1
	case "init":
		return func(ctx context.Context, _ []string) error { return m.Init(ctx) }, 0, 0
	case "source":
		return func(ctx context.Context, _ []string) error { return p.plugnSource(ctx, m) }, 0, 0
	case "config":
		return func(ctx context.Context, args []string) error { return p.plugnConfig(ctx, m, args) }, 2, 4
	}
	return nil, 0, 0
}

func (p *program) plugnList(ctx context.Context, m *plugin.Manager) error {
	list, err := m.List(ctx)
	for _, one := range list {
		fmt.Fprintln(p.out, one.Line())
	}
	return err
}

// plugnSource prints what a shell evaluates to have the functions of all plugins.
func (p *program) plugnSource(ctx context.Context, m *plugin.Manager) error {
	files, err := m.ShellFiles(ctx)
	for _, file := range files {
		fmt.Fprintf(p.out, "source %s\n", quoted(file))
	}
	return err
}

// quoted is a word for a shell.
func quoted(word string) string { return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'" }

func (p *program) plugnConfig(ctx context.Context, m *plugin.Manager, args []string) error {
	verb, name, rest := args[0], args[1], args[2:]
	switch {
	case verb == "set" && len(rest) == 2:
		return m.SetConfig(ctx, name, rest[0], rest[1])
	case verb == "get" && len(rest) >= 1:
		value, found, err := m.Config(name, rest[0])
		if err != nil {
			return err
		}
		if !found && len(rest) == 2 {
			value, found = rest[1], true
		}
		if found {
			_, err = fmt.Fprintln(p.out, value)
		}
		return err
	case verb == "export" && len(rest) == 0:
		exports, err := m.Exports(name)
		for _, pair := range exports {
			key, value, _ := strings.Cut(pair, "=")
			fmt.Fprintf(p.out, "export %s=%s\n", key, quoted(value))
		}
		return err
	}
	return api.Errorf(api.Usage, "configure a plugin", "config export NAME | get NAME KEY [DEFAULT] | set NAME KEY VALUE")
}

// pluginhook is plugn's forerunner: the same walk.
func (p *program) pluginhook(args []string) int {
	if os.Getenv("PLUGIN_PATH") == "" {
		fmt.Fprintln(p.err, "!! PLUGIN_PATH is not set in environment")
		return 2
	}
	if len(args) == 0 {
		fmt.Fprintln(p.err, "Usage: pluginhook NAME [ARGUMENT ...]")
		return 2
	}
	return p.hooked("pluginhook", p.trigger(p.ctx, args))
}

// trigger walks the plugins with the caller's own streams: of the hooks that read stdin
// the first gets it. On the host's own tree the core has its part in the walk.
func (p *program) trigger(ctx context.Context, args []string) error {
	name, rest, path := args[0], args[1:], os.Getenv("PLUGIN_PATH")
	if err := plugin.CheckTrigger(name); err != nil {
		return err
	}
	places := placesFromEnvironment()
	if filepath.Clean(path) != places.Plugins() {
		foreign := triggers.Walk{Path: path, Env: triggers.Environment()}
		return foreign.Trigger(ctx, name, rest, triggers.Streams{In: p.in, Out: p.out, Err: p.err})
	}
	parts, err := connect(places)
	if err != nil {
		return err
	}
	defer parts.close()
	streams := agent.Streams{In: p.in, Out: p.out, Err: p.err}
	ctx = called(agent.WithStreams(ctx, streams))
	return parts.asked.Trigger(ctx, name, rest, streams)
}

// hooked prints an error and returns its exit code; a hook's own is passed on without a
// word, for the hook has said what there is to say.
func (p *program) hooked(name string, err error) int {
	if err == nil {
		return 0
	}
	if failed, ok := errors.AsType[*triggers.Failure](err); ok && failed.Err == nil {
		return failed.Code
	}
	problem := api.AsError(err)
	fmt.Fprintf(p.err, "%s: %s\n", name, problem)
	if problem.Hint != "" {
		fmt.Fprintf(p.err, "  %s\n", problem.Hint)
	}
	return plugin.Code(err)
}
