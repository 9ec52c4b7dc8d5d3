// Package docker is the engine: it implements agent.Images and agent.Containers over the
// Docker API, from version 1.41 on. It decides nothing about apps.
package docker

import (
	"context"
	"errors"
	"fmt"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/client"

	"github.com/dokku-push/dokku-push/agent"
)

// Engine is one Docker Engine.
type Engine struct {
	api  *client.Client
	host string // DOCKER_HOST for the docker program; empty: its own default
}

// New connects to an engine: host is what DOCKER_HOST would be, empty for the usual
// socket. Nothing is sent before the first use.
func New(host string) (*Engine, error) {
	options := []client.Opt{}
	if host != "" {
		options = append(options, client.WithHost(host))
	}
	api, err := client.New(options...)
	if err != nil {
		return nil, fmt.Errorf("connect to the engine: %w", err)
	}
	return &Engine{api: api, host: host}, nil
}

// Close ends the connection.
func (e *Engine) Close() error { return e.api.Close() }

// Info says what the engine is.
func (e *Engine) Info(ctx context.Context) (agent.EngineInfo, error) {
	result, err := e.api.Info(ctx, client.InfoOptions{})
	if err != nil {
		return agent.EngineInfo{}, fmt.Errorf("ask the engine what it is: %w", err)
	}
	info := result.Info
	return agent.EngineInfo{OS: info.OSType, Arch: architecture(info.Architecture), Store: info.Driver, Root: info.DockerRootDir,
		Version: info.ServerVersion, Memory: info.MemTotal}, nil
}

// architecture turns the kernel's word into Go's, which images use.
func architecture(kernel string) string {
	switch kernel {
	case "x86_64":
		return "amd64"
	case "aarch64":
		return "arm64"
	case "armv7l", "armv6l":
		return "arm"
	case "i686", "i386":
		return "386"
	}
	return kernel
}

// wrap says what was being done, and makes what the engine does not have
// agent.ErrNotFound.
func wrap(doing string, err error) error {
	if err == nil {
		return nil
	}
	if errdefs.IsNotFound(err) {
		return fmt.Errorf("%s: %w", doing, errors.Join(agent.ErrNotFound, err))
	}
	return fmt.Errorf("%s: %w", doing, err)
}
