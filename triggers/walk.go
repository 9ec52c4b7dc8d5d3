// Package triggers is the walk over Dokku's plugins: which file of which enabled
// plugin runs for a trigger, in which order, with which environment and
// streams, and what a failure means (PLUGIN-CONTRACT 1). Beside it stands the
// catalogue of all triggers, of which docs/triggers.md is made. It carries out no
// trigger itself: the core's part is handed in.
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
	"syscall"
	"time"

	"github.com/dokku-push/dokku-push/internal/run"
)

// eventsPlugin ships nearly every trigger only to log it; it never counts as
// somebody who implements one (PLUGIN-CONTRACT 4.6).
const eventsPlugin = "20_events"

// grace is what a hook gets to end by itself once its walk was cancelled.
const grace = 5 * time.Second

// Walk is one plugin tree.
type Walk struct {
	Path string   // $PLUGIN_PATH: enabled/, available/, config.toml
	Env  []string // the environment of every hook, without CONFIG_ variables
	// Core is what core plugins do in Go, by the plugin's name and the trigger's. A
	// handler runs where its plugin stands in the walk, in place of a file.
	Core map[string]map[string]Handler
	// Self is the program that hooks find as SELF_EXECUTABLE; empty: this one.
	Self string
	// Dir is the folder that hooks run in; empty: the caller's.
	Dir string

	folder string // of the plugins below Path; empty: enabled
}

// Handler is a core plugin's part in a trigger. An error ends the walk; one that
// wraps an *Exit says with which code, any other stands for 1.
type Handler func(ctx context.Context, call Call) error

// Call is what a handler is given: what an executable would get.
type Call struct {
	Plugin, Trigger string
	Args            []string
	Env             []string
	Streams
}

// Exit is a handler's exit code.
type Exit struct{ Code int }

func (e *Exit) Error() string { return fmt.Sprintf("exit code %d", e.Code) }

// Failure is a hook that failed and ended a walk.
type Failure struct {
	Trigger string
	Plugin  string
	Code    int // its exit code; 128 and the signal's number if one killed it; 126 if it could not be started
	Err     error
}

func (f *Failure) Error() string {
	if exit, ok := errors.AsType[*run.ExitError](f.Err); ok && exit.Cause != nil {
		return fmt.Sprintf("the plugin %s was stopped in its trigger %s: %v", f.Plugin, f.Trigger, exit.Cause)
	}
	if f.Code == cannotStart && f.Err != nil {
		return fmt.Sprintf("the plugin %s failed in its trigger %s: %v", f.Plugin, f.Trigger, f.Err)
	}
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
		if !strings.HasPrefix(entry.Name(), ".") { // what a shell's * passes over
			names = append(names, entry.Name())
		}
	}
	slices.Sort(names)
	return names, nil
}

// Ships names the enabled plugins that have the trigger as an executable. What the
// core does in Go is not among them.
func (w *Walk) Ships(trigger string) []string {
	names, err := w.Enabled()
	if err != nil {
		return nil
	}
	return slices.DeleteFunc(names, func(name string) bool {
		return name == eventsPlugin || w.handler(name, trigger) != nil || w.look(name, trigger) != executable
	})
}

// Has tells whether anybody, the core or a plugin, has a part in the trigger.
func (w *Walk) Has(trigger string) bool {
	for name, handlers := range w.Core {
		if name != eventsPlugin && handlers[trigger] != nil {
			return true
		}
	}
	return len(w.Ships(trigger)) > 0
}

// Trigger walks the enabled plugins. A file that is not executable is named on
// stderr and passed over; the first hook that fails ends the walk with a
// *Failure; a trigger that nobody ships is no failure (PLUGIN-CONTRACT 1.2).
func (w *Walk) Trigger(ctx context.Context, trigger string, args []string, streams Streams) error {
	places, err := w.places()
	if err != nil {
		return err
	}
	env, values := w.environment(), w.userValues()
	for _, plugin := range places {
		if do := w.handler(plugin, trigger); do != nil {
			call := Call{Plugin: plugin, Trigger: trigger, Args: slices.Clone(args), Env: slices.Clone(env), Streams: streams}
			if err := do(ctx, call); err != nil {
				return handlerFailure(trigger, plugin, err)
			}
			continue
		}
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
		if err := w.execute(ctx, w.file(plugin, trigger), args, env, streams); err != nil {
			return failure(trigger, plugin, err)
		}
	}
	return nil
}

// places are the names of a walk in order: the enabled plugins and the core's. The core
// cannot be disabled, so it has its place even where its folder is not laid out.
func (w *Walk) places() ([]string, error) {
	names, err := w.Enabled()
	if err != nil {
		return nil, err
	}
	for name := range w.Core {
		names = append(names, name)
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

// handler is the core's part in a trigger at a plugin's place. A plugin that somebody
// has installed under a core plugin's name takes its place altogether.
func (w *Walk) handler(plugin, trigger string) Handler {
	do := w.Core[plugin][trigger]
	if do == nil || !w.isCore(plugin) {
		return nil
	}
	return do
}

// isCore is Dokku's own test (PLUGIN-CONTRACT 1.1); what is not there is nobody else's.
func (w *Walk) isCore(plugin string) bool {
	real, err := filepath.EvalSymlinks(filepath.Join(w.Path, "enabled", plugin))
	return err != nil || strings.Contains(real, "core-plugins")
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
	case syscall.Access(w.file(plugin, trigger), 1) != nil: // 1 is X_OK: for this user, as plugn asks
		return notExecutable
	}
	return executable
}

func (w *Walk) file(plugin, trigger string) string {
	if w.folder != "" {
		return filepath.Join(w.Path, w.folder, plugin, trigger)
	}
	return filepath.Join(w.Path, "enabled", plugin, trigger)
}

// execute runs one file of a plugin.
func (w *Walk) execute(ctx context.Context, file string, args, env []string, streams Streams) error {
	command := run.Cmd{Argv: append([]string{file}, args...), Env: env, Dir: w.Dir,
		Stdin: streams.In, Stdout: streams.Out, Stderr: streams.Err, Grace: grace}
	err := command.Run(ctx)
	if errors.Is(err, syscall.ENOEXEC) {
		// plugn is a shell, and a shell reads a file without a #! line itself.
		command.Argv = append([]string{"bash", file}, args...)
		err = command.Run(ctx)
	}
	return err
}

// cannotStart is a shell's exit code for a file that cannot be executed.
const cannotStart = 126

func failure(trigger, plugin string, err error) *Failure {
	f := &Failure{Trigger: trigger, Plugin: plugin, Code: cannotStart, Err: err}
	if exit, ok := errors.AsType[*run.ExitError](err); ok {
		f.Code = exit.Code
	}
	return f
}

func handlerFailure(trigger, plugin string, err error) *Failure {
	f := &Failure{Trigger: trigger, Plugin: plugin, Code: 1, Err: err}
	if exit, ok := errors.AsType[*Exit](err); ok {
		f.Code = exit.Code
	}
	return f
}
