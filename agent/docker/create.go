package docker

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/api"
)

var (
	_ agent.Images     = (*Engine)(nil)
	_ agent.Containers = (*Engine)(nil)
)

// Create creates a container and returns its id. An image that is not there is
// agent.ErrNotFound: nothing is pulled. With Args the docker program does it, which
// gives the same container but for what the args say. Of an env variable, label or name that is
// in Args too the spec's wins, as in Dokku; of --restart, --init and --memory that of Args.
func (e *Engine) Create(ctx context.Context, spec agent.ContainerSpec) (string, error) {
	image, err := e.Image(ctx, spec.Image)
	if err != nil {
		return "", fmt.Errorf("create the container %s: %w", spec.Name, err)
	}
	spec.Image = image.ID
	ctx, answered := patient(ctx)
	defer answered()
	if len(spec.Args) > 0 {
		return e.createByProgram(ctx, spec)
	}
	policy, err := restartPolicy(spec.Restart)
	if err != nil {
		return "", fmt.Errorf("create the container %s: %w", spec.Name, err)
	}
	entrypoint, command := commandOf(spec)
	config := &container.Config{Image: spec.Image, Entrypoint: entrypoint, Cmd: command, Labels: spec.Labels,
		Tty: spec.TTY, OpenStdin: spec.Stdin, AttachStdin: spec.Stdin, StdinOnce: spec.Stdin, AttachStdout: true, AttachStderr: true}
	for _, name := range slices.Sorted(maps.Keys(spec.Env)) {
		config.Env = append(config.Env, name+"="+spec.Env[name])
	}
	host := &container.HostConfig{NetworkMode: "default", RestartPolicy: policy}
	networking := &network.NetworkingConfig{}
	if spec.Network != "" {
		host.NetworkMode = container.NetworkMode(spec.Network)
		if len(spec.Aliases) > 0 {
			networking.EndpointsConfig = map[string]*network.EndpointSettings{spec.Network: {Aliases: spec.Aliases}}
		}
	}
	host.Memory, host.NanoCPUs = spec.Memory, spec.NanoCPUs
	if spec.Init {
		host.Init = &spec.Init
	}
	created, err := e.api.ContainerCreate(ctx, client.ContainerCreateOptions{Config: config, HostConfig: host, NetworkingConfig: networking, Name: spec.Name})
	if err != nil {
		return "", wrap("create the container "+spec.Name, err)
	}
	return created.ID, nil
}

// lateAnswer is how long the answer to a call is waited for that nobody wants any more.
const lateAnswer = 3 * time.Second

// patient is the ctx of a call that the engine finishes whether anybody waits for it or
// not. When ctx ends, the answer is waited for a little longer, so that what the call has
// made is there for those who take it back.
func patient(ctx context.Context) (longer context.Context, answered context.CancelFunc) {
	longer, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		time.AfterFunc(lateAnswer, func() { cancel(context.Cause(ctx)) })
	})
	return longer, func() { stop(); cancel(nil) }
}

// commandOf gives an entrypoint of one word, which is all that the docker program
// takes; further ones come before the command.
func commandOf(spec agent.ContainerSpec) (entrypoint, command []string) {
	if len(spec.Entrypoint) == 0 {
		return nil, spec.Cmd
	}
	return spec.Entrypoint[:1], append(slices.Clone(spec.Entrypoint[1:]), spec.Cmd...)
}

// restartPolicy reads "on-failure:10" and the like.
func restartPolicy(text string) (container.RestartPolicy, error) {
	name, count, counted := strings.Cut(text, ":")
	policy := container.RestartPolicy{Name: container.RestartPolicyMode(name)}
	if text == "" {
		policy.Name = container.RestartPolicyDisabled
	}
	if counted {
		n, err := strconv.Atoi(count)
		if err != nil || n < 0 {
			return policy, api.Errorf(api.Configuration, "read the restart policy", "%q is none", text).
				WithHint("no, always, unless-stopped, on-failure or on-failure:10")
		}
		policy.MaximumRetryCount = n
	}
	if err := container.ValidateRestartPolicy(policy); err != nil {
		return policy, api.Errorf(api.Configuration, "read the restart policy", "%w", err)
	}
	return policy, nil
}
