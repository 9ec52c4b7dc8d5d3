package hooks

import (
	"os"
	"os/user"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"github.com/dokku-push/dokku-push/triggers"
)

// roomVariable names the room to the program that answers plugins.
const roomVariable = "DOKKU_PUSH_ROOM"

// labels are what Dokku puts on containers and images of its own.
const labels = "--label=org.label-schema.schema-version=1.0 --label=org.label-schema.vendor=dokku --label=dokku"

// environment is what plugins are promised (PLUGIN-CONTRACT 2.2), over this process's
// own. Where things are is the room's to say; of the rest what the caller set stays.
// The key to the host is none of a plugin's business.
func (r *Room) environment() []string {
	env := slices.DeleteFunc(triggers.Environment(), func(pair string) bool { return strings.HasPrefix(pair, "DOKKU_SSH_KEY=") })
	plugins, core := filepath.Join(r.lib(), "plugins"), filepath.Join(r.lib(), "core-plugins")
	logs := filepath.Join(r.lib(), "logs")
	for _, pair := range [][2]string{
		{"PATH", r.bin() + string(os.PathListSeparator) + os.Getenv("PATH")}, {"PWD", r.tree()},
		{"DOKKU_SHIM_BIN", filepath.Join(r.bin(), "dokku-push")}, {roomVariable, r.base},
		{"DOKKU_ROOT", r.root()}, {"DOKKU_HOST_ROOT", r.root()}, {"DOKKU_LIB_ROOT", r.lib()},
		{"PLUGIN_PATH", plugins}, {"PLUGIN_AVAILABLE_PATH", filepath.Join(plugins, "available")}, {"PLUGIN_ENABLED_PATH", filepath.Join(plugins, "enabled")},
		{"PLUGIN_CORE_PATH", core}, {"PLUGIN_CORE_AVAILABLE_PATH", filepath.Join(core, "available")}, {"PLUGIN_CORE_ENABLED_PATH", filepath.Join(core, "enabled")},
		{"DOKKU_LOGS_DIR", logs}, {"DOKKU_LOGS_HOST_DIR", logs}, {"DOKKU_EVENTS_LOGFILE", filepath.Join(logs, "events.log")},
		{"DOKKU_PID", strconv.Itoa(os.Getpid())}, {"DOKKU_COMMAND", "git-hook"},
	} {
		env = append(env, pair[0]+"="+pair[1])
	}
	for _, pair := range [][2]string{
		{"DOKKU_SYSTEM_USER", "dokku"}, {"DOKKU_SYSTEM_GROUP", "dokku"}, {"DOKKU_API_VERSION", "1"},
		{"DOKKU_NOT_IMPLEMENTED_EXIT", "10"}, {"DOKKU_VALID_EXIT", "0"}, {"DOCKER_BIN", "docker"}, {"DOKKU_DISTRO", distribution()},
		{"DOKKU_IMAGE", "gliderlabs/herokuish:latest-24"}, {"DOKKU_CNB_BUILDER", "heroku/builder:24"}, {"DOKKU_CONTAINER_LABEL", "dokku"},
		{"DOKKU_GLOBAL_RUN_ARGS", labels}, {"DOKKU_GLOBAL_BUILD_ARGS", labels}, {"SSH_USER", caller()}, {"SSH_NAME", "default"},
	} {
		if os.Getenv(pair[0]) == "" {
			env = append(env, pair[0]+"="+pair[1])
		}
	}
	return env
}

// caller is who runs the build.
func caller() string {
	if name := os.Getenv("USER"); name != "" {
		return name
	}
	if who, err := user.Current(); err == nil {
		return who.Username
	}
	return "dokku"
}

// distribution is the ID of /etc/os-release; elsewhere the system's name.
func distribution() string {
	text, err := os.ReadFile("/etc/os-release")
	if err != nil {
		return runtime.GOOS
	}
	for line := range strings.Lines(string(text)) {
		if id, ok := strings.CutPrefix(strings.TrimSpace(line), "ID="); ok {
			return strings.Trim(id, `"`)
		}
	}
	return runtime.GOOS
}
