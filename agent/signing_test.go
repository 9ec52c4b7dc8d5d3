package agent_test

import (
	"context"
	"crypto/ed25519"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	ours "github.com/hiddeco/sshsig"
	"golang.org/x/crypto/ssh"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/api"
)

// person is somebody with a key.
type person struct{ signer ssh.Signer }

func newPerson(t *testing.T) person {
	t.Helper()
	_, private, err := ed25519.GenerateKey(nil)
	must(t, err)
	signer, err := ssh.NewSignerFromKey(private)
	must(t, err)
	return person{signer}
}

// line lets the person sign, under a name.
func (p person) line(name string) string {
	return name + " " + strings.TrimSpace(string(ssh.MarshalAuthorizedKey(p.signer.PublicKey())))
}

func (p person) sign(t *testing.T, statement api.Statement) *api.Signed {
	t.Helper()
	text, err := statement.Text()
	must(t, err)
	made, err := ours.Sign(strings.NewReader(text), p.signer, ours.HashSHA512, api.SignatureNamespace)
	must(t, err)
	return &api.Signed{Statement: text, Signature: string(ours.Armor(made)), Nonce: nonce}
}

var nonce = strings.Repeat("ab", 32)

// stated is what an honest client states of a change.
func stated(t *testing.T, c agent.Change) api.Statement {
	t.Helper()
	commitment, err := c.Document.Commitment(nonce)
	must(t, err)
	now := time.Now()
	return api.Statement{App: c.App, Image: c.Document.Image.ID, Document: commitment, Issued: now, Expires: now.Add(time.Hour)}
}

