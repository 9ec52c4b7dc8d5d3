package core

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/dokku-push/dokku-push/agent"
)

// containersOf are an app's current containers, of the process type in the second
// argument if there is one.
func (a *ask) containersOf(ctx context.Context) ([]agent.Container, error) {
	if err := a.Host.Exists(a.arg(0)); err != nil {
		return nil, err
	}
	return a.Host.AppContainers(ctx, a.arg(0), a.arg(1))
}

func containerIDs(ctx context.Context, a *ask) error {
	all, err := a.containersOf(ctx)
	if err != nil {
		return err
	}
	var ids []string
	for _, c := range all {
		ids = append(ids, c.ID)
	}
	return a.say(ids...)
}

func runningIDs(ctx context.Context, a *ask) error {
	all, err := a.containersOf(ctx)
	if err != nil {
		return err
	}
	var ids []string
	for _, c := range all {
		if c.Running {
			ids = append(ids, c.ID)
		}
	}
	return a.say(ids...)
}

func runningTypes(ctx context.Context, a *ask) error {
	all, err := a.containersOf(ctx)
	if err != nil {
		return err
	}
	var types []string
	for _, c := range all {
		if c.Running {
			types = append(types, agent.ProcessOf(c))
		}
	}
	slices.Sort(types)
	return a.say(slices.Compact(types)...)
}

// containerPorts turns the docker program's "5000/tcp -> 0.0.0.0:32768" around.
func containerPorts(ctx context.Context, a *ask) error {
	c, err := a.Host.Containers.Inspect(ctx, a.arg(0))
	if err != nil {
		return fmt.Errorf("look at the container %s: %w", a.arg(0), err)
	}
	text, err := a.docker(ctx, "container", "port", c.ID)
	if err != nil {
		return err
	}
	for line := range strings.Lines(text) {
		port, published, found := strings.Cut(strings.TrimSpace(line), " -> ")
		if !found {
			continue
		}
		if err := a.say(published + "->" + port); err != nil {
			return err
		}
	}
	return nil
}

func containerStatus(ctx context.Context, a *ask) error {
	c, err := a.Host.Containers.Inspect(ctx, a.arg(0))
	if errors.Is(err, agent.ErrNotFound) {
		return no
	}
	if err != nil {
		return err
	}
	switch field := a.arg(1); field {
	case "Running":
		return yes(c.Running)
	case "OOMKilled":
		return yes(c.OOMKilled)
	default: // Paused, Restarting, Dead: the engine's status says the same
		return yes(c.Status != "" && strings.EqualFold(field, c.Status))
	}
}

// cleanup removes what an app's former containers and single commands have left; the
// containers of its current release stay, running or stopped.
func cleanup(ctx context.Context, a *ask) error {
	all := []string{a.arg(0)}
	if a.arg(0) == "" {
		var err error
		if all, err = a.Host.Settings.Apps(); err != nil {
			return fmt.Errorf("list the apps: %w", err)
		}
	}
	for _, app := range all {
		if err := a.Host.Exists(app); err != nil {
			return err
		}
		if err := a.cleanUp(ctx, app); err != nil {
			return err
		}
	}
	return nil
}

func (a *ask) cleanUp(ctx context.Context, app string) error {
	if holder, err := a.Host.Ledger.Holder(app); err != nil || holder != nil {
		return err // a deploy knows what it still needs
	}
	current, err := a.Host.AppContainers(ctx, app, "")
	if err != nil {
		return err
	}
	all, err := a.Host.Containers.List(ctx, map[string]string{"com.dokku.app-name": app, "com.dokku-push.host": a.Host.ID()})
	if err != nil {
		return fmt.Errorf("list the containers of %s: %w", app, err)
	}
	for _, c := range all {
		if c.Status != "exited" && c.Status != "dead" || slices.ContainsFunc(current, func(one agent.Container) bool { return one.ID == c.ID }) {
			continue
		}
		if err := a.Host.Containers.Remove(ctx, c.ID); err != nil {
			return fmt.Errorf("remove %s: %w", c.Name, err)
		}
		if err := a.say(c.ID); err != nil {
			return err
		}
	}
	return nil
}
