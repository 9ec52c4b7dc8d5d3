package agent_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/api"
)

func stateHash(t *testing.T, w *world) string {
	t.Helper()
	state, err := w.process(0).host().State(context.Background(), app)
	must(t, err)
	return state.Hash
}

// TestHash: it is what the app is, not how it came to be so.
func TestHash(t *testing.T) {
	t.Parallel()
	base := deployed(t)
	web := func(w *world) agent.Container {
		for _, c := range w.containers {
			if c.Labels["com.dokku.process-type"] == "web" {
				return c
			}
		}
		t.Fatal("there is no web container")
		return agent.Container{}
	}
	setting := func(change func(*agent.Settings)) func(w *world) {
		return func(w *world) {
			_, _, err := w.process(0).Change(app, func(now *agent.Settings) error { change(now); return nil })
			must(t, err)
		}
	}
	for name, test := range map[string]struct {
		same   bool
		change func(w *world)
	}{
		"nothing": {true, func(*world) {}},
		"a lock": {true, func(w *world) {
			lock, _, err := w.process(0).Lock(app, api.Lock{PID: os.Getpid(), Request: "request-9"})
			must(t, err)
			t.Cleanup(func() { must(t, lock.Unlock()) })
		}},
		"a journal": {true, func(w *world) {
			journal, _, err := w.process(0).Begin(app, "request-9")
			must(t, err)
			must(t, journal.Close())
		}},
		"another app": {true, func(w *world) {
			must(t, w.process(0).Create("other"))
			_, _, err := w.process(0).Change("other", func(now *agent.Settings) error { now.Env["A"] = "1"; return nil })
			must(t, err)
		}},
		"the host's config": {false, func(w *world) {
			_, _, err := w.process(0).Change("--global", func(now *agent.Settings) error { now.Env["A"] = "1"; return nil })
			must(t, err)
		}},
		"what nginx is told on this host": {false, func(w *world) {
			_, _, err := w.process(0).Change("--global", func(now *agent.Settings) error {
				now.Properties["nginx/hsts"] = "false"
				return nil
			})
			must(t, err)
		}},
		"a restart": {true, func(w *world) {
			c := web(w)
			c.Address, c.Restarts = "another", 3
			w.containers[c.ID] = c
		}},
		"a container that retires": {true, func(w *world) {
			c := web(w)
			c.ID, c.Name = "old", c.Name+".1700000000"
			w.containers[c.ID] = c
		}},
		"a container that is coming": {false, func(w *world) {
			c := web(w)
			c.ID, c.Name = "new", c.Name+".upcoming-abc"
			w.containers[c.ID] = c
		}},
		"a container's env": {false, func(w *world) {
			c := web(w)
			c.Env = append([]string{"A=1"}, c.Env...)
			w.containers[c.ID] = c
		}},
		"a container that stopped": {false, func(w *world) {
			c := web(w)
			c.Running = false
			w.containers[c.ID] = c
		}},
		"a container's image": {false, func(w *world) {
			c := web(w)
			c.Image = "sha256:other"
			w.containers[c.ID] = c
		}},
		"a tag":      {false, func(w *world) { w.names["dokku/"+app+":mine"] = "sha256:image1" }},
		"env":        {false, setting(func(now *agent.Settings) { now.Env["A"] = "1" })},
		"a domain":   {false, setting(func(now *agent.Settings) { now.Domains = append(now.Domains, "a.example.com") })},
		"a scale":    {false, setting(func(now *agent.Settings) { now.Scale["web"] = 7 })},
		"a property": {false, setting(func(now *agent.Settings) { now.Properties["ps/restore"] = "false" })},
		"the site":   {false, func(w *world) { must(t, os.WriteFile(w.places().NginxConf(app), []byte("x"), 0o644)) }},
		"what nginx has loaded": {false, func(w *world) {
			must(t, os.WriteFile(w.places().NginxLoaded(app), []byte("x"), 0o644))
		}},
		"a file's mode": {false, func(w *world) { must(t, os.Chmod(filepath.Join(w.places().Root, app, "VHOST"), 0o600)) }},
	} {
		t.Run(name, func(t *testing.T) {
			w := base.clone(t)
			hash := stateHash(t, w)
			if again := stateHash(t, w); again != hash {
				t.Fatalf("%s, then %s", hash, again)
			}
			test.change(w)
			if got := stateHash(t, w); (got == hash) != test.same {
				t.Errorf("the hash is the same: %t", got == hash)
			}
		})
	}
}
