package agent

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/dokku-push/dokku-push/api"
)

// This file is what plugins ask the core about an app, or ask it to do
// (PLUGIN-CONTRACT 4.5 and 5), beside what commands do.

// Ports returns the app's port map: the one that was set, else the detected one, else
// the usual one.
func (h *Host) Ports(app string) ([]PortMap, error) {
	settings, err := h.Settings.Read(app)
	if err != nil {
		return nil, fmt.Errorf("read the settings of %s: %w", app, err)
	}
	return h.portMaps(settings)
}

// AppContainers lists the app's containers of a deploy, running or not, the current
// ones first by name; process empty: of all types.
func (h *Host) AppContainers(ctx context.Context, app, process string) ([]Container, error) {
	all, err := h.appContainers(ctx, app)
	if err != nil {
		return nil, err
	}
	all = slices.DeleteFunc(all, func(c Container) bool {
		i, ok := instanceOf(c)
		return !ok || c.Name != i.finalName(app) || process != "" && i.Process != process
	})
	slices.SortFunc(all, func(a, b Container) int { return strings.Compare(a.Name, b.Name) })
	return all, nil
}

// ProcessOf is the process type of a container of a deploy.
func ProcessOf(c Container) string {
	i, _ := instanceOf(c)
	return i.Process
}

// Listeners are the addresses at which nginx finds a process type: address:port for web,
// the containers' own addresses for all others. None is no error.
func (h *Host) Listeners(ctx context.Context, app, process string) ([]string, error) {
	running, err := h.instances(ctx, app)
	if err != nil {
		return nil, err
	}
	if process == "web" {
		backends := backendsOf(running)
		if len(backends) == 0 {
			return nil, nil
		}
		return h.Traffic.Listeners(ctx, app, backends)
	}
	var addresses []string
	for _, i := range running {
		if i.Process == process && i.Address != "" {
			addresses = append(addresses, i.Address)
		}
	}
	slices.Sort(addresses)
	return addresses, nil
}

// Phases are what docker options are for.
func Phases() []string { return []string{"build", "deploy", "run"} }

// AddOption gives an app's containers of some phases one more docker option, a line of
// them; RemoveOption takes one away. One that is there already, or is not, is no error.
func (h *Host) AddOption(app string, phases []string, option string) error {
	words, err := SplitWords(option)
	if err != nil || len(words) == 0 || strings.ContainsAny(option, "\r\n\x00") {
		return api.Errorf(api.Usage, "add a docker option", "%q is no docker option", option)
	}
	return h.changeOptions(app, phases, option, addLines)
}

// RemoveOption is AddOption backwards.
func (h *Host) RemoveOption(app string, phases []string, option string) error {
	return h.changeOptions(app, phases, option, removeLines)
}

func (h *Host) changeOptions(app string, phases []string, option string, change func(map[string]string, string, []string)) error {
	for _, phase := range phases {
		if !slices.Contains(Phases(), phase) {
			return api.Errorf(api.Usage, "change the docker options", "Phase(s) must be one of %s: %s", strings.Join(Phases(), ", "), phase)
		}
	}
	if err := h.Exists(app); err != nil {
		return err
	}
	_, _, err := h.Settings.Change(app, func(now *Settings) error {
		*now = now.clone()
		for _, phase := range phases {
			change(now.Properties, "docker-options/_default_."+phase, []string{strings.TrimSpace(option)})
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("write the docker options of %s: %w", app, err)
	}
	return nil
}
