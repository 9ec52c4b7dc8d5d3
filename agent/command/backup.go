package command

import (
	"archive/tar"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/agent/state"
	"github.com/dokku-push/dokku-push/api"
)

// backupCommands are the rows of this noun.
func backupCommands() []Command {
	return []Command{
		{"backup:export", "[<app>]", "Write the settings of an app, or of every app, secrets included, as a tar to standard output", backupExport},
		{"backup:import", "[--no-restart] [<app>]", "Take over the settings that a tar on standard input holds of an app, or of every app in it", backupImport},
	}
}

// The two files of a backup. An archive is asked for these names and never believed any
// other.
const (
	backupEnv      = "ENV"
	backupSettings = "settings.json"
	mostBackup     = 8 << 20 // bytes of one file
	mostBackups    = 8 * mostBackup
)

// backup is the settings of an app but for its config, which is a file of its own.
type backup struct {
	Version    int               `json:"version"`
	App        string            `json:"app"` // whose it was; nothing is decided by it
	Domains    []string          `json:"domains"`
	Ports      []string          `json:"ports"`
	Scale      map[string]int    `json:"scale"`
	Properties map[string]string `json:"properties"`
}

// backupExport writes one app's two files, or those of every app below its name.
func backupExport(ctx context.Context, call *Call) error {
	apps, every, err := call.backedUp(ctx)
	if err != nil {
		return err
	}
	if len(call.Args) > 0 {
		return api.Errorf(api.Usage, "", "a backup is written to standard output, not to a file of the host").WithHint("backup:export %s > %s.tar", apps[0], apps[0])
	}
	out := tar.NewWriter(call.Out)
	for _, app := range apps {
		under := ""
		if every {
			under = app + "/"
		}
		if err := call.writeBackup(out, app, under); err != nil {
			return fmt.Errorf("write the backup of %s: %w", app, err)
		}
	}
	return out.Close()
}

// backedUp is the app that is named, or every app that the caller may see.
func (c *Call) backedUp(ctx context.Context) (apps []string, every bool, err error) {
	if c.App == "" && len(c.Args) == 0 {
		apps, err = c.visibleApps(ctx)
		return apps, true, err
	}
	app, err := c.app(ctx)
	return []string{app}, false, err
}

func (c *Call) writeBackup(out *tar.Writer, app, under string) error {
	settings, err := c.settings(app)
	if err != nil {
		return err
	}
	env, err := state.FormatEnv(settings.Env)
	if err != nil {
		return err
	}
	kept := maps.Clone(settings.Properties)
	for _, property := range notBackedUp {
		delete(kept, property)
	}
	text, err := json.MarshalIndent(backup{Version: 1, App: app, Domains: settings.Domains, Ports: settings.Ports, Scale: settings.Scale, Properties: kept}, "", "  ")
	if err != nil {
		return err
	}
	for _, file := range []struct {
		name string
		text []byte
	}{{backupSettings, append(text, '\n')}, {backupEnv, env}} {
		header := &tar.Header{Name: under + file.name, Mode: 0o600, Size: int64(len(file.text)), Typeflag: tar.TypeReg, ModTime: time.Now().Truncate(time.Second)}
		if err := out.WriteHeader(header); err != nil {
			return err
		}
		if _, err := out.Write(file.text); err != nil {
			return err
		}
	}
	return nil
}

// notBackedUp says what an app is at the moment, not how it is set.
var notBackedUp = []string{agent.SigningRequired, agent.AllowedSigners, "apps/created-at", "apps/locked", "app-json/heroku.postdeploy", "common/deployed", "ports/map-detected", "ps/restore",
	"apps/deploy-source", "apps/deploy-source-metadata", agent.ReviewParent, agent.ReviewBranch, agent.ReviewExpires, agent.ReviewGoing, agent.ReviewKeys}

// backupImport takes over one app's settings, or those of every app of the archive, which
// are made where they are not there. All of it is looked at before anything is changed.
func backupImport(ctx context.Context, call *Call) error {
	noRestart, every := call.flag("--no-restart"), call.App == "" && len(call.Args) == 0
	app := ""
	if !every {
		var err error
		if app, err = call.app(ctx); err == nil {
			err = call.noMore()
		}
		if err != nil {
			return err
		}
	}
	files, err := readBackup(call.In)
	if err != nil {
		return err
	}
	archive, err := call.chosen(ctx, files, app)
	if err != nil {
		return err
	}
	for _, one := range archive {
		if err := call.restoreBackup(ctx, one, noRestart); err != nil {
			if every {
				return fmt.Errorf("import %s: %w", one.App, err)
			}
			return err
		}
	}
	return nil
}

func (c *Call) restoreBackup(ctx context.Context, one saved, noRestart bool) error {
	if c.Host.Exists(one.App) != nil {
		if err := c.Host.Create(ctx, one.App); err != nil {
			return err
		}
		c.say("Creating %s...", one.App)
	}
	if err := c.change(one.App, func(now *agent.Settings) error {
		own := map[string]string{}
		for _, property := range notBackedUp {
			if value, ok := now.Properties[property]; ok {
				own[property] = value
			}
		}
		now.Env, now.Domains, now.Ports, now.Scale = one.env, one.Domains, one.Ports, one.Scale
		now.Properties = one.Properties
		if now.Properties == nil {
			now.Properties = map[string]string{}
		}
		maps.Copy(now.Properties, own)
		return nil
	}); err != nil {
		return err
	}
	c.say("Imported the settings of %s", one.App)
	if err := c.trigger(ctx, "post-config-update", append([]string{one.App, "set"}, slices.Sorted(maps.Keys(one.env))...)...); err != nil {
		return err
	}
	return c.restartFor(ctx, one.App, noRestart)
}
