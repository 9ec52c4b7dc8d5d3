package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/agent/cron"
)

// How often watch looks after its host when nothing happens, how long it waits for an
// engine that is gone, how soon it looks again at an app that is being deployed, and how
// many apps it mends at the same time: one may wait for its old containers' connections.
const (
	watchRound = time.Minute
	watchRetry = 300 * time.Millisecond
	watchAgain = time.Second
	watchMends = 8
)

// watch is the one small service: it recovers what killed deploys have left, starts what
// did not come back after a boot or an engine restart, and leads traffic to where the
// containers are on every start and end of one. Deploys do not need it; without it the
// next command reconciles.
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
	var minutes sync.WaitGroup
	defer minutes.Wait()
	minutes.Go(func() { watchClock(ctx, parts.host, tell) })
	told := ""
	for ctx.Err() == nil {
		begun := time.Now()
		err := watchEngine(ctx, parts, func(err error) {
			if ctx.Err() == nil {
				tell(err)
			}
		})
		if _, gone := parts.host.Containers.Info(ctx); gone != nil {
			// What is started before the engine is heard of again may get anybody's address,
			// so until then no app's address leads anywhere.
			err = errors.Join(err, parts.host.LetAllGo(ctx))
		}
		if err != nil && ctx.Err() == nil && (err.Error() != told || time.Since(begun) > watchRound) {
			told = err.Error()
			tell(err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(watchRetry):
		}
	}
}

// watchEngine follows one life of the engine until it is lost. What happens to containers
// is followed from before the first look at them, so that nothing is missed in between;
// what may take long is done beside it.
func watchEngine(ctx context.Context, parts *parts, tell func(error)) error {
	ctx, cancel := context.WithCancel(ctx)
	var beside sync.WaitGroup
	defer beside.Wait()
	defer cancel()
	pending := changes{apps: map[string]bool{}, more: make(chan struct{}, 1)}
	lost := make(chan error, 1)
	beside.Go(func() {
		lost <- parts.host.Containers.Events(ctx, func(event agent.ContainerEvent) { pending.add(event.Labels["com.dokku.app-name"]) })
	})
	if _, err := parts.host.Containers.Info(ctx); err != nil {
		return fmt.Errorf("the engine is lost: %w", err)
	}
	if err := parts.host.Ensure(ctx); err != nil {
		tell(err)
	}
	again, err := look(ctx, parts, &pending, tell)
	if err != nil {
		return err
	}
	beside.Go(func() { mendAll(ctx, parts, tell) })
	for {
		select {
		case <-pending.more:
		case <-again:
		case err := <-lost:
			if err == nil {
				return nil // it was told to end
			}
			return fmt.Errorf("the engine is lost: %w", err)
		}
		if again, err = look(ctx, parts, &pending, tell, pending.take()...); err != nil {
			return err
		}
	}
}

// look reconciles apps, none meaning all; those that are being deployed are looked at again
// when the channel says so. Only a lost engine is an error.
func look(ctx context.Context, parts *parts, pending *changes, tell func(error), apps ...string) (again <-chan time.Time, err error) {
	busy, err := parts.host.Reconcile(ctx, apps...)
	if err != nil {
		if _, gone := parts.host.Containers.Info(ctx); gone != nil {
			return nil, fmt.Errorf("the engine is lost: %w", gone)
		}
		tell(err)
	}
	if pending.keep(busy...) {
		again = time.After(watchAgain)
	}
	return again, nil
}

// changes are the apps to whose containers something has happened.
type changes struct {
	mu   sync.Mutex
	apps map[string]bool
	more chan struct{} // there are some
}

func (c *changes) add(app string) {
	if app == "" || !c.keep(app) {
		return // no container of ours
	}
	select {
	case c.more <- struct{}{}:
	default: // one more look is planned already
	}
}

// keep notes apps and tells whether there are any.
func (c *changes) keep(apps ...string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, app := range apps {
		c.apps[app] = true
	}
	return len(c.apps) > 0
}

func (c *changes) take() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	apps := slices.Sorted(maps.Keys(c.apps))
	clear(c.apps)
	return apps
}

// mendAll mends every app at once and then once a minute. The first time, which is after a
// boot, an engine restart or the watch's own, it starts what did not come back.
func mendAll(ctx context.Context, parts *parts, tell func(error)) {
	rounds := time.NewTicker(watchRound)
	defer rounds.Stop()
	for restore := true; ctx.Err() == nil; restore = false {
		if err := mendOnce(ctx, parts, restore); err != nil {
			tell(err)
		}
		select {
		case <-ctx.Done():
		case <-rounds.C:
		}
	}
}

func mendOnce(ctx context.Context, parts *parts, restore bool) error {
	apps, err := parts.host.Settings.Apps()
	if err != nil {
		return fmt.Errorf("list the apps: %w", err)
	}
	ensured := parts.host.Ensure(ctx)
	failures := make([]error, len(apps))
	var wait sync.WaitGroup
	places := make(chan struct{}, watchMends)
	for n, app := range apps {
		places <- struct{}{}
		wait.Go(func() {
			defer func() { <-places }()
			if err := parts.host.Mend(ctx, app, restore); err != nil {
				failures[n] = fmt.Errorf("mend %s: %w", app, err)
			}
		})
	}
	wait.Wait()
	if _, err := parts.host.ExpireReviews(ctx, "", time.Now(), agent.Caller{Name: "watch"}); err != nil {
		failures = append(failures, fmt.Errorf("remove the expired review apps: %w", err))
	}
	if err := parts.host.Ledger.SweepGone(); err != nil {
		failures = append(failures, err)
	}
	if _, err := parts.store.Sweep(24 * time.Hour); err != nil {
		failures = append(failures, fmt.Errorf("sweep the store: %w", err))
	}
	return errors.Join(append(failures, ensured, parts.kit.sweep(ctx))...)
}

// watchClock starts the apps' scheduled commands at their minutes. A minute in which nobody
// watched is not made up for, as with every crontab.
func watchClock(ctx context.Context, host *agent.Host, tell func(error)) {
	for {
		now := time.Now()
		select {
		case <-ctx.Done():
			return
		case <-time.After(now.Truncate(time.Minute).Add(time.Minute).Sub(now)):
		}
		if err := cron.Tick(ctx, host, time.Now()); err != nil && ctx.Err() == nil {
			tell(err)
		}
	}
}
