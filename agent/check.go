package agent

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/dokku-push/dokku-push/api"
)

// defaultWait is how long a process without any check must have run (PLUGIN-CONTRACT 6.4).
const defaultWait = 10 * time.Second

// leastUptime is how long a container must have run whose checks are switched off: one
// that exits at once is a failure all the same.
const leastUptime = 300 * time.Millisecond

// check waits until every new container is ready. They are checked at the same
// time; the first that fails ends the deploy, with what it had to say.
func (r *run) check(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wait sync.WaitGroup
	failures := make([]error, len(r.fresh))
	for n := range r.fresh {
		wait.Go(func() {
			if failures[n] = r.checkOne(ctx, &r.fresh[n]); failures[n] != nil {
				cancel(failures[n])
			}
		})
	}
	wait.Wait()
	if err := context.Cause(ctx); err != nil {
		return err
	}
	for n := range r.fresh { // one after the other, as plugins expect
		i := r.fresh[n]
		port := ""
		if i.Port != 0 {
			port = strconv.Itoa(i.Port)
		}
		if r.checksOff("disabled", i.Process) || !r.Walk.Has("check-deploy") {
			continue
		}
		if err := r.fire(ctx, api.Unhealthy, "check-deploy", r.change.App, i.ID, i.Process, port, i.Address, strconv.Itoa(i.Index)); err != nil {
			return err
		}
	}
	return nil
}

// checkOne watches one container: its checks against its exit.
func (r *run) checkOne(ctx context.Context, i *instance) error {
	c, err := r.Containers.Inspect(ctx, i.ID)
	if err != nil {
		return fmt.Errorf("look at %s: %w", i.label(), err)
	}
	i.Address = c.Address
	if i.Process == "web" {
		i.Port = webPort(r.ports)
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	checked := make(chan error, 1)
	go func() {
		checked <- r.Checker.Check(ctx, r.probe(*i), func(line string) { r.say(i.label(), "%s", line) })
	}()
	select {
	case exit := <-r.exits[i.ID]:
		stop(ended(exit))
		<-checked
		return r.exited(ctx, *i, exit)
	case err := <-checked:
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		// A check fails at once when its container ends: then the end is the reason, though
		// the engine may tell of it a moment later.
		select {
		case exit := <-r.exits[i.ID]:
			return r.exited(ctx, *i, exit)
		case <-time.After(exitTold):
		}
		return &api.Error{Code: api.Unhealthy, Op: "check " + i.label(), Message: err.Error(), Cause: err,
			Failure: r.Host.failure(i.label(), i.ID, 0), Hint: "the former release still serves; mend the app or its healthchecks in app.json"}
	}
}

// ended is the cause with which a check ends whose container has; one that only nobody
// watches any more may run still.
func ended(exit Exit) error {
	if exit.Err != nil {
		return context.Canceled
	}
	return ErrEnded
}

// exitTold is how long after a failed check the engine may tell that the container ended.
const exitTold = 200 * time.Millisecond

// exited is the failure of a container that ended before it was ready.
func (r *run) exited(ctx context.Context, i instance, exit Exit) error {
	if cause := context.Cause(ctx); exit.Err != nil && (cause == nil || errors.Is(cause, context.Canceled)) {
		return fmt.Errorf("watch %s: %w", i.label(), exit.Err)
	}
	code := exit.Code
	if code == 0 {
		code = r.restartedCode(ctx, i.ID)
	}
	failure := r.Host.failure(i.label(), i.ID, code)
	failure.Running = false
	return &api.Error{Code: api.Unhealthy, Op: "check " + i.label(), Failure: failure,
		Message: fmt.Sprintf("the container exited with code %d%s before it was ready", failure.ExitCode, oom(failure)),
		Hint:    "run its command locally, or `dokku-push run` one in the current release"}
}

// restartedCode is the exit code of a container that the engine says ended with 0. Where
// it has been restarted meanwhile that is wrong: the engine forgets the code as it starts
// it again, and it is the next end that tells.
func (r *run) restartedCode(ctx context.Context, id string) int {
	ctx = context.WithoutCancel(ctx)
	for deadline := time.Now().Add(restartTold); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		c, err := r.Containers.Inspect(ctx, id)
		if err != nil || c.ExitCode != 0 {
			return c.ExitCode
		}
		if c.Restarts == 0 && !c.Running {
			break
		}
	}
	return 0
}

// restartTold is how long the next end of a restarted container is waited for.
const restartTold = 3 * time.Second

func oom(failure *api.Failure) string {
	if failure.OOMKilled {
		return " (killed for its memory)"
	}
	return ""
}

// probe puts together what there is to check of one container.
func (r *run) probe(i instance) Probe {
	probe := Probe{Process: i.Process, Index: i.Index, Container: i.ID, Address: i.Address, Port: i.Port, TLS: r.Host.hasTLS(r.change.App), Wait: defaultWait}
	if seconds, err := strconv.Atoi(r.Host.inherit(r.settings).Properties["checks/default-wait"]); err == nil && seconds >= 0 {
		probe.Wait = time.Duration(seconds) * time.Second
	}
	for _, domain := range r.settings.Domains {
		if domain != "localhost" && !strings.Contains(domain, "*") {
			probe.Host = domain
			break
		}
	}
	if r.checksOff("disabled", i.Process) || r.checksOff("skipped", i.Process) {
		probe.Wait, probe.Port = leastUptime, 0
		return probe
	}
	for _, check := range r.appJSON.Healthchecks[i.Process] {
		if check.Type == "" || check.Type == "startup" {
			probe.Checks = append(probe.Checks, check)
		}
	}
	return probe
}

// checksOff reads checks:disable and checks:skip: a comma list or _all_.
func (r *run) checksOff(property, process string) bool {
	for name := range strings.SplitSeq(r.settings.Properties["checks/"+property], ",") {
		if name == process || name == "_all_" {
			return true
		}
	}
	return false
}
