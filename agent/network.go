package agent

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/dokku-push/dokku-push/api"
)

// Networks is what commands and the transaction need of the engine's networks.
type Networks interface {
	// CreateNetwork makes an attachable bridge network. A name that is taken is an error.
	CreateNetwork(ctx context.Context, name string, labels map[string]string) error
	// RemoveNetwork removes one that no container is in.
	RemoveNetwork(ctx context.Context, name string) error
	// Network inspects one by its name; ErrNotFound when absent.
	Network(ctx context.Context, name string) (Network, error)
	// ListNetworks gives all, by name.
	ListNetworks(ctx context.Context) ([]Network, error)
	// Connect puts a container into a network, where others find it by the aliases too.
	// One that is in it already stays.
	Connect(ctx context.Context, network, container string, aliases []string) error
}

// Network is what the engine says of a network.
type Network struct {
	ID         string            `json:"id"`
	Name       string            `json:"name"`
	Driver     string            `json:"driver"`
	Scope      string            `json:"scope"`
	Internal   bool              `json:"internal"`
	Attachable bool              `json:"attachable"`
	Labels     map[string]string `json:"labels,omitempty"`
	Containers []string          `json:"containers,omitempty"` // names of those that run in it; not in a list
}

// labelNetwork is on the networks that network:create has made.
const labelNetwork = "com.dokku.network-name"

// CreateNetwork makes a network for apps.
func (h *Host) CreateNetwork(ctx context.Context, name string) error {
	if _, err := h.Networks.Network(ctx, name); err == nil {
		return api.Errorf(api.Precondition, "", "Network is already taken")
	} else if !errors.Is(err, ErrNotFound) {
		return err
	}
	return h.Networks.CreateNetwork(ctx, name, map[string]string{labelNetwork: name, labelHost: h.ID()})
}

// DestroyNetwork removes a network that network:create has made, and no other.
func (h *Host) DestroyNetwork(ctx context.Context, name string) error {
	network, err := h.Network(ctx, name)
	if err != nil {
		return err
	}
	if network.Labels[labelNetwork] == "" {
		return api.Errorf(api.Refused, "", "the network %s was not made by network:create", name).
			WithHint("its owner removes it on the host: docker network rm %s", name)
	}
	if len(network.Containers) > 0 {
		return api.Errorf(api.Precondition, "", "the network %s is in use by %s", name, strings.Join(network.Containers, ", ")).
			WithHint("network:set the apps elsewhere and deploy them first")
	}
	return h.Networks.RemoveNetwork(ctx, name)
}

// Network looks at a network.
func (h *Host) Network(ctx context.Context, name string) (Network, error) {
	network, err := h.Networks.Network(ctx, name)
	if errors.Is(err, ErrNotFound) {
		return network, api.Errorf(api.Precondition, "", "Network does not exist")
	}
	return network, err
}

// networkNames are the networks that a property of an app names.
func networkNames(settings Settings, key string) []string {
	return strings.FieldsFunc(settings.Properties["network/"+key], func(c rune) bool { return strings.ContainsRune(", \t\n", c) })
}

// alias is the name of a process type in the app's networks.
func alias(app string, settings Settings, process string) []string {
	name := app + "." + process
	if tld := settings.Properties["network/tld"]; tld != "" {
		name += "." + tld
	}
	return []string{name}
}

// networked adds what network:set says to a container that is to be made.
func (r *run) networked(spec *ContainerSpec, process string) {
	settings := r.Host.inherit(r.settings)
	spec.Network = settings.Properties["network/initial-network"]
	if spec.Network != "" {
		spec.Aliases = alias(r.change.App, settings, process)
	}
	if settings.Properties["network/bind-all-interfaces"] == "true" && process == "web" {
		spec.Args = append(spec.Args, "--publish="+strconv.Itoa(webPort(r.ports)))
	}
}

// connect puts a new container into the networks that a property names.
func (r *run) connect(ctx context.Context, key string, i instance) error {
	settings := r.Host.inherit(r.settings)
	for _, network := range networkNames(settings, key) {
		if err := r.Host.Networks.Connect(ctx, network, i.ID, alias(r.change.App, settings, i.Process)); err != nil {
			return api.Errorf(api.Precondition, "put "+i.label()+" into the network "+network, "%w", err).
				WithHint("network:list shows the networks; network:set %s %s names those of the app", r.change.App, key)
		}
	}
	return nil
}

// RebuildNetwork puts an app's containers into the networks that network:set names, and
// writes anew where they are.
func (h *Host) RebuildNetwork(ctx context.Context, app string, by Caller) error {
	return h.withLock(ctx, app, by, 0, func(ctx context.Context) error {
		settings, err := h.Settings.Read(app)
		if err != nil {
			return fmt.Errorf("read the settings of %s: %w", app, err)
		}
		settings = h.inherit(settings)
		running, err := h.instances(ctx, app)
		if err != nil {
			return err
		}
		for _, i := range running {
			for _, network := range slices.Concat(networkNames(settings, "attach-post-create"), networkNames(settings, "attach-post-deploy")) {
				if err := h.Networks.Connect(ctx, network, i.ID, alias(app, settings, i.Process)); err != nil {
					return fmt.Errorf("put %s into the network %s: %w", i.Name, network, err)
				}
			}
		}
		if err := h.reconcileLocked(ctx, app); err != nil {
			return err
		}
		return h.renewSite(ctx, app)
	})
}
