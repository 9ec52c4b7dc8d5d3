package hooks

import (
	"context"
	"errors"
	"io"
	"slices"

	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/triggers"
)

// plugnTrigger is `plugn trigger NAME ARGUMENT...`, as plugins call it: those of the build
// are walked. What the core answers on a host is answered where the manifest knows it.
func plugnTrigger(a *question) error {
	if a.arg(0) != "trigger" || len(a.args) < 2 {
		return needsHost("plugn " + a.arg(0))
	}
	name, args := a.args[1], a.args[2:]
	walk := &triggers.Walk{Path: valueOf(a.env, "PLUGIN_PATH"), Env: a.env, Self: valueOf(a.env, "DOKKU_SHIM_BIN")}
	if len(walk.Ships(name)) > 0 {
		err := walk.Trigger(context.Background(), name, args, triggers.Streams{In: a.In, Out: a.Out, Err: a.Err})
		if failed, ok := errors.AsType[*triggers.Failure](err); ok {
			return coded{api.Errorf(api.Unclassified, "", "%w", failed), failed.Code}
		}
		return err
	}
	a.args = args
	switch name {
	case "config-get": // the value alone, and nothing when it is not set (PLUGIN-CONTRACT 4.5)
		_, env, rest, err := a.config()
		if err != nil || len(rest) != 1 {
			return err
		}
		_, err = io.WriteString(a.Out, env[rest[0]])
		return err
	case "config-get-global":
		return nil
	case "app-exists":
		return a.app(a.arg(0))
	case "app-list":
		return a.say(a.facts.App)
	case "scheduler-detect":
		return a.say("docker-local")
	}
	if slices.ContainsFunc(triggers.Core(), func(one triggers.Trigger) bool { return one.Name == name }) {
		return needsHost("the trigger " + name)
	}
	return nil // nobody has a part in it, which is no failure
}
