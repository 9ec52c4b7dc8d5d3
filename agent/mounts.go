package agent

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/manifest"
)

// MayMount refuses a folder of the host that an app may not mount: another app's storage,
// and one that a symbolic link leads to. What runs in an app can lay links into its storage.
func (h *Host) MayMount(app, source string) error {
	clean, storage := filepath.Clean(source), h.Places.Storage()
	refuse := func(what string) error {
		return api.Errorf(api.Refused, "", "%s %s", clean, what).WithHint("name the folder itself, of the app's own in %s", storage)
	}
	inside, stored := strings.CutPrefix(clean, storage+"/")
	if !stored {
		if info, err := os.Lstat(clean); err == nil && info.Mode()&fs.ModeSymlink != 0 {
			return refuse("is a symbolic link")
		}
		return nil
	}
	if owner, _, _ := strings.Cut(inside, "/"); owner != app && h.Settings.Has(owner) {
		return refuse("is the storage of the app " + owner)
	}
	base, err := filepath.EvalSymlinks(storage)
	if err != nil {
		return nil // there is no storage yet, nor a link in it
	}
	if real, err := filepath.EvalSymlinks(clean); err == nil && real != filepath.Join(base, inside) {
		return refuse("is a symbolic link, or below one")
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
				if err := r.Host.MayMount(r.change.App, source); filepath.IsAbs(source) && err != nil {
					return err
				}
			}
		}
	}
	return nil
}
