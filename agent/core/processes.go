package core

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/internal/atomicfile"
	"github.com/dokku-push/dokku-push/manifest"
)

// currentScale prints how many containers of each process type there are to be.
func currentScale(_ context.Context, a *ask) error {
	settings, err := a.settings()
	if err != nil {
		return err
	}
	scale := settings.Scale
	if len(scale) == 0 {
		scale = map[string]int{"web": 1}
	}
	var lines []string
	for _, process := range slices.Sorted(maps.Keys(scale)) {
		lines = append(lines, fmt.Sprintf("%s=%d", process, scale[process]))
	}
	return a.say(lines...)
}

// canScale notes whether ps:scale may change the formation: APP true|false.
func canScale(_ context.Context, a *ask) error {
	if err := a.Host.Exists(a.arg(0)); err != nil {
		return err
	}
	return a.properties().SetProperty("ps", a.arg(0), "can-scale", a.arg(1))
}

// setScale is APP SKIP_DEPLOY CLEAR [PROC=NUMBER...].
func setScale(ctx context.Context, a *ask) error {
	if err := a.need(3, "an app, SKIP_DEPLOY and CLEAR"); err != nil {
		return err
	}
	if a.arg(2) == "true" {
		if err := a.change(func(now *agent.Settings) error { now.Scale = map[string]int{}; return nil }); err != nil {
			return err
		}
	}
	if len(a.args) == 3 {
		return nil
	}
	args := append([]string{a.arg(0)}, a.args[3:]...)
	if a.arg(1) == "true" {
		args = append([]string{"--skip-deploy"}, args...)
	}
	return a.do(ctx, "ps:scale", args...)
}

func procfile(settings agent.Settings) *manifest.Procfile {
	if settings.Procfile == "" {
		return nil
	}
	read, found := manifest.ParseProcfile("Procfile", []byte(settings.Procfile))
	if found.Failed() {
		return nil
	}
	return read
}

func procfileExists(_ context.Context, a *ask) error {
	settings, err := a.settings()
	if err != nil {
		return err
	}
	return yes(procfile(settings) != nil)
}

// procfileCommand is APP PROC_TYPE PORT: the command line with $PORT filled in.
func procfileCommand(_ context.Context, a *ask) error {
	settings, err := a.settings()
	if err != nil {
		return err
	}
	file := procfile(settings)
	if file == nil {
		return nil
	}
	line, ok := file.Command(a.arg(1))
	if !ok {
		return nil
	}
	if port := a.arg(2); port != "" {
		line = strings.NewReplacer("${PORT}", port, "$PORT", port).Replace(line)
	}
	return a.say(line)
}

// local tells whether a question is for this host's scheduler.
func (a *ask) local() bool { return a.arg(0) == "docker-local" }

// appStatus is SCHEDULER APP: how many containers there are, and whether they run.
func appStatus(ctx context.Context, a *ask) error {
	if !a.local() {
		return nil
	}
	if err := a.Host.Exists(a.arg(1)); err != nil {
		return err
	}
	all, err := a.Host.AppContainers(ctx, a.arg(1), "")
	if err != nil {
		return err
	}
	running := 0
	for _, c := range all {
		if c.Running {
			running++
		}
	}
	status := "mixed"
	switch running {
	case 0:
		status = "false"
	case len(all):
		status = "true"
	}
	return a.say(fmt.Sprintf("%d %s", len(all), status))
}

func schedulerDeployed(_ context.Context, a *ask) error {
	if !a.local() {
		return nil
	}
	return a.deployed(a.arg(1))
}

// ports prints an app's port map, as lines or as JSON.
func ports(_ context.Context, a *ask) error {
	if err := a.Host.Exists(a.arg(0)); err != nil {
		return err
	}
	all, err := a.Host.Ports(a.arg(0))
	if err != nil {
		return err
	}
	if a.arg(1) == "json" {
		type port struct {
			Scheme    string `json:"scheme"`
			Host      int    `json:"host_port"`
			Container int    `json:"container_port"`
		}
		list := []port{}
		for _, one := range all {
			list = append(list, port{one.Scheme, one.Host, one.Container})
		}
		return json.NewEncoder(a.out).Encode(list)
	}
	for _, one := range all {
		if err := a.say(one.String()); err != nil {
			return err
		}
	}
	return nil
}

