package command

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/agent/state"
	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/manifest"
)

// backupCommands are the rows of this noun.
func backupCommands() []Command {
	return []Command{
		{"backup:export", "<app>", "Write the settings of an app, secrets included, as a tar to standard output", backupExport},
		{"backup:import", "[--no-restart] <app>", "Take over the settings that a tar on standard input holds", backupImport},
	}
}

// The two files of a backup. An archive is asked for these names and never believed any
// other.
const (
	backupEnv      = "ENV"
	backupSettings = "settings.json"
	mostBackup     = 8 << 20 // bytes of one file
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

func backupExport(ctx context.Context, call *Call) error {
	app, err := call.app(ctx)
	if err != nil {
		return err
	}
	if len(call.Args) > 0 {
		return api.Errorf(api.Usage, "", "a backup is written to standard output, not to a file of the host").WithHint("backup:export %s > %s.tar", app, app)
	}
	settings, err := call.settings(app)
	if err != nil {
		return err
	}
	env, err := state.FormatEnv(settings.Env)
	if err != nil {
		return fmt.Errorf("write the config: %w", err)
	}
	kept := maps.Clone(settings.Properties)
	for _, property := range notBackedUp {
		delete(kept, property)
	}
	text, err := json.MarshalIndent(backup{Version: 1, App: app, Domains: settings.Domains, Ports: settings.Ports, Scale: settings.Scale, Properties: kept}, "", "  ")
	if err != nil {
		return fmt.Errorf("write the settings: %w", err)
	}
	out := tar.NewWriter(call.Out)
	for _, file := range []struct {
		name string
		text []byte
	}{{backupSettings, append(text, '\n')}, {backupEnv, env}} {
		header := &tar.Header{Name: file.name, Mode: 0o600, Size: int64(len(file.text)), Typeflag: tar.TypeReg, ModTime: time.Now().Truncate(time.Second)}
		if err := out.WriteHeader(header); err != nil {
			return fmt.Errorf("write the backup: %w", err)
		}
		if _, err := out.Write(file.text); err != nil {
			return fmt.Errorf("write the backup: %w", err)
		}
	}
	return out.Close()
}

// notBackedUp says what an app is at the moment, not how it is set.
var notBackedUp = []string{agent.SigningRequired, agent.AllowedSigners, "apps/created-at", "apps/locked", "app-json/heroku.postdeploy", "common/deployed", "ports/map-detected", "ps/restore",
	"apps/deploy-source", "apps/deploy-source-metadata", agent.ReviewParent, agent.ReviewBranch, agent.ReviewExpires, agent.ReviewGoing, agent.ReviewKeys}

func backupImport(ctx context.Context, call *Call) error {
	noRestart := call.flag("--no-restart")
	app, err := call.app(ctx)
	if err == nil {
		err = call.noMore()
	}
	if err != nil {
		return err
	}
	files, err := readBackup(call.In)
	if err != nil {
		return err
	}
	var kept backup
	in := json.NewDecoder(bytes.NewReader(files[backupSettings]))
	in.DisallowUnknownFields()
	if err := in.Decode(&kept); err != nil || kept.Version != 1 {
		return api.Errorf(api.Usage, "", "%s of the backup is not readable", backupSettings)
	}
	env, err := state.ParseEnv(files[backupEnv])
	if err == nil {
		err = checkEnv(env)
	}
	if err == nil {
		err = call.checkBackup(app, kept)
	}
	if err != nil {
		return api.Errorf(api.Usage, "", "the backup holds what no app may have: %w", err)
	}
	if err := call.change(app, func(now *agent.Settings) error {
		own := map[string]string{}
		for _, property := range notBackedUp {
			if value, ok := now.Properties[property]; ok {
				own[property] = value
			}
		}
		now.Env, now.Domains, now.Ports, now.Scale = env, kept.Domains, kept.Ports, kept.Scale
		now.Properties = kept.Properties
		if now.Properties == nil {
			now.Properties = map[string]string{}
		}
		maps.Copy(now.Properties, own)
		return nil
	}); err != nil {
		return err
	}
	call.say("Imported the settings of %s", app)
	if err := call.trigger(ctx, "post-config-update", append([]string{app, "set"}, slices.Sorted(maps.Keys(env))...)...); err != nil {
		return err
	}
	return call.restartFor(ctx, app, noRestart)
}

// readBackup takes the two files out of an archive. Names are compared and never used as
// paths; nothing is unpacked.
func readBackup(from io.Reader) (map[string][]byte, error) {
	refuse := func(format string, args ...any) error { return api.Errorf(api.Usage, "", format, args...) }
	files := map[string][]byte{}
	in := tar.NewReader(io.LimitReader(from, 4*mostBackup))
	for {
		header, err := in.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, refuse("standard input holds no backup")
		}
		_, twice := files[header.Name]
		if header.Typeflag != tar.TypeReg || header.Name != backupEnv && header.Name != backupSettings || twice || header.Size > mostBackup {
			return nil, refuse("the archive holds %.60q, which no backup does", header.Name)
		}
		text, err := io.ReadAll(in)
		if err != nil {
			return nil, refuse("the backup ends too early")
		}
		files[header.Name] = text
	}
	if len(files) != 2 {
		return nil, refuse("standard input holds no backup")
	}
	return files, nil
}

// checkBackup asks of every setting what its command would.
func (c *Call) checkBackup(app string, kept backup) error {
	if err := c.Host.FreeDomains(app, kept.Domains); err != nil {
		return err
	}
	for _, port := range kept.Ports {
		if _, err := agent.ParsePortMap(port); err != nil {
			return err
		}
	}
	for process, n := range kept.Scale {
		if manifest.ProcessName(process) != nil || n < 0 || n > maxScale {
			return fmt.Errorf("the scale %s=%d", process, n)
		}
	}
	for _, property := range slices.Sorted(maps.Keys(kept.Properties)) {
		value := kept.Properties[property]
		if !agent.KnownProperty(property) || slices.Contains(notBackedUp, property) || strings.ContainsAny(value, "\r\x00") {
			return fmt.Errorf("the property %.100q", property)
		}
		if !strings.HasPrefix(property, "docker-options/") {
			if strings.Contains(value, "\n") {
				return fmt.Errorf("the property %s has several lines", property)
			}
			continue
		}
		for _, option := range linesOf(value) {
			if err := c.allowedOption(app, option); err != nil {
				return err
			}
		}
	}
	return nil
}
