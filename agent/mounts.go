package agent

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/manifest"
)

// MayMount refuses a folder of the host that an app may not mount: another app's storage, all
// of it, and one that a symbolic link leads to. What runs in an app can lay links into its storage.
func (h *Host) MayMount(app, source string) error {
	clean, storage := filepath.Clean(source), h.Places.Storage()
	refuse := func(what string) error {
		return api.Errorf(api.Refused, "", "%s %s", clean, what).WithHint("name the folder itself, of the app's own in %s", storage)
	}
	inside, stored := strings.CutPrefix(clean, storage+"/")
	if !stored {
		if strings.HasPrefix(storage+"/", strings.TrimSuffix(clean, "/")+"/") {
			return refuse("holds the storage of all apps")
		}
		if info, err := os.Lstat(clean); err == nil && info.Mode()&fs.ModeSymlink != 0 {
			return refuse("is a symbolic link")
		}
		return nil
	}
	owner, below, _ := strings.Cut(inside, "/")
	if owner != app && h.Settings.Has(owner) {
		return refuse("is the storage of the app " + owner)
	}
	// A link in the place of the whole folder is the admin's, who has moved it to another disk.
	base, err := filepath.EvalSymlinks(filepath.Join(storage, owner))
	if err != nil {
		return nil // there is no such folder yet, nor a link in it
	}
	if real, err := filepath.EvalSymlinks(clean); err == nil && real != filepath.Join(base, below) {
		return refuse("is a symbolic link, or below one")
	}
	return nil
}

// stillMounts is MayMount for the storage among the options of a container that is about
// to be made: the app may have laid a link there since it was allowed.
func (h *Host) stillMounts(app string, words []string) error {
	for _, source := range manifest.MountSources(words) {
		if !strings.HasPrefix(filepath.Clean(source), h.Places.Storage()+"/") {
			continue
		}
		if err := h.MayMount(app, source); err != nil {
			refused := *api.AsError(err)
			refused.Op = "mount the storage of " + app
			return &refused
		}
	}
	return nil
}

// mayMount judges every folder that the document would have mounted.
func (r *run) mayMount() error {
	for _, options := range declaredIn(r.document).options {
		for _, option := range options {
			words, err := SplitWords(option)
			if err != nil {
				return err // checkDeclared has said so
			}
			for _, source := range manifest.MountSources(words) {
				if !filepath.IsAbs(source) {
					continue // a volume
				}
				if err := r.Host.MayMount(r.change.App, source); err != nil {
					return err
				}
			}
		}
	}
	return nil
}
