package command

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/agent/receive"
	"github.com/dokku-push/dokku-push/api"
)

// gitCommands are the rows of this noun, and what git's own programs ask for over ssh.
func gitCommands() []Command {
	return []Command{
		{"git-hook", "<app>", "Build and deploy what git push has brought; its hook calls it", gitHook},
		{"git-receive-pack", "<app>", "What git push speaks to", gitReceivePack},
		{"git-upload-archive", "<app>", "What git archive --remote speaks to", gitUploadArchive},
		{"git-upload-pack", "<app>", "What git fetch and git clone speak to", gitUploadPack},
		{"git:initialize", "<app>", "Initialize a git repository for an app", gitInitialize},
		{"git:report", "[<app>] [<flag>]", "Display a git report for one or more apps", gitReport},
		{"git:set", "[--global|<app>] <key> [<value>]", "Set or clear a git property of an app", gitSet},
		{"git:status", "<app>", "Show the working tree status of an app: it has none, only branches", gitStatus},
		{"git:sync", "[--build|--build-if-changes] <app> <repository> [<git-ref>]", "Clone or fetch an app from a remote repository", gitSync},
	}
}

// receiver is what carries out what has to do with repositories.
func (c *Call) receiver() *receive.Receiver {
	return &receive.Receiver{Host: c.Host, Builder: c.Builder, By: c.By, Deploy: c.apply, In: c.In, Out: c.Out, Err: c.Err}
}

// gitApp is the app that git's own programs name.
func (c *Call) gitApp() (string, error) {
	if c.App != "" && len(c.Args) == 0 {
		return c.App, nil
	}
	if len(c.Args) != 1 {
		return "", api.Errorf(api.Usage, "", "Please specify an app to run the command on")
	}
	return receive.AppName(c.Args[0]), nil
}

// said turns a failure that was told already into its exit code.
func said(err error) error {
	if errors.Is(err, receive.ErrSaid) {
		return &Exit{Code: 1}
	}
	return err
}

func gitReceivePack(ctx context.Context, call *Call) error {
	app, err := call.gitApp()
	if err != nil {
		return err
	}
	return said(call.receiver().ReceivePack(ctx, app))
}

func gitUploadPack(ctx context.Context, call *Call) error {
	app, err := call.gitApp()
	if err != nil {
		return err
	}
	return said(call.receiver().UploadPack(ctx, app))
}

func gitUploadArchive(ctx context.Context, call *Call) error {
	app, err := call.gitApp()
	if err != nil {
		return err
	}
	return said(call.receiver().UploadArchive(ctx, app))
}

func gitHook(ctx context.Context, call *Call) error {
	app, err := call.gitApp()
	if err != nil {
		return err
	}
	return said(call.receiver().Hook(ctx, app))
}

// ReceiveApp is the core's part in the trigger receive-app.
func ReceiveApp(ctx context.Context, call *Call, app, commit string) error {
	return call.receiver().App(ctx, app, commit)
}

func gitInitialize(ctx context.Context, call *Call) error {
	app, err := call.app(ctx)
	if err == nil {
		err = call.noMore()
	}
	if err != nil {
		return err
	}
	call.say("Initializing git repository for %s", app)
	return receive.Initialize(ctx, call.Host.Places, app)
}

var envKeyForm = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,255}$`)

// gitSet sets a property of git's. An empty rev-env-var is a value, as in Dokku: no key.
func gitSet(ctx context.Context, call *Call) error {
	if len(call.Args) == 2 && call.Args[1] == "rev-env-var" || len(call.Args) == 3 && call.Args[1] == "rev-env-var" && call.Args[2] == "" {
		return gitNoRevision(ctx, call)
	}
	return call.set(ctx, "git", map[string]check{
		"deploy-branch": func(value string) error {
			if !receive.Branch.MatchString(value) || strings.Contains(value, "..") || strings.Contains(value, "@{") {
				return api.Errorf(api.Usage, "", "%q cannot be the name of a branch", value)
			}
			return nil
		},
		"rev-env-var": func(value string) error {
			if !envKeyForm.MatchString(value) || strings.HasPrefix(strings.ToUpper(value), "DOKKU_") || slices.Contains([]string{"PATH", "PORT", "LD_PRELOAD"}, value) {
				return api.Errorf(api.Usage, "", "%q cannot be the config key of a commit", value)
			}
			return nil
		},
		"keep-git-dir": func(value string) error {
			if _, err := strconv.ParseBool(value); err != nil || value != "true" && value != "false" {
				return api.Errorf(api.Usage, "", "keep-git-dir is true or false, not %q", value)
			}
			return nil
		},
	})
}

func gitNoRevision(ctx context.Context, call *Call) error {
	app, err := call.app(ctx)
	if err != nil {
		return err
	}
	if err := call.change(app, func(now *agent.Settings) error { now.Properties[agent.RevEnvVar] = ""; return nil }); err != nil {
		return err
	}
	call.heading("Unsetting rev-env-var")
	return nil
}

func gitReport(ctx context.Context, call *Call) error {
	global, err := call.settings("--global")
	if err != nil {
		return err
	}
	return call.report(ctx, "git", func(app string, settings agent.Settings) ([]reportLine, error) {
		rows := computed("Git", "deploy-branch", "master", settings, global, "git/deploy-branch")
		rows = append(rows, computed("Git", "keep-git-dir", "false", settings, global, "git/keep-git-dir")...)
		if app == "--global" {
			return rows, nil
		}
		commit, _, err := receive.Head(ctx, call.Host, app)
		if err != nil {
			return nil, err
		}
		updated := ""
		if info, err := os.Stat(filepath.Join(call.Host.Places.App(app), "refs", "heads")); err == nil && commit != "" {
			updated = strconv.FormatInt(info.ModTime().Unix(), 10)
		}
		image := ""
		if settings.Properties["apps/deploy-source"] == "docker-image" {
			image = settings.Properties["apps/deploy-source-metadata"]
		}
		return append(rows, reportLine{"Git rev env var", settings.RevisionKey()}, reportLine{"Git source image", image}, reportLine{"Git sha", commit}, reportLine{"Git last updated at", updated}), nil
	})
}

func gitStatus(ctx context.Context, call *Call) error {
	app, err := call.app(ctx)
	if err == nil {
		err = call.noMore()
	}
	if err != nil {
		return err
	}
	branches, err := receive.Branches(ctx, call.Host, app)
	if err != nil {
		return err
	}
	for _, one := range branches {
		fmt.Fprintf(call.Out, "%s %.10s %s\n", one.Name, one.Commit, one.When.UTC().Format(time.RFC3339))
	}
	return nil
}

func gitSync(ctx context.Context, call *Call) error {
	build, ifChanged := call.flag("--build"), call.flag("--build-if-changes")
	call.flag("--skip-deploy-branch")
	app, err := call.app(ctx)
	if err != nil {
		return err
	}
	if len(call.Args) == 0 || len(call.Args) > 2 {
		return api.Errorf(api.Usage, "", "Please specify a repository to sync, and perhaps a branch, a tag or a commit of it")
	}
	ref := ""
	if len(call.Args) == 2 {
		ref = call.Args[1]
	}
	call.say("Cloning %s from %s", app, receive.Shown(call.Args[0]))
	commit, builds, err := receive.Sync(ctx, call.Host, app, call.Args[0], ref, func(changed bool) bool { return build || ifChanged && changed })
	if err != nil || !builds {
		return err
	}
	return said(call.receiver().Receive(agent.WithStreams(ctx, agent.Streams{Out: call.Out, Err: call.Err}), app, commit))
}
