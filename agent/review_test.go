package agent_test

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/api"
)

var reviews = flag.Int("reviews", 20, "how many review apps go up and down")

// reviewed is a world with a parent that has been deployed and has a secret.
func reviewed(t *testing.T) *world {
	t.Helper()
	w := deployed(t)
	w.process(0).run(func(h *agent.Host) {
		_, _, err := h.Settings.Change(app, func(now *agent.Settings) error {
			now.Env["LOG_LEVEL"], now.Env["DATABASE_URL"] = "debug", "postgres://canary"
			now.Properties["nginx/client-max-body-size"] = "5m"
			return nil
		})
		must(t, err)
	})
	return w
}

func reviewRequest(n int) agent.ReviewRequest {
	return agent.ReviewRequest{Parent: app, Name: fmt.Sprintf("review-shop-%d", n), Branch: fmt.Sprint("branch-", n), TTL: time.Hour, Inherit: []string{"LOG_LEVEL", "NONE"}}
}

// reviewChange is the deploy of a review app, whose pr-predestroy fails.
func reviewChange(w *world, n int) agent.Change {
	c := deploy(w, n)
	c.App = reviewRequest(n).Name
	c.Document.AppJSON = fmt.Sprintf(`{"scripts":{"pr-predestroy":"drop %d"}}`, n)
	c.Document.Image.Manifest += "-review"
	image := w.remote[c.Document.Image.Registry+"@sha256:manifest"+fmt.Sprint(n)]
	image.ID += "-review"
	image.Exposed = []string{"5000/tcp"}
	c.Document.Image.ID = image.ID
	w.remote[c.Document.Image.Registry+"@"+c.Document.Image.Manifest] = image
	w.exits[fmt.Sprint("drop ", n)] = 5
	return c
}

// TestReviewApps: many go up, are deployed and go again, some by hand, some because their
// time is over, several at once. Nothing of them is left, and their parent is as it was.
func TestReviewApps(t *testing.T) {
	t.Parallel()
	w := reviewed(t)
	before := observed(t, w)
	var changes []agent.Change
	for n := range *reviews {
		changes = append(changes, reviewChange(w, n+10))
	}
	var wait sync.WaitGroup
	places := make(chan struct{}, 4)
	for n, change := range changes {
		places <- struct{}{}
		wait.Go(func() {
			defer func() { <-places }()
			if !w.process(0).run(func(h *agent.Host) { upAndDown(t, h, reviewRequest(n+10), change, n%2 == 0) }) {
				t.Error("it did not come to its end")
			}
		})
	}
	wait.Wait()
	if diff := cmp.Diff(before, observed(t, w)); diff != "" {
		t.Errorf("%d review apps have left something (-before +after):\n%s", *reviews, diff)
	}
}

func upAndDown(t *testing.T, h *agent.Host, request agent.ReviewRequest, change agent.Change, byHand bool) {
	var told bytes.Buffer
	ctx := agent.WithStreams(context.Background(), agent.Streams{Out: &told, Err: &told})
	review, made, missing, err := h.MakeReview(ctx, request)
	if err != nil || !made || review.Expires == nil || len(missing) != 1 {
		t.Errorf("make %s: %+v, %t, %v, %v", request.Name, review, made, missing, err)
		return
	}
	verdict, err := h.Apply(ctx, change)
	if err != nil || !verdict.OK {
		t.Errorf("deploy %s: %+v, %v", request.Name, verdict, err)
		return
	}
	settings, err := h.Settings.Read(request.Name)
	if err != nil || settings.Env["LOG_LEVEL"] != "debug" || settings.Env["DATABASE_URL"] != "" || settings.Properties["nginx/client-max-body-size"] != "5m" ||
		strings.Join(settings.Domains, " ") != request.Name+".example.com" || strings.Contains(settings.Properties["docker-options/_default_.deploy"], "/data/1:") {
		t.Errorf("%s has %+v, %v", request.Name, settings, err)
	}
	by := agent.Caller{Name: "alice"}
	if byHand {
		if gone, err := h.RemoveReview(ctx, request.Name, app, by); err != nil || !gone {
			t.Errorf("remove %s: %t, %v", request.Name, gone, err)
		}
	} else if gone, err := h.ExpireReviews(ctx, app, review.Expires.Add(time.Second), by, request.Name); err != nil || len(gone) != 1 {
		t.Errorf("expire %s: %v, %v", request.Name, gone, err)
	}
	if want := "pr-predestroy of " + request.Name + ": it exited with code 5"; !strings.Contains(told.String(), want) {
		t.Errorf("%s: pr-predestroy did not run: %q", request.Name, told.String())
	}
	if gone, err := h.RemoveReview(ctx, request.Name, app, by); err != nil || gone {
		t.Errorf("remove %s again: %t, %v", request.Name, gone, err)
	}
}

