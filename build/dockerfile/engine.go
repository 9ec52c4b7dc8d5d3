package dockerfile

import (
	"context"
	"net"

	buildkit "github.com/moby/buildkit/client"
	"github.com/moby/moby/client"

	"github.com/dokku-push/dokku-push/api"
)

// engine is one local Docker engine and the BuildKit inside it.
type engine struct {
	docker   *client.Client
	buildkit *buildkit.Client
}

// Docker connects to the engine at host, or to the one that the docker program would
// use. Errors are api.BuildFailed.
func Docker(ctx context.Context, host string) (*client.Client, error) {
	options := []client.Opt{client.FromEnv}
	if host == "" {
		host = contextHost()
	}
	if host != "" {
		options = append(options, client.WithHost(host))
	}
	docker, err := client.New(options...)
	if err != nil {
		return nil, api.Errorf(api.BuildFailed, "build", "the Docker settings of the environment are not valid: %w", err).
			WithHint("look at DOCKER_HOST, DOCKER_CERT_PATH and DOCKER_TLS_VERIFY")
	}
	if _, err := docker.Ping(ctx, client.PingOptions{NegotiateAPIVersion: true}); err != nil {
		_ = docker.Close() // nothing was written that could be lost
		if ctx.Err() != nil {
			return nil, api.Errorf(api.Cancelled, "build", "%w", ctx.Err())
		}
		return nil, api.Errorf(api.BuildFailed, "build", "the Docker engine at %s does not answer: %w", docker.DaemonHost(), err).
			WithHint("start Docker, or use the static builder: build { builder = \"static\" }")
	}
	return docker, nil
}

// connect reaches the engine and opens a connection to its BuildKit.
func connect(ctx context.Context, host string) (*engine, error) {
	docker, err := Docker(ctx, host)
	if err != nil {
		return nil, err
	}
	e := &engine{docker: docker}
	e.buildkit, err = buildkit.New(ctx, "",
		buildkit.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
			return docker.DialHijack(ctx, "/grpc", "h2c", nil)
		}),
		buildkit.WithSessionDialer(func(ctx context.Context, proto string, meta map[string][]string) (net.Conn, error) {
			return docker.DialHijack(ctx, "/session", proto, meta)
		}))
	if err != nil {
		e.close()
		return nil, api.Errorf(api.BuildFailed, "build", "open the engine's BuildKit: %w", err)
	}
	return e, nil
}

func (e *engine) close() {
	if e.buildkit != nil {
		_ = e.buildkit.Close() // nothing was written that could be lost
	}
	_ = e.docker.Close()
}

// explain turns an error of the engine into one for people.
func (e *engine) explain(ctx context.Context, doing string, err error) error {
	if ctx.Err() != nil {
		return api.Errorf(api.Cancelled, "build", "%w", ctx.Err())
	}
	return api.Errorf(api.BuildFailed, "build", "%s: %w", doing, err)
}
