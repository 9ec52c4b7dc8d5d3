package agent

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/manifest"
)

// The properties of review apps. Whoever has a parent is one; nothing else ever makes an app
// that goes by itself.
const (
	ReviewParent  = "review/parent"  // the app that it is a review app of
	ReviewBranch  = "review/branch"  // what it is named by
	ReviewExpires = "review/expires" // when it goes: seconds since 1970; not set: never
	ReviewGoing   = "review/going"   // goingBegun or goingTold: it is being removed
	ReviewKeys    = "review/keys"    // config keys taken from the parent, with commas between
)

// The properties that bound an app's review apps, whatever its dokku.hcl says. The host's own
// maximum is that of all review apps together.
const (
	ReviewMax     = "review/max"     // a number
	ReviewTTL     = "review/ttl"     // the longest life, as "72h"
	ReviewInherit = "review/inherit" // the config keys that may be taken over, with commas between
)

const (
	goingBegun = "begun"
	goingTold  = "told" // its pr-predestroy has run
)

const (
	opReviewUp   = "make the review app"
	opReviewDown = "remove the review app"
)

// ReviewRequest asks for a review app, or for more time for the one that is there.
type ReviewRequest struct {
	Parent  string
	Name    string
	Branch  string        // what the name was made of; another one's review app is not taken over
	TTL     time.Duration // 0: as the host says
	Max     int           // most review apps of the parent at once; 0: as the host says
	Domain  string        // under which it answers; empty: as any app of its name
	Inherit []string      // config keys that it takes over from the parent; it gets no other
	// Bounded is asked for by a certificate, not by a key: where ReviewInherit is not set, none
	// of the parent's keys are taken over.
	Bounded bool
}

// Review is a review app.
type Review struct {
	Name    string     `json:"name"`
	Parent  string     `json:"parent"`
	Branch  string     `json:"branch,omitempty"`
	Expires *time.Time `json:"expires,omitempty"` // nil: never
	Going   bool       `json:"going,omitempty"`   // it is being removed
	Domains []string   `json:"domains,omitempty"`
}

// Expired tells whether its time is over, or its removal was begun.
func (r Review) Expired(now time.Time) bool {
	return r.Going || r.Expires != nil && !now.Before(*r.Expires)
}

// reviewOf reads what the settings of an app say; ok is false for one that is no review app.
func reviewOf(app string, settings Settings) (review Review, ok bool) {
	p := settings.Properties
	review = Review{Name: app, Parent: p[ReviewParent], Branch: p[ReviewBranch], Going: p[ReviewGoing] != "", Domains: settings.Domains}
	if seconds, err := strconv.ParseInt(p[ReviewExpires], 10, 64); err == nil {
		expires := time.Unix(seconds, 0)
		review.Expires = &expires
	}
	return review, review.Parent != ""
}

// Reviews lists the review apps of an app; of all apps where parent is empty. What cannot be
// read is left out and told.
func (h *Host) Reviews(parent string) (found []Review, err error) {
	apps, err := h.Settings.Apps()
	if err != nil {
		return nil, fmt.Errorf("list the apps: %w", err)
	}
	var failures []error
	for _, app := range apps {
		settings, err := h.Settings.Read(app)
		if errors.Is(err, ErrNotFound) {
			continue
		} else if err != nil {
			failures = append(failures, fmt.Errorf("read the settings of %s: %w", app, err))
			continue
		}
		if review, ok := reviewOf(app, settings); ok && (parent == "" || review.Parent == parent) {
			found = append(found, review)
		}
	}
	return found, errors.Join(failures...)
}

