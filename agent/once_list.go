package agent

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// OnceContainers lists an app's containers of run and cron, by name.
func (h *Host) OnceContainers(ctx context.Context, app string) ([]Container, error) {
	all, err := h.Containers.List(ctx, map[string]string{labelApp: app, labelHost: h.ID()})
	if err != nil {
		return nil, fmt.Errorf("list the containers of %s: %w", app, err)
	}
	all = slices.DeleteFunc(all, func(c Container) bool { return c.Labels[labelType] != "run" && c.Labels[labelType] != "cron" })
	slices.SortFunc(all, func(a, b Container) int { return strings.Compare(a.Name, b.Name) })
	return all, nil
}

// FailedContainers lists an app's containers that have ended with an exit code other than
// 0 and were not stopped by the deploy: TERM and KILL are how it stops them.
func (h *Host) FailedContainers(ctx context.Context, app string) ([]Container, error) {
	all, err := h.Containers.List(ctx, map[string]string{labelApp: app, labelHost: h.ID()})
	if err != nil {
		return nil, fmt.Errorf("list the containers of %s: %w", app, err)
	}
	return slices.DeleteFunc(all, func(c Container) bool {
		stopped := !c.OOMKilled && (c.ExitCode == 0 || c.ExitCode == 137 || c.ExitCode == 143)
		return c.Running && c.Restarts == 0 || stopped || c.Status == "created"
	}), nil
}

// Cleaned is what Cleanup has removed.
type Cleaned struct {
	Containers, Images []string
}

// Cleanup removes what an app has left in the engine: containers that have ended and that
// are not the current release's, and images without a name that say they are the app's.
// Containers of services and of other hosts on the engine are not looked at. What a
// deploy is at work with stays: it holds the lock.
func (h *Host) Cleanup(ctx context.Context, app string, by Caller) (cleaned Cleaned, err error) {
	err = h.withLock(ctx, app, by, 0, func(ctx context.Context) error {
		all, err := h.Containers.List(ctx, map[string]string{labelApp: app, labelHost: h.ID()})
		if err != nil {
			return fmt.Errorf("list the containers of %s: %w", app, err)
		}
		for _, c := range all {
			i, isDeploy := instanceOf(c)
			ended := c.Status == "exited" || c.Status == "dead"
			if !ended || c.Labels["dokku"] != "" || isDeploy && c.Name == i.finalName(app) {
				continue
			}
			if err := h.Containers.Remove(ctx, c.ID); err != nil {
				return fmt.Errorf("remove %s: %w", c.Name, err)
			}
			cleaned.Containers = append(cleaned.Containers, c.Name)
		}
		images, err := h.Images.Dangling(ctx, map[string]string{labelApp: app})
		if err != nil {
			return err
		}
		for _, image := range images {
			if err := h.dropImage(ctx, app, image.ID); err != nil {
				return err
			}
			cleaned.Images = append(cleaned.Images, image.ID)
		}
		return nil
	})
	return cleaned, err
}
