package command

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/agent/state"
	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/manifest"
)

// env reads the config of an app or of the host, with the host's below it when merged.
func (c *Call) env(app string, merged bool) (map[string]string, error) {
	settings, err := c.settings(app)
	if err != nil || !merged || app == "--global" {
		return settings.Env, err
	}
	global, err := c.settings("--global")
	if err != nil {
		return nil, err
	}
	maps.Copy(global.Env, settings.Env)
	return global.Env, nil
}

// scopedEnv reads --merged, the app and its config; nothing may be left over.
func (c *Call) scopedEnv(ctx context.Context) (app string, env map[string]string, err error) {
	merged := c.flag("--merged")
	if app, err = c.scope(ctx); err == nil {
		err = c.noMore()
	}
	if err == nil {
		env, err = c.env(app, merged)
	}
	return app, env, err
}

func configKeys(ctx context.Context, call *Call) error {
	_, env, err := call.scopedEnv(ctx)
	if err != nil {
		return err
	}
	for _, key := range slices.Sorted(maps.Keys(env)) {
		fmt.Fprintln(call.Out, key)
	}
	return nil
}

// configBundle writes a tar with a file for each key.
func configBundle(ctx context.Context, call *Call) error {
	_, env, err := call.scopedEnv(ctx)
	if err != nil {
		return err
	}
	out := tar.NewWriter(call.Out)
	now := time.Now().Truncate(time.Second)
	for _, key := range slices.Sorted(maps.Keys(env)) {
		if err := out.WriteHeader(&tar.Header{Name: key, Mode: 0o600, Size: int64(len(env[key])), Typeflag: tar.TypeReg, ModTime: now}); err != nil {
			return fmt.Errorf("write the bundle: %w", err)
		}
		if _, err := io.WriteString(out, env[key]); err != nil {
			return fmt.Errorf("write the bundle: %w", err)
		}
	}
	return out.Close()
}

func configExport(ctx context.Context, call *Call) error {
	format, given, err := call.option("--format")
	if err != nil {
		return err
	}
	if !given {
		format = "exports"
	}
	_, env, err := call.scopedEnv(ctx)
	if err != nil {
		return err
	}
	text, err := exported(env, format)
	if err != nil {
		return err
	}
	_, err = io.WriteString(call.Out, text)
	return err
}

// exported is a config in one of Dokku's formats.
func exported(env map[string]string, format string) (string, error) {
	lines := func(separator, form string, value func(string) string) string {
		var list []string
		for _, key := range slices.Sorted(maps.Keys(env)) {
			list = append(list, fmt.Sprintf(form, key, value(env[key])))
		}
		return strings.Join(list, separator)
	}
	switch format {
	case "exports", "eval":
		return ended(lines("\n", "export %s=%s", singleQuoted)), nil
	case "envfile":
		text, err := state.FormatEnv(env)
		return string(text), err
	case "docker-args":
		return ended(lines(" ", "--env=%s=%s", singleQuoted)), nil
	case "docker-args-keys":
		return ended(lines(" ", "--env=%s%.0s", singleQuoted)), nil
	case "shell":
		return ended(lines(" ", "%s=%s", singleQuoted)), nil
	case "pack-keyvalue":
		return ended(lines("\n", "--env=%s=%s", singleQuoted)), nil
	case "pack-keys":
		return ended(lines(" ", "--env %s%.0s", singleQuoted)), nil
	case "pretty":
		var text bytes.Buffer
		(&Call{Out: &text}).printEnv(env, "")
		return text.String(), nil
	case "json":
		return asJSON(env)
	case "json-list":
		type pair struct {
			Name  string `json:"name"`
			Value string `json:"value"`
		}
		list := []pair{}
		for _, key := range slices.Sorted(maps.Keys(env)) {
			list = append(list, pair{key, env[key]})
		}
		return asJSON(list)
	}
	return "", api.Errorf(api.Usage, "", "Unknown export format: %s", format).
		WithHint("exports, eval, envfile, docker-args, docker-args-keys, shell, pretty, json, json-list, pack-keys or pack-keyvalue")
}

