package agent_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	cryptorand "crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"

	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/agent/state"
	"github.com/dokku-push/dokku-push/api"
)

// pick returns one of some values.
func pick[T any](r *rand.Rand, values ...T) T { return values[r.IntN(len(values))] }

// someDocument is a release document out of few values each, so that two often have
// parts in common.
func someDocument(w *world, r *rand.Rand) api.ReleaseDocument {
	n := r.IntN(3)
	image := agent.Image{ID: fmt.Sprintf("sha256:some%d", n), OS: "linux", Arch: "amd64"}
	doc := api.ReleaseDocument{
		Image:    api.Image{ID: image.ID, Manifest: fmt.Sprintf("sha256:manifest-some%d", n), Registry: "registry.example.com/shop"},
		Builder:  "dockerfile",
		Procfile: pick(r, "", "web: serve\n", "web: serve\nworker: work\n"),
		AppJSON: pick(r, "", `{"formation":{"web":{"quantity":2}}}`, `{"env":{"MODE":{"value":"a","sync":true},"KEY":{"generator":"secret"}}}`,
			`{"env":{"MODE":{"value":"b"}},"formation":{"web":{"quantity":0}}}`),
		Checks: pick(r, "", "", "/ Welcome\n"),
		Source: api.Source{Revision: strings.Repeat(pick(r, "a", "b"), 40)},
	}
	if r.IntN(2) == 0 {
		doc.Config = map[string]string{pick(r, "A", "B"): pick(r, "1", "2")}
	}
	if r.IntN(3) == 0 {
		return doc
	}
	doc.Declared = &api.Declared{
		Storage: pick(r, nil, []string{"/data:/data"}, []string{"/data:/data", "/more:/more"}),
		Checks:  pick(r, nil, map[string]string{"wait-to-retire": "0"}, map[string]string{"skipped": "web"}),
		Nginx:   pick(r, nil, map[string]string{"client-max-body-size": pick(r, "1m", "2m")}),
		Domains: pick(r, nil, &[]string{"shop.example.org"}, &[]string{}), Ports: pick(r, nil, &[]string{"http:80:5000"}),
		DockerOptions: pick(r, nil, map[string][]string{"deploy": {"--label x=y"}, "run": {"--label x=z"}}),
		Formation:     pick(r, nil, map[string]api.Process{"web": {Quantity: pick(r, nil, new(3)), Memory: pick(r, int64(0), 64<<20), StopTimeout: pick(r, 0, 3)}}),
	}
	return doc
}

// meddle is what people and plugins do to an app between two pushes.
func meddle(t *testing.T, h *agent.Host, r *rand.Rand) {
	t.Helper()
	_, _, err := h.Settings.Change(app, func(now *agent.Settings) error {
		switch r.IntN(4) {
		case 0:
			now.Env["A"] = pick(r, "1", "9")
		case 1:
			now.Domains = append(now.Domains, fmt.Sprintf("d%d.example.net", r.IntN(3)))
		case 2:
			now.Properties["docker-options/_default_.deploy"] = "--label by=hand"
		case 3:
			delete(now.Env, "B")
		}
		return nil
	})
	must(t, err)
}

// TestPlanTellsTheTruth: over random histories, a plan changes nothing; it is empty
// exactly when the push that follows changes nothing at all; and after a push it is empty.
func TestPlanTellsTheTruth(t *testing.T) {
	const histories, pushes = 15, 8
	empty, full := 0, 0
	for seed := range uint64(histories) {
		r := rand.New(rand.NewPCG(seed, 1))
		w := created(t)
		_, err := (&state.Store{Places: w.places()}).Fingerprint("the host's key is made at the first use")
		must(t, err)
		doc := someDocument(w, r)
		for push := range pushes {
			if r.IntN(3) > 0 {
				doc = someDocument(w, r)
			}
			w.remote[doc.Image.Registry+"@"+doc.Image.Manifest] = agent.Image{ID: doc.Image.ID, OS: "linux", Arch: "amd64"}
			var plan, after api.Plan
			var verdict api.Verdict
			before := observed(t, w)
			planner := w.process(0)
			planner.run(func(h *agent.Host) { plan, err = h.Plan(context.Background(), app, api.PlanRequest{Document: doc}) })
			must(t, err)
			if len(planner.acts) > 0 || cmp.Diff(before, observed(t, w)) != "" {
				t.Fatalf("history %d: planning did %v and changed\n%s", seed, planner.acts, cmp.Diff(before, observed(t, w)))
			}
			worker := w.process(0)
			worker.run(func(h *agent.Host) {
				verdict, err = h.Apply(context.Background(), agent.Change{App: app, Request: fmt.Sprintf("request-%d", push), Kind: agent.Deploy, Document: doc, State: plan.State})
			})
			must(t, err)
			if !verdict.OK {
				t.Fatalf("history %d, push %d: %v", seed, push, verdict.Error)
			}
			diff := cmp.Diff(before, observed(t, w))
			switch {
			case plan.Empty():
				empty++
				if verdict.Changed || diff != "" || wrote(worker.acts) != "" {
					t.Fatalf("history %d, push %d: the plan was empty, and the push did %s\n%s", seed, push, wrote(worker.acts), diff)
				}
			case !verdict.Changed || diff == "":
				t.Fatalf("history %d, push %d: the plan says %v, and the push changed nothing", seed, push, plan.Changes)
			default:
				full++
			}
			w.process(0).run(func(h *agent.Host) { after, err = h.Plan(context.Background(), app, api.PlanRequest{Document: doc}) })
			must(t, err)
			if !after.Empty() {
				t.Fatalf("history %d, push %d: after the push the plan says %v, start %v", seed, push, after.Changes, after.Start)
			}
			if r.IntN(3) == 0 {
				w.process(0).run(func(h *agent.Host) { meddle(t, h, r) })
			}
		}
	}
	if empty < histories/2 || full < histories {
		t.Errorf("the histories have %d empty plans and %d others: too few to mean anything", empty, full)
	}
}

