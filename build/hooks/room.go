package hooks

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/build"
	"github.com/dokku-push/dokku-push/internal/atomicfile"
	"github.com/dokku-push/dokku-push/internal/dirlock"
	"github.com/dokku-push/dokku-push/internal/redact"
	"github.com/dokku-push/dokku-push/manifest"
	"github.com/dokku-push/dokku-push/triggers"
	"github.com/dokku-push/dokku-push/triggers/shim"
)

// Room is where an app is built: a copy of its tree with the plugins around it, or the
// project's folder where no plugin has a part in the build.
type Room struct {
	o       Options
	app     *manifest.App
	plugins []Plugin // that ship a trigger
	base    string   // of the copy; empty: there is none
	release func()   // of its lock
	walk    *triggers.Walk
	hide    *redact.Redactor
	// forecast is the builder of the tree as it was, and left whether its ignore file
	// kept something out of the copy.
	forecast string
	left     bool
}

// The places of a room.
func (r *Room) tree() string {
	if r.o.Host != nil {
		return r.o.Dir
	}
	return filepath.Join(r.base, "tree")
}
func (r *Room) lib() string  { return filepath.Join(r.base, "lib") }
func (r *Room) root() string { return filepath.Join(r.base, "root") }
func (r *Room) bin() string  { return filepath.Join(r.base, "bin") }

// Open makes the room. It waits while another build of the same app of the same folder
// has it. Who has it closes it, and reads nothing of an image lazily after that.
func Open(ctx context.Context, o Options) (*Room, error) {
	all, err := Find(o)
	if err != nil {
		return nil, err
	}
	r := &Room{o: o, app: o.App, plugins: Acting(all), hide: hidden(o)}
	for _, one := range all {
		for _, trigger := range one.Idle {
			o.Output(fmt.Sprintf("Trigger '%s' is not executable, skipping plugin (%s)", trigger, one.Name))
		}
	}
	if len(r.plugins) == 0 {
		return r, nil
	}
	if o.Host != nil {
		r.walk = &triggers.Walk{Path: o.Paths[0], Env: triggers.Environment(), Dir: r.tree(), Self: os.Getenv("DOKKU_SHIM_BIN"), Core: r.core()}
		return r, nil
	}
	if err := r.furnish(ctx, all); err != nil {
		err = errors.Join(err, r.Close())
		if ctx.Err() != nil {
			return nil, api.Errorf(api.Cancelled, "make a copy for the plugins", "%w", context.Cause(ctx))
		}
		if problem, ok := errors.AsType[*api.Error](err); ok {
			return nil, problem
		}
		return nil, api.Errorf(api.BuildFailed, "make a copy of the project for the plugins", "%w", err).
			WithHint("it is made below %s; XDG_CACHE_HOME moves it", o.CacheDir)
	}
	return r, nil
}

// hidden are the values that plugins could print and nobody should see.
func hidden(o Options) *redact.Redactor {
	var values []redact.Secret
	for _, names := range [][]string{o.App.Secrets, o.App.Build.Secrets} {
		for _, name := range names {
			if value, ok := o.Getenv(name); ok {
				values = append(values, redact.Secret(value))
			}
		}
	}
	return redact.New(values...)
}

// furnish copies the project and lays out what plugins look for.
func (r *Room) furnish(ctx context.Context, all []Plugin) error {
	if err := r.enter(ctx); err != nil {
		return err
	}
	r.forecast, _, _ = build.Choose(r.o.App, os.DirFS(r.o.Dir)) // none: a plugin may yet make one
	chosen, err := selectFiles(r.o, r.forecast, r.base)
	if err != nil {
		return err
	}
	for _, folder := range []string{r.tree(), filepath.Join(r.root(), r.o.Name), filepath.Join(r.lib(), "plugins", "available"),
		filepath.Join(r.lib(), "plugins", "enabled"), filepath.Join(r.lib(), "logs"), r.bin()} {
		if err := os.MkdirAll(folder, 0o755); err != nil {
			return err
		}
	}
	if err := copyTree(ctx, r.o.Dir, r.tree(), chosen.choose); err != nil {
		return err
	}
	r.left = chosen.left
	if err := r.place(ctx, all); err != nil {
		return err
	}
	program, err := r.program()
	if err != nil {
		return err
	}
	if err := shim.Scratch(r.lib(), program); err != nil {
		return err
	}
	if err := r.tell(); err != nil {
		return err
	}
	r.walk = &triggers.Walk{Path: filepath.Join(r.lib(), "plugins"), Env: r.environment(), Dir: r.tree(), Self: program, Core: r.core()}
	return nil
}

