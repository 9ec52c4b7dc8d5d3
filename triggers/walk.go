// Package triggers is the walk over Dokku's plugins: which file of which enabled
// plugin runs for a trigger, in which order, with which environment and
// streams, and what a failure means (PLUGIN-CONTRACT 1). It knows nothing of what
// any trigger is for.
package triggers

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/BurntSushi/toml"

	"github.com/dokku-push/dokku-push/internal/run"
)

// eventsPlugin ships nearly every trigger only to log it; it never counts as
// somebody who implements one (PLUGIN-CONTRACT 4.6).
const eventsPlugin = "20_events"

// Walk is one plugin tree.
type Walk struct {
	Path string   // $PLUGIN_PATH: enabled/, available/, config.toml
	Env  []string // the environment of every hook, without CONFIG_ variables
}

// Failure is a hook that failed and ended a walk.
type Failure struct {
	Trigger string
	Plugin  string
	Code    int // its exit code; 128 and the signal's number if one killed it
	Err     error
}

func (f *Failure) Error() string {
	return fmt.Sprintf("the plugin %s failed in its trigger %s: exit code %d", f.Plugin, f.Trigger, f.Code)
}

// Unwrap gives what starting or waiting for the hook said.
func (f *Failure) Unwrap() error { return f.Err }

// Streams are a hook's three. Every hook of a walk gets the same ones in turn: the
// first that reads stdin drains it, and what they print stands in walk order.
type Streams struct {
	In       io.Reader
	Out, Err io.Writer
}

// Enabled lists the enabled plugins in the order of the walk: by bytes.
func (w *Walk) Enabled() ([]string, error) {
	entries, err := os.ReadDir(filepath.Join(w.Path, "enabled"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list the enabled plugins: %w", err)
	}
	var names []string
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	slices.Sort(names)
	return names, nil
}

// Ships names the enabled plugins that have the trigger as an executable.
func (w *Walk) Ships(trigger string) []string {
	names, err := w.Enabled()
	if err != nil {
		return nil
	}
	return slices.DeleteFunc(names, func(name string) bool {
		state := w.look(name, trigger)
		return state != executable || name == eventsPlugin
	})
}

// fileState is what a plugin has under a trigger's name.
type fileState int

const (
	absent fileState = iota
	notExecutable
	executable
)

func (w *Walk) look(plugin, trigger string) fileState {
	info, err := os.Stat(w.file(plugin, trigger))
	switch {
	case err != nil || !info.Mode().IsRegular():
		return absent
	case info.Mode()&0o111 == 0:
		return notExecutable
	}
	return executable
}

func (w *Walk) file(plugin, trigger string) string {
	return filepath.Join(w.Path, "enabled", plugin, trigger)
}

// Trigger walks the enabled plugins. A file that is not executable is named on
// stderr and passed over; the first hook that fails ends the walk with a
// *Failure; a trigger that nobody ships is no failure (PLUGIN-CONTRACT 1.2).
func (w *Walk) Trigger(ctx context.Context, trigger string, args []string, streams Streams) error {
	names, err := w.Enabled()
	if err != nil {
		return err
	}
	env := append(slices.Clone(w.Env), "PLUGIN_PATH="+w.Path)
	values := w.userValues()
	for _, plugin := range names {
		switch w.look(plugin, trigger) {
		case absent:
			continue
		case notExecutable:
			if streams.Err != nil {
				fmt.Fprintf(streams.Err, "Trigger '%s' is not executable, skipping plugin (%s)\n", trigger, plugin)
			}
			continue
		}
		env = append(env, w.config(plugin, values)...) // they add up over the walk, as plugn's do
		command := run.Cmd{Argv: append([]string{w.file(plugin, trigger)}, args...), Env: env,
			Stdin: streams.In, Stdout: streams.Out, Stderr: streams.Err, Grace: 5 * time.Second}
		if err := command.Run(ctx); err != nil {
			return failure(trigger, plugin, err)
		}
	}
	return nil
}

func failure(trigger, plugin string, err error) error {
	f := &Failure{Trigger: trigger, Plugin: plugin, Code: 126, Err: err}
	if exit, ok := errors.AsType[*run.ExitError](err); ok {
		f.Code = exit.Code
	}
	return f
}

// userValues reads config.toml: what `plugn config set` wrote, by plugin.
func (w *Walk) userValues() map[string]map[string]any {
	values := map[string]map[string]any{}
	// A broken file means no values, as in plugn; the defaults still hold.
	if _, err := toml.DecodeFile(filepath.Join(w.Path, "config.toml"), &values); err != nil {
		return nil
	}
	return values
}

// config returns CONFIG_KEY=value for each key of the plugin's plugin.toml: from the
// environment as PLUGIN_KEY, else from config.toml, else the default there
// (PLUGIN-CONTRACT 1.3).
func (w *Walk) config(plugin string, values map[string]map[string]any) []string {
	var file struct {
		Plugin struct {
			Config map[string]any `toml:"config"`
		} `toml:"plugin"`
	}
	if _, err := toml.DecodeFile(w.file(plugin, "plugin.toml"), &file); err != nil {
		return nil
	}
	var env []string
	for key, value := range file.Plugin.Config {
		if set, ok := values[plugin][key]; ok {
			value = set
		}
		if set, ok := lookup(w.Env, variable(plugin)+"_"+variable(key)); ok {
			value = set
		}
		env = append(env, fmt.Sprintf("CONFIG_%s=%v", variable(key), value))
	}
	slices.Sort(env)
	return env
}

func variable(name string) string {
	return strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
}

func lookup(env []string, key string) (string, bool) {
	for _, pair := range slices.Backward(env) {
		if value, ok := strings.CutPrefix(pair, key+"="); ok {
			return value, true
		}
	}
	return "", false
}

// Environment is the process's own without what plugn takes away.
func Environment() []string {
	return slices.DeleteFunc(os.Environ(), func(pair string) bool { return strings.HasPrefix(pair, "BASH_ENV=") })
}
