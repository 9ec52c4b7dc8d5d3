package agent

import (
	"context"
	"errors"
	"slices"
	"strconv"
)

// What says how many images of former releases stay on the host, for an app or for all:
// so many releases, and as long as their images are together no larger than so much.
const (
	keepReleases = "ps/keep-releases" // a number from 1
	keepBytes    = "ps/keep-bytes"    // as docker writes sizes: 500m, 10g; none: as many as it takes
)

// DefaultKeptReleases is how many releases keep their images when nothing is said.
const DefaultKeptReleases = 5

// prune lets the images of old releases go. Those of the current release and of the one
// that a rollback would go to stay, whatever the limits say; the records of all releases do.
// What cannot be removed now is removed the next time: it comes after the verdict, and
// no verdict depends on it.
func (h *Host) prune(ctx context.Context, app string, settings Settings) {
	releases, err := h.Ledger.Releases(app)
	current, currentErr := h.currentRecord(app)
	names, namesErr := h.Images.Names(ctx, "dokku/"+app)
	if errors.Join(err, currentErr, namesErr) != nil || current == nil {
		return
	}
	stay := map[int]bool{current.Version: true}
	if target, err := rollbackTarget(app, releases, current, 0); err == nil {
		stay[target.Version] = true
	}
	budget := h.retention(settings)
	for _, release := range slices.Backward(releases) {
		name := imageName(app, "v"+strconv.Itoa(release.Version))
		if !slices.Contains(names, name) {
			budget.takes("", 0)
			continue
		}
		image, err := h.Images.Image(ctx, name)
		if err != nil {
			continue
		}
		if fits := budget.takes(image.ID, image.Size); fits || stay[release.Version] {
			continue
		}
		if h.Images.Untag(ctx, name) == nil {
			_ = h.dropImage(ctx, app, image.ID)
		}
	}
}

// budget is what the images of releases may still take, from the newest to the oldest.
type budget struct {
	releases int
	bytes    int64 // only where limited
	limited  bool
	counted  map[string]bool // images, which several releases may share
}

func (h *Host) retention(settings Settings) budget {
	properties := h.inherit(settings).Properties
	b := budget{releases: DefaultKeptReleases, counted: map[string]bool{}}
	if n, err := strconv.Atoi(properties[keepReleases]); err == nil && n > 0 {
		b.releases = n
	}
	if bytes, err := ParseMemory(properties[keepBytes]); err == nil && bytes > 0 {
		b.bytes, b.limited = bytes, true
	}
	return b
}

// takes counts the next older release in, and tells whether there is room for it. Once
// there was none, there is none for any older one.
func (b *budget) takes(image string, size int64) bool {
	b.releases--
	if !b.counted[image] {
		b.counted[image] = true
		b.bytes -= size
	}
	return b.releases >= 0 && (!b.limited || b.bytes >= 0)
}
