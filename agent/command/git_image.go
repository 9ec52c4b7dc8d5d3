package command

import (
	"context"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/api"
)

// gitImageCommands are git:from-image and git:load-image: an image that exists is deployed.
func gitImageCommands() []Command {
	return []Command{
		{"git:from-image", "[--force] <app> <image> [<git-username> <git-email>]", "Deploy an image of a registry or of the engine", gitFromImage},
		{"git:load-image", "<app> <image> [<git-username> <git-email>]", "Deploy an image out of an archive on standard input", gitLoadImage},
	}
}

// imageAndAuthor reads the words of both commands.
func (c *Call) imageAndAuthor(ctx context.Context) (change agent.Change, err error) {
	if _, given, err := c.option("--build-dir"); err != nil || given {
		return change, api.Errorf(api.Usage, "", "--build-dir is not taken: an image is deployed as it is").
			WithHint("an image with ONBUILD needs a Dockerfile: dokku-push builds it where it runs")
	}
	if change.App, err = c.app(ctx); err != nil {
		return change, err
	}
	if len(c.Args) == 0 || c.Args[0] == "" {
		return change, api.Errorf(api.Usage, "", "Please specify a docker image")
	}
	change.Kind, change.Image = agent.Tag, c.Args[0]
	if err := agent.ImageName(change.Image); err != nil {
		return change, err
	}
	c.Args = c.Args[1:]
	change.Author, err = c.author()
	return change, err
}

// author reads the name and the address of who brings something, as Dokku does; empty:
// nobody said.
func (c *Call) author() (string, error) {
	if len(c.Args) > 2 {
		return "", api.Errorf(api.Usage, "", "too many arguments: %s", strings.Join(c.Args[2:], " "))
	}
	for _, word := range c.Args {
		if len(word) > 200 || !utf8.ValidString(word) || strings.ContainsFunc(word, unicode.IsControl) || strings.ContainsAny(word, "<>") {
			return "", api.Errorf(api.Usage, "", "%.80q is no name or address of a person", word)
		}
	}
	switch {
	case len(c.Args) == 0 || c.Args[0] == "":
		return "", nil
	case len(c.Args) == 1:
		return c.Args[0], nil
	}
	return fmt.Sprintf("%s <%s>", c.Args[0], c.Args[1]), nil
}

func gitFromImage(ctx context.Context, call *Call) error {
	force := call.flag("--force", "-f") || call.Force
	change, err := call.imageAndAuthor(ctx)
	if err != nil {
		return err
	}
	if change.Pull = agent.PullMissing; force {
		change.Pull = agent.PullAlways
	}
	return call.deployImage(ctx, change)
}

func gitLoadImage(ctx context.Context, call *Call) error {
	change, err := call.imageAndAuthor(ctx)
	if err != nil {
		return err
	}
	if err := call.Host.Takes(change.App); err != nil {
		return err
	}
	engine, err := call.Host.Containers.Info(ctx)
	if err != nil {
		return fmt.Errorf("ask the engine: %w", err)
	}
	call.say("Loading image")
	change.Pull = agent.PullSent
	if change.Document.Image, err = call.Host.Blobs.Load(ctx, change.App, change.Image, engine, call.In); err != nil {
		return err
	}
	return call.deployImage(ctx, change)
}

// deployImage deploys, and notes where the app came from. An image that runs already is no
// deploy, and Dokku's exit code says so.
func (c *Call) deployImage(ctx context.Context, change agent.Change) error {
	changed, err := c.applied(ctx, change)
	if err != nil {
		return err
	}
	if !changed {
		return c.noChanges(change.App)
	}
	return c.Host.Fire(ctx, "deploy-source-set", change.App, "docker-image", change.Image)
}

// noChanges says in Dokku's words that what came is what is there.
func (c *Call) noChanges(app string) error {
	fmt.Fprintln(c.Err, " !     No changes detected, skipping git commit")
	fmt.Fprintf(c.Err, " !     Call 'ps:rebuild' on %s to rebuild the app from existing source\n", app)
	return &Exit{1}
}
