package agent_test

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"testing"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/internal/contract"
)

// TestContracts: what stands in for the real parts here does what they do.
func TestContracts(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.process(0)
	h := p.host()
	t.Run("engine", func(t *testing.T) {
		w.images["sha256:image"] = agent.Image{ID: "sha256:image"}
		w.names["shop:v1"] = "sha256:image"
		contract.Engine(t, contract.EngineWorld{Images: h.Images, Containers: h.Containers, Image: "sha256:image", Repository: "shop",
			Spec:   func(name string) agent.ContainerSpec { return agent.ContainerSpec{Name: name, Image: "sha256:image"} },
			Volume: func(name string, used bool) { w.volumes[name] = used }})
	})
	t.Run("proxy", func(t *testing.T) {
		contract.Proxy(t, contract.ProxyWorld{Proxy: h.Proxy, Places: h.Places, File: func(_, text string) []byte { return fmt.Appendln(nil, text) },
			Serves: func(app, text string) bool {
				loaded, err := os.ReadFile(h.Places.NginxLoaded(app))
				if text == "" {
					return err != nil
				}
				return string(loaded) == text+"\n"
			}})
	})
	t.Run("traffic", func(t *testing.T) {
		contract.Traffic(t, contract.TrafficWorld{Traffic: h.Traffic, One: "172.17.0.2", Two: "172.17.0.3", Port: 5000, Pointed: func(app string) ([]agent.Backend, error) {
			var all []agent.Backend
			for _, index := range slices.Sorted(maps.Keys(w.points[app])) {
				all = append(all, w.points[app][index])
			}
			return all, nil
		}})
	})
}
