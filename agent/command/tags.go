package command

import (
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/api"
)

// tagsCommands are the rows of this noun.
func tagsCommands() []Command {
	return []Command{
		{"tags", "<app>", "List all app image tags", tagsList},
		{"tags:create", "<app> <tag>", "Add a tag to the running image", tagsCreate},
		{"tags:deploy", "<app> <tag>", "Deploy a tagged image", tagsDeploy},
		{"tags:destroy", "<app> <tag>", "Remove an image tag", tagsDestroy},
	}
}

var (
	tagForm     = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$`)
	releaseForm = regexp.MustCompile(`^v[0-9]+$`)
)

// appAndTag reads the two words of every tags command.
func (c *Call) appAndTag(ctx context.Context) (app, label string, err error) {
	if app, err = c.app(ctx); err != nil {
		return "", "", err
	}
	if len(c.Args) != 1 {
		return "", "", api.Errorf(api.Usage, "", "Please specify a tag")
	}
	if label = c.Args[0]; !tagForm.MatchString(label) {
		return "", "", api.Errorf(api.Usage, "", "%q is no image tag: letters, digits, _, . and -, at most 128", label)
	}
	return app, label, nil
}

// ownTag refuses the tags that the transaction keeps its books with.
func ownTag(label string) error {
	if label == "latest" || releaseForm.MatchString(label) {
		return api.Errorf(api.Usage, "", "the tag %s belongs to the releases and cannot be changed", label)
	}
	return nil
}

func tagsList(ctx context.Context, call *Call) error {
	app, err := call.app(ctx)
	if err != nil {
		return err
	}
	tags, err := call.Host.Tags(ctx, app)
	if err != nil {
		return err
	}
	if !call.Quiet {
		fmt.Fprintf(call.Out, "=====> Image tags for dokku/%s\n", app)
	}
	fmt.Fprintf(call.Out, "%-30s %-20s %-15s %s\n", "REPOSITORY", "TAG", "IMAGE ID", "SIZE")
	for _, label := range slices.Sorted(maps.Keys(tags)) {
		image := tags[label]
		fmt.Fprintf(call.Out, "%-30s %-20s %-15s %.1fMB\n", "dokku/"+app, label, short(image.ID), float64(image.Size)/1e6)
	}
	return nil
}

// short is the image id as Docker prints it.
func short(id string) string {
	if len(id) >= 19 {
		return id[7:19]
	}
	return id
}

func tagsCreate(ctx context.Context, call *Call) error {
	app, label, err := call.appAndTag(ctx)
	if err == nil {
		err = ownTag(label)
	}
	if err == nil {
		err = call.Host.AddTag(ctx, app, label)
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(call.Out, "=====> Added %s tag to dokku/%s\n", label, app)
	return nil
}

func tagsDestroy(ctx context.Context, call *Call) error {
	app, label, err := call.appAndTag(ctx)
	if err == nil {
		err = ownTag(label)
	}
	if err == nil {
		err = call.Host.RemoveTag(ctx, app, label)
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(call.Out, "=====> Removed %s tag from dokku/%s\n", label, app)
	return nil
}

func tagsDeploy(ctx context.Context, call *Call) error {
	app, label, err := call.appAndTag(ctx)
	if err != nil {
		return err
	}
	call.say("Deploying %s (dokku/%s:%s)", app, app, label)
	return call.apply(ctx, agent.Change{App: app, Kind: agent.Tag, Image: "dokku/" + app + ":" + label})
}
