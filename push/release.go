package push

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/build"
	"github.com/dokku-push/dokku-push/remote"
)

// resends is how often layers are sent once more because the engine on the host
// asked for one that both sides had thought was there.
const resends = 2

// release ships the image and asks for it to be deployed.
func (p *Prepared) release(ctx context.Context) (api.Verdict, error) {
	o, project, connection, image, document := p.options, p.Project, p.host, p.image, p.document
	request := api.ReleaseRequest{LockWait: int(o.LockWait.Seconds()), NewestWins: o.NewestWins, Signed: p.signed}
	if o.Plan != "" {
		request.State = p.Plan.State
	}
	registry := p.registry()
	sent, err := p.ship(ctx, registry, &document, &request)
	if err != nil {
		return api.Verdict{}, err
	}
	request.Document = document
	for attempt := 0; ; attempt++ {
		id, err := api.NewRequest()
		if err != nil {
			return api.Verdict{}, err
		}
		wanting := func(v *api.Verdict) bool {
			return v != nil && v.Error != nil && v.Error.Code == api.BlobsMissing && attempt < resends && registry == ""
		}
		running := id // or what the host had begun already: this push only joins it
		begun := false
		verdict, err := connection.Release(ctx, project.Name, id, request, func(event api.Event) {
			if event.Version != nil && event.Version.Request != "" {
				running = event.Version.Request
			}
			if wanting(event.Verdict) { // which is no outcome yet
				return
			}
			if event.Verdict != nil {
				project.complete(event.Verdict, sent)
			}
			begun = begun || event.Step != nil && event.Step.Name != looking
			o.Report(event)
		})
		project.complete(&verdict, sent)
		if err != nil && running != id {
			return verdict, o.left(ctx, running, err)
		}
		if err != nil {
			final, err := cancelled(ctx, connection, project.Name, id, err)
			if begun && errors.Is(err, errUndone) {
				o.Report(api.Event{Type: api.EventStep, Time: time.Now(), Step: &api.Step{Name: "cancel", Title: "What the deploy had begun", Status: api.StepUndone}})
			}
			if err == nil {
				project.complete(&final, sent)
				o.Report(api.Event{Type: api.EventVerdict, Time: time.Now(), Verdict: &final})
			}
			return final, err
		}
		if !wanting(&verdict) {
			return verdict, nil
		}
		again, err := transferTo(o, connection).SendBlobs(ctx, project.Name, image, verdict.Error.Missing)
		if err != nil {
			return api.Verdict{}, err
		}
		sent += again.Bytes
	}
}

// ship sends the image, to the registry where one is named, and notes in the document and
// the request where it is. sent is how many bytes went out.
func (p *Prepared) ship(ctx context.Context, registry string, document *api.ReleaseDocument, request *api.ReleaseRequest) (sent int64, err error) {
	if registry == "" {
		document.Image.Manifest, sent, err = toAgent(ctx, p.options, p.Project.Name, p.host, p.image)
		return sent, err
	}
	document.Image.Registry = registry
	if request.RegistryAuth, err = remote.RegistryAuth(registry); err == nil {
		document.Image.Manifest, sent, err = toRegistry(ctx, p.options, registry, p.image)
	}
	return sent, err
}

// complete adds to the host's verdict what only the client knows.
func (p *Project) complete(v *api.Verdict, sent int64) {
	v.Sent = sent
	p.place(v.Error)
}

// left is what becomes of a push that had joined a deploy which somebody else began, when
// the person here asks to stop: that deploy is not this one's to stop.
func (o Options) left(ctx context.Context, request string, err error) error {
	if ctx.Err() != nil {
		o.Report(api.Event{Type: api.EventWarning, Time: time.Now(),
			Warning: "the host was at it already: request " + request + " goes on, and `dokku-push status` tells what becomes of it"})
	}
	return err
}

// looking is the host's step that changes nothing: what is cancelled by then has nothing to undo.
const looking = "prepare"

// errUndone is why a push ends that was cancelled in time.
var errUndone = errors.New("cancelled; the host is as it was")

