package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/dokku-push/dokku-push/agent"
)

// How often watch looks after its host when nothing happens, and how long it waits
// for an engine that is gone.
const (
	watchRound = time.Minute
	watchRetry = time.Second
)

// watch is the one small service: it recovers what killed deploys have left, and makes
// the address map anew at boot, after an engine restart and on every start and end of
// a container. Deploys do not need it; without it the next command reconciles.
func (p *program) watch(args []string) int {
	if len(args) > 0 {
		return p.usage()
	}
	parts, err := connect(placesFromEnvironment())
	if err != nil {
		return p.fail(err)
	}
	defer parts.close()
	fmt.Fprintln(p.err, "dokku-agent: watching")
	watchHost(p.ctx, parts, func(err error) { fmt.Fprintf(p.err, "dokku-agent: %v\n", err) })
	return 0
}

// watchHost does the work of watch until ctx ends. Errors are told and outlived.
func watchHost(ctx context.Context, parts *parts, tell func(error)) {
	for ctx.Err() == nil {
		round, cancel := context.WithTimeout(ctx, watchRound)
		if err := recoverAll(round, parts); err != nil && ctx.Err() == nil {
			tell(err)
		}
		changed := make(chan struct{}, 1)
		lost := make(chan error, 1)
		go func() {
			lost <- parts.host.Containers.Events(round, func(agent.ContainerEvent) {
				select {
				case changed <- struct{}{}:
				default: // one more look is planned already
				}
			})
		}()
		err := follow(round, parts, changed, lost)
		cancel()
		if err != nil && ctx.Err() == nil && !errors.Is(err, context.DeadlineExceeded) {
			tell(err)
			select {
			case <-ctx.Done():
			case <-time.After(watchRetry):
			}
		}
	}
}

// follow reconciles on every change until the round is over or the engine is lost.
func follow(round context.Context, parts *parts, changed <-chan struct{}, lost <-chan error) error {
	var again <-chan time.Time
	for {
		select {
		case <-changed:
		case <-again:
		case err := <-lost:
			if round.Err() != nil {
				return nil
			}
			return fmt.Errorf("the engine is lost: %w", err)
		}
		busy, err := parts.host.Reconcile(round)
		if err != nil {
			return err
		}
		if again = nil; busy {
			again = time.After(watchRetry)
		}
	}
}

// recoverAll recovers every app and then makes the map what the containers are.
func recoverAll(ctx context.Context, parts *parts) error {
	apps, err := parts.host.Settings.Apps()
	if err != nil {
		return fmt.Errorf("list the apps: %w", err)
	}
	var failures []error
	for _, app := range apps {
		if err := parts.host.Recover(ctx, app); err != nil {
			failures = append(failures, fmt.Errorf("recover %s: %w", app, err))
		}
	}
	if _, err := parts.store.Sweep(24 * time.Hour); err != nil {
		failures = append(failures, fmt.Errorf("sweep the store: %w", err))
	}
	_, err = parts.host.Reconcile(ctx)
	return errors.Join(append(failures, err)...)
}
