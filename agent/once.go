package agent

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"strconv"
	"strings"

	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/manifest"
)

// Once is a command that runs once in a new container of an app's current release. A
// single word that names a process type runs that one's command.
type Once struct {
	Command []string
	Env     map[string]string // over the app's own
	Type    string            // com.dokku.container-type: run or cron; empty: run
	Name    string            // after APP.TYPE.; empty: a random number
	Labels  map[string]string // beside the usual ones
	Input   bool              // it reads its standard input
	Gone    bool              // the engine removes it when it ends
}

// RunOnce runs a command in a new container of the app's current release and returns
// its exit code. The container is removed whatever happens.
func (h *Host) RunOnce(ctx context.Context, app string, command []string, extra map[string]string, streams Streams) (int, error) {
	id, _, err := h.prepareOnce(ctx, app, Once{Command: command, Env: extra, Input: streams.In != nil}, streams.Err)
	if err != nil {
		return 0, err
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

// RunDetached starts a command in a new container and leaves it to itself. It returns the
// container's name.
func (h *Host) RunDetached(ctx context.Context, app string, once Once, problems io.Writer) (name string, err error) {
	id, name, err := h.prepareOnce(ctx, app, once, problems)
	if err != nil {
		return "", err
	}
	if err := h.Containers.Start(ctx, id); err != nil {
		_ = h.Containers.Remove(context.WithoutCancel(ctx), id) // what stays, cleanup removes
		return "", fmt.Errorf("start the container: %w", err)
	}
	return name, nil
}

// prepareOnce creates the container of a command.
func (h *Host) prepareOnce(ctx context.Context, app string, once Once, problems io.Writer) (id, name string, err error) {
	current, err := h.currentRecord(app)
	if err != nil {
		return "", "", err
	}
	if current == nil {
		return "", "", api.Errorf(api.Precondition, "run", "App %s has not been deployed", app)
	}
	settings, err := h.Settings.Read(app)
	if err != nil {
		return "", "", fmt.Errorf("read the settings of %s: %w", app, err)
	}
	global, err := h.Settings.Read("--global")
	if err != nil {
		return "", "", fmt.Errorf("read the global settings: %w", err)
	}
	image, err := h.Images.Image(ctx, current.Run)
	if err != nil {
		return "", "", fmt.Errorf("look at the image of the release: %w", err)
	}
	args, err := h.onceArgs(ctx, app, sourceType(current.Document.Builder), settings, once.Command, problems)
	if err != nil {
		return "", "", err
	}
	if once.Gone {
		args = append([]string{"--rm"}, args...)
	}
	if err := once.label(); err != nil {
		return "", "", err
	}
	env := cloned(global.Env)
	maps.Copy(env, settings.Env)
	maps.Copy(env, once.Env)
	env["DYNO"] = once.Type + "." + once.Name
	labels := h.labels(app, once.Type)
	maps.Copy(labels, once.Labels)
	runs := onceStart(image, settings, once.Command)
	name = app + "." + once.Type + "." + once.Name
	id, err = h.Containers.Create(ctx, ContainerSpec{Name: name, Image: current.Run, Entrypoint: runs.entrypoint, Cmd: runs.command, Env: env,
		Labels: labels, Args: args, Init: true, Stdin: once.Input,
		Network: h.inherit(settings).Properties["network/initial-network"]})
	if err != nil {
		return "", "", fmt.Errorf("create the container: %w", err)
	}
	for _, network := range networkNames(h.inherit(settings), "attach-post-create") {
		if err := h.Networks.Connect(ctx, network, id, nil); err != nil {
			return "", "", errors.Join(fmt.Errorf("put the container into the network %s: %w", network, err), h.Containers.Remove(context.WithoutCancel(ctx), id))
		}
	}
	if err := h.trigger(ctx, "post-container-create", []string{"app", id, app, "run"}, Streams{Out: problems, Err: problems}); err != nil {
		return "", "", errors.Join(api.Errorf(api.Precondition, "run the trigger post-container-create", "%w", err), h.Containers.Remove(context.WithoutCancel(ctx), id))
	}
	return id, name, nil
}

// label gives a command what its container is called by, where it was given none: Dokku
// draws a number.
func (o *Once) label() error {
	if o.Type == "" {
		o.Type = "run"
	}
	if o.Name != "" {
		return nil
	}
	random := make([]byte, 4)
	if _, err := rand.Read(random); err != nil {
		return fmt.Errorf("draw a number: %w", err)
	}
	o.Name = strconv.FormatUint(uint64(binary.BigEndian.Uint32(random)), 10)
	return nil
}

// onceStart is what a command runs, or the process type of that name.
func onceStart(image Image, settings Settings, command []string) start {
	if len(command) == 1 && settings.Procfile != "" {
		if procfile, found := manifest.ParseProcfile("Procfile", []byte(settings.Procfile)); !found.Failed() {
			if line, ok := procfile.Command(command[0]); ok {
				return startOf(image, command[0], line)
			}
		}
	}
	return commandIn(image, command)
}

// onceArgs are the docker options of run: the app's own, then the plugins'. What scheduler-run
// prints is shown beside what the command says on stderr, for stdout is the command's.
func (h *Host) onceArgs(ctx context.Context, app, source string, settings Settings, command []string, problems io.Writer) ([]string, error) {
	if err := h.trigger(ctx, "scheduler-run", append([]string{scheduler, app}, command...), Streams{Out: problems, Err: problems}); err != nil {
		return nil, api.Errorf(api.Precondition, "run the trigger scheduler-run", "%w", err)
	}
	args, err := declaredArgs(settings, optionsRun)
	if err == nil {
		err = h.stillMounts(app, args)
	}
	if err != nil {
		return nil, err
	}
	for _, asked := range [][]string{{"docker-args-run", app, tag}, {"docker-args-process-run", app, source, tag}} {
		var answer limitedBuffer
		if err := h.trigger(ctx, asked[0], asked[1:], Streams{Out: &answer, Err: problems}); err != nil {
			return nil, api.Errorf(api.Precondition, "run the trigger "+asked[0], "%w", err)
		}
		words, err := SplitWords(answer.String())
		if err != nil {
			return nil, api.Errorf(api.Precondition, "read the answer of "+asked[0], "%w: %s", err, strings.TrimSpace(answer.String()))
		}
		args = append(args, words...)
	}
	return args, nil
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
	if err := h.fire(ctx, "scheduler-tags-create", scheduler, app, imageName(app, tag), imageName(app, label)); err != nil {
		return err
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
	if err := h.fire(ctx, "scheduler-tags-destroy", scheduler, app, "dokku/"+app, label); err != nil {
		return err
	}
	if err := h.Images.Untag(ctx, imageName(app, label)); err != nil {
		return fmt.Errorf("destroy the tag %s: %w", label, err)
	}
	return h.fire(ctx, "tags-destroy", app, label)
}
