package agent_test

import (
	"context"
	"os"
	"strings"
	"testing"

	"github.com/dokku-push/dokku-push/agent"
)

// TestSiteInHooks: what a plugin changes of an app's site within a deploy is in the site when
// its trigger goes on, if that comes after the switch, and when the deploy is over in any case.
func TestSiteInHooks(t *testing.T) {
	t.Parallel()
	w := deployed(t)
	site := func() string {
		text, err := os.ReadFile(w.places().NginxConf(app))
		must(t, err)
		return string(text)
	}
	adds := func(domain string) error {
		h := w.process(0).host()
		return h.ChangeSite(agent.Nested(context.Background(), "request-2"), app, agent.Caller{}, agent.SiteChange{Settings: func(now *agent.Settings) error {
			now.Domains = append(now.Domains, domain)
			return nil
		}})
	}
	w.plugins["pre-deploy"] = func([]string) error {
		err := adds("early.example.com")
		if strings.Contains(site(), "early.example.com") {
			t.Error("the site of the former release changes before the switch")
		}
		return err
	}
	w.plugins["core-post-deploy"] = func([]string) error { return adds("switched.example.com") }
	w.plugins["post-deploy"] = func([]string) error {
		if now := site(); !strings.Contains(now, "early.example.com") || !strings.Contains(now, "switched.example.com") {
			t.Errorf("post-deploy finds the site\n%s", now)
		}
		err := adds("late.example.com")
		if !strings.Contains(site(), "late.example.com") {
			t.Errorf("a domain that post-deploy has added is not in the site:\n%s", site())
		}
		return err
	}
	if verdict := apply(t, w, w.process(0), deploy(w, 2)); !verdict.OK || verdict.Error != nil {
		t.Fatalf("got %+v", verdict)
	}
}
