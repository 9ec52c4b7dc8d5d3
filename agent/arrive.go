package agent

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/dokku-push/dokku-push/api"
)

// PullWhen says what is done about an image that a change names before it is deployed.
type PullWhen string

// What is done about the image of a change of the kind Tag.
const (
	PullNever   PullWhen = ""        // the engine has it, or the change fails
	PullMissing PullWhen = "missing" // it is pulled where the engine has none of that name
	PullAlways  PullWhen = "always"  // it is pulled, whatever the engine has
	PullSent    PullWhen = "sent"    // Blobs.Load has received it, and Document.Image says what
)

// errUnchanged says that the image which a change brings is the one that runs already.
var errUnchanged = errors.New("it is the image that runs already")

// imageForm is what may name an image: repository, tag, digest. Docker judges the rest.
var imageForm = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?(:[0-9]{1,5})?(/[a-z0-9]+([._-]+[a-z0-9]+)*)*(:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?(@sha256:[0-9a-f]{64})?$`)

// ImageName refuses what is no image's name (ALSO-REFUSE 15).
func ImageName(name string) error {
	if len(name) > 255 || !imageForm.MatchString(name) {
		return api.Errorf(api.Usage, "", "%.80q is no image's name", name).
			WithHint("an image is named REPOSITORY, REPOSITORY:TAG or REPOSITORY@sha256:…, with its registry before it: registry.example.com/team/app:1.2")
	}
	return nil
}

// Takes refuses an app that nothing may be brought to, before anybody goes to the trouble of
// bringing it: it is locked, or takes only what is signed.
func (h *Host) Takes(app string) error {
	settings, err := h.Settings.Read(app)
	if err != nil {
		return fmt.Errorf("read the settings of %s: %w", app, err)
	}
	r := &run{Host: h, change: Change{App: app, Kind: Tag}, settings: settings}
	return errors.Join(r.allowed(), r.arrives())
}

// planNamed finds the image that a change names, or notes what pulling it will change.
func (r *run) planNamed(ctx context.Context, undo *fetchUndo) error {
	if r.change.Pull == PullSent {
		undo.ID = r.change.Document.Image.ID
		r.document.Image = r.change.Document.Image
		if !r.ownName(r.change.Image) { // other names are nobody's to give
			return r.differs(undo.ID)
		}
		undo.Name = r.change.Image
		former, err := r.Images.Image(ctx, undo.Name)
		undo.Named = former.ID
		return ignoreNotFound(err)
	}
	image, err := r.Images.Image(ctx, r.change.Image)
	switch {
	case err == nil:
		if err := r.mayUse(ctx, image); err != nil {
			return err
		}
		if undo.ID = image.ID; r.change.Pull == PullAlways {
			undo.ID, undo.Name, undo.Named = "", r.change.Image, image.ID
			return nil
		}
		if r.change.Pull == PullMissing {
			r.say("fetch", "Image exists on host, skipping pull")
			return r.differs(image.ID)
		}
		return nil
	case !errors.Is(err, ErrNotFound):
		return fmt.Errorf("find the image: %w", err)
	case r.change.Pull == PullNever:
		return api.Errorf(api.Precondition, "find the image", "there is no image %s on this host", r.change.Image).
			WithHint("make it with tags:create, or push it first")
	}
	undo.Name = r.change.Image
	return nil
}

// ownName tells whether an image's name is one of the app's own repository.
func (r *run) ownName(name string) bool {
	return strings.HasPrefix(name, imageName(r.change.App, ""))
}

// differs tells by errUnchanged that an image is the one that runs.
func (r *run) differs(id string) error {
	if r.current != nil && r.current.Built == id {
		return errUnchanged
	}
	return nil
}

// mayUse refuses an image that only apps have which the caller may not see: to know its
// name or its id is no permission.
func (r *run) mayUse(ctx context.Context, image Image) error {
	var owners []string
	for _, name := range image.Names {
		owner, ours := strings.CutPrefix(name, "dokku/")
		owner, _, _ = strings.Cut(owner, ":")
		if !ours || owner == r.change.App || !r.Settings.Has(owner) {
			return nil
		}
		owners = append(owners, owner)
	}
	if len(owners) == 0 {
		return nil
	}
	visible, err := r.Host.Visible(ctx, r.change.By, owners)
	if err != nil {
		return err
	}
	if len(visible) == 0 {
		return api.Errorf(api.Precondition, "find the image", "there is no image %s on this host", r.change.Image)
	}
	return nil
}

// pullNamed pulls the image that the change names.
func (r *run) pullNamed(ctx context.Context) (Image, error) {
	ref := r.change.Image
	r.say("fetch", "Pulling image %s", ref)
	progress := func(p api.Progress) { r.tell(api.Event{Type: api.EventProgress, Progress: &p}) }
	if err := r.Images.Pull(ctx, ref, r.change.Auth, progress); err != nil {
		return Image{}, api.Errorf(api.ShipFailed, "fetch the image", "%w", err).
			WithHint("is the name right, can this host reach the registry, and does it need registry:login?")
	}
	image, err := r.Images.Image(ctx, ref)
	if err != nil {
		return Image{}, fmt.Errorf("look at the image %s: %w", ref, err)
	}
	return image, r.differs(image.ID)
}

// named makes the release document of the image that the change names. What the app's own
// dokku.hcl has declared stays, as it does in a promotion.
func (r *run) named(image Image) error {
	sent := r.document.Image
	r.document = documentOf(image)
	if r.change.Pull == PullSent {
		r.document.Image = sent
	}
	if r.change.Author != "" {
		r.document.Source.Author = r.change.Author
	}
	if r.current != nil {
		own := r.current.Document
		r.document.Config, r.document.Secrets, r.document.Declared = own.Config, own.Secrets, own.Declared
	}
	return r.readFiles()
}

// undoPull gives a name that was pulled back to the image that had it, and removes what
// came with it.
func undoPull(ctx context.Context, h *Host, app string, undo fetchUndo) error {
	if undo.Name == "" {
		return nil
	}
	pulled, err := h.Images.Image(ctx, undo.Name)
	if ignoreNotFound(err) != nil {
		return fmt.Errorf("look at the image %s: %w", undo.Name, err)
	}
	if undo.Named != "" {
		err = h.Images.Tag(ctx, undo.Named, undo.Name)
	} else {
		err = ignoreNotFound(h.Images.Untag(ctx, undo.Name))
	}
	if err != nil {
		return fmt.Errorf("put the name %s back: %w", undo.Name, err)
	}
	if pulled.ID == "" || pulled.ID == undo.Named {
		return nil
	}
	return h.dropImage(ctx, app, pulled.ID)
}

// sent tells whether the image came through the host's own store.
func (r *run) sent() bool {
	return r.document.Image.Registry == "" && (r.change.Kind == Deploy || r.change.Pull == PullSent)
}
