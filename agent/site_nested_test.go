package agent_test

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/api"
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

// TestWithinActs: a plugin that is called by a stop or by the making of a site changes the
// app's domains: nobody waits for the lock that waits for them, the site has the domains when it is
// over, and what outlives the act waits like others.
func TestWithinActs(t *testing.T) {
	t.Parallel()
	w := deployed(t)
	adds := func(acts, domain string, patience time.Duration) error {
		ctx, cancel := context.WithTimeout(agent.Within(context.Background(), acts), patience)
		defer cancel()
		return w.process(0).host().ChangeSite(ctx, app, agent.Caller{}, agent.SiteChange{Settings: func(now *agent.Settings) error {
			if !slices.Contains(now.Domains, domain) {
				now.Domains = append(now.Domains, domain)
			}
			return nil
		}})
	}
	var stopping string
	loads := 0
	w.plugin = func(ctx context.Context, name string, _ agent.Streams) error {
		switch name {
		case "post-stop":
			stopping = agent.ActsIn(ctx)
			if err := adds("", "outside.example.com", 100*time.Millisecond); err == nil {
				t.Error("somebody else has the lock within a stop")
			}
			return adds(stopping, "stopped.example.com", 10*time.Second)
		case "nginx-pre-reload":
			loads++
			return adds(agent.ActsIn(ctx), "loading.example.com", 10*time.Second)
		}
		return nil
	}
	w.patience = 30
	must(t, w.process(0).host().Stop(context.Background(), app, agent.Caller{}))
	site, err := os.ReadFile(w.places().NginxConf(app))
	must(t, err)
	if !strings.Contains(string(site), "stopped.example.com") || !strings.Contains(string(site), "loading.example.com") || loads != 2 {
		t.Errorf("after %d loads the site is\n%s", loads, site)
	}
	lock, _, err := w.process(0).host().Ledger.Lock(app, api.Lock{Key: "somebody", PID: os.Getpid(), Since: time.Now()})
	must(t, err)
	if err := adds(stopping, "late.example.com", 100*time.Millisecond); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("what outlives the stop gets %v", err)
	}
	must(t, lock.Unlock())
}