// TestReviewRemovedByMany: those who wait while somebody else removes an app find it gone,
// and leave nothing of their own: no journal, no lock.
func TestReviewRemovedByMany(t *testing.T) {
	t.Parallel()
	w := reviewed(t)
	ctx, by := context.Background(), agent.Caller{Name: "watch"}
	for n := range 5 {
		name := reviewRequest(n).Name
		w.process(0).run(func(h *agent.Host) {
			_, _, _, err := h.MakeReview(ctx, reviewRequest(n))
			must(t, err)
		})
		var wait sync.WaitGroup
		for at := range 6 {
			wait.Go(func() {
				w.process(0).run(func(h *agent.Host) {
					err := error(nil)
					if at%2 == 0 {
						_, err = h.RemoveReview(ctx, name, app, by)
					} else if err = h.Destroy(ctx, name, by); err != nil && api.AsError(err).Code == api.NotFound {
						err = nil // it came too late
					}
					if err != nil {
						t.Errorf("remove it: %v", err)
					}
				})
			})
		}
		wait.Wait()
		must(t, filepath.WalkDir(w.dir, func(path string, entry fs.DirEntry, err error) error {
			if err == nil && entry.Name() == name {
				t.Errorf("there still is %s", path)
			}
			return err
		}))
	}
}

// TestReviewRefused: a quota, a name that is taken, and whatever is no review app.
func TestReviewRefused(t *testing.T) {
	t.Parallel()
	w := reviewed(t)
	ctx, by := context.Background(), agent.Caller{Name: "alice"}
	w.process(0).run(func(h *agent.Host) {
		limit := func(app, property, value string) {
			t.Helper()
			_, _, err := h.Settings.Change(app, func(now *agent.Settings) error { now.Properties[property] = value; return nil })
			must(t, err)
		}
		refused := func(what string, request agent.ReviewRequest, code api.Code, says string) {
			t.Helper()
			had := h.Settings.Has(request.Name)
			_, _, _, err := h.MakeReview(ctx, request)
			if problem := api.AsError(err); err == nil || problem.Code != code || !strings.Contains(problem.Message, says) {
				t.Errorf("%s: %v", what, err)
			}
			if h.Settings.Has(request.Name) != had {
				t.Errorf("%s: it was made or removed all the same", what)
			}
		}
		make := func(request agent.ReviewRequest, fresh bool) agent.Review {
			t.Helper()
			review, made, _, err := h.MakeReview(ctx, request)
			if err != nil || made != fresh {
				t.Fatalf("make %s: %t, %v", request.Name, made, err)
			}
			return review
		}
		with := func(n int, change func(*agent.ReviewRequest)) agent.ReviewRequest {
			request := reviewRequest(n)
			change(&request)
			return request
		}
		must(t, h.Create(ctx, "other"))
		make(reviewRequest(1), true)
		refused("another app's name", with(2, func(r *agent.ReviewRequest) { r.Name = "other" }), api.Precondition, "it is no review app")
		refused("its parent's name", with(2, func(r *agent.ReviewRequest) { r.Name = app }), api.Precondition, "it is no review app")
		refused("another branch's", with(1, func(r *agent.ReviewRequest) { r.Branch = "else" }), api.Precondition, `review app of "branch-1", not of "else"`)
		refused("another parent's", with(1, func(r *agent.ReviewRequest) { r.Parent = "other" }), api.Precondition, "is a review app of shop")
		refused("a review app's", with(2, func(r *agent.ReviewRequest) { r.Parent = "review-shop-1" }), api.Precondition, "is a review app itself")
		refused("nobody's", with(2, func(r *agent.ReviewRequest) { r.Parent = "none" }), api.NotFound, "does not exist")
		refused("more than dokku.hcl says", with(2, func(r *agent.ReviewRequest) { r.Max = 1 }), api.Precondition, "shop has 1 review apps, and may have 1: review-shop-1")
		limit(app, agent.ReviewMax, "1")
		refused("more than the host says", with(2, func(r *agent.ReviewRequest) { r.Max = 9 }), api.Precondition, "may have 1")
		make(reviewRequest(1), false)
		limit(app, agent.ReviewMax, "5")
		limit("--global", agent.ReviewMax, "1")
		refused("more than there is room for", reviewRequest(2), api.Precondition, "this host has 1 review apps")
		limit("--global", agent.ReviewMax, "5")
		limit("--global", agent.ReviewTTL, "10m")
		if review := make(with(2, func(r *agent.ReviewRequest) { r.TTL = 0; r.Domain = "pr.example.org" }), true); review.Expires == nil || time.Until(*review.Expires) > 11*time.Minute || review.Domains[0] != "review-shop-2.pr.example.org" {
			t.Errorf("with a limit of ten minutes it is %+v", review)
		}
		for _, name := range []string{app, "other"} {
			if _, err := h.RemoveReview(ctx, name, "", by); err == nil || api.AsError(err).Code != api.Precondition || !h.Settings.Has(name) {
				t.Errorf("%s is no review app, and was removed: %v", name, err)
			}
		}
		if _, err := h.RemoveReview(ctx, "review-shop-1", "other", by); err == nil || !h.Settings.Has("review-shop-1") {
			t.Errorf("removed for another parent: %v", err)
		}
		if gone, err := h.ExpireReviews(ctx, "", time.Now(), by); err != nil || len(gone) != 0 {
			t.Errorf("before its time: %v, %v", gone, err)
		}
		review := make(with(1, func(r *agent.ReviewRequest) { r.Inherit = nil }), false)
		settings, err := h.Settings.Read(review.Name)
		if must(t, err); settings.Env["LOG_LEVEL"] != "" {
			t.Error("what is no longer inherited is still there")
		}
	})
}

