package core

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/internal/atomicfile"
	"github.com/dokku-push/dokku-push/internal/run"
)

// latest is the tag of an app's usual image.
const latest = "latest"

func repo(app string) string { return "dokku/" + app }

func imageRepo(_ context.Context, a *ask) error { return a.say(repo(a.arg(0))) }

func runningTag(ctx context.Context, a *ask) error {
	tag, err := a.tag(ctx)
	if err != nil {
		return err
	}
	return a.say(tag)
}

// tag is what deployed-app-image-tag says, else the second argument, else latest.
func (a *ask) tag(ctx context.Context) (string, error) {
	tag, err := a.answer(ctx, "deployed-app-image-tag", a.arg(0))
	switch {
	case err != nil || tag != "":
		return tag, err
	case a.arg(1) != "":
		return a.arg(1), nil
	}
	return latest, nil
}

// imageName is REPO:TAG. The usual name is not looked for: there is none before the
// first deploy.
func imageName(ctx context.Context, a *ask) error {
	app, tag, named := a.arg(0), a.arg(1), a.arg(2)
	if tag == "" && named == "" {
		return a.say(repo(app) + ":" + latest)
	}
	if tag == "" {
		tag = latest
	}
	if named == "" {
		named = repo(app)
	}
	if err := a.isThere(ctx, named+":"+tag); err != nil {
		return err
	}
	return a.say(named + ":" + tag)
}

// deployingImage is the image that a deploy runs, as plugins name it.
func deployingImage(ctx context.Context, a *ask) error {
	tag, err := a.tag(ctx)
	if err != nil {
		return err
	}
	registry, err := a.answer(ctx, "deployed-app-repository", a.arg(0))
	if err != nil {
		return err
	}
	if registry != "" && !strings.HasSuffix(registry, "/") {
		registry += "/"
	}
	named, err := a.answer(ctx, "deployed-app-image-repo", a.arg(0))
	if err != nil {
		return err
	}
	if named == "" {
		named = a.arg(2)
	}
	if named == "" {
		named = repo(a.arg(0))
	}
	name := registry + named + ":" + tag
	if err := a.isThere(ctx, name); err != nil {
		return err
	}
	return a.say(name)
}

func (a *ask) isThere(ctx context.Context, name string) error {
	_, err := a.Host.Images.Image(ctx, name)
	if errors.Is(err, agent.ErrNotFound) {
		return &api.Error{Code: api.NotFound, Message: fmt.Sprintf("App image (%s) not found", name)}
	}
	return err
}

func verifyImage(ctx context.Context, a *ask) error {
	return a.marked(ctx, func(agent.Image) bool { return true })
}

func isCNB(ctx context.Context, a *ask) error       { return a.marked(ctx, cnb) }
func isHerokuish(ctx context.Context, a *ask) error { return a.marked(ctx, herokuish) }

// marked answers for the image in the first argument; one that is not there has no mark.
func (a *ask) marked(ctx context.Context, mark func(agent.Image) bool) error {
	image, err := a.Host.Images.Image(ctx, a.arg(0))
	if errors.Is(err, agent.ErrNotFound) {
		return no
	}
	if err != nil {
		return err
	}
	return yes(mark(image))
}

// The builders' marks on images.
func cnb(image agent.Image) bool {
	return image.Labels["io.buildpacks.lifecycle.metadata"] != "" || image.Labels["io.buildpacks.build.metadata"] != "" || image.Labels["io.buildpacks.stack.id"] != ""
}

func herokuish(image agent.Image) bool {
	return image.Labels["com.gliderlabs.herokuish/stack"] != "" || slices.Contains(image.Env, "USER=herokuishuser") || slices.Contains(image.Env, "DOKKU_APP_TYPE=herokuish")
}

func builderType(ctx context.Context, a *ask) error {
	image, err := a.Host.Images.Image(ctx, a.arg(0))
	if err != nil && !errors.Is(err, agent.ErrNotFound) {
		return err
	}
	switch said := image.Labels["com.dokku.builder-type"]; {
	case said != "":
		return a.say(said)
	case herokuish(image):
		return a.say("herokuish")
	case cnb(image):
		return a.say("pack")
	}
	return a.say("dockerfile")
}

// copyFile copies a file out of an image: APP IMAGE SOURCE DESTINATION.
func copyFile(ctx context.Context, a *ask) error {
	if err := copyOut(ctx, a); err != nil {
		return err
	}
	place := a.arg(3)
	if info, err := os.Stat(place); err == nil && info.IsDir() {
		place = filepath.Join(place, path.Base(a.arg(2)))
	}
	text, err := os.ReadFile(place)
	if err != nil || bytes.HasSuffix(text, []byte("\n")) {
		return err
	}
	return atomicfile.WriteFile(place, append(text, '\n'), 0o644)
}

// copyOut copies by the docker program, through a container that never runs.
func copyOut(ctx context.Context, a *ask) error {
	if err := a.need(4, "an app, an image, a source and a destination"); err != nil {
		return err
	}
	image, err := a.Host.Images.Image(ctx, a.arg(1))
	if err != nil {
		return fmt.Errorf("look at the image %s: %w", a.arg(1), err)
	}
	from := a.arg(2)
	if !path.IsAbs(from) {
		from = path.Join(workFolder(image), from)
	}
	made, err := a.docker(ctx, "container", "create", "--label=dokku", "--label=com.dokku.app-name="+a.arg(0), image.ID, "true")
	if err != nil {
		return err
	}
	made = strings.TrimSpace(made)
	_, err = a.docker(ctx, "container", "cp", made+":"+from, filepath.Clean(a.arg(3)))
	if removeErr := a.Host.Containers.Remove(context.WithoutCancel(ctx), made); err == nil {
		err = removeErr
	}
	return err
}

// workFolder is where an image has its app.
func workFolder(image agent.Image) string {
	switch {
	case cnb(image):
		return "/workspace"
	case herokuish(image):
		return "/app"
	case image.WorkingDir != "":
		return image.WorkingDir
	}
	return "/"
}

// docker runs the docker program and returns what it prints.
func (a *ask) docker(ctx context.Context, args ...string) (string, error) {
	program := a.variable("DOCKER_BIN")
	if program == "" {
		program = "docker"
	}
	var out, problems bytes.Buffer
	command := run.Cmd{Argv: append([]string{program}, args...), Env: a.env, Stdout: &out, Stderr: &problems, Grace: 5 * time.Second}
	if err := command.Run(ctx); err != nil {
		return "", fmt.Errorf("docker %s: %w: %s", strings.Join(args[:2], " "), err, strings.TrimSpace(problems.String()))
	}
	return out.String(), nil
}