// signing sets the policy of an app, or of the host.
func signing(t *testing.T, w *world, app string, required bool, lines ...string) {
	t.Helper()
	w.process(0).run(func(h *agent.Host) {
		_, _, err := h.Settings.Change(app, func(now *agent.Settings) error {
			now.Properties = maps.Clone(now.Properties)
			if now.Properties == nil {
				now.Properties = map[string]string{}
			}
			now.Properties[agent.SigningRequired] = map[bool]string{true: "true", false: "false"}[required]
			now.Properties[agent.AllowedSigners] = strings.Join(lines, "\n")
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	})
}

func applied(t *testing.T, w *world, c agent.Change) (verdict api.Verdict) {
	t.Helper()
	w.process(0).run(func(h *agent.Host) {
		var err error
		if verdict, err = h.Apply(context.Background(), c); err != nil {
			t.Errorf("apply %s: %v", c.Request, err)
		}
	})
	return verdict
}

// isRefused fails unless a change is refused with the words, and nothing has changed.
func isRefused(t *testing.T, w *world, c agent.Change, says string) {
	t.Helper()
	before := observed(t, w)
	verdict := applied(t, w, c)
	if verdict.OK || verdict.Error == nil || verdict.Error.Code != api.Refused || api.Exit(verdict.Error) != 77 || !strings.Contains(verdict.Error.Error(), says) {
		t.Errorf("the verdict is %+v (%v), want it refused with %q", verdict, verdict.Error, says)
	}
	if diff := cmp.Diff(before, observed(t, w)); diff != "" {
		t.Errorf("a refused change has changed the host (-before +after):\n%s", diff)
	}
}

// isTaken fails unless a change becomes a release, and returns its record.
func isTaken(t *testing.T, w *world, c agent.Change) agent.Record {
	t.Helper()
	verdict := applied(t, w, c)
	if !verdict.OK || verdict.Error != nil || !verdict.Changed {
		t.Fatalf("the verdict is %+v: %v", verdict, verdict.Error)
	}
	record, err := w.process(0).Release(c.App, verdict.Release)
	must(t, err)
	return record
}

// TestSigned: with the policy on, only what an allowed key has signed becomes a release,
// and its record says who that was.
func TestSigned(t *testing.T) {
	w, alice := deployed(t), newPerson(t)
	signing(t, w, app, true, alice.line("alice"))
	change := deploy(w, 2)
	change.Signed = alice.sign(t, stated(t, change))
	record := isTaken(t, w, change)
	want := &api.Signature{Statement: change.Signed.Statement, Signature: change.Signed.Signature, Key: ssh.FingerprintSHA256(alice.signer.PublicKey()), Signer: "alice", Verified: true}
	if diff := cmp.Diff(want, record.Signature); diff != "" || record.Nonce != nonce {
		t.Errorf("the record's signature (-want +got):\n%s\nnonce %q", diff, record.Nonce)
	}
	if text := record.Signature.Statement; strings.Contains(text, "colour2") || strings.Contains(text, nonce) {
		t.Errorf("the statement tells what is secret: %s", text)
	}
	// What runs is started anew without another signature, and stays the signed one.
	again := isTaken(t, w, agent.Change{App: app, Request: "request-3", Kind: agent.Config})
	if diff := cmp.Diff(want, again.Signature); diff != "" {
		t.Errorf("the release of a config change (-want +got):\n%s", diff)
	}
	// A signed and verified release may come back though its key is no longer allowed.
	third := deploy(w, 4)
	third.Signed = alice.sign(t, stated(t, third))
	isTaken(t, w, third)
	signing(t, w, app, true, newPerson(t).line("bob"))
	back := isTaken(t, w, agent.Change{App: app, Request: "request-5", Kind: agent.Rollback, Release: 2})
	if diff := cmp.Diff(want, back.Signature); diff != "" {
		t.Errorf("the release of a rollback (-want +got):\n%s", diff)
	}
	isRefused(t, w, agent.Change{App: app, Request: "request-6", Kind: agent.Rollback, Release: 1}, "v1 was never verified")
}

// TestSignedRefused: everything that is not what an allowed key has signed, for this app,
// now, is refused by its own words, and nothing changes.
func TestSignedRefused(t *testing.T) {
	alice, mallory := newPerson(t), newPerson(t)
	from := time.Now()
	mine := func(t *testing.T, c *agent.Change, change func(*api.Statement)) {
		statement := stated(t, *c)
		change(&statement)
		c.Signed = alice.sign(t, statement)
	}
	honest := func(*api.Statement) {}
	lines := []string{alice.line("alice")}
	for _, test := range []struct {
		name, says string
		lines      []string
		make       func(t *testing.T, w *world, c *agent.Change)
	}{
		{"unsigned", "is not signed", lines, func(*testing.T, *world, *agent.Change) {}},
		{"a tag", "is not signed", lines, func(_ *testing.T, _ *world, c *agent.Change) {
			*c = agent.Change{App: app, Request: c.Request, Kind: agent.Tag, Image: "dokku/" + app + ":v1"}
		}},
		{"an unsigned promotion", "is not signed", lines, func(_ *testing.T, _ *world, c *agent.Change) {
			*c = agent.Change{App: app, Request: c.Request, Kind: agent.Promote, From: "staging"}
		}},
		{"by a stranger", "not among the app's allowed signers", lines, func(t *testing.T, _ *world, c *agent.Change) { c.Signed = mallory.sign(t, stated(t, *c)) }},
		{"nobody is allowed", "not among the app's allowed signers", nil, func(t *testing.T, _ *world, c *agent.Change) { mine(t, c, honest) }},
		{"tampered", "changed afterwards", lines, func(t *testing.T, _ *world, c *agent.Change) {
			mine(t, c, honest)
			c.Signed.Statement = strings.Replace(c.Signed.Statement, `"shop"`, `"shoq"`, 1)
		}},
		{"another form", "canonical form", lines, func(t *testing.T, _ *world, c *agent.Change) {
			text := " " + alice.sign(t, stated(t, *c)).Statement
			made, err := ours.Sign(strings.NewReader(text), alice.signer, ours.HashSHA512, api.SignatureNamespace)
			must(t, err)
			c.Signed = &api.Signed{Statement: text, Signature: string(ours.Armor(made)), Nonce: nonce}
		}},
		{"another app", "signed for the app blog", lines, func(t *testing.T, _ *world, c *agent.Change) {
			mine(t, c, func(s *api.Statement) { s.App = "blog" })
		}},
		{"another image", "another image was signed", lines, func(t *testing.T, w *world, c *agent.Change) {
			mine(t, c, func(s *api.Statement) { s.Image = "sha256:image1" })
		}},
		{"an image put under it", "another image was signed", lines, func(t *testing.T, w *world, c *agent.Change) {
			mine(t, c, honest)
			c.Document.Image = document(w, 3).Image
		}},
		{"other config", "another release document was signed", lines, func(t *testing.T, _ *world, c *agent.Change) {
			mine(t, c, honest)
			c.Document.Config = map[string]string{"COLOUR": "black"}
		}},
		{"another nonce", "another release document was signed", lines, func(t *testing.T, _ *world, c *agent.Change) {
			mine(t, c, honest)
			c.Signed.Nonce = strings.Repeat("cd", 32)
		}},
		{"a promotion's", "signed for the promotion of", lines, func(t *testing.T, _ *world, c *agent.Change) {
			mine(t, c, func(s *api.Statement) { s.From = "staging v1" })
		}},
		{"expired", "the signature expired", lines, func(t *testing.T, _ *world, c *agent.Change) {
			mine(t, c, func(s *api.Statement) { s.Issued, s.Expires = from.Add(-time.Hour), from })
		}},
		{"of tomorrow", "and here it is", lines, func(t *testing.T, _ *world, c *agent.Change) {
			mine(t, c, func(s *api.Statement) { s.Issued, s.Expires = from.Add(24*time.Hour), from.Add(25*time.Hour) })
		}},
		{"the key has expired", "has expired", []string{strings.Replace(alice.line("alice"), " ", ` valid-before="20200101Z" `, 1)},
			func(t *testing.T, _ *world, c *agent.Change) { mine(t, c, honest) }},
		{"a list that nobody can read", "cannot be read", []string{"who?", alice.line("alice")}, func(t *testing.T, _ *world, c *agent.Change) { mine(t, c, honest) }},
		{"older than what runs unsigned", "older than the running release v1", lines, func(t *testing.T, _ *world, c *agent.Change) {
			mine(t, c, func(s *api.Statement) { s.Issued = from.Add(-24 * time.Hour) })
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := deployed(t)
			signing(t, w, app, true, test.lines...)
			change := deploy(w, 2)
			test.make(t, w, &change)
			isRefused(t, w, change, test.says)
		})
	}
}

// TestSignedOlder: what was signed, or committed, before the running release is refused
// unless that was signed to be meant.
func TestSignedOlder(t *testing.T) {
	w, alice := deployed(t), newPerson(t)
	signing(t, w, app, true, alice.line("alice"))
	now := time.Now()
	next := func(n int, change func(*api.Statement)) agent.Change {
		c := deploy(w, n)
		statement := stated(t, c)
		statement.Revised = now.Add(-time.Hour)
		change(&statement)
		c.Signed = alice.sign(t, statement)
		return c
	}
	isTaken(t, w, next(2, func(*api.Statement) {}))
	isRefused(t, w, next(3, func(s *api.Statement) { s.Issued = now.Add(-time.Minute) }), "older than the running release v2: its signature")
	isRefused(t, w, next(4, func(s *api.Statement) { s.Revised = now.Add(-2 * time.Hour) }), "older than the running release v2: its commit")
	isTaken(t, w, next(5, func(s *api.Statement) { s.Revised, s.AllowDowngrade = now.Add(-2*time.Hour), true }))
	isTaken(t, w, next(6, func(s *api.Statement) { s.Revised = time.Time{} })) // a tree with changes has no age
}

// TestSignedPromotion: a promotion is signed for the very release that it takes.
func TestSignedPromotion(t *testing.T) {
	const production = "production"
	w, alice := deployed(t), newPerson(t)
	w.process(0).run(func(h *agent.Host) { must(t, h.Create(context.Background(), production)) })
	signing(t, w, production, true, alice.line("alice"))
	now := time.Now()
	promote := func(request string, change func(*api.Statement)) agent.Change {
		c := agent.Change{App: production, Request: request, Kind: agent.Promote, From: app}
		statement := api.Statement{App: production, Image: "sha256:image1", From: app + " v1", Issued: now, Expires: now.Add(time.Hour)}
		change(&statement)
		c.Signed = alice.sign(t, statement)
		return c
	}
	isRefused(t, w, promote("request-2", func(s *api.Statement) { s.From = app + " v9" }), "for the promotion of")
	isRefused(t, w, promote("request-3", func(s *api.Statement) { s.From = "" }), "for the promotion of")
	isRefused(t, w, promote("request-4", func(s *api.Statement) { s.App = app }), "signed for the app shop")
	isRefused(t, w, promote("request-5", func(s *api.Statement) { s.Image = "sha256:image2" }), "another image")
	record := isTaken(t, w, promote("request-6", func(*api.Statement) {}))
	if record.Signature == nil || !record.Signature.Verified || record.PromotedFrom != app+" v1" {
		t.Errorf("the record is %+v", record.Release)
	}
}

// TestSignedByHost: the host's policy counts for apps that do not exist yet, which are not
// even created; an app's own word wins.
func TestSignedByHost(t *testing.T) {
	w, alice := newWorld(t), newPerson(t)
	signing(t, w, "--global", true, alice.line("alice"))
	isRefused(t, w, deploy(w, 1), "is not signed")
	if w.process(0).Has(app) {
		t.Error("the app was created")
	}
	change := deploy(w, 2)
	change.Signed = alice.sign(t, stated(t, change))
	isTaken(t, w, change)
	signing(t, w, app, false)
	isTaken(t, w, deploy(w, 3))
}

// TestSignedWithoutPolicy: where nobody asks for a signature it is recorded and not called
// verified; one that is wrong is refused all the same.
func TestSignedWithoutPolicy(t *testing.T) {
	w, alice := deployed(t), newPerson(t)
	change := deploy(w, 2)
	change.Signed = alice.sign(t, stated(t, change))
	if signature := isTaken(t, w, change).Signature; signature == nil || signature.Verified || signature.Signer != "" || signature.Key == "" {
		t.Errorf("the record's signature is %+v", signature)
	}
	change = deploy(w, 3)
	change.Signed = alice.sign(t, stated(t, change))
	change.Document.Procfile += "more: work\n"
	isRefused(t, w, change, "another release document")
	signing(t, w, app, true, alice.line("alice"))
	isRefused(t, w, agent.Change{App: app, Request: "request-4", Kind: agent.Rollback, Release: 1}, "never verified")
}

// TestSignedPlan: a plan tells that the host would refuse, before anything is sent.
func TestSignedPlan(t *testing.T) {
	w, alice := deployed(t), newPerson(t)
	signing(t, w, app, true, alice.line("alice"))
	change := deploy(w, 2)
	before := observed(t, w)
	w.process(0).run(func(h *agent.Host) {
		request := api.PlanRequest{Document: change.Document}
		plan, err := h.Plan(context.Background(), app, request)
		if err != nil || plan.Refused == nil || plan.Refused.Code != api.Refused || plan.Empty() {
			t.Errorf("unsigned: %v, refused for %v", err, plan.Refused)
		}
		request.Document.Image.Manifest, request.Document.Image.Registry = "", "" // known once it was shipped
		request.Signed = alice.sign(t, stated(t, change))
		if plan, err = h.Plan(context.Background(), app, request); err != nil || plan.Refused != nil {
			t.Errorf("signed: %v, refused for %v", err, plan.Refused)
		}
	})
	after := observed(t, w)
	delete(after, "/lib/data/agent/fingerprint.key") // the host's, made when it is first needed
	if diff := cmp.Diff(before, after); diff != "" {
		t.Errorf("a plan has changed the host:\n%s", diff)
	}
}
