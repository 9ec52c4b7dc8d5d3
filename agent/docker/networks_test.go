package docker

import (
	"errors"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dokku-push/dokku-push/agent"
)

func (w *world) network(t *testing.T, suffix string) string {
	t.Helper()
	name := w.repository + "-" + suffix
	must(t, w.CreateNetwork(t.Context(), name, map[string]string{"of": "test"}))
	t.Cleanup(func() { _ = exec.Command("docker", "network", "rm", name).Run() })
	return name
}

func TestNetworks(t *testing.T) {
	w := newWorld(t)
	first, second := w.network(t, "b"), w.network(t, "a")
	found, err := w.Network(t.Context(), first)
	must(t, err)
	if found.Driver != "bridge" || !found.Attachable || found.Labels["of"] != "test" || found.Name != first {
		t.Errorf("the new network is %+v", found)
	}
	if _, err := w.Network(t.Context(), found.ID[:12]); !errors.Is(err, agent.ErrNotFound) {
		t.Errorf("a network by the beginning of its id: %v, want it not found", err)
	}
	if _, err := w.Network(t.Context(), w.repository+"-none"); !errors.Is(err, agent.ErrNotFound) {
		t.Errorf("no network: %v, want it not found", err)
	}
	all, err := w.ListNetworks(t.Context())
	must(t, err)
	if !slices.ContainsFunc(all, func(n agent.Network) bool { return n.Name == "bridge" }) || !slices.ContainsFunc(all, func(n agent.Network) bool { return n.Name == first }) {
		t.Errorf("the list is %+v", all)
	}
	for name, args := range map[string][]string{"by the api": nil, "by the program": {"--memory-swappiness=0"}} {
		t.Run(name, func(t *testing.T) {
			spec := script("sleep 60")
			spec.Network, spec.Aliases, spec.Args, spec.Init = first, []string{"app.web"}, args, true
			spec.Name = w.repository + "-" + strings.ReplaceAll(name, " ", "-")
			id := w.create(t, spec)
			must(t, w.Connect(t.Context(), second, id, []string{"app.web.tld"}))
			must(t, w.Connect(t.Context(), second, id, []string{"app.web.tld"})) // it is in it
			must(t, w.Start(t.Context(), id))
			c, err := w.Inspect(t.Context(), id)
			must(t, err)
			if !slices.Equal(c.Networks, []string{second, first}) || c.Network != first {
				t.Fatalf("it is in %v, made in %q", c.Networks, c.Network)
			}
			out, err := exec.Command("docker", "inspect", "--format", `{{(index .NetworkSettings.Networks "`+first+`").IPAddress}}`, id).Output()
			must(t, err)
			if c.Address == "" || c.Address != strings.TrimSpace(string(out)) {
				t.Errorf("its address is %s, want that in the network it was made in, %s", c.Address, out)
			}
			var aliases []string
			for _, network := range []string{first, second} {
				text, err := exec.Command("docker", "inspect", "--format", `{{(index .NetworkSettings.Networks "`+network+`").Aliases}}`, id).Output()
				must(t, err)
				aliases = append(aliases, string(text))
			}
			if !strings.Contains(aliases[0], "app.web") || !strings.Contains(aliases[1], "app.web.tld") {
				t.Errorf("its aliases are %q", aliases)
			}
			if err := w.RemoveNetwork(t.Context(), second); err == nil {
				t.Error("a network that is in use was removed")
			}
			must(t, w.Stop(t.Context(), id, time.Second))
			must(t, w.Remove(t.Context(), id))
		})
	}
	if err := w.Connect(t.Context(), w.repository+"-none", w.create(t, script("true")), nil); !errors.Is(err, agent.ErrNotFound) {
		t.Errorf("into no network: %v", err)
	}
	must(t, w.RemoveNetwork(t.Context(), second))
	if err := w.RemoveNetwork(t.Context(), second); !errors.Is(err, agent.ErrNotFound) {
		t.Errorf("removed twice: %v", err)
	}
}
