package hooks

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/internal/atomicfile"
)

// This file is Dokku's property store (PLUGIN-CONTRACT 5.3) for the time of one build: a
// file for each property of a plugin, for the app or --global; a list is a file with one
// value a line. Nothing of it reaches a host.

// mostInput is the most that is read from stdin, in bytes.
const mostInput = 4 << 20

// place is where the property of the first three arguments is, or what the first ones
// name of it.
func (a *question) place(names ...string) (string, error) {
	for _, name := range names {
		if name == "" || strings.HasPrefix(name, ".") || strings.ContainsAny(name, "/\x00\n") || len(name) > 200 {
			return "", api.Errorf(api.Usage, "", "%q cannot be the name of a property, plugin or app", name)
		}
	}
	return filepath.Join(append([]string{a.room, "lib", "config"}, names...)...), nil
}

// property reads the property of the first three arguments.
func (a *question) property() (value string, set bool, err error) {
	file, err := a.place(a.arg(0), a.arg(1), a.arg(2))
	if err != nil {
		return "", false, err
	}
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return "", false, nil
	}
	return strings.TrimSuffix(string(text), "\n"), err == nil, err
}

// write writes it.
func (a *question) write(value string) error {
	file, err := a.place(a.arg(0), a.arg(1), a.arg(2))
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	return atomicfile.WriteFile(file, []byte(value), 0o600)
}

func propSetup(a *question) error {
	names := []string{a.arg(0)}
	if a.arg(1) != "" {
		names = append(names, a.arg(1))
	}
	folder, err := a.place(names...)
	if err != nil {
		return err
	}
	return os.MkdirAll(folder, 0o755)
}

func propGet(a *question) error {
	value, set, err := a.property()
	if err != nil {
		return err
	}
	if !set {
		return errNo
	}
	return a.say(value)
}

func propGetDefault(a *question) error {
	value, _, err := a.property()
	if err != nil {
		return err
	}
	if value == "" {
		value = a.arg(3)
	}
	if value == "" {
		return nil
	}
	return a.say(value)
}

// propGetAll prints all of a plugin's properties, or those that begin with a prefix.
func propGetAll(a *question) error {
	folder, err := a.place(a.arg(0), a.arg(1))
	if err != nil {
		return err
	}
	entries, err := os.ReadDir(folder)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, entry := range entries {
		if !strings.HasPrefix(entry.Name(), a.arg(2)) {
			continue
		}
		text, err := os.ReadFile(filepath.Join(folder, entry.Name()))
		if err != nil {
			return err
		}
		if err := a.say(entry.Name() + " " + strings.TrimSuffix(string(text), "\n")); err != nil {
			return err
		}
	}
	return nil
}

func propExists(a *question) error {
	_, set, err := a.property()
	if err == nil && !set {
		return errNo
	}
	return err
}

func propSet(a *question) error {
	value, err := a.input()
	if err != nil {
		return err
	}
	return a.write(value)
}

// input reads what stdin holds.
func (a *question) input() (string, error) {
	text, err := io.ReadAll(io.LimitReader(a.In, mostInput+1))
	if err != nil {
		return "", fmt.Errorf("read standard input: %w", err)
	}
	if len(text) > mostInput {
		return "", api.Errorf(api.Usage, "read standard input", "it is longer than %d bytes", mostInput)
	}
	return string(text), nil
}

func propDelete(a *question) error {
	file, err := a.place(a.arg(0), a.arg(1), a.arg(2))
	if err != nil {
		return err
	}
	return atomicfile.Remove(file)
}

// propDestroy forgets what a plugin keeps for an app, or for all of them.
func propDestroy(a *question) error {
	names := []string{a.arg(0), a.arg(1)}
	if a.arg(1) == "_all_" {
		names = names[:1]
	}
	folder, err := a.place(names...)
	if err != nil {
		return err
	}
	return os.RemoveAll(folder)
}

func propClone(a *question) error {
	from, err := a.place(a.arg(0), a.arg(1))
	if err != nil {
		return err
	}
	to, err := a.place(a.arg(0), a.arg(2))
	if err != nil || !isFolder(from) {
		return err
	}
	if err := os.RemoveAll(to); err != nil {
		return err
	}
	return os.CopyFS(to, os.DirFS(from))
}

// Lists.

func (a *question) list() ([]string, error) {
	value, _, err := a.property()
	if err != nil || value == "" {
		return nil, err
	}
	return strings.Split(value, "\n"), nil
}

func (a *question) setList(values []string) error {
	text := strings.Join(values, "\n")
	if text != "" {
		text += "\n"
	}
	return a.write(text)
}

// at is the index that an argument names, if the list has it.
func (a *question) at(n int, values []string) (int, error) {
	index, err := strconv.Atoi(a.arg(n))
	if err != nil || index < 0 || index >= len(values) {
		return 0, api.Errorf(api.Usage, "", "the list has no index %q", a.arg(n))
	}
	return index, nil
}

func listPush(a *question) error {
	values, err := a.list()
	if err != nil {
		return err
	}
	index := len(values)
	if said := a.arg(4); said != "" {
		if index, err = strconv.Atoi(said); err != nil || index < 0 {
			return api.Errorf(api.Usage, "", "%q is no index", said)
		}
	}
	return a.setList(slices.Insert(values, min(index, len(values)), a.arg(3)))
}

func listRange(a *question) error {
	values, err := a.list()
	if err != nil {
		return err
	}
	return a.say(values...)
}

func listIndex(a *question) error {
	values, err := a.list()
	if err != nil {
		return err
	}
	index, err := a.at(3, values)
	if err != nil {
		return errNo
	}
	return a.say(values[index])
}

func listHas(a *question) error {
	values, err := a.list()
	if err == nil && !slices.Contains(values, a.arg(3)) {
		err = api.Errorf(api.Usage, "", "%s is not in the list", a.arg(3))
	}
	return err
}

func listLength(a *question) error {
	values, err := a.list()
	if err != nil {
		return err
	}
	return a.say(strconv.Itoa(len(values)))
}

func listRemove(a *question) error {
	values, err := a.list()
	if err != nil {
		return err
	}
	return a.setList(slices.DeleteFunc(values, func(value string) bool { return value == a.arg(3) }))
}

func listRemovePrefix(a *question) error {
	values, err := a.list()
	if err != nil {
		return err
	}
	return a.setList(slices.DeleteFunc(values, func(value string) bool { return strings.HasPrefix(value, a.arg(3)) }))
}

func listSet(a *question) error {
	values, err := a.list()
	if err != nil {
		return err
	}
	index, err := a.at(3, values)
	if err != nil {
		return err
	}
	values[index] = a.arg(4)
	return a.setList(values)
}

func listWrite(a *question) error {
	text, err := a.input()
	if err != nil {
		return err
	}
	return a.setList(strings.FieldsFunc(text, func(c rune) bool { return c == '\n' }))
}
