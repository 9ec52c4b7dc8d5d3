// Package entry is the dokku entry program (PLUGIN-CONTRACT 2): it finds out what is
// asked for and by whom, puts the variables into the environment that plugins are
// promised, asks user-auth, and dispatches. It is the only parser of
// SSH_ORIGINAL_COMMAND, and the same under OpenSSH and an embedded host.
package entry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/agent/command"
	"github.com/dokku-push/dokku-push/agent/receive"
	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/triggers"
)

// Entry is one call of the program.
type Entry struct {
	Host *agent.Host
	// HTTP serves the agent's API on the caller's streams (api.AgentCommand).
	HTTP func(ctx context.Context, by agent.Caller) error
	// Submit starts the deploy process of a change.
	Submit func(ctx context.Context, change agent.Change) error
	// Builder builds what arrives by git; nil: this host cannot.
	Builder receive.Builder
	// Plugins is the walk over the plugins with the environment of this moment; nil: there
	// are none.
	Plugins func() *triggers.Walk
	In      io.Reader
	Out     io.Writer
	Err     io.Writer
}

// Run carries out one call and returns its exit code. original is
// SSH_ORIGINAL_COMMAND; empty for a call on the host itself.
func (e *Entry) Run(ctx context.Context, args []string, original string) int {
	if original != "" {
		words, err := Words(original)
		if err != nil {
			return e.fail(err)
		}
		args = words
	}
	line := parse(args)
	inherited := os.Getenv("DOKKU_APP_NAME")
	modes(e.Host.Places.Root)
	line.export()
	by := caller(original != "")
	if request := os.Getenv(RequestVariable); request != "" {
		ctx = agent.Nested(ctx, request)
	}
	ctx = agent.Within(ctx, os.Getenv(agent.ActsVariable))
	ctx = agent.WithStreams(ctx, agent.Streams{Out: e.Out, Err: e.Err})
	if original == api.AgentCommand { // with not a word more
		if err := e.HTTP(ctx, by); err != nil {
			return e.fail(err)
		}
		return 0
	}
	if err := e.Host.May(ctx, by, "", append([]string{line.word}, line.args...)...); err != nil {
		return e.fail(err)
	}
	if line.app == "" && inherited != "" && e.lacksApp(line) {
		line.app = inherited
	}
	return e.dispatch(ctx, line, by)
}

// lacksApp tells whether a command inside another one that was given --app means that
// one's app: DOKKU_APP_NAME is inherited. One that names an app itself means its own
// (PLUGIN-CONTRACT 5.6).
func (e *Entry) lacksApp(line line) bool {
	if line.word == "apps:create" || slices.Contains(line.args, "--global") {
		return false
	}
	for _, word := range line.args {
		if !strings.HasPrefix(word, "-") {
			return e.Host.Exists(word) != nil
		}
	}
	return true
}

// RequestVariable tells commands that a trigger starts which request they run in.
const RequestVariable = "DOKKU_PUSH_REQUEST"

// caller is who asks. Over ssh the forced command says so; on the host it is the user.
func caller(ssh bool) agent.Caller {
	by := agent.Caller{User: os.Getenv("SSH_USER"), Name: os.Getenv("NAME"), Fingerprint: os.Getenv("FINGERPRINT"), Apps: os.Getenv(agent.AppsVariable)}
	if by.User == "" {
		by.User = os.Getenv("USER")
	}
	if by.User == "" {
		by.User = "root"
	}
	if by.Name == "" {
		by.Name = os.Getenv("SSH_NAME")
	}
	if by.Name == "" {
		by.Name = "default"
	}
	if !ssh {
		by.Fingerprint, by.Apps = "", "" // what a plugin calls is the host's own
	}
	_ = os.Setenv("SSH_USER", by.User)
	_ = os.Setenv("SSH_NAME", by.Name)
	return by
}

func (e *Entry) dispatch(ctx context.Context, line line, by agent.Caller) int {
	call := &command.Call{Host: e.Host, Args: line.args, App: line.app, By: by, Submit: e.Submit, Builder: e.Builder,
		In: e.In, Out: e.Out, Err: e.Err, Quiet: line.quiet, Force: line.force}
	word := line.word
	if word == "-v" || word == "--version" {
		word = "version"
	}
	if word == "help" {
		return e.help(ctx, line, call)
	}
	for _, name := range []string{word, unaliased(word)} {
		if known(name) {
			return e.row(ctx, name, call)
		}
	}
	if exit, done := e.community(ctx, line); done {
		return exit
	}
	if e.nounHelp(word) {
		return 0
	}
	quoted := append([]string{line.word}, line.args...)
	fmt.Fprintf(e.Err, " !     `%s' is not a dokku command.\n", strings.Join(quoted, " "))
	fmt.Fprintf(e.Err, " !     See `dokku help' for a list of available commands.\n")
	return 1
}

func known(name string) bool {
	return slices.ContainsFunc(command.Table(), func(row command.Command) bool { return row.Name == name })
}

// row carries out a command of the table.
func (e *Entry) row(ctx context.Context, name string, call *command.Call) int {
	for _, row := range command.Table() {
		if row.Name != name {
			continue
		}
		if err := row.Do(ctx, call); err != nil {
			return e.fail(err)
		}
	}
	return 0
}

// fail prints an error in Dokku's way and returns its exit code: agent commands
// exit as Dokku's do (DESIGN 11).
func (e *Entry) fail(err error) int {
	if exit, ok := errors.AsType[*command.Exit](err); ok {
		return exit.Code
	}
	problem := api.AsError(err)
	for text := range strings.SplitSeq(problem.Error(), "\n") {
		fmt.Fprintf(e.Err, " !     %s\n", text)
	}
	if problem.Hint != "" {
		fmt.Fprintf(e.Err, " !     %s\n", problem.Hint)
	}
	if problem.Code == api.NotFound {
		return 20
	}
	return 1
}
