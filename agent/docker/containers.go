package docker

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"github.com/dokku-push/dokku-push/agent"
)

// Start starts a container that was created or has stopped.
func (e *Engine) Start(ctx context.Context, ref string) error {
	_, err := e.api.ContainerStart(ctx, ref, client.ContainerStartOptions{})
	return wrap("start the container "+ref, err)
}

// Inspect says what the engine knows of a container.
func (e *Engine) Inspect(ctx context.Context, ref string) (agent.Container, error) {
	found, err := e.api.ContainerInspect(ctx, ref, client.ContainerInspectOptions{})
	if err != nil {
		return agent.Container{}, wrap("look at the container "+ref, err)
	}
	return containerOf(found.Container), nil
}

func containerOf(from container.InspectResponse) agent.Container {
	c := agent.Container{ID: from.ID, Name: strings.TrimPrefix(from.Name, "/"), Image: from.Image, Restarts: from.RestartCount}
	if from.Config != nil {
		c.Labels, c.Env = from.Config.Labels, from.Config.Env
	}
	if state := from.State; state != nil {
		c.Status, c.Running, c.ExitCode, c.OOMKilled = string(state.Status), state.Running, state.ExitCode, state.OOMKilled
		if started, err := time.Parse(time.RFC3339Nano, state.StartedAt); err == nil && started.Year() > 1 {
			c.Started = started
		}
	}
	if c.Running {
		c.Address = address(from.NetworkSettings, created(from.HostConfig))
	}
	if from.NetworkSettings != nil {
		c.Networks = slices.Sorted(maps.Keys(from.NetworkSettings.Networks))
	}
	if from.HostConfig != nil {
		c.Network, c.Memory = string(from.HostConfig.NetworkMode), from.HostConfig.Memory
	}
	return c
}

// created is the network that a container was created in, "bridge" for the default one.
func created(host *container.HostConfig) string {
	if host == nil || !host.NetworkMode.IsUserDefined() {
		return "bridge"
	}
	return string(host.NetworkMode)
}

// address is where a container is reached: in the network that it was created in, else on
// the first of its networks by name; empty where it shares the host's.
func address(settings *container.NetworkSettings, first string) string {
	if settings == nil {
		return ""
	}
	names := slices.Sorted(maps.Keys(settings.Networks))
	for _, name := range append([]string{first}, names...) {
		network := settings.Networks[name]
		if network == nil {
			continue
		}
		if network.IPAddress.IsValid() {
			return network.IPAddress.String()
		}
		if network.GlobalIPv6Address.IsValid() {
			return network.GlobalIPv6Address.String()
		}
	}
	return ""
}

// List gives all containers, running or not, that carry every label, by name.
func (e *Engine) List(ctx context.Context, labels map[string]string) ([]agent.Container, error) {
	filters := client.Filters{}
	for key, value := range labels {
		filters = filters.Add("label", key+"="+value)
	}
	found, err := e.api.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: filters})
	if err != nil {
		return nil, wrap("list the containers", err)
	}
	var all []agent.Container
	for _, item := range found.Items {
		c, err := e.Inspect(ctx, item.ID)
		if errors.Is(err, agent.ErrNotFound) {
			continue // it went in between
		}
		if err != nil {
			return nil, err
		}
		all = append(all, c)
	}
	slices.SortFunc(all, func(a, b agent.Container) int { return strings.Compare(a.Name, b.Name) })
	return all, nil
}

// Rename gives a container another name.
func (e *Engine) Rename(ctx context.Context, ref, name string) error {
	_, err := e.api.ContainerRename(ctx, ref, client.ContainerRenameOptions{NewName: name})
	return wrap("rename the container "+ref+" to "+name, err)
}

// Stop sends TERM (or the image's STOPSIGNAL), waits for grace, rounded up to
// seconds, then kills. The restart policy is switched off first, so that nobody starts it
// again. A container that is gone is no error.
func (e *Engine) Stop(ctx context.Context, ref string, grace time.Duration) error {
	found, err := e.api.ContainerInspect(ctx, ref, client.ContainerInspectOptions{})
	if err == nil && found.Container.HostConfig != nil && !found.Container.HostConfig.RestartPolicy.IsNone() {
		_, err = e.api.ContainerUpdate(ctx, ref, client.ContainerUpdateOptions{RestartPolicy: &container.RestartPolicy{Name: container.RestartPolicyDisabled}})
	}
	if err == nil {
		seconds := int((max(grace, 0) + time.Second - 1) / time.Second)
		_, err = e.api.ContainerStop(ctx, ref, client.ContainerStopOptions{Timeout: &seconds})
	}
	if errdefs.IsNotFound(err) {
		return nil
	}
	return wrap("stop the container "+ref, err)
}

// Resume starts a container that Stop has stopped, with a restart policy again.
func (e *Engine) Resume(ctx context.Context, ref, restart string) error {
	policy, err := restartPolicy(restart)
	if err != nil {
		return fmt.Errorf("start the container %s again: %w", ref, err)
	}
	if _, err := e.api.ContainerUpdate(ctx, ref, client.ContainerUpdateOptions{RestartPolicy: &policy}); err != nil {
		return wrap("start the container "+ref+" again", err)
	}
	return e.Start(ctx, ref)
}

// removing is how long another's removal of the same container is waited for.
const removing = 30 * time.Second

// Remove removes a stopped or running container and its anonymous volumes. It returns
// when it is gone. A container that is gone is no error.
func (e *Engine) Remove(ctx context.Context, ref string) error {
	_, err := e.api.ContainerRemove(ctx, ref, client.ContainerRemoveOptions{Force: true, RemoveVolumes: true})
	for deadline := time.Now().Add(removing); errdefs.IsConflict(err) && strings.Contains(err.Error(), "already in progress"); {
		if time.Now().After(deadline) {
			break
		}
		select {
		case <-ctx.Done():
			return wrap("remove the container "+ref, context.Cause(ctx))
		case <-time.After(20 * time.Millisecond):
		}
		if _, lookErr := e.api.ContainerInspect(ctx, ref, client.ContainerInspectOptions{}); lookErr != nil {
			err = lookErr
		}
	}
	if errdefs.IsNotFound(err) {
		return nil
	}
	return wrap("remove the container "+ref, err)
}

// Wait gives one result, when the container exits the next time, or at once when it
// has exited already. It is on watch when it returns, so that called before Start it
// misses nothing.
func (e *Engine) Wait(ctx context.Context, ref string) <-chan agent.Exit {
	ctx, cancel := context.WithCancel(ctx)
	watch := e.api.ContainerWait(ctx, ref, client.ContainerWaitOptions{Condition: container.WaitConditionNextExit})
	exit := make(chan agent.Exit, 1)
	if c, err := e.Inspect(ctx, ref); err == nil && (c.Status == "exited" || c.Status == "dead") && !c.Started.IsZero() {
		exit <- agent.Exit{Code: c.ExitCode}
		cancel()
		return exit
	}
	// It ends with the container, with ctx or with the engine.
	go func() {
		defer cancel()
		select {
		case result := <-watch.Result:
			end := agent.Exit{Code: int(result.StatusCode)}
			if result.Error != nil {
				end.Err = fmt.Errorf("wait for the container %s: %s", ref, result.Error.Message)
			}
			exit <- end
		case err := <-watch.Error:
			exit <- agent.Exit{Err: wrap("wait for the container "+ref, err)}
		case <-ctx.Done():
			exit <- agent.Exit{Err: wrap("wait for the container "+ref, context.Cause(ctx))}
		}
	}()
	return exit
}
