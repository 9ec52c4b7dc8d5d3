package docker

import (
	"testing"

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
		}})
}
