package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/dokku-push/dokku-push/api"
)

// precheck refuses what this host cannot run, before anything is changed.
func (r *run) precheck(ctx context.Context) error {
	if err := r.readFiles(); err != nil {
		return err
	}
	info, err := r.Containers.Info(ctx)
	if err != nil {
		return api.Errorf(api.Precondition, "ask the engine", "%w", err).WithHint("is Docker running on the host?")
	}
	r.engine = info
	if free := FreeBytes(info.Root); free > 0 && free < api.ReservedDisk {
		return api.Errorf(api.Precondition, "check the disk", "only %d MiB are free in %s", free>>20, info.Root).WithHint("free some: docker image prune, or a larger disk")
	}
	warnings, err := r.Proxy.Baseline(ctx, r.change.App)
	for _, warning := range warnings {
		r.warn("%s", warning)
	}
	if err != nil {
		return fmt.Errorf("test nginx before the deploy: %w", err)
	}
	return nil
}

// fetchUndo is what the fetch step changes: two names and perhaps a new image.
type fetchUndo struct {
	ID     string `json:"id"`     // the image asked for
	Had    bool   `json:"had"`    // it was on the host before
	Latest string `json:"latest"` // former image of dokku/APP:latest; empty: none
	Tag    string `json:"tag"`    // dokku/APP:vN
	// Name is the name that is pulled, and Named the image that had it; empty: none.
	Name    string `json:"name,omitempty"`
	Named   string `json:"named,omitempty"`
	Request string `json:"request,omitempty"` // a commit of it lost its name when latest was put back
}

func (r *run) planFetch(ctx context.Context) (any, error) {
	undo := fetchUndo{Request: r.change.Request, ID: r.document.Image.ID, Tag: imageName(r.change.App, fmt.Sprintf("v%d", r.version))}
	switch r.change.Kind {
	case Deploy:
	case Tag:
		if err := r.planNamed(ctx, &undo); err != nil {
			return nil, err
		}
	default:
		undo.ID = r.from.Run
	}
	if latest, err := r.Images.Image(ctx, imageName(r.change.App, tag)); err == nil {
		undo.Latest = latest.ID
	} else if !errors.Is(err, ErrNotFound) {
		return nil, fmt.Errorf("look at the former image: %w", err)
	}
	if undo.ID == "" { // known when it has been pulled
		return undo, nil
	}
	if _, err := r.Images.Image(ctx, undo.ID); err == nil {
		undo.Had = true
	} else if !errors.Is(err, ErrNotFound) {
		return nil, fmt.Errorf("look for the image: %w", err)
	}
	r.image.ID = undo.ID
	return undo, nil
}

// documentOf makes the release document of an image that came by its name.
func documentOf(image Image) api.ReleaseDocument {
	builder := image.Labels[api.LabelBuilder]
	if builder == "" {
		builder = "image"
	}
	return api.ReleaseDocument{
		Image: api.Image{ID: image.ID}, Builder: builder,
		Procfile: image.Labels[api.LabelProcfile], AppJSON: image.Labels[api.LabelAppJSON],
		Checks: image.Labels[api.LabelChecks], NginxTemplate: image.Labels[api.LabelNginx],
		Source: api.Source{Revision: image.Labels[api.LabelRevision]},
	}
}

// fetch brings the image into the engine and names it.
func (r *run) fetch(ctx context.Context) error {
	undo, err := decodeUndo[fetchUndo](r.begun[len(r.begun)-1].undo)
	if err != nil {
		return err
	}
	image, err := r.bring(ctx, undo)
	if err != nil {
		return err
	}
	if err := r.fits(image); err != nil {
		return err
	}
	r.built = image.ID
	if r.change.Kind != Deploy && r.change.Kind != Tag {
		r.built, r.changedBy = r.from.Built, r.from.Changed
	}
	if r.change.Kind == Tag {
		if err := r.named(image); err != nil {
			return err
		}
		if r.change.Pull == PullSent && undo.Name != "" {
			if err := r.Images.Tag(ctx, image.ID, undo.Name); err != nil {
				return fmt.Errorf("tag the image: %w", err)
			}
		}
	}
	r.image = image
	if err := r.nameImage(ctx, image.ID); err != nil {
		return err
	}
	return r.overrideImage(ctx)
}

// bring makes sure that the engine has the image.
func (r *run) bring(ctx context.Context, undo fetchUndo) (Image, error) {
	switch {
	case undo.ID == "":
		return r.pullNamed(ctx)
	case undo.Had:
	case r.change.Kind != Deploy && r.change.Pull != PullSent:
		return Image{}, api.Errorf(api.Precondition, "find the image", "the image %s of release v%d is no longer on this host", undo.ID, r.from.Version).
			WithHint("push that revision again; `dokku-push releases` shows it")
	default:
		if err := r.pull(ctx); err != nil {
			return Image{}, err
		}
	}
	image, err := r.Images.Image(ctx, undo.ID)
	if err != nil {
		return Image{}, fmt.Errorf("look at the image %s: %w", undo.ID, err)
	}
	return image, nil
}

// nameImage makes an image the app's latest and the coming release's.
func (r *run) nameImage(ctx context.Context, id string) error {
	for _, name := range []string{tag, fmt.Sprintf("v%d", r.version)} {
		if err := r.Images.Tag(ctx, id, imageName(r.change.App, name)); err != nil {
			return fmt.Errorf("tag the image: %w", err)
		}
	}
	return nil
}

