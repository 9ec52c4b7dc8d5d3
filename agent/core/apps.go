package core

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/agent/command"
	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/manifest"
)

// noSuchApp is the exit code by which verify_app_name ends a script.
const noSuchApp = 20

func verifyAppName(ctx context.Context, a *ask) error {
	app := a.arg(0)
	if app == "" {
		return coded{noSuchApp, api.Errorf(api.Usage, "", "Please specify an app to run the command on")}
	}
	if err := a.Host.Exists(app); err != nil {
		return coded{noSuchApp, err}
	}
	visible, err := a.Host.Visible(ctx, a.by(), []string{app})
	if err != nil {
		return err
	}
	if len(visible) == 0 {
		return coded{noSuchApp, agent.NoSuchApp(app)}
	}
	return nil
}

func isValidAppName(_ context.Context, a *ask) error {
	old := a.flag("--old")
	name := a.arg(0)
	if old {
		name = strings.ReplaceAll(name, "_", "-")
	}
	if err := manifest.AppName(name); err != nil {
		return api.Errorf(api.Usage, "", "%w", err)
	}
	return nil
}

// apps lists those that the key may see, or all for "false".
func apps(ctx context.Context, a *ask) error {
	all, err := a.appList(ctx)
	if err != nil {
		return err
	}
	if len(all) == 0 {
		return api.Errorf(api.Unclassified, "", "You haven't deployed any applications yet")
	}
	return a.say(all...)
}

func (a *ask) appList(ctx context.Context) ([]string, error) {
	all, err := a.Host.Settings.Apps()
	if err != nil {
		return nil, fmt.Errorf("list the apps: %w", err)
	}
	if a.arg(0) == "false" {
		return all, nil
	}
	return a.Host.Visible(ctx, a.by(), all)
}

func isDeployed(_ context.Context, a *ask) error { return a.deployed(a.arg(0)) }

func (a *ask) deployed(app string) error {
	if a.Host.Exists(app) != nil {
		return no
	}
	current, err := a.Host.Ledger.Current(app)
	if err != nil {
		return err
	}
	return yes(current != 0)
}

// scheduler is who runs an app's processes: this host's engine and nobody else.
func scheduler(_ context.Context, a *ask) error { return a.say("docker-local") }

func version(_ context.Context, a *ask) error { return a.say(a.Host.Version) }

// releaseAndDeploy deploys an app again: with another tag that one, else the current
// release with the settings as they are now.
func releaseAndDeploy(ctx context.Context, a *ask) error {
	if err := a.need(1, "an app"); err != nil {
		return err
	}
	if tag := a.arg(1); tag != "" && tag != latest {
		return a.do(ctx, "tags:deploy", a.arg(0), tag)
	}
	return command.ReleaseAndDeploy(ctx, a.call(a.arg(0)))
}

func availablePort(_ context.Context, a *ask) error {
	listener, err := net.Listen("tcp", ":0")
	if err != nil {
		return fmt.Errorf("find a free port: %w", err)
	}
	defer listener.Close()
	return a.say(strconv.Itoa(listener.Addr().(*net.TCPAddr).Port))
}

func triggerExists(_ context.Context, a *ask) error { return yes(a.Host.Walk.Has(a.arg(0))) }

// registryFolder is where docker finds an app's registry logins, else the host's.
func registryFolder(_ context.Context, a *ask) error {
	for _, folder := range []string{filepath.Join(a.Host.Places.Lib, "config", "registry", a.arg(0)), filepath.Join(a.Host.Places.Root, ".docker")} {
		if _, err := os.Stat(filepath.Join(folder, "config.json")); err == nil {
			return a.say(folder)
		}
	}
	return no
}

// checksOff tells whether checks of a process type are turned off in one of two ways.
func checksOff(how string) act {
	return func(_ context.Context, a *ask) error {
		settings, err := a.settings()
		if err != nil {
			return err
		}
		list := strings.Split(settings.Properties["checks/"+how], ",")
		return a.truth(slices.Contains(list, "_all_") || slices.Contains(list, a.arg(1)))
	}
}

// option changes docker options: APP PHASE[,PHASE]... OPTION.
func option(change func(h *agent.Host, app string, phases []string, option string) error) act {
	return func(_ context.Context, a *ask) error {
		if err := a.need(3, "an app, phases and an option"); err != nil {
			return err
		}
		return change(a.Host, a.args[0], strings.Split(a.args[1], ","), strings.Join(a.args[2:], " "))
	}
}
