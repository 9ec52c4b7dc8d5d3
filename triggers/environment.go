package triggers

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"
)

// This file is a hook's environment (PLUGIN-CONTRACT 1.3): what the caller has, what
// plugn adds, and the CONFIG_ variables of plugin.toml and config.toml.

// Environment is the process's own without what plugn takes away.
func Environment() []string { return withoutBashEnv(os.Environ()) }

func withoutBashEnv(env []string) []string {
	return slices.DeleteFunc(slices.Clone(env), func(pair string) bool { return strings.HasPrefix(pair, "BASH_ENV=") })
}

// environment is what every hook of a walk starts with.
func (w *Walk) environment() []string {
	self := w.Self
	if self == "" {
		self, _ = os.Executable() // without one SELF_EXECUTABLE is empty
	}
	return append(withoutBashEnv(w.Env), "PLUGIN_PATH="+w.Path, "SELF="+filepath.Base(self), "SELF_EXECUTABLE="+self)
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
// environment as PLUGIN_KEY, else from config.toml, else the default there. A hook
// runs all the same when its plugin.toml is missing or broken.
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