// fits refuses an image for another kind of machine.
func (r *run) fits(image Image) error {
	info := r.engine
	if image.OS == info.OS && image.Arch == info.Arch {
		return nil
	}
	return api.Errorf(api.Precondition, "verify the image", "the image is for %s/%s, this host is %s/%s", image.OS, image.Arch, info.OS, info.Arch).
		WithHint("build for the host's platform")
}

// pull lets the engine fetch by digest, from a registry or from what was sent here.
func (r *run) pull(ctx context.Context) error {
	progress := func(p api.Progress) { r.tell(api.Event{Type: api.EventProgress, Progress: &p}) }
	wanted := r.document.Image
	if wanted.Registry != "" {
		ref := wanted.Registry + "@" + wanted.Manifest
		if err := r.Images.Pull(ctx, ref, r.change.Auth, progress); err != nil {
			return api.Errorf(api.ShipFailed, "fetch the image", "%w", err).
				WithHint("can this host reach the registry, and do the client's credentials allow pulling?")
		}
		return r.pulled(ctx, ref)
	}
	offer, err := r.Blobs.Listen(ctx, r.change.App)
	if err != nil {
		return fmt.Errorf("offer the layers to the engine: %w", err)
	}
	defer offer.Close()
	auth := offer.Auth()
	ref := offer.Ref(wanted.Manifest)
	err = r.Images.Pull(ctx, ref, &auth, progress)
	if missing := offer.Missing(); err != nil && len(missing) > 0 {
		return &api.Error{Code: api.BlobsMissing, Op: "pull the image", Missing: missing,
			Message: fmt.Sprintf("the engine asked for layers that are no longer here: %s", strings.Join(missing, ", "))}
	}
	if err != nil {
		return api.Errorf(api.ShipFailed, "pull the image from the agent's store", "%w", err)
	}
	if err := r.pulled(ctx, ref); err != nil {
		return err
	}
	// The name it was pulled by holds a port that nobody serves in a moment.
	if err := r.Images.Tag(ctx, wanted.ID, imageName(r.change.App, fmt.Sprintf("v%d", r.version))); err != nil {
		return fmt.Errorf("tag the image: %w", err)
	}
	return ignoreNotFound(r.Images.Untag(ctx, ref))
}

// pulled verifies that what came is the image asked for; if it is another, it goes again.
func (r *run) pulled(ctx context.Context, ref string) error {
	wanted := r.document.Image
	if _, err := r.Images.Image(ctx, wanted.ID); !errors.Is(err, ErrNotFound) {
		return err
	}
	failure := api.Errorf(api.ShipFailed, "verify the image", "the engine has pulled %s but holds no image %s: the manifest names another config", wanted.Manifest, wanted.ID)
	if err := ignoreNotFound(r.Images.Untag(context.WithoutCancel(ctx), ref)); err != nil {
		return failure.WithHint("%s is still on the host: %v", ref, err)
	}
	return failure
}

func ignoreNotFound(err error) error {
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	return err
}

// undoFetch puts the names back and removes the image if it came with this request.
func undoFetch(ctx context.Context, h *Host, app string, data json.RawMessage) error {
	undo, err := decodeUndo[fetchUndo](data)
	if err != nil {
		return err
	}
	latest := imageName(app, tag)
	now, err := h.Images.Image(ctx, latest) // a commit perhaps, which has this name alone
	if ignoreNotFound(err) != nil {
		return fmt.Errorf("look at the image %s: %w", latest, err)
	}
	if undo.Latest != "" {
		err = h.Images.Tag(ctx, undo.Latest, latest)
	} else {
		err = ignoreNotFound(h.Images.Untag(ctx, latest))
	}
	if err != nil {
		return fmt.Errorf("put %s back: %w", latest, err)
	}
	if err := ignoreNotFound(h.Images.Untag(ctx, undo.Tag)); err != nil {
		return fmt.Errorf("remove the tag %s: %w", undo.Tag, err)
	}
	if now.ID != "" && now.ID != undo.ID {
		if err := h.dropImage(ctx, app, now.ID); err != nil {
			return err
		}
	}
	if undo.Request != "" { // the name may have gone in an undo that was killed
		if err := h.dropCommits(ctx, app, undo.Request); err != nil {
			return err
		}
	}
	if err := undoPull(ctx, h, app, undo); err != nil || undo.Had || undo.ID == "" {
		return err
	}
	return h.dropImage(ctx, app, undo.ID)
}

// dropImage removes an image that nothing names but the references it was pulled by.
func (h *Host) dropImage(ctx context.Context, app, id string) error {
	image, err := h.Images.Image(ctx, id)
	if errors.Is(err, ErrNotFound) {
		return nil
	} else if err != nil {
		return fmt.Errorf("look at the image %s: %w", id, err)
	}
	if len(image.Names) > 0 {
		return nil
	}
	for _, ref := range image.Digests {
		if err := ignoreNotFound(h.Images.Untag(ctx, ref)); err != nil {
			return fmt.Errorf("remove the reference %s: %w", ref, err)
		}
	}
	if err := ignoreNotFound(h.Images.Untag(ctx, id)); err != nil {
		return fmt.Errorf("remove the image %s: %w", id, err)
	}
	return nil
}
