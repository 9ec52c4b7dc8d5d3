// Package receive is how source code arrives on a host by git: the bare repository that
// every app has in its folder, what git push and git fetch speak to, the hook that a push
// runs, and the way from a commit to a release: its tree is taken out of the repository,
// built by a program of its own, and handed to the transaction as a client's push would be.
// It builds nothing itself.
package receive

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/manifest"
	"github.com/dokku-push/dokku-push/triggers"
)

// Builder makes an image of a source tree and puts it where the host's next deploy finds it.
type Builder interface {
	// Build returns the release document of what it has built. What the build prints goes
	// to out, a line at a time. An error carries api.BuildFailed, or what else is wrong.
	Build(ctx context.Context, source Source, out io.Writer) (api.ReleaseDocument, error)
}

// Source is what is to be built, and what the host knows of the app.
type Source struct {
	App    string
	Dir    string // the tree, which is the build's own to change
	From   api.Source
	Config map[string]string // the app's config
	// Options are docker's for the build, a line each, and Builder the one that is to
	// build; empty: the tree says.
	Options []string
	Builder string
	// Missing are blobs of the image that the host turned out to lack.
	Missing []string
	By      agent.Caller
}

// Receiver is one call that has to do with an app's repository.
type Receiver struct {
	Host    *agent.Host
	Builder Builder // nil: this host cannot build
	By      agent.Caller
	// Deploy carries out a change and shows what happens, until its verdict.
	Deploy   func(ctx context.Context, change agent.Change) error
	In       io.Reader
	Out, Err io.Writer
}

// ErrSaid is a failure of which everything has been said already.
var ErrSaid = errSaid{}

type errSaid struct{}

func (errSaid) Error() string { return "it failed; what there is to say stands above" }

// AppName takes the app out of the argument of a git command: git quotes it, and writes a
// slash before it where the address is a URL.
func AppName(argument string) string {
	name := strings.TrimPrefix(strings.ReplaceAll(argument, "'", ""), "/")
	return strings.TrimSuffix(name, "/")
}

// say prints a line as Dokku does, with its arrow.
func (r *Receiver) say(format string, args ...any) {
	fmt.Fprintf(r.Out, "-----> "+format+"\n", args...)
}

// warn prints a line behind Dokku's mark.
func (r *Receiver) warn(format string, args ...any) {
	fmt.Fprintf(r.Err, " !     "+format+"\n", args...)
}

// may refuses an app that the caller may not see as one that is not there.
func (r *Receiver) may(ctx context.Context, app string) error {
	return r.Host.MayName(ctx, r.By, app)
}

// exists is may for an app that has to be there.
func (r *Receiver) exists(ctx context.Context, app string) error {
	if err := r.Host.Exists(app); err != nil {
		return err
	}
	if r.may(ctx, app) != nil {
		return agent.NoSuchApp(app)
	}
	return nil
}

// arrive makes an app on its first push.
func (r *Receiver) arrive(ctx context.Context, app string) error {
	if r.Host.Exists(app) == nil {
		return r.may(ctx, app)
	}
	if err := manifest.AppName(app); err != nil {
		return api.Errorf(api.Precondition, "create the app", "%w", err)
	}
	if err := r.may(ctx, app); err != nil {
		return err
	}
	if err := r.Host.Create(ctx, app); err != nil {
		return err
	}
	fmt.Fprintf(r.Err, "-----> Creating %s...\n", app)
	return nil
}

// receiving walks a trigger in which plugins and the core may build and deploy: it takes as
// long as it takes. What failed in the core's part has said so itself.
func (r *Receiver) receiving(ctx context.Context, name string, args ...string) error {
	err := r.Host.Walk.Trigger(ctx, name, args, agent.Streams{Out: r.Out, Err: r.Err})
	if failed, ok := errors.AsType[*triggers.Failure](err); ok && failed.Plugin == "git" {
		return ErrSaid
	}
	if _, ok := errors.AsType[*api.Error](err); err == nil || ok {
		return err
	}
	return api.Errorf(api.BuildFailed, "run the trigger "+name, "%w", err)
}
