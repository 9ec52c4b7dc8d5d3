package agent_test

import (
	"context"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/api"
)

// TestBounded: a certificate for some apps is for those and for little else, one for review
// apps for these alone; a key is not bounded.
func TestBounded(t *testing.T) {
	t.Parallel()
	w := reviewed(t)
	job, pull, key := agent.Caller{Name: "job", Apps: app + " api"}, agent.Caller{Name: "pull", Apps: "review:" + app}, agent.Caller{Name: "laptop"}
	w.process(0).run(func(h *agent.Host) {
		review := reviewRequest(1)
		_, _, _, err := h.MakeReview(t.Context(), review)
		must(t, err)
		may := func(by agent.Caller, app string, command ...string) error {
			return h.May(context.Background(), by, app, command...)
		}
		for _, test := range []struct {
			by           agent.Caller
			app, command string
			want         string
		}{
			{job, app, "git-receive-pack", ""}, {job, "api", "ps:rebuild", ""}, {job, "other", "git-receive-pack", "the certificate of job is for " + app + " api"}, {job, app[:2], "apps:report", "is for"},
			{job, app + " api", "apps:report", "is for"}, {job, "", "version", ""}, {job, "", "logs", ""}, {job, "", "run", ""}, {job, "", "apps:list", ""}, {job, "", "apps:create", "and nothing else"},
			{job, "", "git-receive-pack", "and nothing else"}, {job, "", "config:set", "and nothing else"}, {job, "", "plugin:install", "and nothing else"}, {job, "", "auth:github", "and nothing else"},
			{job, "", "", "and nothing else"}, {job, "", "review:create", "and nothing else"}, {job, review.Name, "git-receive-pack", "is for"},
			{pull, review.Name, "git-receive-pack", ""}, {pull, review.Name, "apps:report", ""}, {pull, "", "review:create", ""}, {pull, "", "review:destroy", ""}, {pull, "", "review:list", ""},
			{pull, app, "git-receive-pack", "the certificate of pull is for review apps of " + app}, {pull, app, "apps:report", "is for review apps"}, {pull, "review-" + app + "-2", "git-receive-pack", "is for review apps"},
			{pull, "", "review:set", "and nothing else"}, {pull, "", "apps:destroy", "and nothing else"}, {pull, "", "apps:clone", "and nothing else"}, {pull, "", "config:show", "and nothing else"},
		} {
			err := may(test.by, test.app, test.command)
			if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
				t.Errorf("%q of %q by %s: %v, want %q", test.command, test.app, test.by.Name, err, test.want)
			}
			if err := may(key, test.app, test.command); err != nil {
				t.Errorf("%q of %q by a key: %v", test.command, test.app, err)
			}
		}
		all := []string{"api", "other", app, review.Name}
		for _, test := range []struct {
			by            agent.Caller
			visible, make []string
		}{{job, []string{"api", app}, []string{}}, {pull, []string{review.Name}, []string{app}}, {key, all, all}, {agent.Caller{Name: "x", Apps: "review:api"}, []string{}, []string{"api"}}} {
			visible, err := h.Visible(t.Context(), test.by, all)
			must(t, err)
			makes, err := h.Reviewable(t.Context(), test.by, all)
			must(t, err)
			if diff := cmp.Diff([][]string{test.visible, test.make}, [][]string{visible, makes}); diff != "" {
				t.Errorf("%s (-want +got):\n%s", test.by.Name, diff)
			}
		}
		for name, refused := range map[string]bool{review.Name: false, "review-new": false, app: true} {
			if err := h.MayMakeReview(t.Context(), pull, name); (err != nil) != refused {
				t.Errorf("a review app called %s: %v", name, err)
			}
		}
	})
}

// TestBring: what a branch's tree asks for does not lead out of its review app.
func TestBring(t *testing.T) {
	t.Parallel()
	w := reviewed(t)
	w.process(0).run(func(h *agent.Host) {
		_, _, err := h.Settings.Change(app, func(now *agent.Settings) error { now.Template = "mine"; return nil })
		must(t, err)
		name := reviewRequest(1).Name
		_, _, _, err = h.MakeReview(t.Context(), reviewRequest(1))
		must(t, err)
		for want, document := range map[string]api.ReleaseDocument{
			"":                 {Builder: "dockerfile", NginxTemplate: "mine", Declared: &api.Declared{Domains: &[]string{"a.example.com"}}},
			"storage":          {Declared: &api.Declared{Storage: []string{"/:/host"}}},
			"docker options":   {Declared: &api.Declared{DockerOptions: map[string][]string{"deploy": {"--privileged"}}}},
			"services":         {Declared: &api.Declared{Services: []api.Service{{Plugin: "postgres", Name: "db"}}}},
			"an nginx.conf":    {NginxTemplate: "other"},
			"built elsewhere":  {Builder: "image"},
			"storage, docker ": {Declared: &api.Declared{Storage: []string{"/:/host"}, DockerOptions: map[string][]string{"run": {"-v"}}}},
		} {
			err := h.MayBring(agent.Caller{Name: "pull", Apps: "review:" + app}, name, document)
			if (err == nil) != (want == "") || err != nil && (!strings.Contains(err.Error(), want) || api.AsError(err).Code != api.Refused) {
				t.Errorf("%q: %v", want, err)
			}
			for _, by := range []agent.Caller{{Name: "laptop"}, {Name: "job", Apps: name}} {
				if err := h.MayBring(by, name, document); err != nil {
					t.Errorf("%q by %s: %v", want, by.Name, err)
				}
			}
		}
	})
}

// TestReviewInherits: the host says which keys a review app may take over, and for a
// certificate says nothing of a key that it has not named.
func TestReviewInherits(t *testing.T) {
	t.Parallel()
	w := reviewed(t)
	w.process(0).run(func(h *agent.Host) {
		ask := func(n int, bounded bool, keys ...string) error {
			request := reviewRequest(n)
			request.Bounded, request.Inherit = bounded, keys
			_, _, _, err := h.MakeReview(t.Context(), request)
			return err
		}
		allow := func(at, keys string) {
			_, _, err := h.Settings.Change(at, func(now *agent.Settings) error { now.Properties[agent.ReviewInherit] = keys; return nil })
			must(t, err)
		}
		refused := func(what string, err error, key string) {
			t.Helper()
			if err == nil || api.AsError(err).Code != api.Refused || !strings.HasSuffix(err.Error(), ": "+key) {
				t.Errorf("%s: %v", what, err)
			}
		}
		must(t, ask(1, false, "DATABASE_URL"))
		must(t, ask(2, true))
		refused("a certificate, where nothing is said", ask(3, true, "LOG_LEVEL"), "LOG_LEVEL")
		if h.Settings.Has(reviewRequest(3).Name) {
			t.Error("what was refused is there")
		}
		allow(app, "LOG_LEVEL,OTHER")
		must(t, ask(3, true, "LOG_LEVEL"))
		refused("a certificate, with another key", ask(4, true, "LOG_LEVEL", "DATABASE_URL"), "DATABASE_URL")
		refused("a key, with another key", ask(4, false, "DATABASE_URL"), "DATABASE_URL")
		refused("one that is there, with another key", ask(1, true, "DATABASE_URL"), "DATABASE_URL")
		allow(app, "")
		allow("--global", "DATABASE_URL")
		must(t, ask(4, true, "DATABASE_URL"))
		refused("by the host's word for all apps", ask(5, false, "LOG_LEVEL"), "LOG_LEVEL")
	})
}
