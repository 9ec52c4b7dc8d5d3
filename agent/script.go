package agent

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/manifest"
)

// script runs one script of the app in a container of its image, its output
// shown line by line. With commit, the image made of its result is returned.
func (r *run) script(ctx context.Context, phase, script string, commit bool) (string, error) {
	begun := time.Now()
	committed, err := r.runScript(ctx, phase, script, commit)
	r.hooked(phase, begun, err)
	return committed, err
}

func (r *run) runScript(ctx context.Context, phase, script string, commit bool) (string, error) {
	args, err := r.dockerArgs(ctx, "docker-args-deploy", r.change.App, tag)
	if err != nil {
		return "", err
	}
	own, err := declaredArgs(r.settings, optionsDeploy)
	if err == nil {
		err = r.Host.stillMounts(r.change.App, own)
	}
	if err != nil {
		return "", err
	}
	suffix, err := drawn(5)
	if err != nil {
		return "", err
	}
	labels := r.Host.labels(r.change.App, "phase")
	labels["dokku_phase_script"], labels[labelRequest] = phase, r.change.Request
	env := r.env()
	env["DYNO"] = phase
	runs := scriptIn(r.image, script)
	if phase == manifest.Release {
		runs = releaseIn(r.image, script)
	}
	id, err := r.Containers.Create(ctx, ContainerSpec{
		Name: r.change.App + "." + strings.ReplaceAll(phase, ".", "-") + "." + suffix, Image: r.image.ID,
		Entrypoint: runs.entrypoint, Cmd: runs.command, Env: env, Labels: labels, Args: withoutServing(slices.Concat(own, args)), Init: true,
	})
	if err != nil {
		return "", api.Errorf(api.ReleaseFailed, "run "+phase, "%w", err)
	}
	remove := func() { _ = r.Containers.Remove(context.WithoutCancel(ctx), id) } // what is left over, undo removes
	out := &lines{say: func(line string) { r.say(phase, "%s", line) }}
	exit, err := r.Containers.Run(ctx, id, Streams{Out: out, Err: out})
	out.flush()
	if err != nil {
		remove()
		return "", api.Errorf(api.ReleaseFailed, "run "+phase, "%w", err).
			WithHint("scripts need /bin/sh in the image")
	}
	if exit != 0 {
		failure := r.Host.failure(phase, id, exit)
		remove()
		return "", &api.Error{Code: api.ReleaseFailed, Op: "run " + phase, Failure: failure,
			Message: fmt.Sprintf("it exited with code %d", exit), Hint: "its output is above; nothing was changed"}
	}
	defer remove()
	if !commit {
		return "", nil
	}
	committed, err := r.Containers.Commit(ctx, id, r.image.ID, map[string]string{labelCommit: r.change.Request})
	if err != nil {
		return "", api.Errorf(api.ReleaseFailed, "commit the result of "+phase, "%w", err)
	}
	return committed, nil
}

// withoutServing drops the docker options that are for serving containers
// (PLUGIN-CONTRACT 6.5): published ports, restart policies, limits.
func withoutServing(args []string) []string {
	dropped := []string{"-p", "--publish", "-P", "--publish-all", "--restart", "--cpus", "--cpu-shares", "--memory", "-m", "--memory-swap", "--memory-reservation", "--gpus"}
	alone := []string{"-P", "--publish-all"}
	var kept []string
	for n := 0; n < len(args); n++ {
		name, _, inline := strings.Cut(args[n], "=")
		if !slices.Contains(dropped, name) {
			kept = append(kept, args[n])
			continue
		}
		if !inline && !slices.Contains(alone, name) {
			n++
		}
	}
	return kept
}