// TestReviewKilledAnywhere: whichever act of making or removing is the last, doing it again
// does it, no plugin or person helps, and nothing is left.
func TestReviewKilledAnywhere(t *testing.T) {
	t.Parallel()
	base := reviewed(t)
	before := observed(t, base)
	ctx, by := context.Background(), agent.Caller{Name: "watch"}
	make := func(h *agent.Host) error { _, _, _, err := h.MakeReview(ctx, reviewRequest(7)); return err }
	remove := func(h *agent.Host) error { _, err := h.RemoveReview(ctx, reviewRequest(7).Name, "", by); return err }
	expire := func(h *agent.Host) error { _, err := h.ExpireReviews(ctx, "", time.Now(), by); return err }
	up := base.clone(t)
	up.process(0).run(func(h *agent.Host) {
		must(t, make(h))
		verdict, err := h.Apply(ctx, reviewChange(up, 7))
		if err != nil || !verdict.OK {
			t.Errorf("deploy: %+v, %v", verdict, err)
		}
	})
	for what, one := range map[string]struct {
		from       *world
		act, again func(*agent.Host) error
	}{"make": {base, make, make}, "remove": {up, remove, expire}} {
		for dieAt := 1; ; dieAt++ {
			w := one.from.clone(t)
			w.exits = map[string]int{}
			if w.process(dieAt).run(func(h *agent.Host) { must(t, one.act(h)) }) {
				if dieAt < 4 {
					t.Errorf("%s has %d acts: this tests too little", what, dieAt-1)
				}
				break
			}
			w.process(0).run(func(h *agent.Host) {
				if err := one.again(h); err != nil {
					t.Errorf("%s, killed at %d: %v", what, dieAt, err)
				}
				if is := h.Settings.Has(reviewRequest(7).Name); is != (what == "make") && what == "make" {
					t.Errorf("%s, killed at %d: there is a review app: %t", what, dieAt, is)
				}
				if err := remove(h); err != nil {
					t.Errorf("%s, killed at %d: remove it: %v", what, dieAt, err)
				}
			})
			if diff := cmp.Diff(before, observed(t, w)); diff != "" {
				t.Fatalf("%s, killed at %d, has left something (-before +after):\n%s", what, dieAt, diff)
			}
		}
	}
}