// MakeReview makes a review app, or gives the one that is there more time and the config that
// its parent has now. made tells which; missing are the keys that the parent does not have.
// What is made is ready for its first deploy. Nothing is left of one that was refused.
func (h *Host) MakeReview(ctx context.Context, request ReviewRequest) (review Review, made bool, missing []string, err error) {
	parent, err := h.reviewParent(request)
	if err != nil {
		return review, false, nil, err
	}
	if review, missing, err = h.renewReview(request, parent); err == nil || !errors.Is(err, ErrNotFound) {
		return review, false, missing, err
	}
	domains, err := h.reviewDomains(ctx, request, parent)
	if err != nil {
		return review, false, nil, err
	}
	// One at a time on this host, or two would both be the last that there is room for.
	_, _, err = h.Settings.Change("--global", func(global *Settings) error {
		if err := h.reviewRoom(request, parent, *global); err != nil {
			return err
		}
		if err := h.claim(request.Name); err != nil {
			return err
		}
		return h.begin(request.Name, func(now *Settings) {
			now.Domains = domains
			inheritSettings(now, parent)
			missing = h.putReview(now, request, parent)
			review, _ = reviewOf(request.Name, *now)
		})
	})
	if err != nil {
		return review, false, nil, err
	}
	return review, true, missing, h.fire(ctx, "post-create", request.Name)
}

// reviewParent reads the app that a review app is asked of.
func (h *Host) reviewParent(request ReviewRequest) (Settings, error) {
	if err := manifest.AppName(request.Name); err != nil {
		return Settings{}, api.Errorf(api.Precondition, opReviewUp, "%w", err)
	}
	if err := h.Exists(request.Parent); err != nil {
		return Settings{}, err
	}
	parent, err := h.Settings.Read(request.Parent)
	if err != nil {
		return Settings{}, fmt.Errorf("read the settings of %s: %w", request.Parent, err)
	}
	if of, is := reviewOf(request.Parent, parent); is {
		return Settings{}, api.Errorf(api.Precondition, opReviewUp, "%s is a review app itself, of %s", request.Parent, of.Parent)
	}
	return parent, h.mayInherit(request, parent)
}

// mayInherit refuses keys that the host keeps from an app's review apps, whatever the
// dokku.hcl of a branch says.
func (h *Host) mayInherit(request ReviewRequest, parent Settings) error {
	allowed, said := h.inherit(parent).Properties[ReviewInherit]
	if !said && !request.Bounded {
		return nil
	}
	kept := slices.DeleteFunc(slices.Clone(request.Inherit), func(key string) bool { return slices.Contains(strings.Split(allowed, ","), key) })
	if len(kept) == 0 {
		return nil
	}
	return api.Errorf(api.Refused, opReviewUp, "%s does not hand these on to its review apps: %s", request.Parent, strings.Join(kept, ", ")).
		WithHint("take them out of review { inherit }, or, on the host: dokku review:set %s inherit %s", request.Parent, strings.Join(request.Inherit, ","))
}

// renewReview gives an app that is there more time; ErrNotFound: it is not there.
func (h *Host) renewReview(request ReviewRequest, parent Settings) (review Review, missing []string, err error) {
	if !h.Settings.Has(request.Name) {
		return review, nil, ErrNotFound
	}
	if settings, err := h.Settings.Read(request.Name); err == nil {
		if half, err := h.halfCreated(request.Name); err == nil && half && settings.Properties[ReviewParent] == "" {
			return review, nil, ErrNotFound // it was cut off before it was anything
		}
	}
	_, _, err = h.Settings.Change(request.Name, func(now *Settings) error {
		former, is := reviewOf(request.Name, *now)
		switch {
		case !is:
			return api.Errorf(api.Precondition, opReviewUp, "there is an app %s, and it is no review app", request.Name).
				WithHint("give the review app another name: --name")
		case former.Parent != request.Parent:
			return api.Errorf(api.Precondition, opReviewUp, "%s is a review app of %s", request.Name, former.Parent).
				WithHint("give this one another name: --name")
		case former.Branch != request.Branch:
			return api.Errorf(api.Precondition, opReviewUp, "%s is the review app of %q, not of %q", request.Name, former.Branch, request.Branch).
				WithHint("give this one another name: --name")
		case former.Going:
			return api.Errorf(api.Locked, opReviewUp, "%s is being removed", request.Name).WithHint("ask again when it is gone: review list shows it")
		}
		*now = now.clone()
		missing = h.putReview(now, request, parent)
		review, _ = reviewOf(request.Name, *now)
		return nil
	})
	return review, missing, err
}

