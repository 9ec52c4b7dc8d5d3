package agent

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/dokku-push/dokku-push/api"
)

// This file is how a command knows that it was started by a trigger of an act that holds an
// app's lock and is no release: a stop, a change of the site, a destroy. It does what it is
// asked at once, for the act waits for it.

// ActsVariable tells commands that a trigger starts within which acts they are.
const ActsVariable = "DOKKU_PUSH_ACTS"

// actsKey carries them.
type actsKey struct{}

// Within marks ctx as running within acts, as ActsVariable has them.
func Within(ctx context.Context, acts string) context.Context {
	return context.WithValue(ctx, actsKey{}, acts)
}

// ActsIn is what ActsVariable is to be for what ctx starts; empty: nothing.
func ActsIn(ctx context.Context) string {
	acts, _ := ctx.Value(actsKey{}).(string)
	return acts
}

// actOf names the act that holds a lock: the moment at which a process took it.
func actOf(app string, lock api.Lock) string {
	return fmt.Sprintf("%s:%d:%d", app, lock.PID, lock.Since.UnixNano())
}

// addAct adds one to those that ctx is within.
func addAct(ctx context.Context, act string) context.Context {
	return Within(ctx, strings.TrimPrefix(ActsIn(ctx)+","+act, ","))
}

func hasAct(ctx context.Context, act string) bool {
	return slices.Contains(strings.Split(ActsIn(ctx), ","), act)
}

// insideAct tells whether ctx is within the act that holds the app's lock.
func (h *Host) insideAct(ctx context.Context, app string) bool {
	if ActsIn(ctx) == "" {
		return false
	}
	holder, err := h.Ledger.Holder(app)
	return err == nil && holder != nil && hasAct(ctx, actOf(app, *holder))
}

// Sites. While one is made nginx is held, and plugins of nginx-pre-reload run: what they
// change of the app's settings counts when they are through, and then the site is made again,
// once.
const (
	makesSite   = "site:"
	remakesSite = "again:"
)

// siteAct is the act of making an app's site, in the name of who has the app's lock.
func (h *Host) siteAct(app string) string {
	holder, err := h.Ledger.Holder(app)
	if err != nil || holder == nil {
		holder = &api.Lock{}
	}
	return makesSite + actOf(app, *holder)
}

// MakingSite tells whether ctx is within the making of a site, whosever: nginx is held by
// somebody who waits for what ctx is for.
func MakingSite(ctx context.Context) bool {
	return slices.ContainsFunc(strings.Split(ActsIn(ctx), ","), func(act string) bool { return strings.HasPrefix(act, makesSite) })
}