// portProperty is proxy-port or proxy-ssl-port, with computed- in front what holds.
func portProperty(_ context.Context, a *ask) error {
	settings, err := a.settings()
	if err != nil {
		return err
	}
	key, computed := strings.CutPrefix(a.arg(1), "computed-")
	value := settings.Properties["proxy/"+key]
	if value == "" && computed {
		value = map[string]string{"proxy-port": "80", "proxy-ssl-port": "443"}[key]
	}
	return a.say(value)
}

// detectedPorts is APP MAP...: the ports that an image names.
func detectedPorts(_ context.Context, a *ask) error {
	if err := a.need(2, "an app and its ports"); err != nil {
		return err
	}
	for _, text := range a.args[1:] {
		if _, err := agent.ParsePortMap(text); err != nil {
			return err
		}
	}
	return a.change(func(now *agent.Settings) error {
		now.Properties["ports/map-detected"] = strings.Join(a.args[1:], "\n")
		return nil
	})
}

func clearPorts(_ context.Context, a *ask) error {
	return a.change(func(now *agent.Settings) error { now.Ports = nil; return nil })
}

// The network.

func listeners(ctx context.Context, a *ask) error {
	if err := a.Host.Exists(a.arg(0)); err != nil {
		return err
	}
	process := a.arg(1)
	if process == "" {
		process = "web"
	}
	all, err := a.Host.Listeners(ctx, a.arg(0), process)
	if err != nil {
		return err
	}
	return a.say(strings.Join(all, " "))
}

// staticListeners are those that an app has set itself.
func staticListeners(_ context.Context, a *ask) error {
	value, _ := a.properties().Property("network", a.arg(0), "static-web-listener")
	if a.arg(1) != "web" || value == "" {
		return nil
	}
	return a.say(value)
}

// address is APP PROC_TYPE CONTAINER_ID.
func address(ctx context.Context, a *ask) error {
	c, err := a.Host.Containers.Inspect(ctx, a.arg(2))
	if err != nil {
		return fmt.Errorf("look at the container %s: %w", a.arg(2), err)
	}
	return a.say(c.Address)
}

// write is APP PROC_TYPE CONTAINER_INDEX VALUE: a file that says where a container is.
func write(kind string) act {
	return func(_ context.Context, a *ask) error {
		index, err := strconv.Atoi(a.arg(2))
		if err != nil || index < 1 || manifest.ProcessName(a.arg(1)) != nil {
			return api.Errorf(api.Usage, "", "expected an app, a process type, an index and a value")
		}
		if err := a.Host.Exists(a.arg(0)); err != nil {
			return err
		}
		return atomicfile.WriteFile(a.Host.Places.Process(a.arg(0), kind, a.arg(1), index), []byte(a.arg(3)+"\n"), 0o644)
	}
}

// resource is APP PROC_TYPE limit|reserve PROPERTY.
func resource(_ context.Context, a *ask) error {
	if err := a.need(4, "an app, a process type, limit or reserve, and a property"); err != nil {
		return err
	}
	for _, process := range []string{a.arg(1), "_default_"} {
		if value, ok := a.properties().Property("resource", a.arg(0), process+"."+a.arg(2)+"."+a.arg(3)); ok && value != "" {
			return a.say(value)
		}
	}
	return nil
}

// detectBuilder is APP SOURCECODE_WORK_DIR, where a plugin asks on the host.
func detectBuilder(_ context.Context, a *ask) error {
	if chosen, _ := a.properties().Property("builder", a.arg(0), "selected"); chosen != "" {
		return a.say(chosen)
	}
	if _, err := os.Stat(filepath.Join(a.arg(1), "Dockerfile")); err == nil {
		return a.say("dockerfile")
	}
	return a.say("pack")
}
