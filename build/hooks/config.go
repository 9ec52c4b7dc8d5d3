package hooks

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/dokku-push/dokku-push/api"
)

// This file is an app's config as the manifest says it: what the host has besides is not
// known here.

// config reads the flags and the app, and returns its config. rest are the other words.
func (a *question) config() (name string, env map[string]string, rest []string, err error) {
	env = map[string]string{}
	rest = slices.DeleteFunc(slices.Clone(a.args), func(word string) bool { return word == "--merged" || word == "--quoted" })
	if n := slices.Index(rest, "--global"); n >= 0 {
		return "global", env, slices.Delete(rest, n, n+1), nil
	}
	if len(rest) == 0 {
		return "", nil, nil, a.app("")
	}
	if err := a.app(rest[0]); err != nil {
		return "", nil, nil, err
	}
	maps.Copy(env, a.facts.Config)
	for _, secret := range a.facts.Secrets {
		if value := valueOf(a.env, secret); value != "" {
			env[secret] = value
		}
	}
	return rest[0], env, rest[1:], nil
}

func configGet(a *question) error {
	_, env, rest, err := a.config()
	if err != nil {
		return err
	}
	if len(rest) != 1 {
		return api.Errorf(api.Usage, "", "Expected: key")
	}
	value, set := env[rest[0]]
	if !set {
		return errNo
	}
	if slices.Contains(a.args, "--quoted") {
		value = quoted(value)
	}
	return a.say(value)
}

func configKeys(a *question) error {
	_, env, _, err := a.config()
	if err != nil {
		return err
	}
	return a.say(slices.Sorted(maps.Keys(env))...)
}

// configShow prints KEY:  value lines, the values in one column. Plugins read them, so a
// value stays on its line (PLUGIN-CONTRACT 5.4).
func configShow(a *question) error {
	name, env, _, err := a.config()
	if err != nil {
		return err
	}
	if valueOf(a.env, "DOKKU_QUIET_OUTPUT") == "" {
		if err := a.say("=====> " + name + " env vars"); err != nil {
			return err
		}
	}
	width := 0
	for key := range env {
		width = max(width, len(key)+1)
	}
	for _, key := range slices.Sorted(maps.Keys(env)) {
		if err := a.say(fmt.Sprintf("%-*s  %s", width, key+":", strings.ReplaceAll(env[key], "\n", `\n`))); err != nil {
			return err
		}
	}
	return nil
}

// configExport prints the config for a program to read. The formats are those that a
// script reads back; the others are for docker and pack on a host.
func configExport(a *question) error {
	format := "exports"
	var args []string
	for n := 0; n < len(a.args); n++ {
		word, value, joined := strings.Cut(a.args[n], "=")
		switch {
		case word == "--format" && joined:
			format = value
		case word == "--format" && n+1 < len(a.args):
			n++
			format = a.args[n]
		default:
			args = append(args, a.args[n])
		}
	}
	a.args = args
	_, env, _, err := a.config()
	if err != nil {
		return err
	}
	var lines []string
	for _, key := range slices.Sorted(maps.Keys(env)) {
		lines = append(lines, key+"="+quoted(env[key]))
	}
	switch format {
	case "exports", "eval":
		for n := range lines {
			lines[n] = "export " + lines[n]
		}
		return a.say(lines...)
	case "shell":
		if len(lines) == 0 {
			return nil
		}
		return a.say(strings.Join(lines, " "))
	case "json":
		out := json.NewEncoder(a.Out)
		out.SetEscapeHTML(false)
		return out.Encode(env)
	}
	return needsHost("config_export --format " + format)
}

// quoted is a value as a shell reads it back.
func quoted(value string) string {
	return "'" + strings.ReplaceAll(value, "'", `'\''`) + "'"
}
