package receive

import (
	"context"
	"errors"
	"io"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/internal/run"
)

// ReceivePack is the host's side of git push: the app and its repository are made where
// there are none, and what is pushed comes in through the hook.
//
// A client that goes away does not end it: once the commits are here the hook goes on to
// its end, and the branch says afterwards what became of it.
func (r *Receiver) ReceivePack(ctx context.Context, app string) error {
	ctx = agent.WithStreams(ctx, agent.Streams{Out: r.Err, Err: r.Err}) // stdout is the protocol's
	if err := r.arrive(ctx, app); err != nil {
		return err
	}
	if err := r.unlocked(app); err != nil {
		return err
	}
	if err := Initialize(ctx, r.Host.Places, app); err != nil {
		return err
	}
	return ended(serve(ctx, r.In, &deaf{to: r.Out}, &deaf{to: r.Err}, []string{receives + "=" + app}, "receive-pack", r.Host.Places.App(app)))
}

// UploadPack is the host's side of git fetch and git clone. What plugins print goes to
// stderr: it must not get into the protocol.
func (r *Receiver) UploadPack(ctx context.Context, app string) error {
	if err := r.readable(ctx, app); err != nil {
		return err
	}
	ctx = agent.WithStreams(ctx, agent.Streams{Out: r.Err, Err: r.Err})
	if err := r.Host.Fire(ctx, "git-pre-pull", app); err != nil {
		return err
	}
	if err := ended(serve(ctx, r.In, r.Out, r.Err, nil, "upload-pack", "--strict", r.Host.Places.App(app))); err != nil {
		return err
	}
	return r.Host.Fire(ctx, "git-post-pull", app)
}

// UploadArchive is the host's side of git archive --remote.
func (r *Receiver) UploadArchive(ctx context.Context, app string) error {
	if err := r.readable(ctx, app); err != nil {
		return err
	}
	return ended(serve(ctx, r.In, r.Out, r.Err, nil, "upload-archive", r.Host.Places.App(app)))
}

func (r *Receiver) readable(ctx context.Context, app string) error {
	if err := r.exists(ctx, app); err != nil {
		return err
	}
	if !isRepository(r.Host.Places.App(app)) {
		return api.Errorf(api.Precondition, "", "App %s has no git repository", app).WithHint("git push makes one, and so does git:initialize")
	}
	_ = follow(ctx, r.Host, app) // fails beside another that does it; what is fetched is the same
	return nil
}

// ended is the error of a git that has said itself what went wrong.
func ended(err error) error {
	if err == nil {
		return nil
	}
	if exit, ok := errors.AsType[*run.ExitError](err); ok && exit.Cause == nil {
		return ErrSaid
	}
	return err
}

// deaf writes until there is nobody who listens, and then to nowhere: git would end at the
// first word that it cannot say.
type deaf struct {
	to   io.Writer
	gone bool
}

func (d *deaf) Write(p []byte) (int, error) {
	if !d.gone {
		_, err := d.to.Write(p)
		d.gone = err != nil
	}
	return len(p), nil
}
