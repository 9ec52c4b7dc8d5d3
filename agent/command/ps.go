package command

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/agent/receive"
	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/manifest"
)

// psCommands are the rows of this noun.
func psCommands() []Command {
	rows := []Command{
		{"ps:rebuild", "(<app>|--all)", "Rebuild an app: from its repository where it was pushed by git, else from the image of its current release", psRebuild},
		{"ps:report", "[<app>] [<flag>]", "Display a process report for one or more apps", psReport},
		{"ps:restart", "(<app>|--all) [<proc>]", "Restart an app, or one of its process types", psRestart},
		{"ps:scale", "[--skip-deploy] <app> [<proc>=<count> ...]", "Get or set how many instances of a process run", psScale},
		{"ps:start", "(<app>|--all)", "Start an app", psStart},
		{"ps:stop", "(<app>|--all)", "Stop an app", psStop},
	}
	return append(rows, psMoreCommands()...)
}

// maxScale is the most containers of one process type (ALSO-REFUSE 7).
const maxScale = 1000

func psRestart(ctx context.Context, call *Call) error {
	return redeploy(ctx, call, agent.Restart, "Restarting %s")
}

func psRebuild(ctx context.Context, call *Call) error {
	return call.each(ctx, func(app string) error {
		builds, err := receive.Builds(ctx, call.Host, app)
		if err != nil {
			return err
		}
		ctx := agent.WithStreams(ctx, agent.Streams{Out: call.Out, Err: call.Err})
		call.say("Rebuilding %s", app)
		if err := call.receiver().Receive(ctx, app, ""); err != nil || builds { // then that was it
			return said(err)
		}
		return call.apply(ctx, agent.Change{App: app, Kind: agent.Rebuild})
	})
}

// ReleaseAndDeploy deploys an app again from what it runs, as ps:rebuild does, and is no
// rebuild: plugins that carry out receive-app end with it.
func ReleaseAndDeploy(ctx context.Context, call *Call) error {
	return redeploy(ctx, call, agent.Rebuild, "Releasing %s")
}

// psStart starts what does not run; of what runs only the site is brought up to date.
func psStart(ctx context.Context, call *Call) error {
	return call.eachDeployed(ctx, func(app string) error {
		if err := call.trigger(ctx, "pre-start", app); err != nil {
			return err
		}
		settings, err := call.Host.Settings.Read(app)
		if err != nil {
			return err
		}
		running, wanted, err := call.running(ctx, app, settings)
		if err != nil {
			return err
		}
		if running > 0 && running >= wanted && settings.Properties["ps/restore"] != "false" {
			call.warn("App %s already running", app)
			return call.Host.Serve(ctx, app, call.By)
		}
		call.say("Starting %s", app)
		return call.apply(ctx, agent.Change{App: app, Kind: agent.Start})
	})
}

// eachDeployed is each without the apps that never were deployed, nor are being. Dokku says so of
// such a one, and has done what it was asked to.
func (c *Call) eachDeployed(ctx context.Context, do func(app string) error) error {
	return c.each(ctx, func(app string) error {
		current, err := c.Host.Ledger.Current(app)
		if err != nil {
			return err
		}
		if current == 0 && !c.Host.InsideDeploy(ctx, app) {
			c.warn("App %s has not been deployed", app)
			return nil
		}
		return do(app)
	})
}

// running counts an app's containers: those that run, and those that should.
func (c *Call) running(ctx context.Context, app string, settings agent.Settings) (running, wanted int, err error) {
	containers, err := c.Host.AppContainers(ctx, app, "")
	if err != nil {
		return 0, 0, err
	}
	for _, container := range containers {
		if container.Running {
			running++
		}
	}
	for _, n := range settings.Scale {
		wanted += n
	}
	return running, wanted, nil
}

// redeploy asks for a change of an app or, with --all, of every app that the caller may
// see; --parallel is taken and changes nothing.
func redeploy(ctx context.Context, call *Call, kind agent.Kind, said string) error {
	each := call.each
	if kind == agent.Restart {
		each = call.eachDeployed
	}
	return each(ctx, func(app string) error {
		change := agent.Change{App: app, Kind: kind}
		if len(call.Args) > 0 && kind == agent.Restart {
			if change.Process = call.Args[0]; manifest.ProcessName(change.Process) != nil {
				return api.Errorf(api.Usage, "", "%q is no process type", change.Process)
			}
		}
		call.say(said, app)
		return call.apply(ctx, change)
	})
}

// each does something for the app that is named or, with --all, for all that were
// deployed. One that fails does not keep the others from it.
func (c *Call) each(ctx context.Context, do func(app string) error) error {
	all := c.flag("--all")
	parallel, given, err := c.option("--parallel")
	if err != nil {
		return err
	}
	if _, err := strconv.Atoi(parallel); given && err != nil {
		return api.Errorf(api.Usage, "", "--parallel wants a number, not %q", parallel)
	}
	if !all {
		app, err := c.app(ctx)
		if err != nil {
			return err
		}
		return do(app)
	}
	apps, err := c.visibleApps(ctx)
	if err != nil {
		return err
	}
	var failures []error
	for _, app := range apps {
		current, err := c.Host.Ledger.Current(app)
		if err == nil && current != 0 {
			err = do(app)
		}
		if err != nil {
			failures = append(failures, fmt.Errorf("%s: %w", app, err))
		}
	}
	return errors.Join(failures...)
}

