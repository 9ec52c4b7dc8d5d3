package plugin

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"github.com/BurntSushi/toml"

	"github.com/dokku-push/dokku-push/api"
)

// description is what plugin.toml says (PLUGIN-CONTRACT 1.4).
type description struct{ version, text string }

// describe reads the plugin.toml in a plugin's folder; shown is the folder's name for
// people. A missing file and one that plugn would not understand are refused, with the
// line.
func describe(op, dir, shown string) (description, error) {
	shown = filepath.Join(shown, "plugin.toml")
	refuse := func(line int, format string, args ...any) (description, error) {
		return description{}, api.Errorf(api.Precondition, op, "%s:%d: %s", shown, line, fmt.Sprintf(format, args...)).
			WithHint("it holds [plugin] with description and version, and [plugin.config] with texts")
	}
	text, err := os.ReadFile(filepath.Join(dir, "plugin.toml"))
	if errors.Is(err, fs.ErrNotExist) {
		return refuse(1, "there is no such file: this is no plugin")
	}
	if err != nil {
		return description{}, fmt.Errorf("%s: %w", op, err)
	}
	if len(text) > 1<<20 || !utf8.Valid(text) {
		return refuse(1, "it is no text")
	}
	var file map[string]any
	if _, err := toml.Decode(string(text), &file); err != nil {
		if broken, ok := errors.AsType[toml.ParseError](err); ok {
			return refuse(broken.Position.Line, "%s", oneLine(broken.Message))
		}
		return refuse(1, "%s", oneLine(err.Error()))
	}
	table, ok := file["plugin"].(map[string]any)
	if !ok {
		return refuse(lineOf(text, "plugin"), "there is no table [plugin]")
	}
	var found description
	for key, to := range map[string]*string{"description": &found.text, "version": &found.version} {
		value, there := table[key]
		if *to, ok = value.(string); there && !ok {
			return refuse(lineOf(text, key), "%s is no text", key)
		}
	}
	if config, there := table["config"]; there {
		if _, ok := config.(map[string]any); !ok {
			return refuse(lineOf(text, "config"), "config is no table")
		}
	}
	return found, nil
}

// lineOf is the first line that a key begins; 1 where there is none.
func lineOf(text []byte, key string) int {
	number := 0
	for line := range strings.Lines(string(text)) {
		number++
		if strings.HasPrefix(strings.TrimLeft(line, " \t["), key) {
			return number
		}
	}
	return 1
}
