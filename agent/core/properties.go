package core

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/internal/atomicfile"
)

// mostInput is the most that is read from stdin, in bytes.
const mostInput = 4 << 20

func propSetup(_ context.Context, a *ask) error { return a.properties().SetupProperties(a.arg(0)) }

func propSetupApp(_ context.Context, a *ask) error {
	if _, err := a.properties().Properties(a.arg(0), a.arg(1)); err != nil { // it knows good names from bad
		return err
	}
	return atomicfile.MkdirAll(filepath.Dir(a.Host.Places.Property(a.arg(0), a.arg(1), "any")), 0o755)
}

func propGet(_ context.Context, a *ask) error {
	value, ok := a.properties().Property(a.arg(0), a.arg(1), a.arg(2))
	if !ok {
		return no
	}
	return a.say(value)
}

func propGetDefault(_ context.Context, a *ask) error {
	value, ok := a.properties().Property(a.arg(0), a.arg(1), a.arg(2))
	if !ok { // an empty value is one
		value = a.arg(3)
	}
	if value == "" {
		return nil
	}
	return a.say(value)
}

// propGetAll prints all of a plugin's properties, or those that begin with a prefix.
func propGetAll(_ context.Context, a *ask) error {
	all, err := a.properties().Properties(a.arg(0), a.arg(1))
	if err != nil {
		return err
	}
	for _, key := range slices.Sorted(maps.Keys(all)) {
		if !strings.HasPrefix(key, a.arg(2)) {
			continue
		}
		if err := a.say(key + " " + all[key]); err != nil {
			return err
		}
	}
	return nil
}

func propExists(_ context.Context, a *ask) error {
	_, ok := a.properties().Property(a.arg(0), a.arg(1), a.arg(2))
	return yes(ok)
}

func propSet(_ context.Context, a *ask) error {
	value, err := a.input()
	if err != nil {
		return err
	}
	return a.properties().SetProperty(a.arg(0), a.arg(1), a.arg(2), value)
}

// input reads what stdin holds.
func (a *ask) input() (string, error) {
	text, err := io.ReadAll(io.LimitReader(a.in, mostInput+1))
	if err != nil {
		return "", fmt.Errorf("read standard input: %w", err)
	}
	if len(text) > mostInput {
		return "", api.Errorf(api.Usage, "read standard input", "it is longer than %d bytes", mostInput)
	}
	return string(text), nil
}

func propDel(_ context.Context, a *ask) error {
	return a.properties().DeleteProperty(a.arg(0), a.arg(1), a.arg(2))
}

func propDestroy(_ context.Context, a *ask) error {
	return a.properties().DestroyProperties(a.arg(0), a.arg(1))
}

func propClone(_ context.Context, a *ask) error {
	return a.properties().CloneProperties(a.arg(0), a.arg(1), a.arg(2))
}

// Lists.

func (a *ask) list() ([]string, error) {
	return a.properties().ListProperty(a.arg(0), a.arg(1), a.arg(2))
}

func (a *ask) setList(values []string) error {
	return a.properties().SetListProperty(a.arg(0), a.arg(1), a.arg(2), values)
}

func propPush(_ context.Context, a *ask) error {
	index := -1
	if text := a.arg(4); text != "" {
		var err error
		if index, err = strconv.Atoi(text); err != nil {
			return api.Errorf(api.Usage, "add to a list", "%q is no index", text)
		}
	}
	return a.properties().AddListProperty(a.arg(0), a.arg(1), a.arg(2), a.arg(3), index)
}

func propRange(_ context.Context, a *ask) error {
	values, err := a.list()
	if err != nil {
		return err
	}
	return a.say(values...)
}

// at is the index that the fourth argument names, if the list has it.
func (a *ask) at(values []string) (int, bool) {
	index, err := strconv.Atoi(a.arg(3))
	return index, err == nil && index >= 0 && index < len(values)
}

func propIndex(_ context.Context, a *ask) error {
	values, err := a.list()
	if err != nil {
		return err
	}
	index, ok := a.at(values)
	if !ok {
		return no
	}
	return a.say(values[index])
}

func propIsMember(_ context.Context, a *ask) error {
	values, err := a.list()
	if err != nil {
		return err
	}
	if !slices.Contains(values, a.arg(3)) {
		return api.Errorf(api.Unclassified, "", "%s is not in the list", a.arg(3))
	}
	return nil
}

func propLength(_ context.Context, a *ask) error {
	values, err := a.list()
	if err != nil {
		return err
	}
	return a.say(strconv.Itoa(len(values)))
}

func propRemove(_ context.Context, a *ask) error {
	return a.properties().RemoveListProperty(a.arg(0), a.arg(1), a.arg(2), a.arg(3))
}

func propRemovePrefix(_ context.Context, a *ask) error {
	values, err := a.list()
	if err != nil {
		return err
	}
	return a.setList(slices.DeleteFunc(values, func(value string) bool { return strings.HasPrefix(value, a.arg(3)) }))
}

func propSetAt(_ context.Context, a *ask) error {
	values, err := a.list()
	if err != nil {
		return err
	}
	index, ok := a.at(values)
	if !ok {
		return api.Errorf(api.Usage, "change a list", "it has no index %q", a.arg(3))
	}
	values[index] = a.arg(4)
	return a.setList(values)
}

func propWrite(_ context.Context, a *ask) error {
	text, err := a.input()
	if err != nil {
		return err
	}
	return a.setList(strings.FieldsFunc(text, func(c rune) bool { return c == '\n' }))
}

// propMigrate moves a config key of each app, and one of the host, into a property.
func propMigrate(_ context.Context, a *ask) error {
	all, err := a.Host.Settings.Apps()
	if err != nil {
		return fmt.Errorf("list the apps: %w", err)
	}
	var failures []error
	for _, app := range all {
		failures = append(failures, a.migrate(app, a.arg(2)))
	}
	if key := a.arg(3); key != "" {
		failures = append(failures, a.migrate("--global", key))
	}
	return errors.Join(failures...)
}

func (a *ask) migrate(app, key string) error {
	settings, err := a.settingsOf(app)
	if err != nil {
		return err
	}
	value, ok := settings.Env[key]
	if !ok {
		return nil
	}
	if err := a.properties().SetProperty(a.arg(0), app, a.arg(1), value); err != nil {
		return err
	}
	_, _, err = a.Host.Settings.Change(app, func(now *agent.Settings) error {
		delete(now.Env, key)
		return nil
	})
	if err != nil {
		return fmt.Errorf("write the config of %s: %w", app, err)
	}
	return nil
}
