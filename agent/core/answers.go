package core

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/dokku-push/dokku-push/agent"
)

// appsByTrigger is apps, but having none is an answer.
func appsByTrigger(ctx context.Context, a *ask) error {
	all, err := a.appList(ctx)
	if err != nil {
		return err
	}
	return a.say(all...)
}

func appExists(_ context.Context, a *ask) error { return yes(a.Host.Exists(a.arg(0)) == nil) }

func maybeCreate(ctx context.Context, a *ask) error {
	if a.Host.Exists(a.arg(0)) == nil {
		return nil
	}
	return a.do(ctx, "apps:create", a.args...)
}

func destroyApp(ctx context.Context, a *ask) error {
	return a.do(ctx, "apps:destroy", append(slices.Clone(a.args), "--force")...)
}

// sourceSet is APP SOURCE_TYPE METADATA.
func sourceSet(_ context.Context, a *ask) error {
	return a.change(func(now *agent.Settings) error {
		now.Properties["apps/deploy-source"], now.Properties["apps/deploy-source-metadata"] = a.arg(1), a.arg(2)
		return nil
	})
}

// property answers PLUGIN-get-property APP KEY: the app's value, else the host's, else
// what usually holds.
func property(plugin string) act {
	return func(_ context.Context, a *ask) error {
		key := strings.TrimPrefix(strings.TrimPrefix(a.arg(1), "computed-"), "global-")
		for _, app := range []string{a.arg(0), "--global"} {
			if value, ok := a.properties().Property(plugin, app, key); ok && value != "" {
				return a.say(value)
			}
		}
		if value := usualProperties()[plugin+"/"+key]; value != "" {
			return a.say(value)
		}
		return nil
	}
}

func usualProperties() map[string]string {
	return map[string]string{
		"checks/wait-to-retire": "60", "checks/default-wait": "10", "git/deploy-branch": "master", "git/rev-env-var": "GIT_REV",
		"ps/restart-policy": "on-failure:10", "ps/stop-timeout-seconds": "30", "ps/procfile-path": "Procfile", "network/bind-all-interfaces": "false",
	}
}

func setProperty(plugin string) act {
	return func(_ context.Context, a *ask) error {
		if err := a.Host.Exists(a.arg(0)); err != nil {
			return err
		}
		if a.arg(2) == "" {
			return a.properties().DeleteProperty(plugin, a.arg(0), a.arg(1))
		}
		return a.properties().SetProperty(plugin, a.arg(0), a.arg(1), a.arg(2))
	}
}

// options prints an app's docker options of a phase, each with a blank before it and no
// newline (PLUGIN-CONTRACT 1.2).
func options(phase string) act {
	return func(_ context.Context, a *ask) error {
		settings, err := a.settings()
		if err != nil {
			return err
		}
		for line := range strings.Lines(settings.Properties["docker-options/_default_."+phase]) {
			if line = strings.TrimSpace(line); line == "" {
				continue
			}
			if _, err := fmt.Fprint(a.out, " "+line); err != nil {
				return err
			}
		}
		return nil
	}
}