// putReview writes what makes an app a review app: whose it is, until when, and its part of
// the parent's config. It returns the keys that the parent does not have.
func (h *Host) putReview(now *Settings, request ReviewRequest, parent Settings) (missing []string) {
	for _, key := range strings.Split(now.Properties[ReviewKeys], ",") {
		if key != "" && !slices.Contains(request.Inherit, key) {
			delete(now.Env, key)
		}
	}
	var taken []string
	for _, key := range request.Inherit {
		if value, ok := parent.Env[key]; ok {
			now.Env[key] = value
			taken = append(taken, key)
		} else {
			missing = append(missing, key)
		}
	}
	put := func(property, value string) {
		delete(now.Properties, property)
		if value != "" {
			now.Properties[property] = value
		}
	}
	put(ReviewParent, request.Parent)
	put(ReviewBranch, request.Branch)
	put(ReviewKeys, strings.Join(taken, ","))
	expires := ""
	if life := h.reviewLife(request.TTL, parent); life > 0 {
		expires = strconv.FormatInt(time.Now().Add(life).Unix(), 10)
	}
	put(ReviewExpires, expires)
	return missing
}

// reviewLife is how long a review app lives: as was asked, and no longer than the host says.
// 0: for ever.
func (h *Host) reviewLife(asked time.Duration, parent Settings) time.Duration {
	if most, err := time.ParseDuration(h.inherit(parent).Properties[ReviewTTL]); err == nil && most > 0 && (asked == 0 || asked > most) {
		return most
	}
	return asked
}

// reviewRoom refuses one review app too many.
func (h *Host) reviewRoom(request ReviewRequest, parent, global Settings) error {
	all, err := h.Reviews("")
	if err != nil {
		return err
	}
	var own []string
	for _, one := range all {
		if one.Parent == request.Parent {
			own = append(own, one.Name)
		}
	}
	const hint = "remove one with review down, or what has expired with review gc"
	if most := fewest(number(parent.Properties[ReviewMax]), request.Max); most > 0 && len(own) >= most {
		return api.Errorf(api.Precondition, opReviewUp, "%s has %d review apps, and may have %d: %s", request.Parent, len(own), most, strings.Join(own, ", ")).WithHint(hint)
	}
	if most := number(global.Properties[ReviewMax]); most > 0 && len(all) >= most {
		return api.Errorf(api.Precondition, opReviewUp, "this host has %d review apps, and may have %d", len(all), most).WithHint(hint)
	}
	return nil
}

// number reads a limit; 0: there is none.
func number(text string) int {
	n, err := strconv.Atoi(text)
	if err != nil {
		return 0
	}
	return n
}

// fewest is the smaller of two limits, of which 0 is none.
func fewest(a, b int) int {
	if a == 0 || b > 0 && b < a {
		return b
	}
	return a
}

// inheritSettings takes over how the parent is served, checked and bounded. What leads to its
// data is not: no docker options, so no storage and no links, no networks, no certificates.
func inheritSettings(now *Settings, parent Settings) {
	for property, value := range parent.Properties {
		plugin, key, _ := strings.Cut(property, "/")
		if slices.Contains([]string{"checks", "nginx", "resource", "signing"}, plugin) || plugin == "ps" && strings.HasSuffix(key, "stop-timeout-seconds") {
			now.Properties[property] = value
		}
	}
	for _, port := range parent.Ports {
		if strings.HasPrefix(port, "http:") {
			now.Ports = append(now.Ports, port)
		}
	}
}

// reviewDomains are a review app's domains: under the domain that was asked for, as Dokku
// gives any app its name, or under that of its parent.
func (h *Host) reviewDomains(ctx context.Context, request ReviewRequest, parent Settings) ([]string, error) {
	if request.Domain != "" {
		return []string{request.Name + "." + request.Domain}, nil
	}
	domains, err := h.DefaultDomains(ctx, request.Name)
	if err != nil || len(domains) > 0 || len(parent.Domains) == 0 {
		return domains, err
	}
	of := strings.TrimPrefix(parent.Domains[0], "*.")
	return []string{request.Name + "." + strings.TrimPrefix(of, request.Parent+".")}, nil
}
