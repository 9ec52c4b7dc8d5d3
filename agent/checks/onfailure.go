package checks

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/internal/outward"
	"github.com/dokku-push/dokku-push/manifest"
)

// mostTold is how long a command or a URL of an onFailure may take at most.
const mostTold = 30 * time.Second

// tell does what the onFailure of a check says: first the command, then the URL, as
// Dokku does, each within the check's timeout. Whether it works changes no verdict.
//
// Dokku runs the command on the host. Here it runs in the container that was checked:
// who may deploy one app is not thereby somebody who may run programs on the host.
func (c *Checker) tell(ctx context.Context, probe agent.Probe, check manifest.Healthcheck, name string, failure error, say func(string)) {
	if check.OnFailure == nil {
		return
	}
	// That the container ends meanwhile is no reason to stop; that somebody cancels is.
	telling, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	defer context.AfterFunc(ctx, func() {
		if !errors.Is(context.Cause(ctx), agent.ErrEnded) {
			stop()
		}
	})()
	each := func(what string, do func(ctx context.Context) error) {
		limited, cancel := context.WithTimeout(telling, min(timeout(check), mostTold))
		defer cancel()
		if err := do(limited); err != nil {
			say(fmt.Sprintf("%s: the %s of its onFailure failed: %v", name, what, err))
		} else {
			say(fmt.Sprintf("%s: the %s of its onFailure was told", name, what))
		}
	}
	if command := check.OnFailure.Command; len(command) > 0 {
		each("command", func(ctx context.Context) error { return c.command(ctx, probe, command) })
	}
	if address := check.OnFailure.URL; address != "" {
		each("url", func(ctx context.Context) error { return c.post(ctx, address, name, failure) })
	}
}

// post tells a URL what failed, in Dokku's words. The address may hold a secret, as
// those of chat rooms do: no error shows more of it than the host.
func (c *Checker) post(ctx context.Context, address, name string, failure error) error {
	text, err := json.Marshal(map[string]any{"healthcheck_name": name, "errors": []string{failure.Error()}})
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(text))
	if err != nil {
		return errors.New("it is no address")
	}
	request.Header.Set("Content-Type", "application/json")
	dialer := &net.Dialer{}
	if !c.Near {
		dialer.Control = outward.Only
	}
	web := &http.Client{Transport: &http.Transport{DialContext: dialer.DialContext, DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	answer, err := web.Do(request)
	if err != nil {
		return fmt.Errorf("post to %s: %w", request.URL.Host, unwrapped(err))
	}
	defer answer.Body.Close()
	if answer.StatusCode < 200 || answer.StatusCode > 299 {
		return fmt.Errorf("%s answered %s", request.URL.Host, answer.Status)
	}
	return nil
}

// unwrapped takes the address off what net/http says.
func unwrapped(err error) error {
	if inner, ok := err.(interface{ Unwrap() error }); ok && inner.Unwrap() != nil {
		return inner.Unwrap()
	}
	return err
}
