package agent_test

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/api"
)

// answering is a plugin that answers some triggers and fails in others.
type answering struct {
	answers map[string]string
	fails   map[string]bool
	fired   *[]string
}

func (a answering) Trigger(_ context.Context, name string, args []string, streams agent.Streams) error {
	*a.fired = append(*a.fired, strings.Join(append([]string{name}, args...), " "))
	if a.fails[name] {
		return errors.New("the plugin says no")
	}
	if answer := a.answers[name]; answer != "" && streams.Out != nil {
		_, _ = io.WriteString(streams.Out, answer)
	}
	return nil
}

func (a answering) Has(name string) bool { return a.answers[name] != "" || a.fails[name] }

func (a answering) Ships(name string) []string {
	if a.Has(name) {
		return []string{"answering"}
	}
	return nil
}

// remembering is a proxy that remembers the last template it was given.
type remembering struct {
	agent.Proxy
	template *string
}

func (r remembering) Render(ctx context.Context, site agent.Site) ([]byte, error) {
	*r.template = site.Template
	return r.Proxy.Render(ctx, site)
}

// TestTemplateOfAPlugin: nginx-app-template-source names the file that a site is made of; one
// that is none fails with its path.
func TestTemplateOfAPlugin(t *testing.T) {
	t.Parallel()
	w := deployed(t)
	file := filepath.Join(t.TempDir(), "template")
	must(t, os.WriteFile(file, []byte("server {}\n"), 0o644))
	for answer, want := range map[string]string{file + "\n": "server {}\n", filepath.Dir(file): "is no file of at most", "/nowhere": "no such file", "": ""} {
		w.process(0).run(func(h *agent.Host) {
			var template string
			h.Walk = answering{answers: map[string]string{"nginx-app-template-source": answer}, fired: new([]string)}
			h.Proxy = remembering{h.Proxy, &template}
			err := h.Serve(context.Background(), app, agent.Caller{})
			if strings.HasPrefix(answer, file) || answer == "" {
				if err != nil || template != want {
					t.Errorf("%q: the template is %q, want %q, %v", answer, template, want, err)
				}
			} else if err == nil || !strings.Contains(err.Error(), want) || api.AsError(err).Code != api.ProxyFailed {
				t.Errorf("%q: %v, want %q", answer, err, want)
			}
		})
	}
}

// TestAddressesOfAPlugin: app-urls takes the place of an app's addresses; where one fails after
// a deploy, the release stays and the verdict says so.
func TestAddressesOfAPlugin(t *testing.T) {
	t.Parallel()
	w := deployed(t)
	w.process(0).run(func(h *agent.Host) {
		var fired []string
		h.Walk = answering{answers: map[string]string{"app-urls": "https://tail.example.net\n"}, fired: &fired}
		all, err := h.Addresses(context.Background(), app, "url")
		if err != nil || !slices.Equal(all, []string{"https://tail.example.net"}) || !slices.Equal(fired, []string{"app-urls shop url"}) {
			t.Errorf("%q, %v after %q", all, err, fired)
		}
		verdict, err := h.Apply(context.Background(), deploy(w, 2))
		if err != nil || !verdict.OK || !slices.Equal(verdict.URLs, all) {
			t.Errorf("%+v, %v", verdict, err)
		}
		told := slices.IndexFunc(fired, func(one string) bool { return strings.HasPrefix(one, "post-deploy shop 500") })
		if n := slices.Index(fired, "cron-write"); told < 0 || n < told {
			t.Errorf("cron-write does not come after post-deploy: %q", fired)
		}
		h.Walk = answering{fails: map[string]bool{"app-urls": true, "cron-write": true}, fired: &fired}
		verdict, err = h.Apply(context.Background(), deploy(w, 3))
		if err != nil || !verdict.OK || verdict.Error == nil || verdict.Error.Code != api.HookFailed || len(verdict.URLs) == 0 || verdict.URLs[0] == all[0] {
			t.Errorf("with plugins that fail after the deploy: %+v, %v", verdict, err)
		}
	})
}

// TestRestoreTellsPlugins: before what did not come back starts, datastores may, and one that
// fails keeps no app down.
func TestRestoreTellsPlugins(t *testing.T) {
	t.Parallel()
	w := deployed(t)
	w.process(0).run(func(h *agent.Host) {
		all, err := h.AppContainers(context.Background(), app, "")
		must(t, err)
		must(t, h.Containers.Stop(context.Background(), all[0].ID, 0))
		var fired []string
		h.Walk = answering{fails: map[string]bool{"pre-start": true}, fired: &fired}
		if err := h.Mend(context.Background(), app, true); err == nil || !strings.Contains(err.Error(), "pre-start") {
			t.Errorf("the failure is not told: %v", err)
		}
		for _, want := range []string{"pre-restore docker-local shop", "scheduler-pre-restore docker-local shop", "pre-start shop"} {
			if !slices.Contains(fired, want) {
				t.Errorf("%s was not fired: %q", want, fired)
			}
		}
		again, err := h.Containers.Inspect(context.Background(), all[0].ID)
		if err != nil || !again.Running {
			t.Errorf("the container stays down: %+v, %v", again, err)
		}
	})
}

// TestFloodOfATrigger: of what a plugin prints without end a deploy keeps the beginning.
func TestFloodOfATrigger(t *testing.T) {
	t.Parallel()
	w := created(t)
	w.plugin = func(_ context.Context, name string, streams agent.Streams) error {
		if name == "pre-deploy" {
			_, err := io.WriteString(streams.Err, strings.Repeat("again\n", 20_000))
			return err
		}
		return nil
	}
	w.process(0).run(func(h *agent.Host) {
		verdict, err := h.Apply(context.Background(), deploy(w, 1))
		if err != nil || !verdict.OK {
			t.Fatalf("%+v, %v", verdict, err)
		}
		entries, err := h.Ledger.ReadJournal(app, "request-1", 0)
		must(t, err)
		said, last := 0, ""
		for _, entry := range entries {
			if entry.Event != nil && entry.Event.Output != nil && entry.Event.Output.Source == "pre-deploy" {
				said, last = said+1, entry.Event.Output.Text
			}
		}
		if said != 5001 || !strings.Contains(last, "is not kept") {
			t.Errorf("%d lines are kept, the last is %q", said, last)
		}
	})
}
