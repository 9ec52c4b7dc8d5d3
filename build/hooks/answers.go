package hooks

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/manifest"
	"github.com/dokku-push/dokku-push/triggers"
	"github.com/dokku-push/dokku-push/triggers/shim"
)

// This file answers what the shell files ask that plugins source (triggers/shim says what
// each question is): from the manifest and from what the plugins themselves have kept in
// this build. What only a host could say is refused by name.

// Exit codes of answers beside 0 and 1.
const (
	noSuchApp       = 20
	unknownFunction = 127
)

// Streams are what a question is asked with. None of them is nil.
type Streams struct {
	In       io.Reader
	Out, Err io.Writer
}

// Asked tells whether a process that was started with env is to answer a plugin.
func Asked(env []string) bool { return valueOf(env, roomVariable) != "" }

// Answer answers `shim NAME ARGUMENT...` and returns the exit code. env is the asking
// script's environment, which leads to the room.
func Answer(args, env []string, streams Streams) int {
	a := &question{env: env, Streams: streams, room: valueOf(env, roomVariable)}
	if err := a.load(); err != nil {
		return a.end(err)
	}
	table := answers()
	for _, count := range []int{2, 1} {
		if len(args) < count {
			continue
		}
		if do := table[strings.Join(args[:count], " ")]; do != nil {
			a.args = args[count:]
			return a.end(do(a))
		}
	}
	for _, one := range shim.Functions() {
		name := strings.Fields(one.Name)
		if len(args) >= len(name) && slices.Equal(name, args[:len(name)]) {
			return a.end(needsHost(one.Name))
		}
	}
	fmt.Fprintf(streams.Err, " !     %q is no function of the core\n", strings.Join(args, " "))
	return unknownFunction
}

// question is one question of a plugin.
type question struct {
	Streams
	args  []string
	env   []string
	room  string
	facts facts
}

// no is an answer without words.
var errNo = errors.New("no")

func (a *question) load() error {
	text, err := os.ReadFile(filepath.Join(a.room, factsFile))
	if err != nil {
		return fmt.Errorf("read what the build knows: %w", err)
	}
	return json.Unmarshal(text, &a.facts)
}

// coded is an error with an exit code of its own.
type coded struct {
	error
	code int
}

// end says what is wrong, each line behind Dokku's mark, and returns the exit code.
func (a *question) end(err error) int {
	if err == nil {
		return 0
	}
	if errors.Is(err, errNo) {
		return 1
	}
	code := 1
	if with, ok := errors.AsType[coded](err); ok {
		code, err = with.code, with.error
	}
	problem := api.AsError(err)
	for _, text := range []string{problem.Error(), problem.Hint} {
		for line := range strings.Lines(text) {
			fmt.Fprintf(a.Err, " !     %s\n", strings.TrimRight(line, "\n"))
		}
	}
	return code
}

// needsHost refuses what cannot be said where an image is built.
func needsHost(name string) error {
	return api.Errorf(api.Usage, "", "%s needs a host, and this is where the image is built", name).
		WithHint("a trigger that runs on the host can call it: the host has the plugin by dokku plugin:install")
}

func (a *question) arg(n int) string {
	if n < len(a.args) {
		return a.args[n]
	}
	return ""
}

func (a *question) say(values ...string) error {
	for _, value := range values {
		if _, err := fmt.Fprintln(a.Out, value); err != nil {
			return err
		}
	}
	return nil
}

// app refuses an app that is not the one of this build.
func (a *question) app(name string) error {
	if name == "" {
		return coded{api.Errorf(api.Usage, "", "Please specify an app to run the command on"), noSuchApp}
	}
	if name != a.facts.App {
		return coded{api.Errorf(api.NotFound, "", "App %s does not exist", name), noSuchApp}
	}
	return nil
}

// answer answers one function.
type answer func(*question) error

// answers are those that need no host, by the function's name.
func answers() map[string]answer {
	return map[string]answer{
		"verify_app_name":    func(a *question) error { return a.app(a.arg(0)) },
		"is_valid_app_name":  isValidAppName,
		"dokku_apps":         func(a *question) error { return a.say(a.facts.App) },
		"get_app_scheduler":  func(a *question) error { return a.say("docker-local") },
		"dokku_version":      func(a *question) error { return a.say(a.facts.Version) },
		"get_app_image_repo": func(a *question) error { return a.say("dokku/" + a.arg(0)) },
		"get_app_image_name": imageName,

		"plugn-trigger-exists": triggerExists,

		"prop setup": propSetup, "prop setup-app": propSetup,
		"prop get": propGet, "prop get-with-default": propGetDefault, "prop get-all": propGetAll, "prop get-all-by-prefix": propGetAll,
		"prop exists": propExists, "prop set": propSet, "prop del": propDelete, "prop destroy": propDestroy, "prop clone": propClone,
		"prop rpush": listPush, "prop lrange": listRange, "prop lindex": listIndex, "prop lismember": listHas, "prop llen": listLength,
		"prop lrem": listRemove, "prop lrem-by-prefix": listRemovePrefix, "prop lset": listSet, "prop lwrite": listWrite,

		"config get": configGet, "config keys": configKeys, "config show": configShow, "config export": configExport,

		// Programs that plugins call by name; the room has scripts of these names.
		"dokku": func(a *question) error { return needsHost("dokku " + a.arg(0)) },
		"plugn": plugnTrigger,
	}
}

func isValidAppName(a *question) error {
	name := a.arg(0)
	if name == "--old" {
		name = strings.ReplaceAll(a.arg(1), "_", "-")
	}
	if err := manifest.AppName(name); err != nil {
		return api.Errorf(api.Usage, "", "%w", err)
	}
	return nil
}

// imageName is the name that the host will give the image. Whether a tag or another
// repository has one, the host knows.
func imageName(a *question) error {
	if err := a.app(a.arg(0)); err != nil {
		return err
	}
	if a.arg(1) != "" || a.arg(2) != "" {
		return needsHost("get_app_image_name with a tag or a repository")
	}
	return a.say("dokku/" + a.arg(0) + ":latest")
}

func triggerExists(a *question) error {
	walk := &triggers.Walk{Path: valueOf(a.env, "PLUGIN_PATH")}
	if len(walk.Ships(a.arg(0))) == 0 {
		return errNo
	}
	return nil
}

// valueOf looks a variable up; the last of a name wins.
func valueOf(env []string, key string) string {
	for _, pair := range slices.Backward(env) {
		if value, ok := strings.CutPrefix(pair, key+"="); ok {
			return value
		}
	}
	return ""
}
