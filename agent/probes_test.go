package agent_test

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/dokku-push/dokku-push/agent"
)

// TestProbesNamed: of all containers, those of some process types, or single ones.
func TestProbesNamed(t *testing.T) {
	t.Parallel()
	w := base(3)(t) // its second release has two web containers and a worker
	for _, test := range []struct{ named, want []string }{
		{nil, []string{"web.1", "web.2", "worker.1"}},
		{[]string{"web"}, []string{"web.1", "web.2"}},
		{[]string{"web.2", "worker"}, []string{"web.2", "worker.1"}},
	} {
		w.process(0).run(func(h *agent.Host) {
			probes, err := h.Probes(context.Background(), app, test.named...)
			must(t, err)
			var got []string
			for _, probe := range probes {
				got = append(got, fmt.Sprintf("%s.%d", probe.Process, probe.Index))
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("%v are %v", test.named, got)
			}
		})
	}
}
