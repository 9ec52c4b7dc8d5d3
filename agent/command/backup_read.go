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

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/agent/state"
	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/manifest"
)

// readBackup takes the files out of an archive: two, which are of the app "", or two below
// the name of each app. Names are compared and never used as paths; nothing is unpacked.
func readBackup(from io.Reader) (map[string]map[string][]byte, error) {
	refuse := func(format string, args ...any) error { return api.Errorf(api.Usage, "", format, args...) }
	files := map[string]map[string][]byte{}
	in := tar.NewReader(io.LimitReader(from, mostBackups))
	for {
		header, err := in.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, refuse("standard input holds no backup")
		}
		app, name, below := strings.Cut(header.Name, "/")
		if !below {
			app, name = "", header.Name
		}
		_, twice := files[app][name]
		if header.Typeflag != tar.TypeReg || name != backupEnv && name != backupSettings || below && app == "" || twice || header.Size > mostBackup {
			return nil, refuse("the archive holds %.60q, which no backup does", header.Name)
		}
		text, err := io.ReadAll(in)
		if err != nil {
			return nil, refuse("the backup ends too early")
		}
		if files[app] == nil {
			files[app] = map[string][]byte{}
		}
		files[app][name] = text
	}
	_, single := files[""]
	for _, two := range files {
		if len(two) != 2 || single && len(files) > 1 {
			return nil, refuse("standard input holds no backup")
		}
	}
	if len(files) == 0 {
		return nil, refuse("standard input holds no backup")
	}
	return files, nil
}

// saved is what an archive holds of one app.
type saved struct {
	backup
	env map[string]string
}

// chosen reads what is to be taken over: into the app that is named its own part of the
// archive or the only one, without a name every app's.
func (c *Call) chosen(ctx context.Context, files map[string]map[string][]byte, app string) (archive []saved, err error) {
	alone, single := files[""]
	switch own := files[app]; {
	case single && app == "":
		return nil, api.Errorf(api.Usage, "", "the backup is one app's: name the app that is to have it")
	case single:
		files = map[string]map[string][]byte{app: alone}
	case app != "" && own == nil:
		return nil, api.Errorf(api.Usage, "", "the backup holds nothing of %s", app)
	case app != "":
		files = map[string]map[string][]byte{app: own}
	}
	owners := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if app == "" {
			if err := c.mayTake(ctx, name); err != nil {
				return nil, err
			}
		}
		one, err := c.readSaved(name, files[name])
		if err != nil {
			return nil, err
		}
		for _, domain := range one.Domains {
			if owners[domain] != "" {
				return nil, api.Errorf(api.Usage, "", "the backup holds what no app may have: %s is a domain of %s and of %s", domain, owners[domain], name)
			}
			owners[domain] = name
		}
		archive = append(archive, one)
	}
	return archive, nil
}

// mayTake refuses the name of an app that the caller may not see, or that none may have.
func (c *Call) mayTake(ctx context.Context, app string) error {
	if err := manifest.AppName(app); err != nil {
		return api.Errorf(api.Usage, "", "the backup holds what no app may have: %w", err)
	}
	return c.Host.MayName(ctx, c.By, app)
}

// readSaved reads an app's two files and asks whether it may have what is in them.
func (c *Call) readSaved(app string, files map[string][]byte) (one saved, err error) {
	in := json.NewDecoder(bytes.NewReader(files[backupSettings]))
	in.DisallowUnknownFields()
	if err := in.Decode(&one.backup); err != nil || one.Version != 1 {
		return one, api.Errorf(api.Usage, "", "%s of the backup is not readable", backupSettings)
	}
	one.App = app
	if one.env, err = state.ParseEnv(files[backupEnv]); err == nil {
		err = checkEnv(one.env)
	}
	if err == nil {
		err = c.checkBackup(app, one.backup)
	}
	if err != nil {
		return one, api.Errorf(api.Usage, "", "the backup holds what no app may have: %w", err)
	}
	return one, nil
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
