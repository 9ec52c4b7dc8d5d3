package core

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/dokku-push/dokku-push/api"
)

// configSet reads its arguments from stdin, for values are secrets.
func configSet(ctx context.Context, a *ask) error {
	text, err := a.input()
	if err != nil {
		return err
	}
	words := strings.Split(strings.TrimSuffix(text, "\x00"), "\x00")
	encoded := slices.Contains(words, "--encoded")
	return a.changeConfig(ctx, "config:set", words, func(env map[string]string, words []string) bool {
		return !slices.ContainsFunc(words, func(word string) bool {
			key, value, _ := strings.Cut(word, "=")
			now, is := env[key]
			return !is || now != value && !encoded
		})
	})
}

func configUnset(ctx context.Context, a *ask) error {
	return a.changeConfig(ctx, "config:unset", a.args, func(env map[string]string, words []string) bool {
		return !slices.ContainsFunc(words, func(word string) bool { _, is := env[word]; return is })
	})
}

func configClear(ctx context.Context, a *ask) error {
	return a.changeConfig(ctx, "config:clear", a.args, func(env map[string]string, _ []string) bool { return len(env) == 0 })
}

// changeConfig runs a config command. What fails once the config is written, a plugin's
// trigger or the restart, is a warning and no failure (PLUGIN-CONTRACT 5.4).
func (a *ask) changeConfig(ctx context.Context, name string, words []string, written func(env map[string]string, words []string) bool) error {
	err := a.do(ctx, name, words...)
	if err == nil || slices.Contains([]api.Code{api.Usage, api.NotFound}, api.AsError(err).Code) {
		return err
	}
	scope, rest := "--global", slices.DeleteFunc(slices.Clone(words), func(word string) bool { return strings.HasPrefix(word, "--") })
	if !slices.Contains(words, "--global") && len(rest) > 0 {
		scope, rest = rest[0], rest[1:]
	}
	settings, readErr := a.settingsOf(scope)
	if readErr != nil || !written(settings.Env, rest) {
		return err
	}
	a.warn(err)
	return nil
}

// Handlers of the config plugin.

// configValue prints a value alone, with no newline; nothing when it is not set.
func configValue(_ context.Context, a *ask) error {
	settings, err := a.settings()
	if err != nil {
		return err
	}
	_, err = fmt.Fprint(a.out, settings.Env[a.arg(1)])
	return err
}

func globalValue(_ context.Context, a *ask) error {
	settings, err := a.settingsOf("--global")
	if err != nil {
		return err
	}
	_, err = fmt.Fprint(a.out, settings.Env[a.arg(0)])
	return err
}

// exportByTrigger is config-export APP GLOBAL MERGED FORMAT.
func exportByTrigger(ctx context.Context, a *ask) error {
	args := []string{a.arg(0)}
	if a.arg(1) == "true" {
		args = []string{"--global"}
	}
	if a.arg(2) == "true" {
		args = append(args, "--merged")
	}
	if format := a.arg(3); format != "" {
		args = append(args, "--format", format)
	}
	return a.do(ctx, "config:export", args...)
}
