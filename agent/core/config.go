package core

import (
	"archive/tar"
	"context"
	"fmt"
	"maps"
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

// merged takes an app's scope and flags from the arguments and reads its config, with
// the host's below it if it is asked for.
func (a *ask) merged() (env map[string]string, err error) {
	merged, scope := a.flag("--merged"), "--global"
	if !a.flag("--global") {
		if err := a.need(1, "an app or --global"); err != nil {
			return nil, err
		}
		scope, a.args = a.args[0], a.args[1:]
	}
	return a.envOf(scope, merged)
}

func (a *ask) envOf(scope string, merged bool) (map[string]string, error) {
	settings, err := a.settingsOf(scope)
	if err != nil || !merged || scope == "--global" {
		return settings.Env, err
	}
	global, err := a.settingsOf("--global")
	if err != nil {
		return nil, err
	}
	env := map[string]string{}
	maps.Copy(env, global.Env)
	maps.Copy(env, settings.Env)
	return env, nil
}

func configKeys(_ context.Context, a *ask) error {
	env, err := a.merged()
	if err != nil {
		return err
	}
	return a.say(slices.Sorted(maps.Keys(env))...)
}

// configBundle is a tar with a file for each key.
func configBundle(_ context.Context, a *ask) error {
	env, err := a.merged()
	if err != nil {
		return err
	}
	bundle := tar.NewWriter(a.out)
	for _, key := range slices.Sorted(maps.Keys(env)) {
		if err := bundle.WriteHeader(&tar.Header{Name: key, Mode: 0o600, Size: int64(len(env[key]))}); err != nil {
			return fmt.Errorf("write the bundle: %w", err)
		}
		if _, err := bundle.Write([]byte(env[key])); err != nil {
			return fmt.Errorf("write the bundle: %w", err)
		}
	}
	return bundle.Close()
}

// configExport is APP|--global [--merged] [--format FORMAT], flags anywhere.
func configExport(_ context.Context, a *ask) error {
	format := ""
	for n, word := range a.args {
		value, inline := strings.CutPrefix(word, "--format=")
		switch {
		case inline:
			format, a.args = value, slices.Delete(slices.Clone(a.args), n, n+1)
		case word == "--format" && n+1 < len(a.args):
			format, a.args = a.args[n+1], slices.Delete(slices.Clone(a.args), n, n+2)
		default:
			continue
		}
		break
	}
	env, err := a.merged()
	return a.printExport(env, err, format)
}

func (a *ask) printExport(env map[string]string, err error, format string) error {
	if err != nil {
		return err
	}
	if format == "" {
		format = "exports"
	}
	text, err := export(env, format)
	if err != nil {
		return err
	}
	_, err = fmt.Fprint(a.out, text)
	return err
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
func exportByTrigger(_ context.Context, a *ask) error {
	scope := a.arg(0)
	if a.arg(1) == "true" {
		scope = "--global"
	}
	env, err := a.envOf(scope, a.arg(2) == "true")
	return a.printExport(env, err, a.arg(3))
}
