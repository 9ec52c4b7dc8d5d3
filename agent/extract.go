package agent

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/dokku-push/dokku-push/api"
)

// overrideImage asks the three deployed-app triggers; an answer replaces the
// part of the name it is for, and the image of that name is what runs.
func (r *run) overrideImage(ctx context.Context) error {
	app := r.change.App
	parts := map[string]string{}
	for _, trigger := range []string{"deployed-app-image-tag", "deployed-app-image-repo", "deployed-app-repository"} {
		answer, err := r.ask(ctx, api.Precondition, trigger, app)
		if err != nil {
			return err
		}
		parts[trigger] = strings.TrimSpace(answer)
	}
	if strings.Join([]string{parts["deployed-app-image-tag"], parts["deployed-app-image-repo"], parts["deployed-app-repository"]}, "") == "" {
		return nil
	}
	name := parts["deployed-app-repository"]
	if name != "" && !strings.HasSuffix(name, "/") {
		name += "/"
	}
	if repo := parts["deployed-app-image-repo"]; repo != "" {
		name += repo
	} else {
		name += "dokku/" + app
	}
	if override := parts["deployed-app-image-tag"]; override != "" {
		name += ":" + override
	} else {
		name += ":" + tag
	}
	image, err := r.Images.Image(ctx, name)
	if errors.Is(err, ErrNotFound) {
		if err = r.Images.Pull(ctx, name, nil, nil); err == nil {
			image, err = r.Images.Image(ctx, name)
		}
	}
	if err != nil {
		return api.Errorf(api.Precondition, "find the image "+name, "%w", err).
			WithHint("a plugin (deployed-app-image-*, deployed-app-repository) names it; is it there?")
	}
	if image.ID == r.image.ID {
		return nil
	}
	return r.becomes(ctx, image.ID, "deployed-app-image triggers")
}

// extract is step 3: a foreign image's files are read, core-post-extract gets the app's
// files in a folder, and what it leaves there is what the release uses.
func (r *run) extract(ctx context.Context) error {
	if err := r.readImage(ctx); err != nil {
		return err
	}
	if !r.Walk.Has("core-post-extract") {
		return nil
	}
	dir, err := os.MkdirTemp("", "dokku-push-")
	if err != nil {
		return fmt.Errorf("make a folder for core-post-extract: %w", err)
	}
	defer os.RemoveAll(dir)
	files := map[string]*string{"Procfile": &r.procfileText, "app.json": &r.appJSONText}
	for name, text := range files {
		if *text == "" {
			continue
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(*text), 0o644); err != nil {
			return fmt.Errorf("write %s for core-post-extract: %w", name, err)
		}
	}
	if err := r.fire(ctx, api.ReleaseFailed, "core-post-extract", r.change.App, dir, r.document.Source.Revision); err != nil {
		return err
	}
	for name, text := range files {
		left, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("read %s after core-post-extract: %w", name, err)
		}
		*text = string(left)
	}
	return r.parseFiles()
}
