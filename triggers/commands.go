package triggers

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
)

// This file is how plugins answer commands (PLUGIN-CONTRACT 2.7): by a file of their
// own for each command, or by one file named `commands` that is asked about every
// command nobody else knows.

// NotMine is the exit code by which a `commands` file passes a command on. In any
// trigger it is a failure like others.
const NotMine = 10

// Commands asks the `commands` file of every enabled plugin, in order, with the whole
// argv. handled tells whether one of them took it; the others are asked all the
// same. An exit code other than 0 and NotMine ends the walk with a *Failure, and so
// does a file that is not executable (126).
func (w *Walk) Commands(ctx context.Context, argv []string, streams Streams) (handled bool, err error) {
	names, err := w.Enabled()
	if err != nil {
		return false, err
	}
	env, values := w.environment(), w.userValues()
	for _, plugin := range names {
		switch w.look(plugin, "commands") {
		case absent:
			continue
		case notExecutable:
			return handled, failure("commands", plugin, errors.New("the file commands is not executable"))
		}
		env = append(env, w.config(plugin, values)...)
		err := w.execute(ctx, w.file(plugin, "commands"), argv, env, streams)
		if err == nil {
			handled = true
			continue
		}
		if failed := failure("commands", plugin, err); failed.Code != NotMine {
			return handled, failed
		}
	}
	return handled, nil
}

// Help asks the `commands` file of every plugin that is not the core's for its lines of
// `dokku help`. Whoever fails has nothing to say.
func (w *Walk) Help(ctx context.Context, streams Streams) error {
	names, err := w.Enabled()
	if err != nil {
		return err
	}
	env, values := w.environment(), w.userValues()
	for _, plugin := range names {
		if w.isCore(plugin) || w.look(plugin, "commands") != executable {
			continue
		}
		env = append(env, w.config(plugin, values)...)
		_ = w.execute(ctx, w.file(plugin, "commands"), []string{"help"}, env, streams)
	}
	return ctx.Err()
}

// Subcommand finds the file that answers a command word, and the plugin it belongs
// to; file is empty when there is none. Dokku looks for a default of that
// name, a command of the plugin of that name, then the part behind the colon.
func (w *Walk) Subcommand(word string) (plugin, file string) {
	if word == "" || strings.HasPrefix(word, ".") || strings.ContainsRune(word, '/') {
		return "", ""
	}
	before, after, split := strings.Cut(word, ":")
	tries := [][2]string{{word, "default"}, {word, word}}
	if split && after != "" {
		tries = append(tries, [2]string{before, after})
	}
	for _, try := range tries {
		name := filepath.Join("subcommands", try[1])
		if w.look(try[0], name) == executable {
			return try[0], w.file(try[0], name)
		}
	}
	return "", ""
}

// Execute runs a file that Subcommand found, in the environment of its plugin's hooks;
// the error is a *Failure.
func (w *Walk) Execute(ctx context.Context, plugin, file string, argv []string, streams Streams) error {
	env := append(w.environment(), w.config(plugin, w.userValues())...)
	if err := w.execute(ctx, file, argv, env, streams); err != nil {
		return failure(filepath.Base(file), plugin, err)
	}
	return nil
}
