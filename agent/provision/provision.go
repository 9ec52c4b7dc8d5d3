// Package provision makes a host what a server block of dokku.hcl says: its plugins, ssh
// keys, apps, global config and domains. It compares and has Dokku's own commands do what
// is missing, so that a second run does nothing. It installs no agent and no package of the
// distribution, and it never destroys an app or uninstalls a plugin.
package provision

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/agent/keys"
	"github.com/dokku-push/dokku-push/agent/plugin"
	"github.com/dokku-push/dokku-push/api"
)

// Host is a host as it is, and the way to change it. All fields are set before use.
type Host struct {
	Plugins func(ctx context.Context) ([]plugin.Plugin, error) // with their sources
	Pinned  func(name string) string                           // the committish that a plugin was asked to stand at
	Keys    func() ([]keys.Key, error)
	Apps    func() ([]string, error)
	Global  func() (agent.Settings, error)
	// Run runs a Dokku command as who may give it. What it prints goes to out.
	Run func(ctx context.Context, argv []string, stdin string, out io.Writer) error
	// Memory is the file that remembers what the last document named. Only whoever runs
	// this may write it.
	Memory string
}

// change is one thing to do, and the command that does it.
type change struct {
	api.PlanChange
	commands []command
}

// command is a Dokku command with what it reads.
type command struct {
	argv  []string
	stdin string
}

// Apply brings the host up to the document and tells what it does, with the verdict last.
// What was done before a failure stays: the next run goes on from there.
func (h *Host) Apply(ctx context.Context, request api.HostRequest, report func(api.Event)) api.Verdict {
	started := time.Now()
	tell := func(event api.Event) {
		event.Time = time.Now()
		report(event)
	}
	tell(api.Event{Type: api.EventVersion, Version: &api.Version{Protocol: api.Protocol}})
	changed, err := h.apply(ctx, request, tell)
	verdict := api.Verdict{OK: err == nil, Changed: changed, DurationMS: time.Since(started).Milliseconds()}
	if err != nil {
		verdict.Error = api.AsError(err)
	}
	tell(api.Event{Type: api.EventVerdict, Verdict: &verdict})
	return verdict
}

func (h *Host) apply(ctx context.Context, request api.HostRequest, tell func(api.Event)) (changed bool, err error) {
	document := request.Document
	if request.Protocol != api.Protocol {
		return false, api.Errorf(api.WrongProtocol, "apply "+document.Server, "the client speaks protocol %d, this agent %d", request.Protocol, api.Protocol).
			WithHint("bring both programs to one version")
	}
	if err := check(document); err != nil {
		return false, err
	}
	changes, warnings, err := h.compare(ctx, document)
	if err != nil {
		return false, err
	}
	plan := &api.Plan{Server: document.Server, Exists: true, Warnings: warnings}
	for _, one := range changes {
		plan.Changes = append(plan.Changes, one.PlanChange)
	}
	tell(api.Event{Type: api.EventPlan, Plan: plan})
	if request.PlanOnly {
		return false, nil
	}
	former, err := h.remembered()
	if err != nil {
		return false, err
	}
	now := named(document)
	if len(changes) > 0 { // before anything is done: what a run that breaks off has made is known to the next
		if err := h.remember(former.and(now)); err != nil {
			return false, err
		}
	}
	for _, one := range changes {
		if err := h.do(ctx, one, tell); err != nil {
			return changed, err
		}
		changed = true
	}
	return changed, h.remember(now)
}

// do carries out one change.
func (h *Host) do(ctx context.Context, one change, tell func(api.Event)) error {
	step := api.Step{Name: one.Kind, Title: title(one.PlanChange), Status: api.StepStarted}
	tell(api.Event{Type: api.EventStep, Step: &step})
	begun := time.Now()
	var err error
	for _, command := range one.commands {
		said := &lines{say: func(line string) {
			tell(api.Event{Type: api.EventOutput, Output: &api.Output{Source: command.argv[0], Text: line}})
		}}
		if err = h.Run(ctx, command.argv, command.stdin, said); err != nil {
			err = api.Errorf(api.Precondition, step.Title, "dokku %s: %w", command.argv[0], err).
				WithHint("what was done before stays; mend the cause and apply again")
		}
		said.flush()
		if err != nil {
			break
		}
	}
	done := step
	done.Status, done.DurationMS = api.StepDone, time.Since(begun).Milliseconds()
	if err != nil {
		done.Status = api.StepFailed
	}
	tell(api.Event{Type: api.EventStep, Step: &done})
	return err
}

// title is a change as the heading of a step.
func title(one api.PlanChange) string {
	return fmt.Sprintf("%s%s", string(one.Action[0]-'a'+'A'), one.String()[1:])
}

// names are what a document names, without any value.
type names struct {
	Plugins []string          `json:"plugins,omitempty"`
	Keys    map[string]string `json:"keys,omitempty"` // fingerprints by name
	Apps    []string          `json:"apps,omitempty"`
	Config  []string          `json:"config,omitempty"`
}

func named(document api.HostDocument) names {
	n := names{Apps: slices.Clone(document.Apps), Config: slices.Sorted(maps.Keys(document.Config)), Keys: map[string]string{}}
	for _, one := range document.Plugins {
		n.Plugins = append(n.Plugins, one.Name)
	}
	for _, one := range document.Keys {
		_, n.Keys[one.Name], _ = publicKey(one.PublicKey) // it was checked
	}
	return n
}

// and is both, each name once.
func (n names) and(other names) names {
	both := func(a, b []string) []string {
		all := slices.Concat(a, b)
		slices.Sort(all)
		return slices.Compact(all)
	}
	all := names{Plugins: both(n.Plugins, other.Plugins), Apps: both(n.Apps, other.Apps), Config: both(n.Config, other.Config), Keys: maps.Clone(n.Keys)}
	if all.Keys == nil {
		all.Keys = map[string]string{}
	}
	maps.Copy(all.Keys, other.Keys)
	return all
}