// enter takes the room's place and clears what a build that was killed left there.
func (r *Room) enter(ctx context.Context) error {
	key := sha256.Sum256(fmt.Appendf(nil, "%s\x00%s", r.o.Dir, r.o.Name))
	base := filepath.Join(r.o.CacheDir, hex.EncodeToString(key[:8]))
	if err := os.MkdirAll(base, 0o700); err != nil {
		return err
	}
	release, err := dirlock.Lock(ctx, base, func() { r.o.Output("waiting for another build of " + r.o.Name + " in this folder") })
	if err != nil {
		return err
	}
	r.base, r.release = base, release
	return clearFolder(base)
}

// place puts the plugins where the walk finds them. What belongs to the project is
// copied: a plugin may write to its own folder.
func (r *Room) place(ctx context.Context, all []Plugin) error {
	own, err := filepath.EvalSymlinks(r.o.Dir)
	if err != nil {
		return err
	}
	for _, one := range all {
		real, err := filepath.EvalSymlinks(one.Dir)
		if err != nil {
			return err
		}
		available := filepath.Join(r.lib(), "plugins", "available", one.Name)
		if relative, err := filepath.Rel(own, real); err == nil && filepath.IsLocal(relative) {
			if err := os.Mkdir(available, 0o755); err != nil {
				return err
			}
			if err := copyTree(ctx, real, available, nil); err != nil {
				return err
			}
		} else if err := os.Symlink(real, available); err != nil {
			return err
		}
		if err := os.Symlink(available, filepath.Join(r.lib(), "plugins", "enabled", one.Name)); err != nil {
			return err
		}
	}
	return nil
}

// program links this program to a place whose name any shell can read, and puts what
// plugins call by name beside it.
func (r *Room) program() (string, error) {
	self := r.o.Program
	if self == "" {
		var err error
		if self, err = os.Executable(); err != nil {
			return "", err
		}
	}
	program := filepath.Join(r.bin(), "dokku-push")
	if err := os.Symlink(self, program); err != nil {
		return "", err
	}
	for _, name := range []string{"dokku", "plugn"} {
		script := "#!/bin/sh\nexec \"$DOKKU_SHIM_BIN\" shim " + name + " \"$@\"\n"
		if err := os.WriteFile(filepath.Join(r.bin(), name), []byte(script), 0o755); err != nil {
			return "", err
		}
	}
	return program, nil
}

// facts is what the program that answers plugins is told: it is another process.
type facts struct {
	App     string            `json:"app"`
	Version string            `json:"version"`
	Config  map[string]string `json:"config"`
	// Secrets are names alone: their values are in the environment of whoever asks.
	Secrets []string `json:"secrets"`
}

// factsFile is where a room keeps its facts.
const factsFile = "facts.json"

func (r *Room) tell() error {
	if r.base == "" { // the host answers
		return nil
	}
	text, err := json.Marshal(facts{App: r.o.Name, Version: r.o.Version, Config: r.app.Config, Secrets: r.app.Secrets})
	if err != nil {
		return err
	}
	return atomicfile.WriteFile(filepath.Join(r.base, factsFile), text, 0o600)
}

// Dir is the tree to build.
func (r *Room) Dir() string {
	if r.base == "" {
		return r.o.Dir
	}
	return r.tree()
}

// Plugins are those that have a part in the build, for people: empty when there are none.
func (r *Room) Plugins() string { return Names(r.plugins) }

// Names lists plugins for people.
func Names(plugins []Plugin) string {
	var list []string
	for _, one := range plugins {
		list = append(list, one.String())
	}
	return strings.Join(list, ", ")
}

// Close removes the copy. It may be called twice.
func (r *Room) Close() error {
	if r == nil || r.release == nil {
		return nil
	}
	err := clearFolder(r.base)
	r.release()
	r.release, r.walk = nil, nil
	if err != nil {
		return fmt.Errorf("remove the copy of the project: %w", err)
	}
	return nil
}