func psStop(ctx context.Context, call *Call) error {
	return call.eachDeployed(ctx, func(app string) error {
		call.say("Stopping %s", app)
		return call.Host.Stop(ctx, app, call.By)
	})
}

func psScale(ctx context.Context, call *Call) error {
	skip := call.flag("--skip-deploy")
	app, err := call.app(ctx)
	if err != nil {
		return err
	}
	settings, err := call.Host.Settings.Read(app)
	if err != nil {
		return fmt.Errorf("read the scale of %s: %w", app, err)
	}
	if len(call.Args) == 0 {
		call.say("Scaling for %s", app)
		fmt.Fprintln(call.Out, "proctype: qty")
		fmt.Fprintln(call.Out, "--------: ---")
		for _, process := range slices.Sorted(maps.Keys(settings.Scale)) {
			fmt.Fprintf(call.Out, "%s:  %d\n", process, settings.Scale[process])
		}
		return nil
	}
	scale, err := scaleOf(call.Args)
	if err != nil {
		return err
	}
	if err := formationForbids(app, settings); err != nil {
		return err
	}
	current, err := call.Host.Ledger.Current(app)
	if err != nil {
		return err
	}
	call.say("Scaling %s processes: %s", app, strings.Join(call.Args, " "))
	deploys := current != 0 && !skip && settings.Properties["ps/restore"] != "false"
	if !deploys || call.Host.InsideDeploy(ctx, app) { // else the deploy saves it
		_, _, err = call.Host.Settings.Change(app, func(now *agent.Settings) error {
			wanted := maps.Clone(now.Scale)
			if wanted == nil {
				wanted = map[string]int{}
			}
			maps.Copy(wanted, scale)
			now.Scale = wanted
			return nil
		})
	}
	if err != nil || !deploys {
		return err
	}
	return call.apply(ctx, agent.Change{App: app, Kind: agent.Scale, Scale: scale})
}

// formationForbids refuses to scale by command what app.json scales (PLUGIN-CONTRACT 6.5).
func formationForbids(app string, settings agent.Settings) error {
	appJSON, _ := manifest.ParseAppJSON("app.json", []byte(settings.AppJSON))
	if settings.AppJSON == "" || appJSON == nil || len(appJSON.Formation) == 0 {
		return nil
	}
	return api.Errorf(api.Precondition, "", "App %s contains an app.json file with a formations key and cannot be manually scaled", app).
		WithHint("change the formation in app.json and push")
}

func scaleOf(words []string) (map[string]int, error) {
	scale := map[string]int{}
	for _, word := range words {
		process, count, ok := strings.Cut(word, "=")
		if !ok {
			return nil, api.Errorf(api.Usage, "", "%q is not PROCESS=COUNT", word)
		}
		if err := manifest.ProcessName(process); err != nil {
			return nil, api.Errorf(api.Usage, "", "%w", err)
		}
		n, err := strconv.Atoi(count)
		if err != nil || strconv.Itoa(n) != count || n < 0 || n > maxScale {
			return nil, api.Errorf(api.Usage, "", "the count of %s is a number from 0 to %d, not %q", process, maxScale, count)
		}
		if _, twice := scale[process]; twice {
			return nil, api.Errorf(api.Usage, "", "%s is scaled twice", process)
		}
		scale[process] = n
	}
	return scale, nil
}

func psReport(ctx context.Context, call *Call) error {
	global, err := call.settings("--global")
	if err != nil {
		return err
	}
	return call.report(ctx, "ps", func(app string, settings agent.Settings) ([]reportLine, error) {
		kept := slices.Concat(computed("Ps", "keep-bytes", "", settings, global, "ps/keep-bytes"),
			computed("Ps", "keep-releases", strconv.Itoa(agent.DefaultKeptReleases), settings, global, "ps/keep-releases"))
		if app == "--global" {
			return kept, nil
		}
		state, err := call.Host.State(ctx, app)
		if err != nil {
			return nil, err
		}
		running := 0
		for _, c := range state.Containers {
			if c.Status == "running" {
				running++
			}
		}
		status := "mixed"
		switch running {
		case 0:
			status = "false"
		case len(state.Containers):
			status = "true"
		}
		policy := settings.Properties["ps/restart-policy"]
		if policy == "" {
			policy = "on-failure:10"
		}
		restore := settings.Properties["ps/restore"]
		if restore == "" {
			restore = "true"
		}
		rows := []reportLine{
			{"Deployed", fmt.Sprint(state.Current != 0)},
			{"Processes", strconv.Itoa(len(state.Containers))},
			{"Ps can scale", fmt.Sprint(formationForbids(app, settings) == nil)},
			{"Ps restart policy", policy},
			{"Ps stop timeout seconds", settings.Properties["ps/stop-timeout-seconds"]},
			{"Ps procfile path", settings.Properties["ps/procfile-path"]},
			{"Ps start cmd", settings.Properties["ps/start-cmd"]},
		}
		rows = append(append(rows, kept...), reportLine{"Restore", restore}, reportLine{"Running", status})
		rows = append(rows, slices.DeleteFunc(processLines(settings, "ps", "Ps"), func(row reportLine) bool { return !strings.Contains(row.name, ".") })...)
		for _, c := range state.Containers {
			rows = append(rows, reportLine{fmt.Sprintf("Status %s %d", c.Process, c.Index), fmt.Sprintf("%s (CID: %.12s)", c.Status, c.ID)})
		}
		return rows, nil
	})
}
