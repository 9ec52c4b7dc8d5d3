package docker

import (
	"context"
	"slices"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/client"
)

// Volumes lists the volumes whose names begin so.
func (e *Engine) Volumes(ctx context.Context, prefix string) ([]string, error) {
	found, err := e.api.VolumeList(ctx, client.VolumeListOptions{Filters: make(client.Filters).Add("name", prefix)}) // anywhere in the name
	if err != nil {
		return nil, wrap("list the volumes", err)
	}
	var names []string
	for _, volume := range found.Items {
		if strings.HasPrefix(volume.Name, prefix) {
			names = append(names, volume.Name)
		}
	}
	slices.Sort(names)
	return names, nil
}

// RemoveVolume removes a volume, unless a container has it.
func (e *Engine) RemoveVolume(ctx context.Context, name string) error {
	_, err := e.api.VolumeRemove(ctx, name, client.VolumeRemoveOptions{})
	if errdefs.IsNotFound(err) || errdefs.IsConflict(err) {
		return nil
	}
	return wrap("remove the volume "+name, err)
}
