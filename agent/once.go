package agent

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/manifest"
)

// RunOnce runs a command in a new container of the app's current release and returns
// its exit code. A single word that names a process type runs that one's command.
// The container is removed whatever happens.
func (h *Host) RunOnce(ctx context.Context, app string, command []string, extra map[string]string, streams Streams) (int, error) {
	current, err := h.currentRecord(app)
	if err != nil {
		return 0, err
	}
	if current == nil {
		return 0, api.Errorf(api.Precondition, "run", "App %s has not been deployed", app)
	}
	settings, err := h.Settings.Read(app)
	if err != nil {
		return 0, fmt.Errorf("read the settings of %s: %w", app, err)
	}
	global, err := h.Settings.Read("--global")
	if err != nil {
		return 0, fmt.Errorf("read the global settings: %w", err)
	}
	image, err := h.Images.Image(ctx, current.Run)
	if err != nil {
		return 0, fmt.Errorf("look at the image of the release: %w", err)
	}
	runs := commandIn(image, command)
	if len(command) == 1 && settings.Procfile != "" {
		if procfile, found := manifest.ParseProcfile("Procfile", []byte(settings.Procfile)); !found.Failed() {
			if line, ok := procfile.Command(command[0]); ok {
				runs = startOf(image, command[0], line)
			}
		}
	}
	var answer limitedBuffer
	if err := h.Walk.Trigger(ctx, "docker-args-run", []string{app, tag}, Streams{Out: &answer, Err: streams.Err}); err != nil {
		return 0, api.Errorf(api.Precondition, "run the trigger docker-args-run", "%w", err)
	}
	args, err := SplitWords(answer.String())
	if err != nil {
		return 0, api.Errorf(api.Precondition, "read the answer of docker-args-run", "%w: %s", err, strings.TrimSpace(answer.String()))
	}
	own, err := declaredArgs(settings, optionsRun)
	if err != nil {
		return 0, err
	}
	env := cloned(global.Env)
	maps.Copy(env, settings.Env)
	maps.Copy(env, extra)
	random := make([]byte, 4)
	if _, err := rand.Read(random); err != nil {
		return 0, err
	}
	name := fmt.Sprintf("%s.run.%d", app, binary.BigEndian.Uint32(random))
	env["DYNO"] = strings.TrimPrefix(name, app+".")
	id, err := h.Containers.Create(ctx, ContainerSpec{Name: name, Image: current.Run, Entrypoint: runs.entrypoint, Cmd: runs.command, Env: env,
		Labels: h.labels(app, "run"), Args: slices.Concat(own, args), Init: true, Stdin: streams.In != nil})
	if err != nil {
		return 0, fmt.Errorf("create the container: %w", err)
	}
	exit, err := h.Containers.Run(ctx, id, streams)
	if removeErr := h.Containers.Remove(context.WithoutCancel(ctx), id); err == nil {
		err = ignoreNotFound(removeErr)
	}
	if err != nil {
		return exit, fmt.Errorf("run %s: %w", strings.Join(command, " "), err)
	}
	return exit, nil
}

// Tags lists the tags of the app's images, with what they name.
func (h *Host) Tags(ctx context.Context, app string) (map[string]Image, error) {
	names, err := h.Images.Names(ctx, "dokku/"+app)
	if err != nil {
		return nil, fmt.Errorf("list the images of %s: %w", app, err)
	}
	tags := map[string]Image{}
	for _, name := range names {
		label, isTag := strings.CutPrefix(name, "dokku/"+app+":")
		if !isTag || strings.Contains(name, "@") {
			continue
		}
		image, err := h.Images.Image(ctx, name)
		if err != nil {
			return nil, fmt.Errorf("look at the image %s: %w", name, err)
		}
		tags[label] = image
	}
	return tags, nil
}

// AddTag gives the image that runs one more tag, RemoveTag takes one away
// (PLUGIN-CONTRACT 4.2). The tags that releases are known by cannot be taken.
func (h *Host) AddTag(ctx context.Context, app, label string) error {
	current, err := h.currentRecord(app)
	if err != nil {
		return err
	}
	if current == nil {
		return api.Errorf(api.Precondition, "create the tag", "App %s has not been deployed", app)
	}
	if err := h.Images.Tag(ctx, current.Run, imageName(app, label)); err != nil {
		return fmt.Errorf("create the tag %s: %w", label, err)
	}
	return h.fire(ctx, "tags-create", app, label)
}

// RemoveTag removes a tag that AddTag or a push to the engine has made.
func (h *Host) RemoveTag(ctx context.Context, app, label string) error {
	tags, err := h.Tags(ctx, app)
	if err != nil {
		return err
	}
	if _, ok := tags[label]; !ok {
		return &api.Error{Code: api.NotFound, Op: "destroy the tag", Message: fmt.Sprintf("Tag %s does not exist", label)}
	}
	if err := h.Images.Untag(ctx, imageName(app, label)); err != nil {
		return fmt.Errorf("destroy the tag %s: %w", label, err)
	}
	return h.fire(ctx, "tags-destroy", app, label)
}
