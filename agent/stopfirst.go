package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
)

// This file is checks:disable: a process type that must not run twice has its old
// containers stopped before the new ones start (PLUGIN-CONTRACT 6.4), which costs the
// time between.

// startUndo is what the start step changes: new containers, and old ones stopped.
type startUndo struct {
	containersUndo
	Stopped []string `json:"stopped,omitempty"` // ids
	Restart string   `json:"restart,omitempty"` // their restart policy
}

func (r *run) planStart(ctx context.Context) (any, error) {
	undo := startUndo{containersUndo: containersUndo{Request: r.change.Request}}
	if r.settings.Properties["checks/disabled"] == "" || r.change.Kind == Scale {
		return undo, nil
	}
	running, err := r.Host.instances(ctx, r.change.App)
	if err != nil {
		return nil, err
	}
	for _, i := range running {
		if r.checksOff("disabled", i.Process) {
			undo.Stopped = append(undo.Stopped, i.ID)
		}
	}
	undo.Restart = "on-failure:10"
	if r.current != nil {
		undo.Restart = (&run{settings: r.current.Settings}).restartPolicy()
	}
	return undo, nil
}

// stopFirst stops the old containers that the plan of the step names.
func (r *run) stopFirst(ctx context.Context) error {
	undo, err := decodeUndo[startUndo](r.begun[len(r.begun)-1].undo)
	if err != nil || len(undo.Stopped) == 0 {
		return err
	}
	r.warn("checks are disabled: the old containers are stopped before the new ones start")
	for _, i := range r.old {
		for _, id := range undo.Stopped {
			if i.ID != id {
				continue
			}
			if err := ignoreNotFound(r.Containers.Stop(ctx, id, stopTimeout(r.settings, i.Process))); err != nil {
				return fmt.Errorf("stop %s: %w", i.Name, err)
			}
		}
	}
	return nil
}

// undoStart removes the new containers and brings back the old ones. Those may have
// other addresses now: traffic and the files that plugins read are told.
func undoStart(ctx context.Context, h *Host, app string, data json.RawMessage) error {
	undo, err := decodeUndo[startUndo](data)
	if err != nil {
		return err
	}
	failures := []error{undoContainers(ctx, h, app, data)}
	if len(undo.Stopped) == 0 {
		return failures[0]
	}
	for _, id := range undo.Stopped {
		if err := ignoreNotFound(h.Containers.Resume(ctx, id, undo.Restart)); err != nil {
			failures = append(failures, fmt.Errorf("start the container %s again: %w", id, err))
		}
	}
	running, err := h.instances(ctx, app)
	if err != nil {
		return errors.Join(append(failures, err)...)
	}
	if err := h.Traffic.Point(ctx, app, backendsOf(running), true); err != nil {
		failures = append(failures, fmt.Errorf("put the address map back: %w", err))
	}
	if err := h.writeProcessFiles(app, running); err != nil {
		failures = append(failures, err)
	}
	return errors.Join(failures...)
}
