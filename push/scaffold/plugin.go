package scaffold

import (
	"embed"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"strings"

	"github.com/dokku-push/dokku-push/api"
)

// skeleton is a plugin that says hello: @NAME@ stands for its name, @VAR@ for the same as
// a word of the shell.
//
//go:embed all:plugin
var skeleton embed.FS

// pluginName is a name under which Dokku installs a plugin, in its usual form.
var pluginName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,40}$`)

// Plugin drafts a new plugin in dir, which is absolute.
func Plugin(dir, name string) ([]File, error) {
	if !pluginName.MatchString(name) {
		return nil, api.Errorf(api.Usage, "name the plugin", "%q is no plugin name", name).WithHint("small letters, digits and -, at most 41: clock")
	}
	var files []File
	words := strings.NewReplacer("@NAME@", name, "@VAR@", name)
	err := fs.WalkDir(skeleton, "plugin", func(file string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := skeleton.ReadFile(file)
		if err != nil {
			return err
		}
		mode := fs.FileMode(0o755)
		if base := path.Base(file); strings.Contains(base, ".") || base == "functions" {
			mode = 0o644
		}
		files = append(files, File{Dir: dir, Name: strings.TrimPrefix(file, "plugin/"), Text: words.Replace(string(text)), Mode: mode})
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("draft the plugin: %w", err)
	}
	return files, nil
}