// cancelled tells the host to stop when the person here has asked to. The host undoes
// what it had begun before it answers. A release that was live by then stays: that is a
// verdict, which says that it was too late.
func cancelled(ctx context.Context, connection *Connection, app, id string, err error) (api.Verdict, error) {
	if ctx.Err() == nil {
		return api.Verdict{}, err
	}
	verdict, cancelErr := stopped(context.WithoutCancel(ctx), connection, app, id)
	if cancelErr != nil {
		return api.Verdict{}, api.Errorf(api.Cancelled, "cancel", "the host was not told: %w", cancelErr).
			WithHint("`dokku-push status` shows what became of it")
	}
	if verdict.OK {
		verdict.Error = api.Errorf(api.Cancelled, "cancel", "too late: release v%d is live", verdict.Release)
		return verdict, nil
	}
	if verdict.Error != nil && verdict.Error.Code == api.UndoFailed {
		return verdict, nil
	}
	return api.Verdict{}, api.Errorf(api.Cancelled, "cancel", "%w", errUndone)
}

// patience is how long a host may take to know of a release that was asked for a moment
// before. A CI system's is not much longer.
const patience = 5 * time.Second

// stopped cancels a request. The release may have been on its way when the person here asked
// to stop: the host knows of it a moment later, and would go on.
func stopped(ctx context.Context, connection *Connection, app, id string) (api.Verdict, error) {
	for begun := time.Now(); ; time.Sleep(100 * time.Millisecond) {
		verdict, err := connection.Cancel(ctx, app, id)
		if err == nil || api.AsError(err).Code != api.NotFound || time.Since(begun) > patience {
			return verdict, err
		}
	}
}

func transferTo(o Options, connection *Connection) *remote.Transfer {
	return &remote.Transfer{HTTP: connection.Conn.HTTPClient(), Base: remote.AgentURL, Host: connection.Conn.Target().String(), StateDir: stateDir(o),
		Progress: func(p api.Progress) { o.Report(api.Event{Type: api.EventProgress, Progress: &p}) }}
}

// toAgent sends the layers that the host lacks over the ssh connection.
func toAgent(ctx context.Context, o Options, app string, connection *Connection, image *build.Image) (manifest string, bytes int64, err error) {
	err = o.step("ship", "Ship to "+connection.Conn.Target().String(), func() (string, error) {
		sent, err := transferTo(o, connection).Send(ctx, app, image)
		if err != nil {
			return "", err
		}
		manifest, bytes = sent.Manifest, sent.Bytes
		return fmt.Sprintf("%d layers sent, %d already there, %s on the wire", sent.Layers, sent.Skipped, Bytes(sent.Bytes)), nil
	})
	return manifest, bytes, err
}

// toRegistry pushes to the team's registry, from which the host pulls.
func toRegistry(ctx context.Context, o Options, repository string, image *build.Image) (manifest string, bytes int64, err error) {
	err = o.step("ship", "Push to "+repository, func() (string, error) {
		pushed, err := remote.PushRegistry(ctx, image, repository, func(p api.Progress) {
			o.Report(api.Event{Type: api.EventProgress, Progress: &p})
		})
		if err != nil {
			return "", err
		}
		manifest, bytes = pushed.Manifest, pushed.Bytes
		return fmt.Sprintf("%s, %s on the wire", pushed.Manifest, Bytes(pushed.Bytes)), nil
	})
	return manifest, bytes, err
}

// Bytes writes a count of bytes for people, and exactly where it is small.
func Bytes(n int64) string {
	switch {
	case n < 10<<10:
		return fmt.Sprintf("%d bytes", n)
	case n < 10<<20:
		return fmt.Sprintf("%.1f KiB (%d bytes)", float64(n)/(1<<10), n)
	}
	return fmt.Sprintf("%.1f MiB (%d bytes)", float64(n)/(1<<20), n)
}

// stateDir is where unfinished uploads are remembered (XDG). Without a home none are.
func stateDir(o Options) string {
	if dir, ok := o.Getenv("XDG_STATE_HOME"); ok && filepath.IsAbs(dir) {
		return filepath.Join(dir, "dokku-push")
	}
	if home, ok := o.Getenv("HOME"); ok && home != "" {
		return filepath.Join(home, ".local", "state", "dokku-push")
	}
	return ""
}
