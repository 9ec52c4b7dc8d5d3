// Package core is the part of Dokku's core plugins that other plugins call: what the
// functions that they source ask (triggers/shim) and what the core's triggers answer
// (PLUGIN-CONTRACT 4.5, 4.6, 5), as two literal tables over the agent's operations.
// What a deploy does is not here: the agent does that itself.
package core

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/agent/command"
	"github.com/dokku-push/dokku-push/agent/receive"
	"github.com/dokku-push/dokku-push/agent/state"
	"github.com/dokku-push/dokku-push/api"
)

// Core answers for one host.
type Core struct {
	Host *agent.Host
	// Submit starts the deploy process of a change.
	Submit func(ctx context.Context, change agent.Change) error
	// Builder builds what arrives by git; nil: this host cannot.
	Builder receive.Builder
}

// act is one answer: a function of the protocol, or a core plugin's part in a trigger.
type act func(ctx context.Context, a *ask) error

// ask is one question.
type ask struct {
	Core
	args     []string
	env      []string
	in       io.Reader
	out, err io.Writer
}

// exit is an exit code that is the answer: nothing is said about it.
type exit int

func (e exit) Error() string { return fmt.Sprintf("exit code %d", int(e)) }

// no is the answer of a question that the exit code answers.
const no = exit(1)

// coded is a failure with an exit code of its own.
type coded struct {
	code int
	error
}

func (c coded) Unwrap() error { return c.error }

// run answers, says what went wrong as Dokku does, and returns the exit code.
func (a *ask) run(ctx context.Context, do act) int {
	err := do(agent.WithStreams(ctx, agent.Streams{Out: a.out, Err: a.err}), a)
	if err == nil {
		return 0
	}
	if answer, ok := errors.AsType[exit](err); ok {
		return int(answer)
	}
	if answer, ok := errors.AsType[*command.Exit](err); ok {
		return answer.Code
	}
	a.warn(err)
	if with, ok := errors.AsType[coded](err); ok {
		return with.code
	}
	return 1
}

// warn says an error on stderr, each line behind Dokku's mark.
func (a *ask) warn(err error) {
	problem := api.AsError(err)
	for _, text := range []string{problem.Error(), problem.Hint} {
		for line := range strings.Lines(text) {
			fmt.Fprintf(a.err, " !     %s\n", strings.TrimRight(line, "\n"))
		}
	}
}

// do runs one of Dokku's commands; what it prints is the answer. The app is among the
// arguments, whatever DOKKU_APP_NAME says.
func (a *ask) do(ctx context.Context, name string, args ...string) error {
	for _, row := range command.Table() {
		if row.Name == name {
			return row.Do(ctx, a.call(args...))
		}
	}
	return api.Errorf(api.Usage, "", "`%s' is not a dokku command of this host", name)
}

// call is a command's call with these arguments.
func (a *ask) call(args ...string) *command.Call {
	return &command.Call{Host: a.Host, Args: args, By: a.by(), Submit: a.Submit, Builder: a.Builder,
		In: a.in, Out: a.out, Err: a.err, Quiet: a.variable("DOKKU_QUIET_OUTPUT") != ""}
}

// by is who asks: whoever gave the command that the plugin runs in.
func (a *ask) by() agent.Caller {
	by := agent.Caller{User: a.variable("SSH_USER"), Name: a.variable("SSH_NAME")}
	if by.User == "" {
		by.User = "root"
	}
	if by.Name == "" {
		by.Name = "default"
	}
	return by
}

func (a *ask) variable(name string) string {
	for _, pair := range slices.Backward(a.env) {
		if value, ok := strings.CutPrefix(pair, name+"="); ok {
			return value
		}
	}
	return ""
}

// arg is an argument by its place; empty when there are not so many.
func (a *ask) arg(n int) string {
	if n < len(a.args) {
		return a.args[n]
	}
	return ""
}

// need refuses a question with fewer arguments.
func (a *ask) need(n int, usage string) error {
	if len(a.args) < n {
		return api.Errorf(api.Usage, "", "expected %s", usage)
	}
	return nil
}

// flag takes a flag out of the arguments and tells whether it was there.
func (a *ask) flag(name string) bool {
	before := len(a.args)
	a.args = slices.DeleteFunc(slices.Clone(a.args), func(word string) bool { return word == name })
	return len(a.args) < before
}

// say prints lines.
func (a *ask) say(lines ...string) error {
	for _, line := range lines {
		if _, err := fmt.Fprintln(a.out, line); err != nil {
			return err
		}
	}
	return nil
}

// truth prints true or false.
func (a *ask) truth(is bool) error { return a.say(fmt.Sprint(is)) }

// yes makes an exit code of an answer.
func yes(is bool) error {
	if is {
		return nil
	}
	return no
}

// settings reads an app's settings; app is the first argument.
func (a *ask) settings() (agent.Settings, error) {
	return a.settingsOf(a.arg(0))
}

func (a *ask) settingsOf(app string) (agent.Settings, error) {
	if app != "--global" {
		if err := a.Host.Exists(app); err != nil {
			return agent.Settings{}, err
		}
	}
	settings, err := a.Host.Settings.Read(app)
	if err != nil {
		return settings, fmt.Errorf("read the settings of %s: %w", app, err)
	}
	return settings, nil
}

// change edits an app's settings; app is the first argument.
func (a *ask) change(edit func(now *agent.Settings) error) error {
	if err := a.Host.Exists(a.arg(0)); err != nil {
		return err
	}
	if _, _, err := a.Host.Settings.Change(a.arg(0), edit); err != nil {
		return fmt.Errorf("write the settings of %s: %w", a.arg(0), err)
	}
	return nil
}

// properties is the store of all plugins' properties.
func (a *ask) properties() *state.Store { return &state.Store{Places: a.Host.Places} }

// answer walks a trigger and returns what it printed, without blanks around it.
func (a *ask) answer(ctx context.Context, trigger string, args ...string) (string, error) {
	return a.Host.Ask(ctx, trigger, args...)
}
