package docker

import (
	"context"
	"testing"

	"github.com/moby/moby/client"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/internal/contract"
)

func TestContract(t *testing.T) {
	w := newWorld(t)
	contract.Engine(t, contract.EngineWorld{Images: w.Engine, Containers: w.Engine, Image: w.image, Repository: w.repository,
		Spec: func(name string) agent.ContainerSpec {
			spec := w.spec(script("trap 'exit 0' TERM; while :; do sleep 0.1; done"))
			spec.Name = name
			return spec
		},
		Volume: func(name string, used bool) {
			_, err := w.api.VolumeCreate(t.Context(), client.VolumeCreateOptions{Name: name})
			must(t, err)
			t.Cleanup(func() { must(t, w.RemoveVolume(context.Background(), name)) })
			if used {
				id := w.create(t, agent.ContainerSpec{Args: []string{"--volume=" + name + ":/kept"}})
				t.Cleanup(func() { must(t, w.Remove(context.Background(), id)) })
			}
		}})
}
