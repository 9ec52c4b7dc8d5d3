package push

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/build/hooks"
	"github.com/dokku-push/dokku-push/manifest"
)

// hookOptions say which plugins have a part in the project's build.
func (o Options) hookOptions(project *Project) (hooks.Options, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return hooks.Options{}, api.Errorf(api.Configuration, "find the cache folder", "%w", err).WithHint("set HOME or XDG_CACHE_HOME")
	}
	return hooks.Options{Dir: project.Dir, App: project.App, Name: project.Name, Revision: project.Source.Revision,
		Paths: o.PluginPaths, Distrust: o.NoProjectPlugins || o.Untrusted, CacheDir: filepath.Join(cache, "dokku-push", "hooks"), Host: o.host(),
		Version: o.Version, Getenv: o.Getenv, Output: func(line string) { o.Report(output("build", line)) },
		Read: func(fsys fs.FS) (*manifest.App, error) {
			app, found := manifest.Load(fsys, o.ManifestOptions())
			if found.Failed() {
				return nil, api.Errorf(api.InvalidManifest, "", "%w", found)
			}
			o.override(app)
			if o.Untrusted {
				distrusted(app)
			}
			return app, nil
		}}, nil
}

// enter opens the room in which the project is built, and has plugins prepare the tree:
// from then on the project is what they have left.
func (o Options) enter(ctx context.Context, project *Project) error {
	settings, err := o.hookOptions(project)
	if err == nil {
		err = project.Close() // of a former build: its place is taken again
	}
	if err != nil {
		return err
	}
	found, err := hooks.Find(settings)
	if err != nil {
		return err
	}
	if len(hooks.Acting(found)) == 0 {
		project.room, err = hooks.Open(ctx, settings)
		return err
	}
	return o.step("plugins", "Prepare a copy of "+project.Name+" with "+hooks.Names(hooks.Acting(found)), func() (string, error) {
		room, err := hooks.Open(ctx, settings)
		if err != nil {
			return "", err
		}
		app, err := room.Extract(ctx)
		if err != nil {
			return "", errors.Join(err, room.Close())
		}
		app.Image.Platforms = project.App.Image.Platforms // chosen before: one build is for one of them
		project.App, project.room = app, room
		return "", nil
	})
}

// Close gives back what the project was built in. Layers of its image may be read from
// there, so that it comes last.
func (p *Project) Close() error { return p.room.Close() }
