package docker

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"

	"github.com/dokku-push/dokku-push/agent"
)

var _ agent.Networks = (*Engine)(nil)

// CreateNetwork makes an attachable bridge network.
func (e *Engine) CreateNetwork(ctx context.Context, name string, labels map[string]string) error {
	_, err := e.api.NetworkCreate(ctx, name, client.NetworkCreateOptions{Driver: "bridge", Attachable: true, Labels: labels})
	return wrap("create the network "+name, err)
}

// RemoveNetwork removes a network that no container is in.
func (e *Engine) RemoveNetwork(ctx context.Context, name string) error {
	_, err := e.api.NetworkRemove(ctx, name, client.NetworkRemoveOptions{})
	return wrap("remove the network "+name, err)
}

// Network inspects a network by its name. The engine would take the beginning of an id too.
func (e *Engine) Network(ctx context.Context, name string) (agent.Network, error) {
	found, err := e.api.NetworkInspect(ctx, name, client.NetworkInspectOptions{})
	if err != nil {
		return agent.Network{}, wrap("look at the network "+name, err)
	}
	if found.Network.Name != name {
		return agent.Network{}, wrap("look at the network "+name, agent.ErrNotFound)
	}
	n := networkOf(found.Network.Network)
	for _, c := range found.Network.Containers {
		n.Containers = append(n.Containers, c.Name)
	}
	slices.Sort(n.Containers)
	return n, nil
}

func networkOf(from network.Network) agent.Network {
	return agent.Network{ID: from.ID, Name: from.Name, Driver: from.Driver, Scope: from.Scope, Internal: from.Internal, Attachable: from.Attachable, Labels: from.Labels}
}

// ListNetworks gives all networks, by name.
func (e *Engine) ListNetworks(ctx context.Context) ([]agent.Network, error) {
	found, err := e.api.NetworkList(ctx, client.NetworkListOptions{})
	if err != nil {
		return nil, wrap("list the networks", err)
	}
	var all []agent.Network
	for _, item := range found.Items {
		all = append(all, networkOf(item.Network))
	}
	slices.SortFunc(all, func(a, b agent.Network) int { return strings.Compare(a.Name, b.Name) })
	return all, nil
}

// Connect puts a container into a network. One that is in it already stays.
func (e *Engine) Connect(ctx context.Context, name, ref string, aliases []string) error {
	c, err := e.Inspect(ctx, ref)
	if err != nil {
		return err
	}
	if slices.Contains(c.Networks, name) {
		return nil
	}
	if _, err := e.Network(ctx, name); errors.Is(err, agent.ErrNotFound) {
		return err // the engine's own words would be about the container
	}
	if name == "bridge" {
		aliases = nil // the default network has none
	}
	_, err = e.api.NetworkConnect(ctx, name, client.NetworkConnectOptions{Container: c.ID, EndpointConfig: &network.EndpointSettings{Aliases: aliases}})
	return wrap("put the container "+c.Name+" into the network "+name, err)
}
