package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/agent/install"
	"github.com/dokku-push/dokku-push/agent/keys"
	"github.com/dokku-push/dokku-push/agent/plugin"
	"github.com/dokku-push/dokku-push/agent/provision"
	"github.com/dokku-push/dokku-push/agent/state"
	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/internal/dirlock"
	exec "github.com/dokku-push/dokku-push/internal/run"
)

// applyHost makes this host what the document on standard input says: `dokku-push host
// apply` calls it over ssh, as root. What it answers is an event stream.
func (p *program) applyHost(args []string) int {
	if len(args) > 0 {
		return p.usage()
	}
	answer := json.NewEncoder(p.out)
	report := func(event api.Event) { _ = answer.Encode(event) } // who no longer listens changes nothing
	verdict := p.provide(report)
	if verdict.Error != nil {
		return api.Exit(verdict.Error)
	}
	return 0
}

// provide reads the request and carries it out while no other does.
func (p *program) provide(report func(api.Event)) api.Verdict {
	fail := func(err error) api.Verdict {
		verdict := api.Verdict{Error: api.AsError(err)}
		report(api.Event{Type: api.EventVersion, Version: &api.Version{Protocol: api.Protocol}})
		report(api.Event{Type: api.EventVerdict, Verdict: &verdict})
		return verdict
	}
	places := placesFromEnvironment()
	memory := filepath.Join(places.Data(), "server.json")
	if isReal(places) {
		memory = filepath.Join(filepath.Dir(install.ConfigFile), "server.json")
		if os.Geteuid() != 0 {
			return fail(api.Errorf(api.Refused, "apply", "only root can make a host").WithHint("sudo -n dokku-agent apply"))
		}
	}
	var request api.HostRequest
	if err := json.NewDecoder(io.LimitReader(p.in, api.MaxDocument)).Decode(&request); err != nil {
		return fail(api.Errorf(api.Usage, "read the document", "%w", err))
	}
	if _, err := readConfig(places); err != nil {
		return fail(err) // this is no host yet
	}
	release, err := dirlock.Lock(p.ctx, filepath.Dir(memory), nil)
	if err != nil {
		return fail(api.Errorf(api.Locked, "apply", "%w", err))
	}
	defer release()
	return p.provision(places, memory).Apply(p.ctx, request, report)
}

// provision is this host as provision sees it. What is read is read as the caller, who can
// read all of it; what is changed goes through Dokku's commands, each as the user who may.
func (p *program) provision(places agent.Places, memory string) *provision.Host {
	manager := &plugin.Manager{Path: places.Plugins()}
	settings := &state.Store{Places: places}
	return &provision.Host{
		Plugins: func(ctx context.Context) ([]plugin.Plugin, error) {
			list, err := manager.List(ctx)
			manager.Sources(ctx, list)
			return list, err
		},
		Pinned: manager.Pinned,
		Keys:   keys.FromEnvironment().File(places.Root).List,
		Apps:   settings.Apps,
		Global: func() (agent.Settings, error) { return settings.Read("--global") },
		Run:    runDokku,
		Memory: memory,
	}
}

// runDokku runs a Dokku command as a process of its own, which becomes the dokku user where
// the command is not root's.
func runDokku(ctx context.Context, argv []string, stdin string, out io.Writer) error {
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find the agent's program: %w", err)
	}
	env := slices.DeleteFunc(os.Environ(), func(pair string) bool {
		name, _, _ := strings.Cut(pair, "=")
		return strings.HasPrefix(name, "SSH_") || slices.Contains([]string{"NAME", "FINGERPRINT", "DOKKU_GLOBAL_FLAGS", "DOKKU_APP_NAME"}, name)
	})
	command := exec.Cmd{Argv: append([]string{self, "dokku"}, argv...), Env: env, Stdin: strings.NewReader(stdin), Stdout: out, Stderr: out}
	return command.Run(ctx)
}
