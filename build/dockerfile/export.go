package dockerfile

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/moby/moby/api/types/registry"
	"github.com/moby/moby/client"
)

// export takes an image's config, manifest and unknown layers out of the
// engine and records them; missing is a layer to take even if it is known. Without an
// id it is the image that the tag names.
//
// docker save writes every layer of the image, whatever changed. docker push
// sends only what the other side lacks, so the engine is asked to push to a
// listener in this process. Only an engine that does not share this machine's
// loopback (a virtual machine, another host, rootless) is asked to save.
func (e *engine) export(ctx context.Context, s *store, id, tag string, missing v1.Hash) (*record, error) {
	var pushing error
	if e.local() {
		r, err := e.push(ctx, s, id, tag, missing)
		if err == nil {
			return r, s.putRecord(digestOf(r.Config), r)
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		pushing = err
	}
	r, err := e.save(ctx, s, id, tag, missing)
	if err != nil {
		return nil, errors.Join(pushing, err)
	}
	return r, s.putRecord(digestOf(r.Config), r)
}

// local says whether the engine may reach a listener on 127.0.0.1.
func (e *engine) local() bool {
	host := e.docker.DaemonHost()
	return strings.HasPrefix(host, "unix:") || strings.HasPrefix(host, "npipe:")
}

// push has the engine push the image to a receiver that lives as long as the
// call. A password keeps other users of the machine out.
func (e *engine) push(ctx context.Context, s *store, id, tag string, missing v1.Hash) (*record, error) {
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen for the engine: %w", err)
	}
	to := newReceiver(s, rand.Text(), missing)
	server := &http.Server{Handler: to}
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = server.Serve(listener) // ends with ErrServerClosed
	}()
	defer func() {
		_ = server.Close()
		<-served
		to.drop()
	}()

	reference := fmt.Sprintf("%s/dokku-push:latest", listener.Addr())
	if err := e.tagAs(ctx, id, tag, reference); err != nil {
		return nil, fmt.Errorf("tag the image: %w", err)
	}
	defer e.untag(ctx, reference)
	login, err := json.Marshal(registry.AuthConfig{Username: receiverUser, Password: to.password})
	if err != nil {
		return nil, err
	}
	stream, err := e.docker.ImagePush(ctx, reference, client.ImagePushOptions{
		RegistryAuth: base64.URLEncoding.EncodeToString(login),
	})
	if err == nil {
		err = stream.Wait(ctx)
	}
	if err != nil {
		return nil, fmt.Errorf("have the engine push the image: %w", err)
	}
	return to.received(id)
}

// tagAs gives the image another name. Engines with the containerd store do not
// know an image by its config digest; there the app's tag leads to it.
func (e *engine) tagAs(ctx context.Context, id, tag, reference string) error {
	if id == "" {
		id = tag
	}
	_, err := e.docker.ImageTag(ctx, client.ImageTagOptions{Source: id, Target: reference})
	if err != nil {
		_, err = e.docker.ImageTag(ctx, client.ImageTagOptions{Source: tag, Target: reference})
	}
	return err
}

// untag also runs when ctx was cancelled, so that no name stays behind.
func (e *engine) untag(ctx context.Context, reference string) {
	_, _ = e.docker.ImageRemove(context.WithoutCancel(ctx), reference, client.ImageRemoveOptions{})
}
