package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/manifest"
)

// release is step 5: the plugins' release triggers, the predeploy script, whatever
// plugins commit onto the image, and the release task, on purpose after all of them.
func (r *run) release(ctx context.Context) error {
	app, builder := r.change.App, r.builder()
	latest := imageName(app, tag)
	phases := []struct {
		trigger string
		args    []string
	}{
		{"pre-release", []string{app}},
		{"pre-release-" + buildOrDockerfile(builder), []string{app, tag}},
		{"pre-release-builder", []string{builder, app, latest}},
		{"", nil}, // the predeploy script
		{"post-release-" + buildOrDockerfile(builder), []string{app, tag}},
		{"post-release-builder", []string{builder, app, latest}},
		{"post-release", []string{app}},
		{"pre-deploy", []string{app, tag}},
	}
	for _, phase := range phases {
		if phase.trigger == "" {
			if err := r.predeploy(ctx); err != nil {
				return err
			}
			continue
		}
		if !r.Walk.Has(phase.trigger) {
			continue
		}
		shipped := r.Walk.Ships(phase.trigger)
		if err := r.fire(ctx, api.ReleaseFailed, phase.trigger, phase.args...); err != nil {
			return err
		}
		if err := r.adoptCommit(ctx, strings.Join(shipped, ", ")); err != nil {
			return err
		}
	}
	if task, ok := r.procfile.Command(manifest.Release); ok {
		_, err := r.script(ctx, manifest.Release, task, false)
		return err
	}
	return nil
}

func buildOrDockerfile(builder string) string {
	if builder == "dockerfile" {
		return "dockerfile"
	}
	return "buildpack"
}

// predeploy runs app.json's predeploy script and makes its result the image.
// It ran already for an image that ran before.
func (r *run) predeploy(ctx context.Context) error {
	if r.appJSON.Scripts.Predeploy == "" || r.from != nil {
		return nil
	}
	id, err := r.script(ctx, "predeploy", r.appJSON.Scripts.Predeploy, true)
	if err != nil {
		return err
	}
	r.warn("scripts.dokku.predeploy changed the image: what runs is no longer the digest that was built; a release task in the Procfile would leave it alone")
	return r.becomes(ctx, id, "predeploy")
}

// becomes makes a committed image the one that will run.
func (r *run) becomes(ctx context.Context, id, by string) error {
	image, err := r.Images.Image(ctx, id)
	if err != nil {
		return fmt.Errorf("look at the committed image: %w", err)
	}
	r.image, r.changedBy = image, append(r.changedBy, by)
	return r.nameImage(ctx, id)
}

// adoptCommit looks whether plugins have committed onto dokku/APP:latest.
func (r *run) adoptCommit(ctx context.Context, plugins string) error {
	now, err := r.Images.Image(ctx, imageName(r.change.App, tag))
	if errors.Is(err, ErrNotFound) {
		return api.Errorf(api.ReleaseFailed, "release", "the image %s is gone after the plugins %s", imageName(r.change.App, tag), plugins)
	} else if err != nil {
		return fmt.Errorf("look at the released image: %w", err)
	}
	if now.ID == r.image.ID {
		return nil
	}
	return r.becomes(ctx, now.ID, plugins)
}

// undoRelease removes the containers that the request has made, and a commit of one of
// them that nobody has given a name: its process was killed, or the engine's answer lost.
func undoRelease(ctx context.Context, h *Host, app string, data json.RawMessage) error {
	undo, err := decodeUndo[containersUndo](data)
	if err != nil {
		return err
	}
	return errors.Join(undoContainers(ctx, h, app, data), h.dropCommits(ctx, app, undo.Request))
}

// dropCommits removes the commits of a request that have no name.
func (h *Host) dropCommits(ctx context.Context, app, request string) error {
	var failures []error
	for _, label := range []string{labelCommit, labelRequest} { // the engine's own commit has the container's labels
		images, err := h.Images.Dangling(ctx, map[string]string{label: request})
		if err != nil {
			failures = append(failures, fmt.Errorf("look for commits without a name: %w", err))
		}
		for _, image := range images {
			failures = append(failures, h.dropImage(ctx, app, image.ID))
		}
	}
	return errors.Join(failures...)
}
