package agent

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"unicode/utf8"

	"github.com/dokku-push/dokku-push/api"
)

// mostFile is how many bytes a file that is read out of an image may have.
const mostFile = 1 << 20

// foreign tells whether the image was built elsewhere, so that files of its own may say
// what runs. An image of ours has them as labels.
func (r *run) foreign() bool {
	return r.document.Builder == "image" && r.image.Labels[api.LabelBuilder] == ""
}

// readImage takes what the release document does not have, Procfile, app.json and
// nginx.conf.sigil, out of a foreign image: out of its WORKDIR, or of /app or /workspace.
// The container that this needs is never started.
func (r *run) readImage(ctx context.Context) error {
	if !r.foreign() {
		return nil
	}
	wanted := map[string]*string{}
	for name, text := range map[string]*string{"Procfile": &r.procfileText, "app.json": &r.appJSONText, "nginx.conf.sigil": &r.templateText} {
		if *text == "" {
			wanted[name] = text
		}
	}
	if len(wanted) == 0 {
		return nil
	}
	id, err := r.unstarted(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = r.Containers.Remove(context.WithoutCancel(ctx), id) }() // what is left over, undo removes
	for _, folder := range imageFolders(r.image) {
		found := false
		for name, text := range wanted {
			content, err := r.Containers.ReadFile(ctx, id, path.Join(folder, name), mostFile)
			if errors.Is(err, ErrNotFound) {
				continue
			}
			if err == nil && !utf8.Valid(content) {
				err = errors.New("it is no text")
			}
			if err != nil {
				return api.Errorf(api.Precondition, "read "+path.Join(folder, name)+" of the image", "%w", err).
					WithHint("put the file beside dokku.hcl, or mend the image")
			}
			r.say("extract", "%s of the image: %s", name, path.Join(folder, name))
			*text, found = string(content), true
		}
		if found {
			break // files of two folders are not mixed
		}
	}
	return r.parseFiles()
}

// imageFolders are the places of an image where an app's files may be, the likeliest first.
func imageFolders(image Image) []string {
	folders := []string{"/app", "/workspace"}
	if dir := path.Join("/", image.WorkingDir); dir != "/" {
		folders = slices.DeleteFunc(folders, func(folder string) bool { return folder == dir })
		folders = append([]string{dir}, folders...)
	}
	return folders
}

// unstarted makes a container to read files from. It has a command only because the
// engine makes none without.
func (r *run) unstarted(ctx context.Context) (string, error) {
	suffix, err := drawn(5)
	if err != nil {
		return "", fmt.Errorf("name the container: %w", err)
	}
	labels := r.Host.labels(r.change.App, "phase")
	labels["dokku_phase_script"], labels[labelRequest] = "extract", r.change.Request
	id, err := r.Containers.Create(ctx, ContainerSpec{Name: r.change.App + ".extract." + suffix, Image: r.image.ID,
		Entrypoint: []string{"/never-started"}, Labels: labels})
	if err != nil {
		return "", fmt.Errorf("open the image for reading: %w", err)
	}
	return id, nil
}