func asJSON(value any) (string, error) {
	var text bytes.Buffer
	out := json.NewEncoder(&text)
	out.SetEscapeHTML(false)
	err := out.Encode(value)
	return text.String(), err
}

// ended ends a text that is not empty with one newline.
func ended(text string) string {
	if text == "" {
		return ""
	}
	return text + "\n"
}

// singleQuoted is a value as a shell reads it back.
func singleQuoted(value string) string {
	return "'" + strings.ReplaceAll(value, "'", `'\''`) + "'"
}

// configClear removes every key of an app or of the host.
func configClear(ctx context.Context, call *Call) error {
	noRestart := call.flag("--no-restart")
	app, err := call.scope(ctx)
	if err == nil {
		err = call.noMore()
	}
	if err != nil {
		return err
	}
	if err := call.change(app, func(now *agent.Settings) error { now.Env = map[string]string{}; return nil }); err != nil {
		return err
	}
	call.say("Clearing config vars")
	if err := call.trigger(ctx, "post-config-update", app, "clear"); err != nil {
		return err
	}
	return call.restartFor(ctx, app, noRestart)
}

// mostImport is how much config:import reads, in bytes.
const mostImport = 4 << 20

// configImport sets what standard input holds: lines KEY=value as config:export --format
// envfile writes them, or a JSON object. With --replace all other keys go.
func configImport(ctx context.Context, call *Call) error {
	noRestart, replace := call.flag("--no-restart"), call.flag("--replace")
	format, _, err := call.option("--format")
	if err != nil {
		return err
	}
	app, err := call.scope(ctx)
	if err != nil {
		return err
	}
	if len(call.Args) > 0 && call.Args[0] != "-" {
		return api.Errorf(api.Usage, "", "config:import reads standard input, no file of the host")
	}
	text, err := io.ReadAll(io.LimitReader(call.In, mostImport+1))
	if err != nil {
		return fmt.Errorf("read the config: %w", err)
	}
	if len(text) > mostImport {
		return api.Errorf(api.Usage, "", "the config is larger than %d MiB", mostImport>>20)
	}
	set, err := importedEnv(text, format)
	if err != nil {
		return err
	}
	if err := call.change(app, func(now *agent.Settings) error {
		if replace {
			now.Env = map[string]string{}
		}
		maps.Copy(now.Env, set)
		return nil
	}); err != nil {
		return err
	}
	call.say("Setting config vars")
	for _, key := range slices.Sorted(maps.Keys(set)) { // an import is no place to show secrets
		call.line("%s", key)
	}
	if err := call.trigger(ctx, "post-config-update", append([]string{app, "set"}, slices.Sorted(maps.Keys(set))...)...); err != nil {
		return err
	}
	return call.restartFor(ctx, app, noRestart)
}

func importedEnv(text []byte, format string) (set map[string]string, err error) {
	switch format {
	case "json":
		if err := json.Unmarshal(text, &set); err != nil {
			return nil, api.Errorf(api.Usage, "", "the config is no JSON object of strings")
		}
	case "", "envfile":
		if set, err = state.ParseEnv(text); err != nil {
			return nil, api.Errorf(api.Usage, "", "%w", err)
		}
	default:
		return nil, api.Errorf(api.Usage, "", "Unknown import format: %s", format).WithHint("envfile or json")
	}
	if len(set) == 0 {
		return nil, api.Errorf(api.Usage, "", "At least one env pair must be given")
	}
	return set, checkEnv(set)
}

// checkEnv refuses keys and values that no config may have.
func checkEnv(env map[string]string) error {
	for _, key := range slices.Sorted(maps.Keys(env)) {
		if err := manifest.EnvKey(key); err != nil {
			return api.Errorf(api.Usage, "", "%w", err)
		}
		if strings.ContainsRune(env[key], 0) {
			return api.Errorf(api.Usage, "", "the value of %s holds a NUL", key)
		}
		if len(env[key]) > 128<<10 {
			return api.Errorf(api.Usage, "", "the value of %s is longer than 128 KiB", key)
		}
	}
	return nil
}