// wrote is the first act that is not of the request's own journal or the lock.
func wrote(acts []string) string {
	for _, act := range acts {
		if act != "lock" && !strings.Contains(act, "journal") {
			return act
		}
	}
	return ""
}

// TestPlanHidesValues: what docker's options set is config by another way, and a plan shows its
// fingerprint.
func TestPlanHidesValues(t *testing.T) {
	w := deployed(t)
	change := deploy(w, 2)
	change.Document.Declared = &api.Declared{DockerOptions: map[string][]string{"deploy": {"--env TOKEN=canary-1"}, "build": {`--build-arg "KEY=canary 2"`}}}
	var plan api.Plan
	var err error
	w.process(0).run(func(h *agent.Host) {
		plan, err = h.Plan(context.Background(), app, api.PlanRequest{Document: change.Document})
	})
	must(t, err)
	text, err := json.Marshal(plan)
	must(t, err)
	if strings.Contains(string(text), "canary") || !strings.Contains(string(text), "--env TOKEN=") || !strings.Contains(string(text), "--build-arg KEY=") {
		t.Errorf("the plan is %s", text)
	}
}

// quoting is a proxy whose diff has the config's values, as one of a template that prints them.
type quoting struct {
	agent.Proxy
	former string
	now    *string
}

func (q quoting) Render(ctx context.Context, site agent.Site) ([]byte, error) {
	*q.now = site.Env["TOKEN"]
	return q.Proxy.Render(ctx, site)
}

func (q quoting) Diff(string, []byte) (string, error) {
	return "-" + q.former + "\n+" + strings.ReplaceAll(*q.now, "\n", "\n+"), nil
}

// TestPlanHidesFormerValues: a template may print config, so the diff of nginx's file has the
// values that were and those that come, also when the template goes.
func TestPlanHidesFormerValues(t *testing.T) {
	w := deployed(t)
	change := deploy(w, 2)
	change.Document.NginxTemplate, change.Document.Config = "mine", map[string]string{"TOKEN": "canary-1"}
	w.process(0).run(func(h *agent.Host) {
		_, err := h.Apply(context.Background(), change)
		must(t, err)
	})
	for _, template := range []string{"mine", ""} {
		change.Document.NginxTemplate, change.Document.Config = template, map[string]string{"TOKEN": "canary-2\ncanary-3"}
		var plan api.Plan
		var err error
		now := ""
		w.process(0).run(func(h *agent.Host) {
			h.Proxy = quoting{Proxy: h.Proxy, former: "canary-1", now: &now}
			plan, err = h.Plan(context.Background(), app, api.PlanRequest{Document: change.Document})
		})
		must(t, err)
		if plan.Nginx != "-****\n+****\n+****" {
			t.Errorf("with the template %q the diff is %q", template, plan.Nginx)
		}
	}
}

// TestPlanIsBound: on another state than the planned one nothing is done, be it the app's or
// what its containers get from the host.
func TestPlanIsBound(t *testing.T) {
	for _, owner := range []string{app, "--global"} {
		t.Run(owner, func(t *testing.T) { isBound(t, owner) })
	}
}

func isBound(t *testing.T, owner string) {
	w := deployed(t)
	change := deploy(w, 2)
	var plan api.Plan
	var err error
	w.process(0).run(func(h *agent.Host) {
		plan, err = h.Plan(context.Background(), app, api.PlanRequest{Document: change.Document})
	})
	must(t, err)
	w.process(0).run(func(h *agent.Host) {
		_, _, err = h.Settings.Change(owner, func(now *agent.Settings) error {
			now.Env["SET_MEANWHILE"] = "1"
			return nil
		})
	})
	must(t, err)
	before := observed(t, w)
	change.State = plan.State
	var verdict api.Verdict
	w.process(0).run(func(h *agent.Host) { verdict, err = h.Apply(context.Background(), change) })
	must(t, err)
	if verdict.OK || verdict.Error == nil || verdict.Error.Code != api.StalePlan || api.Exit(verdict.Error) != 28 {
		t.Errorf("verdict %+v, want one of the stale plan", verdict)
	}
	if diff := cmp.Diff(before, observed(t, w)); diff != "" {
		t.Errorf("the refused push changed\n%s", diff)
	}
}

