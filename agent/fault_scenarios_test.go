package agent_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/api"
)

// scenario is something that is done to an app, to be broken at each of its acts.
type scenario struct {
	name    string
	base    func(t *testing.T) *world // before it
	release int                       // that it makes
	request string                    // empty: it has no journal that outlives it
	act     func(ctx context.Context, h *agent.Host, request string) (api.Verdict, error)
}

func scenarios() []scenario {
	change := func(name string, base func(t *testing.T) *world, release int, c func() agent.Change) scenario {
		return scenario{name, base, release, c().Request, func(ctx context.Context, h *agent.Host, request string) (api.Verdict, error) {
			change := c()
			change.Request = request
			return h.Apply(ctx, change)
		}}
	}
	of := func(kind agent.Kind) agent.Change {
		return agent.Change{App: app, Request: "request-" + string(kind), Kind: kind, By: agent.Caller{Name: "alice"}}
	}
	scale := func(web, worker int) func() agent.Change {
		return func() agent.Change {
			c := of(agent.Scale)
			c.Scale = map[string]int{"web": web, "worker": worker}
			return c
		}
	}
	push := func(n int) func() agent.Change { return func() agent.Change { return scripted(newDocuments(), n) } }
	return []scenario{
		change("new", base(0), 1, push(1)),
		change("first", base(1), 1, push(1)),
		change("redeploy", base(2), 2, push(2)),
		change("scale", base(2), 2, scale(3, 0)),
		change("rollback", base(3), 3, func() agent.Change {
			c := of(agent.Rollback)
			c.Release = 1
			return c
		}),
		change("restart", base(2), 2, func() agent.Change { return of(agent.Restart) }),
		change("image", func(t *testing.T) *world {
			w := base(2)(t)
			offered(w, "sha256:named", "web: named\nworker: work\n")
			return w
		}, 2, func() agent.Change { return fromImage("request-image", agent.PullMissing) }),
		change("disabled", base(2), 2, func() agent.Change {
			c := scripted(newDocuments(), 2)
			c.Document.Declared.Checks = map[string]string{"disabled": "web,worker"}
			return c
		}),
		change("start", since(base(2), stop), 2, func() agent.Change { return of(agent.Start) }),
		change("deploy-stopped", since(base(2), stop), 2, push(2)),
		change("to-nothing", base(2), 2, scale(0, 0)),
		change("from-nothing", since(base(2), func(h *agent.Host) error {
			c := scale(0, 0)()
			c.Request = "request-to-nothing"
			_, err := h.Apply(context.Background(), c)
			return err
		}), 3, scale(2, 1)),
		change("config", base(2), 2, func() agent.Change { return of(agent.Config) }),
		{"stop", base(2), 0, "", func(_ context.Context, h *agent.Host, _ string) (api.Verdict, error) {
			err := stop(h)
			return api.Verdict{OK: err == nil, Changed: err == nil}, err
		}},
		{"destroy", base(2), 0, "", func(ctx context.Context, h *agent.Host, _ string) (api.Verdict, error) {
			err := h.Destroy(ctx, app, agent.Caller{Name: "alice"})
			return api.Verdict{OK: err == nil, Changed: err == nil}, err
		}},
	}
}

// newDocuments takes the images of documents: those of a world's own are there already.
func newDocuments() *world { return &world{remote: map[string]agent.Image{}} }

// scripted is deploy with everything that runs after the commit too.
func scripted(w *world, n int) agent.Change {
	c := agent.Change{App: app, Request: fmt.Sprintf("request-%d", n), Kind: agent.Deploy, By: agent.Caller{Name: "alice"}}
	c.Document = document(w, n)
	c.Document.AppJSON = strings.Replace(c.Document.AppJSON, `"dokku":{`, `"postdeploy":"once","dokku":{"postdeploy":"after it",`, 1)
	return c
}

func stop(h *agent.Host) error {
	return h.Stop(context.Background(), app, agent.Caller{Name: "alice"})
}

// since is a world to which something has been done.
func since(base func(t *testing.T) *world, what func(h *agent.Host) error) func(t *testing.T) *world {
	return func(t *testing.T) *world {
		t.Helper()
		w := base(t)
		w.process(0).run(func(h *agent.Host) { must(t, what(h)) })
		return w
	}
}

// base is a world of some age: 0 without the app, 1 with it, 2 with its first release, 3 with
// two. A plugin in it has every trigger and does nothing.
func base(age int) func(t *testing.T) *world {
	return func(t *testing.T) *world {
		t.Helper()
		w := newWorld(t)
		for n := 1; n <= 3; n++ {
			document(w, n)
		}
		w.plugin = func(context.Context, string, agent.Streams) error { return nil }
		w.process(0).run(func(h *agent.Host) {
			_, _, err := h.Settings.Change("--global", func(now *agent.Settings) error {
				now.Env, now.Domains = map[string]string{"HOST": "1"}, []string{"example.com"}
				return nil
			})
			must(t, err)
			if age > 0 {
				must(t, h.Create(context.Background(), app))
			}
		})
		for n := 1; n < age; n++ {
			w.process(0).run(func(h *agent.Host) {
				if verdict, err := h.Apply(context.Background(), scripted(w, n)); err != nil || !verdict.OK || verdict.Error != nil {
					t.Errorf("release %d: %+v, %v", n, verdict, err)
				}
			})
		}
		return w
	}
}
