// Package build turns a source tree into an image. A Builder is one method; the
// builders live in packages of their own, named for their technology. Nothing
// here speaks to a host.
package build

import (
	"context"
	"maps"
	"path/filepath"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/manifest"
)

// Request is what to build.
type Request struct {
	Dir      string // the project's folder, absolute
	App      *manifest.App
	Name     string // the app's name
	Revision string // commit id, empty when there is none
	OS, Arch string // what the host runs, in Go's words
	// Unseen are files that are no part of the app, by their path in Dir with slashes: a plan
	// that is kept there, or what the build itself is told to write.
	Unseen []string
	// Labels are for the image, beside those that every builder puts on it.
	Labels map[string]string
	// Frontend is further attributes for BuildKit's Dockerfile frontend, in its own words;
	// other builders have no use for it.
	Frontend map[string]string
	// Output receives what the build prints, a line at a time. Never nil.
	Output func(line string)
}

// UnseenIn are the unseen files of a folder, by their path in it with slashes. folder is
// absolute.
func (r Request) UnseenIn(folder string) []string {
	var names []string
	for _, name := range r.Unseen {
		name, err := filepath.Rel(folder, filepath.Join(r.Dir, filepath.FromSlash(name)))
		if err == nil && name != "." && filepath.IsLocal(name) {
			names = append(names, filepath.ToSlash(name))
		}
	}
	return names
}

// Image is a built image: its config and its layers.
type Image struct {
	v1.Image
	ID string // config digest, what Docker calls the image id: "sha256:..."
}

// Builder makes one image out of a source tree. An error carries
// api.BuildFailed and the failing step's output whole.
type Builder interface {
	Build(ctx context.Context, request Request) (*Image, error)
}

// Labels returns the labels that every builder puts on its image.
func Labels(request Request, builder string) map[string]string {
	labels := map[string]string{}
	maps.Copy(labels, request.Labels)
	labels[api.LabelBuilder] = builder
	if request.App.ProcfileText != "" {
		labels[api.LabelProcfile] = request.App.ProcfileText
	}
	if request.App.AppJSONText != "" {
		labels[api.LabelAppJSON] = request.App.AppJSONText
	}
	if request.App.ChecksText != "" {
		labels[api.LabelChecks] = request.App.ChecksText
	}
	if request.App.NginxTemplate != "" {
		labels[api.LabelNginx] = request.App.NginxTemplate
	}
	if request.Revision != "" {
		labels[api.LabelRevision] = request.Revision
	}
	return labels
}