// BenchmarkPlan plans a release on a host with one app, and on one with 200 apps of 200
// releases each, and prints how many times longer that takes: the bound is 3.
func BenchmarkPlan(b *testing.B) {
	small, large := hostOf(b, 1, 1), hostOf(b, 200, 200)
	plan := func(w *world) time.Duration {
		start := time.Now()
		w.process(0).run(func(h *agent.Host) {
			if _, err := h.Plan(context.Background(), app, api.PlanRequest{Document: document(w, 2)}); err != nil {
				b.Error(err)
			}
		})
		return time.Since(start)
	}
	plan(small)
	plan(large)
	var one, many time.Duration
	rounds := 0
	for b.Loop() { // one after the other, so that the machine's mood is the same for both
		one += plan(small)
		many += plan(large)
		rounds++
	}
	b.ReportMetric(float64(one.Microseconds())/float64(rounds), "µs/1-app")
	b.ReportMetric(float64(many.Microseconds())/float64(rounds), "µs/200-apps")
	b.ReportMetric(float64(many)/float64(one), "ratio")
}

// hostOf is a world with some apps, each with some releases.
func hostOf(b *testing.B, apps, releases int) *world {
	b.Helper()
	w := newWorld(b)
	w.process(0).run(func(h *agent.Host) {
		for n := range apps {
			name := app
			if n > 0 {
				name = fmt.Sprintf("app%d", n)
			}
			if err := h.Create(context.Background(), name); err != nil {
				b.Error(err)
				return
			}
			settings, err := h.Settings.Read(name)
			if err != nil {
				b.Error(err)
			}
			for version := 1; version <= releases; version++ {
				text, err := json.Marshal(agent.Record{Release: api.Release{Version: version, Built: "sha256:image1", Run: "sha256:image1"}, Settings: settings, Document: document(w, 1)})
				path := w.places().ReleaseRecord(name, version) // as Save does, without waiting for the disk 40,000 times
				if err := errors.Join(err, os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, text, 0o600)); err != nil {
					b.Error(err)
				}
			}
			if err := h.Ledger.SetCurrent(name, releases); err != nil {
				b.Error(err)
			}
		}
	})
	if got, err := filepath.Glob(filepath.Join(filepath.Dir(w.places().ReleaseRecord(app, 1)), "v*.json")); err != nil || len(got) != releases {
		b.Fatalf("%d releases were made: %v", len(got), err)
	}
	return w
}

// TestPlanWarns: what a person should know before the release is said, each with its reason.
func TestPlanWarns(t *testing.T) {
	w := deployed(t)
	doc := document(w, 2)
	doc.Declared.Formation = map[string]api.Process{"web": {Quantity: new(2), Memory: 1 << 50}}
	doc.Declared.Checks = map[string]string{"disabled": "web"}
	doc.AppJSON = `{"scripts":{"dokku":{"predeploy":"prepare"},"postdeploy":"once"}}`
	put := func(ends time.Time) {
		key, err := ecdsa.GenerateKey(elliptic.P256(), cryptorand.Reader)
		must(t, err)
		template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: ends.Add(-time.Hour), NotAfter: ends}
		der, err := x509.CreateCertificate(cryptorand.Reader, template, template, key.Public(), key)
		must(t, err)
		must(t, os.MkdirAll(w.places().TLS(app), 0o755))
		must(t, os.WriteFile(filepath.Join(w.places().TLS(app), "server.crt"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	}
	planned := func() (plan api.Plan) {
		var err error
		w.process(0).run(func(h *agent.Host) { plan, err = h.Plan(context.Background(), app, api.PlanRequest{Document: doc}) })
		must(t, err)
		return plan
	}
	for _, c := range []struct {
		ends time.Duration
		said string
	}{{-time.Hour, "certificate: it expired on"}, {49 * time.Hour, "in 2 days"}, {90 * 24 * time.Hour, ""}} {
		put(time.Now().Add(c.ends))
		plan := planned()
		all := strings.Join(plan.Warnings, "\n")
		for _, part := range []string{"memory: the formation may use", "checks are disabled for web"} {
			if !strings.Contains(all, part) {
				t.Errorf("no warning says %q:\n%s", part, all)
			}
		}
		if said := strings.Contains(all, "certificate"); said != (c.said != "") || !strings.Contains(all, c.said) {
			t.Errorf("a certificate that ends in %s: %q", c.ends, all)
		}
		var final []string
		for _, run := range plan.Runs {
			if run.Final {
				final = append(final, run.Name)
			}
		}
		if got := strings.Join(final, " "); got != "predeploy release first postdeploy" {
			t.Errorf("marked as not to be undone: %s", got)
		}
	}
}
