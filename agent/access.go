package agent

import (
	"context"
	"slices"
	"strings"

	"github.com/dokku-push/dokku-push/api"
)

// May asks the user-auth plugins whether a caller may run a command, and, when an
// app is named, the user-auth-app plugins whether it may see that app
// (PLUGIN-CONTRACT 2.6). Without such a plugin everybody with a key may.
func (h *Host) May(ctx context.Context, by Caller, app string, command ...string) error {
	if err := h.bounded(by, app, strings.Join(command[:1], "")); err != nil {
		return err
	}
	if h.Walk.Has("user-auth") {
		var said limitedBuffer
		args := append([]string{by.User, by.Name}, command...)
		if err := h.trigger(ctx, "user-auth", args, Streams{Out: &said, Err: &said}); err != nil {
			return (&api.Error{Code: api.Refused, Op: strings.Join(command[:1], ""), Message: "Access denied"}).
				WithHint("%s", strings.TrimSpace("the host's user-auth plugin refused the key "+by.Name+"; "+said.String()))
		}
	}
	if app == "" {
		return nil
	}
	visible, err := h.Visible(ctx, by, []string{app})
	if err != nil {
		return err
	}
	if len(visible) == 0 {
		return (&api.Error{Code: api.Refused, Op: strings.Join(command[:1], ""), Message: "Access denied to the app " + app}).
			WithHint("the host's user-auth-app plugin refused the key %s", by.Name)
	}
	return nil
}

// Visible returns those of the apps that the caller may see.
func (h *Host) Visible(ctx context.Context, by Caller, apps []string) ([]string, error) {
	return h.seen(ctx, by, h.among(by, apps))
}

// MayName refuses an app that a caller may not see, be it there or not.
func (h *Host) MayName(ctx context.Context, by Caller, app string) error {
	return mayName(ctx, h.Visible, by, app)
}

func mayName(ctx context.Context, visible func(context.Context, Caller, []string) ([]string, error), by Caller, app string) error {
	seen, err := visible(ctx, by, []string{app})
	if err == nil && len(seen) == 0 {
		err = api.Errorf(api.Refused, "", "Access denied to the app %s", app)
	}
	return err
}

// seen asks the user-auth-app plugins which of the apps a caller may see.
func (h *Host) seen(ctx context.Context, by Caller, apps []string) ([]string, error) {
	if len(apps) == 0 || !h.Walk.Has("user-auth-app") {
		return apps, nil
	}
	var answer limitedBuffer
	args := append([]string{by.User, by.Name}, apps...)
	if err := h.trigger(ctx, "user-auth-app", args, Streams{Out: &answer}); err != nil {
		return nil, api.Errorf(api.Refused, "ask who may see which app", "%w", err)
	}
	allowed := strings.Fields(answer.String())
	return slices.DeleteFunc(slices.Clone(apps), func(app string) bool { return !slices.Contains(allowed, app) }), nil
}
