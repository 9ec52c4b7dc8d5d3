package command

import (
	"context"
	"maps"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/manifest"
)

// resourceCommands are the rows of this noun.
func resourceCommands() []Command {
	const flags = "[--process-type PROC] [--cpu N] [--memory SIZE] [--memory-swap SIZE] [--nvidia-gpu N] <app>"
	return []Command{
		{"resource:limit", flags, "Limit what the containers of an app may use, or show the limits", resourceLimit},
		{"resource:limit-clear", "[--process-type PROC] <app>", "Clear the limits of an app", resourceLimitClear},
		{"resource:report", "[<app>] [<flag>]", "Display a resource report for one or more apps", resourceReport},
		{"resource:reserve", "[--process-type PROC] [--memory SIZE] <app>", "Reserve memory for the containers of an app, or show what is reserved", resourceReserve},
		{"resource:reserve-clear", "[--process-type PROC] <app>", "Clear the reservations of an app", resourceReserveClear},
	}
}

// The resources of each kind. What only other schedulers know is not taken: it would
// change nothing.
var resources = map[string][]string{
	"limit":   {"cpu", "memory", "memory-swap", "nvidia-gpu"},
	"reserve": {"memory"},
}

func resourceLimit(ctx context.Context, call *Call) error   { return call.resources(ctx, "limit") }
func resourceReserve(ctx context.Context, call *Call) error { return call.resources(ctx, "reserve") }

func resourceLimitClear(ctx context.Context, call *Call) error {
	return call.clearResources(ctx, "limit")
}

func resourceReserveClear(ctx context.Context, call *Call) error {
	return call.clearResources(ctx, "reserve")
}

// processType takes --process-type; none is all.
func (c *Call) processType() (string, error) {
	process, given, err := c.option("--process-type", "--process")
	if err != nil {
		return "", err
	}
	if !given {
		return anyProcess, nil
	}
	if manifest.ProcessName(process) != nil {
		return "", api.Errorf(api.Usage, "", "%q is no process type", process)
	}
	return process, nil
}

func (c *Call) resources(ctx context.Context, kind string) error {
	process, err := c.processType()
	if err != nil {
		return err
	}
	wanted := map[string]string{}
	for _, name := range resources[kind] {
		value, given, err := c.option("--" + name)
		if err != nil {
			return err
		}
		if given {
			wanted[name] = value
		}
	}
	for _, word := range c.Args {
		if strings.HasPrefix(word, "-") {
			return api.Errorf(api.Usage, "", "%s is no resource that this host can %s: %s", word, kind, strings.Join(resources[kind], ", "))
		}
	}
	app, err := c.app(ctx)
	if err == nil {
		err = c.noMore()
	}
	if err != nil {
		return err
	}
	if len(wanted) == 0 {
		return c.showResources(app, kind, process)
	}
	for name, value := range wanted {
		if err := c.checkResource(ctx, name, value); err != nil {
			return err
		}
	}
	if err := c.change(app, func(now *agent.Settings) error {
		for name, value := range wanted {
			property := "resource/" + process + "." + kind + "." + name
			delete(now.Properties, property)
			if value != "" {
				now.Properties[property] = value
			}
		}
		return nil
	}); err != nil {
		return err
	}
	c.heading("Setting resource %ss for %s%s", kind, app, ofProcess(process))
	for _, name := range slices.Sorted(maps.Keys(wanted)) {
		c.line("%s: %s", name, wanted[name])
	}
	return nil
}

func ofProcess(process string) string {
	if process == anyProcess {
		return ""
	}
	return " (" + process + ")"
}

// checkResource refuses what no engine takes, or this host has not (ALSO-REFUSE 50).
func (c *Call) checkResource(ctx context.Context, name, value string) error {
	if value == "" || value == "0" && name != "cpu" && name != "memory" {
		return nil // unset
	}
	refuse := func(format string, args ...any) error { return api.Errorf(api.Usage, "", format, args...) }
	switch name {
	case "cpu":
		cpus, err := strconv.ParseFloat(value, 64)
		if err != nil || strings.ContainsAny(value, "eExXpP+-_nN") || cpus < 0.01 || cpus > float64(runtime.NumCPU()) {
			return refuse("%q is no number of CPUs from 0.01 to the host's %d", value, runtime.NumCPU())
		}
	case "nvidia-gpu":
		if err := number(1, 64)(value); err != nil && value != "all" {
			return refuse("%q is no number of GPUs", value)
		}
	default:
		if name == "memory-swap" && value == "-1" {
			return nil
		}
		bytes, err := agent.ParseMemory(value)
		if err != nil {
			return err
		}
		info, err := c.Host.Containers.Info(ctx)
		if err != nil {
			return err
		}
		if bytes < 6<<20 {
			return refuse("%s is less than the 6m that a container needs", value)
		}
		if name == "memory" && info.Memory > 0 && bytes > info.Memory {
			return refuse("%s is more than the host's %dm", value, info.Memory>>20)
		}
	}
	return nil
}

func (c *Call) showResources(app, kind, process string) error {
	settings, err := c.settings(app)
	if err != nil {
		return err
	}
	title := "defaults"
	if process != anyProcess {
		title = process
	}
	c.heading("resource %ss %s information (%s)", kind, app, title)
	for _, name := range resources[kind] {
		c.line("%-24s %s", name+":", settings.Properties["resource/"+process+"."+kind+"."+name])
	}
	return nil
}

func (c *Call) clearResources(ctx context.Context, kind string) error {
	process, err := c.processType()
	if err != nil {
		return err
	}
	app, err := c.app(ctx)
	if err == nil {
		err = c.noMore()
	}
	if err != nil {
		return err
	}
	if err := c.change(app, func(now *agent.Settings) error {
		maps.DeleteFunc(now.Properties, func(property, _ string) bool {
			return strings.HasPrefix(property, "resource/"+process+"."+kind+".")
		})
		return nil
	}); err != nil {
		return err
	}
	c.say("Clearing %s%s", app, ofProcess(process))
	return nil
}

func resourceReport(ctx context.Context, call *Call) error {
	return call.report(ctx, "resource", func(_ string, settings agent.Settings) ([]reportLine, error) {
		var rows []reportLine
		for _, kind := range slices.Sorted(maps.Keys(resources)) {
			for _, name := range resources[kind] {
				key := anyProcess + "." + kind + "." + name
				rows = append(rows, reportLine{"Resources " + strings.ReplaceAll(key, "-", " "), settings.Properties["resource/"+key]})
			}
		}
		return append(rows, processLines(settings, "resource", "Resources")...), nil
	})
}

// processLines are a report's lines for what single process types have.
func processLines(settings agent.Settings, plugin, title string) []reportLine {
	var rows []reportLine
	for _, property := range slices.Sorted(maps.Keys(settings.Properties)) {
		key, ok := strings.CutPrefix(property, plugin+"/")
		if ok && !strings.HasPrefix(key, anyProcess+".") {
			rows = append(rows, reportLine{title + " " + key, strings.Join(linesOf(settings.Properties[property]), " ")})
		}
	}
	return rows
}
