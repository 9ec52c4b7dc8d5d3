package agent_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/api"
)

func selfSigned(t *testing.T, domain string) *agent.Certificate {
	t.Helper()
	certificate, err := agent.SelfSigned(domain, time.Now())
	must(t, err)
	return certificate
}

// TestSiteKilledAnywhere kills a change of a certificate, which changes files, settings and
// the site, before each of its acts: after a recovery all is as before, or all is changed.
func TestSiteKilledAnywhere(t *testing.T) {
	t.Parallel()
	base := deployed(t)
	former := selfSigned(t, "former.example.com")
	base.process(0).run(func(h *agent.Host) {
		must(t, h.SetCertificate(context.Background(), app, agent.Caller{}, former, ""))
	})
	certificate := selfSigned(t, "new.example.com")
	change := func(h *agent.Host) {
		_ = h.SetCertificate(context.Background(), app, agent.Caller{}, certificate, "new.example.com")
	}
	finished := base.clone(t)
	finished.process(0).run(change)
	before, after := observed(t, base), observed(t, finished)
	if cmp.Equal(before, after) {
		t.Fatal("the change changes nothing")
	}
	undone, done := 0, 0
	for dieAt := 1; ; dieAt++ {
		w := base.clone(t)
		p := w.process(dieAt)
		if p.run(change) {
			break
		}
		_ = recoverApp(t, w, dieAt%3+1)
		must(t, recoverApp(t, w, 0))
		switch now := observed(t, w); {
		case cmp.Equal(now, before):
			undone++
		case cmp.Equal(now, after):
			done++
		default:
			t.Errorf("killed before %q, it is neither as before nor changed (-before +recovered):\n%s", p.acts[dieAt-1], cmp.Diff(before, now))
		}
	}
	if undone < 3 || done == 0 {
		t.Errorf("%d were undone and %d done", undone, done)
	}
}

// TestSiteRefused: what nginx refuses is taken back byte for byte, whatever it was.
func TestSiteRefused(t *testing.T) {
	t.Parallel()
	certificate := selfSigned(t, "new.example.com")
	changes := map[string]func(h *agent.Host) error{
		"a first certificate": func(h *agent.Host) error {
			return h.SetCertificate(context.Background(), app, agent.Caller{}, certificate, "new.example.com")
		},
		"domains": func(h *agent.Host) error {
			return h.ChangeSite(context.Background(), app, agent.Caller{}, agent.SiteChange{Settings: func(now *agent.Settings) error {
				now.Domains, now.Env["NO_VHOST"] = []string{"moved.example.com"}, "0"
				return nil
			}})
		},
		"a disabled proxy": func(h *agent.Host) error {
			return h.ChangeSite(context.Background(), app, agent.Caller{}, agent.SiteChange{Settings: func(now *agent.Settings) error {
				now.Properties["proxy/disabled"] = "true"
				return nil
			}})
		},
	}
	for name, change := range changes {
		for _, act := range []string{"check the site", "swap the site", "reload", "remove the site"} {
			t.Run(fmt.Sprintf("%s: %s", name, act), func(t *testing.T) {
				t.Parallel()
				w := deployed(t)
				before := observed(t, w)
				w.fails[act] = errors.New("no")
				var err error
				w.process(0).run(func(h *agent.Host) { err = change(h) })
				delete(w.fails, act)
				if err == nil {
					return // this change has no such act
				}
				if code := api.AsError(err).Code; code == api.UndoFailed {
					must(t, recoverApp(t, w, 0)) // the way back needs the act as well
				}
				if diff := cmp.Diff(before, observed(t, w)); diff != "" {
					t.Errorf("not as before (-before +after):\n%s", diff)
				}
			})
		}
	}
}

// TestDisabledProxy: an app whose proxy is disabled has no site, and a deploy makes none.
func TestDisabledProxy(t *testing.T) {
	t.Parallel()
	w := deployed(t)
	conf := w.places().NginxConf(app)[len(w.dir):]
	turn := func(to string) {
		t.Helper()
		w.process(0).run(func(h *agent.Host) {
			must(t, h.ChangeSite(context.Background(), app, agent.Caller{}, agent.SiteChange{Settings: func(now *agent.Settings) error {
				now.Properties["proxy/disabled"] = to
				return nil
			}}))
		})
	}
	was := observed(t, w)[conf]
	turn("true")
	if text, there := observed(t, w)[conf]; there || was == "" {
		t.Errorf("the site is %q, before it was %q", text, was)
	}
	w.process(0).run(func(h *agent.Host) {
		verdict, err := h.Apply(context.Background(), deploy(w, 2))
		if err != nil || !verdict.OK {
			t.Errorf("a deploy: %+v, %v", verdict, err)
		}
	})
	if text, there := observed(t, w)[conf]; there {
		t.Errorf("the deploy made the site %q", text)
	}
	turn("false")
	if _, there := observed(t, w)[conf]; !there {
		t.Error("there is no site again")
	}
}

// TestStaticListener: an app that leads to something which is no container has a site
// without ever having been deployed.
func TestStaticListener(t *testing.T) {
	t.Parallel()
	w := created(t)
	w.process(0).run(func(h *agent.Host) {
		must(t, h.ChangeSite(context.Background(), app, agent.Caller{}, agent.SiteChange{Settings: func(now *agent.Settings) error {
			now.Properties["network/static-web-listener"] = "127.0.0.1:8080"
			return nil
		}}))
	})
	if site := observed(t, w)[w.places().NginxConf(app)[len(w.dir):]]; !strings.Contains(site, "web:[127.0.0.1:8080]") {
		t.Errorf("the site is %q", site)
	}
}

// TestMovedPorts: proxy:set moves the usual ports where no port map says otherwise, for one
// app or for all.
func TestMovedPorts(t *testing.T) {
	t.Parallel()
	w := created(t)
	w.process(0).run(func(h *agent.Host) {
		ports := func(want string) {
			t.Helper()
			got, err := h.Ports(app)
			if must(t, err); fmt.Sprint(got) != want {
				t.Errorf("the ports are %v, want %s", got, want)
			}
		}
		set := func(owner, value string, fixed ...string) {
			t.Helper()
			_, _, err := h.Settings.Change(owner, func(now *agent.Settings) error {
				now.Properties["proxy/proxy-port"] = value
				if owner == app {
					now.Ports = fixed
				}
				return nil
			})
			must(t, err)
		}
		ports("[http:80:5000]")
		set("--global", "8000")
		ports("[http:8000:5000]")
		set(app, "9000")
		ports("[http:9000:5000]")
		set(app, "9000", "http:80:3000")
		ports("[http:80:3000]")
	})
}
