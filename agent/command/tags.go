package command

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/api"
)

// tagsCommands are the rows of this noun.
func tagsCommands() []Command {
	return []Command{
		{"tags", "<app> [--format json|stdout]", "List all app image tags", tagsList},
		{"tags:create", "<app> <tag>", "Add a tag to the running image", tagsCreate},
		{"tags:deploy", "<app> <tag>", "Deploy a tagged image", tagsDeploy},
		{"tags:destroy", "<app> <tag>", "Remove an image tag", tagsDestroy},
		{"tags:list", "<app> [--format json|stdout]", "List all app image tags", tagsList},
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

// taggedImage is a row of `tags --format json`.
type taggedImage struct {
	Repository string `json:"repository"`
	Tag        string `json:"tag"`
	ImageID    string `json:"image_id"` // config digest
	Size       int64  `json:"size"`     // bytes
}

func tagsList(ctx context.Context, call *Call) error {
	asJSON, err := call.format()
	if err != nil {
		return err
	}
	app, err := call.app(ctx)
	if err == nil {
		err = call.noMore()
	}
	if err != nil {
		return err
	}
	tags, err := call.Host.Tags(ctx, app)
	if err != nil {
		return err
	}
	rows := []taggedImage{}
	for _, label := range slices.Sorted(maps.Keys(tags)) {
		rows = append(rows, taggedImage{"dokku/" + app, label, tags[label].ID, tags[label].Size})
	}
	if asJSON {
		return json.NewEncoder(call.Out).Encode(rows)
	}
	if !call.Quiet {
		fmt.Fprintf(call.Out, "=====> Image tags for dokku/%s\n", app)
	}
	fmt.Fprintf(call.Out, "%-30s %-20s %-15s %s\n", "REPOSITORY", "TAG", "IMAGE ID", "SIZE")
	for _, row := range rows {
		fmt.Fprintf(call.Out, "%-30s %-20s %-15s %.1fMB\n", row.Repository, row.Tag, short(row.ImageID), float64(row.Size)/1e6)
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
	change, err := call.tagged(ctx, app, label)
	if err != nil {
		return err
	}
	call.say("Deploying %s (%s)", app, change.Image)
	return call.apply(ctx, change)
}

// tagged finds what a tag of an app names: an image of the engine, one that was sent to
// this host under that tag and never deployed, or one of the app's repository in a registry.
func (c *Call) tagged(ctx context.Context, app, label string) (agent.Change, error) {
	change := agent.Change{App: app, Kind: agent.Tag, Image: "dokku/" + app + ":" + label}
	if _, err := c.Host.Images.Image(ctx, change.Image); !errors.Is(err, agent.ErrNotFound) {
		return change, err
	}
	sent, err := c.Host.Blobs.Tagged(app, label)
	if err == nil {
		change.Pull, change.Document.Image = agent.PullSent, sent
		return change, nil
	} else if !errors.Is(err, agent.ErrNotFound) {
		return change, err
	}
	settings, err := c.settings(app)
	if err != nil {
		return change, err
	}
	if repository := settings.Properties["registry/image-repo"]; repository != "" {
		global, err := c.settings("--global")
		if err != nil {
			return change, err
		}
		if server := cmp.Or(settings.Properties["registry/server"], global.Properties["registry/server"]); server != "" {
			_, name, hasScheme := strings.Cut(server, "://")
			if !hasScheme {
				name = server
			}
			repository = strings.TrimSuffix(name, "/") + "/" + repository
		}
		change.Image, change.Pull = repository+":"+label, agent.PullMissing
	}
	return change, nil
}
