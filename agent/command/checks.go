package command

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/manifest"
)

// checksCommands are the rows of this noun.
func checksCommands() []Command {
	return []Command{
		{"checks:disable", "<app> [process-type(s)]", "Disable zero-downtime deployment for all processes or some", checksDisable},
		{"checks:enable", "<app> [process-type(s)]", "Enable zero-downtime deployment for all processes or some", checksEnable},
		{"checks:report", "[<app>] [<flag>]", "Display a checks report for one or more apps", checksReport},
		{"checks:run", "<app> [process-type(s)]", "Run the checks of an app's running containers, or of some such as web or web.1", checksRun},
		{"checks:set", "[--global|<app>] <key> [<value>]", "Set or clear a checks property of an app", checksSet},
		{"checks:skip", "<app> [process-type(s)]", "Skip the checks of all processes or some, and keep zero downtime", checksSkip},
	}
}

// allProcesses stands for every process type in Dokku's lists.
const allProcesses = "_all_"

// aWeek is the longest that anything is waited for, in seconds.
const aWeek = 7 * 24 * 3600

// appAndProcesses reads an app and a comma list of process types; none are all.
func (c *Call) appAndProcesses(ctx context.Context) (app string, processes []string, err error) {
	if app, err = c.app(ctx); err != nil {
		return "", nil, err
	}
	for _, word := range c.Args {
		for name := range strings.SplitSeq(word, ",") {
			if name = strings.TrimSpace(name); name == "" {
				continue
			}
			if name != allProcesses && manifest.ProcessName(name) != nil {
				return "", nil, api.Errorf(api.Usage, "", "%q is no process type", name)
			}
			processes = append(processes, name)
		}
	}
	if len(processes) == 0 || slices.Contains(processes, allProcesses) {
		processes = []string{allProcesses}
	}
	return app, processes, nil
}

func checksDisable(ctx context.Context, call *Call) error {
	return call.moveChecks(ctx, "Disabling", "checks/disabled", "checks/skipped")
}

func checksSkip(ctx context.Context, call *Call) error {
	return call.moveChecks(ctx, "Skipping", "checks/skipped", "checks/disabled")
}

func checksEnable(ctx context.Context, call *Call) error {
	return call.moveChecks(ctx, "Enabling", "", "checks/disabled", "checks/skipped")
}

// moveChecks puts process types on one list and takes them off others.
func (c *Call) moveChecks(ctx context.Context, said, to string, from ...string) error {
	app, processes, err := c.appAndProcesses(ctx)
	if err != nil {
		return err
	}
	err = c.change(app, func(now *agent.Settings) error {
		every := slices.Sorted(maps.Keys(now.Scale))
		for _, property := range from {
			putList(now.Properties, property, without(listOf(now.Properties[property]), processes, every))
		}
		if to != "" {
			putList(now.Properties, to, with(listOf(now.Properties[to]), processes))
		}
		return nil
	})
	if err != nil {
		return err
	}
	c.say("%s zero downtime for app's (%s) proctype(s) (%s)", said, app, strings.Join(processes, ","))
	return nil
}

func listOf(value string) []string {
	return slices.DeleteFunc(strings.Split(value, ","), func(name string) bool { return name == "" })
}

func putList(properties map[string]string, property string, list []string) {
	delete(properties, property)
	if len(list) > 0 {
		properties[property] = strings.Join(list, ",")
	}
}

func with(list, more []string) []string {
	list = slices.Concat(list, more)
	if slices.Contains(list, allProcesses) {
		return []string{allProcesses}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// without takes names off a list. Where all are on it, those that the app has stay but
// for the named ones.
func without(list, less, every []string) []string {
	if slices.Contains(less, allProcesses) {
		return nil
	}
	if slices.Contains(list, allProcesses) {
		list = slices.Clone(every)
	}
	return slices.DeleteFunc(list, func(name string) bool { return slices.Contains(less, name) })
}

func checksSet(ctx context.Context, call *Call) error {
	return call.set(ctx, "checks", map[string]check{"default-wait": number(0, aWeek), "wait-to-retire": number(0, aWeek)})
}

func checksReport(ctx context.Context, call *Call) error {
	global, err := call.settings("--global")
	if err != nil {
		return err
	}
	return call.report(ctx, "checks", func(_ string, settings agent.Settings) ([]reportLine, error) {
		list := func(property string) string {
			if value := settings.Properties[property]; value != "" {
				return value
			}
			return "none"
		}
		rows := []reportLine{{"Checks disabled list", list("checks/disabled")}, {"Checks skipped list", list("checks/skipped")}}
		rows = append(rows, computed("Checks", "default-wait", "10", settings, global, "checks/default-wait")...)
		return append(rows, computed("Checks", "wait-to-retire", "60", settings, global, "checks/wait-to-retire")...), nil
	})
}

// checksRun checks what runs, and fails when one of the containers is not ready.
func checksRun(ctx context.Context, call *Call) error {
	app, err := call.app(ctx)
	if err != nil {
		return err
	}
	var named []string
	for _, word := range call.Args {
		named = append(named, listOf(word)...)
	}
	if slices.Contains(named, allProcesses) {
		named = nil
	}
	probes, err := call.Host.Probes(ctx, app, named...)
	if err != nil {
		return err
	}
	failed := 0
	for _, probe := range probes {
		call.say("Running healthchecks of %s.%d (%.12s)", probe.Process, probe.Index, probe.Container)
		if err := call.Host.Checker.Check(ctx, probe, func(line string) { call.line("%s", line) }); err != nil {
			failed++
			fmt.Fprintf(call.Err, " !     %s.%d: %v\n", probe.Process, probe.Index, err)
		}
	}
	if failed > 0 {
		return api.Errorf(api.Unhealthy, "", "%d of %d containers of %s are not healthy", failed, len(probes), app)
	}
	call.heading("All healthchecks of %s passed", app)
	return nil
}
