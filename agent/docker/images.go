package docker

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/pkg/authconfig"
	"github.com/moby/moby/api/types/jsonstream"
	"github.com/moby/moby/api/types/registry"
	"github.com/moby/moby/client"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/api"
)

// Image inspects an image by id or reference; agent.ErrNotFound when absent.
func (e *Engine) Image(ctx context.Context, ref string) (agent.Image, error) {
	found, err := e.api.ImageInspect(ctx, ref)
	if err != nil {
		return agent.Image{}, wrap("look at the image "+ref, err)
	}
	image := agent.Image{ID: found.ID, OS: found.Os, Arch: found.Architecture, DiffIDs: found.RootFS.Layers,
		Names: found.RepoTags, Digests: found.RepoDigests, Size: found.Size}
	if config := found.Config; config != nil {
		image.Entrypoint, image.Cmd, image.Env = config.Entrypoint, config.Cmd, config.Env
		image.WorkingDir, image.User, image.Labels = config.WorkingDir, config.User, config.Labels
		image.Exposed = slices.Sorted(maps.Keys(config.ExposedPorts))
	}
	return image, nil
}

// Pull fetches a reference and returns when the engine has all of it. auth and progress may
// be nil; progress is called at most some times a second for each layer. Without auth, what
// nobody may have is asked for once more with the passwords that the docker program keeps
// for its user, credential helpers included.
func (e *Engine) Pull(ctx context.Context, ref string, auth *api.RegistryAuth, progress func(api.Progress)) error {
	err := e.pull(ctx, ref, auth, progress)
	if err == nil || auth != nil || ctx.Err() != nil {
		return err
	}
	if said, failed := e.program(ctx, "", "pull", "--quiet", ref); failed != nil {
		if strings.HasSuffix(err.Error(), said) {
			return err // the same, once more
		}
		return fmt.Errorf("pull %s: %s: %w", ref, said, err)
	}
	return nil
}

func (e *Engine) pull(ctx context.Context, ref string, auth *api.RegistryAuth, progress func(api.Progress)) error {
	var options client.ImagePullOptions
	if auth != nil {
		header, err := authconfig.Encode(registry.AuthConfig{Username: auth.Username, Password: auth.Password,
			IdentityToken: auth.IdentityToken, RegistryToken: auth.RegistryToken})
		if err != nil {
			return fmt.Errorf("pull %s: encode the credentials: %w", ref, err)
		}
		options.RegistryAuth = header
	}
	stream, err := e.api.ImagePull(ctx, ref, options)
	if err != nil {
		return wrap("pull "+ref, err)
	}
	layers := pullProgress{tell: progress, last: map[string]layerProgress{}}
	for message, err := range stream.JSONMessages(ctx) {
		if err == nil && message.Error != nil {
			err = message.Error
		}
		if err != nil {
			return wrap("pull "+ref, err)
		}
		layers.see(message)
	}
	return wrap("pull "+ref, ctx.Err())
}

// pullProgress thins out what the engine says of each layer.
type pullProgress struct {
	tell func(api.Progress)
	last map[string]layerProgress
}

type layerProgress struct {
	status string
	told   time.Time
}

const progressEvery = 200 * time.Millisecond

func (p *pullProgress) see(message jsonstream.Message) {
	if p.tell == nil || message.ID == "" || strings.HasPrefix(message.Status, "Pulling from") {
		return
	}
	last := p.last[message.ID]
	if last.status == message.Status && time.Since(last.told) < progressEvery {
		return
	}
	p.last[message.ID] = layerProgress{status: message.Status, told: time.Now()}
	progress := api.Progress{Name: message.ID, Note: message.Status}
	if message.Progress != nil {
		progress.Done, progress.Total = message.Progress.Current, message.Progress.Total
	}
	p.tell(progress)
}

// Tag names an image id; the name is moved if it was another image's.
func (e *Engine) Tag(ctx context.Context, id, name string) error {
	_, err := e.api.ImageTag(ctx, client.ImageTagOptions{Source: id, Target: name})
	return wrap("tag the image "+id+" as "+name, err)
}

// Untag removes one name; the image goes with its last one. What containers still
// use loses the name and keeps its layers. An id removes an image that has no tag.
func (e *Engine) Untag(ctx context.Context, name string) error {
	_, err := e.api.ImageRemove(ctx, name, client.ImageRemoveOptions{PruneChildren: true})
	if errdefs.IsConflict(err) {
		image, lookErr := e.Image(ctx, name)
		switch {
		case lookErr != nil:
			err = lookErr
		case slices.Contains(append(image.Names, image.Digests...), name):
			_, err = e.api.ImageRemove(ctx, name, client.ImageRemoveOptions{PruneChildren: true, Force: true})
		case len(image.Names) == 0:
			return nil // an id: a container uses it, and it goes with the next attempt after that
		}
	}
	if errdefs.IsNotFound(err) {
		return nil
	}
	return wrap("remove the image name "+name, err)
}

// Names lists the tags and digest references of a repository, sorted.
func (e *Engine) Names(ctx context.Context, repository string) ([]string, error) {
	found, err := e.api.ImageList(ctx, client.ImageListOptions{Filters: client.Filters{}.Add("reference", repository)})
	if err != nil {
		return nil, wrap("list the images of "+repository, err)
	}
	var names []string
	for _, image := range found.Items {
		for _, name := range append(image.RepoTags, image.RepoDigests...) {
			rest, ok := strings.CutPrefix(name, repository)
			if ok && (strings.HasPrefix(rest, "@") || strings.HasPrefix(rest, ":") && !strings.Contains(rest, "/")) {
				names = append(names, name)
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

// Dangling lists the images that have no name and carry every label.
func (e *Engine) Dangling(ctx context.Context, labels map[string]string) ([]agent.Image, error) {
	filters := client.Filters{}.Add("dangling", "true")
	for key, value := range labels {
		filters = filters.Add("label", key+"="+value)
	}
	found, err := e.api.ImageList(ctx, client.ImageListOptions{Filters: filters})
	if err != nil {
		return nil, wrap("list the images without a name", err)
	}
	var images []agent.Image
	for _, item := range found.Items {
		images = append(images, agent.Image{ID: item.ID, Labels: item.Labels, Size: item.Size})
	}
	return images, nil
}
